"""Replay memory: a ring of observation rows per environment.

A row is one observation (a single frame, or a vector) and what was done with it. The observation
that an episode ends with is a row without an action. Frames are stored once: stacks and next
observations are put together when sampling, never across the start of an episode and never across
the write head. A transition can be sampled as soon as it is appended, and until the first row of
its stack is overwritten; all such transitions are equally likely.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dqn_core.memory_budget import replay_bytes, require_memory
from dqn_core.streams import Stream

Array = npt.NDArray[Any]

# What a checkpoint stores: [N, rows, ...] and [N] arrays.
PER_ROW: Final = ("obs", "action", "reward", "terminated", "truncated", "history", "order")
PER_ENV: Final = ("num_rows", "first", "end", "running")


@dataclass(frozen=True, slots=True)
class Batch:
    """B sampled transitions; k frames are stacked in an observation.

    Attributes:
        window: [B, k + 1, height, width] uint8, or [B, 2, D] float32: the frames of the
            observation, oldest first, then the newest frame of the next observation.
        action: [B] int64.
        reward: [B] float32, raw.
        terminated: [B] bool.
        slots: [B] int64 on the host, where the transitions lie: env * rows + row.
    """

    window: Tensor
    action: Tensor
    reward: Tensor
    terminated: Tensor
    slots: npt.NDArray[np.int64]

    @property
    def obs(self) -> Tensor:
        """[B, k, height, width] uint8, or [B, D] float32."""
        return self.window[:, 0] if self.window.ndim == 3 else self.window[:, :-1]

    @property
    def next_obs(self) -> Tensor:
        """The observation one step later, of the same shape; shares memory with `obs`."""
        return self.window[:, 1] if self.window.ndim == 3 else self.window[:, 1:]

    def rows(self, start: int, stop: int) -> Batch:
        """The transitions from `start` to before `stop`; shares memory."""
        if stop - start == len(self.slots):
            return self
        columns = (self.window, self.action, self.reward, self.terminated)
        window, action, reward, terminated = (column[start:stop] for column in columns)
        return Batch(window, action, reward, terminated, self.slots[start:stop])


class Replay:
    """The ring.

    Args:
        capacity_rows: rows over all environments; each gets an equal share.
        num_envs: number of environments, N.
        row_shape: (height, width) of a frame or (D,) of a vector.
        dtype: of a row, uint8 for frames, float32 for vectors.
        frame_stack: frames in an observation, k; 1 for vectors.
        device: where the observations live; all else stays on the host.

    Raises:
        ReplayMemoryError: before any allocation, if it would not fit.
    """

    def __init__(
        self,
        capacity_rows: int,
        num_envs: int,
        row_shape: tuple[int, ...],
        dtype: npt.DTypeLike,
        frame_stack: int,
        device: torch.device,
    ) -> None:
        self.rows = capacity_rows // num_envs
        self.num_envs = num_envs
        self.frame_stack = frame_stack
        self.device = device
        if self.rows < frame_stack + 2:
            raise ValueError(
                f"replay: expected at least {frame_stack + 2} rows for each environment, got "
                f"{self.rows} (capacity_rows {capacity_rows} over {num_envs} environments)"
            )
        require_memory(replay_bytes(capacity_rows, row_shape, dtype), capacity_rows, device)
        total = num_envs * self.rows
        rows = torch.from_numpy(np.empty((0, *row_shape), dtype))
        self._obs = rows.new_empty((total, *row_shape), device=device)
        self._action = np.zeros(total, np.uint8)
        self._reward = np.zeros(total, np.float32)
        self._terminated = np.zeros(total, np.bool_)
        self._truncated = np.zeros(total, np.bool_)
        # Rows before this one in its episode, as far as a stack reaches: at most k - 1.
        self._history = np.zeros(total, np.uint8)
        # Rows and transitions of an environment are numbered from its first one, for ever; a slot
        # is env * rows + number % rows. `_order` lists the rows that are transitions.
        self._order = np.zeros(total, np.int64)
        self._num_rows = np.zeros(num_envs, np.int64)
        self._first = np.zeros(num_envs, np.int64)  # oldest transition that can be sampled
        self._end = np.zeros(num_envs, np.int64)  # one past the newest
        self._running = np.zeros(num_envs, np.bool_)  # an episode is open
        self._everywhere = np.arange(num_envs)
        self._base = self._everywhere * self.rows
        self._window = np.arange(1 - frame_stack, 2)  # numbers of frames, from that of an action

    def __len__(self) -> int:
        """Number of transitions that can be sampled."""
        return int((self._end - self._first).sum())

    def start(self, envs: npt.NDArray[np.int64], obs: Array) -> None:
        """Opens an episode in some environments.

        Args:
            envs: [M] int64, indices of the environments.
            obs: [M, *row_shape], their first observations.

        Raises:
            ValueError: if an episode is still open in one of them.
        """
        if self._running[envs].any():
            raise ValueError("replay: start() while an episode is open; end it with append()")
        self._running[envs] = True
        self._write(envs, obs[None], np.zeros((1, len(envs)), np.uint8))

    def append(
        self, action: Array, reward: Array, terminated: Array, truncated: Array, next_obs: Array
    ) -> None:
        """Stores T consecutive transitions of every environment.

        Args:
            action: [T, N] integer below 256.
            reward: [T, N] float, raw.
            terminated: [T, N] bool, ended by the task.
            truncated: [T, N] bool, ended by a limit.
            next_obs: [T, N, *row_shape], what the action led to; the last observation of the
                episode where it ended, never the first of the next one.

        Raises:
            ValueError: if some environment has no open episode, if an episode ends before the last
                of the T transitions, or if the ring is too small for all of them.
        """
        ended = terminated | truncated
        if not self._running.all():
            raise ValueError("replay: append() without an open episode; call start() first")
        if ended[:-1].any():
            raise ValueError("replay: append() beyond the end of an episode; call start() between")
        tick = np.arange(len(action))[:, None]
        number = self._num_rows - 1 + tick
        slot = self._base + number % self.rows
        # As far as a stack reaches back from the next observations.
        history = np.minimum(self._history[slot[0]] + 1 + tick, self.frame_stack - 1)
        self._write(self._everywhere, next_obs, history)
        self._action[slot] = action
        self._reward[slot] = reward
        self._terminated[slot] = terminated
        self._truncated[slot] = truncated
        self._order[self._base + (self._end + tick) % self.rows] = number
        self._end += len(action)
        self._running = ~ended[-1]

    def _write(self, envs: npt.NDArray[np.int64], obs: Array, history: Array) -> None:
        """Writes the next rows, [T, M, ...], of environments [M]."""
        newest = self._num_rows[envs] + len(obs) - 1
        if len(obs) > self.rows - self.frame_stack:
            raise ValueError(f"replay: {len(obs)} transitions at once do not fit {self.rows} rows")
        # Evicted while the history of the overwritten rows still says how far a stack reaches.
        self._evict(envs, newest - self.rows, len(obs))
        number = self._num_rows[envs] + np.arange(len(obs))[:, None]
        slot = self._base[envs] + number % self.rows
        if self.device.type == "cpu":
            self._obs.numpy()[slot] = obs
        else:
            rows = torch.from_numpy(np.ascontiguousarray(obs)).to(self.device).flatten(0, 1)
            self._obs.index_copy_(0, torch.from_numpy(slot.reshape(-1)).to(self.device), rows)
        self._history[slot] = history
        self._num_rows[envs] += len(obs)

    def _evict(self, envs: Array, overwritten: npt.NDArray[np.int64], count: int) -> None:
        """Gives up the transitions whose stack begins at or before an overwritten row.

        Args:
            envs: [M] int64, indices of the environments.
            overwritten: [M] int64, number of the last row that is overwritten.
            count: rows that are overwritten now.
        """
        if (overwritten < 0).all():
            return
        # Stacks begin in the order of the transitions, and no two of one frame number: a bound.
        nth = self._first[envs] + np.arange(count + self.frame_stack)[:, None]
        base = self._base[envs]
        begin = self._begin(base, self._order[base + nth % self.rows])
        self._first[envs] += ((begin <= overwritten) & (nth < self._end[envs])).sum(axis=0)

    def _begin(self, base: Array, row: Array) -> Any:
        """Numbers of the first rows of the stacks of some rows."""
        return row - self._history[base + row % self.rows]

    def sample(self, stream: Stream, batch_size: int) -> Batch:
        """Draws transitions uniformly, with replacement.

        Args:
            stream: the `replay` stream; `batch_size` integers are drawn from it.
            batch_size: B.

        Raises:
            ValueError: if there is nothing to sample.
        """
        available = np.cumsum(self._end - self._first)
        if not available[-1]:
            raise ValueError("replay: sample() while there are no transitions")
        rank = stream.integers(int(available[-1]), batch_size)
        env = np.searchsorted(available, rank, side="right")
        nth = rank - available[env] + self._end[env]
        row = self._order[self._base[env] + nth % self.rows]
        return self.gather(env, row)

    def gather(self, env: npt.NDArray[np.int64], row: npt.NDArray[np.int64]) -> Batch:
        """Puts together the transitions at the given rows.

        Args:
            env: [B] int64, index of the environment.
            row: [B] int64, number of the row within the environment, counted from its first ever.
        """
        base = self._base[env]
        slot = base + row % self.rows
        # The k frames of the observation, oldest first, then the next frame. Where the episode is
        # younger than a stack, its first frame is repeated.
        earliest = row - self._history[slot]
        number = np.maximum(row[:, None] + self._window, earliest[:, None])
        slots = base[:, None] + number % self.rows
        index = torch.from_numpy(slots.reshape(-1)).to(self.device)
        window = self._obs.index_select(0, index).view(*slots.shape, *self._obs.shape[1:])
        return Batch(
            window=window,
            action=self._upload(self._action[slot].astype(np.int64)),
            reward=self._upload(self._reward[slot]),
            terminated=self._upload(self._terminated[slot]),
            slots=slot,
        )

    def transitions(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Environment and row number, both [len(self)] int64, of all that can be sampled."""
        env = np.repeat(np.arange(self.num_envs), self._end - self._first)
        nth = np.concatenate(
            [np.arange(a, b) for a, b in zip(self._first, self._end, strict=True)]
        ).astype(np.int64)
        return env, self._order[self._base[env] + nth % self.rows]

    def _upload(self, values: Array) -> Tensor:
        return torch.from_numpy(values).to(self.device)

    def state(self) -> dict[str, Array]:
        """All contents by name; rows never written are left out."""
        used = min(int(self._num_rows.max()), self.rows)
        arrays = {name: self._by_env(name)[:, :used].copy() for name in PER_ROW}
        return arrays | {name: getattr(self, f"_{name}").copy() for name in PER_ENV}

    def load_state(self, arrays: dict[str, Array]) -> None:
        """Restores what `state` returned from a memory of the same shape.

        Raises:
            ValueError: naming the array that is missing or of another shape or type.
        """
        for name in (*PER_ROW, *PER_ENV):
            if name not in arrays:
                raise ValueError(f"replay state: array {name!r} is missing")
            mine, given = self._by_env(name), arrays[name]
            fits = given.shape[0] == mine.shape[0] and given.shape[2:] == mine.shape[2:]
            if not fits or given.dtype != mine.dtype or given.shape[1:2] > mine.shape[1:2]:
                raise ValueError(
                    f"replay state: array {name!r}: expected {mine.dtype} {mine.shape} or fewer "
                    f"rows, got {given.dtype} {given.shape}"
                )
        for name in PER_ROW:
            target = self._obs if name == "obs" else torch.from_numpy(getattr(self, f"_{name}"))
            by_env = target.view(self.num_envs, self.rows, *target.shape[1:])
            by_env[:, : arrays[name].shape[1]] = self._upload(arrays[name]).to(target.device)
        for name in PER_ENV:
            getattr(self, f"_{name}")[:] = arrays[name]

    def _by_env(self, name: str) -> Array:
        """A stored array on the host, [N, rows, ...] for rows, [N] for counters."""
        values: Array = self._obs.cpu().numpy() if name == "obs" else getattr(self, f"_{name}")
        return values if name in PER_ENV else values.reshape(-1, self.rows, *values.shape[1:])
