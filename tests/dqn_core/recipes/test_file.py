"""Recipes: strict, complete, and all mistakes at once."""

from __future__ import annotations

from importlib import resources

import pytest

from dqn_core.recipes.file import RecipeError, load_recipe, parse_recipe, recipe_names
from dqn_core.recipes.schema import Recipe

CARTPOLE = (resources.files("dqn_core") / "recipes" / "cartpole.toml").read_text("utf-8")
PONG = (resources.files("dqn_core") / "recipes" / "pong.toml").read_text("utf-8")


def mistakes(text: str) -> str:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, source="mine.toml")
    return str(caught.value)


def test_every_recipe_of_the_package_loads_under_its_own_name():
    names = recipe_names()
    assert {"cartpole", "pong", "breakout", "pong-tutorial", "breakout-nature"} <= set(names)
    assert {"pong-simplified", "pong-short"} <= set(names)
    assert [load_recipe(name).name for name in names] == names


def test_a_digest_follows_the_values_not_the_text():
    recipe = parse_recipe(CARTPOLE, "a")
    assert parse_recipe(CARTPOLE + "\n# a remark\n", "b").digest() == recipe.digest()
    other = parse_recipe(CARTPOLE.replace("gamma = 0.99", "gamma = 0.98"), "c")
    assert other.digest() != recipe.digest()


def test_a_coarser_precision_is_declared_and_makes_another_recipe():
    declared = [
        PONG.replace('init = "fan_in"', f'init = "fan_in"\nprecision = "{name}"')
        for name in ("float32", "tf32", "bf16")
    ]
    recipes = [parse_recipe(text, "a") for text in declared]
    assert recipes[0].digest() == parse_recipe(PONG, "b").digest()  # as without being told
    assert len({recipe.digest() for recipe in recipes}) == 3
    for recipe in recipes:
        assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe
    assert "network.precision: expected 'float32', 'tf32' or 'bf16', got 'fp16'" in mistakes(
        declared[2].replace("bf16", "fp16")
    )
    perceptron = CARTPOLE.replace('kind = "mlp"', 'kind = "mlp"\nprecision = "bf16"')
    assert "expected 'float32' or 'tf32' for a perceptron, got 'bf16'" in mistakes(perceptron)


def test_an_unknown_key_names_the_nearest_known_one():
    text = mistakes(CARTPOLE.replace("batch_size", "batchsize"))
    assert "recipe mine.toml: 2 mistakes" in text
    assert "replay.batchsize: unknown key; the nearest known one is replay.batch_size" in text
    assert "replay.batch_size: missing" in text


def test_keys_of_unions_are_named_without_their_tags():
    text = mistakes(PONG.replace("noop_max", "noops_max"))
    assert "env.noops_max: unknown key; the nearest known one is env.noop_max" in text


def test_all_mistakes_are_reported_at_once():
    text = mistakes(
        CARTPOLE.replace("batch_size = 96", "batch_size = -96")
        .replace("gamma = 0.99", "gamma = 1.5")
        .replace("initial = 2e-3", 'initial = "2e-3"')
        .replace("double = false", "double = 0")
    )
    assert "replay.batch_size: expected greater than 0, got -96" in text
    assert "td.gamma: expected less than or equal to 1, got 1.5" in text
    assert "learning_rate.initial: expected a valid number, got '2e-3'" in text
    assert "td.double: expected a valid boolean, got 0" in text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("block_steps = 64", "block_steps = 63",
         "loop.block_steps: expected a multiple of loop.train_period_steps = 2, got 63"),
        ("num_envs = 1", "num_envs = 3", "expected a multiple of loop.num_envs = 3, got 64"),
        ("segment_steps = 10_240", "segment_steps = 10_241", "a multiple of loop.window_steps"),
        ("total_steps = 51_200", "total_steps = 51_201", "a multiple of loop.segment_steps"),
        ("period_steps = 2_048", "period_steps = 2_049", "evaluation.period_steps: expected"),
        ("warmup_steps = 1_000", "warmup_steps = 10", "at least replay.batch_size = 96, got 10"),
        ("capacity_rows = 60_000", "capacity_rows = 64", "at least 65 rows for each"),
        ("rolling_episodes = 50", "rolling_episodes = 500", "expected at most 250"),
        ("gamma = 0.99", "gamma = nan", "td.gamma"),
        ("id = \"CartPole-v1\"", "id = \"os:system-v0\"", "env.id: "),
    ],
)  # fmt: skip
def test_values_that_do_not_fit_together(old, new, message):
    assert old in CARTPOLE
    assert message in mistakes(CARTPOLE.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("crop_rows = [0, 84]", "crop_rows = [0, 85]", "<= 84 (height of env.resize), got [0, 85]"),
        ("max_pool = 1 ", "max_pool = 5 ", "a divisor of the cropped frame 84 x 84, got 5"),
        ('kind = "mnih2015"', 'kind = "mlp"', "frames need a convolutional network, got 'mlp'"),
    ],
)
def test_frames_that_do_not_fit_together(old, new, message):
    assert old in PONG
    assert message in mistakes(PONG.replace(old, new, 1))


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(RecipeError, match=r"unknown recipe 'cartpol'(.|\n)*nearest +cartpole"):
        load_recipe("cartpol")


def test_files_that_are_missing_or_not_toml():
    with pytest.raises(RecipeError, match=r"no recipe file at nowhere\.toml"):
        load_recipe("nowhere.toml")
    assert "is not valid TOML" in mistakes("[env\n")


def test_a_recipe_may_come_from_a_path(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(CARTPOLE)
    assert load_recipe(str(path)) == load_recipe("cartpole")
