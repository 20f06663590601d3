"""A DQN as a script: an Atari game in raw frames, wrappers of its own, and a small CNN.

python examples/scripts/frames.py --total-steps 200000
"""

from __future__ import annotations

import argparse
import copy
from collections import deque

import ale_py
import gymnasium as gym
import numpy as np
import torch
from torch import nn

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
SIDE = 84


class Atari(gym.Wrapper):
    """No-ops at the start, FIRE in each life, four frames a step, the last two as one in grey."""

    def __init__(self, env: gym.Env, skip: int = 4, noops: int = 30) -> None:
        super().__init__(env)
        self.skip, self.noops = skip, noops
        self.observation_space = gym.spaces.Box(0, 255, (SIDE, SIDE), np.uint8)
        self.lives = 0
        self.over = True

    def reset(self, *, seed=None, options=None):
        """A new game, or the next life of the present one."""
        if self.over:
            obs, info = self.env.reset(seed=seed, options=options)
            for _ in range(int(self.np_random.integers(1, self.noops + 1))):
                obs, _, _, _, info = self.env.step(0)
            self.over = False
        for _ in range(self.skip):
            obs, _, _, _, info = self.env.step(1)
        self.lives = info["lives"]
        return grey(obs), info

    def step(self, action):
        """Four frames; a lost life ends an episode."""
        total, frames = 0.0, deque(maxlen=2)
        for _ in range(self.skip):
            obs, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            frames.append(obs)
            if terminated or truncated:
                break
        self.over = terminated or truncated
        lost = info["lives"] < self.lives
        self.lives = info["lives"]
        return grey(np.max(frames, axis=0)), total, terminated or lost, truncated, info


def grey(frame: np.ndarray) -> np.ndarray:
    """A frame [84, 84] by its luminance."""
    whole = torch.from_numpy(frame.astype(np.float32) @ LUMINANCE)[None, None]
    return nn.functional.interpolate(whole, (SIDE, SIDE), mode="area")[0, 0].byte().numpy()


class Network(nn.Module):
    """Two convolutions over four frames."""

    def __init__(self, actions: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(4, 8, 8, stride=4), nn.ReLU(), nn.Conv2d(8, 16, 4, stride=2), nn.ReLU(),
            nn.Flatten(), nn.Linear(16 * 9 * 9, 64), nn.ReLU(), nn.Linear(64, actions),
        )  # fmt: skip

    def forward(self, stack: torch.Tensor) -> torch.Tensor:
        """Q-values."""
        return self.layers(stack.float() / 255.0)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--game", default="ALE/Breakout-v5")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--total-steps", type=int, default=200_000)
    parser.add_argument("--capacity", type=int, default=20_000)
    parser.add_argument("--warmup-steps", type=int, default=1_000)
    parser.add_argument("--train-period", type=int, default=4)
    parser.add_argument("--sync-period", type=int, default=250)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--gamma", type=float, default=0.99)
    parser.add_argument("--epsilon-decay-steps", type=int, default=50_000)
    return parser.parse_args()


def main() -> None:
    """Trains."""
    args = arguments()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    gym.register_envs(ale_py)
    env = Atari(gym.make(args.game, frameskip=1, repeat_action_probability=0.0))
    actions = int(env.action_space.n)
    online = Network(actions)
    target = copy.deepcopy(online)
    optimizer = torch.optim.Adam(online.parameters(), args.learning_rate, eps=1.5e-4)
    memory = deque(maxlen=args.capacity)
    obs, _ = env.reset(seed=args.seed)
    stack = np.stack([obs] * 4)
    updates = 0
    for step in range(args.total_steps):
        epsilon = max(0.1, 1.0 - 0.9 * step / args.epsilon_decay_steps)
        if rng.random() < epsilon:
            action = int(rng.integers(actions))
        else:
            with torch.no_grad():
                action = int(online(torch.from_numpy(stack)[None]).argmax())
        obs, reward, terminated, truncated, _ = env.step(action)
        after = np.concatenate([stack[1:], obs[None]])
        memory.append((stack, action, float(np.sign(reward)), after, terminated))
        stack = after
        if terminated or truncated:
            obs, _ = env.reset()
            stack = np.stack([obs] * 4)
        if step < args.warmup_steps or step % args.train_period:
            continue
        rows = [memory[i] for i in rng.integers(len(memory), size=args.batch_size)]
        stacks, chosen, rewards, following, ended = map(np.array, zip(*rows, strict=True))
        with torch.no_grad():
            best = target(torch.from_numpy(following)).max(dim=1).values
            going_on = torch.from_numpy(~ended)
            goal = torch.from_numpy(rewards).float() + args.gamma * best * going_on
        values = online(torch.from_numpy(stacks))
        value = values.gather(1, torch.from_numpy(chosen)[:, None])[:, 0]
        optimizer.zero_grad()
        nn.functional.smooth_l1_loss(value, goal).backward()
        optimizer.step()
        updates += 1
        if updates % args.sync_period == 0:
            target.load_state_dict(online.state_dict())


if __name__ == "__main__":
    main()
