"""The training loop: a generator of records, and the one definition of time.

A run is a function of (recipe, seed). It is cut into segments, segments into blocks:

    act      collect `block_steps` transitions with the weights as they are
    append   put them into the replay memory
    learn    one update per `train_period_steps` of them, and a sync when due

With one environment and `block_steps = train_period_steps` this is textbook DQN. With `overlap`,
learning comes before appending, so that it uses the replay memory, and acting uses the weights, as
they stood at the start of the block: the two then touch disjoint data, and run at the same time.
Acting goes on with the next block while this one is appended and its record looked at.

At the start of each segment the environments are built anew and every stream is derived again, in
every run. Weights, optimizer, replay memory and counters are therefore all there is to save at a
segment boundary, and a resumed run equals the unbroken one bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from dqn_core import td
from dqn_core.acting import Actor, FinishedEpisode, FrameStack, VectorTransition
from dqn_core.agent import Agent
from dqn_core.cuda_graphs import CapturedActing, CapturedLearning, cuda_graph
from dqn_core.device import available_cores, thread
from dqn_core.digests import array_digest, tensors_digest
from dqn_core.envs.envs import EnvMaker
from dqn_core.envs.make import make_envs as bundled_envs
from dqn_core.recipes.schema import Recipe
from dqn_core.records import BlockRecord
from dqn_core.replay import Replay
from dqn_core.schedules import epsilon
from dqn_core.streams import Stream

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class _Learned:
    replay_slots: npt.NDArray[np.int64]
    loss: npt.NDArray[np.float32]
    q_mean: npt.NDArray[np.float32]


class Trainer:
    """The state of a run at a segment boundary, and the generator that advances it.

    Args:
        recipe: what to run.
        seed: of the run; with the recipe it determines everything.
        device: of networks and replayed observations.
        agent: class of the agent, so that a planted fault can take its place.
        replay: class of the replay memory, for the same reason.
        actor: class of what plays the environments, for the same reason.
        make_envs: what builds the environments, so that probes can bring their own. The bundled
            one emulates with every core where a GPU learns: on a CPU, cores are for learning.

    Raises:
        ReplayMemoryError, UnknownGameError, AtariUnavailableError, ValueError: before any work, for
            what cannot be run here.

    Attributes:
        learning: what makes the updates of a block: the agent or, on a GPU, its updates recorded as
            CUDA graphs.
        acting: on a GPU, the recorded computation of Q-values for acting; else None.
        traced: whether records have digests; may be switched off where nothing reads them.
        threaded: whether what can run at the same time does (a second core must be free): acting
            and learning, where the recipe says `overlap`; on a CPU, a large network's targets and
            updates, and gradients of its layers. The bits are those of one after the other.
    """

    traced = True
    threaded = True

    def __init__(
        self,
        recipe: Recipe,
        seed: int,
        device: torch.device,
        *,
        agent: type[Agent] = Agent,
        replay: type[Replay] = Replay,
        actor: type[Actor] = Actor,
        make_envs: EnvMaker | None = None,
    ) -> None:
        self.recipe = recipe
        self.seed = seed
        threads = 1 if device.type == "cpu" else available_cores()
        self.make_envs = make_envs or partial(bundled_envs, threads=threads)
        self.make_actor = actor
        self.step = 0
        envs = self.make_envs(recipe, 1, Stream(seed, "env"))  # asked for its shapes alone
        obs_shape = FrameStack(envs, recipe.frame_stack).obs.shape[1:]
        self.agent = agent(recipe, obs_shape, envs.num_actions, Stream(seed, "init"), device)
        self.learning: Agent | CapturedLearning = self.agent
        self.acting: CapturedActing | None = None
        # What another class does in Python, a graph would repeat as it was the first time.
        if device.type == "cuda" and agent is Agent:
            self.learning = CapturedLearning(self.agent, cuda_graph)
            self.acting = CapturedActing(cuda_graph)
        self.replay = replay(
            capacity_rows=recipe.replay.capacity_rows,
            num_envs=recipe.loop.num_envs,
            row_shape=envs.row_shape,
            dtype=envs.dtype,
            frame_stack=recipe.frame_stack,
            device=device,
        )
        envs.close()

    @property
    def finished(self) -> bool:
        """Whether all steps of the recipe have been taken."""
        return self.step >= self.recipe.loop.total_steps

    def blocks(self) -> Iterator[BlockRecord]:
        """Advances the run, a block at a time, until it is finished."""
        while not self.finished:
            yield from self.segment()

    def segment(self) -> Iterator[BlockRecord]:
        """Advances the run to the next segment boundary.

        Raises:
            RuntimeError: if an earlier segment was left half-way; what it had in its environments
                is lost, so there is nothing to go on from but the last checkpoint.
        """
        loop = self.recipe.loop
        if self.step % loop.segment_steps:
            raise RuntimeError(
                f"this run was left at step {self.step}, inside a segment of "
                f"{loop.segment_steps} steps; make a new one and load its last checkpoint"
            )
        index = self.step // loop.segment_steps
        streams = [Stream(self.seed, name, index) for name in ("env", "explore", "replay")]
        seeding, exploring, sampling = streams
        envs = self.make_envs(self.recipe, loop.num_envs, seeding)
        actor = self.make_actor(envs, self.recipe.frame_stack, exploring)
        last = loop.segment_steps // loop.block_steps - 1
        steps = np.arange(self.step, self.step + loop.segment_steps)
        epsilons = self.epsilon(steps).reshape(last + 1, -1, loop.num_envs)
        with thread("acting") as player, self._helped():

            def begin(block: int) -> Future[list[VectorTransition]]:
                policy = self._policy(self.agent.snapshot())
                return player.submit(
                    actor.play, policy, epsilons[block], truncate_last=block == last
                )

            begun: Future[list[VectorTransition]] | None = None
            for block, block_epsilon in enumerate(epsilons):
                if loop.overlap:
                    playing = begun or begin(block)
                    if not self.threaded:
                        wait([playing])
                    learned = self._learn(sampling, steps_in_replay=self.step)
                    ticks = playing.result()
                else:
                    ticks = actor.play(
                        self._policy(self.agent), block_epsilon, truncate_last=block == last
                    )
                    self._append(ticks)
                    learned = self._learn(sampling, steps_in_replay=self.step + loop.block_steps)
                self.step += loop.block_steps
                episodes, stream_digests = (
                    actor.take_finished(),
                    [stream.digest for stream in streams],
                )
                if loop.overlap:
                    # Nothing is left to do for this block that acting in the next one waits for.
                    begun = begin(block + 1) if self.threaded and block < last else None
                    self._append(ticks)
                yield self._record(
                    ticks, episodes, float(block_epsilon[-1, -1]), learned, stream_digests
                )
        envs.close()

    @contextmanager
    def _helped(self) -> Iterator[None]:
        """Lends a large network a second thread to learn with."""
        with thread("learning") as second_thread:
            self.agent.online_net.second_thread = (
                second_thread if self.threaded and self.agent.threads_pay_off else None
            )
            try:
                yield
            finally:
                self.agent.online_net.second_thread = None

    def epsilon(self, steps: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Probability of a random action after so many agent steps, [N]."""
        return epsilon(steps, self.recipe.exploration, self.recipe.replay.warmup_steps)

    def _policy(self, agent: Agent) -> Agent:
        return self.acting.graphed_policy(agent) if self.acting else agent

    def _append(self, ticks: list[VectorTransition]) -> None:
        """Puts transitions into the replay memory, as many at once as episodes allow."""
        starts = [index for index, tick in enumerate(ticks) if len(tick.starting)]
        for first, last in pairwise(sorted({0, *starts, len(ticks)})):
            tick = ticks[first]
            if len(tick.starting):
                self.replay.start(tick.starting, tick.first_obs)
            columns = list(zip(*ticks[first:last], strict=True))[2:]
            self.replay.append(*(np.array(column) for column in columns))

    def _learn(self, sampling: Stream, steps_in_replay: int) -> _Learned:
        warm = steps_in_replay >= self.recipe.replay.warmup_steps
        updates = self.recipe.updates_per_block if warm else 0
        batch_size = self.recipe.replay.batch_size
        if not updates:
            nothing = np.empty(0, np.float32)
            return _Learned(np.empty((0, batch_size), np.int64), nothing, nothing)
        # The memory does not change while learning, so all batches of the block come at once.
        batches = self.replay.sample(sampling, updates * batch_size)
        errors, values = self.learning.learn(batches, updates)
        return _Learned(
            batches.slots.reshape(updates, batch_size),
            td.loss(errors, self.recipe.td.loss).cpu().numpy(),
            values.mean(dim=1).cpu().numpy(),
        )

    def _record(
        self,
        ticks: list[VectorTransition],
        episodes: list[FinishedEpisode],
        block_epsilon: float,
        learned: _Learned,
        stream_digests: list[int],
    ) -> BlockRecord:
        window = self.recipe.loop.window_steps
        columns = [np.array(column) for column in list(zip(*ticks, strict=True))[2:6]]
        action, reward, terminated, truncated = columns
        return BlockRecord(
            step=self.step,
            updates=self.agent.updates,
            action=action,
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            episode_return=np.array([episode.episode_return for episode in episodes], np.float64),
            episode_length=np.array([episode.length for episode in episodes], np.int64),
            epsilon=block_epsilon,
            learning_rate=self.agent.learning_rate,
            replay_slots=learned.replay_slots,
            loss=learned.loss,
            q_mean=learned.q_mean,
            gradient_norm=self.agent.gradient_norm() if len(learned.loss) else float("nan"),
            weights_digest="" if self.step % window else self.agent.weights_digest(),
            digests=self._digests(ticks, columns, learned, stream_digests),
        )

    def _digests(
        self,
        ticks: list[VectorTransition],
        columns: list[Array],
        learned: _Learned,
        stream_digests: list[int],
    ) -> npt.NDArray[np.uint64]:
        """In the order of `BLOCK_EVENTS`."""
        if not self.traced:
            return np.empty(0, np.uint64)
        env, explore, replay = stream_digests
        seen = [tick.next_obs for tick in ticks]
        seen += [tick.first_obs for tick in ticks if len(tick.starting)]
        values = [
            env,
            explore,
            *(array_digest(column) for column in columns),
            array_digest(np.concatenate(seen)),
            replay,
            array_digest(learned.replay_slots),
            array_digest(learned.loss),
            array_digest(learned.q_mean),
            tensors_digest(self.agent.online_net.optimized_tensors),
        ]
        return np.array(values, np.uint64)
