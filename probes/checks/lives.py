"""Starts and ends of Atari games, and what becomes of actions."""

from __future__ import annotations

from typing import Final

from probes.checks.check import Check, Component
from probes.checks.frames import game, last_action, listed, num_actions
from probes.checks.support.testbed import Testbed
from probes.outcome import Outcome
from probes.worlds.mock_emulator import MEANINGS, NOOP

STARTS: Final = 12  # games; that all start alike by chance has a probability below 8**-11
HOLD: Final = (
    3  # steps for which an action is held; sticky emulators let go of the last one by then
)
PATIENCE: Final = 60  # agent steps within which a life is lost where LEFT may be pressed
LIMIT_FRAMES: Final = 80
NOOP_FRAMES: Final = 48  # what a game may start with: 30 no-ops, and some actions to begin


def starts_vary(testbed: Testbed) -> Outcome:
    """Counts the raw frames with which games begin; seeds are given to the first alone."""
    frames = _start_frames(testbed, testbed.seed)[1]
    return Outcome(
        holds=len(set(frames)) > 1,
        expected=f"{STARTS} games that do not all start alike",
        actual=f"raw frames before the first step: {listed(frames)}",
        compared=len(frames),
    )


def seed_reaches_the_emulator(testbed: Testbed) -> Outcome:
    """Begins with a seed, with the same one, and with another."""
    first, again, other = (
        _start_frames(testbed, seed) for seed in (testbed.seed, testbed.seed, testbed.seed + 1)
    )
    (given, frames), (given_again, frames_again), (given_other, _) = first, again, other
    if given is None:
        actual = "the emulator was given no seed"
    elif given != given_again:
        actual = f"the same seed reached the emulator as {given} and as {given_again}"
    elif given == given_other:
        actual = f"two seeds reached the emulator as {given}"
    else:
        actual = f"games started after {listed(frames)} and {listed(frames_again)} raw frames"
    return Outcome(
        holds=given is not None
        and given == given_again
        and given != given_other
        and frames == frames_again,
        expected="equal seeds to give equal games, and others to give others",
        actual=actual,
        compared=3 + len(frames),
    )


def actions_reach_the_game(testbed: Testbed) -> Outcome:
    """Holds each action for some steps, and notes what the emulator is given at the end."""
    emulator, env = game(testbed)
    env.reset(seed=testbed.seed)
    arrived: list[set[int]] = []
    for action in range(num_actions(env)):
        for _ in range(HOLD - 1):
            env.step(action)
        before = len(emulator.pressed)
        env.step(action)
        arrived.append(set(emulator.pressed[before:]))
    as_meant = all(len(pressed) == 1 for pressed in arrived)
    different = {pressed for held in arrived for pressed in held}
    return Outcome(
        holds=as_meant and len(different) == len(arrived),
        expected=f"{len(arrived)} actions that do {len(arrived)} things",
        actual=f"they press {listed([MEANINGS[pressed] for pressed in sorted(different)])}"
        + ("" if as_meant else ", mixed within a step"),
        compared=len(arrived),
    )


def can_start_a_game(testbed: Testbed) -> Outcome:
    """Plays a game that waits for FIRE in each life, taking all actions in turns."""
    lives = 2
    emulator, env = game(testbed, lives=lives, life_frames=4, waits_for_fire=True)
    env.reset(seed=testbed.seed)
    for step in range(PATIENCE * lives):
        *_, terminated, truncated, _ = env.step(step % num_actions(env))
        if emulator.losses == lives:
            break
        if terminated or truncated:
            env.reset()
    return Outcome(
        holds=emulator.losses >= lives,
        expected=f"{lives} lives started with FIRE, by the agent or for it, and lost",
        actual=f"{emulator.losses} in {PATIENCE * lives} steps",
        compared=lives,
    )


def lost_life_goes_on(testbed: Testbed) -> Outcome:
    """Loses the lives of a game one after the other, and counts the games."""
    lives = 3
    emulator, env = game(testbed, lives=lives, life_frames=12)
    env.reset(seed=testbed.seed)
    games: list[int] = []
    last = "never reached"
    for _ in range(PATIENCE * lives):
        *_, terminated, truncated, _ = env.step(last_action(env))
        if terminated or truncated:
            env.reset()
        if emulator.losses > len(games):
            games.append(emulator.games)
        if len(games) == lives:
            last = "terminated" if terminated and not truncated else "not terminated"
            break
    expected = [1] * (lives - 1) + [2]
    return Outcome(
        holds=games == expected and last == "terminated",
        expected=f"after {lives} lost lives game {listed(expected)}; the last loss terminated",
        actual=f"game {listed(games)}; the last loss {last}",
        compared=lives + 1,
    )


def limit_truncates(testbed: Testbed) -> Outcome:
    """Plays a game that is to be cut after some raw frames, and goes on to the next."""
    emulator, env = game(testbed, limit_frames=LIMIT_FRAMES)
    env.reset(seed=testbed.seed)
    end = "no end"
    frames = len(emulator.pressed)
    while frames < LIMIT_FRAMES + NOOP_FRAMES and end == "no end":
        *_, terminated, truncated, _ = env.step(NOOP)
        frames = len(emulator.pressed)
        if terminated or truncated:
            end = "terminated" if terminated else "truncated"
            env.reset()
    return Outcome(
        holds=end == "truncated" and emulator.games == 2,
        expected=f"truncated after about {LIMIT_FRAMES} raw frames, and a second game",
        actual=f"{end} after {frames}, {emulator.games} games",
        compared=1,
    )


def _start_frames(testbed: Testbed, seed: int) -> tuple[int | None, list[int]]:
    """The seed that reached the emulator, and the frames with which some games began."""
    emulator, env = game(testbed, life_frames=4)
    env.reset(seed=seed)
    frames = [emulator.frame]
    for _ in range(PATIENCE * STARTS):
        *_, terminated, truncated, _ = env.step(last_action(env))
        if terminated or truncated:
            env.reset()
            frames.append(emulator.frame)
            if len(frames) == STARTS:
                break
    return emulator.seeds[0], frames


CHECKS: Final = (
    Check(
        code="frames.no-op-start",
        component=Component.FRAMES,
        needs=("preprocess",),
        what="Games begin after a number of no-ops that differs from game to game.",
        why="Where all games begin alike, and the emulator is deterministic, one sequence of "
        "actions can be learned by heart and scores mean little.",
        causes=(
            "no no-ops at the start of a game",
            "their number is drawn from a generator that is seeded again at each reset",
            "the number is drawn once",
        ),
        seen=("https://github.com/openai/baselines/commit/d9f194f",),
        experiment="print the emulator's frame number after each reset",
        run=starts_vary,
    ),
    Check(
        code="frames.seed-reaches-the-emulator",
        component=Component.SEEDING,
        needs=("preprocess",),
        what="A seed given to the outermost environment decides how its games go.",
        why="A run that draws from an unseeded emulator cannot be repeated, and a comparison of "
        "seeds compares something else.",
        causes=(
            "a wrapper's reset drops its keyword arguments",
            "no-ops are drawn from a generator of their own",
            "one seed is used for all",
        ),
        seen=("https://github.com/thu-ml/tianshou/issues/861",),
        experiment="print the seed in each wrapper's reset",
        run=seed_reaches_the_emulator,
    ),
    Check(
        code="frames.actions-reach-the-game",
        component=Component.FRAMES,
        needs=("preprocess",),
        what="Each action presses something of its own, in every raw frame of a step.",
        why="With actions that do nothing the task is harder than the published one; with a wrong "
        "table of actions the agent presses what it did not choose.",
        causes=(
            "all eighteen actions of the console instead of those of the game",
            "the action is repeated for some of the skipped frames only",
            "a table from the agent's actions to the game's is wrong",
        ),
        seen=("https://github.com/dennybritz/reinforcement-learning/issues/30",),
        experiment="print the names of the actions, and what the emulator is given",
        run=actions_reach_the_game,
    ),
    Check(
        code="frames.fire",
        component=Component.FRAMES,
        needs=("preprocess",),
        what="A game that waits for FIRE in each life gets it, from the agent or for it.",
        why="Otherwise episodes last until their limit without a single point.",
        causes=(
            "FIRE is not among the actions, and nothing presses it at the start",
            "it is pressed at the start of a game but not after a lost life",
        ),
        seen=(
            "https://github.com/Farama-Foundation/Gymnasium/issues/781",
            "https://github.com/HorizonRobotics/alf/pull/79",
            "https://github.com/rlcode/reinforcement-learning/pull/124",
        ),
        experiment="count the steps without a point or a lost life in an evaluation",
        run=can_start_a_game,
    ),
    Check(
        code="lives.loss-ends-no-game",
        component=Component.TERMINATION,
        needs=("preprocess",),
        what="After a lost life the same game goes on; the last one terminates it.",
        why="If a lost life resets the game, the agent never sees what comes after the first one, "
        "and its scores stop where that life ends.",
        causes=(
            "a reset after a lost life resets the emulator",
            "the end of the game is taken for a limit, or is not shown",
        ),
        seen=(
            "https://github.com/Farama-Foundation/Gymnasium/issues/166",
            "https://github.com/rlcode/reinforcement-learning/pull/128",
        ),
        experiment="print lives and the emulator's frame number after each reset",
        run=lost_life_goes_on,
    ),
    Check(
        code="lives.limit-truncates",
        component=Component.TERMINATION,
        needs=("preprocess",),
        what="A game that is cut by a limit of frames is truncated, not terminated.",
        why="Taken for the end of the task, a limit makes the last values wrong; without a limit "
        "one game can fill days, and break the emulator.",
        causes=(
            "terminated and truncated are joined into one flag by a wrapper",
            "a wrapper drops the limit, or goes on after it",
        ),
        seen=(
            "https://github.com/keras-rl/keras-rl/issues/298",
            "https://github.com/google/dopamine/commit/c443e88",
        ),
        experiment="print both flags in each wrapper's step at the limit",
        run=limit_truncates,
    ),
)
