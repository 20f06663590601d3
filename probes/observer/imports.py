"""Patches that follow the owner's own imports: nothing is imported earlier than the script does."""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from types import ModuleType
from typing import Any, Callable

Patch = Callable[[ModuleType], None]


class _AfterImport(importlib.abc.MetaPathFinder):
    """Runs a patch right after a package has been executed, and before its importer goes on."""

    def __init__(self, patches: dict[str, Patch]) -> None:
        self._patches = patches
        self._looking: set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any | None:
        """The spec that others find, with a loader that goes on to the patch."""
        del path, target
        if name not in self._patches or name in self._looking:
            return None
        self._looking.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._looking.discard(name)
        if spec is None or spec.loader is None:
            return None
        execute, patch = spec.loader.exec_module, self._patches[name]

        def exec_module(module: ModuleType) -> None:
            execute(module)
            patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def after_import(patches: dict[str, Patch]) -> None:
    """Has each patch called with the package of its name, once that is imported."""
    sys.meta_path.insert(0, _AfterImport(patches))
