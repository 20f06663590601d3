"""Which checks a person means: patterns of codes, joined by and, or and not."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Final

TOKEN: Final = re.compile(r"[()]|[^\s()]+")
OPERATORS: Final = frozenset({"and", "or", "not", "(", ")"})

Matches = Callable[[str], bool]


class SelectionError(ValueError):
    """An expression that cannot be read."""


def matcher(expression: str) -> Matches:
    """Whether a code is meant by an expression.

    Args:
        expression: such as "replay", "td.* and not double" or "not (frames or records)": a pattern
            is meant where a code contains it, or matches it as a shell pattern.

    Raises:
        SelectionError: naming the place.
    """
    reader = _Reader(expression)
    matches = reader.either()
    if reader.token:
        raise reader.expected("and, or, or the end")
    return matches


class _Reader:
    """Reads an expression from left to right: `or` binds weaker than `and`, `not` strongest."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens = TOKEN.findall(expression)

    @property
    def token(self) -> str:
        """The next one; "" at the end."""
        return self._tokens[0] if self._tokens else ""

    def expected(self, what: str) -> SelectionError:
        """The error for another token than was expected."""
        return SelectionError(
            f"checks: cannot read {self._expression!r}\n"
            f"  expected  {what}\n"
            f"  actual    {self.token or 'the end'}\n"
            "  next      write it as in: replay and not (frames or records)"
        )

    def either(self) -> Matches:
        """Terms joined by or."""
        matches = self._both()
        while self._takes("or"):
            matches = _or(matches, self._both())
        return matches

    def _both(self) -> Matches:
        matches = self._one()
        while self._takes("and"):
            matches = _and(matches, self._one())
        return matches

    def _one(self) -> Matches:
        if self._takes("not"):
            inner = self._one()
            return lambda code: not inner(code)
        if self._takes("("):
            matches = self.either()
            if not self._takes(")"):
                raise self.expected("a closing parenthesis")
            return matches
        if not self.token or self.token in OPERATORS:
            raise self.expected("a pattern")
        pattern = self._tokens.pop(0)
        return lambda code: pattern in code or fnmatchcase(code, pattern)

    def _takes(self, token: str) -> bool:
        if self.token != token:
            return False
        self._tokens.pop(0)
        return True


def _or(one: Matches, other: Matches) -> Matches:
    return lambda code: one(code) or other(code)


def _and(one: Matches, other: Matches) -> Matches:
    return lambda code: one(code) and other(code)
