"""Subjects that break their side of the protocol, each in one way."""

from __future__ import annotations

import os
import time

import numpy as np

from dqn_core import td

# Steps of a run that is more than a first look at the subject.
LONG = 100


class Idle:
    """Takes steps at random, learns nothing, and values everything at zero."""

    def __init__(self, make_env, settings):
        self.env, self.settings = make_env(), settings
        self.obs = None

    def act(self):
        return 0

    def train(self, steps):
        for _ in range(steps):
            if self.obs is None:
                self.obs, _ = self.env.reset(seed=self.settings.seed)
            self.obs, _, terminated, truncated, _ = self.env.step(self.act())
            if terminated or truncated:
                self.obs = None

    def q_values(self, obs):
        return np.zeros((len(obs), self.env.action_space.n), np.float32)


class Raises(Idle):
    def train(self, _steps):
        raise RuntimeError("no gradient today")


class Hangs(Idle):
    def train(self, steps):
        if self.settings.total_steps < LONG:
            super().train(steps)
            return
        time.sleep(600)


class EndsItsProcess(Idle):
    def train(self, steps):
        if self.settings.total_steps < LONG:
            super().train(steps)
            return
        os.kill(os.getpid(), 9)


class Exits(Idle):
    def train(self, steps):
        if self.settings.total_steps < LONG:
            super().train(steps)
            return
        os._exit(7)


class Leaks(Idle):
    def train(self, steps):
        if self.settings.total_steps < LONG:
            super().train(steps)
            return
        self.hoard = np.ones(200_000_000)  # 1.6 GB
        time.sleep(600)


class Talks(Idle):
    def train(self, steps):
        print('{"check": "not an answer"}')  # noqa: T201  # that is its fault
        super().train(steps)


class TakesNoSteps(Idle):
    def train(self, steps):
        pass


class WrongShape(Idle):
    def q_values(self, obs):
        return np.zeros(len(obs), np.float32)


class WholeNumbers(Idle):
    def q_values(self, obs):
        return np.zeros((len(obs), 1), np.int64)


class NotANumber(Idle):
    def q_values(self, obs):
        return np.full((len(obs), 1), np.nan, np.float32)


class ChangesObservations(Idle):
    def q_values(self, obs):
        obs += 1
        return super().q_values(obs)


class ChangesTheEnvironmentsObservation(Idle):
    def act(self):
        self.obs[0] += 1
        return 0


class TakesActionsThereAreNot(Idle):
    def act(self):
        return 99


class StepsAfterTheEnd(Idle):
    def train(self, steps):
        self.env.reset()
        for _ in range(steps):
            self.env.step(0)


class BreaksTheCore(Idle):
    """What it does to the core would make the next subject in its process fail."""

    def train(self, steps):
        td.td_target = None
        super().train(steps)
