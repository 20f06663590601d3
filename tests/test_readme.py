"""The README: its commands are run, its samples are what they print, its snippets and links work.

Every line of the README that begins with `$ ` is a command, and the lines below it are a sample of
what it prints. They are run in a folder that holds what `made_folder` puts there: the README's own
Python blocks, logs of an imaginary program, and two runs of one seed. The commands of one block of
code are run in their order, and two blocks at a time.

- A quick command is run to its end; its exit code must be the one that its comment names (0, where
  it names none), and its sample must be what it printed.
- A command of minutes (`SLOW`) is begun for real, and interrupted when it has printed its first
  line: it has understood its flags by then, and found all that it needs. Its sample is compared
  with nothing.
- `README=write pytest tests/test_readme.py` runs all of them to their ends, the slow ones too, and
  writes their samples into the README.

A sample is shortened by rule (`sample`): borders and headings of tables and lines of progress are
left out, runs of blanks are two at most (in tables one), long lines are cut at a word (` ...`), and
of a long output the first and last lines stay, with `...` between them. Two samples are equal when
they are so but for `masked` numbers: those with a decimal point, units in the last place, and steps
after which values settle (other processors round otherwise), times in names of folders, and hashes.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from dqn_core.device import prepare_device
from dqn_core.train import TrainingRun
from dqn_harness.commands import COMMANDS as COMMAND_NAMES
from probes.faults.catalogue import fault_named
from probes.subjects.core import Parts
from tests.dqn_core.small import small
from tests.probes.scripts.planted import PLANTED as PLANTED_IN_SCRIPTS
from tests.probes.scripts.planted import planted
from tests.probes.scripts.specimens import CONSTANTS

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
TEXT = README.read_text("utf-8")
WRITING = os.environ.get("README") == "write"
MOST_LINES = 150
BORDERS = ("┏", "┃", "┡", "└")  # of tables, and their headings
WIDTH = 118  # columns of a sample
SLOW_LIMIT_S, QUICK_LIMIT_S = 3_600, 120
INTERRUPTED = 2  # exit code
# A minute each, or more.
SLOW = (
    "dqn-harness probes --red",
    "dqn-harness regress --game cartpole",
    "dqn-harness regress --game cartpole --fault no-terminal-mask",
    "dqn-harness script train.py",
)
# How many lines of a command's output are shown, the first and the last ones.
SHOWN = {
    "diff": (4, 0),
    "script": (5, 4),
    "probes": (2, 4),
    "bless": (0, 1),
    "gate": (1, 0),
    "import": (0, 2),
}
USUALLY_SHOWN = (0, 2)
PLANTED = "no-terminal-mask"


@dataclass(eq=False)
class Command:
    """A command of the README.

    Attributes:
        line: index of its line.
        block: index of the line that opens its block of code.
        words: the command, without prompt and comment.
        code: the exit code that it should have.
        sample: the lines below it.
    """

    line: int
    block: int
    words: str
    code: int
    sample: list[str]

    @property
    def slow(self) -> bool:
        return self.words in SLOW


def commands(text: str) -> list[Command]:
    """In their order; a line in a block of code that begins with "$ ", and what follows it."""
    found: list[Command] = []
    inside = open_command = False
    block = 0
    for number, line in enumerate(text.splitlines()):
        if line.startswith("```"):
            inside, open_command, block = not inside, False, number
        elif inside and line.startswith("$ "):
            words, _, comment = line[2:].partition(" #")
            code = re.search(r"exit code (\d)", comment)
            expected = int(code.group(1)) if code else 0
            found.append(Command(number, block, words.strip(), expected, []))
            open_command = True
        elif open_command:
            found[-1].sample.append(line)
    return found


def python_blocks(text: str) -> dict[str, str]:
    """Blocks of Python by the file that their first line names."""
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return {block.splitlines()[0].removeprefix("# "): block for block in blocks}


COMMANDS = commands(TEXT)
QUICK = [command for command in COMMANDS if WRITING or not command.slow]


def sample(output: str, words: str, *, cut: bool = True) -> list[str]:
    """What the README shows of an output.

    Args:
        output: of the command.
        words: the command.
        cut: whether long lines are cut.
    """
    lines = []
    for line in output.splitlines():
        bare = re.sub("={5,}", "=====", re.sub("  +", "  ", line.rstrip()))
        bare = " ".join(bare.split()) if bare.startswith(("│", "┃")) else bare
        progress = re.search(r"\d s left$|steps/s .* left ", bare)
        if bare and not progress and not bare.startswith(BORDERS):
            lines.append(bare)
    first, last = next((SHOWN[word] for word in words.split() if word in SHOWN), USUALLY_SHOWN)
    if len(lines) > first + last + 1:
        lines = [*lines[:first], "...", *lines[len(lines) - last :]]
    return [_cut(line) for line in lines] if cut else lines


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else line[: WIDTH - 4].rpartition(" ")[0] + " ..."


def masked(line: str) -> str:
    """Without what differs from run to run, or from processor to processor."""
    line = re.sub(r"\d{8}T\d{6}(-\d+)?", "<time>", line)
    line = re.sub(r"\b[0-9a-f]{16}\b", "<hash>", line)  # covers the day of a blessing
    measured = r"-?[\d,]*\.\d+(e[-+]?\d+)?|[\d,]+(?= ulps)|(?<=after )[\d,]+"
    return re.sub(measured, "<number>", line)


def same(shown: str, printed: str) -> bool:
    """Whether a line of the README is one that was printed now, as far as it goes."""
    if shown.endswith(" ..."):
        return masked(printed).startswith(masked(shown.removesuffix(" ...")))
    return masked(shown) == masked(printed)


@pytest.fixture(scope="module")
def made_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with all that the README's commands are run on."""
    folder = tmp_path_factory.mktemp("readme")
    for name, block in python_blocks(TEXT).items():
        (folder / name).write_text(block)
    fault = PLANTED_IN_SCRIPTS[CONSTANTS]["limit-taken-for-an-end"]
    planted(CONSTANTS, fault, folder / "script").rename(folder / "train.py")
    for name, seeds in (("healthy", range(1, 10)), ("change", range(101, 106))):
        for seed in seeds:
            write_monitor(folder / name / f"seed{seed}", seed)
    for name, fault in (("before", ""), ("after", PLANTED)):
        write_run(folder / "runs" / name, fault)
    return folder


def write_monitor(folder: Path, seed: int) -> None:
    """The log of a run that learns up to a return of about 100, as Stable-Baselines3 writes it."""
    rng = np.random.default_rng(seed)
    peak = 100 + 3 * rng.normal()
    rows = [
        f"{peak * min(1, step / 10_000) + rng.normal():.3f},100,{step / 100}"
        for step in range(100, 20_001, 100)
    ]
    folder.mkdir(parents=True)
    header = '#{"t_start": 0.0, "env_id": "CartPole-v1"}\nr,l,t\n'
    (folder / "monitor.csv").write_text(header + "\n".join(rows) + "\n")


def write_run(folder: Path, fault: str) -> None:
    """A short run of the bundled core, as `dqn-harness regress` leaves one for each seed."""
    parts = fault_named(fault).parts if fault else Parts()
    run = TrainingRun(parts.make_trainer(small(), 7, prepare_device("cpu")), folder)
    for _ in run.windows():
        pass
    (folder / "unit.json").write_text(json.dumps({"key": {"fault": fault}, "fingerprint": {}}))


def start(command: Command, folder: Path) -> subprocess.Popen[str]:
    """Starts a command of the README as its reader would, with this checkout's code."""
    program, *words = shlex.split(command.words)
    module = {"dqn-harness": "dqn_harness", "pytest": "pytest"}[program]
    expanded = [
        path for word in words for path in (matches(folder, word) if "*" in word else [word])
    ]
    env = {name: value for name, value in os.environ.items() if name != "CI"}  # bless refuses there
    return subprocess.Popen(
        [sys.executable, "-m", module, *expanded],
        cwd=folder,
        env=env | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "COLUMNS": "160"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def matches(folder: Path, pattern: str) -> list[str]:
    """What a shell in the folder makes of a pattern."""
    found = sorted(str(path.relative_to(folder)) for path in folder.glob(pattern))
    assert found, pattern
    return found


Ended = tuple[int, str]  # exit code, output


@pytest.fixture(scope="module")
def ended(made_folder: Path, request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Ended]]]:
    """What became of each command that a test asks for; blocks run two at a time, each in order."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    asked = [call.params.get("command") for call in calls if call]
    wanted = [command for command in asked if isinstance(command, Command)]
    futures: dict[str, Future[Ended]] = {command.words: Future() for command in wanted}

    def run(block: int) -> None:
        for command in sorted(wanted, key=lambda command: command.line):
            if command.block == block:
                try:
                    futures[command.words].set_result(finish(command, made_folder))
                except Exception as error:  # noqa: BLE001  # raised again in the command's test
                    futures[command.words].set_exception(error)

    # A shell starts jobs in the background deaf to SIGINT, and their children inherit it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with ThreadPoolExecutor(max_workers=1 if WRITING else 2) as pool:
        for block in sorted({command.block for command in wanted}):
            pool.submit(run, block)
        yield futures
    signal.signal(signal.SIGINT, before)


def finish(command: Command, folder: Path) -> Ended:
    """Runs a command to its end, or a slow one to its first line, which follows all refusals."""
    process = start(command, folder)
    assert process.stdout is not None
    first = ""
    if command.slow and not WRITING:
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
    try:
        rest, _ = process.communicate(timeout=SLOW_LIMIT_S if WRITING else QUICK_LIMIT_S)
    finally:
        process.kill()
    return process.returncode, first + rest


@pytest.mark.parametrize("command", QUICK, ids=lambda command: command.words)
def test_a_command_prints_what_is_shown(command: Command, ended: dict[str, Future[Ended]]) -> None:
    code, output = ended[command.words].result()
    assert code == command.code, output
    if WRITING:
        paste(command, sample(output, command.words))
        return
    printed = sample(output, command.words, cut=False)
    assert len(printed) == len(command.sample), output
    for shown, line in zip(command.sample, printed, strict=True):
        assert same(shown, line), f"README: {shown}\nprinted: {line}"


@pytest.mark.skipif(WRITING, reason="all commands are run to their ends")
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(
            command, id=command.words, marks=pytest.mark.atari if "pong" in command.words else ()
        )
        for command in COMMANDS
        if command.slow
    ],
)
def test_a_slow_command_begins(command: Command, ended: dict[str, Future[Ended]]) -> None:
    code, output = ended[command.words].result()
    assert code == INTERRUPTED, output


def paste(command: Command, lines: list[str]) -> None:
    """Writes a sample into the README, in the place of the one below the command."""
    now = README.read_text("utf-8").splitlines()
    # Samples above may have other lengths by now: the same command, counted from the start.
    nth = COMMANDS.index(command)
    at = commands("\n".join(now))[nth]
    assert at.words == command.words
    now[at.line + 1 : at.line + 1 + len(at.sample)] = lines
    README.write_text("\n".join(now) + "\n", encoding="utf-8")


def test_the_readme_has_commands_and_names_no_slow_or_shown_one_that_is_gone() -> None:
    known = {command.words for command in COMMANDS}
    assert len(known) == len(COMMANDS) > 5
    assert set(SLOW) <= known
    assert set(SHOWN) <= {word for words in known for word in words.split()}


def test_the_readme_is_short() -> None:
    assert len(TEXT.splitlines()) <= MOST_LINES


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", *sorted(
        str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md")
    )]
)  # fmt: skip
def test_links_lead_to_files_and_headings_that_exist(page: str) -> None:
    assert broken_links(ROOT / page) == []


def broken_links(page: Path) -> list[str]:
    """Links of a page to files or headings of the repository that are not there."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, heading = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (heading and heading not in anchors(path)):
            broken.append(target)
    return broken


@cache
def anchors(page: Path) -> set[str]:
    """Those that GitHub makes of the headings of a page, and those that it declares."""
    text = page.read_text("utf-8")
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return made | set(re.findall(r'(?:id|name)="([^"]+)"', text))


def test_pages_name_commands_that_exist() -> None:
    pages = [README, ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    words = re.compile(r"(?:^|`|\$ )dqn-harness (\w+)", re.MULTILINE)
    named = {(page.name, name) for page in pages for name in words.findall(page.read_text("utf-8"))}
    assert len(named) > 20
    assert [(page, name) for page, name in sorted(named) if name not in COMMAND_NAMES] == []


def test_code_paths_of_the_pages_exist() -> None:
    """`probes/subject.py` in a page is a file of the repository, of one of its packages."""
    missing = []
    for page in [README, ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for path in re.findall(r"`((?:\w+/)+[\w.]*)`", page.read_text("utf-8")):
            first = path.split("/")[0]
            if first == "runs":  # which is there once something was run
                continue
            places = [ROOT, *(ROOT / name for name in ("dqn_core", "probes", "regression"))]
            if (ROOT / first).exists() and not any((place / path).exists() for place in places):
                missing.append(f"{page.name}: {path}")
    assert missing == []


def test_broken_links_and_headings_are_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One two\n[a](gone.md) [b](#one-two) [c](#three) [d](https://a.org/x)\n")
    assert broken_links(page) == ["gone.md", "#three"]


def test_samples_are_shortened_by_rule() -> None:
    table = "┏━━━┳━━┓\n┃ a ┃ b ┃\n│ one   │ 2 │\n└───┴──┘\n3 of 4 checks, 9 s left\n"
    lines = "".join(f"line {number}\n" for number in range(9))
    assert sample(table, "") == ["│ one │ 2 │"]
    assert sample(lines, "") == ["...", "line 7", "line 8"]
    assert sample("words " * 40, "") == [("words " * 19).strip() + " ..."]
    assert sample(lines, "dqn-harness diff --a x")[-2:] == ["line 3", "..."]
    assert sample("seed 1     100\n===========", "") == ["seed 1  100", "====="]


@pytest.mark.parametrize(
    ("shown", "printed", "equal"),
    [
        ("5 red, 13.0 s", "5 red, 9.81 s", True),
        ("5 red, 13.0 s", "4 red, 13.0 s", False),
        ("runs/x-20260101T000000", "runs/x-20270101T000000-1", True),
        ("as if: discount ...", "as if: discount missing or twice", True),
        ("as if: discount ...", "as if: reward lost", False),
        ("green", "red", False),
    ],
)  # fmt: skip
def test_a_sample_is_compared_but_for_measured_numbers(
    shown: str, printed: str, equal: bool
) -> None:
    assert same(shown, printed) is equal


def test_commands_and_their_samples_are_found() -> None:
    text = "$ no\n```console\n$ a --b  # exit code 1\nout\n...\n$ c\n```\nout\n"
    assert [astuple(command) for command in commands(text)] == [
        (2, 1, "a --b", 1, ["out", "..."]),
        (5, 1, "c", 0, []),
    ]
