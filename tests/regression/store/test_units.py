"""Sealed units: named, and refused once anything differs."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regression.store.units import StoreError, UnitKey, read_sealed, unit_key
from tests.dqn_core.small import files
from tests.regression.tiny_runs import JOB, NAME, sealed_run

DAMAGE = {
    "missing": lambda path: path.unlink(),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "altered": lambda path: path.write_bytes(b"!" + path.read_bytes()[1:]),
    "foreign": lambda path: path.with_name("extra.txt").write_text("hello"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("name", ["curve.csv", "unit.json"])
def test_whatever_differs_from_the_manifest_is_named(copied, kind, name):
    DAMAGE[kind](copied / NAME / name)
    named = "extra.txt" if kind == "foreign" else name
    with pytest.raises(StoreError, match=rf"{named}: {kind}"):
        read_sealed(copied / NAME)
    before = files(copied / NAME)
    with pytest.raises(StoreError, match=named):
        sealed_run(copied)
    assert files(copied / NAME) == before


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bit_of_a_unit_is_seen(run, data):
    names = sorted(files(run / NAME))
    path = run / NAME / data.draw(st.sampled_from(names))
    healthy = path.read_bytes()
    position = data.draw(st.integers(0, len(healthy) - 1))
    flipped = bytearray(healthy)
    flipped[position] ^= 1 << data.draw(st.integers(0, 7))
    told = read_sealed(run / NAME)[1]
    path.write_bytes(bytes(flipped))
    try:
        if path.name == "manifest.json" and path.parent.name == NAME:
            with suppress(StoreError):  # in its blank space a bit may change nothing
                assert read_sealed(run / NAME)[1] == told
        else:
            with pytest.raises(StoreError, match=path.name):
                read_sealed(run / NAME)
    finally:
        path.write_bytes(healthy)


def test_links_in_a_unit_are_foreign(copied):
    (copied / NAME / "best" / "link").symlink_to("/etc")
    with pytest.raises(StoreError, match="best/link: foreign"):
        read_sealed(copied / NAME)


def test_names_tell_units_apart():
    key = {"recipe": "cartpole", "recipe_hash": "0", "seed": 1000, "device": "cpu", "fault": ""}
    assert UnitKey(**key).name == "cartpole-cpu-seed-1000"
    changes = [{}, {"seed": 1}, {"device": "cuda"}, {"fault": "no-terminal-mask"}]
    assert len({UnitKey(**key | change).name for change in changes}) == 4
    assert unit_key(JOB.loaded_recipe(), 1, "cuda:1", "").device == "cuda"
