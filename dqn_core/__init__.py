"""A compact, seeded, bitwise repeatable DQN: recipe + seed -> loop -> records."""

from dqn_core.loop import Trainer
from dqn_core.recipes.file import load_recipe, recipe_names
from dqn_core.recipes.schema import Recipe
from dqn_core.records import BlockRecord
from dqn_core.train import CurveWindow, TrainingRun

__all__ = [
    "BlockRecord",
    "CurveWindow",
    "Recipe",
    "Trainer",
    "TrainingRun",
    "load_recipe",
    "recipe_names",
]
