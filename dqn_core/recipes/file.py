"""Reading recipes from TOML: all mistakes at once, each with the nearest known name."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dqn_core.names import nearest, unknown
from dqn_core.recipes.schema import (
    AdamSection,
    AtariEnv,
    CentredRmsPropSection,
    GymnasiumEnv,
    Recipe,
    Section,
)


class RecipeError(ValueError):
    """A recipe that cannot be run; the message lists every mistake found."""


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package, sorted."""
    folder = resources.files("dqn_core") / "recipes"
    return sorted(p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith("toml"))


def load_recipe(name_or_path: str) -> Recipe:
    """Reads a recipe by its name, or from a path that ends in `.toml`.

    Args:
        name_or_path: "cartpole", or "my/recipe.toml".

    Returns:
        The validated recipe.

    Raises:
        RecipeError: naming the file, every mistake in it, and the nearest known names.
    """
    if name_or_path.endswith(".toml"):
        path = Path(name_or_path)
        if not path.is_file():
            raise RecipeError(f"no recipe file at {name_or_path}")
        return parse_recipe(path.read_text(encoding="utf-8"), source=name_or_path)
    names = recipe_names()
    if name_or_path not in names:
        expected = f"one of {', '.join(names)}, or a path ending in .toml"
        raise RecipeError(unknown("recipe", name_or_path, names, expected=expected))
    text = (resources.files("dqn_core") / "recipes" / f"{name_or_path}.toml").read_text("utf-8")
    return parse_recipe(text, source=f"{name_or_path}.toml")


def parse_recipe(text: str, source: str) -> Recipe:
    """Validates the TOML text of a recipe; `source` names it in errors.

    Raises:
        RecipeError: listing every mistake.
    """
    try:
        return Recipe.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe {source} is not valid TOML: {error}") from None
    except ValidationError as error:
        mistakes = [line for item in error.errors() for line in _explain(item)]
        head = f"recipe {source}: {len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}"
        raise RecipeError("\n  ".join([head, *mistakes])) from None


def _explain(item: Any) -> list[str]:  # Any: pydantic's ErrorDetails is loosely typed itself
    """One line per mistake: where, what was expected, what is there, the nearest known name."""
    # Inside a union pydantic adds the tag of the chosen member to the location.
    tags = {"gymnasium", "atari", "adam", "centred_rmsprop"}
    keys = [str(part) for part in item["loc"] if part not in tags]
    if item["type"] == "value_error" and not keys:
        return str(item["ctx"]["error"]).splitlines()
    where = ".".join(keys)
    if item["type"] == "extra_forbidden":
        near = nearest(keys[-1], _known_keys(keys[:-1]), 1)
        return [f"{where}: unknown key; the nearest known one is {'.'.join([*keys[:-1], *near])}"]
    if item["type"] == "missing":
        return [f"{where}: missing; it has no default"]
    message = item["msg"].removeprefix("Input should be ")
    return [f"{where}: expected {message}, got {item['input']!r}"]


def _known_keys(section: list[str]) -> list[str]:
    """Keys of a section of the recipe (of every member of a union), or of the top level."""
    members: dict[str, list[type[Section]]] = {
        "": [Recipe],
        "env": [GymnasiumEnv, AtariEnv],
        "optimizer": [AdamSection, CentredRmsPropSection],
    }
    name = section[0] if section else ""
    if name not in members:
        annotation: Any = Recipe.model_fields[name].annotation
        members[name] = [annotation]
    return sorted({key for member in members[name] for key in member.model_fields})
