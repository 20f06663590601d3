"""Checkpoints and models: whole or refused, and by which mistake."""

from __future__ import annotations

import math
import random  # noqa: TID251  # a generator of the test's own picks the bits to flip
from pathlib import Path

import pytest
import torch

from dqn_core.checkpoint import CheckpointError, load_model, save_checkpoint
from dqn_core.train import TrainingRun
from tests.dqn_core.small import CPU, checkpoint_of, files, finish, small, trainer


def test_any_flipped_bit_is_found_before_anything_is_loaded(tmp_path):
    checkpoint = checkpoint_of(tmp_path)
    names = sorted(path.name for path in checkpoint.iterdir())
    assert len(names) == 5
    pick = random.Random(0)
    for name in names:
        path = checkpoint / name
        healthy = path.read_bytes()
        for position in {0, len(healthy) // 2, len(healthy) - 1, pick.randrange(len(healthy))}:
            damaged = bytearray(healthy)
            damaged[position] ^= 1 << pick.randrange(8)
            path.write_bytes(bytes(damaged))
            fresh = trainer(small())
            before = fresh.agent.weights_digest()
            with pytest.raises(CheckpointError, match=r"damaged|not a complete checkpoint"):
                TrainingRun(fresh, tmp_path, resume=True)
            assert (fresh.agent.weights_digest(), len(fresh.replay)) == (before, 0)
        path.write_bytes(healthy)
    finish(small(), tmp_path, resume=True)


def test_a_missing_or_truncated_file_is_found(tmp_path):
    checkpoint = checkpoint_of(tmp_path)
    weights = checkpoint / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"damaged(.|\n)*weights\.safetensors(.|\n)*next"):
        finish(small(), tmp_path, resume=True)
    weights.unlink()
    with pytest.raises(CheckpointError, match=r"not a complete checkpoint"):
        finish(small(), tmp_path, resume=True)


def test_a_checkpoint_of_another_recipe_or_seed_names_the_differences(tmp_path):
    checkpoint_of(tmp_path)
    other = small(td={"gamma": 0.5}, replay={"batch_size": 8})
    with pytest.raises(CheckpointError, match=r"td\.gamma: 0\.99 in the checkpoint, 0\.5 here"):
        finish(other, tmp_path, resume=True)
    with pytest.raises(CheckpointError, match=r"seed: 0 in the checkpoint, 3 here"):
        TrainingRun(trainer(small(), seed=3), tmp_path, resume=True)


def test_a_failing_write_leaves_the_older_checkpoint(tmp_path, monkeypatch):
    checkpoint = checkpoint_of(tmp_path)
    before = files(checkpoint)

    def no_space(path: Path) -> None:
        if path.name.startswith(".step_"):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("dqn_core.files.sync", no_space)
    with pytest.raises(CheckpointError, match=r"could not be written(.|\n)*No space left"):
        finish(small(), tmp_path, resume=True)
    monkeypatch.undo()
    assert files(checkpoint) == before
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == [checkpoint.name]


def test_what_a_writer_killed_while_saving_left_aside_is_no_obstacle(tmp_path):
    run = finish(small(), tmp_path / "killed", windows=6)
    (tmp_path / "killed" / "checkpoints" / ".step_000000400.partial").mkdir()
    assert run.trainer.step == 240
    finish(small(), tmp_path / "killed", resume=True)
    finish(small(), tmp_path / "unbroken")
    assert files(tmp_path / "killed") == files(tmp_path / "unbroken")


def test_checkpoints_belong_to_segment_boundaries(tmp_path):
    made = trainer(small())
    next(made.blocks())
    with pytest.raises(CheckpointError, match=r"expected a multiple of loop.segment_steps = 200"):
        save_checkpoint(made, tmp_path / "c", {})


def test_the_best_model_carries_its_return_in_its_name_and_can_be_played(tmp_path):
    run = finish(small(evaluation={"rolling_episodes": 2}), tmp_path)
    (best,) = (tmp_path / "best").iterdir()
    _, total, _, step = best.name.split("_")
    rows = (tmp_path / "curve.csv").read_text().splitlines()
    header = rows[0].split(",")
    rolling = {
        int(row.split(",")[0]): float(row.split(",")[header.index("rolling_return")])
        for row in rows[1:]
    }
    assert float(total) == pytest.approx(
        max(v for v in rolling.values() if not math.isnan(v)), abs=5e-4
    )
    assert rolling[int(step)] == pytest.approx(float(total), abs=5e-4)
    loaded = load_model(best, CPU)
    last = load_model(tmp_path / "checkpoints" / "step_000000800", CPU)
    for mine, trained in zip(
        last.agent.online_net.parameters(), run.trainer.agent.online_net.parameters(), strict=True
    ):
        assert torch.equal(mine, trained)
    assert loaded.step == 0
    with pytest.raises(CheckpointError, match=r"damaged|complete"):
        load_model(tmp_path / "best", CPU)


def test_a_model_is_no_checkpoint(tmp_path):
    finish(small(evaluation={"rolling_episodes": 2}), tmp_path)
    (best,) = (tmp_path / "best").iterdir()
    best.rename(tmp_path / "checkpoints" / "step_000000900")
    with pytest.raises(CheckpointError, match=r"holds only a model"):
        finish(small(evaluation={"rolling_episodes": 2}), tmp_path, resume=True)
