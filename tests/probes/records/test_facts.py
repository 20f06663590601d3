"""Records that are not there, or do not fit together."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from probes.records import episodes as of_episodes
from probes.records import updates as of_updates
from probes.records.facts import Facts, read_records
from probes.subject import BrokenProtocol, Records, Unsupported


@pytest.mark.parametrize(
    ("prove", "records", "facts", "message"),
    [
        (of_updates.one_loss_per_update, Records(), Facts(updates=(1, 1)), "not recorded: loss"),
        (of_updates.one_loss_per_update, Records(loss=np.ones(1)), Facts(), "not known: updates"),
        (of_updates.counts_are_those_taken, Records(), Facts(updates=(1, 1)), "steps, updates"),
        (of_updates.epsilon_follows_schedule, Records(epsilon=np.ones(1)), Facts(), "epsilon_step"),
        (of_episodes.returns_are_raw, Records(), Facts(), "not recorded: episode_return"),
    ],
)
def test_what_is_not_there_is_a_reason_to_skip(prove, records, facts, message):
    with pytest.raises(Unsupported, match=message):
        prove(records, facts)


def test_records_may_be_anything_with_these_names_but_must_fit_together():
    found = read_records(SimpleNamespace(loss=[1, 2], steps=3))
    np.testing.assert_array_equal(found.loss, [1.0, 2.0])
    assert (found.steps, found.q_mean) == (3, None)
    with pytest.raises(BrokenProtocol, match="loss of one dimension"):
        read_records(SimpleNamespace(loss=[[1.0]]))
    with pytest.raises(BrokenProtocol, match="as many episode_return as episode_length"):
        read_records(SimpleNamespace(episode_return=[1.0], episode_length=[]))
