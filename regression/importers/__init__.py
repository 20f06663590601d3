"""Readers of the logs that other training programs write, one module per format."""
