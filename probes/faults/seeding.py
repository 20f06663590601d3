"""Faults of seeding."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from dqn_core.acting import Actor
from dqn_core.agent import Agent
from dqn_core.envs.gymnasium_envs import GymnasiumEnvs
from dqn_core.loop import Trainer
from dqn_core.recipes.schema import Recipe
from dqn_core.streams import Stream
from probes.checks.check import Component
from probes.faults.fault import Fault
from probes.subject import Array, EnvMaker, Settings
from probes.subjects.core import ASIDE, CoreSubject, Parts


class ActionsUnseeded(Actor):
    """Random actions come from a generator without a seed, as of a fresh action space."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._stream = _Unseeded(0, "explore")


class _Unseeded(Stream):
    def __init__(self, seed: int, name: str) -> None:
        super().__init__(seed, name)
        self._generator = np.random.default_rng()


class ActionsFromGlobal(Actor):
    """Random actions come from the global generator of numpy."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._stream = _Global(0, "explore")


class _Global(Stream):
    def uniform(self, *shape: int) -> npt.NDArray[np.float64]:
        return np.random.random_sample(shape)  # noqa: NPY002  # the fault


class GlobalSeeded(Agent):
    """The global generator of torch is seeded, though nothing is drawn from it."""

    def __init__(self, recipe: Recipe, *args: Any) -> None:
        torch.default_generator.manual_seed(0)
        super().__init__(recipe, *args)


class SeedHardCoded(Trainer):
    """The seed is a constant: all runs are one."""

    def __init__(self, recipe: Recipe, seed: int, *args: Any, **kwargs: Any) -> None:
        del seed
        super().__init__(recipe, 0, *args, **kwargs)


class WeightsOfOneSeed(Agent):
    """The initial weights do not depend on the seed."""

    def __init__(
        self, recipe: Recipe, obs_shape: tuple[int, ...], actions: int, stream: Stream, *args: Any
    ) -> None:
        del stream
        super().__init__(recipe, obs_shape, actions, Stream(0, "init"), *args)


class EnvironmentsUnseeded(GymnasiumEnvs):
    """No reset is given a seed, or a wrapper drops it."""

    def reset(self) -> Array:
        for index, env in enumerate(self._envs):
            self._obs[index], _ = env.reset()
        return self._obs.copy()


class EnvironmentsAlike(GymnasiumEnvs):
    """All environments get the seed of the last one, as by a closure that is bound late."""

    def reset(self) -> Array:
        self._seeds[:] = self._seeds[-1]
        return super().reset()


class SeededAtEveryReset(GymnasiumEnvs):
    """Every reset is given the same seed: all episodes start alike."""

    def begin(self, ended: npt.NDArray[np.bool_]) -> Array:
        for index in np.flatnonzero(ended):
            self._obs[index], _ = self._envs[index].reset(seed=int(self._seeds[index]))
        return self._obs.copy()


class DrawsOfOneSeed(CoreSubject):
    """What is drawn from the memory does not depend on the seed."""

    def __init__(self, make_env: EnvMaker, settings: Settings, *args: Any) -> None:
        super().__init__(make_env, settings, *args)
        self._aside = Stream(0, "replay", ASIDE)


class SeedsCountedUp(Trainer):
    """Each environment is seeded with the run's seed and its number: neighbours share some."""

    def __init__(self, recipe: Recipe, seed: int, *args: Any, **kwargs: Any) -> None:
        make_envs = kwargs["make_envs"]

        def counted_up(*given: Any) -> Any:
            envs = make_envs(*given)
            envs._seeds = seed + np.arange(envs.num_envs)  # noqa: SLF001  # the fault
            return envs

        super().__init__(recipe, seed, *args, **(kwargs | {"make_envs": counted_up}))


_fault: Final = partial(Fault, component=Component.SEEDING)

FAULTS: Final = (
    _fault(
        name="actions-unseeded",
        seen=(
            "https://github.com/openai/gym/issues/2680",
            "https://github.com/vwxyzjn/cleanrl/issues/133",
            "https://github.com/vwxyzjn/cleanrl/issues/134",
            "https://github.com/vwxyzjn/cleanrl/commit/4c8851cf",
            "https://github.com/sfujim/TD3/issues/36",
        ),
        what="Random actions come from a generator without a seed.",
        parts=Parts(actor=ActionsUnseeded),
        caught_by=(
            "seeding.same-seed-same-run",
            "seeding.independent-of-global-generators",
        ),
    ),
    _fault(
        name="actions-from-global-generator",
        seen=(),
        what="Random actions come from the global generator of numpy.",
        parts=Parts(actor=ActionsFromGlobal),
        caught_by=(
            "seeding.independent-of-global-generators",
            "seeding.leaves-global-generators-alone",
        ),
    ),
    _fault(
        name="global-generator-seeded",
        seen=(),
        what="The global generator of torch is seeded.",
        parts=Parts(agent=GlobalSeeded),
        caught_by=("seeding.leaves-global-generators-alone",),
    ),
    _fault(
        name="seed-hard-coded",
        seen=("https://github.com/google/dopamine/commit/238cd33",),
        what="The seed is a constant: all runs are one.",
        parts=Parts(trainer=SeedHardCoded),
        caught_by=("seeding.other-seed-other-run",),
    ),
    _fault(
        name="weights-of-one-seed",
        seen=("https://github.com/google/dopamine/commit/238cd33",),
        what="The initial weights do not depend on the seed.",
        parts=Parts(agent=WeightsOfOneSeed),
        caught_by=("seeding.other-seed-other-run",),
    ),
    _fault(
        name="environments-unseeded",
        seen=(
            "https://github.com/openai/spinningup/pull/310",
            "https://github.com/thu-ml/tianshou/issues/861",
            "https://github.com/thu-ml/tianshou/commit/f8808d23",
        ),
        what="No reset is given a seed, or a wrapper drops it.",
        parts=Parts(envs=EnvironmentsUnseeded),
        caught_by=("seeding.environments-are-seeded", "seeding.same-seed-same-run"),
    ),
    _fault(
        name="environments-alike",
        seen=(
            "https://github.com/hill-a/stable-baselines/issues/675",
            "https://github.com/chainer/chainerrl/pull/455",
            "https://github.com/ray-project/ray/issues/46986",
            "https://github.com/pytorch/rl/issues/4208",
        ),
        what="All environments get the same seed.",
        parts=Parts(envs=EnvironmentsAlike),
        caught_by=("seeding.environments-differ",),
    ),
    _fault(
        name="seeded-at-every-reset",
        seen=(),
        what="Every reset is given the same seed: all episodes start alike.",
        parts=Parts(envs=SeededAtEveryReset),
        caught_by=("seeding.episodes-start-differently",),
    ),
    _fault(
        name="draws-of-one-seed",
        seen=("https://github.com/google/dopamine/commit/238cd33",),
        what="What is drawn from the memory does not depend on the seed.",
        parts=Parts(subject=DrawsOfOneSeed),
        caught_by=("seeding.draws-follow-the-seed",),
    ),
    _fault(
        name="environment-seeds-counted-up",
        seen=("https://github.com/ray-project/ray/issues/46986",),
        what="Each environment is seeded with the run's seed and its number.",
        parts=Parts(trainer=SeedsCountedUp),
        caught_by=("seeding.neighbouring-runs-share-no-environment",),
    ),
)
