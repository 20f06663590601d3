"""The mock emulator: rewards, lives, screens, and frames found in them."""

from __future__ import annotations

import numpy as np
import pytest

from probes.subject import BrokenProtocol
from probes.worlds.mock_emulator import (
    FIRE,
    LEFT,
    NOOP,
    PERIOD,
    RIGHT,
    SCREEN_SIZE,
    STRIPES,
    Emulator,
    draw,
    levels,
    lit,
    planes,
)
from tests.probes.screens import grey, resize


def started(**known) -> Emulator:
    emulator = Emulator(**known)
    emulator.reset(seed=0)
    return emulator


class TestEmulator:
    def test_left_pays_and_loses_lives_and_nothing_else_does(self):
        emulator = started(pays=(1.0, 0.0, -2.0), lives=2, life_frames=3)
        for action in (NOOP, FIRE, RIGHT):
            assert emulator.step(action)[1:4] == (0.0, False, False)
        played = [emulator.step(LEFT)[1:4] for _ in range(6)]
        assert [reward for reward, _, _ in played] == [1.0, 0.0, -2.0] * 2
        assert [terminated for _, terminated, _ in played] == [False] * 5 + [True]
        assert emulator.paid == [0.0] * 3 + [1.0, 0.0, -2.0] * 2
        assert (emulator.lives(), emulator.losses, emulator.frame) == (0, 2, 9)
        with pytest.raises(BrokenProtocol, match="after the end of a game"):
            emulator.step(NOOP)

    def test_it_waits_for_fire_in_each_life(self):
        emulator = started(pays=(1.0,), lives=2, life_frames=1, waits_for_fire=True)
        script = [LEFT, FIRE, LEFT, LEFT, FIRE, LEFT]
        assert [emulator.step(action)[1] for action in script] == [0, 0, 1, 0, 0, 1]

    def test_a_limit_of_raw_frames_truncates(self):
        emulator = started(limit_frames=2)
        assert [emulator.step(NOOP)[2:4] for _ in range(2)] == [(False, False), (False, True)]

    def test_resets_count_games_and_note_seeds(self):
        emulator = started()
        emulator.step(NOOP)
        emulator.reset()
        assert (emulator.games, emulator.frame, emulator.seeds) == (2, 0, [0, None])

    @pytest.mark.parametrize(
        "view",
        [
            lambda screen: resize(grey(screen), 84, 84),
            lambda screen: resize(grey(screen), 110, 84)[18:102],
            lambda screen: grey(screen)[34:194:2, ::2],
            lambda screen: resize(screen, 84, 84)[..., 0],
        ],
        ids=["resized", "cropped below", "sliced", "red"],
    )
    def test_every_frame_can_be_read_in_every_geometry(self, view):
        emulator = started()
        for game in (1, 2):
            for frame in range(2 * PERIOD):
                shown = view(emulator.step(NOOP)[0] if frame else emulator._screen())
                assert lit(shown.astype(float)) == [game % 2 * PERIOD + frame % PERIOD]
                assert emulator.age(lit(shown.astype(float))[0]) == 0
            emulator.reset()

    @pytest.mark.parametrize("combine", [np.max, np.mean])
    def test_two_frames_can_be_read_from_their_maximum_and_from_their_mean(self, combine):
        emulator = started()
        screens = [emulator.step(NOOP)[0] for _ in range(2)]
        stripes = lit(combine([resize(grey(screen), 84, 84) for screen in screens], axis=0))
        assert sorted(map(emulator.age, stripes)) == [0, 1]

    def test_another_games_frames_are_recognised(self):
        emulator = started()
        old = lit(grey(emulator._screen()).astype(float))
        emulator.reset()
        assert emulator.age(old[0]) > PERIOD

    def test_colours_are_read_where_they_were_drawn(self):
        greys = np.linspace(0, 255, STRIPES).round()
        screen = draw(np.repeat(greys[:, None], 3, axis=1))
        assert screen.shape == (*SCREEN_SIZE, 3)
        small = resize(grey(screen), 84, 84).astype(float)
        np.testing.assert_array_equal(levels(small, STRIPES), greys)


@pytest.mark.parametrize("shape", [(4, 84, 84), (84, 84, 4), (1, 84, 84), (84, 84), (4, 84, 84, 1)])
@pytest.mark.parametrize("scale", [1, 255])
def test_frames_are_found_in_every_layout(shape, scale):
    obs = np.full(shape, 255, np.uint8) if scale == 1 else np.ones(shape, np.float32)
    found = planes(obs)
    assert found.shape == (4 if 4 in shape else 1, 84, 84)
    assert (found == 255).all()


def test_what_is_no_stack_of_frames_is_refused():
    with pytest.raises(BrokenProtocol, match="such as"):
        planes(np.zeros((4, 4, 84, 84), np.uint8))
