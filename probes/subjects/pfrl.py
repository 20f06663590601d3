"""PFRL's DQN as a subject, as it is shipped, through its interface of `act` and `observe`.

It draws from the global generators of Python, NumPy and PyTorch, which the factory seeds.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from probes.subject import Array, Env, EnvMaker, Settings, Subject, Unsupported

try:
    import pfrl
except ImportError as error:
    raise ImportError(f"{error}\n  next      python -m pip install pfrl") from error

HIDDEN = 64


class PFRL(Subject):
    """PFRL's DQN; offers what its public members allow.

    Args:
        env: the one environment that it plays.
        settings: followed as far as the library can.

    Attributes:
        expected: what the library really does otherwise, and why that is red.
    """

    max_envs = 1
    expected: ClassVar[dict[str, str]] = {
        "exploration.random-while-warming-up-at-epsilon-zero": "it explores by epsilon from the "
        "first step on, and fills its memory with greedy actions where epsilon is zero",
    }

    def __init__(self, env: Env, settings: Settings) -> None:
        self._env = env
        shape, actions = env.observation_space.shape or (), int(env.action_space.n)  # type: ignore[attr-defined]  # discrete
        self._scale = 255.0 if len(shape) == 3 else 1.0
        body: list[nn.Module] = (
            [pfrl.nn.LargeAtariCNN(), nn.Linear(512, actions)]
            if len(shape) == 3
            else [
                *(nn.Linear(shape[0], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU()),
                nn.Linear(HIDDEN, actions),
            ]
        )
        network = nn.Sequential(*body, pfrl.q_functions.DiscreteActionValueHead())
        self.optimizer = torch.optim.Adam(network.parameters(), settings.learning_rate)
        env.action_space.seed(settings.seed)
        self._agent = pfrl.agents.DQN(
            network,
            self.optimizer,
            pfrl.replay_buffers.ReplayBuffer(settings.capacity),
            settings.gamma,
            pfrl.explorers.LinearDecayEpsilonGreedy(
                settings.epsilon_initial,
                settings.epsilon_final,
                settings.epsilon_decay_steps,
                env.action_space.sample,
            ),
            phi=self._phi,
            replay_start_size=settings.warmup_steps,
            minibatch_size=settings.batch_size,
            update_interval=settings.train_period_steps,
            target_update_interval=settings.sync_period_updates * settings.train_period_steps,
        )
        self.online_net: nn.Module = self._agent.model
        self._obs, _ = env.reset(seed=settings.seed)

    @property
    def target_net(self) -> nn.Module:
        """The lagged network."""
        network: nn.Module = self._agent.target_model
        return network

    def train(self, steps: int) -> None:
        for _ in range(steps):
            action = self._agent.act(self._obs)
            self._obs, reward, terminated, truncated, _ = self._env.step(action)
            self._agent.observe(self._obs, reward, terminated, truncated)
            if terminated or truncated:
                self._obs, _ = self._env.reset()

    def q_values(self, obs: Array) -> Array:
        return self._values(self.online_net, obs)

    def target_values(self, obs: Array) -> Array:
        """Q-values of the target network."""
        return self._values(self.target_net, obs)

    @torch.no_grad()
    def _values(self, network: nn.Module, obs: Array) -> Array:
        values: Array = network(torch.as_tensor(self._phi(obs))).q_values.numpy()
        return values

    def _phi(self, obs: Any) -> Array:
        return np.asarray(obs, np.float32) / np.float32(self._scale)


def make(make_env: EnvMaker, settings: Settings) -> PFRL:
    """The DQN of the installed PFRL.

    Raises:
        Unsupported: where double DQN is asked for, which the library has in a class of its own.
    """
    if settings.double:
        raise Unsupported("PFRL's double DQN is another class")
    pfrl.utils.set_random_seed(settings.seed)
    return PFRL(make_env(), settings)
