"""Which members of a subject are the capabilities that their names say, by trying each."""

from __future__ import annotations

import inspect
import numbers
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from dqn_core.names import unknown
from probes.checks.support.testbed import FRAMES, Trial
from probes.running.place import error_text, place_of
from probes.subject import (
    CAPABILITIES,
    Array,
    BrokenProtocol,
    Capability,
    SubjectError,
    Transitions,
    Unsupported,
)
from probes.worlds.env import observations
from probes.worlds.tables import BRANCHING

BATCH: Final = 8


@dataclass(frozen=True)
class _Unusable:
    """Why a member is not the capability of its name."""

    reason: str
    raised: bool = False


def offers_of(subject: object) -> Collection[str] | None:
    """What the subject itself says that it offers; None if it does not say."""
    return getattr(subject, "offers", None)


def declined_members(trial: Trial) -> tuple[dict[str, str], list[str]]:
    """The capabilities that are there in name only, and those among them that raised.

    Args:
        trial: of the subject, after some steps; those that change it are tried last.

    Returns:
        Reasons by name, and the names of those that took their arguments and raised.

    Raises:
        SubjectError: if one of them is among those that the subject itself says it offers.
    """
    subject = trial.subject
    offers = offers_of(subject)
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
    unlike = signature_unlike(member, values)
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


def signature_unlike(function: Callable[..., Any], values: tuple[Any, ...]) -> str:
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
