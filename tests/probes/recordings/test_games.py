"""Raw frames are put together to steps, whether one game is played or several by turns."""

from __future__ import annotations

import numpy as np

from probes.observer.worlds import LIFE_LOST, TERMINATED
from probes.recordings.games import SUM, played_games

SKIP = 4


def _two_games(steps=12):
    """Raw frames and resets of two games that are stepped by turns, and where each agent stood."""
    tag = moment = 0
    raw, resets, stood, at = [], [], set(), {}
    for env in (0, 1):
        moment += 1
        resets.append([moment, env, tag, -1])
        stood.add(tag)
        at[env], tag = tag, tag + 1
    for step in range(steps):
        for env in (0, 1):
            for frame in range(SKIP):
                moment += 1
                lost = env == 0 and step == steps - 1 and frame == SKIP - 1
                raw.append([moment, env, at[env], tag, 0, 2, 0.25, LIFE_LOST if lost else 0])
                at[env], tag = tag, tag + 1
            stood.add(at[env])
    return np.array(raw, float), np.array(resets, float), stood


def test_steps_of_games_that_are_played_by_turns_are_told_apart():
    raw, resets, stood = _two_games()
    games = played_games(raw, resets, known=stood, stood=stood, lives=3)
    assert games.skip == SKIP
    assert len(games.steps) == 24
    assert set(games.frames.tolist()) == {SKIP}
    np.testing.assert_allclose(games.rewards[SUM], SKIP * 0.25)
    for env in (0, 1):
        own = sorted(int(tag) for tag in stood if games.places[int(tag)][0] == env)
        assert [games.places[tag][1] for tag in own] == list(range(0, 12 * SKIP + 1, SKIP))


def test_a_game_that_the_budget_cuts_at_a_lost_life_was_not_ended_by_it():
    raw, resets, stood = _two_games()
    assert played_games(raw, resets, known=stood, stood=stood, lives=3).ended_by_lives == 0
    again = np.vstack([resets, [raw[-1, 0] + 1, 0, 10_000, -1]])
    more = np.vstack([raw, [raw[-1, 0] + 2, 0, 10_000, 10_001, 0, 2, 0.0, TERMINATED]])
    games = played_games(more, again, known=stood, stood=stood, lives=3)
    assert games.ended_by_lives == 1
