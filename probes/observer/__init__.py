"""Observes a script while it trains, in its owner's interpreter, and changes nothing of its result.

It stands alone: it is loaded by its place, imports nothing else of this project, and is written for
Python 3.8 with whatever NumPy, torch and gymnasium or gym the owner has. It only records: what is
right or wrong is told from the recording, elsewhere.
"""
