"""Recordings of scripts, and what is read off them."""
