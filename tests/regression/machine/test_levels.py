"""Which level two fingerprints can claim, and which fields stand in the way of the next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regression.machine.fingerprint import fingerprint
from regression.machine.levels import GPU_SETTINGS, LEVELS, REQUIRED, claim, describe_claim
from reports.schema import Fingerprint

PINS = {
    "switch ATEN_CPU_CAPABILITY": "avx2",
    "switch ONEDNN_MAX_CPU_ISA": "AVX2",
    "switch MKL_CBWR": "COMPATIBLE",
}
GPU = {
    "device": "cuda",
    "gpu": "H200",
    "gpu multiprocessors": "132",
    "tf32": "off",
    "cudnn autotune": "off",
    "switch CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}
FLAT = {
    "torch version": "2.13",
    "torch git": "cf30",
    "numpy version": "2.4",
    "numpy cpu features": "X86_V3 X86_V4",
    "libc": "glibc 2.36",
    "architecture": "x86_64",
    "cpu": "EPYC 9654",
    "cpu family": "AuthenticAMD 25 17",
    "cpu capability": "AVX512",
    "device": "cpu",
    "threads": "1 per run",
    "deterministic algorithms": "on",
    "float32 matmul precision": "highest",
    "flush denormals": "on",
    "switch ATEN_CPU_CAPABILITY": "not set",
    "switch ONEDNN_MAX_CPU_ISA": "not set",
    "switch MKL_CBWR": "not set",
    "behaviour: matmul": "aa",
    "behaviour: numpy sin": "bb",
    "source digest": "ff",
    "recipe digest": "ee",
    "driver": "550",
}


def made(**changes):
    """A fingerprint of a processor; None leaves a field out."""
    named = {name: value for name, value in (FLAT | changes).items() if value is not None}
    return Fingerprint.model_validate(named)


def changed(base, **changes):
    return made(**(base | changes))


def test_equal_machines_reach_rung_two_and_the_pins_are_in_the_way_of_three():
    assert claim(made(), made()) == (2, sorted(PINS))


def test_pinned_processors_of_two_families_reach_rung_three():
    other = PINS | {"cpu": "Xeon", "cpu family": "GenuineIntel 6 143", "libc": "glibc 2.31"}
    assert claim(made(**PINS), made(**other)) == (3, [])


def test_unpinned_processors_of_two_families_claim_nothing():
    claimed = claim(made(), made(**{"cpu": "Xeon", "cpu family": "GenuineIntel 6 143"}))
    assert claimed == (0, ["cpu", "cpu family"])


def test_several_threads_repeat_themselves_on_one_machine_only():
    pool = PINS | {"threads": "4 per run"}
    assert claim(made(**pool), made(**pool)) == (1, ["threads"])
    assert claim(made(**pool), made(**pool, cpu="EPYC 9B14")) == (0, ["cpu"])


def test_names_may_differ_within_a_class_where_behaviour_agrees():
    other = {"cpu": "EPYC 9B14", "libc": "glibc 2.39", "numpy cpu features": "X86_V3"}
    assert claim(made(), made(**other)).level == 2
    told = {"behaviour: numpy sin": "cc"}
    assert claim(made(), made(**other, **told)) == (0, sorted([*other, *told]))


def test_a_gpu_class_holds_across_hosts_and_never_reaches_rung_three():
    host = {"cpu": "Xeon", "cpu family": "GenuineIntel 6 143", "cpu capability": "AVX2"}
    claimed = claim(made(**GPU), changed(GPU, **host))
    assert claimed.level == 2
    assert "device" in claimed.prevented_by
    smaller = claim(made(**GPU), changed(GPU, **{"gpu multiprocessors": "114"}))
    assert smaller == (0, ["gpu multiprocessors"])


@pytest.mark.parametrize("field", GPU_SETTINGS)
def test_a_gpu_without_its_settings_claims_nothing_even_with_itself(field):
    loose = changed(GPU, **{field: "another"})
    assert claim(loose, loose) == (0, [field])


@pytest.mark.parametrize(
    ("field", "value"),
    [("deterministic algorithms", "off"), ("float32 matmul precision", "medium")],
)
def test_a_processor_without_its_settings_claims_nothing_even_with_itself(field, value):
    loose = made(**PINS, **{field: value})
    assert claim(loose, loose) == (0, [field])


@pytest.mark.parametrize("field", [*PINS, "architecture"])
def test_each_pin_alone_is_in_the_way_of_rung_three(field):
    other = made(**(PINS | {field: "not set"}))
    assert claim(other, other) == (2, [field])


def test_another_setting_of_mkl_is_no_pin():
    vendor = made(**(PINS | {"switch MKL_CBWR": "AVX2"}))
    assert claim(vendor, vendor) == (2, ["switch MKL_CBWR"])


@pytest.mark.parametrize("field", ["source digest", "recipe digest"])
def test_another_program_claims_nothing_on_any_machine(field):
    assert claim(made(**PINS), made(**PINS, **{field: "00"})) == (0, [field])


@pytest.mark.parametrize("field", REQUIRED)
def test_what_is_not_recorded_is_not_equal(field):
    bare = made(**{field: None})
    assert claim(bare, bare).level == 0
    assert field in claim(bare, bare).prevented_by


def test_without_a_behaviour_nothing_is_claimed_and_one_word_says_so():
    bare = made(**{"behaviour: matmul": None, "behaviour: numpy sin": None})
    assert claim(bare, made()) == claim(made(), bare) == claim(bare, bare) == (0, ["behaviour"])
    assert claim(Fingerprint(), Fingerprint()) == (0, sorted([*REQUIRED, "behaviour"]))


def test_what_is_informative_never_matters():
    assert claim(made(**PINS), made(**PINS, driver="560")) == (3, [])


values = st.sampled_from(["not set", "on", "off", "cpu", "cuda", "x86_64", "1 per run", "7"])
tables = st.dictionaries(st.sampled_from([*FLAT, *GPU]), values, max_size=6)


@given(tables, tables, st.booleans())
def test_a_claim_has_no_direction_and_says_what_stops_it(ours, theirs, pinned):
    base = PINS if pinned else {}
    here, there = changed(base, **ours), changed(base, **theirs)
    claimed = claim(here, there)
    assert claimed == claim(there, here)
    assert (claimed.level == 3) == (claimed.prevented_by == [])
    assert claimed.level < len(LEVELS)
    # No pair claims more than its weaker side does with itself.
    assert claimed.level <= min(claim(here, here).level, claim(there, there).level)


def test_a_sentence_names_the_rung_and_what_prevents_more():
    assert describe_claim(claim(made(), made()), "by itself") == (
        "Level 2 by itself: equal bits on the same class of device and libraries; level 3 is "
        "prevented by switch ATEN_CPU_CAPABILITY, switch MKL_CBWR, switch ONEDNN_MAX_CPU_ISA."
    )
    assert describe_claim(claim(made(**PINS), made(**PINS)), "x").endswith("is not built.")
    assert "and 10 more." in describe_claim(claim(Fingerprint(), Fingerprint()), "x")


def test_this_process_repeats_itself():
    here = Fingerprint.model_validate(fingerprint("cpu"))
    assert claim(here, here).level >= 2
