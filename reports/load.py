"""Reads what a run has stored: `verdict.json` and `curves.csv`. Nothing else reads them."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Final

import pandas as pd
from pydantic import ValidationError
from pydantic_core import from_json

from reports.schema import CURVE_COLUMNS, CURVES_FILE, SCHEMA_VERSION, VERDICT_FILE, Verdict
from reports.text import one_line

_GROUPS: Final = ("reference", "candidate")
_COUNTS: Final = ("seed", "step", "episodes")
# A diverged network has infinite losses, and the curves that show it must still be readable.
_MAY_BE_INFINITE: Final = ("loss", "q_mean")


class ArtifactError(Exception):
    """A stored file does not hold what its format promises."""

    def __init__(self, what: str, where: str, expected: str, actual: str, advice: str) -> None:
        super().__init__(
            f"{what}\n"
            f"  where     {where}\n"
            f"  expected  {expected}\n"
            f"  actual    {actual}\n"
            f"  next      {advice}"
        )


class MissingArtifactError(ArtifactError):
    """A file that a finished run always leaves is not there."""


def read_verdict(folder: Path) -> Verdict:
    """The verdict stored in `folder`.

    Raises:
        MissingArtifactError: there is no such file.
        ArtifactError: it is not a verdict of this schema version.
    """
    path = folder / VERDICT_FILE
    content = _read(path)
    try:
        stored = from_json(content)
    except ValueError as error:
        raise _broken("the verdict is not JSON", path, "one JSON object", str(error)) from error
    version = stored.get("schema_version") if isinstance(stored, dict) else None
    if version != SCHEMA_VERSION:
        raise ArtifactError(
            "the verdict has another schema version",
            f"{path}, field schema_version",
            str(SCHEMA_VERSION),
            "none" if version is None else repr(version),
            "read it with the version of the harness that wrote it, or run the regression again",
        )
    try:
        return Verdict.model_validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = one_line(".".join(map(str, first["loc"])))
        count = error.error_count()
        raise _broken(
            "the verdict does not fit its schema",
            f"{path}, field {field} (first of {count})" if count > 1 else f"{path}, field {field}",
            first["msg"],
            repr(first["input"])[:200],
        ) from error


def read_curves(folder: Path) -> pd.DataFrame:
    """The curves stored in `folder`, possibly none.

    Returns:
        One row per (group, seed, step), columns as in `CURVE_COLUMNS`: group as text, seed, step
        and episodes as int64, everything else as float64 with NaN for an empty cell.

    Raises:
        MissingArtifactError: there is no such file.
        ArtifactError: a column is missing or unexpected, or a cell holds something else.
    """
    path = folder / CURVES_FILE
    cells = _read_cells(path)
    _require(cells["group"].isin(_GROUPS), cells["group"], path, " or ".join(map(repr, _GROUPS)))
    columns = {"group": cells["group"]}
    for name in _COUNTS:
        is_count = cells[name].str.fullmatch(r"[0-9]{1,18}")
        _require(is_count, cells[name], path, "a whole number, zero or more")
        columns[name] = cells[name].astype("int64")
    for name in CURVE_COLUMNS:
        if name not in columns:
            columns[name] = _numbers(cells[name], path)
    curves = pd.DataFrame({name: columns[name] for name in CURVE_COLUMNS})
    repeated = curves.duplicated(["group", "seed", "step"])
    _require(~repeated, cells["step"], path, "one row per group, seed and step")
    return curves


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingArtifactError(
            f"no {path.name}",
            str(path.parent),
            "the folder of a finished run",
            "no such file" if path.parent.is_dir() else "no such folder",
            "name the run's folder, or run the regression first",
        ) from error
    except OSError as error:
        raise _broken(f"{path.name} cannot be read", path, "a readable file", str(error)) from error


def _read_cells(path: Path) -> pd.DataFrame:
    """Every cell as text, after checking the table's outline."""
    content = _read(path)
    try:
        # `strict` also refuses a quote that the file's end leaves open.
        header, *rows = csv.reader(
            io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True
        )
    except (ValueError, csv.Error) as error:
        expected = "comma-separated UTF-8 text with a header"
        raise _broken("the curves are not a table", path, expected, str(error)) from error
    if sorted(header) != sorted(CURVE_COLUMNS):
        missing = ", ".join(repr(name) for name in CURVE_COLUMNS if name not in header)
        extra = ", ".join(repr(name) for name in header if name not in CURVE_COLUMNS)
        raise _broken(
            "the curves have other columns",
            f"{path}, line 1",
            ", ".join(CURVE_COLUMNS),
            f"missing {missing or 'none'}; unexpected {extra or 'none'}; {len(header)} in all",
        )
    cut = next((line for line, row in enumerate(rows, 2) if len(row) != len(header)), None)
    if cut is not None or not content.endswith(b"\n"):
        line = cut or len(rows) + 1
        actual = f"{len(rows[cut - 2])} cells" if cut else "no line end: the file was cut off"
        expected = f"{len(header)} cells and a line end"
        raise _broken("a row of the curves is not whole", f"{path}, line {line}", expected, actual)
    return pd.DataFrame(rows, columns=header, dtype=str)


def _numbers(cells: pd.Series[str], path: Path) -> pd.Series[float]:
    numbers = pd.to_numeric(cells.where(cells != ""), errors="coerce").astype("float64")
    finite = cells.name not in _MAY_BE_INFINITE
    good = numbers.abs() < math.inf if finite else numbers.notna()
    expected = "a finite number, or nothing" if finite else "a number, or nothing"
    _require(good | (cells == ""), cells, path, expected)
    return numbers


def _require(good: pd.Series[bool], cells: pd.Series[str], path: Path, expected: str) -> None:
    """Names the first cell, by line and column, that is not `good`."""
    if good.all():
        return
    row = int(good.to_numpy().argmin())
    where = f"{path}, line {row + 2}, column {cells.name}"
    raise _broken("a cell of the curves is wrong", where, expected, repr(cells.iloc[row])[:200])


def _broken(what: str, where: Path | str, expected: str, actual: str) -> ArtifactError:
    return ArtifactError(what, str(where), expected, actual, "run the regression again")
