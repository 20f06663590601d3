"""Before any check: whether a subject is one, and which of its members are what they seem to be.

A subject that cannot take a step is not judged at all. A member that has the name of a capability
but is something else, such as a `sample` that takes no size, is *declined*: it is not made use of,
and that is said. `offers` in a subject names those that are meant; then they have to work. One
that takes the right arguments and raises may be something else as well, or broken: checks that need
it are inconclusive.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from probes.checks.support.testbed import FIELDS, FRAMES, Testbed, Trial
from probes.running.expected import checked
from probes.running.members import BATCH, declined_members, offers_of, signature_unlike
from probes.running.place import error_text, place_of
from probes.subject import (
    BrokenProtocol,
    Factory,
    SubjectError,
    Unsupported,
)
from probes.traits import read_traits
from probes.worlds.env import View, WorldEnv, observations
from probes.worlds.tables import BRANCHING

REQUIRED: Final = {"train": "(steps)", "q_values": "(obs)"}
# Small, and long enough for some updates and for several episodes.
SETTINGS: Final[dict[str, Any]] = {
    "batch_size": BATCH,
    "capacity": 64,
    "warmup_steps": 16,
    "sync_period_updates": 4,
    "save_period_steps": 8,
}
STEPS: Final = 24
FRAMES_STEPS: Final = 1
# Others say how an agent acts and learns, whatever it is.
NEED_NOT_BE_READ: Final = {"device", "num_envs", "save_period_steps", "total_steps"}


@dataclass(frozen=True)
class Inspection:
    """What a preflight found.

    Attributes:
        declined: what the subject has in name only, and why.
        raised: those of them that took their arguments, and raised.
        unread: settings that it has not read in some steps with updates, though they are its own.
        expected: reasons by code of the reds that the subject itself documents.
        traits: declared by the subject, by name.
    """

    declined: dict[str, str] = field(default_factory=dict)
    raised: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    expected: dict[str, str] = field(default_factory=dict)
    traits: dict[str, Any] = field(default_factory=dict)


def inspect_subject(factory: Factory, seed: int, *, frames: bool = True) -> Inspection:
    """Makes a small subject, trains it for some steps, and tries what it offers.

    Args:
        factory: of the subject.
        seed: of the subject.
        frames: whether it is tried on frames too.

    Raises:
        SubjectError: if it is no subject, naming the line of its code where it has one.
        ExpectedError: if the reds that it documents are none.
        TraitError: if the traits that it declares are none.
    """
    _require_binding(factory, "the factory", "(make_env, settings)", ("make_env", "settings"))
    trial = _made(factory, seed)
    _require_subject(trial.subject)
    try:
        _take_steps(trial, "vector", 1)
        _take_steps(trial, "vector", STEPS - 1)
    except Unsupported:
        pass  # it trains in long pieces
    declined, raised = declined_members(trial)
    if frames:
        declined |= _frames_declined(
            factory, seed, offered=FRAMES in (offers_of(trial.subject) or ())
        )
    documented = getattr(trial.subject, "expected", None) or {}
    return Inspection(
        declined,
        raised,
        sorted(FIELDS - trial.read - NEED_NOT_BE_READ) if trial.read else [],
        checked(documented, f"{type(trial.subject).__name__}.expected"),
        read_traits(getattr(trial.subject, "traits", None) or {}).declared,
    )


def _made(factory: Factory, seed: int) -> Trial:
    try:
        return Testbed(factory, seed).trial(
            lambda _: WorldEnv(BRANCHING, "vector"), total_steps=STEPS, **SETTINGS
        )
    except Unsupported as unsupported:
        raise SubjectError(
            f"agent: the factory declines the plainest of tasks: {unsupported}\n"
            "  expected  vectors of five numbers, two actions, one environment"
        ) from unsupported
    except Exception as error:
        raise _raised("the factory", error) from error


def _require_binding(
    function: Callable[..., Any], name: str, form: str, values: tuple[Any, ...]
) -> None:
    """Refuses what does not take these arguments.

    Raises:
        SubjectError: with its signature, and where it is.
    """
    found = signature_unlike(function, values)
    if found:
        raise SubjectError(
            f"agent: {name} cannot be called as {form}\n"
            f"  actual    {found}\n"
            f"  where     {_defined(function)}"
        )


def _require_subject(subject: object) -> None:
    if subject is None:
        raise SubjectError(
            "agent: the factory returned None\n"
            "  expected  an agent with train(steps) and q_values(obs)\n"
            "  next      let the factory return the agent that it makes"
        )
    for name, form in REQUIRED.items():
        member = getattr(subject, name, None)
        if not callable(member):
            has = "nothing of that name" if member is None else f"a {type(member).__name__}"
            raise SubjectError(
                f"agent: {type(subject).__name__} has no method {name}{form}\n"
                f"  actual    {has}; it has {_members(subject)}\n"
                f"  where     {_defined(type(subject))}"
            )
        _require_binding(member, f"{type(subject).__name__}.{name}", f"{name}{form}", (1,))


def _take_steps(trial: Trial, view: View, steps: int) -> None:
    """Trains, and asks for Q-values.

    Raises:
        SubjectError: if that raises, or has another form than it should.
    """
    try:
        trial.train(steps)
    except Unsupported:
        raise
    except BrokenProtocol as broken:
        if broken.rule == "shapes":
            raise SubjectError(_of_protocol(broken)) from broken
        return  # a property of its own
    except Exception as error:
        raise _raised(f"train({steps})", error) from error
    shown = observations(BRANCHING, view)
    try:
        values = trial.q_table(shown)
    except BrokenProtocol as broken:
        if broken.rule == "shapes":
            raise SubjectError(_of_protocol(broken)) from broken
        return
    except Exception as error:
        raise _raised(f"q_values of {list(shown.shape)} {shown.dtype}", error) from error
    if values.shape[1] != BRANCHING.num_actions:
        raise SubjectError(
            f"agent: expected q_values of {BRANCHING.num_actions} actions; "
            f"it returned {list(values.shape)} for {len(shown)} observations"
        )


def _frames_declined(factory: Factory, seed: int, *, offered: bool) -> dict[str, str]:
    """Whether what is made for vectors takes frames as well.

    Raises:
        SubjectError: if it says so itself, and does not.
    """
    testbed = Testbed(factory, seed)
    try:
        trial = testbed.trial(
            lambda _: WorldEnv(BRANCHING, "frames"), total_steps=FRAMES_STEPS, **SETTINGS
        )
        _take_steps(trial, "frames", FRAMES_STEPS)
    except Unsupported:
        return {}  # each check that needs them is skipped with the subject's own reason
    except SubjectError as error:
        if offered:
            raise
        return {FRAMES: str(error).removeprefix("agent: ").replace("\n  where    ", " at")}
    except Exception as error:  # whatever it is
        if offered:
            raise _raised("the factory, shown frames,", error) from error
        return {FRAMES: f"{error_text(error)} at {place_of(error)}"}
    return {}


def _raised(what: str, error: Exception) -> SubjectError:
    return SubjectError(
        f"agent: {what} raised {error_text(error)}\n"
        f"  where     {place_of(error)}\n"
        "  next      mend that line; nothing was judged"
    )


def _of_protocol(broken: BrokenProtocol) -> str:
    return f"agent: expected {broken.expected}; {broken.actual}"


def _defined(something: Any) -> str:
    """File and line of a definition, as far as they are known."""
    function = inspect.unwrap(something) if callable(something) else something
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    if code is not None:
        return f"{Path(code.co_filename).name}:{code.co_firstlineno}"
    try:
        lines, number = inspect.getsourcelines(function)
    except (OSError, TypeError):
        return str(something)
    del lines
    return f"{Path(inspect.getsourcefile(function) or '').name}:{number}"


def _members(subject: object) -> str:
    names = [name for name in dir(subject) if not name.startswith("_")]
    return ", ".join(names[:8]) or "no public member"
