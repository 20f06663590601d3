"""Adapters: implementations of DQN behind the protocol of a subject."""
