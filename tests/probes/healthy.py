"""`python -m tests.probes.healthy`: healthy libraries, each in an environment of its own, probed.

Environments are made once, below `runs/subjects`, with this checkout and the library in them. A red
check that the adapter does not document, or an error, is a failure; so is a documented one that
has started to pass.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import venv
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "runs" / "subjects"
# Of each subject: its factory, and the library that needs an environment of its own.
SUBJECTS = {
    "core": ("probes.subjects.core:make", ""),
    "example": ("examples.dqn:make", ""),
    "stable-baselines3": ("probes.subjects.stable_baselines3:make", ""),
    "pfrl": ("probes.subjects.pfrl:make", "pfrl"),
    "torchrl": ("probes.subjects.torchrl:make", "torchrl"),
}


def python_of(library: str) -> Path:
    """The interpreter of an environment with a library and this checkout; made if there is none."""
    if not library:
        return Path(sys.executable)
    folder = FOLDER / library
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        print(f"making {folder.relative_to(ROOT)}", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "-c", "constraints.txt"]
        subprocess.run([*install, "-e", ".", library], cwd=ROOT, check=True)
        (folder / "ready").touch()
    return python


def probed(name: str, seed: int) -> tuple[Counter[str], list[str], float]:
    """Counts of a subject's findings by status, what is no good of them, and the seconds taken."""
    agent, library = SUBJECTS[name]
    words = ["-m", "dqn_harness", "probes", "--agent", agent, "--seed", str(seed), "--json"]
    ran = subprocess.run(
        [str(python_of(library)), *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    try:
        report = json.loads(ran.stdout)
    except json.JSONDecodeError:
        return Counter(error=1), [ran.stderr[-500:]], 0.0
    bad = [
        f"{found['status']}: {found['check']}: {found['actual']}"
        for found in report["findings"]
        if found["status"] in {"red", "error", "inconclusive"}
    ]
    return Counter(found["status"] for found in report["findings"]), bad, report["wall_s"]


def main() -> int:
    """Probes the subjects that are asked for; 1 if any has a red check or an error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="how many, from 0 on")
    parser.add_argument("subjects", nargs="*", default=list(SUBJECTS))
    asked = parser.parse_args()
    failed = False
    for name in asked.subjects:
        for seed in range(asked.seeds):
            counts, bad, wall_s = probed(name, seed)
            words = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
            print(f"{name:18} seed {seed}  {wall_s:5.1f} s  {words}", flush=True)
            for line in bad:
                print(f"    {line}", flush=True)
            failed |= bool(counts["red"] or counts["error"])
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
