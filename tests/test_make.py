"""The Makefile, run in a copy of its own with a recorder in place of Python: nothing is installed.

The recorder appends each call, with its arguments and environment, to a file. Asked to make a
virtual environment, it puts itself there.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARALLEL = "-n logical --dist loadfile --no-loadscope-reorder"
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = re.findall(r"^TARGETS := (.+)$", MAKEFILE, flags=re.MULTILINE)[0].split()
VARIABLES = re.findall(r"^TO_PROGRAMS := (.+)$", MAKEFILE, flags=re.MULTILINE)[0].split()

RECORDER = f"""#!{sys.executable} -IS
import json, os, pathlib, shutil, sys

args, env = sys.argv[1:], dict(os.environ)
version = env.get("FAKE_VERSION", "3.11.7")
here = pathlib.Path(sys.argv[0])
with open(env["RECORD"], "a") as record:
    record.write(json.dumps([here.name, args, env]) + "\\n")
if args == ["-VV"]:
    print("Python", version)
elif args[:1] == ["-c"]:
    sys.version_info = tuple(map(int, version.split(".")))
    sys.modules |= dict.fromkeys(env.get("FAKE_MISSING", "").split())
    sys.argv[1:] = args[2:]
    exec(args[1])
elif args[:2] == ["-m", "venv"]:
    for name in ("python", "lint-imports", "dqn-harness"):
        pathlib.Path(args[2], "bin").mkdir(parents=True, exist_ok=True)
        shutil.copy(here, pathlib.Path(args[2], "bin", name))
elif env.get("FAKE_FAILURE") in (args[:1] + args[1:2] if args[:1] == ["-m"] else args[:1]):
    sys.exit(4)
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


class Project:
    """A folder with the Makefile, the inputs of its set-up, and the recorder as `python3`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.record = folder / "record"
        bin_folder = folder / "bin"
        for new in (self.folder, bin_folder):
            new.mkdir()
        (self.folder / "Makefile").write_text(MAKEFILE)
        (self.folder / "pyproject.toml").write_text("[project]\n")
        (self.folder / "constraints.txt").write_text("numpy==2.0\n")
        (bin_folder / "python3").write_text(RECORDER)
        (bin_folder / "python3").chmod(0o755)
        # Not this process's own environment: make would take MAKEFLAGS, GAME and the like from it.
        self.env = {"PATH": f"{bin_folder}:{os.environ['PATH']}", "RECORD": str(self.record)}

    def make(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", *args],
            cwd=self.folder,
            env=self.env | env,
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[tuple[list[str], dict[str, str]]]:
        """Recorded calls since the last time of asking."""
        lines = self.record.read_text().splitlines() if self.record.exists() else []
        self.record.unlink(missing_ok=True)
        recorded = [json.loads(line) for line in lines]
        return [([name, *args], env) for name, args, env in recorded]

    def setups(self) -> int:
        return sum(args[1:3] == ["-m", "venv"] for args, _ in self.calls())


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that is set up; for tests that change nothing in it."""
    project = Project(tmp_path_factory.mktemp("ready"))
    assert project.make("setup").returncode == 0
    return project


HOSTILE = [
    "$(touch canary)",
    "$$(touch canary)",
    "$(shell touch canary)",
    "`touch canary`",
    '"; touch canary; "',
    "'; touch canary; '",
    "; touch canary #",
    "two\nlines\n\ttouch canary",
    "spaces  within and after  ",
    "../../etc",
    "${HOME} $HOME % * ? ~ \\ # : = , é",
]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("way", ["argument", "environment"])
def test_values_reach_the_program_byte_for_byte_and_run_nothing(
    ready: Project, value: str, way: str
) -> None:
    values = dict.fromkeys(VARIABLES, value)
    ready.calls()
    if way == "argument":
        ready.make("regress", *(f"{name}={text}" for name, text in values.items()))
    else:
        ready.make("regress", **values)
    args, env = ready.calls()[-1]
    assert args == ["dqn-harness", "regress"]
    assert {name: env.get(f"HARNESS_{name}") for name in VARIABLES} == values
    assert list(ready.folder.parent.rglob("canary")) == []


@pytest.mark.parametrize("value", HOSTILE[1:7])
def test_hostile_values_do_run_where_a_recipe_holds_them(tmp_path: Path, value: str) -> None:
    (tmp_path / "Makefile").write_text("all:\n\t-@: $(GAME)\n\t-@: '$(GAME)'\n\t-@: \"$(GAME)\"\n")
    subprocess.run(["make", f"GAME={value}"], cwd=tmp_path, capture_output=True, check=False)
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize("target", TARGETS)
def test_no_target_lets_a_value_run(project: Project, target: str) -> None:
    project.make(target, *(f"{name}=$(shell touch canary)`touch canary`" for name in VARIABLES))
    assert list(project.folder.rglob("canary")) == []


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("FALT", "FAULT"), ("GAMES", "GAME"), ("fault", "FAULT"), ("X'", "")],
)
def test_a_variable_that_is_misspelt_is_an_error_that_names_the_nearest(
    ready: Project, name: str, nearest: str
) -> None:
    ready.calls()
    made = ready.make("regress", f"{name}=no-terminal-mask", "GAME=cartpole")
    assert made.returncode == 2
    assert re.search(rf"unknown variable {name}; the nearest is ({nearest})", made.stderr)
    assert all(args[1] == "-c" for args, _ in ready.calls())  # asked for the nearest, no more


def test_variables_of_the_environment_and_of_make_itself_are_no_errors(ready: Project) -> None:
    assert ready.make("probes", "PARALLEL=", FALT="1").returncode == 0


def test_programs_are_told_which_targets_there_are(ready: Project) -> None:
    ready.calls()
    ready.make("probes")
    _, env = ready.calls()[-1]
    assert env["DQN_HARNESS_TARGETS"].split() == TARGETS


def test_empty_values_do_not_reach_the_program(ready: Project) -> None:
    ready.calls()
    ready.make("probes", "GAME=", HARNESS_GAME="stale", SEED="")
    _, env = ready.calls()[-1]
    assert [name for name in env if name.startswith("HARNESS_")] == []


def test_variables_are_those_that_the_programs_know() -> None:
    assert " ".join(VARIABLES) == (
        "AGENT SCRIPT ARGUMENTS INTERPRETER EXPECTED CHECKS GAME RECIPE SEEDS SEED DEVICE DEVICES "
        "FAULT BITS TRAIN RESUME REASON RUN NAME LOGS STEPS WINDOW FORMAT REFERENCES A B"
    )


@pytest.mark.parametrize(
    ("target", "commands"),
    [
        ("probes", ["dqn-harness probes"]),
        ("script", ["dqn-harness script"]),
        ("faults", ["dqn-harness faults", "python -m reports matrix"]),
        ("regress", ["dqn-harness regress"]),
        ("gate", ["dqn-harness gate"]),
        ("report", ["dqn-harness report"]),
        ("diff", ["dqn-harness diff"]),
        ("calibrate", ["dqn-harness calibrate"]),
        ("doctor", ["dqn-harness doctor"]),
        ("bless", ["dqn-harness bless"]),
        ("import", ["dqn-harness import"]),
        ("readme", ["python -m pytest tests/test_readme.py"]),
        ("crashes", ["python -m pytest tests/regression/store/test_crashes.py"]),
        ("scripts", ["python -m pytest tests/probes/scripts"]),
        ("test", [f"python -m pytest {PARALLEL}"]),
        (
            "bench",
            [
                "python -m pytest tests/benchmarks --benchmark-enable "
                "--benchmark-json=runs/bench.json",
                "python -m reports bench",
            ],
        ),
        ("lint", ["python -m ruff check", "python -m ruff format --check"]),
        ("types", ["python -m mypy"]),
        ("imports", ["lint-imports"]),
        ("fmt", ["python -m ruff check --fix", "python -m ruff format"]),
        (
            "check",
            [
                "python -m ruff check",
                "python -m ruff format --check",
                "python -m mypy",
                "lint-imports",
                f"python -m pytest {PARALLEL}",
            ],
        ),
        (
            "coverage",
            [
                "python -m coverage erase",
                f"python -m coverage run -m pytest {PARALLEL}",
                "python -m coverage combine --quiet",
                "python -m coverage report",
            ],
        ),
    ],
)
def test_target_calls_its_programs(ready: Project, target: str, commands: list[str]) -> None:
    ready.calls()
    assert ready.make(target).returncode == 0
    assert [" ".join(args) for args, _ in ready.calls() if args[0] != "python3"] == commands


def test_programs_run_with_one_thread_and_a_fixed_hash_seed(ready: Project) -> None:
    ready.calls()
    ready.make("probes", OMP_NUM_THREADS="8", PYTHONHASHSEED="random")
    _, env = ready.calls()[-1]
    pinned = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    assert pinned | {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"} == {
        name: env[name] for name in [*pinned, "CUBLAS_WORKSPACE_CONFIG"]
    }


def test_failure_of_a_program_shows_its_own_code(ready: Project) -> None:
    result = ready.make("probes", FAKE_FAILURE="probes")
    assert (result.returncode, "Error 4" in result.stderr) == (2, True)


def test_help_is_the_default_and_explains_every_target_and_variable(ready: Project) -> None:
    text = ready.make().stdout
    lists = text[text.index("Targets") :]
    explained = re.findall(r"^  (\w+) +\S", lists, flags=re.MULTILINE)
    assert sorted(explained) == sorted([*TARGETS, *VARIABLES, "PYTHON"])
    assert ready.make("help").stdout == text


def test_every_target_is_phony() -> None:
    assert re.findall(r"^(\w+):(?!=)", MAKEFILE, flags=re.MULTILINE) == TARGETS


def test_continuous_integration_calls_targets_that_exist() -> None:
    scripts = [ROOT / ".ci/run", ROOT / ".github/workflows/ci.yml"]
    lines = "\n".join(script.read_text() for script in scripts)
    called = set(re.findall(r"^(?:.*run: )?make (\w+)", lines, flags=re.MULTILINE))
    assert {"check", "probes", "regress", "gate"} == called
    assert called <= set(TARGETS)


def test_set_up_happens_once(project: Project) -> None:
    project.make("probes")
    assert project.setups() == 1
    project.make("test")
    assert project.setups() == 0


def test_a_newer_file_with_the_same_content_changes_nothing(project: Project) -> None:
    project.make("setup")
    for name in ("constraints.txt", "pyproject.toml", "Makefile"):
        os.utime(project.folder / name, (2**31, 2**31))
    project.calls()
    project.make("setup")
    assert project.setups() == 0


@pytest.mark.parametrize("name", ["constraints.txt", "pyproject.toml"])
def test_new_content_rebuilds_from_nothing(project: Project, name: str) -> None:
    project.make("setup")
    leftover = project.folder / ".venv/removed-pin"
    leftover.touch()
    before = (project.folder / name).stat()
    with (project.folder / name).open("a") as file:
        file.write("# changed\n")
    os.utime(project.folder / name, ns=(before.st_atime_ns, before.st_mtime_ns))
    project.calls()
    project.make("setup")
    assert (project.setups(), leftover.exists()) == (1, False)


def test_another_python_rebuilds(project: Project) -> None:
    project.make("setup")
    project.calls()
    project.make("setup", FAKE_VERSION="3.12.1")
    assert project.setups() == 1


def test_a_moved_project_rebuilds(project: Project) -> None:
    project.make("setup")
    project.calls()
    project.folder = project.folder.rename(project.folder.with_name("moved"))
    project.make("setup")
    assert project.setups() == 1


def test_an_interrupted_set_up_starts_again(project: Project) -> None:
    assert project.make("setup", FAKE_FAILURE="pip").returncode == 2
    project.calls()
    assert project.make("setup").returncode == 0
    assert project.setups() == 1


def test_an_interrupted_removal_starts_again(project: Project) -> None:
    project.make("setup")
    pins = project.folder / "constraints.txt"
    old = pins.read_text()
    pins.write_text("numpy==2.1\n")
    rm = project.folder.parent / "bin/rm"
    # Gets no further than its first operand, and into no folder.
    rm.write_text(f'#!/bin/sh\n{shutil.which("rm")} -f "$2"\nexit 1\n')
    rm.chmod(0o755)
    assert project.make("setup").returncode == 2
    rm.unlink()
    pins.write_text(old)
    project.calls()
    project.make("setup")
    assert project.setups() == 1


def test_set_up_installs_the_project_under_constraints(project: Project) -> None:
    project.make("setup")
    args, _ = project.calls()[-1]
    expected = "python -m pip install -c constraints.txt -e .[atari,video,dev]"
    assert " ".join(args) == expected


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"FAKE_VERSION": "3.10.9"}, "expected Python 3.11 to 3.13, found 3.10"),
        ({"FAKE_VERSION": "3.14.0"}, "expected Python 3.11 to 3.13, found 3.14"),
        ({"FAKE_MISSING": "ensurepip"}, "has no venv module"),
    ],
)
def test_an_unfit_python_is_named_and_the_old_venv_stays(
    project: Project, env: dict[str, str], message: str
) -> None:
    (project.folder / ".venv").mkdir()
    result = project.make("probes", **env)
    assert message in result.stderr
    assert (project.setups(), (project.folder / ".venv").exists()) == (0, True)


def test_clean_keeps_runs_and_sources(project: Project) -> None:
    project.make("setup")
    (project.folder / "runs").mkdir()
    kept = {"Makefile", "constraints.txt", "pyproject.toml", "runs"}
    (project.folder / "probes/__pycache__").mkdir(parents=True)
    (project.folder / ".coverage.host").touch()
    assert project.make("clean").returncode == 0
    assert {path.name for path in project.folder.rglob("*")} == kept | {"probes"}
