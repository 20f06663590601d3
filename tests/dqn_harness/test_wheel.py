"""A wheel in an environment of its own, used from an empty folder and from other people's projects.

The checkout's own installation is an editable one, which hides what a wheel lacks. The libraries
are those of this environment: only ours is installed anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("dqn_core", "dqn_harness", "probes", "regression", "reports")
PLAIN = "def test_plain():\n    import probes, reports\n    assert probes.MINE and reports.MINE\n"
UNTOUCHED = """
import sys

assert not {"dqn_core", "probes", "regression", "reports", "torch"} & set(sys.modules)
"""
USING = """
    from dqn_harness import parametrize_with_checks

    @parametrize_with_checks("agent:make", checks="constant-reward.vector")
    def test_dqn(check):
        check()
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, as a build leaves folders behind."""
    copy = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    words = ["wheel", "-q", "--no-deps", "--no-build-isolation", "-w", "dist", "."]
    subprocess.run([sys.executable, "-m", "pip", *words], cwd=copy, check=True)
    (built,) = copy.glob("dist/*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory) -> Path:
    """The folder of the programs of an environment in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    bin_folder = folder / "bin"
    words = ["--python", bin_folder / "python", "install", "-q", "--no-deps", "--no-index", wheel]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    # A path in such a file is searched, but the editable installation in it is not set up.
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return bin_folder


@pytest.fixture
def call(environment, tmp_path):
    """Runs a program of the environment in an empty folder."""

    def run(program: str, *words: str) -> subprocess.CompletedProcess[str]:
        variables = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "CI"}}
        return subprocess.run(
            [environment / program, *words],
            cwd=tmp_path, env=variables, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def pytest_in(call) -> subprocess.CompletedProcess[str]:
    return call("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist")


def test_the_wheel_holds_all_that_is_read_at_run_time(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        path.relative_to(ROOT).as_posix()
        for name in SOURCES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted - held == set()


def test_the_command_judges_and_explains_from_an_empty_folder(call, tmp_path):
    probed = call("dqn-harness", "probes", "-k", "constant-reward.vector")
    assert probed.returncode == 0, probed.stderr
    assert "1 of 1 check ran, 0 red" in probed.stdout
    assert "proven by" in call("dqn-harness", "explain", "td.rows-are-independent").stdout
    history = call("dqn-harness", "history", "--game", "cartpole")
    assert history.returncode == 0, history.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_plugin_runs_checks_of_an_agent(call, tmp_path):
    (tmp_path / "agent.py").write_text((ROOT / "examples/dqn.py").read_text())
    (tmp_path / "test_mine.py").write_text(USING.replace("\n    ", "\n"))
    ran = pytest_in(call)
    assert ran.returncode == 0, ran.stdout
    assert "1 of 1 check ran, 0 red" in ran.stdout


@pytest.fixture
def other_project(tmp_path):
    for name in ("probes", "reports", "regression"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("MINE = True\n")
    (tmp_path / "test_plain.py").write_text(PLAIN)
    (tmp_path / "conftest.py").write_text(UNTOUCHED)


@pytest.mark.usefixtures("other_project")
def test_another_projects_packages_of_our_names_are_left_alone(call):
    ran = pytest_in(call)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout
    assert "dqn-harness" not in ran.stdout + ran.stderr
    blocked = call("python", "-m", "pytest", "-q", "-p", "no:dqn-harness", "-p", "no:xdist")
    assert blocked.stdout.partition(" in ")[0] == ran.stdout.partition(" in ")[0]


@pytest.mark.usefixtures("other_project")
def test_using_us_there_says_what_hides_what(call, tmp_path):
    (tmp_path / "test_mine.py").write_text(USING.replace("\n    ", "\n"))
    ran = pytest_in(call)
    assert ran.returncode == 2
    assert f"{tmp_path / 'probes'} hides dqn-harness's own package 'probes'" in ran.stdout
    # The command goes by what lies in the folder.
    told = call("dqn-harness", "probes", "--list", "-k", "constant-reward")
    assert told.returncode == 0, told.stderr
    module = call("python", "-m", "dqn_harness", "probes", "--list", "-k", "constant-reward")
    assert (module.returncode, module.stdout) == (0, told.stdout)
