"""Recipes: everything that defines a run but its seed and device.

A recipe is strict: unknown keys are refused, nothing is converted silently, and no value has a
default but `network.precision`, which is float32 where nothing coarser is declared. Units are part
of the names; the TOML files in `recipes/` give the source of each number.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

PositiveInt = Annotated[int, Field(gt=0)]
Probability = Annotated[float, Field(ge=0, le=1)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Precision = Literal["float32", "tf32", "bf16"]


class Section(BaseModel):
    """Base of all sections: strict types, unknown keys refused, values never change."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class GymnasiumEnv(Section):
    """An environment by its Gymnasium id, observed as a float32 vector or single grey frames."""

    kind: Literal["gymnasium"]
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+-v[0-9]+$")]
    frame_stack: PositiveInt  # frames in an observation; 1 for vectors


class AtariEnv(Section):
    """An Atari game in the Arcade Learning Environment, observed as a stack of grey frames."""

    kind: Literal["atari"]
    game: str
    actions: list[str] | Literal["minimal"]  # names of the game's actions that the agent may take
    frame_skip: PositiveInt  # emulator frames per agent step; the last two are max-pooled
    frame_stack: PositiveInt  # frames in an observation
    sticky_probability: Probability  # that the emulator repeats the previous action, per frame
    noop_max: Annotated[int, Field(ge=1)]  # a game starts after 0 to noop_max - 1 random no-ops
    resize: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]  # height, width
    crop_rows: Annotated[list[int], Field(min_length=2, max_length=2)]  # first, last + 1 row kept
    max_pool: PositiveInt  # side of the square that one pixel of the observation summarises
    black_level: Annotated[int, Field(ge=0, le=254)]  # grey level shown as 0, darker ones too
    episode: Literal["game", "life", "rally"]  # what ends an episode; only "game" resets the game
    episode_limit_steps: PositiveInt  # longer episodes are truncated, and the game reset


class NetworkSection(Section):
    """The Q-network.

    Attributes:
        precision: of the factors of products; weights, gradients and sums are float32 always.
            "tf32" lets a GPU round them to 10 bits, and is float32 elsewhere; "bf16" rounds them to
            7 bits everywhere, for convolutional networks.
    """

    kind: Literal["mlp", "mnih2013", "mnih2015", "small"]
    hidden: Annotated[list[PositiveInt], Field(min_length=1)]  # widths of the hidden linear layers
    init: Literal["fan_in", "he"]
    # Left out where it is float32: what was stored before there was a choice says the same. A
    # function in Python may be interrupted, and pydantic would make a ValueError of that.
    precision: Annotated[Precision, Field(exclude_if="float32".__eq__)] = "float32"


class ExplorationSection(Section):
    """Epsilon-greedy exploration, linear in agent steps after the warm-up."""

    initial: Probability
    final: Probability
    decay_steps: PositiveInt


class ReplaySection(Section):
    """The replay memory and how it is sampled."""

    capacity_rows: PositiveInt  # observations kept; an episode of n steps takes n + 1
    warmup_steps: PositiveInt  # uniformly random steps before the first update
    batch_size: PositiveInt


class TdSection(Section):
    """The regression target and its loss."""

    gamma: Annotated[float, Field(ge=0, le=1)]
    double: bool
    loss: Literal["huber", "mse"]
    clip_reward: bool  # in the learner only


class AdamSection(Section):
    """Adam (Kingma & Ba 2015) with betas 0.9 and 0.999."""

    kind: Literal["adam"]
    eps: PositiveFloat


class CentredRmsPropSection(Section):
    """RMSProp centred by the mean gradient, epsilon inside the root (Mnih et al. 2015)."""

    kind: Literal["centred_rmsprop"]
    decay: Probability  # of both running means
    min_squared_gradient: PositiveFloat  # added inside the root


class LearningRateSection(Section):
    """Learning rate as a function of updates, by torch's own schedulers."""

    schedule: Literal["constant", "linear", "exponential"]
    initial: PositiveFloat
    final: PositiveFloat
    decay_steps: PositiveInt  # agent steps from the first update until `final` is reached


class LoopSection(Section):
    """Time. Steps are agent steps, summed over the environments."""

    num_envs: PositiveInt
    total_steps: PositiveInt
    segment_steps: PositiveInt  # environments and streams are made anew this often
    block_steps: PositiveInt  # acting weights are frozen for a block
    train_period_steps: PositiveInt  # one update per so many steps
    sync_period_updates: PositiveInt  # target network copied every so many updates
    overlap: bool  # learn from the replay, act with the weights, as at the start of the block
    window_steps: PositiveInt  # grid of the stored learning curve


class EvaluationSection(Section):
    """Episodes of evaluation, in environments and with a stream of their own."""

    period_steps: PositiveInt
    episodes: PositiveInt  # per evaluation
    num_envs: PositiveInt  # in lockstep; each plays an equal share of the episodes
    epsilon: Probability
    rolling_episodes: PositiveInt  # the evaluation return is the mean of the last so many


class Recipe(Section):
    """Everything that defines a run but the seed and the device."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
    metric: str  # what an episode return is here, with its range
    env: Annotated[GymnasiumEnv | AtariEnv, Field(discriminator="kind")]
    network: NetworkSection
    exploration: ExplorationSection
    replay: ReplaySection
    td: TdSection
    optimizer: Annotated[AdamSection | CentredRmsPropSection, Field(discriminator="kind")]
    learning_rate: LearningRateSection
    gradient_clip_value: PositiveFloat | Literal["none"]
    loop: LoopSection
    evaluation: EvaluationSection

    @model_validator(mode="after")
    def _sections_fit_together(self) -> Self:
        loop, replay = self.loop, self.replay
        multiples = [
            ("loop.block_steps", loop.block_steps, "loop.num_envs", loop.num_envs),
            ("loop.block_steps", loop.block_steps, "loop.train_period_steps",
             loop.train_period_steps),
            ("loop.window_steps", loop.window_steps, "loop.block_steps", loop.block_steps),
            ("loop.segment_steps", loop.segment_steps, "loop.window_steps", loop.window_steps),
            ("loop.total_steps", loop.total_steps, "loop.segment_steps", loop.segment_steps),
            ("evaluation.period_steps", self.evaluation.period_steps, "loop.block_steps",
             loop.block_steps),
            ("evaluation.episodes", self.evaluation.episodes, "evaluation.num_envs",
             self.evaluation.num_envs),
        ]  # fmt: skip
        problems = [
            f"{name}: expected a multiple of {of} = {divisor}, got {value}"
            for name, value, of, divisor in multiples
            if value % divisor
        ]
        if replay.warmup_steps < replay.batch_size:
            problems.append(
                f"replay.warmup_steps: expected at least replay.batch_size = "
                f"{replay.batch_size}, got {replay.warmup_steps}"
            )
        needed = self.frame_stack + max(2, loop.block_steps // loop.num_envs)
        if replay.capacity_rows // loop.num_envs < needed:
            problems.append(
                f"replay.capacity_rows: expected at least {needed} rows for each of the "
                f"{loop.num_envs} environments (a stack and a block), got {replay.capacity_rows} "
                "in all"
            )
        if self.network.kind == "mlp" and (self.env.kind == "atari" or self.frame_stack > 1):
            problems.append("network.kind: frames need a convolutional network, got 'mlp'")
        if self.network.kind == "mlp" and self.network.precision == "bf16":
            problems.append(
                "network.precision: expected 'float32' or 'tf32' for a perceptron, got 'bf16'"
            )
        if isinstance(self.env, AtariEnv):
            problems += _frame_problems(self.env)
        played = loop.total_steps // self.evaluation.period_steps * self.evaluation.episodes
        if played < self.evaluation.rolling_episodes:
            problems.append(
                f"evaluation.rolling_episodes: expected at most {played}, the number of evaluation "
                f"episodes of the whole run, got {self.evaluation.rolling_episodes}"
            )
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def frame_stack(self) -> int:
        """Frames in an observation; 1 for vectors."""
        return self.env.frame_stack

    @property
    def updates_per_block(self) -> int:
        """Gradient steps after (or, with overlap, during) each block."""
        return self.loop.block_steps // self.loop.train_period_steps

    def digest(self) -> str:
        """sha256 of the canonical form: equal if and only if all values are."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()


def _frame_problems(env: AtariEnv) -> list[str]:
    height, width = env.resize
    top, bottom = env.crop_rows
    problems = []
    if not 0 <= top < bottom <= height:
        problems.append(
            f"env.crop_rows: expected 0 <= first < last + 1 <= {height} (height of env.resize), "
            f"got {env.crop_rows}"
        )
    elif (bottom - top) % env.max_pool or width % env.max_pool:
        problems.append(
            f"env.max_pool: expected a divisor of the cropped frame {bottom - top} x {width}, "
            f"got {env.max_pool}"
        )
    return problems
