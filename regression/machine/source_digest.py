"""A digest of what the core does: of the syntax trees of all modules that a run executes.

Comments, docstrings and layout have no part in it, so that a better explanation keeps the promise
of equal bits. All else has: names, constants, operators, the order of statements, annotations (by
which settings are validated). Different digests need not mean different bits; equal ones mean the
same program, whichever version of Python read it.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from importlib.util import resolve_name
from typing import Any, Final

PACKAGE: Final = "dqn_core"
# What makes a run of a recipe: its folder with all that trains, and the recipe's file.
ENTRANCES: Final = ("dqn_core.train", "dqn_core.recipes.file")


def source_digest() -> str:
    """First 16 hexadecimal digits of sha256 over what a run executes of the core."""
    return digest_of(executed_modules(resources.files(PACKAGE), ENTRANCES))


def executed_modules(package: Traversable, entrances: tuple[str, ...]) -> dict[str, ast.Module]:
    """Modules of a package that are executed by importing some of them, and by their imports.

    Imports inside functions count, and so do the packages around a module, which Python executes
    before it. Imports by a computed name are not seen.

    Args:
        package: folder of a package that lies in no other.
        entrances: dotted names of modules in it.

    Returns:
        The syntax tree of each, by its dotted name.

    Raises:
        ModuleNotFoundError: if there is no such entrance.
    """
    trees: dict[str, ast.Module] = {}
    waiting = list(entrances)
    while waiting:
        name = waiting.pop()
        if name in trees:
            continue
        if (source := _source(package, name)) is None:
            if name in entrances:
                raise ModuleNotFoundError(f"there is no module {name} in {package}", name=name)
            continue  # of another package, or a class or function
        text, within = source
        trees[name] = ast.parse(text)
        waiting += [name.rpartition(".")[0], *_imported_names(trees[name], within)]
    return trees


def digest_of(trees: Mapping[str, ast.Module]) -> str:
    """First 16 hexadecimal digits of sha256 over syntax trees and their names, in any order.

    Args:
        trees: by the dotted names of modules.
    """
    canonical = {name: _canonical(tree) for name, tree in trees.items()}
    return hashlib.sha256(json.dumps(canonical, sort_keys=True).encode()).hexdigest()[:16]


def _source(package: Traversable, name: str) -> tuple[bytes, str] | None:
    """Text of a module, and the package that its relative imports start from."""
    top, *inner = name.split(".")
    if top != package.name:
        return None
    initializer = package.joinpath(*inner, "__init__.py")
    if initializer.is_file():
        return initializer.read_bytes(), name
    module = package.joinpath(*inner[:-1], f"{inner[-1]}.py") if inner else initializer
    return (module.read_bytes(), name.rpartition(".")[0]) if module.is_file() else None


def _imported_names(tree: ast.Module, within: str) -> Iterator[str]:
    """Dotted names of all that is imported: modules, and what may be a module in a package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), within)
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def _canonical(value: Any) -> Any:
    """A syntax tree in the types of JSON, equal for equal programs on all versions of Python.

    What is empty or None is left out: each version adds fields of its own, which are so where a
    program has no use for them.
    """
    if isinstance(value, ast.Constant):
        # 1, True and 1.0 differ in type. Which letters repr escapes depends on the version.
        return {"node": "Constant", "type": type(value.value).__name__, "is": ascii(value.value)}
    if isinstance(value, ast.JoinedStr):
        # Python 3.12 ends some formats with an empty string.
        parts = [_canonical(part) for part in value.values if not _is_empty_text(part)]
        return {"node": "JoinedStr", "values": parts}
    if isinstance(value, ast.AST):
        fields = {name: _canonical(field) for name, field in ast.iter_fields(value)}
        used = {name: field for name, field in fields.items() if field not in (None, [])}
        return {"node": type(value).__name__} | used
    if isinstance(value, list):
        return [_canonical(item) for item in value if not _does_nothing(item)]
    return value  # an identifier or a number


def _is_empty_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == ""


def _does_nothing(node: Any) -> bool:
    """Whether it is a statement without effect, such as a docstring."""
    return isinstance(node, ast.Pass) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )
