"""A self-test in another process."""

from __future__ import annotations

import pytest

from regression.machine.device_classes import DeviceClass
from regression.machine.selftest import SelfTestError, observe_in


def test_a_process_that_breaks_is_told_with_its_last_words():
    with pytest.raises(
        SelfTestError, match=r"nowhere ended with exit code 1\n(.*\n)*.*unknown device"
    ):
        observe_in(DeviceClass("nowhere", "tpu"), 1)
