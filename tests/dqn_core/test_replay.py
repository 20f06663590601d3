"""The replay memory against a naive twin: a list of whole transitions."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dqn_core.memory_budget import ReplayMemoryError, replay_bytes
from dqn_core.replay import Replay
from dqn_core.streams import Stream

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Stored:
    """A whole transition: stacks of frame stamps, oldest first."""

    first_needed_row: int
    obs: tuple[int, ...]
    action: int
    reward: float
    terminated: bool
    next_obs: tuple[int, ...]


class NaiveReplay:
    """One environment's transitions, each with its own copies of everything."""

    def __init__(self, rows: int, stack: int) -> None:
        self.rows, self.stack = rows, stack
        self.written = 0
        self.transitions: list[Stored] = []

    def start(self, stamp: int) -> None:
        self.frames = [stamp]
        self.written += 1

    def append(self, action: int, reward: float, terminated: bool, next_stamp: int) -> None:
        row = self.written - 1
        reach = min(len(self.frames) - 1, self.stack - 1)
        obs = self.stacked()
        self.frames.append(next_stamp)
        self.written += 1
        self.transitions.append(
            Stored(row - reach, obs, action, reward, terminated, self.stacked())
        )

    def stacked(self) -> tuple[int, ...]:
        padded = [self.frames[0]] * self.stack + self.frames
        return tuple(padded[-self.stack :])

    def alive(self) -> list[Stored]:
        oldest = self.written - self.rows
        return [t for t in self.transitions if t.first_needed_row >= oldest]


def frame(stamp: int) -> np.ndarray:
    """A 1 x 2 frame of uint8 that carries a number below 65,536."""
    return np.array([[stamp // 256, stamp % 256]], np.uint8)


def stamps(window: torch.Tensor) -> np.ndarray:
    values = window.numpy().astype(np.int64)
    return values[..., 0, 0] * 256 + values[..., 0, 1]


ends = st.lists(st.sampled_from(["goes on", "goes on", "terminated", "truncated"]), max_size=60)


@settings(max_examples=150)
@given(
    ends=st.lists(ends, min_size=1, max_size=3),
    stack=st.integers(1, 5),
    extra_rows=st.integers(2, 12),
    blocks=st.integers(1, 4),
    at_once=st.integers(1, 5),
)
def test_every_transition_equals_that_of_the_naive_twin(ends, stack, extra_rows, blocks, at_once):
    num_envs = len(ends)
    length = min(len(e) for e in ends)
    rows = stack + extra_rows
    ring = Replay(rows * num_envs, num_envs, (1, 2), np.uint8, stack, CPU)
    twins = [NaiveReplay(rows, stack) for _ in range(num_envs)]
    stamp = 0
    waiting: list[list[np.ndarray]] = []
    for step in range(length * blocks):
        starting = [
            env for env in range(num_envs)
            if step % length == 0 or ends[env][step % length - 1] != "goes on"
        ]  # fmt: skip
        if step % length == 0 and step:  # a segment ends: all episodes were cut
            assert not ring._running.any()
        first = []
        for env in starting:
            stamp += 1
            first.append(frame(stamp))
            twins[env].start(stamp)
        if starting:
            ring.start(np.array(starting), np.stack(first))
        truncate_last = step % length == length - 1
        how = [ends[env][step % length] for env in range(num_envs)]
        terminated = np.array([h == "terminated" for h in how])
        truncated = np.array([h == "truncated" or truncate_last for h in how]) & ~terminated
        action = np.array([(step * 7 + env) % 256 for env in range(num_envs)])
        reward = np.array([step - 0.5 * env for env in range(num_envs)])
        following = []
        for env in range(num_envs):
            stamp += 1
            following.append(frame(stamp))
            twins[env].append(int(action[env]), float(reward[env]), bool(terminated[env]), stamp)
        waiting.append([action, reward, terminated, truncated, np.stack(following)])
        if (terminated | truncated).any() or len(waiting) == min(at_once, extra_rows):
            ring.append(*(np.stack(column) for column in zip(*waiting, strict=True)))
            waiting.clear()
            assert_equal_to_twins(ring, twins)


def assert_equal_to_twins(ring: Replay, twins: list[NaiveReplay]) -> None:
    expected = [(env, t) for env, twin in enumerate(twins) for t in twin.alive()]
    env, row = ring.transitions()
    assert len(ring) == len(expected) == len(env)
    assert env.tolist() == [e for e, _ in expected]
    batch = ring.gather(env, row)
    obs, next_obs = stamps(batch.window[:, :-1]), stamps(batch.window[:, 1:])
    for index, (_, transition) in enumerate(expected):
        assert tuple(obs[index]) == transition.obs
        assert tuple(next_obs[index]) == transition.next_obs
        assert batch.action[index] == transition.action
        assert batch.reward[index] == transition.reward
        assert batch.terminated[index] == transition.terminated


def one_tick(*columns: np.ndarray) -> list[np.ndarray]:
    return [column[None] for column in columns]


def filled(steps: int = 50, rows: int = 20, dtype=np.float32, shape=(3,)) -> Replay:
    ring = Replay(rows, 1, shape, dtype, 1 if len(shape) == 1 else 4, CPU)
    for step in range(steps):
        if step % 7 == 0:
            ring.start(np.array([0]), np.full((1, *shape), step % 250, dtype))
        ends = np.array([step % 7 == 6])
        following = np.full((1, *shape), (step + 1) % 250, dtype)
        ring.append(
            *one_tick(np.array([step % 3]), np.array([step]), ends, ends & False, following)
        )
    return ring


def test_sampling_is_uniform_over_all_that_can_be_sampled():
    ring = filled()
    _, row = ring.transitions()
    batch = ring.sample(Stream(0, "replay"), 20_000)
    slots, counts = np.unique(batch.slots, return_counts=True)
    assert sorted(slots) == sorted(row % ring.rows)
    # Five standard deviations of a binomial count.
    expected = 20_000 / len(row)
    assert np.abs(counts - expected).max() < 5 * expected**0.5


def test_the_newest_transition_can_be_sampled_at_once():
    ring = filled(steps=50)
    rewards = ring.gather(*ring.transitions()).reward
    assert rewards.max() == 49


@pytest.mark.parametrize(("dtype", "shape"), [(np.float32, (3,)), (np.uint8, (6, 5))])
def test_state_round_trip_gives_the_same_samples(dtype, shape):
    ring = filled(dtype=dtype, shape=shape)
    copy = Replay(20, 1, shape, dtype, ring.frame_stack, CPU)
    copy.load_state(ring.state())
    mine, theirs = (r.sample(Stream(1, "replay"), 64) for r in (ring, copy))
    assert torch.equal(mine.window, theirs.window)
    assert torch.equal(mine.reward, theirs.reward)
    assert mine.slots.tolist() == theirs.slots.tolist()


def test_state_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="array 'obs': expected uint8"):
        Replay(20, 1, (6, 5), np.uint8, 1, CPU).load_state(filled().state())
    with pytest.raises(ValueError, match="'reward' is missing"):
        filled().load_state({k: v for k, v in filled().state().items() if k != "reward"})


def test_misuse_is_refused():
    ring = Replay(20, 1, (3,), np.float32, 1, CPU)
    row, no = np.zeros((1, 3), np.float32), np.array([False])
    with pytest.raises(ValueError, match="no transitions"):
        ring.sample(Stream(0, "replay"), 1)
    with pytest.raises(ValueError, match="without an open episode"):
        ring.append(*one_tick(np.array([0]), np.array([0.0]), no, no, row))
    ring.start(np.array([0]), row)
    with pytest.raises(ValueError, match="while an episode is open"):
        ring.start(np.array([0]), row)
    rows, ends = np.zeros((2, 1, 3), np.float32), np.array([[True], [False]])
    with pytest.raises(ValueError, match="beyond the end of an episode"):
        ring.append(np.zeros((2, 1)), np.zeros((2, 1)), ends, ~ends, rows)
    many = np.zeros((20, 1))
    with pytest.raises(ValueError, match="20 transitions at once do not fit 20 rows"):
        ring.append(many, many, many > 0, many > 0, np.zeros((20, 1, 3), np.float32))
    assert len(ring) == 0
    with pytest.raises(ValueError, match="at least 6 rows for each environment, got 5"):
        Replay(10, 2, (84, 84), np.uint8, 4, CPU)


def test_a_memory_that_does_not_fit_is_refused_before_allocation():
    rows = 10_000_000_000
    with pytest.raises(ReplayMemoryError, match=r"actual +70\d{3}\.\d\d GB .*= 10000000000"):
        Replay(rows, 1, (84, 84), np.uint8, 4, CPU)


def test_one_million_atari_frames_take_seven_gigabytes():
    assert replay_bytes(1_000_000, (84, 84), np.uint8) / 1e6 <= 7_200


def test_process_memory_per_atari_transition():
    """Measured from outside: resident memory before and after 200,000 real appends."""
    transitions, episode = 200_000, 250
    process = psutil.Process()
    gc.collect()  # what earlier tests left would otherwise be given back meanwhile
    before = process.memory_info().rss
    ring = Replay(transitions * (episode + 1) // episode, 1, (84, 84), np.uint8, 4, CPU)
    row = np.full((1, 84, 84), 7, np.uint8)
    no, action, reward = np.array([False]), np.array([1]), np.array([1.0])
    for step in range(transitions):
        if step % episode == 0:
            ring.start(np.array([0]), row)
        ends = np.array([step % episode == episode - 1])
        ring.append(*one_tick(action, reward, ends, no, row))
    used = process.memory_info().rss - before
    assert len(ring) == transitions
    assert used / transitions <= 7_200
    assert used / transitions >= 6_800, "the measurement missed the frames themselves"
