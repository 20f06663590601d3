"""A replay memory of transitions of several steps."""

from collections import deque

import numpy as np


class Memory:
    """Holds sums of rewards, and what came after them."""

    def __init__(self, capacity, steps, gamma, rng):
        self.rows = deque(maxlen=capacity)
        self.steps, self.gamma, self.rng = steps, gamma, rng
        self.waiting = deque()

    def add(self, obs, action, reward, next_obs, terminated, ended):
        """Adds a step; what ends an episode completes all that wait for more."""
        self.waiting.append((obs, action, reward))
        while self.waiting and (ended or len(self.waiting) == self.steps):
            total = sum(self.gamma**i * row[2] for i, row in enumerate(self.waiting))
            discount = self.gamma ** len(self.waiting)
            first_obs, first_action, _ = self.waiting.popleft()
            self.rows.append((first_obs, first_action, total, next_obs, terminated, discount))
            if not ended:
                break

    def sample(self, size):
        """Columns of some rows."""
        rows = [self.rows[i] for i in self.rng.integers(len(self.rows), size=size)]
        return [np.array(column) for column in zip(*rows, strict=True)]
