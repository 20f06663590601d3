"""Choosing a device, and switching off what makes arithmetic differ from run to run."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor

import torch

from dqn_core.names import unknown
from dqn_core.recipes.schema import Precision


class DeviceError(ValueError):
    """The device asked for does not exist here."""


def prepare_device(name: str, precision: Precision = "float32") -> torch.device:
    """The device of that name, with one thread and deterministic kernels for the whole process.

    Args:
        name: "cpu", "cuda" or "cuda:<index>".
        precision: of the recipe's network; only "tf32" changes what the process does.

    Raises:
        DeviceError: never falls back to another device.
    """
    if not re.fullmatch(r"cpu|cuda(:[0-9]{1,2})?", name):
        raise DeviceError(unknown("device", name, ("cpu", "cuda", "cuda:<index>")))
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise DeviceError(
                f"device {name} is not available\n"
                f"  expected  one of {count} CUDA devices that torch {torch.__version__} sees\n"
                f"  reason    {_why_no_cuda() or 'there are no more'}\n"
                "  next      use --device cpu, or install a CUDA build of torch and its driver"
            )
        # Without it torch refuses deterministic products; cuBLAS reads it with the first of them.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.cuda.set_device(device)  # streams and graphs are made on the present one
    # The result of a sum depends on how it is split among threads.
    torch.set_num_threads(1)
    # Adam's moments of units that no longer learn shrink into denormal numbers, which a CPU handles
    # many times slower than zeros; a GPU's fast path has none either.
    torch.set_flush_denormal(True)
    torch.use_deterministic_algorithms(mode=True)
    # Only there to expose reads of uninitialised memory; costs a fill for every allocation.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # torch's stub lacks it
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    return device


def _why_no_cuda() -> str:
    """What torch says of a build without CUDA, no driver or one that is too old; else ""."""
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]  # torch's
    except (AssertionError, RuntimeError) as error:
        return str(error).partition("\n")[0]
    return ""


def thread(name: str) -> ThreadPoolExecutor:
    """A thread in which torch computes with as many of its own as in this one.

    Left alone, OpenMP gives a new thread every core, whatever torch was set to in another one:
    convolutions would sum in another order.
    """
    return ThreadPoolExecutor(1, name, torch.set_num_threads, (torch.get_num_threads(),))


def available_cores() -> int:
    """Processor cores that this process may use: runs are spread over them, one thread each."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
