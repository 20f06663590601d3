"""Faults that the probe worlds were made for."""

from __future__ import annotations

from dataclasses import replace
from types import MethodType
from typing import Any, Final

from torch import Tensor, nn

from dqn_core import td
from dqn_core.agent import Agent
from dqn_core.networks import Mlp, Pullback, QNetwork
from dqn_core.replay import Array, Batch, Replay
from probes.checks.check import Component
from probes.faults.fault import Fault
from probes.subjects.core import Parts


class MaximumOverBatch(Agent):
    """All rows bootstrap from the largest next Q-value of the whole batch."""

    def td_target(self, batch: Batch) -> Tensor:
        best = self.target_net.infer(batch.next_obs).max()
        return _bootstrapped(self, batch, best.expand(len(batch.action)))


class MeanOverActions(Agent):
    """The mean of the next Q-values is bootstrapped from, not their maximum."""

    def td_target(self, batch: Batch) -> Tensor:
        return _bootstrapped(self, batch, self.target_net.infer(batch.next_obs).mean(dim=1))


class SyncedOnce(Agent):
    """The target network is synced once and never again."""

    def sync(self) -> None:
        if self.updates == self.recipe.loop.sync_period_updates:
            super().sync()


class BigErrorsIgnored(Agent):
    """The TD error is clipped inside a squared loss: beyond 1 there is no gradient."""

    def update(self, obs: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        small = (target - self.online_net.infer(obs)).abs() <= 1.0
        return super().update(obs, target, weight * small)


class NegativeErrorsIgnored(Agent):
    """The TD error is clipped to [0, 1]: values are pulled up, never down."""

    def update(self, obs: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        return super().update(obs, target, weight * (target > self.online_net.infer(obs)))


class SoftmaxNetwork(QNetwork):
    """A network with a softmax over its actions."""

    def __init__(self, net: QNetwork) -> None:
        super().__init__()
        self.net = net

    @property
    def optimized_tensors(self) -> list[Tensor]:
        """Those of the network within."""
        return self.net.optimized_tensors

    def forward(self, obs: Tensor) -> Tensor:
        """Values that add up to 1 in each row, [B, A] float32."""
        values: Tensor = self.net(obs).softmax(dim=1)
        return values

    def vjp(self, obs: Tensor) -> tuple[Tensor, Pullback]:
        q, pullback = self.net.vjp(obs)
        values = q.softmax(dim=1)

        def through_softmax(gradient: Tensor) -> None:
            weighted = values * gradient
            pullback(weighted - values * weighted.sum(dim=1, keepdim=True))

        return values, through_softmax


class SoftmaxOutput(Agent):
    """There is a softmax behind the last layer of both networks."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.online_net = SoftmaxNetwork(self.online_net)
        self.target_net = SoftmaxNetwork(self.target_net)


class ActionsOfOtherRows(Replay):
    """Actions are read with an index that was changed for another column."""

    def gather(self, env: Array, row: Array) -> Batch:
        batch = super().gather(env, row)
        return replace(batch, action=batch.action.roll(1))


class NewestFirst(Batch):
    """A batch whose stacks run backwards."""

    @property
    def obs(self) -> Tensor:
        return super().obs.flip(1)

    @property
    def next_obs(self) -> Tensor:
        return super().next_obs.flip(1)

    def rows(self, start: int, stop: int) -> Batch:
        return _newest_first(super().rows(start, stop))


class FramesReversedInReplay(Replay):
    """Stacks come out of the replay memory newest first; acting has the newest last."""

    def gather(self, env: Array, row: Array) -> Batch:
        batch = super().gather(env, row)
        return _newest_first(batch) if self.frame_stack > 1 else batch


class StackFrozen(Agent):
    """All frames of a stack are the newest one, when acting and when learning."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        for net in (self.online_net, self.target_net):
            net.register_forward_pre_hook(_newest_frame_alone)
            if not isinstance(net, Mlp):  # which sees vectors
                net.vjp = MethodType(QNetwork.vjp, net)  # type: ignore[method-assign]  # by autograd, through the hook


def _bootstrapped(agent: Agent, batch: Batch, next_value: Tensor) -> Tensor:
    return td.td_target(batch.reward, batch.terminated, next_value, agent.recipe.td.gamma)


def _newest_first(batch: Batch) -> NewestFirst:
    columns = (batch.window, batch.action, batch.reward, batch.terminated, batch.slots)
    return NewestFirst(*columns)


def _newest_frame_alone(net: nn.Module, args: tuple[Tensor]) -> Tensor:
    del net
    (obs,) = args
    return obs[:, -1:].expand_as(obs) if obs.ndim > 2 else obs


FAULTS: Final = (
    Fault(
        name="maximum-over-batch",
        seen=("https://github.com/google/dopamine/commit/7315342",),
        component=Component.TD_TARGET,
        what="All rows bootstrap from the largest next Q-value of the whole batch.",
        parts=Parts(agent=MaximumOverBatch),
        caught_by=("td.rows-are-independent", "loss.aims-at-target", "world.branching.vector"),
    ),
    Fault(
        name="mean-over-actions",
        seen=("https://github.com/google/dopamine/commit/7315342",),
        component=Component.TD_TARGET,
        what="The mean of the next Q-values is bootstrapped from, not their maximum.",
        parts=Parts(agent=MeanOverActions),
        caught_by=("world.branching.vector", "world.overestimation.plain"),
    ),
    Fault(
        name="synced-once",
        seen=(
            "https://github.com/AgileRL/AgileRL/commit/b3c8717a",
            "https://github.com/AgileRL/AgileRL/commit/dd9bf15d",
            "https://github.com/AgileRL/AgileRL/issues/464",
        ),
        component=Component.TARGET_NETWORK,
        what="The target network is synced once and never again.",
        parts=Parts(agent=SyncedOnce),
        caught_by=("world.delayed-reward.vector",),
    ),
    Fault(
        name="big-errors-ignored",
        seen=(
            "https://github.com/devsisters/DQN-tensorflow/issues/16",
            "https://github.com/spragunr/deep_q_rl/issues/46",
            "https://github.com/carpedm20/deep-rl-tensorflow/issues/5",
        ),
        component=Component.TD_TARGET,
        what="The TD error is clipped inside a squared loss: beyond 1 there is no gradient.",
        parts=Parts(agent=BigErrorsIgnored),
        caught_by=("loss.big-errors-count", "world.wide-values.vector"),
    ),
    Fault(
        name="negative-errors-ignored",
        seen=(
            "https://github.com/devsisters/DQN-tensorflow/issues/16",
            "https://github.com/spragunr/deep_q_rl/issues/46",
            "https://github.com/carpedm20/deep-rl-tensorflow/issues/5",
        ),
        component=Component.TD_TARGET,
        what="The TD error is clipped to [0, 1]: values are pulled up, never down.",
        parts=Parts(agent=NegativeErrorsIgnored),
        caught_by=("world.noisy-reward.vector",),
    ),
    Fault(
        name="softmax-output",
        seen=(
            "https://github.com/thu-ml/tianshou/issues/725",
            "https://github.com/thu-ml/tianshou/commit/d4e4f4ff",
        ),
        component=Component.OPTIMIZER,
        what="There is a softmax behind the last layer of both networks.",
        parts=Parts(agent=SoftmaxOutput),
        caught_by=(
            "network.output-is-unbounded",
            "world.constant-reward.vector",
            "world.wide-values.vector",
            "world.constant-reward.frames",
        ),
    ),
    Fault(
        name="actions-of-other-rows",
        seen=("https://github.com/thu-ml/tianshou/issues/82",),
        component=Component.REPLAY,
        what="Actions are read with an index that was changed for another column.",
        parts=Parts(replay=ActionsOfOtherRows),
        caught_by=(
            "world.reward-by-action.vector",
            "world.reward-by-observation-and-action.vector",
            "world.reward-by-observation-and-action.frames",
        ),
    ),
    Fault(
        name="frames-reversed-in-replay",
        seen=(),
        component=Component.FRAMES,
        what="Stacks come out of the replay memory newest first; acting has the newest last.",
        parts=Parts(replay=FramesReversedInReplay),
        caught_by=("world.velocity.frames",),
    ),
    Fault(
        name="stack-frozen",
        seen=("https://github.com/thu-ml/tianshou/issues/1272",),
        component=Component.FRAMES,
        what="All frames of a stack are the newest one, when acting and when learning.",
        parts=Parts(agent=StackFrozen),
        caught_by=("world.velocity.frames", "world.flicker.frames"),
    ),
)
