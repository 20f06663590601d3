"""A DQN as a script: settings by arguments, two environments at once, a memory in arrays.

python examples/scripts/arguments.py --total-steps 20000
"""

from __future__ import annotations

import argparse
import copy

import gymnasium as gym
import numpy as np
import torch
from torch import nn


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--env-id", default="CartPole-v1")
    parser.add_argument("--num-envs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--total-steps", type=int, default=50_000)
    parser.add_argument("--capacity", type=int, default=10_000)
    parser.add_argument("--warmup-steps", type=int, default=200)
    parser.add_argument("--train-period", type=int, default=2)
    parser.add_argument("--sync-period", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--gamma", type=float, default=0.98)
    parser.add_argument("--epsilon-decay-steps", type=int, default=20_000)
    return parser.parse_args()


def main() -> None:
    """Trains."""
    args = arguments()
    rng = np.random.default_rng(args.seed)
    envs = gym.vector.SyncVectorEnv(
        [lambda: gym.make(args.env_id)] * args.num_envs,
        autoreset_mode=gym.vector.AutoresetMode.SAME_STEP,
    )
    size = envs.single_observation_space.shape[0]
    actions = int(envs.single_action_space.n)
    torch.manual_seed(args.seed)
    online = nn.Sequential(nn.Linear(size, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(),
                           nn.Linear(64, actions))  # fmt: skip
    target = copy.deepcopy(online)
    optimizer = torch.optim.Adam(online.parameters(), lr=args.learning_rate)
    memory = {
        "obs": np.zeros((args.capacity, size), np.float32),
        "next_obs": np.zeros((args.capacity, size), np.float32),
        "action": np.zeros(args.capacity, np.int64),
        "reward": np.zeros(args.capacity, np.float32),
        "terminated": np.zeros(args.capacity, np.float32),
    }
    stored = updates = steps = 0
    obs, _ = envs.reset(seed=args.seed)
    while steps < args.total_steps:
        epsilon = max(0.05, 1.0 - steps / args.epsilon_decay_steps)
        chosen = np.array([
            rng.integers(actions) if rng.random() < epsilon
            else int(online(torch.from_numpy(row[None])).argmax())
            for row in obs
        ])  # fmt: skip
        next_obs, reward, terminated, truncated, info = envs.step(chosen)
        for i in range(args.num_envs):
            last = info["final_obs"][i] if terminated[i] or truncated[i] else next_obs[i]
            row = (obs[i], last, chosen[i], reward[i], terminated[i])
            for column, value in zip(memory.values(), row, strict=True):
                column[stored % args.capacity] = value
            stored += 1
        obs = next_obs
        steps += args.num_envs
        if steps < args.warmup_steps or steps % args.train_period:
            continue
        places = rng.integers(min(stored, args.capacity), size=args.batch_size)
        batch = {name: torch.from_numpy(column[places]) for name, column in memory.items()}
        with torch.no_grad():
            best = target(batch["next_obs"]).max(dim=1).values
            goal = batch["reward"] + args.gamma * best * (1 - batch["terminated"])
        value = online(batch["obs"]).gather(1, batch["action"][:, None])[:, 0]
        loss = nn.functional.smooth_l1_loss(value, goal)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        updates += 1
        if updates % args.sync_period == 0:
            target.load_state_dict(online.state_dict())


if __name__ == "__main__":
    main()
