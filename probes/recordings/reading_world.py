"""The world in which a script is read: nothing to be learned, and every kind of row in it."""

from __future__ import annotations

from typing import Any, Final

NUM_STATES: Final = 4
COLUMNS: Final = 6
# Of columns 0 and 1 in each state, which the others repeat. One is beyond the knee of Huber's loss
# as it is used, and beyond the usual clipping; most are small, as rows beyond it say nothing else.
# Their mean is below zero, so that values that cannot be are seen.
REWARDS: Final = ((1.0, -0.5), (-1.0, 0.5), (-0.25, -1.0), (0.5, -3.0))
# Long enough for scripts that count episodes, and for transitions of several steps; an odd number,
# so that each length occurs with both kinds of end.
LENGTHS: Final = (20, 23, 27, 21, 25)


# Of games: long enough for a life to be some steps, and no multiple of the usual four frames.
LIVES: Final = 3
LIFE_FRAMES: Final = (82, 95, 109, 87, 101)
LIMIT_FRAMES: Final = 242  # of every other game: it is cut within its last life
FRAMES_OF_A_STEP: Final = 4
# Of each frame by turns; a prime number of them, so that they meet all steps of four. Mostly
# nothing, and such that sums of clipped ones, clipped sums and signs all differ.
FRAME_REWARDS: Final = {3: 0.5, 4: 0.25, 11: -0.5, 19: 1.0, 20: 2.0, 21: -1.5, 30: 0.25, 43: -2.0,
                        44: 0.5, 52: -0.25, 61: 0.75, 62: 0.75}  # fmt: skip
REWARD_PERIOD: Final = 67


def reading_screens() -> dict[str, Any]:
    """The game in which a script is read, see `probes.observer.games.Emulator`."""
    return {
        "lives": LIVES,
        "lengths": list(LIFE_FRAMES),
        "limit": LIMIT_FRAMES,
        "rewards": [FRAME_REWARDS.get(frame, 0.0) for frame in range(REWARD_PERIOD)],
        "frames_of_a_step": FRAMES_OF_A_STEP,
    }


def reading_world() -> dict[str, Any]:
    """As the observer is given it, see `probes.observer.worlds.World`."""
    columns, states = range(COLUMNS), range(NUM_STATES)
    nothing = [[0.0 for _ in columns] for _ in states]
    never = [[False for _ in columns] for _ in states]
    return {
        "next_state": [[(2 * s + c + 1) % NUM_STATES for c in columns] for s in states],
        "reward": [[REWARDS[s][c % 2] for c in columns] for s in states],
        "noise": nothing,
        "terminated": never,
        "truncated": never,
        "starts": list(states),
        "lengths": list(LENGTHS),
    }
