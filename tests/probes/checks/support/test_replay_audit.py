"""The audit of what is stored: whole, and blind to nothing that it names."""

from __future__ import annotations

import numpy as np
import pytest

from probes.checks.support.replay_audit import (
    CAPACITY,
    DRAWS,
    LOOK,
    READY,
    STEPS,
    AuditTally,
    audit,
    draw,
    stamped_trial,
)
from probes.checks.support.testbed import Testbed
from probes.subject import BrokenProtocol, Transitions
from probes.subjects.core import make
from tests.probes.played import played


def test_true_transitions_pass_the_audit_in_every_aspect():
    tallies = audit(*played())
    assert not [tally for tally in tallies.values() if tally.expected]
    assert all(tally.compared for tally in tallies.values())


def broken(column, change, where):
    """A way to break a column of the true transitions, and the aspect that it must be named as."""

    def apply(ledger, true):
        steps = list(ledger.taken.values())
        rows = {
            "anywhere": np.ones(len(steps), bool),
            "within": np.array([not (s.terminated or s.truncated) for s in steps]),
            "at ends": np.array([s.terminated for s in steps]),
            "at limits": np.array([s.truncated for s in steps]),
        }[where]
        values = getattr(true, column).copy()
        values[rows] = change(values)[rows]
        return true._replace(**{column: values})

    return apply


@pytest.mark.parametrize(
    ("aspect", "breaking"),
    [
        ("transition", broken("action", lambda a: (a + 1) % 5, "anywhere")),
        ("transition", broken("reward", lambda r: np.roll(r, 1), "anywhere")),
        ("transition", broken("next_obs", lambda o: np.roll(o, -1, axis=0), "within")),
        ("transition", broken("obs", lambda o: o + 1, "anywhere")),
        ("transition", broken("terminated", lambda t: ~t, "at ends")),
        ("transition", broken("terminated", lambda t: ~t, "within")),
        ("final observation", broken("next_obs", lambda o: np.roll(o, -1, axis=0), "at limits")),
        ("time limit", broken("terminated", lambda t: ~t, "at limits")),
    ],
)
def test_what_is_broken_is_named_and_nothing_else(aspect, breaking):
    ledger, true = played()
    tallies = audit(ledger, breaking(ledger, true))
    assert [name for name, tally in tallies.items() if tally.expected] == [aspect]


def test_a_step_from_a_final_observation_is_a_dead_one_and_nothing_else():
    ledger, true = played()
    ends = np.flatnonzero([step.truncated for step in ledger.taken.values()])
    dead = Transitions(*(np.array(column) for column in true))
    dead.obs[ends] = true.next_obs[ends]
    tallies = audit(ledger, dead)
    assert [name for name, tally in tallies.items() if tally.expected] == ["dead step"]


def test_what_follows_the_end_of_the_task_does_not_matter():
    ledger, true = played()
    lost = broken("next_obs", np.zeros_like, "at ends")(ledger, true)
    assert not [tally for tally in audit(ledger, lost).values() if tally.expected]


def test_a_tally_tells_the_first_difference_and_counts_all():
    tally = AuditTally()
    tally.note(1, 1, "here")
    tally.note(1, 2, "there")
    tally.note(1, 3, "elsewhere")
    outcome = tally.outcome("ones")
    assert (outcome.holds, outcome.expected, outcome.actual) == (False, "there: 1", "2")
    assert outcome.compared == 3
    assert not AuditTally().outcome("nothing").compared


def test_columns_of_another_shape_break_the_protocol():
    trial, _ = stamped_trial(Testbed(make, seed=0))
    trial.train(READY)
    whole = trial.subject.sample
    assert draw(trial, LOOK).obs.shape == (LOOK, 4)
    trial.subject.sample = lambda size: whole(size)._replace(action=np.zeros((size, 1)))
    with pytest.raises(BrokenProtocol, match=r"sample\(16\)\.action of shape \(16,\)"):
        draw(trial, LOOK)


def test_looks_and_draws_miss_nothing():
    # Any one of the transitions of a memory, at one of the wrap positions that come up thrice.
    assert ((CAPACITY - 1) / CAPACITY) ** (LOOK * (STEPS - CAPACITY)) < 1e-15
    moments = STEPS // (CAPACITY // 3)
    assert CAPACITY * moments * np.exp(-DRAWS) < 1e-10
