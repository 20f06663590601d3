"""The tolerance for the scale of pixels."""

from __future__ import annotations

from probes.checks import pixels


def test_the_scale_tolerance_is_a_quarter_of_the_way_to_either_fault():
    assert round(pixels.SCALE_TOLERANCE**4) == 255
