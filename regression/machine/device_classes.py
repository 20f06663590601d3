"""Classes of devices by name: where a run computes, and what pins the instruction set there.

A pinned class, such as cpu-avx2, asks the three libraries that choose kernels by processor for one
instruction set, by environment variables that they read when they are loaded. Hence it takes a
process of its own, and a run in it can claim level 3 (see `regression.machine.levels`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dqn_core.names import unknown

# Products of matrices are MKL's; no setting of it but COMPATIBLE is the same on all vendors. Its
# square roots are not even then (see `regression.machine.levels`).
PINNED: Final = {
    "cpu-sse4": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_CBWR": "COMPATIBLE",
    },
    "cpu-avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_CBWR": "COMPATIBLE",
    },
}
# In every process that trains: sums are split by thread.
ALWAYS: Final = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}


class DeviceClassError(ValueError):
    """No class of devices has that name; the message names those that exist."""


@dataclass(frozen=True)
class DeviceClass:
    """Where a run computes.

    Attributes:
        name: such as "cpu-avx2"; part of the names of units.
        device: as `dqn_core.device.prepare_device` takes it.
        environment: variables that the process must be started with.
    """

    name: str
    device: str
    environment: dict[str, str] = field(default_factory=lambda: dict(ALWAYS))


def device_class(name: str) -> DeviceClass:
    """The class of that name; whether the device exists is not asked.

    Args:
        name: "cpu", "cuda", "cuda:<index>", or one of `PINNED`.

    Raises:
        DeviceClassError: for any other name.
    """
    if name in PINNED:
        return DeviceClass(name, "cpu", ALWAYS | PINNED[name])
    if re.fullmatch(r"cpu|cuda(:[0-9]{1,2})?", name):
        return DeviceClass(name, name)
    known = ["cpu", *PINNED, "cuda", "cuda:<index>"]
    raise DeviceClassError(unknown("device", name, known))


def lacking(name: str, environment: Mapping[str, str]) -> dict[str, str]:
    """What a process lacks of the variables that pin a class, and what they should be.

    Args:
        name: of the class; only a pinned one asks for any.
        environment: that the process was started with; libraries have read it by now.
    """
    wanted = PINNED.get(name, {})
    return {
        variable: value for variable, value in wanted.items() if environment.get(variable) != value
    }
