"""The entrance: a command, a typed API to check your own agent, and a plugin for pytest.

    from dqn_harness import check_agent, parametrize_with_checks

Names are looked up when they are first used, so that pytest can load the plugin in every session
without importing anything else of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dqn_harness.worlds  # noqa: F401  # registers them with Gymnasium

__all__ = [
    "Records",
    "Settings",
    "Transitions",
    "Unsupported",
    "check_agent",
    "parametrize_with_checks",
]

if TYPE_CHECKING:
    from dqn_harness.testing import check_agent, parametrize_with_checks
    from probes.subject import Records, Settings, Transitions, Unsupported
else:

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from dqn_harness import testing  # noqa: PLC0415  # see above

        return getattr(testing, name)
