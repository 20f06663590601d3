"""Settings are found in a script's source, and made smaller where they hide what it does."""

from __future__ import annotations

import pytest

from probes.scripts.observed import Script
from probes.scripts.settings import OTHER_SEED, lengthened, seeded_otherwise, settings_of, shortened
from tests.probes.scripts.specimens import ARGUMENTS, CONSTANTS, FRAMES


def _script(folder, text, **fields):
    (folder / "train.py").write_text(text)
    return Script(folder / "train.py", **fields)


def test_arguments_come_before_constants(tmp_path):
    script = _script(
        tmp_path,
        "import argparse\nWARMUP = 10 * 1000\nparser = argparse.ArgumentParser()\n"
        "parser.add_argument('-w', '--warm-up', type=int, default=5_000)\n",
    )
    assert [(one.name, one.value, one.argument, one.place) for one in settings_of(script)] == [
        ("warm-up", 5_000, "--warm-up", "train.py:4"),
        ("WARMUP", 10_000, "", "train.py:2"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "import tyro\nclass Args:\n    learning_starts: int = 10000\n",
        "import click\n@click.option('--learning-starts', default=int(1e4))\ndef main(): ...\n",
        "import typer\ndef main(x: int = typer.Option(100 ** 2, '--learning-starts')): ...\n",
    ],
)
def test_options_of_other_parsers_are_found(tmp_path, text):
    found = [one for one in settings_of(_script(tmp_path, text)) if one.argument]
    if "typer" in text:  # its default stands first, and is told as a constant is not
        assert found == []
        return
    assert [(one.argument, one.value) for one in found] == [("--learning-starts", 10_000)]


@pytest.mark.parametrize(
    "name",
    [
        "learning_starts", "LEARN_START", "warmup_steps", "min_replay_size", "MIN_BUFFER",
        "replay_start_size", "INITIAL_MEMORY", "prefill", "random_steps", "start_training_after",
    ],
)  # fmt: skip
def test_a_warmup_is_known_by_many_names(tmp_path, name):
    script, told = shortened(_script(tmp_path, f"{name} = 50_000\n"), ["warmup"])
    assert script.constants == {name: "200"}
    assert told == [f"{name} 200 (is 50,000, train.py:1)"]


@pytest.mark.parametrize(
    "name",
    [
        "target_update", "TARGET_UPDATE_FREQ", "target_network_frequency", "sync_every",
        "update_target_every", "replace_target_cnt", "network_sync_rate", "hard_update_interval",
    ],
)  # fmt: skip
def test_a_period_of_syncs_is_known_by_many_names(tmp_path, name):
    script, _ = shortened(_script(tmp_path, f"{name} = 1_000\n"), ["sync"])
    assert script.constants == {name: "25"}


@pytest.mark.parametrize(
    "text",
    [
        "GAMMA = 0.99\nCAPACITY = 10_000\nBATCH_SIZE = 512\nsteps = 100_000\n",
        "learning_starts = 100\ntarget_update = 20\n",
        "warmup_steps = other\n",
    ],
)
def test_what_hides_nothing_is_left_alone(tmp_path, text):
    script = _script(tmp_path, text)
    assert shortened(script, ["warmup", "sync"]) == (script, [])


@pytest.mark.parametrize("name", ["num_episodes", "TOTAL_STEPS", "n_games", "episodes"])
def test_a_script_that_ends_early_is_given_more_to_do(tmp_path, name):
    assert lengthened(_script(tmp_path, f"{name} = 50\n")).constants == {name: "1000000"}
    assert lengthened(_script(tmp_path, "eps_steps = 50\nGAMES = 1\n")).constants == {}


def test_what_the_owner_gave_is_left_alone():
    given = Script(FRAMES, ("--warmup-steps=900",), constants={"sync_period": "9"})
    script, told = shortened(given, ["warmup"])
    assert (script, told) == (given, [])


def test_another_seed_is_given_where_there_is_one(tmp_path):
    assert seeded_otherwise(Script(ARGUMENTS)).arguments == ("--seed", str(OTHER_SEED))
    own = Script(ARGUMENTS, ("--seed", "3", "--gamma", "0.9"))
    assert seeded_otherwise(own).arguments == ("--seed", str(OTHER_SEED), "--gamma", "0.9")
    assert seeded_otherwise(Script(CONSTANTS)).constants == {"SEED": str(OTHER_SEED)}
    assert seeded_otherwise(_script(tmp_path, "print()\n")) is None
