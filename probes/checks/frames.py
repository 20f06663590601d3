"""What an agent is given of a step of an Atari game: which frames, pixels and rewards."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from probes.checks.check import Check, Component
from probes.checks.support.testbed import Testbed
from probes.outcome import Outcome
from probes.properties.observations import lie_in_space
from probes.subject import Env
from probes.worlds.mock_emulator import MEANINGS, NOOP, Emulator, Plane, levels, lit, planes
from probes.worlds.stamped_env import Ledger, StampedEnv

SKIP: Final = 4  # raw frames of an agent step; what nearly all published results were made with
STEPS: Final = 8  # of the agent, enough to fill a stack twice
# Blue is the dimmest of the colours, and ITU-R BT.709 the standard that gives it least: 18 of 255
# levels. A quarter of that is left to rounding.
DIMMEST: Final = 0.75 * 0.0722 * 255


def game(testbed: Testbed, **known: Any) -> tuple[Emulator, Env]:
    """A mock game, with fields of `Emulator`, and what the subject makes of it."""
    # The subject is asked for its wrappers alone; it never plays this environment.
    trial = testbed.trial(lambda number: StampedEnv(number, "vector", Ledger()))
    emulator = Emulator(**known)
    return emulator, trial.subject.preprocess(emulator)


def num_actions(env: Env) -> int:
    """Actions that the agent may take."""
    return int(env.action_space.n)  # type: ignore[attr-defined]  # discrete


def last_action(env: Env) -> int:
    """The agent's action for the game's last one, LEFT; it may lack others, or have more."""
    return min(num_actions(env), len(MEANINGS)) - 1


def skips_four_frames(testbed: Testbed) -> Outcome:
    """Counts raw frames between steps."""
    emulator, env = game(testbed)
    env.reset(seed=testbed.seed)
    counted = []
    for _ in range(STEPS):
        before = emulator.frame
        env.step(NOOP)
        counted.append(emulator.frame - before)
    return Outcome(
        holds=counted == [SKIP] * STEPS,
        expected=f"{SKIP} raw frames for each agent step",
        actual=listed(counted),
        compared=STEPS,
    )


def shows_both_of_two_frames(testbed: Testbed) -> Outcome:
    """Looks for what was on the screen in the last raw frame alone, and in the one before alone."""
    emulator, env = game(testbed)
    env.reset(seed=testbed.seed)
    found = []
    for _ in range(STEPS):
        shown = planes(env.step(NOOP)[0])
        ages = [[emulator.age(stripe) for stripe in lit(plane)] for plane in shown]
        newest = next((of_plane for of_plane in ages if 0 in of_plane), [])
        found += [0 in newest, 1 in newest]
    last, before = sum(found[::2]), sum(found[1::2])
    return Outcome(
        holds=all(found),
        expected=f"the last raw frame and the one before visible in {STEPS} of {STEPS} steps",
        actual=f"the last one in {last}, the one before in {before}",
        compared=len(found),
    )


def sees_colours(testbed: Testbed) -> Outcome:
    """Shows pure red, green and blue on black."""
    card = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]])
    black, *colours, white = _shown(card, testbed)
    visible = [level - black >= DIMMEST for level in colours]
    red, green, blue = (f"{level - black:.0f}" for level in colours)
    return Outcome(
        holds=all(visible) and white >= max(colours),
        expected=f"red, green and blue at least {DIMMEST:.0f} levels above black, none above white",
        actual=f"red {red}, green {green}, blue {blue}, white {white - black:.0f}",
        compared=len(colours) + 1,
    )


def keeps_order_of_levels(testbed: Testbed) -> Outcome:
    """Shows greys from black to white."""
    greys = np.linspace(0, 255, 16).round()
    seen = _shown(np.repeat(greys[:, None], 3, axis=1), testbed)
    rises = np.diff(seen)
    worst = int(np.argmin(rises))
    span = seen[-1] - seen[0]
    pairs = zip(greys[worst : worst + 2], seen[worst : worst + 2], strict=True)
    falls = listed([f"grey {grey:.0f} as {level:.0f}" for grey, level in pairs])
    return Outcome(
        holds=bool((rises >= 0).all()) and span >= 128,
        expected="brighter greys never shown darker, white at least 128 levels above black",
        actual=falls if rises[worst] < 0 else f"white {span:.0f} levels above black",
        compared=len(seen),
    )


def rewards_add_up(pays: Sequence[float], testbed: Testbed) -> Outcome:
    """Compares the rewards of steps with the sums of what their raw frames paid.

    Sums may be clipped to -1 and 1, but then all of them.
    """
    emulator, env = game(testbed, pays=tuple(pays))
    env.reset(seed=testbed.seed)
    given, sums = [], []
    for _ in range(len(pays) // 4):
        before = len(emulator.paid)
        given.append(float(env.step(last_action(env))[1]))
        sums.append(sum(emulator.paid[before:]))
    clipped = np.clip(sums, -1, 1).tolist()
    return Outcome(
        holds=any(sums) and given in (sums, clipped),
        expected=f"{listed(sums)}, or {listed(clipped)} if clipped",
        actual=listed(given),
        compared=len(given),
    )


def leaves_old_observations_alone(testbed: Testbed) -> Outcome:
    """Keeps observations while playing on, and compares them with copies made at once."""
    _, env = game(testbed)
    kept = [env.reset(seed=testbed.seed)[0]]
    copies = [planes(kept[0]).copy()]
    for _ in range(STEPS):
        kept.append(env.step(NOOP)[0])
        copies.append(planes(kept[-1]).copy())
    pairs = zip(kept, copies, strict=True)
    changed = sum(not np.array_equal(planes(obs), copy) for obs, copy in pairs)
    return Outcome(
        holds=not changed,
        expected=f"{len(kept)} observations as they were when they were returned",
        actual=f"{changed} changed later",
        compared=len(kept),
    )


def shows_what_its_space_holds(testbed: Testbed) -> Outcome:
    """Holds the first observation and some others against the space that is declared for them."""
    _, env = game(testbed)
    shown = [env.reset(seed=testbed.seed)[0]]
    shown += [env.step(NOOP)[0] for _ in range(STEPS)]
    return lie_in_space(shown, env.observation_space)


def _shown(card: Plane, testbed: Testbed) -> Plane:
    """Levels at which the colours [n, 3] of a card are shown, [n]."""
    _, env = game(testbed, card=card)
    obs, _ = env.reset(seed=testbed.seed)
    for _ in range(STEPS):  # until the stack is full
        obs = env.step(NOOP)[0]
    return levels(planes(obs)[-1], len(card))


def listed(values: Sequence[object]) -> str:
    """Values with commas between them."""
    return ", ".join(map(str, values))


CHECKS: Final = (
    Check(
        code="frames.skip",
        component=Component.FRAMES,
        needs=("preprocess",),
        what="An agent step lasts four raw frames.",
        why="Where emulator and wrapper both skip, a step lasts sixteen: the agent reacts too late "
        "and looks as if it could not learn. Other numbers make scores incomparable.",
        causes=(
            "the emulator skips, and a wrapper skips again",
            "no wrapper skips",
            "another skip than the published four was chosen on purpose",
        ),
        seen=("https://github.com/higgsfield/RL-Adventure/issues/12",),
        experiment="print the emulator's frame number after each step",
        run=skips_four_frames,
    ),
    Check(
        code="frames.two-frame-maximum",
        component=Component.FRAMES,
        needs=("preprocess",),
        what="What is drawn in every other raw frame only is seen in every step.",
        why="The console draws many objects in turns. After an even skip they are always there or "
        "never: shots and enemies become invisible.",
        causes=(
            "the skip is left to the emulator, which shows its last frame alone",
            "the maximum is over two agent steps, not over two raw frames",
            "one of the two frames is a reference to the other",
        ),
        seen=("https://github.com/andnp/rl-control-template/pull/20",),
        experiment="view two steps in a row of a game that flickers, such as Space Invaders",
        run=shows_both_of_two_frames,
    ),
    Check(
        code="frames.luminance",
        component=Component.FRAMES,
        needs=("preprocess",),
        what="Pure red, green and blue are all shown distinct from black.",
        why="A wrong coefficient makes objects of one colour vanish into the background.",
        causes=(
            "a coefficient of the conversion to grey is wrong or zero",
            "one colour channel is taken for grey",
            "coefficients are applied to channels in another order, or cut to integers",
        ),
        seen=("https://openai.com/index/openai-baselines-dqn/",),
        experiment="view a frame of Seaquest as the agent is shown it, and look for the fish",
        run=sees_colours,
    ),
    Check(
        code="frames.order-of-grey-levels",
        component=Component.FRAMES,
        needs=("preprocess",),
        what="A brighter grey is never shown darker, and black and white stay far apart.",
        why="Bytes wrap around: subtracting a background makes dark pixels bright, rounding up "
        "makes white ones black.",
        causes=(
            "arithmetic on bytes that wraps below 0 or above 255",
            "scaled to [0, 1] and stored as bytes",
            "converted from floats of another range",
        ),
        seen=(),
        experiment="print smallest and largest pixel before and after each wrapper",
        run=keeps_order_of_levels,
    ),
    Check(
        code="frames.reward-summed-over-skip",
        component=Component.FRAMES,
        needs=("preprocess",),
        what="The reward of a step is the sum of what its raw frames paid.",
        why="With the last frame's reward alone most points are never seen, by the learner or in "
        "the score.",
        causes=(
            "the skip returns the reward of its last frame",
            "the skip ends early, or begins late",
            "the reward of frames spent on a reset or on FIRE is counted",
        ),
        seen=("https://github.com/Farama-Foundation/Arcade-Learning-Environment/issues/18",),
        experiment="sum the emulator's rewards over one step by hand",
        run=partial(rewards_add_up, (1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1)),
    ),
    Check(
        code="frames.clipped-after-the-sum",
        component=Component.FRAMES,
        needs=("preprocess",),
        what="If rewards are clipped, then the sums of steps are, not what each raw frame paid.",
        why="Clipped frame by frame, a large gain and a small loss in one step cancel, and two "
        "rewards in one step count twice.",
        causes=("the wrapper that clips is inside the one that skips",),
        seen=(),
        experiment="move the clipping wrapper to the outside",
        run=partial(rewards_add_up, (5, -1, 0, 0, -5, 1, 0, 0, 0, 0, 1, 1, 3, -1, -1, 0)),
    ),
    Check(
        code="frames.observations-in-their-space",
        component=Component.FRAMES,
        needs=("preprocess",),
        what="What is shown to the agent has the shape, the type and the range that are declared.",
        why="Memory and network are made for the declared space: bytes for floats are cut to 0 "
        "and 1, floats for bytes take four times the memory, another shape is broadcast.",
        causes=(
            "a wrapper changes the observation and not the space",
            "frames are scaled to [0, 1] while the space says 0 to 255",
        ),
        seen=("https://github.com/thu-ml/tianshou/issues/440",),
        experiment="assert env.observation_space.contains(obs)",
        run=shows_what_its_space_holds,
    ),
    Check(
        code="frames.shared-memory",
        component=Component.FRAMES,
        needs=("preprocess",),
        what="An observation stays as it was when it was returned.",
        why="Where one buffer is handed out again and again, all frames of a stack and all stored "
        "observations become the newest one.",
        causes=(
            "the wrapper returns its own buffer instead of a copy",
            "a vector environment returns a view of shared memory",
            "a stack keeps references to frames that are drawn over",
        ),
        seen=("https://github.com/thu-ml/tianshou/issues/1272",),
        experiment="append a copy of the observation to the stack and to the replay memory",
        run=leaves_old_observations_alone,
    ),
)
