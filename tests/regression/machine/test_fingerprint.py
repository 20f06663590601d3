"""Fingerprints name what results depend on, by class, and no one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from dqn_core.recipes.file import load_recipe
from regression.machine.fingerprint import LONGEST_VALUE, fingerprint
from regression.machine.levels import REQUIRED, claim
from regression.machine.source_digest import source_digest
from regression.store.references import load_reference
from reports.fields import BEHAVIOUR, BITS, DISTRIBUTION, SWITCH
from reports.schema import Fingerprint


@pytest.fixture(scope="module")
def facts():
    return fingerprint("cpu", load_recipe("cartpole"))


def test_every_field_is_of_the_class_it_is_meant_for(facts):
    classes = Fingerprint.model_validate(facts)
    assert set(classes.informative) == {"python", "platform", "interop threads"}
    assert {"recipe digest", "environment", "evaluation protocol"} <= set(classes.distribution)
    assert set(classes.distribution) <= DISTRIBUTION
    plain = {n for n in classes.bits if not n.startswith((BEHAVIOUR, SWITCH))}
    assert plain <= BITS
    assert set(REQUIRED) <= set(facts)
    assert "unknown" not in classes.bits.values()


def test_fields_hold_what_the_libraries_say(facts):
    assert facts["source digest"] == source_digest()
    assert facts["recipe digest"] == load_recipe("cartpole").digest()
    assert facts["environment"] == "CartPole-v1"
    assert facts["torch git"] == torch.version.git_version
    assert facts["cpu capability"] == torch.backends.cpu.get_cpu_capability()
    assert (facts["threads"], facts["deterministic algorithms"]) == ("1 per run", "on")
    assert facts["flush denormals"] == "on"
    assert "ale-py version" not in facts  # no part of CartPole
    assert "mkl" in facts


def test_settings_are_read_and_not_assumed(monkeypatch):
    monkeypatch.setattr(
        "regression.machine.fingerprint.prepare_device", lambda name, _: torch.device(name)
    )
    monkeypatch.setenv("MKL_CBWR", "x" * 1_000)
    precision, threads = torch.get_float32_matmul_precision(), torch.get_num_threads()
    try:
        torch.set_float32_matmul_precision("medium")
        torch.set_num_threads(2)
        torch.set_flush_denormal(False)
        torch.use_deterministic_algorithms(mode=False)
        told = fingerprint("cpu")
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.set_num_threads(threads)
        torch.set_flush_denormal(True)
        torch.use_deterministic_algorithms(mode=True)
    assert told["float32 matmul precision"] == "medium"
    assert told["threads"] == "2 per run"
    assert (told["flush denormals"], told["deterministic algorithms"]) == ("off", "off")
    assert told["switch MKL_CBWR"] == "x" * LONGEST_VALUE


def test_nothing_identifies_a_person_or_a_machine(facts):
    text = json.dumps(facts)
    assert os.uname().nodename not in text
    assert str(Path.home()) not in text


@pytest.mark.atari
def test_of_a_game_the_emulator_and_the_rom_are_told():
    told = fingerprint("cpu", load_recipe("pong-short"))
    assert told["environment"] == "pong"
    assert told["ale-py version"] in told["resize library"]
    assert len(told["rom checksum"]) == 16
    int(told["rom checksum"], 16)
    assert json.loads(told["environment settings"])["sticky_probability"] == 0.0


@pytest.mark.parametrize("recipe", ["cartpole", "pong-short"])
def test_stored_references_tell_their_fingerprints_by_class(recipe):
    info, _ = load_reference(load_recipe(recipe))
    assert {"torch version", "cpu", "threads"} <= set(info.fingerprint.bits)
    assert "source digest" in info.fingerprint.distribution


@pytest.mark.parametrize("name", ["cartpole", "pong-short"])
def test_where_references_were_made_their_bits_are_promised_to_the_source_as_it_is(name):
    recipe = load_recipe(name)
    theirs = load_reference(recipe)[0].fingerprint
    of_today = {"source digest": source_digest(), "recipe digest": recipe.digest()}
    ours = theirs.model_copy(update={"distribution": theirs.distribution | of_today})
    # Where this fails, what the core does may have changed since: show equal bits, and bless.
    assert theirs.distribution == ours.distribution
    assert claim(ours, theirs).level == 2


def test_a_fingerprint_names_what_results_depend_on_and_no_one():
    facts = fingerprint("cpu")
    assert {"torch version", "numpy version", "cpu", "source digest", "threads"} <= set(facts)
    assert facts["source digest"] == source_digest()
    text = json.dumps(facts)
    assert os.uname().nodename not in text
    assert str(Path.home()) not in text
