"""`python -m probes.running.worker`: a process that runs checks, each asked for by a line of JSON.

Subjects run only in such processes: one that raises, hangs, leaks or ends its process costs the
check at hand, and no more. Each is served by a fork of its own, so that the imports, which take
longer than most checks, are made once, and no subject sees what another one left behind. Standard
output is the protocol's; what a subject prints goes to the standard error.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Never, TextIO

import torch

from dqn_core.device import prepare_device
from probes.checks.registry import check_named
from probes.faults.catalogue import UnknownFaultError, fault_named
from probes.running.expected import ExpectedError
from probes.running.preflight import Inspection, inspect_subject
from probes.running.run_check import run_check
from probes.subject import Factory, SubjectError, load_factory
from probes.traits import TraitError, read_traits


def chosen_factory(agent: str, fault: str) -> Factory:
    """The factory of a subject.

    Args:
        agent: "module:factory".
        fault: of the bundled core, which it then is; or "".

    Raises:
        SubjectError, UnknownFaultError: if there is none of that name.
    """
    return fault_named(fault).parts.make if fault else load_factory(agent)


def serve() -> None:
    """Answers lines: a subject, checks of it, {"end": true}, the next subject, and so on.

    {"agent": name, "fault": name, "seed": n, "frames": bool} is answered by an `Inspection` or
    {"error": why}; {"check": code, "seed": n} by the finding, or by {"lost": exit code} if the
    subject's process ended instead, negative for a signal.
    """
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    prepare_device("cpu")
    torch.optim.Adam([torch.zeros(1)])  # with its first optimizer torch imports for a second
    # Unbuffered: a fork goes on reading where this process stopped.
    with open(0, "rb", buffering=0, closefd=False) as lines:
        asked = (json.loads(line) for line in iter(lines.readline, b""))
        for subject in asked:
            ended, ending = os.pipe()
            child = os.fork()
            if not child:
                _serve_and_exit(subject, asked, answers, ending)
            os.close(ending)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if not os.read(ended, 1):
                answers.write(json.dumps({"lost": code}) + "\n")
            os.close(ended)


def _serve_and_exit(
    subject: dict[str, Any], asked: Iterator[dict[str, Any]], answers: TextIO, ending: int
) -> Never:
    """Serves one subject until its end, which is noted in the pipe `ending`."""
    code = 1
    try:
        _serve_subject(subject, asked, answers)
        os.write(ending, b".")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001  # reported by exit code and last line
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)  # what was registered for the exit of the process is not the fork's to do


def _serve_subject(
    subject: dict[str, Any], asked: Iterator[dict[str, Any]], answers: TextIO
) -> None:
    found = Inspection()
    try:
        factory = chosen_factory(subject["agent"], subject["fault"])
        if subject["fault"]:  # what it does to the core is for the checks to say
            found = Inspection(traits=dict(fault_named(subject["fault"]).traits))
        else:
            found = inspect_subject(factory, subject["seed"], frames=subject["frames"])
    except (ExpectedError, SubjectError, TraitError, UnknownFaultError) as error:
        answers.write(json.dumps({"error": str(error)}) + "\n")
        return
    answers.write(json.dumps(asdict(found)) + "\n")
    traits = read_traits(found.traits)
    for order in asked:
        if "end" in order:
            return
        check = check_named(order["check"])
        finding = run_check(check, factory, order["seed"], found.declined, traits, found.raised)
        answers.write(finding.model_dump_json() + "\n")


if __name__ == "__main__":
    serve()
