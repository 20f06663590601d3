"""The agent: two networks, an optimizer, and one gradient step."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_value_

from dqn_core import td
from dqn_core.networks import initialise, make_network
from dqn_core.optimizers import decay_updates, make_optimizer, make_scheduler
from dqn_core.recipe import Recipe
from dqn_core.replay import Batch
from dqn_core.streams import Stream

# Most rows for which targets are computed at once: enough to keep the processor busy, few enough
# for its caches. Part of the definition of a run: sums round differently in other shapes.
TARGET_ROWS: Final = 1_024


class Agent:
    """A DQN or double DQN.

    Args:
        recipe: its sections `network`, `td`, `optimizer`, `learning_rate` and
            `gradient_clip_value` are followed.
        obs_shape: (D,) of a vector, or (stack, height, width) of frames.
        num_actions: A.
        stream: the `init` stream.
        device: of networks and optimizer.

    References:
        Mnih et al. 2015, Methods, Algorithm 1.
    """

    def __init__(
        self,
        recipe: Recipe,
        obs_shape: tuple[int, ...],
        num_actions: int,
        stream: Stream,
        device: torch.device,
    ) -> None:
        self.recipe = recipe
        self.device = device
        self.updates = 0
        self.online_net = make_network(recipe.network, obs_shape, num_actions)
        initialise(self.online_net, recipe.network.init, stream)
        self.online_net.to(device)
        self.target_net = copy.deepcopy(self.online_net).requires_grad_(requires_grad=False)
        # Listed once: walking the modules takes longer than a norm over what they hold.
        self.parameters = list(self.online_net.parameters())
        self.optimizer = make_optimizer(recipe, self.parameters)
        self.scheduler = make_scheduler(recipe, self.optimizer)

    def q_values(self, obs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Q-values of the online network.

        Args:
            obs: [B, *obs_shape] uint8 frames or float32 vectors.

        Returns:
            [B, A] float32, on the host.
        """
        with torch.inference_mode():
            q: Tensor = self.online_net(torch.from_numpy(obs).to(self.device))
            return q.cpu().numpy()

    def td_target(self, batch: Batch) -> Tensor:
        """Regression targets of the rows of one or more batches, [rows] float32."""
        section = self.recipe.td
        reward = td.clip_reward(batch.reward) if section.clip_reward else batch.reward
        with torch.inference_mode():
            target_q = self.target_net(batch.next_obs)
            if section.double:
                next_value = td.double_value(target_q, self.online_net(batch.next_obs))
            else:
                next_value = td.max_value(target_q)
            return td.td_target(reward, batch.terminated, next_value, section.gamma)

    def learn(self, batches: Batch, updates: int) -> tuple[Tensor, Tensor]:
        """Makes some updates, one after the other; syncs the target network when due.

        Targets depend on the target network alone (but in double DQN), so those of all updates up
        to the next sync are computed at once.

        Args:
            batches: the rows of the first update, then those of the second, and so on.
            updates: U.

        Returns:
            The TD errors and the Q-values of the actions taken, before each update, both
            [U, B] float32.
        """
        size = len(batches.action) // updates
        errors: list[Tensor] = []
        targets: list[Tensor] = []
        period = self.recipe.loop.sync_period_updates
        at_once = 1 if self.recipe.td.double else max(1, TARGET_ROWS // size)
        first = 0
        while first < updates:
            last = min(first + min(at_once, period - self.updates % period), updates)
            chunk = batches.rows(first * size, last * size)
            targets += self.td_target(chunk).view(-1, size)
            for start in range(0, len(chunk.action), size):
                target = targets[len(errors)]
                errors.append(self.update(chunk.rows(start, start + size), target))
            first = last
            if self.updates % period == 0:
                self.sync()
        return torch.stack(errors), torch.stack(targets) - torch.stack(errors)

    def update(self, batch: Batch, target: Tensor) -> Tensor:
        """One gradient step towards targets [B]; returns the TD errors before it, [B] float32."""
        q, pullback = self.online_net.vjp(batch.obs)
        error = td.td_error(q, batch.action, target)
        pullback(td.loss_gradient(q, batch.action, error, self.recipe.td.loss))
        self.apply_gradients()
        self.updates += 1
        return error

    def apply_gradients(self) -> None:
        """One step of the optimizer and of the learning-rate schedule."""
        if self.recipe.gradient_clip_value != "none":
            clip_grad_value_(self.parameters, self.recipe.gradient_clip_value)
        self.optimizer.step()
        if self.scheduler is not None and self.updates < decay_updates(self.recipe):
            self.scheduler.step()

    def sync(self) -> None:
        """Copies the online network into the target network."""
        with torch.no_grad():
            for lagged, trained in zip(self.target_net.parameters(), self.parameters, strict=True):
                lagged.copy_(trained)

    def gradient_norm(self) -> float:
        """Euclidean norm of the last gradient over all parameters."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        return float(torch.nn.utils.get_total_norm(gradients))

    @property
    def learning_rate(self) -> float:
        """Of the next update."""
        return float(self.optimizer.param_groups[0]["lr"])

    def weights_digest(self) -> str:
        """Eight hexadecimal digits that change when any bit of the online weights does."""
        return tensors_digest(self.parameters)


def tensors_digest(tensors: Iterable[Tensor]) -> str:
    """CRC-32 over the bytes of tensors, in order, as eight hexadecimal digits."""
    crc = 0
    for tensor in tensors:
        crc = zlib.crc32(tensor.detach().cpu().contiguous().numpy().data, crc)
    return f"{crc:08x}"
