"""Constants of a script get other values, by name, wherever they stand."""

from __future__ import annotations

import ast

import pytest

from probes.scripts.constants import ConstantError, places_of, read_settings, set_constants

SOURCE = '''"""Größe."""
from dataclasses import dataclass

GAMMA = 0.99
BATCH, TAU = 32, 5e-3
MEMORY = int(1e6)
DEVICE = choose()

@dataclass
class Args:
    gamma: float = 0.99
    """the discount"""
    batch_size: int = 2 ** 7

def learn(rows, size=64, *, rate=-1e-3, other=DEVICE):
    self.capacity = 10_000  # größer
    return deque(maxlen=10_000)
'''


def changed(tmp_path, **values):
    path = tmp_path / "train.py"
    path.write_text(SOURCE, "utf-8")
    places = set_constants(sorted(tmp_path.rglob("*.py")), tmp_path, values)
    text = path.read_text("utf-8")
    ast.parse(text)
    return text, places


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("GAMMA", "GAMMA = 7"),
        ("BATCH", "BATCH, TAU = 7, 5e-3"),
        ("TAU", "BATCH, TAU = 32, 7"),
        ("MEMORY", "MEMORY = 7"),
        ("gamma", "    gamma: float = 7"),
        ("batch_size", "    batch_size: int = 7"),
        ("size", "def learn(rows, size=7, *, rate=-1e-3, other=DEVICE):"),
        ("rate", "def learn(rows, size=64, *, rate=7, other=DEVICE):"),
        ("capacity", "    self.capacity = 7  # größer"),
        ("maxlen", "    return deque(maxlen=7)"),
    ],
)
def test_a_constant_is_changed_where_it_stands_and_nothing_else(tmp_path, name, line):
    text, places = changed(tmp_path, **{name: "7"})
    before, after = SOURCE.splitlines(), text.splitlines()
    differing = [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    assert [after[i] for i in differing] == [line]
    assert places == {name: [f"train.py:{differing[0] + 1}"]}


def test_several_at_once_and_what_is_no_literal_stays(tmp_path):
    text, _ = changed(tmp_path, BATCH="1", TAU="0.5", GAMMA="0.1")
    assert "BATCH, TAU = 1, 0.5" in text
    assert "DEVICE" not in {place.name for place in places_of(SOURCE)}
    assert "other" not in {place.name for place in places_of(SOURCE)}


def test_a_name_that_stands_nowhere_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(ConstantError, match=r"unknown constant 'GAMA'(.|\n)*GAMMA"):
        changed(tmp_path, GAMA="0.5")


@pytest.mark.parametrize("word", ["GAMMA", "=3", "A B=3", "GAMMA=os.system", "GAMMA=(", "1x=2"])
def test_words_that_set_nothing_are_refused(word):
    with pytest.raises(ConstantError, match="--set: expected"):
        read_settings((word,))
    assert read_settings(("GAMMA=0.5", "NAME='x=y'")) == {"GAMMA": "0.5", "NAME": "'x=y'"}
