"""All that is known of a recording, worked out when it is asked for."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import Final

import numpy as np

from probes.observer.worlds import GOES_ON
from probes.recordings.cadence import (
    Cadence,
    Syncs,
    ages_of,
    cadence_of,
    greedy_of,
    syncs_of,
    taken_at,
)
from probes.recordings.recording import UNKNOWN, Integers, Recording, Vector
from probes.recordings.spans import Spans, spans_of
from probes.recordings.targets import Target, fitted_target
from probes.recordings.updates import (
    ReplayedRows,
    Roles,
    Update,
    replayed_rows,
    roles_of,
    updates_of,
)

RECOGNISED: Final = 0.8  # of the observations, before rows are judged that may be others


class NotSeenError(Exception):
    """What is asked for cannot be told from a recording; says how much is missing."""


class Facts:
    """What a recording shows, each fact by itself.

    Args:
        recording: in the reading world.
        online: a name of the network that is judged, as the script has it; "" for the one that is
            trained most.
    """

    def __init__(self, recording: Recording, online: str = "") -> None:
        self.recording = recording
        self._online = online

    @cached_property
    def updates(self) -> list[Update]:
        """Every update.

        Raises:
            NotSeenError: if there is none.
        """
        found = updates_of(self.recording)
        if self._online:
            names = self.recording.meta.network_names
            found = [one for one in found if self._online in names[one.trained.network]]
        if not found:
            whose = f"called {self._online}" if self._online else "with Q-values"
            raise NotSeenError(f"no update of a network {whose} was seen")
        return found

    @cached_property
    def trained(self) -> dict[str, int]:
        """The networks that are trained, by a name of each, and in how many updates."""
        counts = Counter(one.trained.network for one in updates_of(self.recording))
        return {self.name(network): count for network, count in counts.most_common()}

    def name(self, network: int) -> str:
        """What the script calls a network, or the name of its class."""
        meta = self.recording.meta
        return min(meta.network_names[network], key=len, default=meta.networks[network])

    def require_recognised(self) -> None:
        """Leaves judging to recordings whose observations can be told.

        Raises:
            NotSeenError: if too few of them can.
        """
        tags = self.recording.row_tags
        share = float((tags != UNKNOWN).mean()) if len(tags) else 0.0
        if share < RECOGNISED:
            raise NotSeenError(f"{share:.0%} of the observations were recognised")

    @cached_property
    def roles(self) -> Roles:
        """Which network is which."""
        return roles_of(self.updates)

    @cached_property
    def rows(self) -> ReplayedRows:
        """What was trained on.

        Raises:
            NotSeenError: if no row of it was recognised.
        """
        self.require_recognised()
        found = replayed_rows(self.recording, self.updates, self.roles)
        if not len(found.tag):
            raise NotSeenError("next values of no update were seen")
        return found

    @cached_property
    def spans(self) -> Spans:
        """The steps that these rows stand for."""
        return spans_of(self.recording, self.rows)

    @cached_property
    def target(self) -> Target:
        """What it is trained towards.

        Raises:
            NotSeenError: if no form of target explains what was seen.
        """
        found = fitted_target(self.rows, self.spans)
        if found is None:
            raise NotSeenError("too few replayed rows are steps of the environment")
        if not found.explained:
            raise NotSeenError(f"the target is not explained, off by {found.residual:.2g}")
        return found

    @cached_property
    def cadence(self) -> Cadence:
        """How often it learns."""
        return cadence_of(self.recording, self.updates)

    @cached_property
    def syncs(self) -> Syncs:
        """How the target network moves.

        Raises:
            NotSeenError: if there is none, or it did not move.
        """
        found = syncs_of(self.recording, self.updates, self.roles)
        if found is None:
            raise NotSeenError("next values are those of the trained network")
        if not len(found.tau):
            raise NotSeenError(f"the target network did not move in {len(self.updates)} updates")
        return found

    @cached_property
    def ages(self) -> Integers:
        """How old each replayed row was whose step is known."""
        return ages_of(self.recording, self.updates, self.rows)

    @cached_property
    def known_updates(self) -> Integers:
        """The update of each replayed row whose step is known."""
        order = set(self.recording.steps[:, 2].astype(int).tolist())
        known = np.array([int(tag) in order for tag in self.rows.tag], np.bool_)
        found: Integers = self.rows.update[known]
        return found

    @cached_property
    def taken_at_updates(self) -> Integers:
        """Steps that had been taken at each update."""
        return taken_at(self.recording, self.updates)

    @cached_property
    def greedy(self) -> tuple[Integers, Integers]:
        """Steps before which the network was asked for one observation, and whether it followed."""
        return greedy_of(self.recording, self.roles)

    @cached_property
    def gradients(self) -> tuple[Vector, Integers]:
        """The gradient that came back to each row whose step is known, [N, A], and its action."""
        self.require_recognised()
        actions = {int(step[2]): int(step[5]) for step in self.recording.steps}
        found, taken = [], []
        for update in self.updates:
            call = update.trained
            known = np.array([int(tag) in actions for tag in call.tags], np.bool_)
            if call.gradient is not None and known.any():
                found.append(call.gradient[known])
                taken += [actions[int(tag)] for tag in call.tags[known]]
        if not found:
            raise NotSeenError("no replayed row is a step of the environment")
        return np.concatenate(found), np.array(taken, np.int64)

    @property
    def gamma(self) -> float:
        """The discount of one step: of the second reward of several, or of the next value."""
        weights = self.target.reward_weights
        return weights[1] / weights[0] if weights else self.weight(GOES_ON)

    def weight(self, end: int) -> float:
        """Of the next value where a transition of the usual length ended so.

        Raises:
            NotSeenError: if there were too few.
        """
        weights = {length: w for (kind, length), w in self.target.weights.items() if kind == end}
        if not weights:
            raise NotSeenError("too few replayed rows ended so")
        return weights[max(weights)]
