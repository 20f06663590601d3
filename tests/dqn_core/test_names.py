"""Names that people type: known, nearly known, or dotted."""

import pytest

from dqn_core.names import dotted, nearest, unknown


def test_the_nearest_come_first_and_there_is_always_one():
    assert nearest("cartpol", ["pong", "cartpole", "carts"], 2) == ["cartpole", "carts"]
    assert nearest("zzz", ["pong"], 3) == ["pong"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "one of pong, cartpole\n  nearest   pong"),
        ({"like": "cart"}, "one of pong, cartpole\n  nearest   cartpole"),
        ({"expected": "a game"}, "a game\n  nearest   pong, cartpole"),
    ],
)
def test_an_unknown_name_is_told_with_what_was_expected_and_the_nearest(more, expected):
    told = unknown("game", "Pnog", ["pong", "cartpole"], **more)
    assert told == f"unknown game 'Pnog'\n  expected  {expected}"


def test_what_is_typed_is_shown_no_longer_than_a_line():
    assert "x" * 81 not in unknown("game", "x" * 1000, ["pong"])


def test_sections_become_dotted_names():
    tree = {"name": "a", "loop": {"num_envs": 1, "inner": {"steps": [2]}}}
    assert dotted(tree) == {"name": "a", "loop.num_envs": 1, "loop.inner.steps": [2]}
    assert dotted({"a": 1}, "recipe.") == {"recipe.a": 1}
