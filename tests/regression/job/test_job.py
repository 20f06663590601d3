"""From words to a job: seeds, games and recipes, or a refusal."""

from __future__ import annotations

import pytest

from dqn_core.recipes.file import RecipeError
from regression.job.job import FIRST_FRESH_SEED, UsageError, resolve_job
from tests.regression.made import job


@pytest.mark.parametrize(
    ("words", "seeds"),
    [
        ("", list(range(FIRST_FRESH_SEED, FIRST_FRESH_SEED + 5))),
        ("2", [1000, 1001]),
        ("7-9", [7, 8, 9]),
        ("3,1,4", [3, 1, 4]),
    ],
)
def test_seeds_by_number_range_or_list(words, seeds):
    assert job(words).seeds == seeds


@pytest.mark.parametrize("words", ["0", "-1", "9-7", "1,1", "a", "1;2", "$(touch x)", "0-99999"])
def test_other_seeds_are_refused(words):
    with pytest.raises(UsageError, match="seeds: expected"):
        job(words)


def test_pong_means_another_recipe_without_a_gpu_and_says_so():
    on_cpu = resolve_job("pong", device="cpu")
    assert on_cpu.recipe.name == "pong-short"
    assert on_cpu.notes == ["GAME=pong means the recipe pong-short on a CPU, pong with CUDA."]
    on_gpu = resolve_job("ALE/Pong-v5", device="cuda")
    assert (on_gpu.recipe.name, on_gpu.notes) == ("pong", [])


@pytest.mark.parametrize("game", ["$(touch x)", "../../etc", "", "pnog", "mod:Env-v0", "a\nb"])
def test_unknown_games_are_refused_with_the_nearest(game):
    with pytest.raises(UsageError, match=r"expected  one of cartpole, pong\n  nearest "):
        resolve_job(game, device="cpu")


@pytest.mark.parametrize("recipe", ["../../etc/passwd", "$(touch x)", "a;b", "nothing.toml"])
def test_unknown_recipes_are_refused(recipe):
    with pytest.raises((UsageError, RecipeError)):
        resolve_job("cartpole", recipe=recipe, device="cpu")
