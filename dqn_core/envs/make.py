"""From a recipe to its environments."""

from __future__ import annotations

from functools import partial

import gymnasium

from dqn_core.envs.envs import Envs
from dqn_core.envs.gymnasium_envs import GymnasiumEnvs
from dqn_core.recipes.schema import GymnasiumEnv, Recipe
from dqn_core.streams import Stream


def make_envs(recipe: Recipe, num_envs: int, stream: Stream, threads: int = 1) -> Envs:
    """The environments of a recipe.

    Args:
        recipe: whose `env` section is followed.
        num_envs: N.
        stream: the `env` or `eval` stream that seeds them.
        threads: that emulate Atari games; any number gives the same bits.
    """
    section = recipe.env
    if isinstance(section, GymnasiumEnv):
        make = partial(gymnasium.make, section.id, disable_env_checker=True)
        return GymnasiumEnvs([make] * num_envs, stream)
    # Imported only here: ale-py is an optional extra under another licence.
    from dqn_core.envs.atari import AtariEnvs  # noqa: PLC0415

    return AtariEnvs(section, num_envs, stream, threads=threads)
