"""What every test may rely on: one thread, no outside settings, global randomness untouched."""

import importlib.util
import os
import random  # noqa: TID251  its state is compared, nothing is drawn
import sys
from collections.abc import Callable, Generator, Sequence

import hypothesis
import numpy as np
import pytest

for name in [name for name in os.environ if name.startswith(("HARNESS_", "DQN_HARNESS_"))]:
    del os.environ[name]
# Set before anything imports torch, so that tests without torch need not pay for its import.
os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

hypothesis.settings.register_profile("house", derandomize="CI" in os.environ, deadline=None)
hypothesis.settings.load_profile("house")


def _global_random_states() -> dict[str, object]:
    """State of each global generator in use; torch's counts once something has imported torch."""
    states: dict[str, object] = {
        "random": random.getstate(),
        "numpy.random": repr(np.random.get_state()),  # noqa: NPY002  compared, not drawn from
    }
    if torch := sys.modules.get("torch"):
        states["torch"] = torch.default_generator.get_state().numpy().tobytes()
    return states


@pytest.hookimpl(wrapper=True)
def _leave_global_randomness_alone(item: pytest.Item) -> Generator[None]:
    """Fail what moves a global generator: results would then depend on the order of tests."""
    before = _global_random_states()
    yield
    after = _global_random_states()
    leaks = [name for name, state in before.items() if state != after[name]]
    if leaks:
        pytest.fail(f"{item.name} moved the global state of {', '.join(leaks)}", pytrace=False)


@pytest.fixture(autouse=True)
def _denormal_numbers_as_usual() -> Generator[None]:
    """`prepare_device` flushes them in the whole process, which is not what other tests expect."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)


# Fixtures of every scope run in the set-up of some test, so both phases are watched.
pytest_runtest_setup = _leave_global_randomness_alone
pytest_runtest_call = _leave_global_randomness_alone


def _cuda_is_available() -> bool:
    import torch

    return torch.cuda.is_available()


NEEDS = {
    "atari": ("ale_py", lambda: importlib.util.find_spec("ale_py") is not None),
    "gpu": ("a CUDA device", _cuda_is_available),
    "ray": ("ray", lambda: importlib.util.find_spec("ray") is not None),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, by name, what this machine lacks."""
    for marker, (thing, is_here) in NEEDS.items():
        needy = [item for item in items if item.get_closest_marker(marker)]
        if needy and not is_here():
            for item in needy:
                item.add_marker(pytest.mark.skip(reason=f"needs {thing}"))


@pytest.fixture
def called(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """A command line in this process: exit code, output and errors of its `main` and words."""

    def call(main: Callable[[Sequence[str]], int], *words: str) -> tuple[int, str, str]:
        state = random.getstate()
        code = main(words)
        random.setstate(state)  # tyro draws placeholders
        return (code, *capsys.readouterr())

    return call
