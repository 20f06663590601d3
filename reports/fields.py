"""Which class a field of a fingerprint belongs to: do bits depend on it, distributions, neither?

Bits are what one seed's curve consists of, a distribution is what many seeds' curves have in
common: a run on another processor has other bits, a run of another recipe another distribution.
"""

from __future__ import annotations

from typing import Final, Literal

FieldClass = Literal["bits", "distribution", "informative"]

DISTRIBUTION: Final = frozenset(
    {
        "ale-py version",
        "environment",
        "environment settings",
        "evaluation protocol",
        "gymnasium version",
        "recipe digest",
        "resize library",
        "rom checksum",
        "source digest",
    }
)
BITS: Final = frozenset(
    {
        "architecture",
        "byte order",
        "cpu",
        "cpu capability",
        "cpu family",
        "cublas version",
        "cuda version",
        "cudnn autotune",
        "cudnn version",
        "deterministic algorithms",
        "device",
        "float32 matmul precision",
        "flush denormals",
        "gpu",
        "gpu compute capability",
        "gpu mig",
        "gpu multiprocessors",
        "libc",
        "mkl",
        "mkl threads",
        "numpy cpu features",
        "numpy version",
        "onednn",
        "tf32",
        "threads",
        "torch git",
        "torch version",
    }
)
BEHAVIOUR: Final = "behaviour: "  # and an operation: the hash of its result
SWITCH: Final = "switch "  # and an environment variable that libraries read: its value


def class_of(field: str) -> FieldClass:
    """The class of a field by its name; informative, if the name is unknown."""
    if field in BITS or field.startswith((BEHAVIOUR, SWITCH)):
        return "bits"
    return "distribution" if field in DISTRIBUTION else "informative"
