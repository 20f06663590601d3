"""A healthy agent that shares nothing with the core."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from probes.subject import Settings


class Linear:
    """Learns immediate rewards by a linear map of observations, at first zero.

    It acts with the values of before its last update, breaks ties at random, decays epsilon from
    the first step on, and makes its first update a period after the warm-up.
    """

    def __init__(self, make_env, settings: Settings) -> None:
        self.settings = settings
        self.envs = [make_env() for _ in range(settings.num_envs)]
        self.num_actions = int(self.envs[0].action_space.n)
        self.rng = np.random.default_rng(settings.seed)
        self.weight = np.zeros((5, self.num_actions))
        self.acting = self.weight.copy()
        self.optimizer = SimpleNamespace(step=lambda: None)
        self.memory: list[tuple[np.ndarray, int, float]] = []
        self.steps = 0
        first = 10_000 * settings.seed
        self.obs = [env.reset(seed=first + n)[0] for n, env in enumerate(self.envs)]

    def epsilon(self) -> float:
        settings = self.settings
        progress = min(1.0, self.steps / settings.epsilon_decay_steps)
        fall = settings.epsilon_initial - settings.epsilon_final
        return settings.epsilon_initial - progress * fall

    def choose(self, values) -> int:
        warm = self.steps >= self.settings.warmup_steps
        if not warm or self.rng.random() < self.epsilon():
            return int(self.rng.integers(self.num_actions))
        return int(self.rng.choice(np.flatnonzero(values == values.max())))

    def train(self, steps: int) -> None:
        period = self.settings.train_period_steps
        for _ in range(-(-steps // len(self.envs))):
            for index, env in enumerate(self.envs):
                features = np.append(self.obs[index], 1.0)
                action = self.choose(features @ self.acting)
                self.obs[index], reward, terminated, truncated, _ = env.step(action)
                self.memory.append((features, action, reward))
                if terminated or truncated:
                    self.obs[index], _ = env.reset()
            self.steps += len(self.envs)
            if self.steps >= self.settings.warmup_steps + period and self.steps % period == 0:
                self.update()

    def update(self) -> None:
        self.acting = self.weight.copy()
        for row in self.rng.integers(len(self.memory), size=self.settings.batch_size):
            features, action, reward = self.memory[row]
            error = reward - features @ self.weight[:, action]
            self.weight[:, action] += self.settings.learning_rate * error * features
        self.optimizer.step()

    def q_values(self, obs):
        return np.concatenate([obs, np.ones((len(obs), 1))], axis=1) @ self.weight
