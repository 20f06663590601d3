"""Imported curves: what must be equal in all logs that are compared, in place of a recipe."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from dqn_core.recipes.schema import PositiveInt, Recipe, Section
from reports.command_line import next_command

LogFormat = Literal["monitor", "evaluations", "tensorboard", "csv"]

IMPORTED: Final = "imported"  # stands where runs of our own have their class of devices
NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9-]{0,40}$"
FEWEST_WINDOWS: Final = 10  # a tenth of the curve must be a window at least
MOST_WINDOWS: Final = 10_000


class LogProtocol(Section):
    """How logs become curves; they are compared with references of the same protocol only."""

    kind: Literal["imported"]
    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    metric: str  # what a return is
    format: LogFormat
    series: dict[str, str]  # which part of the log is read: its tag, or its columns
    environment: Annotated[str, Field(max_length=100)]  # as the log names it, "" where it does not
    window_steps: PositiveInt
    total_steps: PositiveInt  # a multiple of `window_steps`

    @model_validator(mode="after")
    def _whole_windows(self) -> Self:
        windows, rest = divmod(self.total_steps, self.window_steps)
        if rest or not FEWEST_WINDOWS <= windows <= MOST_WINDOWS:
            raise ValueError(
                f"expected {FEWEST_WINDOWS} to {MOST_WINDOWS} whole windows, got "
                f"{self.total_steps} / {self.window_steps} = {windows}, rest {rest}"
            )
        return self

    def digest(self) -> str:
        """sha256 of the canonical form: equal if and only if all values are."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()


Declared = Recipe | LogProtocol


def read_declared(fields: dict[str, Any]) -> Declared:
    """What a run folder stores of its recipe, or of its protocol.

    Raises:
        pydantic.ValidationError: if it is neither.
    """
    if fields.get("kind") == IMPORTED:
        return LogProtocol.model_validate(fields)
    return Recipe.model_validate(fields)


@dataclass(frozen=True)
class ImportedJob:
    """What a run folder of imported logs is, with the attributes of `regression.job.job.Job`.

    Attributes:
        recipe: the protocol.
        seeds: of stage one.
        notes: what a reader should know.
    """

    recipe: LogProtocol
    seeds: list[int]
    notes: list[str]

    @property
    def game(self) -> str:
        """The name that the protocol has."""
        return self.recipe.name

    @property
    def recipe_name(self) -> str:
        """The same."""
        return self.recipe.name

    def command(self, seeds: str) -> str:
        """How to import such logs again, of these seeds; LOGS stands for where they are."""
        protocol = self.recipe
        series = {
            name if name == "tag" else f"{name}_column": v for name, v in protocol.series.items()
        }
        flags = {
            "name": protocol.name,
            "format": protocol.format,
            "total_steps": str(protocol.total_steps),
            "window_steps": str(protocol.window_steps),
            **{name: value for name, value in series.items() if value},
            "seeds": seeds,
        }
        return next_command("import", "LOGS", **flags)

    @property
    def device(self) -> str:
        """Always "": logs do not name a device."""
        return IMPORTED

    @property
    def fault(self) -> str:
        """None was planted by us."""
        return ""
