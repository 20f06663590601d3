"""What the replay memory gives out is what happened: traced transition by transition."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from probes.checks.check import Check, Component
from probes.checks.support.replay_audit import (
    CAPACITY,
    AuditTally,
    audit,
    looked_into,
    stamped_trial,
)
from probes.checks.support.settling import settle
from probes.checks.support.testbed import Testbed
from probes.checks.support.variants import as_learned, require_plain
from probes.checks.worlds import REUSED_ARRAY
from probes.outcome import Outcome
from probes.subject import Array, Misbehaviour
from probes.worlds.env import FRAME_SIDE, WorldEnv, observations
from probes.worlds.stamped_env import read_stamps
from probes.worlds.tables import REWARD_BY_OBS_AND_ACTION
from probes.worlds.world import STACK

# Rewards that only a float of 32 bits keeps apart: bytes lose signs, fractions or 256, and a float
# of 16 bits the last one.
HARD_REWARDS: Final = (-1.0, 0.5, 255.0, 256.0, -0.125, 0.0, 1000.25)
# Between one stack for each transition, a matter of taste, and two.
MOST_STACKS: Final = 1.4
GAMMA: Final = 0.5
MOST_STEPS: Final = 12_800


def transitions_are_real(num_envs: int, testbed: Testbed, *, reuses_array: bool = False) -> Outcome:
    """Traces what is sampled, all through a run, to the steps that were taken."""
    trial, ledger = stamped_trial(testbed, num_envs=num_envs, reuses_array=reuses_array)
    drawn = looked_into(trial)
    sampled = {stamp.env for stamp in read_stamps(drawn.obs)}
    if len(sampled) < num_envs:
        raise Misbehaviour(f"transitions of {num_envs} environments", f"those of {len(sampled)}")
    outcome = audit(ledger, drawn, testbed.traits, trial.settings.gamma)["transition"]
    return outcome.outcome("observation, action, reward, next observation and end of one step")


def frames_are_those_shown(testbed: Testbed) -> Outcome:
    """Compares sampled stacks, pixel by pixel, with those that the environment showed."""
    require_plain(testbed, "n_step")
    trial, ledger = stamped_trial(testbed, "frames", total_steps=160)
    drawn = looked_into(trial, every=3)
    tally = AuditTally()
    for obs, next_obs, terminated in zip(
        drawn.obs, drawn.next_obs, drawn.terminated.astype(bool), strict=True
    ):
        (here,) = read_stamps(obs[None])
        for name, stamp, stack in (("obs", here, obs), ("next_obs", here.following, next_obs)):
            if name == "next_obs" and terminated:
                continue  # its value is never used
            shown = ledger.shown.get(stamp)
            whole = shown is not None and np.array_equal(stack, shown)
            tally.note("as shown", "as shown" if whole else _origin(stack), f"{name} of {here}")
    return tally.outcome("the very stacks that the environment showed")


def _origin(stack: Array) -> str:
    """Where the frames of a stack come from."""
    steps = (f"{stamp.episode}/{stamp.age}" for stamp in read_stamps(stack[:, None]))
    return f"of episodes/steps {', '.join(steps)}"


def values_survive(testbed: Testbed) -> Outcome:
    """Compares sampled rewards and observations, bit by bit, with those given."""
    require_plain(testbed, "n_step", "reward_clip", "reward_sign", "reward_scale")
    trial, ledger = stamped_trial(
        testbed, reward=lambda s: HARD_REWARDS[(s.age + 3 * s.episode) % len(HARD_REWARDS)]
    )
    drawn = looked_into(trial, every=4)
    tally = AuditTally()
    for here, obs, reward in zip(read_stamps(drawn.obs), drawn.obs, drawn.reward, strict=True):
        if here in ledger.taken:  # else it never happened, which other checks report
            tally.note(ledger.taken[here].reward, float(reward), f"reward of {here}")
            tally.note(ledger.shown[here].tolist(), obs.tolist(), f"obs of {here}")
    return tally.outcome("rewards and observations exactly as given")


def environments_learned_apart(testbed: Testbed) -> Outcome:
    """Trains in two environments, each showing one state, whose rewards are opposite."""
    world = REWARD_BY_OBS_AND_ACTION
    halves = [replace(world, starts=(state,)) for state in world.starts]
    trial = testbed.trial(
        lambda number: WorldEnv(halves[number % 2], "vector"),
        gamma=GAMMA, num_envs=2, total_steps=2 * MOST_STEPS, learning_rate=2e-3,
    )  # fmt: skip
    learner = as_learned(world, testbed.traits)
    solved, tolerance = learner.solve(GAMMA), learner.tolerance(GAMMA)
    shown = observations(world, "vector")
    settled = settle(trial, shown, solved, tolerance=tolerance, first=400, most=MOST_STEPS)
    learned = settled.values
    state, action = np.unravel_index(np.argmax(np.abs(learned - solved)), solved.shape)
    return Outcome(
        holds=settled.holds(solved, tolerance),
        expected=f"Q(environment {state}, a{action}) = {solved[state, action]:.3f} ± {tolerance}",
        actual=f"{learned[state, action]:.3f}",
        compared=learned.size,
    )


def memory_per_transition(testbed: Testbed) -> Outcome:
    """Fills a memory with frames, and asks how much it holds."""
    steps = CAPACITY * 3 // 2
    trial, _ = stamped_trial(testbed, "frames", total_steps=steps)
    trial.train(steps)
    frames = trial.subject.replay_bytes() / CAPACITY / FRAME_SIDE**2
    most = MOST_STACKS * STACK
    return Outcome(
        holds=bool(0 < frames <= most),
        expected=f"bytes of at most {most:.1f} frames for each transition; 1 is enough",
        actual=f"{frames:.1f} frames",
        compared=1,
    )


CHECKS: Final = (
    Check(
        code="replay.transitions-are-real",
        component=Component.REPLAY,
        needs=("sample",),
        what="Every sampled transition is one step that was taken: observation, action, reward, "
        "next observation and end belong together.",
        why="The learner learns whatever the memory returns. With a column that lags, or a row "
        "that is half overwritten, it regresses on transitions that never happened.",
        causes=(
            "a column of the memory is shifted, or written to another row than the rest",
            "transitions are sampled across the write head of the ring",
            "an index array is changed in place between two columns",
            "rewards are clipped or scaled on their way",
        ),
        seen=(
            "https://github.com/DLR-RM/stable-baselines3/issues/1853",
            "https://github.com/tensorforce/tensorforce/pull/142",
            "https://github.com/thu-ml/tianshou/issues/82",
            "https://github.com/google/dopamine/commit/2aa6fb9",
            "https://github.com/will-maclean/sb3-burn/issues/3",
        ),
        experiment="add ten transitions to a memory of four rows, sample all and print them",
        variants=("reward_clip",),
        run=partial(transitions_are_real, 1),
    ),
    Check(
        code="replay.copies-what-it-is-shown",
        needs=("sample",),
        what="Transitions stay what they were, where the environment shows all of its observations "
        "in one array.",
        experiment="store obs.copy(); compare obs with next_obs in a sampled batch",
        run=partial(transitions_are_real, 1, reuses_array=True),
        **REUSED_ARRAY,
    ),
    Check(
        code="replay.environments-stay-apart",
        component=Component.REPLAY,
        needs=("sample",),
        what="With three environments every sampled transition is a step of one of them, and all "
        "three are sampled.",
        why="Mixed environments give observations other actions, rewards and successors than "
        "their own; with one environment nothing of it shows.",
        causes=(
            "an axis of environments is reshaped in the wrong order for one column",
            "actions or rewards are rolled by one environment",
            "only the first environment is stored",
        ),
        seen=("https://github.com/chainer/chainerrl/pull/442",),
        experiment="replay.transitions-are-real green and this red: print one step of all "
        "environments, and the rows that it became",
        run=partial(transitions_are_real, 3),
    ),
    Check(
        code="replay.environments-learned-apart",
        component=Component.REPLAY,
        what="Two environments with opposite rewards are both learned.",
        why="Where columns of environments are mixed, opposite rewards cancel, and values drift "
        "to their average.",
        causes=(
            "actions or rewards of one environment are stored with observations of another",
            "the batch of observations of all environments is passed on in another order",
        ),
        seen=("https://github.com/chainer/chainerrl/pull/442",),
        experiment="train the same with one environment; values near 0 mean mixed rows",
        variants=("reward_clip",),
        run=environments_learned_apart,
    ),
    Check(
        code="replay.frames-are-those-shown",
        component=Component.REPLAY,
        needs=("sample",),
        what="Sampled stacks of frames equal, pixel by pixel, those that the environment showed.",
        why="A memory that keeps frames once builds its stacks anew. Where they hold frames of two "
        "episodes, or of the row just overwritten, the network learns from what it never sees "
        "when it acts.",
        causes=(
            "stacks reach back beyond the start of the episode",
            "the oldest stacks are half overwritten",
            "frames are newest first in the memory and newest last when acting",
            "every skipped frame is pushed to the stack",
        ),
        seen=(
            "https://github.com/google/dopamine/issues/213",
            "https://github.com/keras-rl/keras-rl/pull/138",
            "https://github.com/Kaixhin/Rainbow/issues/7",
            "https://github.com/rlcode/reinforcement-learning/pull/128",
        ),
        experiment="print which episode and step each frame of the stack comes from",
        run=frames_are_those_shown,
        shows_frames=True,
    ),
    Check(
        code="replay.values-survive",
        component=Component.REPLAY,
        needs=("sample",),
        what="Rewards and observations come back exactly as they were given.",
        why="A column of bytes has no sign and no fractions, and one of 16-bit floats rounds; "
        "small tasks with rewards of 0 and 1 never show it.",
        causes=(
            "rewards are stored as integers or bytes",
            "observations are stored in a smaller type, or scaled in place",
            "rewards are clipped or scaled on their way",
        ),
        seen=(
            "https://github.com/thu-ml/tianshou/issues/65",
            "https://github.com/chandar-lab/RLHive/pull/86",
        ),
        experiment="print the dtype of every column",
        variants=("reward_clip",),
        run=values_survive,
    ),
    Check(
        code="replay.memory-per-transition",
        component=Component.REPLAY,
        needs=("replay_bytes",),
        what="The memory holds at most one stack of frames for each transition, with some room.",
        why="A million transitions of Atari take 7 GB as frames, 28 GB as stacks, and 56 GB as "
        "stacks of observation and next observation.",
        causes=(
            "observation and next observation are both stored as whole stacks",
            "frames are stored as 32-bit floats",
        ),
        seen=(
            "https://github.com/DLR-RM/stable-baselines3/blob/master/stable_baselines3/common/buffers.py",
        ),
        experiment="divide the size of the array of observations by capacity and frame size",
        run=memory_per_transition,
        shows_frames=True,
    ),
)
