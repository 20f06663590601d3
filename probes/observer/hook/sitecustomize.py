"""Loaded by the interpreter of a script, because PYTHONPATH names this folder.

Installs the observer, and then lets the owner's own sitecustomize run, if there is one.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
NAME = "dqn_harness_observer"


def _load(name: str, path: str, search: Any = None) -> Any:
    spec: Any = importlib.util.spec_from_file_location(
        name, path, submodule_search_locations=search
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


if "DQN_HARNESS_PLAN" in os.environ:
    folder = os.path.dirname(HERE)
    _load(NAME, os.path.join(folder, "__init__.py"), [folder])
    importlib.import_module(f"{NAME}.start").install()

for place in sys.path:
    other = os.path.join(place, "sitecustomize.py")
    if os.path.abspath(place) != HERE and os.path.isfile(other):
        _load("sitecustomize", other)
        break
