"""Which settings a script has, by its source, and which of them keep it from being seen.

A script that learns after 10,000 steps, or copies its target network every 1,000 updates, shows
nothing of it in 600. It is given smaller ones in the copy: by its own arguments where it has them,
by its constants otherwise. Discounts and the like are left alone: they are read off.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from probes.scripts.constants import places_in
from probes.scripts.observed import Script
from probes.scripts.project import configurations_of, modules_of, project_of

WARMUP: Final = re.compile(
    r"learn\w*_?starts?|start_?learn|warm_?up|replay_?start|min_?(re)?(play|mem|buf)|prefill"
    r"|init\w*_?(mem|replay|buf|exp)|random_?steps|(observe|explore)_?steps|start_?(train|update)"
    r"|steps_before_(learn|train|update)",
    re.IGNORECASE,
)
SYNC: Final = re.compile(
    r"(target|sync|replace|hard)\w*(freq|update|period|interval|every|iter|steps?|rate|cn?t|target)"
    r"|update_?target|copy_?(freq|every|period)|^(replace|sync)$|q_network_iteration",
    re.IGNORECASE,
)
MEMORY: Final = re.compile(
    r"(buffer|mem\w*|replay|rb)_?(size|cap\w*|len\w*)?$|capacity|maxlen", re.IGNORECASE
)
LENGTH: Final = re.compile(
    r"(num|n|total|max|train\w*)_?(episodes?|epochs?|games|(time)?_?steps|frames)$"
    r"|^(episodes?|epochs?|games|total_?steps|time_?steps)$",
    re.IGNORECASE,
)
SEED: Final = re.compile(r"^(random_?|manual_?)?seed$", re.IGNORECASE)
# Steps, whatever the script counts syncs in, and rows.
FEW: Final = {"warmup": 200, "sync": 25, "memory": 20_000}
# From which on a setting hides what it does: batches are taken for warm-ups otherwise.
MANY: Final = {"warmup": 301, "sync": 51, "memory": 50_000}
NAMES: Final = {"warmup": WARMUP, "sync": SYNC, "memory": MEMORY, "length": LENGTH}
BATCH: Final = re.compile(r"batch", re.IGNORECASE)
LONG: Final = 1_000_000  # steps or episodes that no run comes to the end of
LARGE_BATCH: Final = 1_025
OTHER_SEED: Final = 20_262
PARSERS_OF_FIELDS: Final = frozenset({"tyro", "simple_parsing", "transformers", "jsonargparse"})


class Setting(NamedTuple):
    """A setting with a whole number for a value.

    Attributes:
        name: of the constant, or of the argument without its dashes.
        value: its default.
        argument: as it stands on the command line; "" for a constant.
        place: file and line.
    """

    name: str
    value: int
    argument: str
    place: str


def settings_of(script: Script) -> list[Setting]:
    """The whole numbers that a script's source names, arguments first."""
    found: list[Setting] = []
    whole = script.path.resolve()
    folder = project_of(whole)[0]
    for path in [*modules_of(whole, folder), *configurations_of(folder)]:
        where = path.relative_to(whole.parent) if path.is_relative_to(whole.parent) else path.name
        try:
            places = places_in(path)
            tree = ast.parse(whole.read_bytes()) if path == whole else ast.Module([], [])
        except (SyntaxError, ValueError):
            continue
        for name, value, argument, line in _arguments(tree):
            found.append(Setting(name, value, argument, f"{where}:{line}"))
        for place in places:
            number = _whole(place.text)
            if number is not None and place.name != "default":
                found.append(Setting(place.name, number, "", f"{where}:{place.line}"))
    return sorted(found, key=lambda one: not one.argument)


def shortened(script: Script, kinds: Sequence[str]) -> tuple[Script, list[str]]:
    """The script with smaller values where they hide what it does.

    Args:
        script: as its owner runs it.
        kinds: "warmup", "sync" or "memory".

    Returns:
        The script, and what was set, in words; the same script and nothing if there is nothing.
    """
    told: list[str] = []
    settings = settings_of(script)
    batches = [one.value for one in settings if BATCH.search(one.name)]
    # A batch that is drawn without putting back needs a few more.
    batch = max([one for one in batches if one < LARGE_BATCH], default=0)
    fewest = {**FEW, "warmup": max(FEW["warmup"], batch + 1)}
    for kind in kinds:
        chosen: set[str] = set()
        for one in settings:
            key = one.name.replace("-", "_").lower()
            large = one.value >= MANY[kind] and one.value > fewest[kind]
            if not NAMES[kind].search(key) or not large or key in chosen:
                continue
            if one.name in script.constants or _given(script, one.argument):
                continue
            chosen.add(key)
            script = _with(script, one, fewest[kind])
            told.append(
                f"{one.argument or one.name} {fewest[kind]} (is {one.value:,}, {one.place})"
            )
    return script, told


def lengthened(script: Script) -> Script:
    """The script with more steps or episodes than it is stopped after, where they have a name."""
    for one in settings_of(script):
        key = one.name.replace("-", "_").lower()
        given = one.name in script.constants or _given(script, one.argument)
        if NAMES["length"].search(key) and 1 < one.value < LONG and not given:
            script = _with(script, one, LONG)
    return script


def seeded_otherwise(script: Script) -> Script | None:
    """The script with another seed; None if it names none."""
    for place, word in enumerate(script.arguments):
        if word == "--seed" and place + 1 < len(script.arguments):
            own = list(script.arguments)
            own[place + 1] = str(OTHER_SEED)
            return replace(script, arguments=tuple(own))
    words = script.path.read_text("utf-8", errors="surrogateescape")
    if re.search(r"""["']--seed["']""", words):  # whatever its default is
        return replace(script, arguments=(*script.arguments, "--seed", str(OTHER_SEED)))
    for one in settings_of(script):
        if SEED.match(one.name):
            return _with(script, one, OTHER_SEED)
    return None


def _with(script: Script, one: Setting, value: int) -> Script:
    if one.argument:
        return replace(script, arguments=(*script.arguments, one.argument, str(value)))
    return replace(script, constants={**script.constants, one.name: str(value)})


def _given(script: Script, argument: str) -> bool:
    return bool(argument) and any(
        word == argument or word.startswith(f"{argument}=") for word in script.arguments
    )


def _arguments(tree: ast.Module) -> Iterator[tuple[str, int, str, int]]:
    """Name, default, flag and line of the arguments that a script's own source declares."""
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
        )
    }
    for node in ast.walk(tree):
        # argparse's add_argument, click's and typer's options.
        if isinstance(node, ast.Call):
            flags = [
                word.value
                for word in node.args
                if isinstance(word, ast.Constant) and str(word.value).startswith("--")
            ]
            default = next((one.value for one in node.keywords if one.arg == "default"), None)
            value = _whole(default)
            if flags and value is not None:
                yield str(flags[0])[2:], value, str(flags[0]), node.lineno
        if isinstance(node, ast.ClassDef) and imported & PARSERS_OF_FIELDS:
            for field in node.body:
                match field:
                    case ast.AnnAssign(target=ast.Name(id=name), value=given):
                        value = _whole(given)
                        if value is not None:
                            yield name, value, f"--{name.replace('_', '-')}", field.lineno


def _whole(value: Any) -> int | None:
    """A literal as a whole number: 10_000, 1e4, int(1e4), 10**4 or 50 * 1000."""
    try:
        node = ast.parse(value, mode="eval").body if isinstance(value, str) else value
    except SyntaxError:  # a word of YAML
        return None
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            found: float | None = number
        case ast.Call(func=ast.Name(id="int" | "float"), args=[only]):
            found = _whole(only)
        case ast.BinOp(left=left, op=ast.Mult() | ast.Pow() as op, right=right):
            one, other = _whole(left), _whole(right)
            if one is None or other is None or abs(other) > 10**9 or abs(one) > 10**9:
                return None
            if isinstance(op, ast.Pow):
                found = one**other if 0 <= other <= 12 else None
            else:
                found = one * other
        case _:
            found = None
    return int(found) if found is not None and found == int(found) else None
