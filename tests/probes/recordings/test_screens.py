"""Frames are read in whatever a script makes of a picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from probes.observer.screens import NUMBERS, Screen
from probes.recordings.screens import EMPTY, NO_FRAME, shown_planes

SCREEN = Screen()
SHOWN = 9_000
NEWEST = np.random.default_rng(0).integers(40, SHOWN, 120)


def _grey(frame):
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)


def _pooled(number, frames=2):
    return np.max([SCREEN.picture(number - back) for back in range(frames)], axis=0)


def _resized(number, size=(84, 84), how=cv2.INTER_AREA):
    return cv2.resize(_grey(_pooled(number)), size, interpolation=how)


def _stack(number, make, axis=0, apart=4):
    return np.stack([make(number - back * apart) for back in (3, 2, 1, 0)], axis)


WAYS = {
    "shrunk": lambda n: _stack(n, _resized),
    "floats": lambda n: _stack(n, lambda m: _resized(m).astype(np.float32) / 255),
    "standardised": lambda n: (_stack(n, _resized).astype(np.float32) - 40) / 70,
    "inverted": lambda n: 255 - _stack(n, _resized),
    "small": lambda n: _stack(n, lambda m: _resized(m, (42, 42), cv2.INTER_LINEAR)),
    "channels last": lambda n: _stack(n, _resized, axis=-1),
    "flat": lambda n: _stack(n, _resized).ravel(),
    "with an axis of one": lambda n: _stack(n, _resized)[..., None],
    "cut out": lambda n: SCREEN.picture(n)[35:195][::2, ::2, 0].astype(np.float32),
    "background taken away": lambda n: (SCREEN.picture(n)[34:194, :, 1][::2, ::2] != 0).astype(int),
    "cut out after shrinking": lambda n: cv2.resize(_grey(SCREEN.picture(n)), (84, 110))[18:102],
    "in colours": lambda n: cv2.resize(_pooled(n), (80, 105)),
    "four frames": lambda n: _grey(_pooled(n, 4)),
    "rows for columns": lambda n: _resized(n).T,
}


@pytest.mark.parametrize("way", WAYS)
def test_the_newest_frame_is_read(way):
    found = shown_planes(np.stack([WAYS[way](int(n)) for n in NEWEST]), SHOWN)
    assert found is not None
    np.testing.assert_array_equal(found.newest.max(axis=1), NEWEST)
    assert found.layout.turned == (way == "rows for columns")
    if found.layout.planes == 4:
        np.testing.assert_array_equal(found.newest - NEWEST[:, None], [[-12, -8, -4, 0]] * 120)


@pytest.mark.parametrize("frames", [1, 2, 3, 4])
def test_frames_in_one_plane_are_counted(frames):
    rows = np.stack([_grey(_pooled(int(n), frames)) for n in NEWEST])
    found = shown_planes(rows, SHOWN)
    np.testing.assert_array_equal(found.newest[:, 0] - found.oldest[:, 0], frames - 1)


def test_two_frames_that_do_not_follow_each_other_are_read():
    rows = np.stack(
        [np.maximum(SCREEN.picture(int(n)), SCREEN.picture(int(n) - 3)).mean(2) for n in NEWEST]
    )
    found = shown_planes(rows, SHOWN)
    np.testing.assert_array_equal(found.newest[:, 0], NEWEST)
    np.testing.assert_array_equal(found.oldest[:, 0], NEWEST - 3)


def test_what_shows_nothing_is_empty_and_what_shows_something_else_is_no_frame():
    rows = np.stack([_stack(int(n), _resized) for n in NEWEST])
    rows[0, 0] = 0
    rows[1, 2] = np.random.default_rng(1).integers(0, 255, (84, 84))
    found = shown_planes(rows, SHOWN)
    assert found.newest[0, 0] == EMPTY
    assert found.newest[1, 2] == NO_FRAME
    assert (found.newest < 0).sum() == 2


def test_a_frame_that_was_not_shown_is_none():
    rows = np.stack([_resized(int(n)) for n in NEWEST])
    found = shown_planes(rows, int(NEWEST.max()))
    assert (found.newest < 0).sum() == (NEWEST.max() == NEWEST).sum()
    assert int(NEWEST.max()) < NUMBERS


def test_levels_of_colours_and_greys_are_read():
    found = shown_planes(np.stack([_resized(int(n)) for n in NEWEST]), SHOWN)
    np.testing.assert_allclose(
        found.patches[0, 0], [76, 150, 29, 0, 36, 72, 108, 144, 180, 216, 255], atol=2
    )


def test_stacks_that_begin_with_nothing_are_read():
    rows = np.stack([_stack(int(n), _resized) for n in NEWEST])
    for missing in (1, 2, 3):
        rows[missing::4, :missing] = 0
    found = shown_planes(rows, SHOWN)
    np.testing.assert_array_equal(found.newest[:, 3], NEWEST)
    assert (found.newest == EMPTY).sum() == 30 * 6


def test_noise_is_no_game():
    rows = np.random.default_rng(2).integers(0, 255, (50, 84, 84))
    found = shown_planes(rows, SHOWN)
    assert found is None or (found.newest < 0).mean() > 0.9
