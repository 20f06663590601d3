"""The command `history`: lists the references of a recipe, each verified."""

from __future__ import annotations

from pathlib import Path

from regression.console import say
from regression.job.job import resolve_job
from regression.store.blessing import describe_move
from regression.store.references import history as bundles
from reports.schema import ExitCode


def history(game: str = "", recipe: str = "", references: Path | None = None) -> ExitCode:
    """Lists the references of a recipe, the one in force first; each is verified.

    Args:
        game: cartpole or pong; cartpole, if not given.
        recipe: name of another recipe than the game's own on a CPU, or of imported curves.
        references: folder of the references; the package's own, if not given.
    """
    name = recipe or resolve_job(game or "cartpole", device="cpu").recipe.name
    for bundle in bundles(name, references):
        say(
            f"{bundle.content_hash[:16]}  {bundle.blessed_on}  {bundle.recipe} on {bundle.device}, "
            f"{len(bundle.seeds)} seeds, recipe {bundle.recipe_hash[:16]}\n"
            f"  {bundle.reason}\n"
            f"  {describe_move(bundle.moved)}"
        )
    return ExitCode.OK
