"""Instruction sets stand in for machines: pinned classes have other bits, and each repeats itself.

What cannot be shown on one machine: that a pinned class has the same bits on another processor.
"""

from __future__ import annotations

import pytest

from regression.machine.device_classes import (
    ALWAYS,
    PINNED,
    DeviceClass,
    DeviceClassError,
    device_class,
)
from regression.machine.levels import claim
from regression.machine.selftest import observe_in, tiny_recipe
from reports.fields import BEHAVIOUR, SWITCH
from reports.schema import Fingerprint

CLASSES = ("cpu", "cpu-sse4", "cpu-avx2")


@pytest.fixture(scope="module")
def observed():
    """Trainings on each class, each in a process of its own; one is enough where others repeat."""
    times = {"cpu": 2, "cpu-sse4": 1, "cpu-avx2": 2}
    return {name: observe_in(device_class(name), times[name]) for name in CLASSES}


def bits(observation):
    return Fingerprint.model_validate(observation.fingerprint).bits


def machine(observation):
    """Without what was run: the sources may change between two processes of a test."""
    return Fingerprint(bits=bits(observation), distribution={"source digest": "same"})


def test_names_mean_a_device_and_the_environment_of_its_process():
    assert device_class("cpu") == DeviceClass("cpu", "cpu", ALWAYS)
    assert device_class("cuda:1").device == "cuda:1"
    for name, switches in PINNED.items():
        place = device_class(name)
        assert (place.name, place.device) == (name, "cpu")
        assert place.environment == ALWAYS | switches
        assert set(switches) == {"ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR"}


@pytest.mark.parametrize("name", ["", "gpu", "cpu-avx3", "cuda:", "cuda:a", "cpu;ls", "cpu\n"])
def test_other_names_are_refused_with_those_that_exist(name):
    with pytest.raises(DeviceClassError, match=r"expected  one of cpu, cpu-sse4, cpu-avx2, cuda"):
        device_class(name)


def test_nobody_can_change_a_class():
    device_class("cpu").environment["OMP_NUM_THREADS"] = "8"
    assert device_class("cpu").environment["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize("name", ["cpu", "cpu-avx2"])
def test_a_class_repeats_its_bits_from_process_to_process(observed, name):
    first, second = observed[name]
    recipe = tiny_recipe()
    assert len(first.digests) == recipe.loop.total_steps // recipe.loop.window_steps
    assert first.digests == second.digests
    assert len(set(first.digests)) > 4  # the weights did move
    assert bits(first) == bits(second)


def test_trainings_on_different_instruction_sets_part(observed):
    digests = [observed[name][0].digests for name in CLASSES]
    assert len({one[0] for one in digests}) == 1  # no update yet: the same weights everywhere
    assert len({one[-1] for one in digests}) == len(CLASSES)


@pytest.mark.parametrize("pair", [("cpu", "cpu-avx2"), ("cpu-sse4", "cpu-avx2")])
def test_behaviour_shows_it_and_the_claim_names_exactly_what_differs(observed, pair):
    here, there = (observed[name][0] for name in pair)
    ours, theirs = bits(here), bits(there)
    differing = sorted(name for name in ours if ours[name] != theirs[name])
    assert claim(machine(here), machine(there)) == (0, differing)
    assert "cpu capability" in differing
    assert {name for name in differing if name.startswith(SWITCH)} <= {
        f"{SWITCH}{name}" for name in PINNED["cpu-avx2"]
    }
    changed = [name for name in differing if name.startswith(BEHAVIOUR)]
    assert any("conv" in name for name in changed)
    # Exact by definition, or of NumPy, which no class pins. A root of torch's is neither: it is one
    # of MKL's, within a unit in the last place.
    assert not any("int64" in name or "div" in name or "numpy" in name for name in changed)


@pytest.mark.parametrize(("name", "level"), [("cpu", 2), ("cpu-sse4", 3), ("cpu-avx2", 3)])
def test_only_pinned_classes_claim_level_three(observed, name, level):
    first, last = (machine(one) for one in (observed[name][0], observed[name][-1]))
    assert claim(first, last).level == level


def test_a_process_sees_its_own_environment(observed):
    told = bits(observed["cpu-sse4"][0])
    assert told["cpu capability"] == "DEFAULT"
    assert told["switch MKL_CBWR"] == "COMPATIBLE"
    assert told["threads"] == "1 per run"
    assert told["mkl threads"] in {"1", "unknown"}
