"""Worlds with solved Q-values and contract checks: which component of a DQN is wrong."""
