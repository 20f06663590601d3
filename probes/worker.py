"""`python -m probes.worker`: a process that runs checks as it is told, a line of JSON each.

Subjects run only in such processes: one that raises, hangs, leaks or ends its process costs the
check at hand, and no more. Standard output is the protocol's; what a subject prints goes to the
standard error.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated

import tyro

from dqn_core.device import prepare_device
from probes.faults.catalogue import UnknownFaultError, fault_named
from probes.judging import judge
from probes.ladder import check_named
from probes.subject import Factory, SubjectError, load_factory


def chosen_factory(agent: str, fault: str) -> Factory:
    """The factory of a subject.

    Args:
        agent: "module:factory".
        fault: of the bundled core, which it then is; or "".

    Raises:
        SubjectError, UnknownFaultError: if there is none of that name.
    """
    return fault_named(fault).parts.make if fault else load_factory(agent)


def serve(
    agent: str, fault: Annotated[str, tyro.conf.arg(help="planted in the bundled core")] = ""
) -> None:
    """Answers each line {"check": code, "seed": n} with a line: the finding."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    prepare_device("cpu")
    try:
        factory = chosen_factory(agent, fault)
    except (SubjectError, UnknownFaultError) as error:
        answers.write(json.dumps({"error": str(error)}) + "\n")
        return
    answers.write(json.dumps({"ready": True}) + "\n")
    for line in sys.stdin:
        asked = json.loads(line)
        finding = judge(check_named(asked["check"]), factory, asked["seed"])
        answers.write(finding.model_dump_json() + "\n")


if __name__ == "__main__":
    tyro.cli(serve)
