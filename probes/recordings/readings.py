"""What a script does, as a table: each value as it was observed, beside that of the paper."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from probes.recordings.cadence import ages_of, cadence_of, greedy_of, syncs_of
from probes.recordings.recording import UNKNOWN, Recording
from probes.recordings.targets import ENDS, Target, fitted_target, spans_of
from probes.recordings.updates import (
    ReplayedRows,
    Roles,
    Update,
    replayed_rows,
    roles_of,
    updates_of,
)

NOT_SEEN: Final = "not seen"
WINDOWS: Final = 4  # in which greedy actions are counted
CLOSE: Final = 1e-3
SETTINGS: Final = ("betas", "eps", "alpha", "momentum", "weight_decay", "centered", "amsgrad")
CLIPPED_SHARE: Final = 0.05  # of updates whose gradient has the largest norm of all


class Reading(NamedTuple):
    """A line of the table.

    Attributes:
        name: of what was looked for.
        found: as observed, in words and numbers; "not seen" with why, if it was not.
        published: the value of Mnih et al. 2015, extended data table 1; "" where it has none.
        seen: whether it was.
    """

    name: str
    found: str
    published: str = ""
    seen: bool = True


def readings(recording: Recording) -> list[Reading]:
    """Everything that can be read off a recording of the reading world."""
    return list(_readings(recording))


def _readings(recording: Recording) -> Iterator[Reading]:
    meta = recording.meta
    yield _environments(recording)
    updates = updates_of(recording)
    if not updates:
        steps = len(meta.optimizer_steps)
        why = f"{steps} steps of an optimizer, none after a call of a network with Q-values"
        yield Reading("updates", f"{NOT_SEEN}: {why}", seen=False)
        return
    roles = roles_of(updates)
    rows = replayed_rows(recording, updates, roles)
    yield _networks(recording, roles)
    yield _recognised(recording)
    yield from _learning(recording, updates)
    if roles.target is not None or len(rows.tag):
        spans = spans_of(recording, rows)
        real = int((spans.length > 0).sum())
        yield Reading("replayed rows that are steps", f"{real:,} of {len(rows.tag):,}", "all")
        yield from _target(fitted_target(rows, spans))
    yield from _target_network(recording, updates, roles)
    yield from _replay(recording, updates, rows)
    yield from _exploration(recording, roles)


def _environments(recording: Recording) -> Reading:
    made = Counter(one.id for one in recording.meta.environments)
    arguments = {name: value for one in recording.meta.environments[:1]
                 for name, value in one.arguments.items()}  # fmt: skip
    told = ", ".join(f"{count} x {name}" if count > 1 else name for name, count in made.items())
    words = ", ".join(f"{name}={value}" for name, value in arguments.items())
    if not made:
        return Reading("environment", f"{NOT_SEEN}: none was made", seen=False)
    return Reading("environment", f"{told}{f' ({words})' if words else ''}")


def _networks(recording: Recording, roles: Roles) -> Reading:
    names = recording.meta.networks
    online = f"{names[roles.online]} is trained"
    if roles.target is None:
        return Reading("networks", f"{online}; next values are its own", "a target network")
    return Reading("networks", f"{online}; next values from another {names[roles.target]}",
                   "a target network")  # fmt: skip


def _recognised(recording: Recording) -> Reading:
    tags = recording.row_tags
    share = float((tags != UNKNOWN).mean()) if len(tags) else 0.0
    return Reading("observations recognised", f"{share:.1%} of {len(tags):,}")


def _learning(recording: Recording, updates: list[Update]) -> Iterator[Reading]:
    cadence = cadence_of(recording, updates)
    yield Reading("batch size", _counted(cadence.batch_sizes), "32")
    yield Reading("steps before the first update", f"{cadence.warmup_steps:,}", "50,000")
    yield Reading("steps between updates", _counted(cadence.steps_between_updates), "4")
    steps = [update.step for update in updates]
    rates = sorted({float(step.settings["lr"]) for step in steps if "lr" in step.settings})
    rate = f"{rates[0]:g}" if len(rates) == 1 else f"{rates[-1]:g} to {rates[0]:g}"
    others = {k: v for k, v in steps[0].settings.items() if k in SETTINGS and v}
    words = ", ".join(f"{name} {_plain(value)}" for name, value in others.items())
    told = f"{steps[0].kind}, learning rate {rate}{f', {words}' if words else ''}"
    yield Reading("optimizer", told, "RMSProp, 0.00025, centred")
    yield Reading("gradients", _clipping(updates), "not clipped")


def _clipping(updates: list[Update]) -> str:
    norms = np.array([update.step.gradient_norm for update in updates])
    largest = np.array([update.step.gradient_largest for update in updates])
    for words, values in (("norm", norms), ("each number", largest)):
        at_most = np.abs(values - values.max()) <= CLOSE * values.max()
        if len(values) > 20 and at_most.mean() > CLIPPED_SHARE and at_most.sum() > 2:
            return f"{words} clipped to {values.max():.4g}"
    return f"not seen to be clipped; norms from {norms.min():.3g} to {norms.max():.3g}"


def _target(target: Target | None) -> Iterator[Reading]:
    if target is None:
        yield Reading("target", f"{NOT_SEEN}: too few rows", seen=False)
        return
    if not target.explained:
        yield Reading(
            "target",
            f"not explained: nearest is {target.loss} towards {target.next_value}, off by "
            f"{target.residual:.2g}",
            seen=False,
        )
        return
    saturated = f"; {target.saturated:.0%} of the errors beyond its knee" * bool(target.saturated)
    yield Reading("loss", f"{target.loss}{saturated}", "Huber")
    yield Reading("next value", target.next_value, "the largest of the target network")
    weights = {
        f"{ENDS[end]}{f' after {length} steps' if length > 1 else ''}": weight
        for (end, length), weight in sorted(target.weights.items())
    }
    told = ", ".join(f"{_number(weight)} where it {kind}" for kind, weight in weights.items())
    yield Reading("weight of the next value", told.replace("it t", "it is t"),
                  "0.99, 0 where terminated")  # fmt: skip
    lengths = {length for _, length in target.weights}
    yield Reading("steps of a transition", str(max(lengths, default=1)), "1")
    if target.rewards:
        changed = {r: v for r, v in target.rewards.items() if abs(r - v) > CLOSE}
        words = ", ".join(f"{r:g} as {_number(v)}" for r, v in changed.items())
        yield Reading("rewards are learned", words or "as they are", "clipped to [-1, 1]")
    else:
        words = ", ".join(map(_number, target.reward_weights))
        yield Reading("weights of the rewards", words)


def _target_network(recording: Recording, updates: list[Update], roles: Roles) -> Iterator[Reading]:
    syncs = syncs_of(recording, updates, roles)
    if syncs is None:
        yield Reading("target network", "none: next values are those of the trained network",
                      "synced every 10,000 updates")  # fmt: skip
        return
    if not len(syncs.tau):
        yield Reading("target network", f"never moved in {len(updates):,} updates",
                      "synced every 10,000 updates", seen=False)  # fmt: skip
        return
    known = syncs.tau[~np.isnan(syncs.tau)]
    tau = float(np.median(known)) if len(known) else float("nan")
    how = "copied" if abs(tau - 1) < CLOSE else f"moved {_number(tau)} of the way"
    elsewhere = int(np.isnan(syncs.tau).sum())
    strange = f"; {elsewhere} of {len(syncs.tau)} moves went elsewhere" * bool(elsewhere)
    every = _counted(syncs.updates_between) if syncs.updates_between else "?"
    yield Reading("target network", f"{how} every {every} updates{strange}",
                  "copied every 10,000 updates")  # fmt: skip


def _replay(recording: Recording, updates: list[Update], rows: ReplayedRows) -> Iterator[Reading]:
    ages = ages_of(recording, updates, rows)
    if not len(ages):
        yield Reading("replay memory", f"{NOT_SEEN}: no replayed row is a step", seen=False)
        return
    taken = len(recording.steps)
    oldest = int(ages.max())
    held = f"at least {oldest:,}" if oldest > 0.9 * taken else f"{oldest:,}"
    yield Reading("replay memory", f"{held} of {taken:,} steps; the newest row was {ages.min():,} "
                  "steps old", "1,000,000 steps")  # fmt: skip


def _exploration(recording: Recording, roles: Roles) -> Iterator[Reading]:
    steps, greedy = greedy_of(recording, roles)
    taken = len(recording.steps)
    if not len(steps):
        yield Reading("exploration", f"{NOT_SEEN}: the network was asked for no single observation",
                      seen=False)  # fmt: skip
        return
    edges = np.linspace(0, taken, WINDOWS + 1)
    shares = []
    for first, last in itertools.pairwise(edges):
        inside = (steps >= first) & (steps < last)
        shares.append(float(greedy[inside].sum() / max(last - first, 1)))
    words = ", ".join(f"{share:.0%}" for share in shares)
    yield Reading("actions of the largest value", f"{words} of each quarter of {taken:,} steps",
                  "epsilon from 1 to 0.1")  # fmt: skip


def _counted(counts: Counter[int]) -> str:
    """The usual value; with how often, where there are several."""
    (value, count), *others = counts.most_common(3)
    if not others:
        return f"{value:,}"
    total = sum(counts.values())
    rest = ", ".join(f"{other:,}" for other, _ in others)
    return f"{value:,} ({count / total:.0%} of the times; also {rest})"


def _number(value: float) -> str:
    rounded = round(value, 4)
    return f"{0.0 if rounded == 0 else rounded:g}"


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "(" + ", ".join(f"{one:g}" for one in value) + ")"
    return f"{value:g}" if isinstance(value, float) else str(value)
