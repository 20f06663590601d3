"""What a run has recorded of its episodes, held against those that were played."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from probes.outcome import Outcome
from probes.records.facts import Facts, column, known, within
from probes.subject import Records


def returns_are_raw(records: Records, facts: Facts) -> Outcome:
    """Every recorded return is that of an episode which was played."""
    recorded = _rounded(column(records, "episode_return"))
    paid = _rounded(episode.episode_return for episode in known(facts, "paid"))
    invented = [total for total in recorded if total not in paid]
    return Outcome(
        holds=not invented,
        expected=f"returns of the {len(paid)} episodes played: {_listed(paid)}",
        actual=f"{len(invented)} of {len(recorded)} are others: {_listed(invented)}"
        if invented
        else _listed(recorded),
        compared=len(recorded),
    )


def episodes_count_once(records: Records, facts: Facts) -> Outcome:
    """As many episodes are recorded as ended, and none of them twice."""
    recorded = _rounded(column(records, "episode_return"))
    paid = _rounded(episode.episode_return for episode in known(facts, "paid"))
    times, due = Counter(recorded), Counter(paid)
    twice = [total for total, count in times.items() if 0 < due[total] < count]
    return Outcome(
        holds=len(recorded) == len(paid) and not twice,
        expected=f"{len(paid)} episodes, each recorded once, however it ended",
        actual=f"{len(recorded)} recorded"
        + (f", more than once those of return {_listed(twice)}" if twice else ""),
        compared=len(paid),
    )


def lengths_are_agent_steps(records: Records, facts: Facts) -> Outcome:
    """No length is recorded more often than it was played."""
    recorded = column(records, "episode_length").tolist()
    paid = [float(episode.length) for episode in known(facts, "paid")]
    strange = sorted((Counter(recorded) - Counter(paid)).elements())
    return Outcome(
        holds=not strange,
        expected=f"lengths of the episodes played, in agent steps: {_listed(paid)}",
        actual=_listed(recorded),
        compared=len(recorded),
    )


def environments_are_kept_apart(records: Records, facts: Facts) -> Outcome:
    """Return and length belong to one episode of one environment; steps are those of all."""
    totals = _rounded(column(records, "episode_return"))
    recorded = Counter(zip(totals, column(records, "episode_length").tolist(), strict=True))
    paid = Counter((round(total, 4), float(length)) for total, length in known(facts, "paid"))
    wrong = sum((recorded - paid).values())
    steps = facts.steps if records.steps is None else records.steps
    return Outcome(
        holds=recorded == paid and steps == facts.steps,
        expected=f"return and length of {paid.total()} episodes, and {facts.steps} steps",
        actual=f"{recorded.total()} episodes, {wrong} of them not played, and {steps} steps",
        compared=paid.total(),
    )


def lengths_are_within_limit(records: Records, facts: Facts) -> Outcome:
    """No episode is longer than the limit of the environment."""
    return within(records, facts, "episode_length", (1.0, float(known(facts, "length_limit"))))


def returns_are_within_range(records: Records, facts: Facts) -> Outcome:
    """No return is one that the environment cannot pay."""
    return within(records, facts, "episode_return", known(facts, "return_range"))


def _rounded(totals: Iterable[float]) -> list[float]:
    """To four decimals, so that the precision in which they were summed does not matter."""
    return [round(float(total), 4) for total in totals]


def _listed(numbers: list[float]) -> str:
    shown = ", ".join(f"{number:g}" for number in numbers[:6])
    return (shown + (", ..." if len(numbers) > 6 else "")) or "none"
