"""A DQN of autograd in one class, and one that differentiates its target."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn import functional

from probes.checks.support.white_box import generator, randomise


class TinyDqn:
    """Another implementation: autograd, clipped gradients, cleared as soon as they are used."""

    def __init__(self, make_env, settings, make_optimizer):
        self.env, self.settings = make_env(), settings
        inputs, actions = self.env.observation_space.shape[0], self.env.action_space.n
        first, last = (
            nn.utils.skip_init(nn.Linear, *sizes) for sizes in [(inputs, 32), (32, actions)]
        )
        self.online_net = nn.Sequential(first, nn.Tanh(), last)
        randomise(self.online_net, generator(settings.seed))
        self.target_net = copy.deepcopy(self.online_net)
        self.optimizer = make_optimizer(self.online_net.parameters(), settings.learning_rate)

    def train(self, steps):
        for _ in range(steps):
            self.env.reset()
            self.env.step(0)

    def q_values(self, obs):
        return self.online_net(torch.from_numpy(obs)).detach().numpy()

    def target_values(self, obs):
        return self.target_net(torch.from_numpy(obs)).detach().numpy()

    def bootstrap(self, next_obs):
        chosen = self.online_net if self.settings.double else self.target_net
        action = chosen(next_obs).argmax(1, keepdim=True)
        return self.target_net(next_obs).gather(1, action).squeeze(1).detach()

    def targets(self, transitions):
        _, _, reward, next_obs, terminated = map(torch.from_numpy, transitions)
        following = torch.where(terminated, 0.0, self.bootstrap(next_obs))
        return reward + self.settings.gamma * following

    def td_targets(self, transitions):
        return self.targets(transitions).detach().numpy()

    def update(self, transitions):
        obs, action = map(torch.from_numpy, transitions[:2])
        predicted = self.online_net(obs).gather(1, action[:, None]).squeeze(1)
        functional.smooth_l1_loss(predicted, self.targets(transitions)).backward()
        nn.utils.clip_grad_norm_(self.online_net.parameters(), 10.0)
        self.optimizer.step()
        self.optimizer.zero_grad()


class Bellman(TinyDqn):
    """One network, and a loss that is differentiated through the target."""

    def __init__(self, *args):
        super().__init__(*args)
        self.target_net = copy.deepcopy(self.online_net)

    def bootstrap(self, next_obs):
        lagged = self.target_net(next_obs).amax(1)
        own = self.online_net(next_obs).amax(1)
        return lagged.detach() + own - own.detach()


def tiny(kind=TinyDqn, make_optimizer=torch.optim.Adam):
    return lambda make_env, settings: kind(make_env, settings, make_optimizer)
