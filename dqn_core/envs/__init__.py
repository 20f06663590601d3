"""Environments in lockstep, Gymnasium's and Atari's."""
