"""Faults of evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

import numpy as np

from dqn_core.envs.envs import Array, Envs, Tick
from dqn_core.loop import Trainer
from dqn_core.recipes.schema import Recipe
from dqn_core.streams import Stream
from probes.checks.check import Component
from probes.faults.fault import Fault
from probes.subjects.core import CoreSubject, Parts


class WatchedEnvs:
    """Environments, seen through something that looks at each step.

    Args:
        envs: all but stepping is theirs.
        look: from what a step returned to what is shown of it.
    """

    def __init__(self, envs: Envs, look: Callable[[Tick], Tick]) -> None:
        self._envs = envs
        self._look = look

    def __getattr__(self, name: str) -> Any:
        return getattr(self._envs, name)

    def step(self, action: Array) -> Tick:
        """Takes a step, and returns what is to be seen of it."""
        return self._look(self._envs.step(action))


@contextmanager
def seen_through(trainer: Trainer, look: Callable[[Tick], Tick]) -> Iterator[None]:
    """For a while, environments that a trainer makes are looked at in each step."""
    make_envs = trainer.make_envs
    trainer.make_envs = lambda *given: cast("Envs", WatchedEnvs(make_envs(*given), look))
    yield
    trainer.make_envs = make_envs


class ClippedScore(CoreSubject):
    """Evaluation sums rewards that were clipped for the learner."""

    def evaluate(self, episodes: int) -> list[float]:

        def clipped(tick: Tick) -> Tick:
            return tick._replace(reward=np.clip(tick.reward, -1.0, 1.0))

        with seen_through(self.trainer, clipped):
            return super().evaluate(episodes)


class LimitedEpisodesDropped(CoreSubject):
    """Episodes that a time limit cuts are not counted."""

    def evaluate(self, episodes: int) -> list[float]:
        whole: list[bool] = []

        def note(tick: Tick) -> Tick:
            whole.extend(tick.terminated[tick.reported].tolist())
            return tick

        with seen_through(self.trainer, note):
            returns = super().evaluate(3 * episodes)
        return [total for total, kept in zip(returns, whole, strict=True) if kept][:episodes]


class EvaluationExplores(CoreSubject):
    """Evaluation acts at random half of the time, whatever was asked for."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        recipe = self.trainer.recipe
        section = recipe.evaluation.model_copy(update={"epsilon": 0.5})
        self.trainer.recipe = recipe.model_copy(update={"evaluation": section})


class OtherNetworkEvaluated(CoreSubject):
    """Evaluation plays the target network: not the present weights, but older ones."""

    def evaluate(self, episodes: int) -> list[float]:
        agent = self.trainer.agent
        online_net, agent.online_net = agent.online_net, agent.target_net
        returns = super().evaluate(episodes)
        agent.online_net = online_net
        return returns


class EvaluationLearns(CoreSubject):
    """Updates go on while an evaluation is played."""

    def evaluate(self, episodes: int) -> list[float]:
        self.update(self.sample(self.settings.batch_size))
        return super().evaluate(episodes)


class EnvironmentShared(Trainer):
    """Evaluation plays on in the environment of the training, and leaves it elsewhere."""

    def __init__(self, *args: Any, **parts: Any) -> None:
        super().__init__(*args, **parts)
        make_envs = self.make_envs
        made: dict[int, Envs] = {}

        def once(recipe: Recipe, num_envs: int, stream: Stream) -> Envs:
            if num_envs not in made:
                made[num_envs] = make_envs(recipe, num_envs, stream)
            return made[num_envs]

        self.make_envs = once


class SumsNotCleared(CoreSubject):
    """The sum of rewards is a member, and is not cleared where an evaluation begins."""

    _left = 0.0

    def evaluate(self, episodes: int) -> list[float]:
        first, *others = super().evaluate(episodes)
        returns = [first + self._left, *others]
        self._left = returns[-1]
        return returns


class LeftInEvaluationMode(CoreSubject):
    """The networks are put into evaluation mode, and never back."""

    def evaluate(self, episodes: int) -> list[float]:
        self.online_net.eval()
        return super().evaluate(episodes)


FAULTS: Final = (
    Fault(
        name="clipped-score",
        seen=(
            "https://github.com/keiohta/tf2rl/issues/31",
            "https://github.com/kengz/SLM-Lab/pull/263",
            "https://github.com/vwxyzjn/cleanrl/commit/02f36c4e",
        ),
        component=Component.EVALUATION,
        what="Evaluation sums rewards that were clipped for the learner.",
        parts=Parts(subject=ClippedScore),
        caught_by=("evaluation.returns-are-raw",),
    ),
    Fault(
        name="limited-episodes-dropped",
        seen=("https://github.com/huggingface/deep-rl-class/issues/37",),
        component=Component.EVALUATION,
        what="Episodes that a time limit cuts are not counted.",
        parts=Parts(subject=LimitedEpisodesDropped),
        caught_by=("evaluation.all-episodes-count",),
    ),
    Fault(
        name="evaluation-explores",
        seen=(
            "https://github.com/vwxyzjn/cleanrl/issues/430",
            "https://github.com/vwxyzjn/cleanrl/commit/a00e71b8",
        ),
        component=Component.EVALUATION,
        what="Evaluation acts at random half of the time, whatever was asked for.",
        parts=Parts(subject=EvaluationExplores),
        caught_by=("evaluation.acts-on-q-values",),
    ),
    Fault(
        name="other-network-evaluated",
        seen=("https://github.com/chainer/chainerrl/issues/559",),
        component=Component.EVALUATION,
        what="Evaluation plays the target network: not the present weights, but older ones.",
        parts=Parts(subject=OtherNetworkEvaluated),
        caught_by=("evaluation.acts-on-q-values",),
    ),
    Fault(
        name="evaluation-learns",
        seen=(),
        component=Component.EVALUATION,
        what="Updates go on while an evaluation is played.",
        parts=Parts(subject=EvaluationLearns),
        caught_by=("evaluation.leaves-training-alone",),
    ),
    Fault(
        name="environment-shared",
        seen=(),
        component=Component.EVALUATION,
        what="Evaluation plays on in the environment of the training, and leaves it elsewhere.",
        parts=Parts(trainer=EnvironmentShared),
        caught_by=("evaluation.leaves-training-alone",),
    ),
    Fault(
        name="sums-not-cleared",
        seen=(),
        component=Component.EVALUATION,
        what="The sum of rewards is not cleared where an evaluation begins.",
        parts=Parts(subject=SumsNotCleared),
        caught_by=("evaluation.twice-gives-whole-episodes",),
    ),
    Fault(
        name="left-in-evaluation-mode",
        seen=("https://github.com/huggingface/lerobot/issues/3668",),
        component=Component.EVALUATION,
        what="The networks are put into evaluation mode, and never back.",
        parts=Parts(subject=LeftInEvaluationMode),
        caught_by=("evaluation.restores-the-mode",),
    ),
)
