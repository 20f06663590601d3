"""Rates with their intervals, and plants that do what they are called."""

from __future__ import annotations

import numpy as np
import pytest

from regression.gate.error_rates import (
    PLANTS,
    SHAPES,
    Rate,
    split_sizes,
    stored_rates,
    synthetic_rates,
)
from regression.gate.power import DROPS_SD


def stored(seeds: int = 20, windows: int = 30) -> np.ndarray:
    """Curves that rise from 0 to 100, a little higher or lower as a whole for each seed."""
    draws = np.random.Generator(np.random.Philox(key=3)).normal(0.0, 2.0, (seeds, 1))
    return np.linspace(0.0, 100.0, windows) + draws


def learned(seeds: int = 20) -> dict[str, np.ndarray]:
    """Values and losses of healthy seeds."""
    draws = np.random.Generator(np.random.Philox(key=4)).normal(10.0, 1.0, (2, seeds))
    return {"q_mean": draws[0], "loss": draws[1]}


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    # Tables of the exact interval; the rule of three for none in a hundred, two-sided.
    [
        (0, 100, 0.0, 0.0362),
        (5, 10, 0.1871, 0.8129),
        (10, 10, 0.6915, 1.0),
        (1, 20, 0.0013, 0.2487),
    ],
)
def test_intervals_are_those_of_the_tables(hits, trials, low, high):
    rate = Rate("", "none", fails=hits, watches=0, trials=trials, mean_seeds=5.0)
    assert rate.interval == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_have_mean_0_and_deviation_1(shape):
    drawn = SHAPES[shape](np.random.Generator(np.random.Philox(key=1)), (400, 500))
    assert drawn.mean() == pytest.approx(0.0, abs=5 / np.sqrt(drawn.size))
    assert drawn.std() == pytest.approx(1.0, abs=0.03)


def test_the_shapes_are_skewed_as_their_names_say():
    third = {
        shape: float(np.mean(draw(np.random.Generator(np.random.Philox(key=1)), (400, 500)) ** 3))
        for shape, draw in SHAPES.items()
    }
    assert abs(third["normal"]) < 0.1
    assert third["skewed"] < -2
    assert -2 < third["one in five slow"] < -0.8


def test_synthetic_rates_rise_with_the_drop():
    rates = list(synthetic_rates(30, 400))
    assert len(rates) == len(SHAPES) * len(DROPS_SD)
    for start in range(0, len(rates), len(DROPS_SD)):
        fails = [rate.fails for rate in rates[start : start + len(DROPS_SD)]]
        assert fails == sorted(fails)
        assert fails[0] <= 4
        assert fails[-1] >= 390
        assert 5 < rates[start].mean_seeds < 6.5


@pytest.mark.parametrize(
    ("number", "sizes"),
    [(15, (7, 5, 3)), (20, (10, 5, 5)), (39, (19, 5, 15)), (40, (20, 5, 15)), (100, (30, 5, 15))],
)
def test_stored_seeds_are_split_without_overlap(number, sizes):
    assert split_sizes(number) == sizes
    assert sum(sizes) <= number


def test_too_few_stored_seeds_are_refused():
    with pytest.raises(ValueError, match="expected at least 15 stored seeds to split, got 14"):
        list(stored_rates(stored(14), learned(14), 5, 5))


def test_plants_do_what_they_are_called():
    healthy, level, spread = stored(10), 4.0, 2.0
    changed = {name: plant(healthy, level, spread) for name, plant in PLANTS.items()}
    assert np.array_equal(changed["none"], healthy)
    assert np.allclose(healthy - changed["1.5 SD lower"], 3.0)
    dead = (changed["one seed in five dead"] == level).all(axis=1)
    assert dead.sum() == 2
    assert np.array_equal(changed["one seed in five dead"][~dead], healthy[~dead])
    late = changed["collapse in the last third"]
    assert (late[:, -10:] == level).all()
    assert np.array_equal(late[:, :-10], healthy[:, :-10])
    delayed = changed["learning a fifth of the run later"]
    assert (delayed[:, :6] == level).all()
    assert np.array_equal(delayed[:, 6:], healthy[:, :-6])


def test_the_gate_sees_planted_changes_and_spares_healthy_seeds():
    rates = {rate.change: rate for rate in stored_rates(stored(), learned(), 60, 15)}
    assert rates["none"].share < 0.05
    assert rates["none"].trials == 60
    assert rates["none"].mean_seeds < 7.5
    for change in ("3 SD lower", "collapse in the last third", "learning a fifth of the run later"):
        assert rates[change].fails == 15
    assert rates["3 SD lower"].mean_seeds == 20
    assert rates["Q-values 2 SD higher"].fails < rates["Q-values 4 SD higher"].fails
    assert rates["3 SD lower"].source == "stored, 10+5+5"
