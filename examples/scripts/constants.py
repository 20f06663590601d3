"""A DQN as a script: constants, and training as soon as it is run. Double, with a moving average.

python examples/scripts/constants.py
"""

import copy
import random
from collections import deque

import gymnasium as gym
import numpy as np
import torch
from torch import nn

ENV = "CartPole-v1"
SEED = 7
STEPS = 30_000
MEMORY = 5_000
WARMUP = 128
BATCH = 64
RATE = 3e-4
GAMMA = 0.95
TAU = 0.02
EPSILON_START, EPSILON_END, EPSILON_STEPS = 1.0, 0.05, 5_000

random.seed(SEED)
torch.manual_seed(SEED)


class QNetwork(nn.Module):
    """Two hidden layers, asked by `values`."""

    def __init__(self, size, actions):
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(size, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh())
        self.last = nn.Linear(48, actions)

    def values(self, obs):
        """Q-values."""
        return self.last(self.hidden(obs))

    @torch.no_grad()
    def best(self, obs):
        """The action of the largest value."""
        return int(self.values(torch.as_tensor(obs)[None]).argmax())


env = gym.make(ENV)
online = QNetwork(env.observation_space.shape[0], env.action_space.n)
target = copy.deepcopy(online)
optimizer = torch.optim.SGD(online.parameters(), RATE, momentum=0.9)
memory = deque(maxlen=MEMORY)


def learn():
    """One update."""
    rows = random.sample(memory, BATCH)
    obs, action, reward, next_obs, terminated = (
        torch.as_tensor(np.array(column)) for column in zip(*rows, strict=True)
    )
    with torch.no_grad():
        choice = online.values(next_obs).argmax(dim=1, keepdim=True)
        following = target.values(next_obs).gather(1, choice)[:, 0]
        goal = reward.float() + GAMMA * torch.where(terminated, 0.0, following)
    value = online.values(obs).gather(1, action[:, None])[:, 0]
    optimizer.zero_grad()
    (0.5 * (goal - value) ** 2).mean().backward()
    optimizer.step()
    with torch.no_grad():
        for lagged, current in zip(target.parameters(), online.parameters(), strict=True):
            lagged.mul_(1 - TAU).add_(TAU * current)


obs, _ = env.reset(seed=SEED)
for step in range(STEPS):
    share = min(1.0, step / EPSILON_STEPS)
    if random.random() < EPSILON_START + share * (EPSILON_END - EPSILON_START):
        chosen = random.randrange(env.action_space.n)
    else:
        chosen = online.best(obs)
    next_obs, reward, terminated, truncated, _ = env.step(chosen)
    memory.append((obs, chosen, reward, next_obs, terminated))
    obs = env.reset()[0] if terminated or truncated else next_obs
    if step >= WARMUP:
        learn()
