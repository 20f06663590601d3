"""The observer stands alone: for Python 3.8, with nothing of ours."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import probes.observer

FILES = sorted(Path(probes.observer.__file__).parent.rglob("*.py"))
ALLOWED = {"numpy"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_module_is_python_3_8_and_imports_nothing_of_ours(path):
    tree = ast.parse(path.read_text("utf-8"), feature_version=(3, 8))
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        for name in names:
            first = name.split(".")[0]
            assert first in sys.stdlib_module_names | ALLOWED, f"{path.name}: {name}"
