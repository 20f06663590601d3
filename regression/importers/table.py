"""Comma-separated logs, read with suspicion: whatever is not numbers in whole lines is refused."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from regression.importers.episodes import LogError

MOST_BYTES: Final = 1 << 30
LONGEST_LINE: Final = 100_000  # characters
NUMBER: Final = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,4})?")
NOT_FINITE: Final = re.compile(r"[-+]?(nan|inf|infinity)", re.IGNORECASE)

COMMA_SEPARATED: Final = "comma-separated UTF-8 text"
AGAIN: Final = "write the log again, or name another --format"


@dataclass(frozen=True)
class Table:
    """The cells of a log.

    Attributes:
        comment: its first line where that begins with "#", without it; else "".
        columns: cells by the name of their column, all of one length.
        first_line: number of the line of the first cells, from 1.
        notes: a sentence where a torn line was dropped.
    """

    comment: str
    columns: dict[str, list[str]]
    first_line: int
    notes: list[str]

    def numbers(self, name: str, path: Path) -> list[float]:
        """A column as numbers; nan and infinite ones too, which the caller has to judge.

        Raises:
            LogError: naming the column if it is not there, or the line of a cell that is not one.
        """
        if name not in self.columns:
            raise LogError(
                f"there is no column {name!r}",
                path,
                expected=f"one of {', '.join(map(repr, self.columns))}",
                actual=repr(name),
                advice="name the columns with --step-column, --return-column and --length-column",
            )
        for line, cell in enumerate(self.columns[name], self.first_line):
            if not (NUMBER.fullmatch(cell) or NOT_FINITE.fullmatch(cell)):
                raise LogError(
                    "a cell is not a number",
                    f"{path}, row {line}, column {name}",
                    expected="a number",
                    actual=repr(cell[:100]),
                    advice=AGAIN,
                )
        return [float(cell) for cell in self.columns[name]]


def read_table(path: Path) -> Table:
    """The cells of a file with a header.

    A last line without a line end was being written when the program stopped: it is dropped, and a
    note says so. A number cut in the middle would still look like one.

    Raises:
        LogError: if it is not such a table, naming the line.
        OSError: if it cannot be read.
    """
    text = _text(path)
    lines = text.replace("\r\n", "\n").split("\n")
    notes = []
    if torn := lines.pop():
        notes.append(
            f"{path.name}: the last line has no end and was dropped ({len(torn)} letters)."
        )
    longest = max(map(len, lines), default=0)
    if longest > LONGEST_LINE:
        raise LogError(
            "a line is too long",
            path,
            expected=f"at most {LONGEST_LINE} characters",
            actual=f"{longest}",
            advice=AGAIN,
        )
    if not lines:
        raise LogError(
            "the log is empty", path, expected=COMMA_SEPARATED, actual="no whole line", advice=AGAIN
        )
    comment = lines.pop(0)[1:] if lines[0].startswith("#") else ""
    first_line = 3 if comment else 2
    try:
        header, *rows = csv.reader((line + "\n" for line in lines), strict=True)
    except (ValueError, csv.Error) as error:
        raise LogError(
            "the log is not a table", path, expected=f"{COMMA_SEPARATED} with a header",
            actual=str(error)[:200], advice=AGAIN,
        ) from error  # fmt: skip
    if len(set(header)) < len(header):
        raise LogError(
            "two columns have one name",
            path,
            expected="each name once",
            actual=repr(header),
            advice=AGAIN,
        )
    for line, row in enumerate(rows, first_line):
        if len(row) != len(header):
            raise LogError(
                "a row is not whole", f"{path}, row {line}", expected=f"{len(header)} cells",
                actual=f"{len(row)}", advice=AGAIN,
            )  # fmt: skip
    cells = zip(*rows, strict=True) if rows else ([] for _ in header)
    columns = {name: list(column) for name, column in zip(header, cells, strict=True)}
    return Table(comment, columns, first_line, notes)


def _text(path: Path) -> str:
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise LogError(
            "the log is too big",
            path,
            expected=f"at most {MOST_BYTES} bytes",
            actual=f"{size}",
            advice=AGAIN,
        )
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LogError(
            "the log is not text",
            path,
            expected=COMMA_SEPARATED,
            actual=f"{error.reason} at byte {error.start}",
            advice=AGAIN,
        ) from error
    if "\0" in text:
        raise LogError(
            "the log is not text", path, expected=COMMA_SEPARATED,
            actual=f"a zero byte at character {text.index(chr(0))}", advice=AGAIN,
        )  # fmt: skip
    return text
