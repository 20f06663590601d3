"""What must hold of recorded episodes, and one wrong one seen."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from probes.records import episodes as of_episodes
from probes.records.facts import Episode, Facts
from probes.subject import Records

numbers = st.integers(-5_000, 5_000).map(lambda cents: cents / 100)
episodes = st.lists(st.builds(Episode, numbers, st.integers(1, 30)), min_size=1, max_size=12)


def told(paid: list[Episode], **others: object) -> Records:
    """Records of exactly these episodes."""
    return Records(
        episode_return=np.array([episode.episode_return for episode in paid]),
        episode_length=np.array([episode.length for episode in paid]),
        **others,
    )


@given(episodes)
def test_honest_episodes_hold(paid):
    facts = Facts(paid=tuple(paid), steps=7, length_limit=30, return_range=(-50.0, 50.0))
    for prove in (
        of_episodes.returns_are_raw,
        of_episodes.episodes_count_once,
        of_episodes.lengths_are_agent_steps,
        of_episodes.environments_are_kept_apart,
        of_episodes.lengths_are_within_limit,
        of_episodes.returns_are_within_range,
    ):
        assert prove(told(paid, steps=7), facts).holds, prove


@given(episodes, st.data())
def test_one_wrong_episode_is_seen(paid, data):
    index = data.draw(st.integers(0, len(paid) - 1))
    facts = Facts(paid=tuple(paid), steps=7, length_limit=30, return_range=(-50.0, 50.0))
    other = paid[index]._replace(episode_return=paid[index].episode_return + 1000)
    changed = told([*paid[:index], other, *paid[index + 1 :]])
    assert not of_episodes.returns_are_raw(changed, facts).holds
    assert not of_episodes.returns_are_within_range(changed, facts).holds
    longer = told([*paid[:index], paid[index]._replace(length=31), *paid[index + 1 :]])
    assert not of_episodes.lengths_are_agent_steps(longer, facts).holds
    assert not of_episodes.lengths_are_within_limit(longer, facts).holds
    for counted in (told(paid[:index] + paid[index + 1 :]), told([*paid, paid[index]])):
        assert not of_episodes.episodes_count_once(counted, facts).holds
        assert not of_episodes.environments_are_kept_apart(counted, facts).holds


def test_return_and_length_of_two_episodes_do_not_make_one():
    paid = [Episode(1.0, 2), Episode(3.0, 4)]
    swapped = told([Episode(1.0, 4), Episode(3.0, 2)])
    outcome = of_episodes.environments_are_kept_apart(swapped, Facts(paid=tuple(paid)))
    assert not outcome.holds
    assert outcome.actual.startswith("2 episodes, 2 of them not played")
