"""What a run ran on and what it ran: all that its bits or its distribution may depend on.

Facts are read where training takes place, from the libraries themselves where they can: a flag is
what torch says it is, not what was asked for. Nothing identifies a person or a machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Final

import numpy as np
import torch

from dqn_core.device import prepare_device
from dqn_core.recipes.schema import AtariEnv, Recipe
from regression.machine.arithmetic_probe import behaviour
from regression.machine.source_digest import source_digest
from reports.fields import SWITCH

CPU_SWITCHES: Final = (
    "ATEN_CPU_CAPABILITY",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "NPY_DISABLE_CPU_FEATURES",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
)
GPU_SWITCHES: Final = (
    "CUBLAS_EMULATE_DOUBLE_PRECISION",
    "CUBLAS_EMULATE_SINGLE_PRECISION",
    "CUBLAS_WORKSPACE_CONFIG",
    "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)
NOT_SET: Final = "not set"
LONGEST_VALUE: Final = 200  # characters of an environment variable that are kept


def fingerprint(device: str, recipe: Recipe | None = None) -> dict[str, str]:
    """Named facts about code, libraries and hardware, in one table.

    `reports.schema.Fingerprint` sorts them into classes by their names. The process is set up as
    for training first, so that the flags are those that training has.

    Args:
        device: "cpu", "cuda" or "cuda:<index>".
        recipe: what is to be run; without it, the facts of recipe and environment are left out.

    Raises:
        DeviceError: if there is no such device.
    """
    place = prepare_device(device, recipe.network.precision if recipe else "float32")
    facts = _libraries() | _processor() | _flags(place) | _switches(CPU_SWITCHES)
    if place.type == "cuda":
        facts |= _gpu(place) | _switches(GPU_SWITCHES)
    facts |= behaviour(device) | _software(recipe)
    if recipe is not None:
        facts |= _task(recipe)
    return facts | {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "interop threads": str(torch.get_num_interop_threads()),
    }


def _libraries() -> dict[str, str]:
    config = torch.__config__.show()
    simd = np.show_config(mode="dicts")["SIMD Extensions"]
    return {
        "torch version": _version("torch"),
        "torch git": str(torch.version.git_version),
        "numpy version": np.__version__,
        "numpy cpu features": " ".join(simd.get("found", [])),
        "mkl": _named(config, r"Math Kernel Library Version (\S+)"),
        "onednn": _named(config, r"MKL-DNN (v\S+ \(Git Hash \w+\))"),
        "libc": " ".join(platform.libc_ver()).strip() or "unknown",
    }


def _processor() -> dict[str, str]:
    """As the system reports it; "unknown" where it does not."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    name, vendor, family, model = (
        _named(text, rf"(?m)^{field}\s*: (.+)$")
        for field in ("model name", "vendor_id", "cpu family", "model")
    )
    return {
        "architecture": platform.machine(),
        "byte order": sys.byteorder,
        "cpu": name if text else platform.processor() or "unknown",
        "cpu family": f"{vendor} {family} {model}",
        "cpu capability": torch.backends.cpu.get_cpu_capability(),
    }


def _flags(place: torch.device) -> dict[str, str]:
    """Settings of this process, as torch reports them or a result shows them."""
    facts = {
        "device": str(place),
        "threads": f"{torch.get_num_threads()} per run",
        "mkl threads": _named(torch.__config__.parallel_info(), r"mkl_get_max_threads\(\) : (\d+)"),
        "deterministic algorithms": _on(torch.are_deterministic_algorithms_enabled()),
        "float32 matmul precision": torch.get_float32_matmul_precision(),
        # Shown, as there is nothing to ask: half the smallest normal number is a denormal one.
        "flush denormals": _on(bool(torch.full((1,), 2.0**-126).mul_(0.5).item() == 0.0)),
    }
    if place.type == "cuda":
        tf32 = torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32
        facts |= {
            "device": "cuda",  # which of several equal ones is no matter
            "tf32": _on(tf32),
            "cudnn autotune": _on(torch.backends.cudnn.benchmark),
        }
    return facts


def _gpu(place: torch.device) -> dict[str, str]:
    properties = torch.cuda.get_device_properties(place)
    cublas = [
        f"{found.name} {found.version}"
        for found in metadata.distributions()
        if re.match(r"nvidia[-_]cublas", found.name or "")
    ]
    try:
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    return {
        "gpu": properties.name,
        "gpu compute capability": f"{properties.major}.{properties.minor}",
        "gpu multiprocessors": str(properties.multi_processor_count),
        "gpu mig": "yes" if "MIG" in properties.name else "no",
        "cuda version": str(torch.version.cuda),
        "cublas version": ", ".join(sorted(cublas)) or "of the system",
        "cudnn version": str(torch.backends.cudnn.version()),  # type: ignore[no-untyped-call]  # torch's
        "driver": _named(text, r"Kernel Module\s+(?:for \S+\s+)?(\S+)"),
    }


def _switches(names: tuple[str, ...]) -> dict[str, str]:
    return {f"{SWITCH}{name}": os.environ.get(name, NOT_SET)[:LONGEST_VALUE] for name in names}


def _software(recipe: Recipe | None) -> dict[str, str]:
    facts = {"source digest": source_digest(), "gymnasium version": _version("gymnasium")}
    if recipe is None or isinstance(recipe.env, AtariEnv):
        facts["ale-py version"] = _version("ale-py")
    return facts


def _task(recipe: Recipe) -> dict[str, str]:
    env = recipe.env
    facts = {
        "recipe digest": recipe.digest(),
        "environment": env.game if isinstance(env, AtariEnv) else env.id,
        "environment settings": json.dumps(env.model_dump(mode="json"), sort_keys=True),
        "evaluation protocol": json.dumps(recipe.evaluation.model_dump(), sort_keys=True),
    }
    if isinstance(env, AtariEnv):
        facts |= {
            "resize library": f"OpenCV inside ale-py {_version('ale-py')}",
            "rom checksum": _rom_checksum(env.game),
        }
    return facts


def _rom_checksum(game: str) -> str:
    """First 16 hexadecimal digits of sha256 over the game's ROM."""
    try:
        from ale_py import roms  # noqa: PLC0415  # an optional extra

        from dqn_core.envs.atari import resolve_game  # noqa: PLC0415  # needs it
    except ImportError:
        return "ale-py is not installed"
    path = roms.get_rom_path(resolve_game(game))
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16] if path else "no ROM"


def _named(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    return found.group(1).strip() if found else "unknown"


def _on(flag: bool) -> str:  # noqa: FBT001  # a word for it
    return "on" if flag else "off"


def _version(package: str) -> str:
    try:
        return str(metadata.version(package))
    except metadata.PackageNotFoundError:
        return "not installed"
