"""`python -m probes docs`: writes the pages of all checks and of all faults.

Each page is a pure function of the checks, the faults and the fault dictionary.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import tyro
from rich.console import Console

from dqn_core.files import replace_text
from probes.checks.check import Check, Component
from probes.checks.registry import CHECKS
from probes.diagnosis.diagnose import load_dictionary
from probes.faults.catalogue import ABSENT, FAULTS
from probes.faults.fault import Fault
from reports.schema import Dictionary, ExitCode

DOCS: Final = Path(__file__).parents[2] / "docs"
CHECKS_PAGE: Final = "checks.md"
FAULTS_PAGE: Final = "faults.md"
RENEW: Final = "python -m probes docs"

# What the checks of a family, the first word of their codes, look at.
FAMILIES: Final[dict[str, str]] = {
    "world": "Q-values learned in tiny environments, compared with the solved ones",
    "td": "the TD target of a batch, compared with its formula",
    "loss": "what one update of a batch does to the Q-values",
    "target": "when the target network changes, and to what",
    "network": "what the network can put out",
    "optimizer": "which tensors the optimizer moves, how far, and what it remembers",
    "termination": "ends of episodes by the task and by time limits",
    "replay": "what comes out of the replay memory, and how often",
    "exploration": "random and greedy actions, and epsilon over the steps",
    "cadence": "how often updates are made, and environments are stepped",
    "seeding": "what the seed decides, and what it must not",
    "checkpoints": "a run that is saved, loaded and goes on",
    "evaluation": "returns that an evaluation reports, and what it leaves alone",
    "records": "what a run records of itself, compared with what happened",
    "frames": "Atari frames, from the emulator to the network",
    "lives": "lives of Atari games",
}


def write_pages(dictionary: Dictionary, folder: Path) -> None:
    """Writes both pages into a folder that exists.

    Raises:
        OSError: the folder cannot be written to.
    """
    replace_text(folder / CHECKS_PAGE, checks_page(dictionary))
    replace_text(folder / FAULTS_PAGE, faults_page(dictionary))


def write_docs(
    folder: Annotated[Path, tyro.conf.arg(help="where the pages are written")] = DOCS,
) -> ExitCode:
    """Writes the pages of all checks and faults, with the reds of the stored dictionary."""
    try:
        write_pages(load_dictionary(), folder)
    except OSError as error:
        raise ValueError(
            f"--folder: cannot write the pages to {folder}: {error.strerror}\n"
            "  next      name a folder that exists, as in --folder docs"
        ) from error
    for page in (CHECKS_PAGE, FAULTS_PAGE):
        Console().print(str(folder / page), markup=False, soft_wrap=True)
    return ExitCode.OK


def checks_page(dictionary: Dictionary) -> str:
    """Markdown: every check by family, with what it states, why, and the faults that prove it.

    Args:
        dictionary: says how many faults turn a check red.
    """
    families: dict[str, list[Check]] = {}
    for check in CHECKS:
        families.setdefault(_family(check.code), []).append(check)
    lines = [
        "# Checks",
        "",
        f"<!-- Generated: `{RENEW}` writes this page. -->",
        "",
        f"A check is a property of any correct DQN. There are {len(CHECKS)}, each proven by a",
        f"[planted fault]({FAULTS_PAGE}) that turns it red. `dqn-harness probes -k CODE` runs",
        "one by its code or a part of it, `dqn-harness explain CODE` prints what is said here.",
        "",
        "Every check needs an agent that can `train` and return its `q_values`. What it needs",
        "besides are members that an agent may offer; a check whose needs are not met is skipped,",
        "and says so. [`probes/subject.py`](../probes/subject.py) states what each member takes",
        "and returns.",
        "",
        "| family | checks | look at |",
        "|---|---:|---|",
        *(
            f"| {_link(name, name)} | {len(checks)} | {FAMILIES[name]} |"
            for name, checks in families.items()
        ),
        "",
        *_folded(f"All {len(CHECKS)} checks", (check.code for check in CHECKS)),
    ]
    for name, checks in families.items():
        lines += ["", f"## {name}", "", f"Checks of {FAMILIES[name]}."]
        for check in checks:
            lines += ["", *_check(check, dictionary)]
    return "\n".join(lines) + "\n"


def faults_page(dictionary: Dictionary) -> str:
    """Markdown: every fault by component, with the checks it turns red and where it was seen.

    Args:
        dictionary: says which checks each fault turns red.
    """
    red = {row.fault: row.red for row in dictionary.rows}
    components = {
        component: [fault for fault in FAULTS if fault.component == component]
        for component in Component
    }
    seen = sum(bool(fault.seen) for fault in FAULTS)
    lines = [
        "# Faults",
        "",
        f"<!-- Generated: `{RENEW}` writes this page. -->",
        "",
        f"{len(FAULTS)} faults are planted in the bundled agent, one at a time. {seen} of them",
        "link to where they were seen in public. Each turns at least one of the",
        f"[checks]({CHECKS_PAGE}) red: some that the tests demand, and others that were red as",
        "well when `dqn-harness faults` last ran the checks on all faults.",
        "`dqn-harness probes --fault NAME` plants one.",
        "",
        "![Faults by checks: what each fault turns red](faults.svg)",
        "",
        "| component | faults | with a link |",
        "|---|---:|---:|",
        *(
            f"| {_link(component, component)} | {len(faults)} | "
            f"{sum(bool(fault.seen) for fault in faults)} |"
            for component, faults in components.items()
        ),
        f"| {_link('not planted', 'not planted')} | {len(ABSENT)} | "
        f"{sum(bool(absent.seen) for absent in ABSENT)} |",
        "",
        *_folded(f"All {len(FAULTS)} faults", (f.name for fs in components.values() for f in fs)),
    ]
    for component, faults in components.items():
        lines += ["", f"## {component}"]
        for fault in faults:
            lines += ["", *_fault(fault, red.get(fault.name, []))]
    lines += ["", "## not planted", "", "The bundled agent has no place for these."]
    for absent in ABSENT:
        lines += ["", f"### {absent.name}", "", _escaped(f"{absent.what} {absent.reason}")]
        lines += ["", *_seen(absent.seen)]
    return "\n".join(lines) + "\n"


def _check(check: Check, dictionary: Dictionary) -> Iterator[str]:
    proofs = [fault.name for fault in FAULTS if check.code in fault.caught_by]
    reds = sum(check.code in row.red for row in dictionary.rows)
    ran = sum(check.code in row.ran for row in dictionary.rows)
    yield f"### {check.code}"
    yield ""
    yield _escaped(check.what)
    yield ""
    yield f"- **Component:** {check.component}"
    yield f"- **Why:** {_escaped(check.why)}"
    yield "- **Likely causes:**"
    yield from (f"  - {_escaped(cause)}" for cause in check.causes)
    yield f"- **Next experiment:** {_escaped(check.experiment)}"
    if check.needs:
        yield f"- **Needs:** {', '.join(f'`{name}`' for name in check.needs)}"
    yield f"- **Proven by:** {', '.join(_link(name, name, FAULTS_PAGE) for name in proofs)}"
    yield f"- **Red on:** {reds} of the {ran} faults that it was run on"
    yield from _seen(check.seen)


def _fault(fault: Fault, red: Sequence[str]) -> Iterator[str]:
    yield f"### {fault.name}"
    yield ""
    yield _escaped(fault.what)
    yield ""
    yield "- **Must turn red:**"
    yield from _by_family(fault.caught_by)
    others = [code for code in red if code not in fault.caught_by]
    if others:
        yield f"- **Also red ({len(others)}):**"
        yield from _by_family(others)
    yield from _seen(fault.seen)


def _by_family(codes: Iterable[str]) -> Iterator[str]:
    """One line for each family, of links named by what follows the family in a code."""
    families: dict[str, list[str]] = {}
    for code in codes:
        name = code.removeprefix(_family(code) + ".")
        families.setdefault(_family(code), []).append(_link(name, code, CHECKS_PAGE))
    yield from (f"  - {family}: {', '.join(links)}" for family, links in families.items())


def _seen(links: Sequence[str]) -> Iterator[str]:
    if links:
        yield "- **Seen in:**"
        yield from (f"  - [{_place(link)}]({link})" for link in links)


def _place(link: str) -> str:
    """A link in words: "owner/name issue 3", "owner/name commit 0123abc", or its address."""
    host_and_path = link.removeprefix("https://").rstrip("/")
    match host_and_path.split("/"):
        case ["github.com", owner, name, "issues", number]:
            return f"{owner}/{name} issue {number}"
        case ["github.com", owner, name, "pull", number]:
            return f"{owner}/{name} pull request {number}"
        case ["github.com", owner, name, "commit", commit]:
            return f"{owner}/{name} commit {commit}"
        case ["github.com", owner, name, "blob", _, *path]:
            return f"{owner}/{name} {'/'.join(path)}"
    return host_and_path


def _folded(title: str, headings: Iterable[str]) -> Iterator[str]:
    """A list of links to headings that a reader unfolds."""
    yield f"<details><summary>{title}</summary>"
    yield ""
    yield from (f"- {_link(heading, heading)}" for heading in headings)
    yield ""
    yield "</details>"


def _link(text: str, heading: str, page: str = "") -> str:
    """A link to a heading, by the anchor that GitHub gives it."""
    anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    return f"[{text}]({page}#{anchor})"


def _family(code: str) -> str:
    return code.split(".", maxsplit=1)[0]


def _escaped(text: str) -> str:
    """Text in which only what stands between backticks is more than plain Markdown text."""
    return re.sub(r"(`[^`]*`)|([*<])", lambda found: found[1] or "\\" + found[2], text)
