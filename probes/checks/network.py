"""The network as a function: what its Q-values depend on."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from torch import nn

from probes.checks.check import Check, Component
from probes.checks.support.testbed import Testbed
from probes.checks.support.variants import NOT_DECLARED, observed_noise
from probes.checks.support.white_box import draw, generator, kept, trained, white_box_trial
from probes.outcome import Outcome
from probes.properties.values import advantages_are_relative, functions_of_one_row
from probes.subject import Unsupported
from probes.worlds.env import VECTOR_SIZE, WorldEnv
from probes.worlds.tables import BRANCHING

ROWS: Final = 12
# Statistics of batches, and differences between actions, grow while it trains.
STEPS: Final = 120


def values_are_of_one_row(testbed: Testbed) -> Outcome:
    """Asks for the values of some observations one by one, all together, and in other company."""
    trial = testbed.trial(
        lambda _: WorldEnv(BRANCHING, "vector"), learning_rate=2e-3, total_steps=STEPS
    )
    trial.train(STEPS)
    rng = generator(testbed.seed)
    obs = rng.random((ROWS, VECTOR_SIZE), np.float32)
    others = 10 * rng.random((3 * ROWS, VECTOR_SIZE), np.float32) - 5
    return functions_of_one_row(
        np.concatenate([trial.q_table(row[None]) for row in obs]),
        {
            "all together": trial.q_table(obs),
            "in reverse": trial.q_table(obs[::-1])[::-1],
            "among others": trial.q_table(np.concatenate([others, obs]))[len(others) :],
            "asked for again": np.concatenate([trial.q_table(row[None]) for row in obs]),
        },
    )


def noise_is_drawn_anew(testbed: Testbed) -> Outcome:
    """Repeats one update, and compares the directions of its gradients."""
    if not testbed.traits.noisy:
        raise Unsupported(NOT_DECLARED)
    seen = observed_noise(testbed)
    return Outcome(
        holds=bool(seen),
        expected="gradients of one update in another direction each time it is repeated",
        actual="in another direction each time" if seen else "in the same direction again",
        compared=3,
    )


def advantages_are_centred(testbed: Testbed) -> Outcome:
    """Raises the biases of a dueling network's two last layers, one after the other."""
    if not testbed.traits.dueling:
        raise Unsupported(NOT_DECLARED)
    trial = white_box_trial(testbed)
    network = trial.subject.online_net
    obs = draw(generator(testbed.seed), ROWS).obs
    values = trial.q_table(obs)

    def raised(size: int) -> np.ndarray[Any, Any]:
        biases = [p for p in trained(network) if p.ndim == 1 and len(p) == size]
        if len(biases) != 1:
            raise Unsupported(f"not one layer of {size} outputs with a bias")
        with kept(network):
            _raise(biases[0])
            return trial.q_table(obs)

    return advantages_are_relative(values, raised(1), raised(values.shape[1]))


@torch.no_grad()
def _raise(bias: nn.Parameter) -> None:
    bias.add_(1.0)


CHECKS: Final = (
    Check(
        code="network.advantages-are-centred",
        component=Component.OPTIMIZER,
        needs=("online_net",),
        what="In a dueling network what all advantages share cancels, and the state's value is "
        "part of every Q-value.",
        why="Else the two streams are not told apart: either can take over what is the other's, "
        "and the network is a plain one with more weights.",
        causes=(
            "the mean of the advantages is not subtracted, or their sum is",
            "the value of the state is left out, or scaled",
        ),
        seen=(),
        experiment="add one to the bias of the advantages: no Q-value should change",
        run=advantages_are_centred,
    ),
    Check(
        code="network.noise-is-drawn-anew",
        component=Component.OPTIMIZER,
        needs=("update", "online_net"),
        what="A noisy network draws its noise anew for each update.",
        why="Noise that is drawn once is a bias of the weights: nothing is explored by it, and "
        "nothing shows that it is missing.",
        causes=("the noise is drawn where the network is made, and never again",),
        seen=("https://github.com/opendilab/DI-engine/pull/866",),
        experiment="print one number of the noise before each update",
        run=noise_is_drawn_anew,
    ),
    Check(
        code="network.values-are-of-one-row",
        component=Component.OPTIMIZER,
        what="The Q-values of an observation are the same alone, in any company, and asked again.",
        why="A value that depends on the rest of its batch, or on chance, is another one where the "
        "agent acts than where it learns; losses and returns may look fine.",
        causes=(
            "a dueling head subtracts the mean advantage of the batch instead of the actions'",
            "batch normalisation is in training mode where values are asked for",
            "noise or dropout is drawn where values are asked for",
            "a normalisation runs over the wrong axis",
        ),
        seen=(
            "https://github.com/PacktPublishing/Deep-Reinforcement-Learning-Hands-On/issues/6",
            "https://github.com/keras-rl/keras-rl/pull/239",
            "https://github.com/datawhalechina/easy-rl/issues/95",
            "https://github.com/IntelLabs/coach/issues/368",
        ),
        experiment="print the values of one observation alone, and as a row of a batch",
        run=values_are_of_one_row,
    ),
)
