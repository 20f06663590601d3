"""Evaluation: whole episodes, played without any effect on training."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dqn_core.acting import Actor
from dqn_core.loop import Trainer
from dqn_core.streams import Stream


def evaluate(trainer: Trainer, index: int) -> npt.NDArray[np.float64]:
    """Plays `evaluation.episodes` episodes in environments made for the purpose.

    Each environment plays an equal share: the first so many episodes to end would be short ones.

    Args:
        trainer: only its agent's Q-values are asked for.
        index: of the evaluation within the run; selects the `eval` stream.

    Returns:
        [episodes] float64, undiscounted sums of raw rewards (whole games, where a life is an
        episode for the learner), those of the first environment first.

    References:
        Mnih et al. 2015, Methods, "Evaluation procedure" (epsilon 0.05, random no-op starts).
    """
    recipe, section = trainer.recipe, trainer.recipe.evaluation
    stream = Stream(trainer.seed, "eval", index)
    envs = trainer.make_envs(recipe, section.num_envs, stream)
    actor = Actor(envs, recipe.frame_stack, stream)
    epsilon = np.full((1, section.num_envs), section.epsilon)
    share = section.episodes // section.num_envs
    returns: list[list[float]] = [[] for _ in range(section.num_envs)]
    while any(len(played) < share for played in returns):
        actor.play(trainer.agent, epsilon, truncate_last=False)
        for episode in actor.take_finished():
            returns[episode.env].append(episode.episode_return)
    envs.close()
    return np.array([played[:share] for played in returns]).ravel()
