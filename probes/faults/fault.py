"""What a planted fault is."""

from __future__ import annotations

from dataclasses import dataclass

from probes.checks.check import Component
from probes.subjects.core import Parts


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault of the catalogue, planted in the bundled core by replacing one of its parts.

    Attributes:
        name: for command lines, in words joined by hyphens.
        ids: in the catalogue; several where one override is all of them, none where it is new.
        component: where it lies, and what a diagnosis should name.
        what: what it does, one sentence.
        parts: the core with it.
        caught_by: codes of checks that it must turn red; the first is the cheapest.
    """

    name: str
    ids: tuple[str, ...]
    component: Component
    what: str
    parts: Parts
    caught_by: tuple[str, ...]
