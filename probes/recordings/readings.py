"""What a script does, as a table: each value as it was observed, beside that of the paper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Final

import numpy as np

from probes.recordings.facts import Facts, NotSeenError
from probes.recordings.frame_readings import frame_readings
from probes.recordings.reading import Reading
from probes.recordings.recording import UNKNOWN, Recording
from probes.recordings.spans import WHERE
from probes.recordings.updates import Update

NOT_SEEN: Final = "not seen"
WINDOWS: Final = 4  # in which greedy actions are counted
CLOSE: Final = 1e-3
SETTINGS: Final = ("betas", "eps", "alpha", "momentum", "weight_decay", "centered", "amsgrad")
PUBLISHED: Final = {
    "target network": "copied every 10,000 updates",
    "replay memory": "1,000,000 steps",
}
CLIPPED_SHARE: Final = 0.05  # of updates whose gradient has the largest norm of all


def readings(facts: Facts) -> list[Reading]:
    """Everything that can be read off a recording of the reading world."""
    return list(_readings(facts))


def _readings(facts: Facts) -> Iterator[Reading]:
    yield _environments(facts.recording)
    try:
        yield _networks(facts)
    except NotSeenError:
        steps = len(facts.recording.meta.optimizer_steps)
        why = f"{steps} steps of an optimizer, none after a call of a network with Q-values"
        yield Reading("updates", f"{NOT_SEEN}: {why}", seen=False)
        return
    for name, read in OF_ROWS.items():
        try:
            yield from read(facts)
        except NotSeenError as missing:
            yield Reading(name, f"{NOT_SEEN}: {missing}", PUBLISHED.get(name, ""), seen=False)
    yield from _learning(facts)
    yield from _exploration(facts)
    if facts.recording.plays_games:
        try:
            yield from frame_readings(facts)
        except NotSeenError as missing:
            yield Reading("frames", f"{NOT_SEEN}: {missing}", seen=False)
    yield from _rows(facts)


def _environments(recording: Recording) -> Reading:
    made = Counter(one.id for one in recording.meta.environments)
    arguments = {name: value for one in recording.meta.environments[:1]
                 for name, value in one.arguments.items()}  # fmt: skip
    told = ", ".join(f"{count} x {name}" if count > 1 else name for name, count in made.items())
    words = ", ".join(f"{name}={value}" for name, value in arguments.items())
    if not made:
        return Reading("environment", f"{NOT_SEEN}: none was made", seen=False)
    return Reading("environment", f"{told}{f' ({words})' if words else ''}")


def _networks(facts: Facts) -> Reading:
    roles = facts.roles
    told = f"{facts.name(roles.online)} is trained; next values "
    told += "are its own" if roles.target is None else f"from {facts.name(roles.target)}"
    return Reading("networks", told, "a target network")


def _recognised(recording: Recording) -> Reading:
    tags = recording.row_tags
    share = float((tags != UNKNOWN).mean()) if len(tags) else 0.0
    return Reading("observations recognised", f"{share:.1%} of {len(tags):,}")


def _learning(facts: Facts) -> Iterator[Reading]:
    cadence, updates = facts.cadence, facts.updates
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


def _rows(facts: Facts) -> Iterator[Reading]:
    yield _recognised(facts.recording)
    try:
        real, rows = int((facts.spans.length > 0).sum()), len(facts.rows.tag)
        yield Reading("replayed rows that are steps", f"{real:,} of {rows:,}", "all")
    except NotSeenError as missing:
        yield Reading("replayed rows that are steps", f"{NOT_SEEN}: {missing}", "all", seen=False)


def _target(facts: Facts) -> Iterator[Reading]:
    target = facts.target
    loss = target.loss
    if target.saturated:
        loss += f"; {target.saturated:.0%} of the errors beyond it"
    elif loss.startswith("half") and target.largest_error < 1:
        loss += f", or Huber: no error was above {target.largest_error:.2g}"
    yield Reading("loss", loss, "Huber")
    yield Reading("next value", target.next_value, "the largest of the target network")
    told = ", ".join(
        f"{_number(weight)} where it {WHERE[end]}{f' after {length} steps' if length > 1 else ''}"
        for (end, length), weight in sorted(target.weights.items())
    )
    yield Reading("weight of the next value", told, "0.99, 0 where it is terminated")
    lengths = {length for _, length in target.weights}
    yield Reading("steps of a transition", str(max(lengths, default=1)), "1")
    if target.reward_weights:
        yield Reading("weights of the rewards", ", ".join(map(_number, target.reward_weights)))
        return
    of = f", of {target.paid}" if facts.recording.plays_games else ""
    yield Reading("rewards are learned", f"{_rewards(target.rewards)}{of}", "clipped to [-1, 1]")


def _rewards(learned: dict[float, float]) -> str:
    """What is made of rewards, in a word if there is one."""
    paid = np.array(list(learned))
    found = np.array(list(learned.values()))
    for words, due in (
        ("as they are", paid),
        ("clipped to [-1, 1]", np.clip(paid, -1, 1)),
        ("as their signs", np.sign(paid)),
    ):
        if np.abs(found - due).max(initial=0.0) <= CLOSE:
            return words
    shares = found[paid != 0] / paid[paid != 0]
    if len(shares) > 1 and np.ptp(shares) <= CLOSE * abs(shares[0]):
        return f"times {_number(float(shares[0]))}"
    return ", ".join(f"{r:g} as {_number(v)}" for r, v in learned.items() if abs(r - v) > CLOSE)


def _target_network(facts: Facts) -> Iterator[Reading]:
    syncs = facts.syncs
    known = syncs.tau[~np.isnan(syncs.tau)]
    tau = float(np.median(known)) if len(known) else float("nan")
    how = "copied" if abs(tau - 1) < CLOSE else f"moved {_number(tau)} of the way"
    elsewhere = int(np.isnan(syncs.tau).sum())
    strange = f"; {elsewhere} of {len(syncs.tau)} moves went elsewhere" * bool(elsewhere)
    every = _counted(syncs.updates_between) if syncs.updates_between else "?"
    yield Reading("target network", f"{how} every {every} updates{strange}",
                  PUBLISHED["target network"])  # fmt: skip


def _replay(facts: Facts) -> Iterator[Reading]:
    ages, taken = facts.ages, len(facts.recording.steps)
    if not len(ages):
        raise NotSeenError("no replayed row is a step")
    oldest = int(ages.max())
    held = f"at least {oldest:,}" if oldest > 0.9 * taken else f"{oldest:,}"
    yield Reading("replay memory", f"{held} of {taken:,} steps; the newest row was {ages.min():,} "
                  "steps old", PUBLISHED["replay memory"])  # fmt: skip


def _exploration(facts: Facts) -> Iterator[Reading]:
    steps, greedy = facts.greedy
    taken = len(facts.recording.steps)
    if not len(steps):
        yield Reading("exploration", f"{NOT_SEEN}: the network was asked for no single observation",
                      seen=False)  # fmt: skip
        return
    shares = []
    for first, last in pairwise(np.linspace(0, taken, WINDOWS + 1)):
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


# What is read off replayed rows, and what it is called where it was not seen.
OF_ROWS: Final[dict[str, Callable[[Facts], Iterator[Reading]]]] = {
    "target": _target,
    "target network": _target_network,
    "replay memory": _replay,
}
