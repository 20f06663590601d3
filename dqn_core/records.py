"""What the loop reports of each block, for code that watches a run without changing it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """What happened in one block: T ticks of N environments, then U updates.

    Attributes:
        step: agent steps taken by the end of the block.
        updates: updates made by then.
        action: [T, N] int64.
        reward: [T, N] float64, raw.
        terminated: [T, N] bool.
        truncated: [T, N] bool; the end of a segment truncates too.
        episode_return: [E] float64, undiscounted sums of the raw rewards of the episodes that ended
            (whole games, where a life is an episode for the learner). Episodes cut by the end of a
            segment are not among them.
        episode_length: [E] int64, agent steps.
        epsilon: of the block's last step.
        learning_rate: of the next update.
        replay_slots: [U, B] int64, which transitions were sampled.
        loss: [U] float32, mean over the batch.
        q_mean: [U] float32, mean Q-value of the sampled actions.
        gradient_norm: of the last update; nan if there was none.
        weights_digest: of the online network, where a window of the learning curve ends; else "".
        digests: of each of `BLOCK_EVENTS`, [events] uint64: of the numbers that each stream of the
            segment has given so far, of what this block did, and of what it left behind. Empty
            where the trainer is not `traced`.
    """

    step: int
    updates: int
    action: npt.NDArray[np.int64]
    reward: npt.NDArray[np.float64]
    terminated: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]
    episode_return: npt.NDArray[np.float64]
    episode_length: npt.NDArray[np.int64]
    epsilon: float
    learning_rate: float
    replay_slots: npt.NDArray[np.int64]
    loss: npt.NDArray[np.float32]
    q_mean: npt.NDArray[np.float32]
    gradient_norm: float
    weights_digest: str
    digests: npt.NDArray[np.uint64]
