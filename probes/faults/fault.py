"""What a planted fault is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from probes.checks.check import Component
from probes.subjects.core import Parts


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault, planted in the bundled core by replacing one of its parts.

    Attributes:
        name: for command lines, in words joined by hyphens.
        seen: links to the issues, pull requests, commits or pages where it really happened; empty
            where none is public.
        component: where it lies, and what a diagnosis should name.
        what: what it does, one sentence.
        parts: the core with it.
        caught_by: codes of checks that it must turn red; the first is the cheapest.
        traits: of the core with it, as a subject declares them.
    """

    name: str
    seen: tuple[str, ...]
    component: Component
    what: str
    parts: Parts
    caught_by: tuple[str, ...]
    traits: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AbsentFault:
    """A fault seen in public code that the bundled core has no place for.

    Attributes:
        name: in words joined by hyphens, none of a planted fault's.
        what: what it does, one sentence.
        reason: why it is not planted, one sentence.
        seen: links to where it really happened, at least one.
    """

    name: str
    what: str
    reason: str
    seen: tuple[str, ...]
