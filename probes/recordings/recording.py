"""A recording of a script, as the observer left it, verified and ready to be looked into."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from probes.observer.recorder import FORMAT
from probes.observer.worlds import read_state, read_tag
from probes.recordings.games import PlayedGames, played_games
from probes.recordings.reading_world import LIVES
from probes.recordings.screens import ShownPlanes, shown_planes

Integers = npt.NDArray[np.int64]
Vector = npt.NDArray[np.float64]

IN_TURNS: Final = 0.5  # of an environment's steps, that follow those of another
UNKNOWN: Final = -1  # the tag of a row that is no observation
# Shapes of arrays in which nothing was recorded.
EMPTY: Final = {
    "resets": (0, 4), "steps": (0, 8), "shown": (0, 2), "call": (0, 7), "call_rows": (0,),
    "call_values": (0, 1), "call_gradients": (0, 1), "weights_at": (0, 2), "row_group": (0,),
    "row_range": (0, 2),
}  # fmt: skip


class RecordingError(ValueError):
    """There is no whole recording."""


class AskedGame(BaseModel):
    """A game as it was asked for; `sticky` is the chance that an action is the one before."""

    model_config = ConfigDict(frozen=True)

    meanings: list[str]
    frameskip: int | tuple[int, int]
    sticky: float
    pixels: tuple[int, int]


class MadeEnvironment(BaseModel):
    """An environment that the script asked for; `size` is 0 for a game."""

    model_config = ConfigDict(frozen=True)

    id: str
    size: int
    actions: int
    arguments: dict[str, Any]
    game: AskedGame | None = None


class OptimizerStep(BaseModel):
    """A step of an optimizer; `holds` are the networks whose parameters it has."""

    model_config = ConfigDict(frozen=True)

    moment: int
    optimizer: int
    kind: str
    holds: list[int]
    gradient_norm: float
    gradient_largest: float
    settings: dict[str, Any]
    tensors: int


class Meta(BaseModel):
    """What a recording says of itself."""

    model_config = ConfigDict(frozen=True)

    format: int
    ended: str
    place: str
    steps: int
    processor_s: float
    arguments: list[str]
    environments: list[MadeEnvironment]
    networks: list[str]
    network_names: list[list[str]]
    optimizer_steps: list[OptimizerStep]
    versions: dict[str, str]
    notes: list[str]
    weights_digests: list[tuple[str, int, str]]
    altered: int
    tags: bool
    num_states: int


@dataclass(frozen=True)
class Call:
    """A call of a network.

    Attributes:
        moment: when.
        network: its number.
        gradient_at: when a gradient came back to it; 0 if none did.
        rows: [B], numbers of the different rows that it was given.
        tags: [B], of the observations that they are; UNKNOWN for what is none.
        values: [B, A].
        gradient: [B, A], if one came back.
    """

    moment: int
    network: int
    gradient_at: int
    rows: Integers
    tags: Integers
    values: Vector
    gradient: Vector | None


class Recording:
    """What one process of a script did.

    Args:
        meta: what it says of itself.
        arrays: see `probes.observer.arrays.packed`.

    Attributes:
        raw_steps: [F, 8], moment, environment, tag before and after, state, action, reward, end; of
            a game each raw frame.
        resets: [K, 4], moment, environment, tag, seed or -1.
        first_inputs: what reached the first layer of the first calls, for their first rows.
    """

    def __init__(self, meta: Meta, arrays: dict[str, npt.NDArray[Any]]) -> None:
        self.meta = meta
        self.raw_steps: Vector = arrays["steps"]
        self.resets: Vector = arrays["resets"]
        self.first_inputs = [arrays[name] for name in arrays if name.startswith("first_input_")]
        self._arrays = arrays

    @property
    def plays_games(self) -> bool:
        """Whether the environments are games of raw frames."""
        return any(made.game for made in self.meta.environments)

    @property
    def shown(self) -> int:
        """How many observations were shown; of a game, frames."""
        return len(self._arrays["shown"])

    @property
    def row_range(self) -> Vector:
        """[R, 2], the smallest and the largest number of each row that a network was given."""
        return self._arrays["row_range"]

    @cached_property
    def screens(self) -> list[tuple[Integers, ShownPlanes]]:
        """Of each shape in which pictures of a game reached a network: which rows, and what."""
        if not self.plays_games:
            return []
        found = []
        group = self._arrays["row_group"]
        for number in range(int(group.max(initial=-1)) + 1):
            planes = shown_planes(self._arrays[f"rows_{number}"], self.shown)
            if planes is not None:
                found.append((np.flatnonzero(group == number), planes))
        return found

    @cached_property
    def row_tags(self) -> Integers:
        """[R], the tag of each row that a network was given; of a stack, of its newest frame.

        Where observations had no tags it is their state.
        """
        group = self._arrays["row_group"]
        tags = np.full(len(group), UNKNOWN, np.int64)
        for places, planes in self.screens:
            tags[places] = np.maximum(planes.newest.max(axis=1), UNKNOWN)
        if self.plays_games:
            return tags
        for number in range(int(group.max(initial=-1)) + 1):
            places = np.flatnonzero(group == number)
            for place, row in zip(places, self._arrays[f"rows_{number}"], strict=True):
                read = read_tag if self.meta.tags else read_state
                tag = read(np.asarray(row, np.float64).ravel(), self.meta.num_states)
                if tag is not None and tag < self.shown:
                    tags[place] = tag
        return tags

    @cached_property
    def games(self) -> PlayedGames | None:
        """The steps taken in games; None if none were played."""
        if not self.plays_games:
            return None
        known = {int(tag) for tag in self.row_tags if tag >= 0}
        stood = {
            int(tag)
            for call in self.calls
            if call.gradient is not None or len(call.tags) == 1
            for tag in call.tags
        }
        return played_games(self.raw_steps, self.resets, known=known, stood=stood, lives=LIVES)

    @property
    def steps(self) -> Vector:
        """[T, 8], the agent's steps in training, as `raw_steps`; of games, put together."""
        return self._trained_on if self.games is None else self.games.steps

    @cached_property
    def _trained_on(self) -> Vector:
        """The steps of environments that were learned from, and not only looked at."""
        played = self.raw_steps[:, 1]
        env = dict(zip(self.raw_steps[:, 2].tolist(), played.tolist(), strict=True))
        sampled = {
            env[tag]
            for call in self.calls
            if call.gradient is not None
            for tag in call.tags.tolist()
            if tag in env
        }
        if not sampled:
            return self.raw_steps
        # Whatever is stepped by turns with the others is trained on, or should be; an evaluation
        # plays many steps on end.
        turns = np.ones(len(played), np.bool_)
        turns[1:] = played[1:] != played[:-1]
        together = {one for one in set(played.tolist()) if turns[played == one].mean() > IN_TURNS}
        return self.raw_steps[np.isin(played, list(sampled | together))]

    @cached_property
    def calls(self) -> list[Call]:
        """All calls of networks, in order."""
        found: list[Call] = []
        row = gradient_row = 0
        for moment, network, rows, gradient_at, _, actions, _ in self._arrays["call"].tolist():
            numbers = self._arrays["call_rows"][row : row + rows]
            values = self._arrays["call_values"][row : row + rows, :actions]
            gradient = None
            if gradient_at:
                whole = self._arrays["call_gradients"][gradient_row : gradient_row + rows]
                gradient = whole[:, :actions].astype(np.float64)
                gradient_row += rows
            found.append(
                Call(
                    moment, network, gradient_at, numbers, self.row_tags[numbers],
                    values.astype(np.float64), gradient,
                )
            )  # fmt: skip
            row += rows
        return found

    def weights(self, network: int) -> tuple[Integers, Vector]:
        """When some entries of a network's weights changed, [W], and what they were, [W, E]."""
        at = self._arrays["weights_at"]
        moments: Integers = at[at[:, 1] == network][:, 0]
        entries = self._arrays.get(f"weights_{network}")
        if entries is None:
            return moments, np.zeros((0, 0))
        return moments, entries.astype(np.float64)


def read_recording(folder: Path) -> Recording:
    """The recording in a folder, as the observer left it.

    Raises:
        RecordingError: if there is none, it was altered, or it is of another format.
    """
    parts: dict[str, bytes] = {}
    try:
        seal = json.loads((folder / "seal.json").read_bytes())
        for name, digest in seal.items():
            parts[name] = (folder / name).read_bytes()
            if hashlib.sha256(parts[name]).hexdigest() != digest:
                raise RecordingError(f"{folder / name}: not as it was recorded")
        meta = Meta.model_validate_json(parts["meta.json"])
    except (OSError, KeyError, AttributeError, json.JSONDecodeError, ValidationError) as error:
        raise RecordingError(f"{folder}: no whole recording ({type(error).__name__})") from error
    if meta.format != FORMAT:
        raise RecordingError(
            f"{folder}: a recording of format {meta.format}\n  expected  {FORMAT}\n"
            "  next      record the script again"
        )
    # Without NumPy there was nothing to be kept in arrays, and without torch there were no rows.
    arrays: dict[str, npt.NDArray[Any]] = {name: np.zeros(form) for name, form in EMPTY.items()}
    if "arrays.npz" in parts:
        with np.load(io.BytesIO(parts["arrays.npz"])) as stored:
            arrays |= {name: stored[name] for name in stored.files}
    return Recording(meta, arrays)
