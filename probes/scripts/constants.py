"""Other values for constants of a script, by their names, in a copy of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from dqn_core.names import unknown

# Of which a value is still one that stands there to be changed.
YAML: Final = frozenset({".yaml", ".yml"})
YAML_LINE: Final = re.compile(
    r"\s*(?P<name>[A-Za-z_]\w*)\s*:\s+(?P<value>[^\s#&*!|>{\[][^#]*?)\s*(#.*)?$"
)
CASTS: Final = frozenset({"int", "float", "bool", "str"})


class ConstantError(ValueError):
    """A constant that is none, or a value that is no literal."""


class Place(NamedTuple):
    """Where a constant has its value: an assignment, a default, or an argument by keyword.

    Attributes:
        name: of it.
        line: of its value, from 1.
        start: first byte of the value in that line.
        stop: the one after its last.
        text: the value as it stands there.
    """

    name: str
    line: int
    start: int
    stop: int
    text: str


def read_settings(words: tuple[str, ...]) -> dict[str, str]:
    """Names and values, as literals of Python, of `NAME=VALUE`.

    Raises:
        ConstantError: naming the word that is neither.
    """
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier():
            raise ConstantError(f"--set: expected NAME=VALUE, got {word!r}")
        try:
            ast.literal_eval(value)
        except (ValueError, SyntaxError) as error:
            raise ConstantError(
                f"--set: expected a literal of Python for {name}, got {value!r}"
            ) from error
        found[name] = value
    return found


def set_constants(
    files: Sequence[Path], folder: Path, values: Mapping[str, str]
) -> dict[str, list[str]]:
    """Gives constants in some files other values.

    Args:
        files: that are changed, in place.
        folder: that they are named from.
        values: by name, as they are to stand there.

    Returns:
        Where each was changed, as "file:line".

    Raises:
        ConstantError: if there is no constant of a name, naming the nearest.
    """
    changed: dict[str, list[str]] = {name: [] for name in values}
    known: set[str] = set()
    for path in files:
        if path.is_symlink():
            continue
        source = path.read_text("utf-8", errors="surrogateescape")
        try:
            places = places_in(path)
        except SyntaxError:
            continue
        known |= {place.name for place in places}
        chosen = [place for place in places if place.name in values]
        if chosen:
            path.write_text(_replaced(source, chosen, values), "utf-8", errors="surrogateescape")
            for place in chosen:
                changed[place.name].append(f"{path.relative_to(folder)}:{place.line}")
    for name, places_found in changed.items():
        if not places_found:
            raise ConstantError(f"--set: {unknown('constant', name, sorted(known))}")
    return changed


def places_in(path: Path) -> list[Place]:
    """Where constants have values in a file, of Python or of YAML.

    Raises:
        SyntaxError: if it is neither.
    """
    text = path.read_text("utf-8", errors="surrogateescape")
    return list(_of_yaml(text) if path.suffix in YAML else places_of(text))


def _of_yaml(text: str) -> Iterator[Place]:
    """Keys with a value on their line; lists, mappings and anchors are left alone."""
    for number, line in enumerate(text.split("\n"), 1):
        found = YAML_LINE.match(line)
        if found:
            start, stop = (
                len(line[:place].encode("utf-8", "surrogateescape"))
                for place in found.span("value")
            )
            yield Place(found["name"], number, start, stop, found["value"])


def places_of(source: str) -> Iterator[Place]:
    """Where constants have values that are literals on one line, in any order."""
    for node in ast.walk(ast.parse(source)):
        for name, value in _named_values(node):
            if value.lineno == value.end_lineno and _is_literal(value):
                text = ast.unparse(value)
                yield Place(name, value.lineno, value.col_offset, value.end_col_offset or 0, text)


def _named_values(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name):
                yield target.id, node.value
            elif isinstance(target, ast.Attribute):
                yield target.attr, node.value
            elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = zip(target.elts, node.value.elts, strict=False)
                yield from ((one.id, value) for one, value in pairs if isinstance(one, ast.Name))
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        if isinstance(node.target, ast.Name):
            yield node.target.id, node.value
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        given = node.args
        late = given.args[len(given.args) - len(given.defaults) :]
        yield from zip((one.arg for one in late), given.defaults, strict=True)
        for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
            if default is not None:
                yield one.arg, default
    elif isinstance(node, ast.Call):
        yield from ((one.arg, one.value) for one in node.keywords if one.arg)


def _is_literal(value: ast.expr) -> bool:
    """Whether a value is made of constants alone, such as 1e-3, -1, 10**6 or int(1e6)."""
    for node in ast.walk(value):
        if isinstance(node, ast.Name) and node.id not in CASTS:
            return False
        allowed = (
            ast.Constant, ast.UnaryOp, ast.BinOp, ast.Call, ast.Name, ast.operator, ast.unaryop,
            ast.expr_context,
        )  # fmt: skip
        if not isinstance(node, allowed):
            return False
    return True


def _replaced(source: str, places: list[Place], values: Mapping[str, str]) -> str:
    lines = source.split("\n")
    for place in sorted(set(places), key=lambda one: (one.line, one.start), reverse=True):
        raw = lines[place.line - 1].encode("utf-8", "surrogateescape")
        new = raw[: place.start] + values[place.name].encode() + raw[place.stop :]
        lines[place.line - 1] = new.decode("utf-8", "surrogateescape")
    return "\n".join(lines)
