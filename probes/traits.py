"""How an implementation differs from plain DQN on purpose, declared so that it is judged by that.

A subject declares its traits by a member `traits`, a mapping with some of the names below, as in
`traits = {"tau": 0.005, "n_step": 3}`. What is not declared is taken to be plain DQN that follows
its settings.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from dqn_core.names import unknown


class TraitError(ValueError):
    """Traits that are none, or have no such value."""


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What is declared of an implementation.

    Attributes:
        tau: share of the online network that the target network takes over at each sync (Polyak
            averaging); 1 for a copy.
        sync_period_updates: updates from one sync to the next, whatever is asked for; 0 where it is
            what is asked for. Usual with a small tau is 1.
        n_step: rewards in a row that are summed before it bootstraps (Sutton 1988).
        double: whether it is double DQN, or plain, whatever is asked for; None where it is what is
            asked for.
        noisy: whether values vary from update to update on purpose, by noisy layers (Fortunato et
            al. 2018) or dropout; `q_values` and `target_values` give those without noise.
        batch_norm: whether the network normalises by the batch while it trains.
        reward_clip: the largest size of a reward that is learned from; 0 where it is not clipped.
        reward_scale: what rewards are multiplied by, after clipping.
        learning_rate: its own, whatever is asked for; 0 where it is what is asked for.
    """

    tau: float = 1.0
    sync_period_updates: int = 0
    n_step: int = 1
    double: bool | None = None
    noisy: bool = False
    batch_norm: bool = False
    reward_clip: float = 0.0
    reward_scale: float = 1.0
    learning_rate: float = 0.0

    @property
    def declared(self) -> dict[str, Any]:
        """Those that differ from plain DQN."""
        plain = Traits()
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value != getattr(plain, name)}


def read_traits(declared: Mapping[str, object]) -> Traits:
    """Traits as a subject declares them.

    Args:
        declared: values by name.

    Raises:
        TraitError: for an unknown name, or a value that it cannot have.
    """
    plain = Traits()
    names = [field.name for field in fields(Traits)]
    found: dict[str, Any] = {}
    for name, value in declared.items():
        if name not in names:
            raise TraitError(unknown("trait", name, names))
        usual = getattr(plain, name)
        found[name] = _flag(name, value) if isinstance(usual, bool | None) else _number(name, value)
    return Traits(**found)


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise TraitError(f"traits: expected {name} to be True or False, got {value!r}")
    return value


# Bounds of numbers: the least, which is left out, and the most.
BOUNDS = {
    "tau": (0.0, 1.0),
    "reward_clip": (0.0, float("inf")),
    "reward_scale": (0.0, float("inf")),
    "learning_rate": (0.0, 1.0),
}
COUNTS = ("sync_period_updates", "n_step")


def _number(name: str, value: object) -> float:
    if name in COUNTS:
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
            raise TraitError(f"traits: expected {name} to be a positive integer, got {value!r}")
        return int(value)
    least, most = BOUNDS[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not least < value <= most:
        raise TraitError(
            f"traits: expected {name} to be above {least:g} and at most {most:g}, got {value!r}"
        )
    return float(value)
