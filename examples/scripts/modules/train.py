"""A DQN as a script in several modules: three-step returns, a dueling network, clipped gradients.

python examples/scripts/modules/train.py
"""

import gymnasium as gym
import numpy as np
import torch
from memory import Memory
from network import Dueling
from torch import nn


class Agent:
    """Acts, remembers and learns."""

    def __init__(self, env, seed, gamma=0.9, steps=3, rate=1e-3):
        size, actions = env.observation_space.shape[0], int(env.action_space.n)
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.actions, self.gamma = actions, gamma
        self.online, self.target = Dueling(size, actions), Dueling(size, actions)
        self.target.load_state_dict(self.online.state_dict())
        self.optimizer = torch.optim.RMSprop(self.online.parameters(), rate, alpha=0.95, eps=1e-5)
        self.memory = Memory(4_000, steps, gamma, self.rng)
        self.updates = 0

    def act(self, obs, epsilon):
        """An action."""
        if self.rng.random() < epsilon:
            return int(self.rng.integers(self.actions))
        with torch.no_grad():
            return int(self.online(torch.as_tensor(obs)[None]).argmax())

    def learn(self, size=32):
        """One update."""
        obs, action, total, next_obs, terminated, discount = map(
            torch.as_tensor, self.memory.sample(size)
        )
        with torch.no_grad():
            following = self.target(next_obs).max(dim=1).values
            goal = total + discount * following * ~terminated
        value = self.online(obs).gather(1, action[:, None]).squeeze(1)
        loss = nn.functional.mse_loss(value, goal.float())
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.online.parameters(), 1.0)
        self.optimizer.step()
        self.updates += 1
        if self.updates % 25 == 0:
            self.target.load_state_dict(self.online.state_dict())


def main():
    """Trains."""
    env = gym.make("CartPole-v1")
    agent = Agent(env, seed=3)
    obs, _ = env.reset(seed=3)
    for step in range(20_000):
        action = agent.act(obs, epsilon=max(0.05, 1 - step / 4_000))
        next_obs, reward, terminated, truncated, _ = env.step(action)
        ended = terminated or truncated
        agent.memory.add(obs, action, reward, next_obs, terminated, ended)
        obs = env.reset()[0] if ended else next_obs
        if step >= 100:
            agent.learn()


if __name__ == "__main__":
    main()
