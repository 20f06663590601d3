"""How logs are to be read: what does not fit together is refused."""

from __future__ import annotations

import pytest

from tests.regression.importers.logs import protocol


@pytest.mark.parametrize(
    ("total", "window"), [(100, 30), (90, 10), (0, 10), (100, 0), (-100, 10), (200_000, 1)]
)
def test_only_whole_windows_and_enough_of_them(total, window):
    with pytest.raises(ValueError, match=r"window|greater than 0"):
        protocol(total_steps=total, window_steps=window)
