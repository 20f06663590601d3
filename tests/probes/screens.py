"""Screens turned grey and shrunk, as the libraries' wrappers do it."""

from __future__ import annotations

from functools import cache

import numpy as np

from probes.subjects.core_atari import area
from probes.worlds.mock_emulator import SCREEN_SIZE

shrinking = cache(area)


def resize(screen, height: int, width: int) -> np.ndarray:
    channels = [
        shrinking(SCREEN_SIZE[0], height) @ channel @ shrinking(SCREEN_SIZE[1], width).T
        for channel in np.moveaxis(np.atleast_3d(screen), -1, 0).astype(float)
    ]
    return np.stack(channels, axis=-1).squeeze().round().astype(np.uint8)


def grey(screen) -> np.ndarray:
    return (screen @ np.array([0.299, 0.587, 0.114])).round().astype(np.uint8)
