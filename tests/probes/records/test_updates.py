"""What must hold of recorded updates, and one wrong one seen."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from probes.records import updates as of_updates
from probes.records.facts import Facts
from probes.subject import Records

errors = st.lists(st.floats(-20, 20), min_size=2, max_size=12).map(np.array)


def huber(error):
    return np.where(abs(error) < 1, 0.5 * error**2, abs(error) - 0.5)


@given(errors, st.sampled_from([huber, lambda e: e**2, lambda e: 0.5 * e**2]))
def test_losses_of_any_usual_kind_hold(error, loss):
    facts = Facts(target=2.0, predicted=2.0 - error)
    assert of_updates.losses_are_of_their_updates(Records(loss=loss(error)), facts).holds


@given(st.floats(2, 20), st.sampled_from([2.5, 16.0, 32.0, -1.0, 0.0]))
def test_a_loss_that_is_scaled_is_seen(error, factor):
    predicted = 2.0 - error * np.array([1.0, 0.7, 0.4])
    losses = factor * huber(2.0 - predicted)
    outcome = of_updates.losses_are_of_their_updates(
        Records(loss=losses), Facts(target=2.0, predicted=predicted)
    )
    assert not outcome.holds
    assert "in update" in outcome.expected


def test_a_loss_of_after_the_update_is_seen():
    error = 3.0 * 0.95 ** np.arange(20.0)
    facts = Facts(target=2.0, predicted=2.0 - error[:-1])
    assert not of_updates.losses_are_of_their_updates(Records(loss=huber(error[1:])), facts).holds
    # Where updates and changes of the values cannot be paired, the first one still can.
    unpaired = of_updates.losses_are_of_their_updates(Records(loss=huber(error)), facts)
    assert (unpaired.holds, unpaired.compared) == (True, 1)


@given(
    st.lists(st.floats(0, 5), min_size=1, max_size=20),
    st.sampled_from([np.nan, np.inf, -0.5]),
    st.data(),
)
def test_the_first_loss_that_is_no_number_is_named(losses, bad, data):
    index = data.draw(st.integers(0, len(losses) - 1))
    assert of_updates.numbers_are_finite(Records(loss=np.array(losses)), Facts()).holds
    losses[index:] = [bad] * (len(losses) - index)
    outcome = of_updates.numbers_are_finite(Records(loss=np.array(losses)), Facts())
    assert not outcome.holds
    assert f"in update {index + 1}, the first of {len(losses) - index} of" in outcome.actual


def test_bounds_are_those_of_the_world_with_half_its_width_of_slack():
    facts = Facts(value_range=(0.0, 2.0))
    for values, holds in (([-0.9, 2.9], True), ([-1.1], False), ([3.1], False)):
        outcome = of_updates.values_are_within_bounds(Records(q_mean=np.array(values)), facts)
        assert outcome.holds is holds
    for losses, holds in (([0.0, 15.9], True), ([16.1], False)):
        outcome = of_updates.losses_are_within_bounds(Records(loss=np.array(losses)), facts)
        assert outcome.holds is holds
