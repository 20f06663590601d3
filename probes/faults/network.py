"""Faults of the network as a function."""

from __future__ import annotations

from typing import Final

import numpy as np

from probes.checks.check import Component
from probes.faults.fault import Fault
from probes.subject import Array
from probes.subjects.core import CoreSubject, Parts


class CentredOverBatch(CoreSubject):
    """A dueling head subtracts the mean of the whole batch, and not that of the row's actions."""

    def q_values(self, obs: Array) -> Array:
        values = super().q_values(obs)
        centred: Array = values - values.mean() + values[:, :1]
        return centred


class NoiseWhereAsked(CoreSubject):
    """Noise is drawn wherever values are asked for, in evaluation too."""

    def q_values(self, obs: Array) -> Array:
        values = super().q_values(obs)
        noise = np.random.default_rng().normal(size=values.shape)
        noisy: Array = values * (1 + 0.1 * noise.astype(np.float32))
        return noisy


FAULTS: Final = (
    Fault(
        name="centred-over-the-batch",
        seen=(
            "https://github.com/PacktPublishing/Deep-Reinforcement-Learning-Hands-On/issues/6",
            "https://github.com/keras-rl/keras-rl/pull/239",
            "https://github.com/datawhalechina/easy-rl/issues/95",
        ),
        component=Component.OPTIMIZER,
        what="A dueling head subtracts the mean of the whole batch.",
        parts=Parts(subject=CentredOverBatch),
        caught_by=("network.values-are-of-one-row",),
    ),
    Fault(
        name="noise-where-values-are-asked-for",
        seen=(
            "https://github.com/IntelLabs/coach/issues/368",
            "https://github.com/pytorch/rl/issues/3069",
        ),
        component=Component.OPTIMIZER,
        what="Noise is drawn wherever values are asked for, in evaluation too.",
        parts=Parts(subject=NoiseWhereAsked),
        caught_by=("network.values-are-of-one-row",),
    ),
)
