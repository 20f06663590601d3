"""What a recording shows of learning: targets, losses, networks and optimizers."""

from __future__ import annotations

from typing import Final

import numpy as np

from probes.observer.worlds import GOES_ON, LIFE_LOST, TERMINATED, TRUNCATED
from probes.outcome import Outcome
from probes.properties.gradients import of_actions_taken_alone
from probes.properties.values import functions_of_one_row
from probes.properties.weights import constant_rate
from probes.recordings.facts import Facts, NotSeenError
from probes.recordings.recording import Integers, Vector
from probes.recordings.spans import WHERE
from probes.recordings.targets import all_pull_alike, pull_of

SAME: Final = 5e-3  # weights of next values that are as near are one
FAR: Final = 1e-2  # from the target: what has no gradient then is left out
BROADCAST: Final = 1e-3  # of the spread of predictions: meant values that are one
ROUNDING: Final = 1e-6  # an average of equal weights is not quite equal
FEWEST_MOVES: Final = 10
SUMS_TO_ONE: Final = 1e-5
ONE_ROW_PAIRS: Final = 400  # of values asked for twice that are compared


def masks_ends(facts: Facts) -> Outcome:
    """The next value weighs nothing where the task ended."""
    ended = facts.weight(TERMINATED)
    return Outcome(
        holds=abs(ended) <= SAME,
        expected="the next value to weigh 0 where the task ended",
        actual=f"it weighs {ended:.4g}",
        compared=facts.target.rows,
    )


def limits_bootstrap(facts: Facts) -> Outcome:
    """The next value weighs as much at a time limit as anywhere."""
    going_on, cut = facts.weight(GOES_ON), facts.weight(TRUNCATED)
    return Outcome(
        holds=abs(cut - going_on) <= SAME,
        expected=f"the next value to weigh {going_on:.4g} at a time limit, as elsewhere",
        actual=f"it weighs {cut:.4g}",
        compared=facts.target.rows,
    )


def masks_and_bootstraps(facts: Facts) -> Outcome:
    """The next value weighs a power of gamma, by how many rewards come before it, and 0 at ends."""
    gamma = facts.gamma
    told, wrong = [], []
    for (end, length), weight in sorted(facts.target.weights.items()):
        due = 0.0 if end == TERMINATED else gamma**length
        words = f"{weight:.4g} after {length} where it {WHERE[end]}"
        told.append(words)
        # A lost life may be taken for an end, as in the paper, or not.
        cut = end == LIFE_LOST and abs(weight) <= SAME
        if abs(weight - due) > SAME and not cut:
            wrong.append(words)
    return Outcome(
        holds=0 < gamma <= 1 and not wrong,
        expected=f"next values to weigh {gamma:.4g} to the power of the rewards before, 0 at ends",
        actual="they weigh " + ", ".join(wrong or told),
        compared=facts.target.rows,
    )


def bootstraps_from_target(facts: Facts) -> Outcome:
    """Next values are those of another network than the one that is trained."""
    if "double" in facts.target.next_value:
        raise NotSeenError("next values are those of double DQN")
    return Outcome(
        holds=facts.roles.target is not None,
        expected="next values of a network that is not trained",
        actual="those of the trained network"
        if facts.roles.target is None
        else "those of another network",
        compared=len(facts.updates),
    )


def aims_at_target(facts: Facts) -> Outcome:
    """The target is reward + gamma * the next value, as a fixed number."""
    if "double" in facts.target.next_value:
        raise NotSeenError("next values are those of double DQN")
    through = sum(update.differentiated_too for update in facts.updates)
    largest = "largest" in facts.target.next_value
    return Outcome(
        holds=largest and not through,
        expected="targets with the largest next value, and no gradient through it",
        actual=f"{facts.target.next_value}; a gradient through it in {through} updates",
        compared=facts.target.rows,
    )


def averages_over_rows(facts: Facts) -> Outcome:
    """The loss is a mean over the batch."""
    loss = facts.target.loss
    return Outcome(
        holds="summed" not in loss,
        expected="a mean over the rows of a batch",
        actual=loss,
        compared=facts.target.rows,
    )


def reaches_actions_taken_alone(facts: Facts) -> Outcome:
    """Gradients at the outputs, and the actions of the log."""
    return of_actions_taken_alone(*facts.gradients)


def begins_as_online(facts: Facts) -> Outcome:
    """Some entries of both networks' weights, when they were first seen."""
    if facts.roles.target is None:
        raise NotSeenError("next values are those of the trained network")
    online_at, online = facts.recording.weights(facts.roles.online)
    _, target = facts.recording.weights(facts.roles.target)
    first_update = facts.updates[0].step.moment
    known = int((online_at < first_update).sum())
    if not known or not len(target) or online.shape[1] != target.shape[1]:
        raise NotSeenError("the networks were not both seen before the first update")
    apart = float(np.abs(online[known - 1] - target[0]).max())
    return Outcome(
        holds=apart <= ROUNDING * float(np.abs(target[0]).max()),
        expected="both networks with the same weights before the first update",
        actual=f"they differ by up to {apart:.2g}",
        compared=target.shape[1],
    )


def moves_by_copies(facts: Facts) -> Outcome:
    """Each move of the target network goes to the online one, or always the same share of it."""
    tau = facts.syncs.tau
    elsewhere = int(np.isnan(tau).sum())
    known = tau[~np.isnan(tau)]
    spread = float(np.ptp(known)) if len(known) else 0.0
    shares = f"{np.median(known):.4g} of the way" if len(known) else "nowhere near"
    return Outcome(
        holds=not elsewhere and spread <= SAME,
        expected="moves to the online network, or by one share of the way",
        actual=f"{len(tau)} moves, {shares}; {elsewhere} went elsewhere",
        compared=len(tau),
    )


def values_are_of_one_row(facts: Facts) -> Outcome:
    """Values of one observation that was asked for more than once between two changes."""
    alone: list[Vector] = []
    again: list[Vector] = []
    versions = {
        network: facts.recording.weights(network)[0]
        for network in (facts.roles.online, facts.roles.target)
        if network is not None
    }
    seen: dict[tuple[int, int, int], Vector] = {}
    for call in facts.recording.calls:
        if call.network not in versions or len(alone) >= ONE_ROW_PAIRS:
            continue
        version = int(np.searchsorted(versions[call.network], call.moment))
        for row, values in zip(call.rows.tolist(), call.values, strict=True):
            key = call.network, version, row
            if key in seen:
                alone.append(seen[key])
                again.append(values)
            seen[key] = values
    if not alone:
        raise NotSeenError("no observation was asked for twice between two changes of the weights")
    return functions_of_one_row(np.stack(alone), {"asked for again": np.stack(again)})


def holds_online_only(facts: Facts) -> Outcome:
    """The networks whose parameters the optimizer has."""
    held = {network for update in facts.updates for network in update.step.holds}
    others = held - {facts.roles.online}
    return Outcome(
        holds=facts.roles.target not in others,
        expected="parameters of the trained network alone",
        actual="those of the target network too" if facts.roles.target in others else "those alone",
        compared=len(facts.updates),
    )


def rate_stays(facts: Facts) -> Outcome:
    """The learning rate of each update."""
    rates = [update.step.settings.get("lr") for update in facts.updates]
    if None in rates:
        raise NotSeenError("the optimizer shows no learning rate")
    moments = facts.recording.steps[:, 0]
    steps = [int(np.searchsorted(moments, update.step.moment)) for update in facts.updates]
    return constant_rate([float(rate) for rate in rates if rate is not None], steps)


def remembers(facts: Facts) -> Outcome:
    """Whether all updates are of one optimizer."""
    kinds = {update.step.optimizer for update in facts.updates}
    return Outcome(
        holds=len(kinds) == 1,
        expected="one optimizer for all updates",
        actual=f"{len(kinds)} optimizers in {len(facts.updates)} updates",
        compared=len(facts.updates),
    )


def decays_no_weight(facts: Facts) -> Outcome:
    """The optimizer's own weight decay."""
    decay = facts.updates[0].step.settings.get("weight_decay")
    if decay is None:
        raise NotSeenError("the optimizer shows no weight decay")
    return Outcome(
        holds=not decay,
        expected="no weight decay",
        actual=f"weight_decay {decay}",
        compared=1,
    )


def big_errors_count(facts: Facts) -> Outcome:
    """Rows without a gradient, and how far they were from what they were meant to be."""
    errors, gradient = np.abs(facts.target.errors), facts.rows.gradient
    known = ~np.isnan(errors)
    lost = known & (gradient == 0) & (errors > FAR)
    return Outcome(
        holds=not lost.any(),
        expected="a gradient wherever the prediction is not the target",
        actual=f"none in {int(lost.sum()):,} of {int(known.sum()):,} rows, whose errors are "
        f"{float(errors[lost].min()):.2g} and more"
        if lost.any()
        else "as expected",
        compared=int(known.sum()),
    )


def small_errors_count_less(facts: Facts) -> Outcome:
    """Whether gradients differ in size at all."""
    pull = np.abs(pull_of(facts.rows))
    pull = pull[pull > 0]
    alike = all_pull_alike(facts.rows)
    return Outcome(
        holds=not alike,
        expected="gradients in proportion to small errors",
        actual=f"all of one size in {len(pull):,} rows, as of an absolute error"
        if alike
        else f"of many sizes, up to {float(pull.max()):.2g}",
        compared=len(pull),
    )


def rows_are_independent(facts: Facts) -> Outcome:
    """Whether each prediction is drawn to its own target, or all to the mean of a batch."""
    rows = facts.rows
    for scale in (0.5, 1.0):
        meant = rows.predicted - scale * pull_of(rows)
        within = [float(np.ptp(meant[rows.update == update])) for update in _some(rows.update)]
        spread = [
            float(np.ptp(rows.predicted[rows.update == update])) for update in _some(rows.update)
        ]
        if np.median(within) <= BROADCAST * np.median(spread):
            return Outcome(
                holds=False,
                expected="each prediction drawn to the target of its row",
                actual="all of a batch drawn to the mean of its targets: [B, 1] less [B] is [B, B]",
                compared=len(rows.tag),
            )
    if facts.target.explained:
        return Outcome(
            holds=True,
            expected="each prediction drawn to the target of its row",
            actual=f"explained by its own row, up to {facts.target.residual:.1g}",
            compared=facts.target.rows,
        )
    raise NotSeenError("the target is not explained")


def _some(update: Integers) -> list[int]:
    """Numbers of up to 20 updates."""
    found: list[int] = np.unique(update)[-20:].tolist()
    return found


def chooses_by_online_values_by_target(facts: Facts) -> Outcome:
    """Which network chooses the next action, and which one values it."""
    if "double" not in facts.target.next_value:
        raise NotSeenError("next values are not those of double DQN")
    exchanged = "exchanged" in facts.target.next_value
    return Outcome(
        holds=not exchanged,
        expected="the online network to choose, the target network to value",
        actual=facts.target.next_value,
        compared=facts.target.rows,
    )


def aims_at_double_target(facts: Facts) -> Outcome:
    """The target of double DQN is a fixed number."""
    if "double" not in facts.target.next_value:
        raise NotSeenError("next values are not those of double DQN")
    through = sum(update.differentiated_too for update in facts.updates)
    return Outcome(
        holds=not through,
        expected="no gradient through the target",
        actual=f"a gradient through it in {through} updates" if through else "as expected",
        compared=facts.target.rows,
    )


def separate_storage(facts: Facts) -> Outcome:
    """Whether the target network is the online one again after each update."""
    if facts.roles.target is None:
        raise NotSeenError("next values are those of the trained network")
    online_at, online = facts.recording.weights(facts.roles.online)
    target_at, target = facts.recording.weights(facts.roles.target)
    if online.shape[1:] != target.shape[1:] or len(online) < FEWEST_MOVES:
        raise NotSeenError(f"the trained network was seen to move {len(online)} times")
    last = np.searchsorted(target_at, online_at, side="right") - 1
    # Both are looked at one after the other; the online network is the first or the second.
    after = np.minimum(last + 1, len(target) - 1)
    one = (target[np.maximum(last, 0)] == online).all(axis=1)
    together = (one | (target[after] == online).all(axis=1))[1:]
    return Outcome(
        holds=not together.all(),
        expected="weights of the target network of their own",
        actual="those of the trained network, after every update"
        if together.all()
        else f"others after {int((~together).sum())} of {len(together)} changes",
        compared=len(together),
    )


def output_is_unbounded(facts: Facts) -> Outcome:
    """Values that the trained network gave."""
    online = facts.roles.online
    values = np.concatenate([c.values for c in facts.recording.calls if c.network == online])
    zeros = float((values == 0).mean())
    sums = float(np.abs(values.sum(axis=1) - 1).max())
    clipped = bool(zeros > 0) and bool((values >= 0).all())
    shares = sums < SUMS_TO_ONE and bool((values >= 0).all())
    told = f"{zeros:.0%} are exactly 0, and none is below" if clipped else "as expected"
    return Outcome(
        holds=not clipped and not shares,
        expected="values of either sign and of any size",
        actual="values of each observation sum to 1" if shares else told,
        compared=values.size,
    )
