"""The agent: two networks, an optimizer, and one gradient step."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_value_

from dqn_core import td
from dqn_core.networks import QNetwork, initialise, make_network
from dqn_core.optimizers import decay_updates, make_optimizer, make_scheduler
from dqn_core.recipes.schema import Recipe
from dqn_core.replay import Batch
from dqn_core.streams import Stream

# Most rows for which targets are computed at once: enough to keep the processor busy, few enough
# for its caches, which frames fill sooner. Part of the definition of a run: sums may round
# differently in other shapes.
TARGET_ROWS: Final = 1_024
TARGET_ROWS_OF_FRAMES_ON_A_CPU: Final = 128
# Weights from which learning on a CPU is worth a second thread; smaller networks learn in less time
# than threads take to meet.
LARGE_NETWORK_WEIGHTS: Final = 500_000


class Agent:
    """A DQN or double DQN.

    Args:
        recipe: its sections `network`, `td`, `optimizer`, `learning_rate` and
            `gradient_clip_value` are followed.
        obs_shape: (D,) of a vector, or (stack, height, width) of frames.
        num_actions: A.
        stream: the `init` stream.
        device: of networks and optimizer.

    Attributes:
        threads_pay_off: whether the network is large enough, and on a CPU, for learning to gain by
            a second thread.

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
        self.num_actions = num_actions
        self.updates = 0
        self.online_net = make_network(recipe.network, obs_shape, num_actions, device)
        initialise(self.online_net, recipe.network.init, stream)
        self.target_net = copy.deepcopy(self.online_net).requires_grad_(requires_grad=False)
        # Listed once: walking the modules takes longer than a norm over what they hold.
        self._optimized_tensors = self.online_net.optimized_tensors
        on_a_cpu = device.type == "cpu"
        self.threads_pay_off = (
            on_a_cpu
            and sum(leaf.numel() for leaf in self._optimized_tensors) >= LARGE_NETWORK_WEIGHTS
        )
        frames = on_a_cpu and len(obs_shape) > 1
        self._target_rows = TARGET_ROWS_OF_FRAMES_ON_A_CPU if frames else TARGET_ROWS
        self._acting_net: QNetwork | None = None
        self.optimizer = make_optimizer(recipe, self._optimized_tensors)
        self.scheduler = make_scheduler(recipe, self.optimizer)

    def q_values(self, obs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Q-values of the online network.

        Args:
            obs: [B, *obs_shape] uint8 frames or float32 vectors.

        Returns:
            [B, A] float32, on the host.
        """
        q = self.online_net.infer(torch.from_numpy(obs).to(self.device))
        values: npt.NDArray[np.float32] = q.cpu().numpy()
        return values

    def snapshot(self) -> Agent:
        """This agent with the weights it has now, to act with while it goes on learning.

        The weights are copied to where the last call put them: one such agent at a time.
        """
        if self._acting_net is None:
            self._acting_net = copy.deepcopy(self.target_net)
        _copy_weights(self.online_net, self._acting_net)
        twin = copy.copy(self)
        twin.online_net = self._acting_net
        twin._optimized_tensors = self._acting_net.optimized_tensors  # noqa: SLF001  # of its own kind
        return twin

    def td_target(self, batch: Batch) -> Tensor:
        """Regression targets of the rows of one or more batches, [rows] float32."""
        section = self.recipe.td
        reward = td.clip_reward(batch.reward) if section.clip_reward else batch.reward
        target_q = self.target_net.infer(batch.next_obs)
        if section.double:
            next_value = td.double_value(target_q, self.online_net.infer(batch.next_obs))
        else:
            next_value = td.max_value(target_q)
        return td.td_target(reward, batch.terminated, next_value, section.gamma)

    @torch.no_grad()
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
        obs = batches.obs.view(updates, size, *batches.obs.shape[1:]).unbind()
        weight = td.loss_weight(batches.action, self.num_actions, size)
        weights = weight.view(updates, size, self.num_actions).unbind()
        targets: list[Tensor] = []
        predicted: list[Tensor] = []
        for target in self._targets(batches, updates):
            targets += target.view(-1, size, 1).unbind()
            for index in range(len(predicted), len(targets)):
                predicted.append(self.update(obs[index], targets[index], weights[index]))
            if self.updates % self.recipe.loop.sync_period_updates == 0:
                self.sync()
        target = torch.cat(targets).squeeze(1)
        error = td.td_error(torch.cat(predicted), batches.action, target)
        return error.view(updates, size), (target - error).view(updates, size)

    def _targets(self, batches: Batch, updates: int) -> Iterator[Tensor]:
        """Targets of the next updates, as many at once as may be, when they are asked for."""
        size, period = len(batches.action) // updates, self.recipe.loop.sync_period_updates
        # A second thread takes as long for the targets of one update as the first for the update.
        one_by_one = self.recipe.td.double or self.threads_pay_off
        at_once = 1 if one_by_one else max(1, self._target_rows // size)
        before, first = self.updates, 0
        chunks: list[Batch] = []
        synced: list[bool] = []  # right before
        while first < updates:
            until_sync = period - (before + first) % period
            last = min(first + min(at_once, until_sync), updates)
            chunks.append(batches.rows(first * size, last * size))
            synced.append(until_sync == period)
            first = last
        second_thread = self.online_net.second_thread
        if second_thread is None or self.recipe.td.double:  # which has nothing to compute ahead
            yield from map(self.td_target, chunks)
            return
        begun: Future[Tensor] | None = None
        for index, chunk in enumerate(chunks):
            target = begun.result() if begun else self.td_target(chunk)
            following = index + 1
            can_begin = following < len(chunks) and not synced[following]
            begun = second_thread.submit(self.td_target, chunks[following]) if can_begin else None
            yield target

    def update(self, obs: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """One gradient step.

        Args:
            obs: [B, *obs_shape].
            target: [B, 1] float32, from `td_target`.
            weight: [B, A] float32, from `td.loss_weight`.

        Returns:
            [B, A] float32, Q-values of the observations before the step.
        """
        q, pullback = self.online_net.vjp(obs)
        pullback(td.loss_gradient(q, target, weight, self.recipe.td.loss))
        self.apply_gradients()
        self.updates += 1
        return q

    def apply_gradients(self) -> None:
        """One step of the optimizer and of the learning-rate schedule."""
        if self.recipe.gradient_clip_value != "none":
            clip_grad_value_(self._optimized_tensors, self.recipe.gradient_clip_value)
        self.optimizer.step()
        if self.scheduler is not None and self.updates < decay_updates(self.recipe):
            self.scheduler.step()

    def sync(self) -> None:
        """Copies the online network into the target network."""
        _copy_weights(self.online_net, self.target_net)

    def gradient_norm(self) -> float:
        """Euclidean norm of the last gradient over all parameters."""
        gradients = [leaf.grad for leaf in self._optimized_tensors if leaf.grad is not None]
        norms = torch._foreach_norm(gradients)  # noqa: SLF001  # all in one kernel of a GPU
        return float(torch.linalg.vector_norm(torch.stack(norms)))

    @property
    def learning_rate(self) -> float:
        """Of the next update."""
        return float(self.optimizer.param_groups[0]["lr"])

    def weights_digest(self) -> str:
        """CRC-32 over the bytes of the online weights, in order, as eight hexadecimal digits."""
        crc = 0
        for leaf in self._optimized_tensors:
            crc = zlib.crc32(leaf.detach().cpu().contiguous().numpy().data, crc)
        return f"{crc:08x}"


@torch.no_grad()
def _copy_weights(source: QNetwork, target: QNetwork) -> None:
    for there, here in zip(target.optimized_tensors, source.optimized_tensors, strict=True):
        there.copy_(here)
