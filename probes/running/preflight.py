"""Before any check: whether a subject is one, and which of its members are what they seem to be.

A subject that cannot take a step is not judged at all. A member that has the name of a capability
but is something else, such as a `sample` that takes no size, is *declined*: it is not made use of,
and that is said. `offers` in a subject names those that are meant; then they have to work. One
that takes the right arguments and raises may be something else as well, or broken: checks that need
it are inconclusive.
"""

from __future__ import annotations

import inspect
import numbers
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from dqn_core.names import unknown
from probes.checks.support.testbed import FRAMES, Testbed, Trial
from probes.running.expected import checked
from probes.running.place import error_text, place_of
from probes.subject import (
    CAPABILITIES,
    Array,
    BrokenProtocol,
    Capability,
    Factory,
    SubjectError,
    Transitions,
    Unsupported,
)
from probes.traits import read_traits
from probes.worlds.env import View, WorldEnv, observations
from probes.worlds.tables import BRANCHING

REQUIRED: Final = {"train": "(steps)", "q_values": "(obs)"}
BATCH: Final = 8
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


@dataclass(frozen=True)
class Inspection:
    """What a preflight found.

    Attributes:
        declined: what the subject has in name only, and why.
        raised: those of them that took their arguments, and raised.
        expected: reasons by code of the reds that the subject itself documents.
        traits: declared by the subject, by name.
    """

    declined: dict[str, str] = field(default_factory=dict)
    raised: list[str] = field(default_factory=list)
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
    declined, raised = _declined(trial)
    if frames:
        declined |= _frames_declined(
            factory, seed, offered=FRAMES in (_offers(trial.subject) or ())
        )
    documented = getattr(trial.subject, "expected", None) or {}
    return Inspection(
        declined,
        raised,
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
    found = _signature_unlike(function, values)
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


def _offers(subject: object) -> Collection[str] | None:
    """What the subject itself says that it offers; None if it does not say."""
    return getattr(subject, "offers", None)


@dataclass(frozen=True)
class _Unusable:
    """Why a member is not the capability of its name."""

    reason: str
    raised: bool = False


def _declined(trial: Trial) -> tuple[dict[str, str], list[str]]:
    """The capabilities that are there in name only, and those among them that raised.

    Raises:
        SubjectError: if one of them is among those that the subject itself says it offers.
    """
    subject = trial.subject
    offers = _offers(subject)
    for name in offers or ():
        if name not in {*CAPABILITIES, FRAMES}:
            raise SubjectError(unknown("capability", name, [*CAPABILITIES, FRAMES]))
    declined: dict[str, str] = {}
    raised: list[str] = []
    for name, about in CAPABILITIES.items():
        if offers is not None and name not in offers:
            if inspect.getattr_static(subject, name, None) is not None:
                declined[name] = "not among what it offers"
            continue
        found = _unusable(trial, name)
        if offers is not None and not found and getattr(subject, name, None) is None:
            found = _Unusable("it has no member of that name")
        if offers is not None and found:
            raise SubjectError(f"agent: it offers {name}, but {found.reason}\n  expected  {about}")
        if found:
            declined[name] = found.reason
            raised += [name] * found.raised
    return declined, raised


def _unusable(trial: Trial, name: Capability) -> _Unusable | None:
    """Why a member is not the capability of its name; None if it is, or if there is none."""
    try:
        member = getattr(trial.subject, name, None)
    except Exception as error:  # noqa: BLE001  # a property may raise anything
        return _Unusable(f"reading it raised {error_text(error)} at {place_of(error)}", raised=True)
    if member is None:
        return None
    kind = MODULES.get(name)
    if kind is not None:
        fits = isinstance(member, kind)
        return None if fits else _Unusable(f"it is a {type(member).__name__}")
    if not callable(member):
        return _Unusable(f"it is a {type(member).__name__}, and no method")
    arguments, wrong = TRIALS[name]
    values = arguments(trial)
    unlike = _signature_unlike(member, values)
    return _Unusable(unlike) if unlike else _tried(member, values, wrong)


def _tried(
    member: Callable[..., Any], values: tuple[Any, ...], wrong: Callable[..., str]
) -> _Unusable | None:
    """What is wrong with what a method does with these arguments."""
    try:
        reason = wrong(member, *values)
    except (Unsupported, NotImplementedError) as error:
        absent = isinstance(error, NotImplementedError)
        reason = "it is not implemented" if absent else ""
    except BrokenProtocol as broken:  # but for shapes, a property of its own
        shapes = broken.rule == "shapes"
        reason = f"expected {broken.expected}; {broken.actual}" if shapes else ""
    except Exception as error:  # noqa: BLE001  # whatever it raises
        return _Unusable(f"it raised {error_text(error)} at {place_of(error)}", raised=True)
    return _Unusable(reason) if reason else None


def _signature_unlike(function: Callable[..., Any], values: tuple[Any, ...]) -> str:
    """The signature of a function that does not take these arguments; "" if it does."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # not every builtin has one
        return ""
    try:
        signature.bind(*values)
    except TypeError as error:
        name = getattr(function, "__name__", type(function).__name__)
        return f"it is {name}{signature}: {error}"
    return ""


def _transitions() -> Transitions:
    """Some steps in the world of the trial, one of them its end."""
    shown = observations(BRANCHING, "vector")
    here = np.arange(BATCH) % BRANCHING.num_states
    action = np.arange(BATCH) % BRANCHING.num_actions
    return Transitions(
        obs=shown[here],
        action=action,
        reward=BRANCHING.reward[here, action].astype(np.float32),
        next_obs=shown[BRANCHING.next_state[here, action]],
        terminated=BRANCHING.terminated[here, action],
    )


def _values_wrong(method: Callable[[Array], Any], obs: Array) -> str:
    values = np.asarray(method(obs))
    due = (len(obs), BRANCHING.num_actions)
    return "" if values.shape == due else f"it returned {_form(values)}, not {list(due)}"


def _targets_wrong(method: Callable[[Transitions], Any], transitions: Transitions) -> str:
    # Targets of another shape may be a fault of their own: [B, 1] against [B].
    values = np.asarray(method(transitions))
    return "" if values.dtype.kind == "f" else f"it returned {_form(values)}"


def _update_wrong(method: Callable[[Transitions], Any], transitions: Transitions) -> str:
    method(transitions)
    return ""


def _sample_wrong(method: Callable[[int], Any], size: int) -> str:
    drawn = method(size)
    try:
        columns = tuple(map(np.asarray, drawn))
    except TypeError:
        return f"it returned a {type(drawn).__name__}, not five columns"
    if len(columns) != len(Transitions._fields):
        return f"it returned {len(columns)} columns, not {', '.join(Transitions._fields)}"
    shape = observations(BRANCHING, "vector").shape[1:]
    for name, column in zip(Transitions._fields, columns, strict=True):
        due = (size, *shape) if name.endswith("obs") else (size,)
        if column.shape != due:
            return f"its column {name} is {_form(column)}, not {list(due)}"
    return ""


def _weighted_sample_wrong(method: Callable[[int], Any], size: int) -> str:
    rows, weights = method(size)
    found = np.asarray(weights)
    unlike = "" if found.size == size else f"its weights are {_form(found)}, not [{size}]"
    return unlike or _sample_wrong(lambda _: rows, size)


def _evaluate_wrong(method: Callable[[int], Any], episodes: int) -> str:
    returns = np.asarray(method(episodes))
    fits = returns.shape == (episodes,) and returns.dtype.kind in "fiu"
    return "" if fits else f"it returned {_form(returns)}, not the returns [{episodes}]"


def _save_wrong(method: Callable[[Path], Any], folder: Path) -> str:
    with tempfile.TemporaryDirectory() as name:
        method(Path(name))
        return "" if any(Path(name).iterdir()) else f"it wrote nothing into {folder}"


def _number_wrong(method: Callable[[], Any]) -> str:
    number = method()
    return "" if isinstance(number, numbers.Real) else f"it returned a {type(number).__name__}"


def _not_called(method: Callable[..., Any], *values: Any) -> str:
    del method, values
    return ""


MODULES: Final[dict[Capability, type]] = {
    "online_net": torch.nn.Module,
    "target_net": torch.nn.Module,
    "optimizer": torch.optim.Optimizer,
}
# What each is called with, and what is wrong with what comes back; those that change the subject
# come last.
Arguments = Callable[[Trial], tuple[Any, ...]]
TRIALS: Final[dict[Capability, tuple[Arguments, Callable[..., str]]]] = {
    "target_values": (lambda _: (observations(BRANCHING, "vector"),), _values_wrong),
    "td_targets": (lambda _: (_transitions(),), _targets_wrong),
    "sample": (lambda _: (BATCH,), _sample_wrong),
    "weighted_sample": (lambda _: (BATCH,), _weighted_sample_wrong),
    "replay_bytes": (lambda _: (), _number_wrong),
    "epsilon": (lambda _: (), _number_wrong),
    "records": (lambda _: (), _not_called),
    "preprocess": (lambda trial: (trial.watched[0],), _not_called),
    "update": (lambda _: (_transitions(),), _update_wrong),
    "save": (lambda _: (Path("a folder"),), _save_wrong),
    "load": (lambda _: (Path("a folder"),), _not_called),
    "evaluate": (lambda _: (1,), _evaluate_wrong),
}


def _form(values: Array) -> str:
    return f"{values.dtype} {list(values.shape)}"


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
