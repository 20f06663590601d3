"""A Deep Q-Network in one file, and at its end the factory that puts it to the test.

    dqn-harness probes --agent examples.dqn:make

`train` and `q_values` are all that an agent must have. Each further member that the harness knows,
here `update`, `sample`, `target_values`, `epsilon`, both networks and the optimizer, lets more
checks run. `args` has the harness's names; an agent with others translates them in its factory.
"""

import copy
from collections import deque, namedtuple

import numpy as np
import torch
from torch import nn

Transitions = namedtuple("Transitions", "obs action reward next_obs terminated")


class QNetwork(nn.Module):
    """Q-values [B, A] of vectors [B, D], or of frames [B, 4, 84, 84] from 0 to 255."""

    def __init__(self, shape, num_actions):
        super().__init__()
        if len(shape) == 3:  # as in Mnih et al. 2015
            self.layers = nn.Sequential(
                nn.Conv2d(4, 32, 8, stride=4), nn.ReLU(), nn.Conv2d(32, 64, 4, stride=2), nn.ReLU(),
                nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(),
                nn.Linear(64 * 7 * 7, 512), nn.ReLU(), nn.Linear(512, num_actions),
            )  # fmt: skip
        else:
            self.layers = nn.Sequential(
                nn.Linear(*shape, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(),
                nn.Linear(64, num_actions),
            )  # fmt: skip

    def forward(self, obs):
        return self.layers(obs / 255 if obs.dtype == torch.uint8 else obs)


class DQN:
    """Deep Q-learning (Mnih et al. 2015), and its double variant (van Hasselt et al. 2016)."""

    def __init__(self, envs, args):
        self.envs, self.args, self.steps, self.updates = envs, args, 0, 0
        self.rng = np.random.default_rng(args.seed)
        shape, self.num_actions = envs[0].observation_space.shape, int(envs[0].action_space.n)
        with torch.random.fork_rng():  # the global generator is left as it was
            torch.manual_seed(args.seed)  # noqa: TID251
            self.online_net = QNetwork(shape, self.num_actions).to(args.device)
        self.target_net = copy.deepcopy(self.online_net)
        self.optimizer = torch.optim.Adam(self.online_net.parameters(), args.learning_rate)
        self.memory = deque(maxlen=args.capacity)
        self.obs = [env.reset(seed=int(self.rng.integers(2**31)))[0] for env in envs]

    def train(self, steps):
        for _ in range(steps):
            self.act(self.steps % len(self.envs))
            self.steps += 1
            due = self.steps % self.args.train_period_steps == 0
            if due and self.steps >= self.args.warmup_steps:
                self.update(self.sample(self.args.batch_size))

    def act(self, index):  # one step in one of the environments
        obs, env = self.obs[index], self.envs[index]
        if self.rng.random() < self.epsilon():
            action = int(self.rng.integers(self.num_actions))
        else:
            action = int(self.q_values(obs[None]).argmax())
        next_obs, reward, terminated, truncated, _ = env.step(action)
        # A time limit does not end the task: what comes after it has a value.
        self.memory.append(Transitions(obs, action, reward, next_obs, terminated))
        self.obs[index] = env.reset()[0] if terminated or truncated else next_obs

    def epsilon(self):
        decayed = (self.steps - self.args.warmup_steps) / self.args.epsilon_decay_steps
        change = min(1.0, decayed) * (self.args.epsilon_final - self.args.epsilon_initial)
        return self.args.epsilon_initial + change if decayed >= 0 else 1.0

    def sample(self, size):
        rows = [self.memory[index] for index in self.rng.integers(len(self.memory), size=size)]
        return Transitions(*map(np.array, zip(*rows, strict=True)))

    def update(self, transitions):
        obs, action, reward, next_obs, terminated = map(self.tensor, transitions)
        with torch.no_grad():
            next_q = self.target_net(next_obs)
            best = (self.online_net(next_obs) if self.args.double else next_q).argmax(1)
            next_value = next_q.gather(1, best[:, None]).squeeze(1)
            next_value = torch.where(terminated, 0.0, next_value)
            target = reward.float() + self.args.gamma * next_value
        predicted = self.online_net(obs).gather(1, action[:, None]).squeeze(1)
        self.optimizer.zero_grad()
        nn.functional.smooth_l1_loss(predicted, target).backward()
        self.optimizer.step()
        self.updates += 1
        if self.updates % self.args.sync_period_updates == 0:
            self.target_net.load_state_dict(self.online_net.state_dict())

    @torch.no_grad()
    def q_values(self, obs, network=None):
        return (network or self.online_net)(self.tensor(obs)).numpy(force=True)

    def target_values(self, obs):
        return self.q_values(obs, self.target_net)

    def tensor(self, column):
        return torch.as_tensor(column, device=self.args.device)


def make(make_env, settings):
    return DQN([make_env() for _ in range(settings.num_envs)], settings)
