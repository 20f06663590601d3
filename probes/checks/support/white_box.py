"""Updates by hand: transitions and TD errors of our choice, and the gradients that they give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from probes.checks.support.global_generators import global_generators
from probes.checks.support.testbed import Testbed, Trial
from probes.subject import Array, Misbehaviour, Transitions, Unsupported, WhiteBox
from probes.worlds.env import VECTOR_SIZE, WorldEnv
from probes.worlds.tables import BRANCHING

Vector = npt.NDArray[np.float64]

ACTIONS: Final = BRANCHING.num_actions  # of a subject by hand
# A factor on next observations: their values are then far from zero, and a wrong use of them shows.
FAR: Final = np.float32(100.0)
ASIDE: Final = 20_260_101  # of the global generators during an update by hand
NEVER: Final = 1_000_000  # updates between syncs: there is none while a check looks on


def white_box_trial(testbed: Testbed, **settings: Any) -> Trial:
    """A subject that has not trained; its environment serves to ask for shapes."""
    return testbed.trial(
        lambda _: WorldEnv(BRANCHING, "vector"), **({"sync_period_updates": NEVER} | settings)
    )


def generator(seed: int) -> np.random.Generator:
    """A check's own random numbers."""
    return np.random.Generator(np.random.Philox(key=seed))


def draw(rng: np.random.Generator, rows: int) -> Transitions:
    """Random transitions [rows]; every other one ends its episode."""
    return Transitions(
        obs=rng.random((rows, VECTOR_SIZE), np.float32),
        action=rng.integers(ACTIONS, size=rows),
        reward=rng.uniform(-0.5, 0.5, rows).astype(np.float32),
        next_obs=FAR * rng.random((rows, VECTOR_SIZE), np.float32),
        terminated=np.arange(rows) % 2 == 0,
    )


def rows_of(transitions: Transitions, chosen: Array) -> Transitions:
    """Some rows, by index or mask, in that order."""
    return Transitions(*(column[chosen] for column in transitions))


def with_errors(trial: Trial, transitions: Transitions, error: Array | float) -> Transitions:
    """The same observations and actions, with the TD errors of our choice.

    Every row ends its episode, so that its target is its reward and no network has a say in it.
    """
    rows = np.arange(len(transitions.action))
    predicted = trial.q_table(transitions.obs)[rows, transitions.action]
    return transitions._replace(
        reward=(predicted + error).astype(np.float32), terminated=np.ones(len(rows), np.bool_)
    )


def td_targets(subject: WhiteBox, transitions: Transitions) -> Vector:
    """Targets [B] of transitions [B], held to that shape.

    Raises:
        Misbehaviour: for another one.
    """
    targets = np.asarray(subject.td_targets(transitions))
    if targets.shape != transitions.reward.shape:
        raise Misbehaviour(
            f"td_targets of shape {list(transitions.reward.shape)}, one for each row",
            f"it returned {list(targets.shape)}",
        )
    return targets.astype(np.float64)


def target_table(subject: WhiteBox, observations: Array) -> Vector:
    """Q-values [B, A] of the target network."""
    return np.asarray(subject.target_values(observations.copy())).astype(np.float64)


def trained(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that an optimizer should move."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def flat(tensors: Sequence[Tensor]) -> Vector:
    """All values in one vector, on the host."""
    values = torch.cat([tensor.detach().flatten() for tensor in tensors])
    return values.cpu().numpy().astype(np.float64)


def off(actual: Vector, expected: Vector) -> float:
    """Length of the difference, as a fraction of the expected length."""
    length = float(np.linalg.norm(expected))
    return float(np.linalg.norm(actual - expected)) / length if length else np.inf


def value_gradients(trial: Trial, obs: Array) -> Vector:
    """The gradient of each Q-value of an observation, [A, P], over the trained parameters.

    Args:
        trial: of a subject with an `online_net` of torch.
        obs: [1, *obs_shape].

    Raises:
        Unsupported: if calling the network does not give the subject's Q-values.
    """
    network, parameters = trial.subject.online_net, trained(trial.subject.online_net)
    shown = torch.from_numpy(obs).to(parameters[0].device)
    with torch.enable_grad():
        values = network(shown)
        if not torch.is_tensor(values) or values.ndim != 2 or not values.requires_grad:
            raise Unsupported("not offered: online_net(obs) that returns Q-values [B, A]")
        if not np.allclose(values.detach().cpu().numpy(), trial.q_table(obs), rtol=1e-3, atol=1e-4):
            raise Unsupported("not offered: online_net(obs) that returns the Q-values themselves")
        return np.stack(
            [
                flat(torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=False))
                for value in values[0]
            ]
        )


@contextmanager
def kept(*modules: nn.Module, buffers: bool = True) -> Iterator[None]:
    """Puts parameters, and buffers if wanted, back, in place, as they were on entry."""
    tensors: list[Tensor] = [p for module in modules for p in module.parameters()]
    if buffers:
        tensors += [tensor for module in modules for tensor in module.buffers()]
    copies = [tensor.detach().clone() for tensor in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, copy in zip(tensors, copies, strict=True):
                tensor.copy_(copy)


def randomise(module: nn.Module, rng: np.random.Generator, scale: float = 1.0) -> None:
    """Overwrites all parameters in place, uniform within `scale` / sqrt(fan in)."""
    fan_in = 1
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:  # a bias follows the weight of its layer
                fan_in = parameter[0].numel()
            bound = scale / np.sqrt(fan_in)
            values = torch.from_numpy(rng.uniform(-bound, bound, parameter.shape))
            parameter.copy_(values)


def update(subject: WhiteBox, transitions: Transitions) -> list[Tensor]:
    """Lets the subject make one update.

    Returns:
        The gradient of each trained parameter of the online network. It is caught where autograd
        leaves it, before any clipping and before an implementation may clear it; where autograd is
        not used, it is read after the update.

    Raises:
        Misbehaviour: if there was none.
    """
    parameters = trained(subject.online_net)
    caught: dict[int, Tensor] = {}

    def catch(parameter: Tensor) -> None:
        if parameter.grad is not None:
            caught[id(parameter)] = parameter.grad.clone()

    hooks = [
        parameter.register_post_accumulate_grad_hook(catch)  # type: ignore[no-untyped-call]  # torch's
        for parameter in parameters
    ]
    try:
        subject.update(transitions)
    finally:
        for hook in hooks:
            hook.remove()
    found = [caught.get(id(parameter), parameter.grad) for parameter in parameters]
    if all(gradient is None for gradient in found):
        raise Misbehaviour(
            "a gradient for each parameter of online_net", "update() gave none to any of them"
        )
    return [
        torch.zeros_like(parameter) if gradient is None else gradient.clone()
        for parameter, gradient in zip(parameters, found, strict=True)
    ]


def gradient(subject: WhiteBox, transitions: Transitions) -> Vector:
    """The gradient of an update, in one vector; the weights are put back.

    What a network draws from the global generators, such as noise, is the same each time.
    """
    with kept(subject.online_net), global_generators(ASIDE):
        return flat(update(subject, transitions))
