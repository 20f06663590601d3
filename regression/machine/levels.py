"""Levels of reproducibility: what two runs of one seed can claim, by their fingerprints.

0   Nothing. The two compare as distributions over seeds.
1   Same machine, same stack. All fields that bits depend on are equal, and the settings are those
    that make one machine repeat itself (deterministic kernels, full float32 precision; on a GPU no
    TF32, no autotuning and a fixed cuBLAS workspace), with any fixed number of threads. A second
    run there has equal bits.
2   Same class of device, same libraries. Another machine with an equal GPU (name, capability,
    multiprocessors) or processor family repeats the bits: the processor's name, the C library and
    NumPy's dispatch may differ (on a GPU the host's processor too) where the behaviour hashes
    agree. One thread, as a pool splits work by more than its size. Equal machines reach it too.
3   Any x86-64 processor that has the pinned instruction set. One thread, and the three libraries
    that choose kernels by processor are pinned to the same: ATEN_CPU_CAPABILITY,
    ONEDNN_MAX_CPU_ISA and MKL_CBWR=COMPATIBLE, the one setting of MKL whose products of matrices
    are the same on every vendor's; MKL_ENABLE_INSTRUCTIONS is heeded on one vendor's only. MKL's
    square roots, which `torch.sqrt` of float32 numbers is, then begin with the processor's own
    estimate (RSQRTPS) and differ by vendor; so does the hash of sqrt, and no level 3 is claimed.
    The processor's family may differ where the behaviour hashes agree. The hashes are evidence,
    not proof.
4   The exact track, one reference for all devices, is not built here and never claimed.

A run is a function of its recipe, the core and the environment: where one of these differs no level
above 0 is claimed, however equal the machines.

References:
    PyTorch notes on reproducibility; oneMKL developer guide, "Reproducibility Conditions".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from reports.fields import BEHAVIOUR, SWITCH
from reports.schema import Fingerprint

LEVELS: Final = (
    "no bits are promised; the two compare as distributions",
    "equal bits on the same machine and stack",
    "equal bits on the same class of device and libraries",
    "equal bits on any x86-64 processor with the pinned instruction set",
)
# Must be recorded on both sides, or nothing can be claimed.
REQUIRED: Final = (
    "torch version",
    "torch git",
    "numpy version",
    "architecture",
    "cpu",
    "cpu capability",
    "threads",
    "device",
    "deterministic algorithms",
    "float32 matmul precision",
    "flush denormals",
    "source digest",
)
SETTINGS: Final = {"deterministic algorithms": ("on",), "float32 matmul precision": ("highest",)}
GPU_SETTINGS: Final = {
    "tf32": ("off",),
    "cudnn autotune": ("off",),
    f"{SWITCH}CUBLAS_WORKSPACE_CONFIG": (":4096:8", ":16:8"),
}
ONE_THREAD: Final[Mapping[str, tuple[str, ...]]] = {"threads": ("1 per run",)}
PINS: Final = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")  # to anything, but the same
PINNED: Final = {
    "device": ("cpu",),
    "architecture": ("x86_64", "AMD64"),
    f"{SWITCH}MKL_CBWR": ("COMPATIBLE",),
}
# What may differ on level 2, and on level 3; behaviour hashes stand in for it.
NAMES: Final = frozenset({"cpu", "libc", "numpy cpu features"})
HOST: Final = NAMES | {"cpu capability", "cpu family", "mkl threads"}
PROCESSOR: Final = NAMES | {"cpu family"}
FEWEST_NAMED: Final = 3


class Claim(NamedTuple):
    """What two runs can claim.

    Attributes:
        level: 0 to 3, the highest.
        prevented_by: fields in the way of the next one, sorted; none on level 3.
    """

    level: int
    prevented_by: list[str]


def claim(ours: Fingerprint, theirs: Fingerprint) -> Claim:
    """The highest level of two fingerprints, in either order; of a run alone, with itself."""
    ways = [_prevents_one(ours, theirs), _prevents_two(ours, theirs), _prevents_three(ours, theirs)]
    level = max((number for number, fields in enumerate(ways, 1) if not fields), default=0)
    return Claim(level, _short(ways[level]) if level < len(ways) else [])


def describe_claim(claimed: Claim, scope: str) -> str:
    """One sentence about a claim.

    Args:
        claimed: by `claim`.
        scope: whose claim it is, such as "with the reference" or "by itself".
    """
    text = f"Level {claimed.level} {scope}: {LEVELS[claimed.level]}"
    if claimed.level == len(LEVELS) - 1:
        return f"{text}; level 4, one reference for all devices, is not built."
    named = ", ".join(claimed.prevented_by[:FEWEST_NAMED])
    rest = len(claimed.prevented_by) - FEWEST_NAMED
    more = f" and {rest} more" if rest > 0 else ""
    return f"{text}; level {claimed.level + 1} is prevented by {named}{more}."


def _short(fields: set[str]) -> list[str]:
    """Sorted; where no behaviour is known on a side, the single operations add nothing."""
    unknown = "behaviour" in fields
    return sorted(name for name in fields if not (unknown and name.startswith(BEHAVIOUR)))


def _prevents_one(ours: Fingerprint, theirs: Fingerprint) -> set[str]:
    return _common(ours, theirs) | _differing(ours.bits, theirs.bits)


def _prevents_two(ours: Fingerprint, theirs: Fingerprint) -> set[str]:
    may_differ = NAMES if _on_cpu(ours) else HOST
    differing = _differing(ours.bits, theirs.bits) - may_differ
    return _common(ours, theirs) | differing | _unlike(ONE_THREAD, ours, theirs)


def _prevents_three(ours: Fingerprint, theirs: Fingerprint) -> set[str]:
    differing = _differing(ours.bits, theirs.bits) - PROCESSOR
    unpinned = {
        f"{SWITCH}{name}"
        for name in PINS
        if any(side.bits.get(f"{SWITCH}{name}", "not set") in {"", "not set"}
               for side in (ours, theirs))
    }  # fmt: skip
    wrong = _unlike({**ONE_THREAD, **PINNED}, ours, theirs)
    return _common(ours, theirs) | differing | unpinned | wrong


def _common(ours: Fingerprint, theirs: Fingerprint) -> set[str]:
    """What stands in the way of every level."""
    here, there = ours.flat(), theirs.flat()
    missing = {name for name in REQUIRED if name not in here or name not in there}
    if not any(name.startswith(BEHAVIOUR) for name in here.keys() & there.keys()):
        missing.add("behaviour")
    wrong = _unlike(SETTINGS, ours, theirs)
    if not _on_cpu(ours) or not _on_cpu(theirs):
        wrong |= _unlike(GPU_SETTINGS, ours, theirs)
    return missing | wrong | _differing(ours.distribution, theirs.distribution)


def _on_cpu(side: Fingerprint) -> bool:
    return side.bits.get("device", "cpu") == "cpu"


def _differing(ours: dict[str, str], theirs: dict[str, str]) -> set[str]:
    return {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}


def _unlike(
    wanted: Mapping[str, tuple[str, ...]], ours: Fingerprint, theirs: Fingerprint
) -> set[str]:
    return {
        name
        for name, values in wanted.items()
        if any(side.bits.get(name) not in values for side in (ours, theirs))
    }
