"""What can this machine promise, and why not more?

Prints the fingerprint of a process that trains here, the level it can claim by itself and with each
stored reference, what lowers it, and whether two tiny trainings have equal bits. Or compares two
recorded fingerprints, without training anything.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Final

import tyro
from pydantic import ValidationError

from dqn_core.device import prepare_device
from dqn_core.recipes.file import load_recipe
from dqn_core.recipes.schema import Recipe
from regression.console import say
from regression.job.job import GAMES, UsageError
from regression.machine.device_classes import DeviceClass, device_class
from regression.machine.fingerprint import fingerprint
from regression.machine.levels import Claim, claim, describe_claim
from regression.machine.selftest import Observation, observe_in
from regression.store.references import UnusableReferenceError, load_reference
from reports.fields import BEHAVIOUR
from reports.schema import ExitCode, Fingerprint

# Where a folder of the harness keeps its fingerprint, the file that says most of it first.
FILES: Final = ("verdict.json", "unit.json", "job.json", "bundle.json", "reference.json")
LARGEST_FILE: Final = 64 * 2**20  # bytes; no file of the harness is larger


def doctor(
    one: tyro.conf.Positional[str] = "",
    other: tyro.conf.Positional[str] = "",
    device: str = "cpu",
    *,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> ExitCode:
    """Says what this machine can promise of bits, and what is in the way of more.

    Args:
        one: a run, unit, reference or fingerprint file to compare, without training.
        other: what it is compared with; this machine, if not given.
        device: cpu, cuda, cuda:<index>, or a pinned class: cpu-avx2, cpu-sse4.
        as_json: print one JSON object instead of text.
    """
    place = device_class(device)
    if one:
        ours = read_fingerprint(one)
        theirs = read_fingerprint(other) if other else _here(place)
        return _show_two(ours, theirs, as_json=as_json)
    prepare_device(place.device)  # refuses a device that is not there before anything is trained
    return _show_here(place, observe_in(place, 2), as_json=as_json)


def read_fingerprint(name: str) -> Fingerprint:
    """The fingerprint recorded in a run, a unit, a reference, or a file of one.

    Args:
        name: of a folder that holds one of `FILES`, or of a JSON file: with a field "fingerprint",
            or a fingerprint itself.

    Raises:
        UsageError: if there is nothing to read, or it is no fingerprint.
    """
    path = Path(name)
    if path.is_dir():
        path = next((path / file for file in FILES if (path / file).is_file()), path / FILES[0])
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"it is larger than {LARGEST_FILE} bytes")
        stored: Any = json.loads(path.read_bytes())
        found = stored.get("fingerprint", stored) if isinstance(stored, dict) else stored
        read = Fingerprint.model_validate(found, strict=True)
    except (OSError, ValueError, RecursionError) as error:
        reason = "it holds no fingerprint" if isinstance(error, ValidationError) else error
        raise UsageError(
            f"no fingerprint in {name}\n"
            f"  expected  a folder with one of {', '.join(FILES)}, or a file of doctor --json\n"
            f"  actual    {path}: {reason}"
        ) from error
    if not read.flat():
        raise UsageError(f"no fingerprint in {name}\n  actual    {path}: it has no fields")
    return read


def warnings_of(facts: Fingerprint) -> list[str]:
    """What lowers the level of a process, and what would raise it, by its recorded fields."""
    bits = facts.bits
    found = []
    if bits.get("threads") != "1 per run":
        found.append(f"threads: {bits.get('threads', 'unknown')}; set OMP_NUM_THREADS=1")
    if bits.get("deterministic algorithms") != "on":
        found.append("deterministic algorithms are off: some kernels may not repeat themselves")
    if bits.get("float32 matmul precision") != "highest":
        found.append("float32 products may be rounded to fewer bits; set the precision to highest")
    if bits.get("flush denormals") != "on":
        found.append("denormal numbers are not flushed: training is slower, and its bits differ")
    if bits.get("tf32", "off") != "off" or bits.get("cudnn autotune", "off") != "off":
        found.append("TF32 or cuDNN's autotuning is on: kernels are chosen anew in each process")
    if bits.get("device") == "cuda" and bits.get("switch CUBLAS_WORKSPACE_CONFIG") == "not set":
        found.append("CUBLAS_WORKSPACE_CONFIG is not set; set it to :4096:8")
    for name in ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR"):
        if bits.get("device") == "cpu" and bits.get(f"switch {name}") == "not set":
            found.append(f"{name} is not set: bits hold for this class of processor only (level 2)")
    return found


def with_references(facts: Fingerprint) -> dict[str, str]:
    """What a process can claim with each stored reference, by recipe, in a sentence."""
    claims = {}
    for name in sorted({recipe for game in GAMES.values() for recipe in game[:2]}):
        recipe = load_recipe(name)
        try:
            info, _ = load_reference(recipe)
        except UnusableReferenceError as error:
            claims[name] = str(error).splitlines()[0]
        else:
            claims[name] = describe_claim(
                claim(_for(recipe, facts), info.fingerprint), "with the reference"
            )
    return claims


def _for(recipe: Recipe, facts: Fingerprint) -> Fingerprint:
    """The same process, running that recipe; what it would run is asked here and now."""
    would_run = Fingerprint.model_validate(fingerprint("cpu", recipe)).distribution
    return facts.model_copy(update={"distribution": would_run})


def _here(place: DeviceClass) -> Fingerprint:
    return Fingerprint.model_validate(observe_in(place, 1)[0].fingerprint)


def _show_two(ours: Fingerprint, theirs: Fingerprint, *, as_json: bool) -> ExitCode:
    claimed = claim(ours, theirs)
    differing = {
        name: [ours.flat().get(name), theirs.flat().get(name)]
        for name in sorted(ours.flat().keys() | theirs.flat().keys())
        if ours.flat().get(name) != theirs.flat().get(name)
    }
    if as_json:
        say(_json({"level": claimed.level, "prevented_by": claimed.prevented_by,
                    "differing": differing}))  # fmt: skip
        return ExitCode.OK
    lines = [f"  {name}: {here or 'absent'} | {there or 'absent'}"
             for name, (here, there) in differing.items()]  # fmt: skip
    say(
        "\n".join(
            [describe_claim(claimed, "of the two"), *_listed(claimed), "Differing fields:", *lines]
        )
    )
    return ExitCode.OK


def _show_here(place: DeviceClass, made: list[Observation], *, as_json: bool) -> ExitCode:
    facts, again = (Fingerprint.model_validate(one.fingerprint) for one in made)
    claimed = claim(facts, again)
    repeats = made[0].digests == made[1].digests
    code = ExitCode.OK if repeats else ExitCode.FAIL
    references, warnings = with_references(facts), warnings_of(facts)
    if as_json:
        answer = {"device": place.name, "fingerprint": facts.model_dump(), "level": claimed.level}
        answer |= {"prevented_by": claimed.prevented_by, "references": references}
        answer |= {"warnings": warnings, "repeats": repeats, "digests": [o.digests for o in made]}
        answer |= {"load": _load()}
        say(_json(answer))
        return code
    for title, fields in facts:
        say(f"{title}")
        shown = [f"  {name}: {value}" for name, value in fields.items()]
        hashes = sum(name.startswith(BEHAVIOUR) for name in fields)
        shown = [line for line in shown if not line.startswith(f"  {BEHAVIOUR}")]
        say("\n".join([*shown, *([f"  behaviour: {hashes} hashes (--json)"] if hashes else [])]))
    say(f"  load: {_load()}\n\n{describe_claim(claimed, 'by itself')}")
    say("\n".join([*(f"{name}: {text}" for name, text in references.items()), *warnings]))
    steps = len(made[0].digests)
    parted = next((n for n, pair in enumerate(zip(*(o.digests for o in made), strict=False), 1)
                   if pair[0] != pair[1]), 0)  # fmt: skip
    outcome = "equal bits" if repeats else f"bits part at window {parted} of {steps}"
    say(f"Self-test, two trainings of {steps} windows on {place.name}: {outcome}")
    return code


def _listed(claimed: Claim) -> list[str]:
    return [f"  in the way of level {claimed.level + 1}: {name}" for name in claimed.prevented_by]


def _load() -> str:
    """Mean number of busy processes over the last minute, and cores; no part of a fingerprint."""
    return f"{os.getloadavg()[0]:.1f} of {os.cpu_count()} cores"


def _json(answer: dict[str, Any]) -> str:
    return json.dumps(answer, indent=1, sort_keys=True)
