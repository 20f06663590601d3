"""Which recipe a game, a device and a person's wish mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from dqn_core.names import unknown
from dqn_core.recipes.file import RecipeError, load_recipe
from dqn_core.recipes.schema import Recipe

# Of each game: the recipe on a GPU, the recipe on a CPU, and how many fresh seeds are enough there
# to reach alpha against the stored references in minutes.
GAMES: Final = {
    "cartpole": ("cartpole", "cartpole", 5),
    "pong": ("pong", "pong-short", 4),
}
FIRST_FRESH_SEED: Final = 1_000  # references use the seeds below it
MAX_SEEDS: Final = 1_000


class UsageError(ValueError):
    """Something asked for that does not exist; nothing was done."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be run.

    Attributes:
        game: as listed in `GAMES`.
        recipe_name: a name, or a path ending in .toml.
        recipe: its content.
        seeds: distinct, non-negative.
        device: as `regression.machine.device_classes` names them.
        fault: name of a planted fault, or "".
        notes: what a reader should know about how this was chosen.
    """

    game: str
    recipe_name: str
    recipe: Recipe
    seeds: list[int]
    device: str
    fault: str
    notes: list[str]


def resolve_job(
    game: str, *, device: str, recipe: str = "", seeds: str = "", fault: str = ""
) -> Job:
    """From the words on a command line to a job.

    Args:
        game: "cartpole" or "pong", in any of the usual spellings.
        device: where to run; not checked here.
        recipe: a name or path that overrides the game's own recipe, or "".
        seeds: "5" for so many fresh ones, "1000-1004", "3,4,7", or "" for the game's own number.
        fault: to plant, or ""; not checked here.

    Raises:
        UsageError: naming what was expected and the nearest known names.
        RecipeError: for an unknown or invalid recipe.
    """
    name = _game(game)
    on_gpu, on_cpu, enough = GAMES[name]
    chosen = on_cpu if device.startswith("cpu") else on_gpu
    notes = []
    if not recipe and on_gpu != on_cpu and device.startswith("cpu"):
        notes.append(f"GAME={name} means the recipe {on_cpu} on a CPU, {on_gpu} with CUDA.")
    if recipe and not re.fullmatch(r"[A-Za-z0-9._/ -]{1,200}", recipe):
        raise UsageError(f"recipe: expected a name or a path ending in .toml, got {recipe!r}")
    try:
        loaded = load_recipe(recipe or chosen)
    except OSError as error:
        raise RecipeError(f"recipe {recipe} cannot be read: {error}") from error
    return Job(
        game=name,
        recipe_name=recipe or chosen,
        recipe=loaded,
        seeds=_seeds(seeds, enough),
        device=device,
        fault=fault,
        notes=notes,
    )


def _game(text: str) -> str:
    bare = re.sub(r"^ALE/|(NoFrameskip)?(-v[0-9]+)?$", "", text).lower()
    if bare in GAMES:
        return bare
    raise UsageError(unknown("game", text, GAMES, like=bare))


def _seeds(text: str, enough: int) -> list[int]:
    if not text:
        return list(range(FIRST_FRESH_SEED, FIRST_FRESH_SEED + enough))
    if re.fullmatch(r"[0-9]{1,4}", text):
        seeds = list(range(FIRST_FRESH_SEED, FIRST_FRESH_SEED + int(text)))
    elif re.fullmatch(r"[0-9]{1,9}-[0-9]{1,9}", text):
        first, last = (int(end) for end in text.split("-"))
        seeds = list(range(first, min(last, first + MAX_SEEDS) + 1))
    elif re.fullmatch(r"[0-9]{1,9}(,[0-9]{1,9})*", text):
        seeds = [int(seed) for seed in text.split(",")]
    else:
        seeds = []
    if not 0 < len(seeds) <= MAX_SEEDS or len(set(seeds)) < len(seeds):
        raise UsageError(
            f"seeds: expected a number of fresh seeds (5), a range (1000-1004) or a list (3,4,7) "
            f"of 1 to {MAX_SEEDS} different seeds, got {text!r}"
        )
    return seeds
