"""The world in which a script is read: nothing to be learned, and every kind of row in it."""

from __future__ import annotations

from typing import Any, Final

NUM_STATES: Final = 4
COLUMNS: Final = 6
# Of columns 0 and 1 in each state, which the others repeat. One is beyond the knee of Huber's loss
# as it is used, and beyond the usual clipping; most are small, as rows beyond it say nothing else.
REWARDS: Final = ((-1.0, 0.5), (1.0, -0.5), (0.25, 1.0), (-0.5, 3.0))
# Long enough for scripts that count episodes, and for transitions of several steps; an odd number,
# so that each length occurs with both kinds of end.
LENGTHS: Final = (20, 23, 27, 21, 25)


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
