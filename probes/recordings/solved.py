"""Values that a script learned in a world, beside the solved ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from probes.outcome import Outcome
from probes.recordings.facts import Facts, NotSeenError
from probes.recordings.recording import Recording, Vector
from probes.recordings.updates import roles_of, updates_of
from probes.worlds.tables import (
    BRANCHING,
    CONSTANT_REWARD,
    CUT_SHORT,
    DELAYED_REWARD,
    REWARD_BY_ACTION,
    REWARD_BY_OBS,
    REWARD_BY_OBS_AND_ACTION,
    TWO_STEP,
)
from probes.worlds.world import World

# Episodes that go on in value for ever take a discount near one too long to learn, and noise takes
# a small learning rate; these do not.
LEARNED_IN: Final[dict[str, World]] = {
    "world.constant-reward.vector": CONSTANT_REWARD,
    "world.reward-by-observation.vector": REWARD_BY_OBS,
    "world.two-step-discounting.vector": TWO_STEP,
    "world.reward-by-action.vector": REWARD_BY_ACTION,
    "world.reward-by-observation-and-action.vector": REWARD_BY_OBS_AND_ACTION,
    "world.branching.vector": BRANCHING,
    "world.delayed-reward.vector": DELAYED_REWARD,
    "world.two-ends.vector": CUT_SHORT,
}
LAST: Final = 0.1  # of the updates: values at the end are the mean over these
BEFORE: Final = (0.7, 0.8)  # with which they are compared
FEWEST_ROWS: Final = 30  # in which a value was trained, before it is judged
FEWEST_SHARE: Final = 0.25  # of an even share of the rows: greedy actions leave others untrained
# A discount near one is hardly another when it is squared; it was read off more exactly before.
TOO_NEAR: Final = frozenset({"discount missing", "discount twice"})
STILL: Final = 0.5  # of the tolerance, within which settled values stay
CLOSE: Final = 1e-3


def as_table(world: World) -> dict[str, Any]:
    """A world as the observer is given it, see `probes.observer.worlds.World`."""
    return {
        "next_state": world.next_state.tolist(),
        "reward": world.reward.tolist(),
        "noise": world.noise.tolist(),
        "terminated": world.terminated.tolist(),
        "truncated": world.truncated.tolist(),
        "starts": list(world.starts),
        "lengths": [],
    }


@dataclass(frozen=True)
class Learner:
    """What decides which values a script comes to, as it was read off.

    Attributes:
        gamma: the discount of a step.
        n_step: rewards that are summed.
        made_of: what a reward is learned as.
    """

    gamma: float
    n_step: int
    made_of: Callable[[Vector], Vector]

    def world(self, world: World) -> World:
        """The world that this learner is in.

        Raises:
            NotSeenError: if its values are not known there.
        """
        if self.n_step > 1 and world.num_actions > 1:
            raise NotSeenError(
                f"values of {self.n_step} rewards depend on how often each action is taken"
            )
        low, high = world.reward - world.noise, world.reward + world.noise
        made = (self.made_of(low) + self.made_of(high)) / 2
        apart = tuple(one for one in world.separates if one not in TOO_NEAR)
        return replace(world, reward=made, n_step=self.n_step, separates=apart)


def learner_of(facts: Facts) -> Learner:
    """What a script is, by a recording in the reading world.

    Raises:
        NotSeenError: if its discount or what it makes of rewards is not known.
    """
    lengths = {length for _, length in facts.target.weights}
    paid = np.array(list(facts.target.rewards))
    found = np.array(list(facts.target.rewards.values()))
    if not len(paid):  # of several steps, which are taken as they are
        return Learner(facts.gamma, max(lengths, default=1), lambda reward: reward)
    shares = found[paid != 0] / paid[paid != 0]
    share = float(np.median(shares))
    ways: tuple[Callable[[Vector], Vector], ...] = (
        lambda reward: reward,
        lambda reward: np.clip(reward, -1, 1),
        np.sign,
        lambda reward: share * reward,
    )
    for way in ways:
        if np.abs(way(paid) - found).max() <= CLOSE:
            return Learner(facts.gamma, max(lengths, default=1), way)
    raise NotSeenError("what rewards are learned as is no clipping and no scale")


@dataclass(frozen=True)
class Learned:
    """Values at the end of a run, [S, A] each; NaN where none were seen.

    Attributes:
        values: of the trained network.
        moved: how far they were from them some updates before.
        apart: how far those of the target network are.
        rows: in which each was trained.
    """

    values: Vector
    moved: Vector
    apart: Vector
    rows: npt.NDArray[np.int64]


def learned_values(recording: Recording, num_states: int, num_actions: int) -> Learned:
    """What was learned of the states of a world, whose numbers are the tags of the recording.

    Raises:
        NotSeenError: if no update was seen.
    """
    updates = updates_of(recording)
    if not updates:
        raise NotSeenError("no update of a network with Q-values was seen")
    roles = roles_of(updates)
    moments = [update.step.moment for update in updates]

    def mean(network: int, first: float, last: float) -> Vector:
        begin, end = (moments[min(int(part * len(moments)), len(moments) - 1)]
                      for part in (first, last))  # fmt: skip
        late = last == 1.0
        sums, counts = np.zeros((num_states, num_actions)), np.zeros((num_states, 1))
        for call in recording.calls:
            if call.network == network and begin <= call.moment and (late or call.moment <= end):
                known = call.tags >= 0
                np.add.at(sums, call.tags[known], call.values[known][:, :num_actions])
                np.add.at(counts, call.tags[known], 1)
        with np.errstate(invalid="ignore"):
            found: Vector = sums / counts
        return found

    rows = np.zeros((num_states, num_actions), np.int64)
    for update in updates:
        gradient = update.trained.gradient
        if gradient is not None:
            used = (update.trained.tags >= 0) & (np.abs(gradient).max(axis=1) > 0)
            actions = np.abs(gradient[used]).argmax(axis=1)
            np.add.at(rows, (update.trained.tags[used], actions), 1)
    values = mean(roles.online, 1 - LAST, 1.0)
    target = values if roles.target is None else mean(roles.target, 1 - LAST, 1.0)
    return Learned(
        values, np.abs(values - mean(roles.online, *BEFORE)), np.abs(target - values), rows
    )


def learned_as_solved(recording: Recording, world: World, learner: Learner) -> Outcome:
    """The values of a script that trained in a world, beside the solved ones.

    Raises:
        NotSeenError: if nothing was learned there, or its values are not known.
    """
    meant = learner.world(world)
    actions = recording.meta.environments[0].actions
    found = learned_values(recording, world.num_states, actions)
    columns = np.arange(actions) % world.num_actions
    solved, tolerance = meant.solve(learner.gamma)[:, columns], meant.tolerance(learner.gamma)
    fewest = max(FEWEST_ROWS, FEWEST_SHARE * found.rows.sum() / found.rows.size)
    judged = (found.rows >= fewest) & ~np.isnan(found.values)
    if not judged.any() or not tolerance:
        raise NotSeenError(f"no value was trained in {fewest:.0f} rows")
    distance = np.where(judged, np.abs(found.values - solved), 0.0)
    state, action = np.unravel_index(np.argmax(distance), distance.shape)
    right = bool((distance <= tolerance).all())
    moving = np.nanmax(np.where(judged, np.fmax(found.moved, found.apart), 0.0))
    still = moving <= STILL * tolerance
    told = f"{found.values[state, action]:.3f} after {len(updates_of(recording)):,} updates"
    if not right and not still:
        told += f", and still moving, by {moving:.2g}: more --updates tell"
    elif not right:
        alike = [
            faulty
            for faulty in meant.separates
            if np.abs(found.values - meant.solve(learner.gamma, faulty)[:, columns])[judged].max()
            <= tolerance
        ]
        told += f", as if: {' or '.join(alike)}" if alike else ""
    return Outcome(
        holds=True if right else False if still else None,
        expected=f"Q(s{state}, a{action}) = {solved[state, action]:.3f} ± {tolerance:.3f}, "
        f"with gamma {learner.gamma:.4g}",
        actual=told,
        compared=int(judged.sum()),
    )
