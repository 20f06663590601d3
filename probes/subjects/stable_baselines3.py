"""Stable-Baselines3's DQN as a subject, as it is shipped: no part of it is replaced or repaired.

It draws from the global generators of Python, NumPy and PyTorch, and seeds them when it is made;
two of these subjects in one process therefore disturb each other.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from probes.subject import (
    Array,
    Env,
    EnvMaker,
    Records,
    Settings,
    Subject,
    Transitions,
    Unsupported,
)

try:
    from stable_baselines3 import DQN
    from stable_baselines3.common.atari_wrappers import AtariWrapper
    from stable_baselines3.common.buffers import ReplayBuffer
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.logger import Logger
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.type_aliases import ReplayBufferSamples
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
    from stable_baselines3.dqn.policies import QNetwork
except ImportError as error:
    raise ImportError(
        f"{error}\n  next      python -m pip install 'stable-baselines3>=2.4'"
    ) from error


class StableBaselines3(Subject):
    """Stable-Baselines3's DQN; offers every capability that its public members allow.

    Two things are said in its own words: it syncs by agent steps, counted from the first one, and
    it explores from the first step on, not only after warming up.

    Args:
        make_env: of environments of vectors, or of stacks of frames.
        settings: followed as far as the library can.

    Attributes:
        model: the library's own object.
        expected: what the library really does otherwise, and why that is red.

    Raises:
        Unsupported: for settings that the library does not offer.
    """

    expected: ClassVar[dict[str, str]] = {
        "exploration.coin-for-each-environment": "one coin is tossed for all environments",
        "replay.memory-per-transition": "both stacks of a transition are stored, whole",
        "seeding.neighbouring-runs-share-no-environment": "environments are seeded with seed + i",
    }

    def __init__(self, make_env: EnvMaker, settings: Settings) -> None:
        _refuse_the_impossible(settings)
        self.settings = settings
        self._make_env = make_env
        # Inside the library's own record of episodes, as its `make_vec_env` has them.
        envs = DummyVecEnv([lambda: Monitor(make_env())] * settings.num_envs)
        of_frames = len(envs.observation_space.shape or ()) > 1
        rollout_steps = math.lcm(settings.num_envs, settings.train_period_steps)
        self.model = self._ready(
            DQN(
                "CnnPolicy" if of_frames else "MlpPolicy",
                envs,
                learning_rate=settings.learning_rate,
                buffer_size=settings.capacity,
                learning_starts=settings.warmup_steps,
                batch_size=settings.batch_size,
                gamma=settings.gamma,
                train_freq=rollout_steps // settings.num_envs,
                gradient_steps=rollout_steps // settings.train_period_steps,
                target_update_interval=_sync_period_steps(settings),
                exploration_initial_eps=settings.epsilon_initial,
                exploration_final_eps=settings.epsilon_final,
                exploration_fraction=settings.epsilon_decay_steps / settings.total_steps,
                stats_window_size=sys.maxsize,  # all episodes are kept, not the last 100
                policy_kwargs=None if of_frames else {"net_arch": [64, 64]},
                seed=settings.seed,
                device=settings.device,
            )
        )

    @property
    def online_net(self) -> QNetwork:
        """The trained network."""
        return self.model.q_net

    @property
    def target_net(self) -> QNetwork:
        """The lagged network."""
        return self.model.q_net_target

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """What moves the online network."""
        return self.model.policy.optimizer

    def train(self, steps: int) -> None:
        """Goes on training; rounds up to rollouts."""
        self.model.learn(steps, reset_num_timesteps=False, log_interval=sys.maxsize)

    def q_values(self, obs: Array) -> Array:
        return self._values(self.online_net, obs)

    def target_values(self, obs: Array) -> Array:
        """Q-values of the target network."""
        return self._values(self.target_net, obs)

    def update(self, transitions: Transitions) -> None:
        """One gradient step by the library's own `train`, which never syncs."""
        memory = self.model.replay_buffer
        self.model.replay_buffer = _These(transitions, self.model)
        self.model.train(gradient_steps=1, batch_size=len(transitions.action))
        self.model.replay_buffer = memory

    def sample(self, size: int) -> Transitions:
        """Transitions from the replay memory, by the generator that training draws from."""
        assert self.model.replay_buffer is not None
        drawn = self.model.replay_buffer.sample(size)
        return Transitions(
            obs=drawn.observations.numpy(force=True),
            action=drawn.actions.flatten().numpy(force=True),
            reward=drawn.rewards.flatten().numpy(force=True),
            next_obs=drawn.next_observations.numpy(force=True),
            terminated=drawn.dones.flatten().numpy(force=True) > 0,
        )

    def save(self, folder: Path) -> None:
        """Writes the library's own files; the replay memory is one of them."""
        self.model.save(folder / "model.zip", exclude=["exploration_schedule"])
        self.model.save_replay_buffer(folder / "replay.pkl")

    def load(self, folder: Path) -> None:
        """Goes on from the library's own files, which may execute code: load no stranger's."""
        model = DQN.load(folder / "model.zip", self.model.env, device=self.settings.device)
        model.load_replay_buffer(folder / "replay.pkl")
        self.model = self._ready(model)

    def evaluate(self, episodes: int) -> list[float]:
        """Raw returns of some greedy episodes, in an environment of their own."""
        envs = DummyVecEnv([lambda: Monitor(self._make_env())])
        envs.seed(self.settings.seed + self.settings.num_envs)
        returns, _ = evaluate_policy(self.model, envs, episodes, return_episode_rewards=True)
        envs.close()
        assert isinstance(returns, list)
        return returns

    def replay_bytes(self) -> int:
        """Memory of the observations in the replay memory."""
        memory = self.model.replay_buffer
        assert memory is not None
        return memory.observations.nbytes + memory.next_observations.nbytes

    def preprocess(self, emulator: Env) -> Env:
        """The library's wrappers for Atari games; it stacks frames elsewhere.

        Raises:
            Unsupported: without OpenCV, which shrinks the frames.
        """
        if importlib.util.find_spec("cv2") is None:
            raise Unsupported("OpenCV is missing: python -m pip install opencv-python-headless")
        return AtariWrapper(emulator)

    def epsilon(self) -> float:
        """Probability of a random action at the next step."""
        warming_up = self.model.num_timesteps < self.model.learning_starts
        return 1.0 if warming_up else float(self.model.exploration_rate)

    def records(self) -> Records:
        """What the library logs; Q-values are not among it.

        A call of its `train` logs one loss, so these are of updates only where it makes one.
        """
        assert isinstance(self.model.logger, _Noting)
        logged = self.model.logger.logged
        episodes = self.model.ep_info_buffer or ()
        epsilon = np.array(logged["rollout/exploration_rate"]).reshape(-1, 2)
        loss = np.array(logged["train/loss"]).reshape(-1, 2)
        updates = logged["train/n_updates"]
        return Records(
            steps=self.model.num_timesteps,
            updates=int(updates[-1][1]) if updates else 0,
            episode_return=np.array([episode["r"] for episode in episodes]),
            episode_length=np.array([episode["l"] for episode in episodes]),
            loss=loss[:, 1] if self.model.gradient_steps == 1 else None,
            epsilon=epsilon[:, 1],
            epsilon_step=epsilon[:, 0],
        )

    def _values(self, network: QNetwork, obs: Array) -> Array:
        with torch.no_grad():
            values: Array = network(torch.from_numpy(obs).to(self.model.device)).numpy(force=True)
        return values

    def _ready(self, model: DQN) -> DQN:
        """The model, to be trained and updated in pieces.

        Its exploration follows the progress of one call of `learn`; here, that of the whole run.
        """
        shipped = model.exploration_schedule
        total_steps = self.settings.total_steps
        model.exploration_schedule = lambda _: shipped(1 - model.num_timesteps / total_steps)
        model.set_logger(_Noting(model))
        return model


class _Noting(Logger):
    """A logger that writes nothing, and notes some values with the agent steps taken by then."""

    def __init__(self, model: DQN) -> None:
        super().__init__(folder=None, output_formats=[])
        self._model = model
        noted = ("rollout/exploration_rate", "train/loss", "train/n_updates")
        self.logged: dict[str, list[tuple[int, float]]] = {key: [] for key in noted}

    def record(self, key: str, value: Any, exclude: str | tuple[str, ...] | None = None) -> None:
        super().record(key, value, exclude)
        if key in self.logged:
            self.logged[key].append((self._model.num_timesteps, float(value)))


class _These(ReplayBuffer):
    """A replay memory from which exactly these transitions are drawn, in order."""

    def __init__(self, transitions: Transitions, model: DQN) -> None:
        size = len(transitions.action)
        super().__init__(size, model.observation_space, model.action_space, model.device)
        ended = np.asarray(transitions.terminated, np.float32)
        reward = np.asarray(transitions.reward, np.float32)
        self._drawn = ReplayBufferSamples(
            observations=self.to_torch(transitions.obs),
            actions=self.to_torch(transitions.action[:, None]),
            next_observations=self.to_torch(transitions.next_obs),
            dones=self.to_torch(ended[:, None]),
            rewards=self.to_torch(reward[:, None]),
        )

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> ReplayBufferSamples:
        """These transitions, whatever `batch_size` says."""
        del batch_size, env
        return self._drawn


def make(make_env: EnvMaker, settings: Settings) -> StableBaselines3:
    """The DQN of the installed Stable-Baselines3."""
    return StableBaselines3(make_env, settings)


def _sync_period_steps(settings: Settings) -> int:
    return settings.sync_period_updates * settings.train_period_steps


def _refuse_the_impossible(settings: Settings) -> None:
    if settings.double:
        raise Unsupported("Stable-Baselines3 has no double DQN")
    if _sync_period_steps(settings) % settings.num_envs:
        raise Unsupported(
            "Stable-Baselines3 syncs between steps of all environments: expected "
            "sync_period_updates * train_period_steps to be a multiple of num_envs, got "
            f"{settings.sync_period_updates} * {settings.train_period_steps} and "
            f"{settings.num_envs}"
        )
