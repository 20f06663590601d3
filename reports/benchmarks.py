"""The table of a stored run of the benchmarks."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from pydantic import BaseModel

from reports.fields import class_of


class MachineInfo(BaseModel):
    """What pytest-benchmark knows of the machine, and the fingerprint that was added to it."""

    fingerprint: dict[str, str]


class Benchmark(BaseModel):
    """One benchmark of a file that pytest-benchmark wrote.

    Attributes:
        group: of benchmarks of one kind.
        name: of the test, with its parameters.
        extra_info: medians and ratios by what they are of.
    """

    group: str
    name: str
    extra_info: dict[str, float]


class Benchmarks(BaseModel):
    """The part of the file that is shown."""

    machine_info: MachineInfo
    benchmarks: list[Benchmark]


def benchmarks_markdown(path: Path) -> str:
    """A table for each group, and what it was measured on.

    Args:
        path: JSON of `pytest --benchmark-json`.

    Raises:
        OSError: if it cannot be read.
        pydantic.ValidationError: if it is something else.
    """
    stored = Benchmarks.model_validate_json(path.read_text("utf-8"))
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`: medians over rounds in which all sides take turns, per second",
        "where nothing else is said. A ratio to a side is how many times faster ours is; bytes are",
        "those of a transition. Updates and environments alone bound what training can reach: the",
        "share of the limit is that of the lower bound.",
        "",
    ]
    by_group = sorted(stored.benchmarks, key=lambda one: one.group)
    for group, members in groupby(by_group, key=lambda one: one.group):
        cases = list(members)
        names = list(dict.fromkeys(name for case in cases for name in case.extra_info))
        lines += [f"## {group[0].upper()}{group[1:]}", "", f"| | {' | '.join(names)} |"]
        lines += [f"| :-- |{' --: |' * len(names)}"]
        for case in cases:
            values = [_number(case.extra_info.get(name)) for name in names]
            lines.append(f"| {_case(case.name)} | {' | '.join(values)} |")
        lines.append("")
    lines += ["## Measured on", "", "| Field | Value |", "| :-- | :-- |"]
    fields = stored.machine_info.fingerprint.items()
    lines += [f"| {name} | {value} |" for name, value in fields if class_of(name) != "informative"]
    return "\n".join(lines) + "\n"


def _case(name: str) -> str:
    """The parameters of a benchmark, or its name without any."""
    _, bracket, parameters = name.partition("[")
    return parameters.rstrip("]") if bracket else name.removeprefix("test_").replace("_", " ")


def _number(value: float | None) -> str:
    if value is None:
        return "—"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
