"""A dueling network."""

from torch import nn


class Dueling(nn.Module):
    """The value of a state, and the advantages of actions around their mean."""

    def __init__(self, size, actions):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(size, 64), nn.ReLU())
        self.value, self.advantage = nn.Linear(64, 1), nn.Linear(64, actions)

    def forward(self, obs):
        """Q-values."""
        hidden = self.body(obs)
        advantage = self.advantage(hidden)
        return self.value(hidden) + advantage - advantage.mean(dim=1, keepdim=True)
