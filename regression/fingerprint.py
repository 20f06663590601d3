"""What a run ran on: everything that its bits or its distribution may depend on."""

from __future__ import annotations

import hashlib
import platform
from importlib import metadata, resources

import torch

PACKAGES = ("ale-py", "gymnasium", "numpy", "torch")
THREADS_NOTE = "1 per run"


def fingerprint(device: str) -> dict[str, str]:
    """Named facts about code, libraries and hardware; nothing that identifies a person or machine.

    Args:
        device: "cpu", "cuda" or "cuda:<index>".
    """
    facts = {f"{name} version": _version(name) for name in PACKAGES}
    facts |= {
        "source digest": source_digest(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_model(),
        "cpu capability": torch.backends.cpu.get_cpu_capability(),
        "threads": THREADS_NOTE,
        "device": device,
    }
    if device != "cpu":
        properties = torch.cuda.get_device_properties(torch.device(device))
        facts |= {
            "gpu": properties.name,
            "gpu compute capability": f"{properties.major}.{properties.minor}",
            "gpu multiprocessors": str(properties.multi_processor_count),
            "cuda version": str(torch.version.cuda),
            "cudnn version": str(torch.backends.cudnn.version()),  # type: ignore[no-untyped-call]  # torch's
        }
    return facts


def source_digest() -> str:
    """First 16 hexadecimal digits of sha256 over the modules of the core, names and contents."""
    digest = hashlib.sha256()
    folder = resources.files("dqn_core")
    for module in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if module.name.endswith(".py"):
            digest.update(module.name.encode() + b"\0" + module.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def cpu_model() -> str:
    """The processor's name, as its vendor gives it; "unknown" where the system does not tell."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [
                line.split(":", 1)[1].strip() for line in file if line.startswith("model name")
            ]
    except OSError:
        names = [platform.processor()]
    return names[0] if names and names[0] else "unknown"


def _version(package: str) -> str:
    try:
        return str(metadata.version(package))
    except metadata.PackageNotFoundError:
        return "not installed"
