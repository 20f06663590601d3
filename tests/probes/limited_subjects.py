"""Subjects that are right in what they do, and each cannot do something."""

from __future__ import annotations

from collections import deque

import numpy as np

from examples.dqn import DQN, Transitions
from probes.subject import Unsupported


def one_environment(make_env, settings):
    """Plays one, however many it is asked for, and does not say so."""
    return DQN([make_env()], settings)


class OneEnvironment(DQN):
    max_envs = 1


def one_environment_declared(make_env, settings):
    """The same, and says so."""
    return OneEnvironment([make_env()], settings)


def two_of_three(make_env, settings):
    """Makes all environments and plays two of them."""
    return DQN([make_env() for _ in range(settings.num_envs)][:2], settings)


def _only(dimensions, words, make_env, settings):
    if len(make_env().observation_space.shape) != dimensions:
        raise Unsupported(words)
    return DQN([make_env() for _ in range(settings.num_envs)], settings)


def vectors_only(make_env, settings):
    return _only(1, "vectors only", make_env, settings)


def frames_only(make_env, settings):
    return _only(3, "frames only", make_env, settings)


class InRollouts(DQN):
    rollout_steps = 512

    def train(self, steps):
        super().train(-(-steps // self.rollout_steps) * self.rollout_steps)


def in_rollouts(make_env, settings):
    """Trains in rollouts that are longer than what a check may ask for."""
    return InRollouts([make_env() for _ in range(settings.num_envs)], settings)


class WithoutReplay(DQN):
    sample = None

    def train(self, steps):
        """Learns from each transition once."""
        for _ in range(steps):
            self.act(self.steps % len(self.envs))
            self.steps += 1
            due = self.steps % self.args.train_period_steps == 0
            if due and self.steps >= self.args.warmup_steps:
                (newest,) = self.memory
                self.update(Transitions(*(np.array([value]) for value in newest)))


def without_replay(make_env, settings):
    """Has nothing to sample from."""
    envs = [make_env() for _ in range(settings.num_envs)]
    subject = WithoutReplay(envs, settings)
    subject.memory = deque(maxlen=1)
    return subject
