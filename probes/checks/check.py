"""What a check is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from probes.checks.support.testbed import Testbed
from probes.checks.support.variants import Variant
from probes.outcome import Outcome
from probes.subject import Capability


class Component(StrEnum):
    """The parts of a DQN that can be wrong by themselves."""

    TARGET_NETWORK = "target network"
    TD_TARGET = "TD target and loss"
    TERMINATION = "termination and truncation"
    REPLAY = "replay"
    FRAMES = "frames and rewards"
    EXPLORATION = "exploration and cadence"
    OPTIMIZER = "optimizer and network"
    SEEDING = "seeding"
    CHECKPOINTS = "checkpoints"
    EVALUATION = "evaluation"


@dataclass(frozen=True, kw_only=True)
class Check:
    """A property of any correct DQN.

    Attributes:
        code: stable name, "family.property".
        component: what is most likely broken when it does not hold.
        version: raised when the property changes, so that stored findings are not mixed.
        needs: capabilities of the subject without which it is skipped.
        what: the property, one sentence.
        why: what goes wrong in a run without it, one or two sentences.
        causes: likely causes, the likeliest first.
        seen: links to the issues, pull requests, commits or pages where it really happened; empty
            where none is public.
        experiment: the next thing to try when it is red.
        run: the check itself.
        variants: that would make a correct subject red, if they are not declared.
        shows_frames: whether the subject is shown frames, not vectors, in it.
        advises: whether a subject without the property is only advised: it is right wherever its
            world is as most are.
        limit_s: seconds after which it counts as hanging.
    """

    code: str
    component: Component
    version: int = 1
    needs: tuple[Capability, ...] = ()
    what: str
    why: str
    causes: tuple[str, ...]
    seen: tuple[str, ...]
    experiment: str
    run: Callable[[Testbed], Outcome]
    variants: tuple[Variant, ...] = ()
    shows_frames: bool = False
    advises: bool = False
    limit_s: float = 60.0
