"""A Deep Q-Network in one file, and the few lines at its end that put it to the test.

    python -m probes --agent examples.dqn:make

`DQN` stands for an agent of your own: nothing in it knows of the harness. `train` and `q_values`
are all that it must have; each further member that the harness knows (here `update`, `sample`,
`target_values`, `epsilon`, the networks and the optimizer) lets more checks run.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from probes.subject import EnvMaker, Settings


@dataclass(frozen=True)
class Config:
    """What can be chosen; periods are in steps, but for `sync_period`, which is in updates."""

    seed: int = 0
    gamma: float = 0.99
    learning_rate: float = 1e-3
    batch_size: int = 32
    capacity: int = 50_000
    warmup: int = 1_000
    train_period: int = 1
    sync_period: int = 500
    epsilon_initial: float = 1.0
    epsilon_final: float = 0.05
    epsilon_decay: int = 10_000
    double: bool = False
    device: str = "cpu"


class Transitions(NamedTuple):
    """Rows of a replay memory, a column for each part of a transition."""

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    next_obs: np.ndarray
    terminated: np.ndarray


class Replay:
    """The last `capacity` transitions, each stored whole."""

    def __init__(self, capacity: int, obs_space: gymnasium.Space[Any]) -> None:
        obs = np.zeros((capacity, *(obs_space.shape or ())), obs_space.dtype)
        self.columns = Transitions(
            obs=obs,
            action=np.zeros(capacity, np.int64),
            reward=np.zeros(capacity, np.float32),
            next_obs=np.zeros_like(obs),
            terminated=np.zeros(capacity, np.bool_),
        )
        self.added = 0

    def add(self, *transition: Any) -> None:
        """Takes the place of the oldest transition, once the memory is full."""
        for column, value in zip(self.columns, transition, strict=True):
            column[self.added % len(column)] = value
        self.added += 1

    def sample(self, size: int, rng: np.random.Generator) -> Transitions:
        """Draws uniformly, with replacement."""
        rows = rng.integers(min(self.added, len(self.columns.action)), size=size)
        return Transitions(*(column[rows] for column in self.columns))


class QNetwork(nn.Sequential):
    """Q-values [B, A] of vectors [B, D], or of frames [B, 4, 84, 84] in 0..255."""

    def __init__(self, shape: tuple[int, ...], num_actions: int, rng: torch.Generator) -> None:
        layers: list[nn.Module] = []
        sizes = [*shape, 64, 64, num_actions]
        if len(shape) == 3:  # as in Mnih et al. 2015
            for channels, filters, side, stride in [(4, 32, 8, 4), (32, 64, 4, 2), (64, 64, 3, 1)]:
                convolution = nn.utils.skip_init(nn.Conv2d, channels, filters, side, stride)
                layers += [convolution, nn.ReLU()]
            layers += [nn.Flatten()]
            sizes = [64 * 7 * 7, 512, num_actions]
        for wide, narrow in pairwise(sizes):
            layers += [nn.utils.skip_init(nn.Linear, wide, narrow), nn.ReLU()]
        super().__init__(*layers[:-1])
        for parameter in self.parameters():
            if parameter.ndim == 1:
                nn.init.zeros_(parameter)
            else:
                nn.init.kaiming_uniform_(parameter, nonlinearity="relu", generator=rng)

    def forward(self, obs: Tensor) -> Tensor:
        """Pixels are scaled to 0..1."""
        q: Tensor = super().forward(obs / 255 if obs.dtype == torch.uint8 else obs)
        return q


class DQN:
    """Deep Q-learning (Mnih et al. 2015) and its double variant (van Hasselt et al. 2016)."""

    def __init__(self, envs: list[gymnasium.Env[Any, Any]], config: Config) -> None:
        self.envs, self.config = envs, config
        self.rng = np.random.default_rng(config.seed)
        obs_space, action_space = envs[0].observation_space, envs[0].action_space
        assert isinstance(action_space, gymnasium.spaces.Discrete)
        self.num_actions = int(action_space.n)
        init = torch.Generator().manual_seed(config.seed)
        network = QNetwork(obs_space.shape or (), self.num_actions, init)
        self.online_net = network.to(config.device)
        self.target_net = copy.deepcopy(self.online_net)
        self.optimizer = torch.optim.Adam(self.online_net.parameters(), config.learning_rate)
        self.replay = Replay(config.capacity, obs_space)
        self.steps = self.updates = 0
        self.obs = [env.reset(seed=int(self.rng.integers(2**31)))[0] for env in envs]

    def train(self, steps: int) -> None:
        """Takes some steps, in one environment after the other, and learns from them."""
        for _ in range(steps):
            self.act(self.steps % len(self.envs))
            self.steps += 1
            if self.steps >= self.config.warmup and self.steps % self.config.train_period == 0:
                self.update(self.sample(self.config.batch_size))

    def act(self, index: int) -> None:
        """Takes a step in one environment, and remembers it."""
        obs = self.obs[index]
        if self.rng.random() < self.epsilon():
            action = int(self.rng.integers(self.num_actions))
        else:
            action = int(self.q_values(obs[None]).argmax())
        next_obs, reward, terminated, truncated, _ = self.envs[index].step(action)
        # A time limit does not end the task: what comes after it has a value.
        self.replay.add(obs, action, reward, next_obs, terminated)
        ended = terminated or truncated
        self.obs[index] = self.envs[index].reset()[0] if ended else next_obs

    def update(self, transitions: Transitions) -> None:
        """Makes one gradient step, and syncs the target network when that is due."""
        columns = (torch.as_tensor(column, device=self.config.device) for column in transitions)
        obs, action, reward, next_obs, terminated = columns
        with torch.no_grad():
            next_q = self.target_net(next_obs)
            choosing = self.online_net(next_obs) if self.config.double else next_q
            next_value = next_q.gather(1, choosing.argmax(1, keepdim=True)).squeeze(1)
            target = reward + self.config.gamma * ~terminated * next_value
        predicted = self.online_net(obs).gather(1, action[:, None]).squeeze(1)
        self.optimizer.zero_grad()
        functional.smooth_l1_loss(predicted, target).backward()
        self.optimizer.step()
        self.updates += 1
        if self.updates % self.config.sync_period == 0:
            self.target_net.load_state_dict(self.online_net.state_dict())

    def epsilon(self) -> float:
        """Probability of a random action at the next step."""
        config, decaying = self.config, self.steps - self.config.warmup
        if decaying < 0:
            return 1.0
        progress = min(1.0, decaying / config.epsilon_decay)
        return config.epsilon_initial + progress * (config.epsilon_final - config.epsilon_initial)

    def sample(self, size: int) -> Transitions:
        """What is learned from."""
        return self.replay.sample(size, self.rng)

    def q_values(self, obs: np.ndarray) -> np.ndarray:
        """Q-values [B, A] of observations [B, ...]."""
        return self._values(self.online_net, obs)

    def target_values(self, obs: np.ndarray) -> np.ndarray:
        """The same, of the target network."""
        return self._values(self.target_net, obs)

    @torch.no_grad()
    def _values(self, network: QNetwork, obs: np.ndarray) -> np.ndarray:
        values: np.ndarray = network(torch.as_tensor(obs, device=self.config.device)).cpu().numpy()
        return values


def make(make_env: EnvMaker, settings: Settings) -> DQN:
    """All that the harness needs: its settings, in the words of this agent."""
    config = Config(
        seed=settings.seed,
        gamma=settings.gamma,
        learning_rate=settings.learning_rate,
        batch_size=settings.batch_size,
        capacity=settings.capacity,
        warmup=settings.warmup_steps,
        train_period=settings.train_period_steps,
        sync_period=settings.sync_period_updates,
        epsilon_initial=settings.epsilon_initial,
        epsilon_final=settings.epsilon_final,
        epsilon_decay=settings.epsilon_decay_steps,
        double=bool(settings.double),
        device=settings.device,
    )
    return DQN([make_env() for _ in range(settings.num_envs)], config)
