"""Worlds with solved Q-values, worlds that stamp what they show, and a mock Atari game."""
