"""What a script belongs to: the folder that is copied, where it is started, and its own modules."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOTS: Final = (".git", "pyproject.toml", "setup.py", "requirements.txt", "environment.yml")
MOST_BYTES: Final = 200_000_000  # that are copied; what is larger is linked
MOST_CONFIGURATIONS: Final = 50
LEFT_OUT: Final = frozenset(
    {".git", ".venv", "venv", "__pycache__", "runs", "wandb", "node_modules"}
)


def project_of(script: Path) -> tuple[Path, Path]:
    """The folder that a script belongs to, and where in it it is started.

    It is started where this command is, as `python path/to/script.py` would be, if that is a folder
    of its project and above it; else beside itself.
    """
    here = Path.cwd()
    marked = [folder for folder in script.parents if any((folder / one).exists() for one in ROOTS)]
    project = marked[0] if marked else script.parent
    if here in script.parents and project in (here, *here.parents):
        return project, here.relative_to(project)
    return project, script.parent.relative_to(project)


def copy_of(project: Path, copy: Path) -> list[str]:
    """Copies a folder: what git tracks or does not ignore, or all that is not made again.

    Returns:
        What was linked and not copied, as it would be too much.
    """
    used, linked = 0, []
    for name in _files(project):
        original = project / name
        if not original.is_file():  # a pipe or a broken link is left out
            continue
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        size = original.stat().st_size
        if used + size > MOST_BYTES:
            (copy / name).symlink_to(original)
            linked.append(str(name))
            continue
        used += size
        shutil.copy2(original, copy / name)
    return linked


def _files(project: Path) -> list[Path]:
    if (project / ".git").exists() and shutil.which("git"):
        listed = subprocess.run(
            ["git", "-C", str(project), "ls-files", "-coz", "--exclude-standard"],
            capture_output=True, check=False,
        )  # fmt: skip
        if listed.returncode == 0:
            return [Path(os.fsdecode(name)) for name in listed.stdout.split(b"\0") if name]
    found: list[Path] = []
    for path, folders, files in os.walk(project):
        folders[:] = sorted(set(folders) - LEFT_OUT)
        found += [Path(path).relative_to(project) / name for name in sorted(files)]
    return found


def modules_of(script: Path, project: Path) -> list[Path]:
    """The script, and the files of its project that it imports, however deep, as far as they say.

    Args:
        script: in the project or its copy.
        project: where modules are looked for beside the script: there, in its `src`, and in the
            folders between.
    """
    places = [script.parent, *(one for one in script.parents if one.is_relative_to(project))]
    places += [project / "src"]
    found, waiting = [], [script]
    while waiting:
        path = waiting.pop(0)
        if path in found:
            continue
        found.append(path)
        waiting += _imported(path, [path.parent, *places])
    return found


def configurations_of(project: Path) -> list[Path]:
    """The YAML files of a project, up to fifty of them."""
    found = [project / name for name in _files(project) if name.suffix in {".yaml", ".yml"}]
    return [path for path in found if not any(part.startswith(".") for part in path.parts[-2:])][
        :MOST_CONFIGURATIONS
    ]


def _imported(path: Path, places: list[Path]) -> Iterator[Path]:
    try:
        tree = ast.parse(path.read_text("utf-8", errors="surrogateescape"))
    except SyntaxError:
        return
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names += [module, *(f"{module}.{alias.name}".strip(".") for alias in node.names)]
    for name in dict.fromkeys(filter(None, names)):
        for place in dict.fromkeys(places):
            stem = place.joinpath(*name.split("."))
            chosen = next((one for one in (stem.with_suffix(".py"), stem / "__init__.py")
                           if one.is_file()), None)  # fmt: skip
            if chosen is not None:
                yield chosen
                break
