"""Flags that come from the environment."""

from __future__ import annotations

from reports.command_line import with_environment


def test_a_variable_stands_in_for_a_flag_that_was_not_given(monkeypatch):
    monkeypatch.setenv("HARNESS_GAME", "$(touch x)")
    monkeypatch.setenv("HARNESS_SEEDS", "")
    assert with_environment(["run"], ("game", "seeds")) == ["run", "--game=$(touch x)"]


def test_a_flag_wins_over_its_variable(monkeypatch):
    monkeypatch.setenv("HARNESS_GAME", "pong")
    for given in (["--game", "cartpole"], ["--game=cartpole"]):
        assert with_environment(given, ("game",)) == given


def test_variables_of_other_flags_are_left_alone(monkeypatch):
    monkeypatch.setenv("HARNESS_GAME", "pong")
    assert with_environment([], ("seed",)) == []
