"""The implementation under test: what it is given, what it must do, and what more it may offer.

A subject is made by a factory, named on command lines as `module:factory`:

    def factory(make_env: EnvMaker, settings: Settings) -> Subject: ...

It must train for some steps and return Q-values. Everything else is a *capability*, offered by
having a member of that name; a check that needs one it lacks is skipped, and says so.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal, NamedTuple, Protocol, cast

import gymnasium
import numpy as np
import numpy.typing as npt
import torch

Array = npt.NDArray[Any]
Env = gymnasium.Env[Any, Any]
EnvMaker = Callable[[], Env]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a check asks of an implementation; everything else is the implementation's choice.

    Steps are agent steps, summed over environments. Observations are either vectors [D] float32,
    for which a small perceptron is wanted, or stacks of frames [4, 84, 84] uint8, newest last, for
    a convolutional network.

    Attributes:
        seed: of everything random.
        gamma: discount per step.
        learning_rate: constant, of Adam; another optimizer may scale it.
        batch_size: rows in an update.
        capacity: transitions that the replay memory holds.
        warmup_steps: no update is made before so many steps; actions are random until then.
        train_period_steps: one update every so many steps.
        sync_period_updates: online to target network every so many updates.
        epsilon_initial: probability of a random action after warming up.
        epsilon_final: the same in the end.
        epsilon_decay_steps: steps over which it falls, in a straight line.
        total_steps: how many steps will be trained in all.
        num_envs: environments stepped together; the environment maker is called for each.
        save_period_steps: the run is saved at multiples of this at most.
        double: whether double DQN is asked for, or plain; None where either will do.
        device: as torch names it.
    """

    seed: int
    gamma: float = 0.5
    learning_rate: float = 1e-3
    batch_size: int = 32
    capacity: int = 2_000
    warmup_steps: int = 64
    train_period_steps: int = 1
    sync_period_updates: int = 10
    epsilon_initial: float = 1.0
    epsilon_final: float = 1.0
    epsilon_decay_steps: int = 1
    total_steps: int = 500
    num_envs: int = 1
    save_period_steps: int = 1_000_000
    double: bool | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Refuses what no implementation could follow.

        Raises:
            ValueError: if a batch is larger than what is stored when learning begins, or that is
                more than the memory holds.
        """
        if not 0 < self.batch_size <= self.warmup_steps <= self.capacity:
            raise ValueError(
                "settings: expected batch_size <= warmup_steps <= capacity, got "
                f"{self.batch_size}, {self.warmup_steps} and {self.capacity}"
            )


class Transitions(NamedTuple):
    """Some transitions, as a learner sees them.

    Attributes:
        obs: [B, *obs_shape].
        action: [B] integer.
        reward: [B] float.
        next_obs: [B, *obs_shape], what the action led to; never another episode's.
        terminated: [B] bool, ended by the task, not by a time limit.
    """

    obs: Array
    action: Array
    reward: Array
    next_obs: Array
    terminated: Array


@dataclass(frozen=True, kw_only=True)
class Records:
    """What a run so far has recorded of its training; None for what is not recorded.

    Attributes:
        steps: agent steps taken, summed over environments.
        updates: gradient steps made.
        episode_return: [E], undiscounted sums of the raw rewards of whole episodes, in the order in
            which they ended, however they ended.
        episode_length: [E], their agent steps.
        loss: [U], mean over the batch, of each update in order.
        q_mean: [U], mean Q-value of the sampled actions, just before each update.
        epsilon: [K], probability of a random action, at steps of the implementation's choice.
        epsilon_step: [K], agent steps taken before each of these.
    """

    steps: int | None = None
    updates: int | None = None
    episode_return: Array | None = None
    episode_length: Array | None = None
    loss: Array | None = None
    q_mean: Array | None = None
    epsilon: Array | None = None
    epsilon_step: Array | None = None


class Subject(Protocol):
    """The least that an implementation must offer.

    One that plays fewer environments than it may be asked for declares the most that it plays by a
    member `max_envs`; checks with more are then skipped.
    """

    def train(self, steps: int) -> None:
        """Goes on training for so many agent steps; may round up to its own granularity."""

    def q_values(self, obs: Array) -> Array:
        """Q-values of the online network, [B, A], of observations [B, *obs_shape]."""


# Every capability, and what a member of that name must be.
Capability = Literal[
    "target_values", "td_targets", "update", "sample", "weighted_sample", "online_net",
    "target_net", "optimizer", "save", "load", "evaluate", "replay_bytes", "preprocess", "epsilon",
    "records",
]  # fmt: skip
CAPABILITIES: Final[dict[Capability, str]] = {
    "target_values": "(obs [B, ...]) -> [B, A]: Q-values of the target network",
    "td_targets": "(Transitions) -> [B]: regression targets, no update",
    "update": "(Transitions) -> None: one gradient step on exactly these transitions",
    "sample": "(size) -> Transitions: drawn from the replay memory as the learner draws them",
    "weighted_sample": "(size) -> Transitions, [size]: the same, and each row's weight in the loss",
    "online_net": "the trained torch.nn.Module",
    "target_net": "the lagged torch.nn.Module",
    "optimizer": "the torch.optim.Optimizer",
    "save": "(folder: Path) -> None: writes all that a resumed run needs into an empty folder",
    "load": "(folder: Path) -> None: brings a fresh subject of equal settings to that state",
    "evaluate": "(episodes) -> [episodes]: undiscounted raw returns of whole episodes",
    "replay_bytes": "() -> int: memory that the replay memory holds for its observations",
    "preprocess": "(emulator: gymnasium.Env) -> gymnasium.Env: the wrappers for Atari games",
    "epsilon": "() -> float: probability of a random action at the next step",
    "records": "() -> Records, or the like: what the run so far has recorded of itself",
}


class WhiteBox(Protocol):
    """The types of the capabilities, for checks that have asked for them."""

    online_net: torch.nn.Module
    target_net: torch.nn.Module
    optimizer: torch.optim.Optimizer

    def train(self, steps: int) -> None:
        """Goes on training for so many agent steps."""

    def q_values(self, obs: Array) -> Array:
        """Q-values of the online network, [B, A]."""

    def target_values(self, obs: Array) -> Array:
        """See `CAPABILITIES`, as for all below."""

    def td_targets(self, transitions: Transitions) -> Array:
        """[B]."""

    def update(self, transitions: Transitions) -> None:
        """One gradient step."""

    def sample(self, size: int) -> Transitions:
        """Some rows of the replay memory."""

    def weighted_sample(self, size: int) -> tuple[Transitions, Array]:
        """The same, with weights [size]."""

    def save(self, folder: Path) -> None:
        """Into an empty folder."""

    def load(self, folder: Path) -> None:
        """From such a folder."""

    def evaluate(self, episodes: int) -> Sequence[float]:
        """Raw returns."""

    def replay_bytes(self) -> int:
        """Of the observations."""

    def preprocess(self, emulator: Env) -> Env:
        """The subject's own wrappers."""

    def epsilon(self) -> float:
        """At the next step."""

    def records(self) -> Records:
        """Of the run so far."""


Factory = Callable[[EnvMaker, Settings], Subject]


class SubjectError(ValueError):
    """The implementation under test cannot be found or is none."""


class Unsupported(Exception):  # noqa: N818  # a reason to skip, not an error
    """Raised by a factory for settings that the implementation does not offer."""


class Misbehaviour(Exception):  # noqa: N818  # named for what the subject did
    """What a check saw on its way makes it red: what was expected, and what the subject did."""

    def __init__(self, expected: str, actual: str) -> None:
        super().__init__(f"expected {expected}; {actual}")
        self.expected = expected
        self.actual = actual


Rule = Literal["shapes", "actions", "ends", "observations", "steps"]


class BrokenProtocol(Exception):  # noqa: N818  # named for what the subject did
    """A subject broke its side of the protocol, and nothing can be said of the property at hand.

    Whether it keeps a rule is a property of its own, with a check that looks for just that.

    Attributes:
        rule: which one.
        expected: what it asks for.
        actual: what the subject did.
    """

    def __init__(self, rule: Rule, expected: str, actual: str) -> None:
        super().__init__(f"expected {expected}; {actual}")
        self.rule = rule
        self.expected = expected
        self.actual = actual


def load_factory(name: str) -> Factory:
    """The factory of that name.

    Args:
        name: "module:factory", where the module is looked for in the working folder last of all, or
            "path/to/file.py:factory".

    Raises:
        SubjectError: saying what is wrong and what to write instead.
    """
    module_name, _, attribute = name.rpartition(":")
    is_file = module_name.endswith(".py")
    words = [attribute] if is_file else [*module_name.split("."), attribute]
    if not all(word.isidentifier() for word in words):
        raise SubjectError(
            f"agent: expected module:factory, got {name!r}\n"
            "  next      name a Python module, or a file, and the function in it, as in "
            "examples.dqn:make or dqn.py:make"
        )
    here = str(Path.cwd())
    if not {"", here} & set(sys.path):
        sys.path.append(here)
    try:
        module = _of_file(Path(module_name)) if is_file else importlib.import_module(module_name)
    except ImportError as error:
        raise SubjectError(
            f"agent: cannot import {module_name!r} of {name!r}: {error}\n"
            f"  next      {_way_out(error)}"
        ) from error
    factory = getattr(module, attribute, None)
    if not callable(factory):
        known = ", ".join(sorted(k for k, v in vars(module).items() if callable(v))[:8])
        raise SubjectError(
            f"agent: {module_name!r} has no function {attribute!r}\n  it has    {known or 'none'}"
        )
    return cast("Factory", factory)


def _of_file(path: Path) -> ModuleType:
    """The module that a file holds; what lies beside the file is found by it, last of all."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ImportError(f"there is no file {path}")
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module


def _way_out(error: ImportError) -> str:
    """What to do about a module that cannot be imported."""
    package = (error.name or "").partition(".")[0]
    found = getattr(sys.modules.get(package), "__path__", None)
    hidden = Path.cwd() / package
    if package and found and hidden.is_dir() and hidden.resolve() != Path(found[0]).resolve():
        return f"{found[0]} hides {hidden}: rename the latter, or install it under another name"
    return "run from the folder that holds it, or install it"


def missing(subject: Subject, needs: Sequence[Capability]) -> list[Capability]:
    """The capabilities among those needed that a subject does not offer."""
    return [name for name in needs if getattr(subject, name, None) is None]


def q_table(subject: Subject, observations: Array) -> npt.NDArray[np.float64]:
    """Q-values [B, A] float64 of observations, held to the protocol.

    Raises:
        BrokenProtocol: for another shape, another kind of value, or observations changed in place.
        Misbehaviour: for values that are not finite.
    """
    given = observations.copy()
    values = np.asarray(subject.q_values(given))
    if values.ndim != 2 or len(values) != len(observations):
        raise BrokenProtocol(
            "shapes",
            f"q_values of shape [{len(observations)}, number of actions]",
            f"it returned {list(values.shape)}",
        )
    if values.dtype.kind != "f":
        raise BrokenProtocol("shapes", "q_values of a floating type", f"it returned {values.dtype}")
    if not np.array_equal(given, observations):
        raise BrokenProtocol(
            "observations", "observations left as they are", "q_values changed them in place"
        )
    if not np.isfinite(values).all():
        raise Misbehaviour("finite q_values", f"it returned {values[~np.isfinite(values)][0]}")
    return values.astype(np.float64)
