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

import numpy as np
import numpy.typing as npt

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
        epsilon_greedy: whether it takes random actions by epsilon; an agent with noisy layers may
            explore by their noise instead.
        batch_norm: whether the network normalises by the batch while it trains.
        reward_clip: the largest size of a reward that is learned from; 0 where it is not clipped.
        reward_sign: whether of a reward its sign alone is learned from.
        reward_scale: what rewards are multiplied by, after clipping.
        learning_rate: its own, whatever is asked for; 0 where it is what is asked for.
        dueling: whether values are a state's value plus relative advantages (Wang et al. 2016).
        loss: "huber" or "mse"; "" where it may be either.
        huber_knee: the TD error from which Huber's loss is a straight line.
        gradient_clip_norm: the most that the whole gradient measures; 0 where that is not clipped.
        gradient_clip_value: the most that each number of it measures; 0 where that is not clipped.
        priority_exponent: alpha of proportional prioritised replay (Schaul et al. 2016, equation
            1), 0 for uniform replay.
        importance_exponent: beta of the weights that make up for it, at the end of a run (section
            3.4 there).
    """

    tau: float = 1.0
    sync_period_updates: int = 0
    n_step: int = 1
    double: bool | None = None
    noisy: bool = False
    epsilon_greedy: bool = True
    batch_norm: bool = False
    reward_clip: float = 0.0
    reward_sign: bool = False
    reward_scale: float = 1.0
    learning_rate: float = 0.0
    dueling: bool = False
    loss: str = ""
    huber_knee: float = 1.0
    gradient_clip_norm: float = 0.0
    gradient_clip_value: float = 0.0
    priority_exponent: float = 0.0
    importance_exponent: float = 1.0

    @property
    def declared(self) -> dict[str, Any]:
        """Those that differ from plain DQN."""
        plain = Traits()
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value != getattr(plain, name)}

    def learned(self, reward: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """What is learned from in place of rewards."""
        signed = np.sign(reward) if self.reward_sign else reward
        most = self.reward_clip or np.inf
        return signed.clip(-most, most) * self.reward_scale


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
        match usual:
            case bool() | None:
                found[name] = _flag(name, value)
            case str():
                found[name] = _loss(name, value)
            case _:
                found[name] = _number(name, value)
    return Traits(**found)


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise TraitError(f"traits: expected {name} to be True or False, got {value!r}")
    return value


def _loss(name: str, value: object) -> str:
    if value not in LOSSES:
        raise TraitError(f"traits: expected {name} to be one of {LOSSES}, got {value!r}")
    return str(value)


LOSSES = ("huber", "mse")
# Bounds of numbers: the least, which is left out but for some, and the most.
LEAST_TOO = ("importance_exponent",)
BOUNDS = {
    "tau": (0.0, 1.0),
    "reward_clip": (0.0, float("inf")),
    "reward_scale": (0.0, float("inf")),
    "learning_rate": (0.0, 1.0),
    "huber_knee": (0.0, float("inf")),
    "gradient_clip_norm": (0.0, float("inf")),
    "gradient_clip_value": (0.0, float("inf")),
    "priority_exponent": (0.0, 1.0),
    "importance_exponent": (0.0, 1.0),
}
COUNTS = ("sync_period_updates", "n_step")


def _number(name: str, value: object) -> float:
    if name in COUNTS:
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
            raise TraitError(f"traits: expected {name} to be a positive integer, got {value!r}")
        return int(value)
    least, most = BOUNDS[name]
    above = "from" if name in LEAST_TOO else "above"
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not (least < value <= most or (name in LEAST_TOO and value == least))
    ):
        raise TraitError(
            f"traits: expected {name} to be {above} {least:g} and at most {most:g}, got {value!r}"
        )
    return float(value)
