"""The loop: what a record says, what frozen and overlapped blocks mean, and what may not matter."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
import torch

from dqn_core.acting import Actor
from dqn_core.agent import Agent
from dqn_core.loop import Trainer
from dqn_core.streams import Stream
from tests.dqn_core.small import equal, run, small, small_pong, trainer


@pytest.mark.parametrize("recipe", [small(), pytest.param(small_pong(), marks=pytest.mark.atari)])
def test_the_same_recipe_and_seed_give_the_same_bits_and_another_seed_others(recipe):
    first, one = run(recipe)
    second, two = run(recipe)
    third, _ = run(recipe, seed=1)
    assert one.agent.updates > 100
    assert all(equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(
        torch.equal(a, b)
        for a, b in zip(
            one.agent.online_net.parameters(), two.agent.online_net.parameters(), strict=True
        )
    )
    assert not any(
        np.array_equal(a.action, b.action) for a, b in zip(first[:3], third[:3], strict=True)
    )
    assert first[-1].weights_digest != third[-1].weights_digest


def test_updates_and_syncs_come_when_due():
    # Warm at step 64, the end of the eighth block; then four updates per block of eight steps.
    recipe = small(loop={"train_period_steps": 2, "sync_period_updates": 7})
    made = trainer(recipe)
    target = [p.clone() for p in made.agent.target_net.parameters()]
    moved_at = []
    original = made.agent.sync

    def recording_sync() -> None:
        moved_at.append(made.agent.updates)
        original()

    made.agent.sync = recording_sync
    updates = [block.updates for block in made.blocks()]
    assert updates[:7] == [0] * 7
    assert updates[7:10] == [4, 8, 12]
    assert updates[-1] == 4 * (100 - 7)
    assert moved_at == [update for update in range(1, updates[-1] + 1) if update % 7 == 0]
    assert not torch.equal(target[0], next(made.agent.target_net.parameters()))


def test_the_end_of_a_segment_truncates_every_episode():
    blocks, made = run(small(loop={"num_envs": 4}))
    by_segment = [blocks[start : start + 25] for start in range(0, 100, 25)]
    for segment in by_segment:
        last = segment[-1]
        assert (last.terminated[-1] | last.truncated[-1]).all()
    assert not any(block.truncated.any() for block in by_segment[0][:-1])
    assert made.replay._truncated.sum() > 0
    assert made.step == 800


def test_episodes_cut_by_a_segment_are_not_counted_as_finished():
    blocks, _ = run(small())
    ended = sum(int((block.terminated | block.truncated).sum()) for block in blocks)
    truncate_last = sum(int(block.truncated.sum()) for block in blocks)
    counted = sum(len(block.episode_return) for block in blocks)
    assert truncate_last > 0
    assert counted == ended - truncate_last
    assert all((block.episode_return == block.episode_length).all() for block in blocks)


@pytest.mark.parametrize("overlap", [False, True])
def test_a_block_is_acted_with_the_weights_of_its_start(overlap):
    used, blocks_after_learning = [], 0

    class Telling(Agent):
        def q_values(self, obs):
            used.append(self.weights_digest())
            return super().q_values(obs)

    made = Trainer(small(loop={"overlap": overlap}), 0, torch.device("cpu"), agent=Telling)
    made.threaded = False  # else the next block is begun before the record of this one is seen
    at_start = made.agent.weights_digest()
    for block in made.segment():
        assert set(used) <= {at_start}
        blocks_after_learning += bool(used and block.updates)
        used.clear()
        at_start = made.agent.weights_digest()
    assert blocks_after_learning > 5


# Ten updates of 16 in a block, and syncs between.
LONG_BLOCKS = {"block_steps": 40, "train_period_steps": 4, "sync_period_updates": 15}


@pytest.mark.parametrize(
    "recipe",
    [
        small(),
        pytest.param(small_pong(), marks=pytest.mark.atari),
        pytest.param(small_pong(loop=LONG_BLOCKS), marks=pytest.mark.atari),
    ],
    ids=["mlp", "cnn", "cnn, long blocks"],
)
def test_acting_and_learning_at_the_same_time_give_the_bits_of_one_after_the_other(
    recipe, monkeypatch
):
    monkeypatch.setattr("dqn_core.agent.LARGE_NETWORK_WEIGHTS", 1)
    loop = recipe.loop.model_copy(update={"overlap": True})
    recipe = recipe.model_copy(update={"loop": loop})
    together, _ = run(recipe)
    made = trainer(recipe)
    made.threaded = False
    in_turn = list(made.blocks())
    assert made.agent.updates > 100
    assert all(equal(a, b) for a, b in zip(together, in_turn, strict=True))


ALWAYS_GREEDY = {"initial": 0.0, "final": 0.0}


def test_with_overlap_acting_and_learning_do_not_wait_for_each_other():
    meeting = threading.Barrier(2, timeout=10)
    asked = itertools.count()

    class Meeting(Agent):
        def q_values(self, obs):
            if next(asked) % 8 == 0:  # once in a block
                meeting.wait()
            return super().q_values(obs)

        def learn(self, batches, updates):
            meeting.wait()
            return super().learn(batches, updates)

    recipe = small(loop={"overlap": True}, exploration=ALWAYS_GREEDY)
    made = Trainer(recipe, 0, torch.device("cpu"), agent=Meeting)
    assert sum(block.updates > 0 for block in made.segment()) > 10


@pytest.mark.parametrize("threaded", [True, False])
def test_with_overlap_the_next_block_is_played_while_the_record_of_one_is_looked_at(threaded):
    asked = threading.Semaphore(0)

    class Telling(Agent):
        def q_values(self, obs):
            asked.release()
            return super().q_values(obs)

    recipe = small(loop={"overlap": True}, exploration=ALWAYS_GREEDY)
    made = Trainer(recipe, 0, torch.device("cpu"), agent=Telling)
    made.threaded = threaded
    blocks = made.segment()
    for _ in range(8):
        next(blocks)  # the warm-up, in which no value is asked for
    played = 8 if threaded else 0
    for _ in range(5):
        for _ in range(played):
            assert asked.acquire(timeout=10)
        assert not asked.acquire(blocking=False)
        next(blocks)
        played = 8
    blocks.close()


@pytest.mark.atari
@pytest.mark.parametrize("threaded", [True, False])
def test_targets_of_frames_are_begun_while_the_updates_before_them_are_made(threaded, monkeypatch):
    monkeypatch.setattr("dqn_core.agent.LARGE_NETWORK_WEIGHTS", 1)
    begun = threading.Event()
    met = []

    class Meeting(Agent):
        def td_target(self, batch):
            if threading.current_thread() is not threading.main_thread():
                begun.set()
            return super().td_target(batch)

        def update(self, *batch):
            # Five updates to the next sync: nothing is begun during the last of them.
            met.append(begun.wait(0 if self.updates % 5 == 4 or not threaded else 10))
            begun.clear()
            return super().update(*batch)

    loop = LONG_BLOCKS | {"sync_period_updates": 5}
    made = Trainer(small_pong(loop=loop), 0, torch.device("cpu"), agent=Meeting)
    made.threaded = threaded
    for block in made.segment():
        if block.updates:
            assert met == ([True, True, True, True, False] if threaded else [False] * 5) * 2
        met.clear()
    assert made.agent.updates > 20


@pytest.mark.atari
def test_a_network_learns_without_its_helper_once_a_segment_has_ended_or_was_left(monkeypatch):
    monkeypatch.setattr("dqn_core.agent.LARGE_NETWORK_WEIGHTS", 1)
    made = trainer(small_pong())
    for blocks in (made.segment(), made.segment()):
        while not next(blocks).updates:
            assert made.agent.online_net.second_thread is not None
        if made.step > 200:
            blocks.close()  # left
        else:
            list(blocks)  # ended
        batches = made.replay.sample(Stream(0, "replay"), 16)
        error, _ = made.agent.learn(batches, 1)
        assert error.shape == (1, 16)


@pytest.mark.atari
@pytest.mark.parametrize(("device", "threads"), [("cpu", 1), ("meta", 7)])
def test_every_core_emulates_unless_a_cpu_learns(device, threads, monkeypatch):
    monkeypatch.setattr("dqn_core.loop.available_cores", lambda: 7)
    made = Trainer(small_pong(), 0, torch.device(device))
    assert made.make_envs.keywords == {"threads": threads}


def test_what_goes_wrong_while_acting_is_raised_where_the_run_is_advanced():
    class Broken(Actor):
        def play(self, *_, **__):
            raise RuntimeError("an emulator died")

    made = Trainer(small(loop={"overlap": True}), 0, torch.device("cpu"), actor=Broken)
    with pytest.raises(RuntimeError, match="an emulator died"):
        next(made.blocks())


@pytest.mark.parametrize(("overlap", "unseen"), [(False, 0), (True, 8)])
def test_a_block_is_learned_from_the_replay_as_overlap_says(overlap, unseen):
    """With overlap, the memory as it stood at the start of the block: eight transitions fewer."""
    made = trainer(small(loop={"overlap": overlap}))
    known = []
    original = made.replay.sample

    def recording_sample(stream, batch_size):
        known.append(len(made.replay))
        return original(stream, batch_size)

    made.replay.sample = recording_sample
    steps = [block.step for block in made.segment() if len(block.loss)]
    # The memory is warm at step 64: seen at the end of that block, or at the start of the next.
    assert steps[0] == 64 + unseen
    assert known == [step - unseen for step in steps]


def test_a_run_left_half_way_cannot_go_on_as_if_nothing_were_missing():
    made = trainer(small())
    next(made.blocks())
    with pytest.raises(RuntimeError, match="left at step 8, inside a segment of 200 steps"):
        next(made.blocks())


def test_block_records_carry_the_statistics_of_their_updates():
    blocks, made = run(small())
    learned = [block for block in blocks if len(block.loss)]
    assert len(learned) > 50
    for block in learned:
        assert block.loss.shape == block.q_mean.shape == (4,)
        assert block.replay_slots.shape == (4, 16)
        assert np.isfinite(block.loss).all()
        assert block.gradient_norm > 0
    assert np.isnan(blocks[0].gradient_norm)
    assert made.agent.weights_digest() == blocks[-1].weights_digest
    assert blocks[0].epsilon == 1.0
    assert blocks[-1].epsilon == pytest.approx(0.04)
