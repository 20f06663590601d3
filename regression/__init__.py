"""Recipes times seeds times devices, compared with stored references, give a verdict."""
