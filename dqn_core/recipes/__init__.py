"""Recipes: everything that defines a run but its seed and device, as commented TOML files."""
