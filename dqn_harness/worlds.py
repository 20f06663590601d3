"""The probe worlds under names of Gymnasium, for a training loop of one's own.

    import dqn_harness
    env = gymnasium.make("dqn_harness/TwoStepDiscounting-v0")
    env.unwrapped.world.solve(gamma=0.9)  # [S, A], what it is to learn

Neither this nor `import dqn_harness` imports Gymnasium or anything else of ours.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

NAMES: Final = (
    "constant-reward", "reward-by-observation", "two-step-discounting", "reward-by-action",
    "reward-by-observation-and-action", "branching", "delayed-reward", "wide-values",
    "noisy-reward", "time-limit", "two-ends",
)  # fmt: skip
GYMNASIUM: Final = "gymnasium"


def identity(name: str) -> str:
    """What Gymnasium calls a world: `dqn_harness/TwoStepDiscounting-v0`."""
    return f"dqn_harness/{name.title().replace('-', '')}-v0"


def _register(gymnasium: Any) -> None:
    for name in NAMES:
        gymnasium.register(
            identity(name), entry_point="probes.worlds.env:make_world", kwargs={"name": name}
        )


class _WhenImported(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        del path, target
        if name != GYMNASIUM:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            _register(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


# Where Gymnasium is there already, now; else as soon as it is imported.
if GYMNASIUM in sys.modules:
    _register(sys.modules[GYMNASIUM])
else:
    sys.meta_path.insert(0, _WhenImported())
