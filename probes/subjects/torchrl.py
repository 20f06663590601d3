"""TorchRL's DQN loss, replay memory and hard update as a subject, stepped by a loop of ours.

The library has parts, and examples that put them together; so does this module.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from probes.subject import Array, Env, EnvMaker, Settings, Subject, Transitions

try:
    from tensordict import TensorDict
    from torchrl.data import Categorical, LazyTensorStorage, TensorDictReplayBuffer
    from torchrl.modules import QValueActor
    from torchrl.objectives import DQNLoss, HardUpdate
except ImportError as error:
    raise ImportError(f"{error}\n  next      python -m pip install torchrl") from error

HIDDEN = 64


class Network(nn.Module):
    """Q-values [B, A] of vectors [B, D], or of frames [B, 4, 84, 84] from 0 to 255.

    Args:
        shape: of an observation.
        actions: A.
    """

    def __init__(self, shape: tuple[int, ...], actions: int) -> None:
        super().__init__()
        self._scale = 255.0 if len(shape) == 3 else 1.0
        layers: list[nn.Module] = [
            *(nn.Linear(shape[0], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU()),
            nn.Linear(HIDDEN, actions),
        ]
        if len(shape) == 3:  # as in Mnih et al. 2015
            layers = [
                *(nn.Conv2d(4, 32, 8, stride=4), nn.ReLU(), nn.Conv2d(32, 64, 4, stride=2)),
                *(nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten()),
                *(nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, actions)),
            ]
        self._layers = nn.Sequential(*layers)

    def forward(self, obs: Tensor) -> Tensor:
        """See the class."""
        values: Tensor = self._layers(obs / self._scale)
        return values


class TorchRL(Subject):
    """TorchRL's parts of a DQN.

    Args:
        env: the one environment that is played.
        settings: followed as far as the library can.

    Attributes:
        expected: what the library really does otherwise, and why that is red.
    """

    max_envs = 1
    expected: ClassVar[dict[str, str]] = {
        "target.moves-on-sync-only": "HardUpdate copies every interval + 1 calls of step()",
    }

    def __init__(self, env: Env, settings: Settings) -> None:
        self._env, self._settings, self._steps = env, settings, 0
        self._rng = np.random.Generator(np.random.Philox(key=settings.seed))
        self._actions = int(env.action_space.n)  # type: ignore[attr-defined]  # discrete
        torch.default_generator.manual_seed(settings.seed)
        self.online_net = Network(env.observation_space.shape or (), self._actions)
        actor = QValueActor(
            self.online_net, in_keys=["observation"], spec=Categorical(self._actions)
        )
        self._loss = DQNLoss(
            actor, loss_function="l2", delay_value=True, double_dqn=bool(settings.double),
            action_space="categorical",
        )  # fmt: skip
        self._loss.make_value_estimator(gamma=settings.gamma)
        self._updater = HardUpdate(
            self._loss, value_network_update_interval=settings.sync_period_updates
        )
        self.optimizer = torch.optim.Adam(self._loss.parameters(), settings.learning_rate)
        self._memory = TensorDictReplayBuffer(
            storage=LazyTensorStorage(settings.capacity), batch_size=settings.batch_size
        )
        self._obs, _ = env.reset(seed=settings.seed)

    def train(self, steps: int) -> None:
        settings = self._settings
        for _ in range(steps):
            if self._rng.random() < self.epsilon():
                action = int(self._rng.integers(self._actions))
            else:
                action = int(self.q_values(self._obs[None]).argmax())
            next_obs, reward, terminated, truncated, _ = self._env.step(action)
            row = Transitions(
                *(self._obs, np.array(action), np.array(reward, np.float32), next_obs),
                np.array(terminated),
            )
            self._memory.add(_as_tensordict(row, []))
            self._obs = self._env.reset()[0] if terminated or truncated else next_obs
            self._steps += 1
            due = self._steps % settings.train_period_steps == 0
            if due and self._steps >= settings.warmup_steps:
                self._learn(self._memory.sample())

    def epsilon(self) -> float:
        """Probability of a random action at the next step."""
        settings = self._settings
        share = (self._steps - settings.warmup_steps) / settings.epsilon_decay_steps
        if share < 0:
            return 1.0
        change = settings.epsilon_final - settings.epsilon_initial
        return settings.epsilon_initial + min(1.0, share) * change

    def update(self, transitions: Transitions) -> None:
        """One gradient step."""
        self._learn(_as_tensordict(transitions, [len(transitions.action)]))

    def sample(self, size: int) -> Transitions:
        """Some rows of the replay memory."""
        drawn = self._memory.sample(size)
        following = drawn["next"]
        return Transitions(
            drawn["observation"].numpy(),
            drawn["action"].numpy(),
            following["reward"][:, 0].numpy(),
            following["observation"].numpy(),
            following["terminated"][:, 0].numpy(),
        )

    @torch.no_grad()
    def q_values(self, obs: Array) -> Array:
        values: Array = self.online_net(torch.as_tensor(obs)).numpy()
        return values

    @torch.no_grad()
    def target_values(self, obs: Array) -> Array:
        """Q-values of the target network."""
        network = self._loss.value_network
        with self._loss.target_value_network_params.to_module(network):
            asked = TensorDict({"observation": torch.as_tensor(obs)}, [len(obs)])
            values: Array = network(asked)["action_value"].numpy()
        return values

    def _learn(self, batch: TensorDict) -> None:
        self.optimizer.zero_grad()
        self._loss(batch)["loss"].backward()
        self.optimizer.step()
        self._updater.step()


def _as_tensordict(transitions: Transitions, size: list[int]) -> TensorDict:
    ended = torch.as_tensor(transitions.terminated)[..., None]
    following = {
        "observation": torch.as_tensor(transitions.next_obs),
        "reward": torch.as_tensor(transitions.reward, dtype=torch.float32)[..., None],
        "terminated": ended,
        "done": ended,
    }
    columns = {
        "observation": torch.as_tensor(transitions.obs),
        "action": torch.as_tensor(transitions.action),
        "next": following,
    }
    return TensorDict(columns, size)


def make(make_env: EnvMaker, settings: Settings) -> TorchRL:
    """The parts of the installed TorchRL, put together."""
    return TorchRL(make_env(), settings)
