"""The digest of the source: blind to what explains, not to anything that computes."""

import ast
import subprocess
import sys
import textwrap
import zipfile
from dataclasses import fields
from importlib import resources
from pathlib import Path

import pytest

from probes.subjects.core import Parts
from regression.machine.source_digest import (
    ENTRANCES,
    PACKAGE,
    digest_of,
    executed_modules,
    source_digest,
)

FILES = {
    "__init__.py": "",
    "train.py": '''
        """Trains."""
        from made.envs.make import make
        from .td import target

        def train(steps=1, *, rate: float = 0.5):
            """Trains for some steps.

            Args:
                steps: of the agent.
            """
            first = make() - rate  # a comment
            second = first * 2
            return target(first, second + steps)
    ''',
    "td.py": "def target(a, b):\n    return a + b\n",
    "envs/__init__.py": '"""Environments."""\n',
    "envs/make.py": "def make():\n    from made.envs import atari\n\n    return atari.FRAMES\n",
    "envs/atari.py": "FRAMES = 4\n",
    "video.py": "import made.train\n",
}
LIKE_BEFORE = {
    "a comment": ("  # a comment", "  # another one\n\n"),
    "a docstring": ("for some steps.", "for as many steps as it is told to."),
    "a docstring of a module": ('"""Trains."""', ""),
    "a string that explains": ("return target", '"""Explains."""\n    return target'),
    "layout": ("target(first, second + steps)", "(\n target(\n first,\n second + (steps),\n )\n)"),
    "a number's spelling": ("rate: float = 0.5", "rate: float = 5e-1"),
    "a statement that does nothing": ("return target", "pass\n    return target"),
}
UNLIKE_BEFORE = {
    "a constant": ("train.py", "first * 2", "first * 3"),
    "a constant's type": ("train.py", "first * 2", "first * 2.0"),
    "a truth value for a number": ("train.py", "steps=1", "steps=True"),
    "a text for a number": ("train.py", "steps=1", "steps='1'"),
    "an operator": ("train.py", "first * 2", "first / 2"),
    "operands": ("td.py", "a + b", "b + a"),
    "a default": ("train.py", "rate: float = 0.5", "rate: float = 0.25"),
    "no default": ("train.py", "rate: float = 0.5", "rate: float"),
    "an annotation": ("train.py", "rate: float", "rate: int"),
    "a decorator": ("td.py", "def target", "@cache\ndef target"),
    "a name": ("td.py", "def target(a, b)", "def target(b, a)"),
    "nothing returned": ("td.py", "return a + b", "a + b"),
    "a package within": ("envs/__init__.py", '"""Environments."""', "import warnings"),
    "a module of a package within": ("envs/make.py", "atari.FRAMES", "-atari.FRAMES"),
    "a module imported by a function": ("envs/atari.py", "FRAMES = 4", "FRAMES = 5"),
}
# One of each kind of statement and expression that Python 3.11 has. Versions after it write the
# trees of formatted strings, of type parameters and of empty fields in ways of their own.
SYNTAX = r'''
from __future__ import annotations
import a.b as c, d
from . import e
from .f import g as h
@deco(1, *x, **y)
class C(Base, metaclass=M):
    """Told."""
    x: int = 1
    def f(self, a, /, b: int = 1, *args: int, c=None, d, **kw) -> None:
        global q
        return lambda z, *w, k=2: (z, w)
    async def g(self):
        async with a as b, c: await d
        async for i in x: yield i
        return [j async for j in y if j]
if (n := 10) > 5 and not x or -y ** 2 // 3 <= 1 < 2 != 4: pass
elif x is not None and y not in z: ...
else: x[1:2, ::3, ...] = y[*a]
a = b = 1_000; a += 1.5e3; c = 1j; d = b"a\x00" b"b"; e = u"\u00e9\U0001fae8" 'x'; g = True
s = f"a{x}b" "c" f"{y!r:>{w}.{p}f}{{}}{z=}" f"" f"\N{BULLET}{x:%Y}" f"{x:>{w}}" f"{x:{w}}{y}" ""
t = f"" "x" f"{x:}{ {1: 2}[1] }{'a' 'b'!s:{'>'}10}" rf"\d{x}"
try: x
except (A, B) as e: raise X from e
except C: raise
else: y
finally: z
try: x
except* A: y
with a as b, c as (d, e): del a, b[1]
for i, (j, *k) in x:
    if i: continue
    break
else: y
while True: assert x, "m"
u = {1: 2, **e, None: 3}, {1, *x}, (1,), [*x], {a: b for a, b in c if d for e in f}, {i for i in x}
match x:
    case 1 | -1 | "s" | None | True: pass
    case [a, *_, {"k": v, **rest}] if z: pass
    case P(1, x=2) as q: pass
print(x if y else z, *a, k=1, **kw); x @ y; ~x; a.b.c = 1; (i for i in x)
'''
SYNTAX_DIGEST = "db2debe4cce9d0e8"


@pytest.fixture
def package(tmp_path):
    """A package of few lines; its video is no part of a training."""
    return written(tmp_path, FILES)


def written(folder, files):
    root = folder / "made"
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return root


def digest(package):
    return digest_of(executed_modules(package, ("made.train",)))


def edit(package, name, old, new):
    text = (package / name).read_text()
    assert text.count(old) == 1
    (package / name).write_text(text.replace(old, new))


def test_modules_are_those_that_imports_lead_to_wherever_they_stand(package):
    within = {"made", "made.train", "made.td", "made.envs", "made.envs.make", "made.envs.atari"}
    assert set(executed_modules(package, ("made.train",))) == within


@pytest.mark.parametrize("what", LIKE_BEFORE)
def test_what_explains_leaves_the_digest(package, what):
    before = digest(package)
    edit(package, "train.py", *LIKE_BEFORE[what])
    assert digest(package) == before


@pytest.mark.parametrize("what", UNLIKE_BEFORE)
def test_what_computes_changes_the_digest(package, what):
    before = digest(package)
    edit(package, *UNLIKE_BEFORE[what])
    assert digest(package) != before


def test_the_order_of_statements_changes_the_digest(tmp_path):
    one, other = ("a = b\nb = a\n", "b = a\na = b\n")
    first = written(tmp_path / "1", {"__init__.py": "", "train.py": one})
    assert digest(first) != digest(written(tmp_path / "2", {"__init__.py": "", "train.py": other}))


def test_a_moved_module_changes_the_digest_and_one_never_executed_does_not(package):
    before = digest(package)
    (package / "video.py").write_text("FRAMES = 60\n")
    assert digest(package) == before
    (package / "td.py").rename(package / "losses.py")
    edit(package, "train.py", "from .td", "from .losses")
    assert digest(package) != before


def test_an_entrance_that_is_missing_is_named(package):
    with pytest.raises(ModuleNotFoundError, match=r"there is no module made\.eval in .*made"):
        executed_modules(package, ("made.eval",))


def test_a_package_in_an_archive_has_the_digest_of_its_files(package, tmp_path):
    archive = tmp_path / "made.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in package.rglob("*.py"):
            file.write(path, path.relative_to(tmp_path))
    assert digest(zipfile.Path(archive, "made/")) == digest(package)


def test_every_version_of_python_finds_the_same_digest():
    assert digest_of({"syntax": ast.parse(SYNTAX)}) == SYNTAX_DIGEST


def test_the_digest_is_of_all_that_trains_and_of_nothing_beside():
    modules = executed_modules(resources.files(PACKAGE), ENTRANCES)
    assert source_digest() == digest_of(modules)
    assert {"dqn_core.envs.atari", "dqn_core.recipes.schema", "dqn_core.evaluation"} <= set(modules)
    beside = {"dqn_core.__main__", "dqn_core.progress", "dqn_core.video"}
    assert beside.isdisjoint(modules)


def test_a_unit_without_a_fault_computes_with_the_core_alone():
    modules = executed_modules(resources.files(PACKAGE), ENTRANCES)
    used = ("trainer", "agent", "replay", "actor")  # by `Parts.make_trainer`
    assert set(used) < {field.name for field in fields(Parts)}
    assert {getattr(Parts(), name).__module__ for name in used} <= set(modules)


CARTPOLE = """
from tests.dqn_core.small import small
from dqn_core.train import TrainingRun
list(TrainingRun(Trainer(small(), 0, torch.device("cpu")), Path(sys.argv[1])).windows())
"""
PONG = """
from dqn_core.recipes.file import load_recipe
next(Trainer(load_recipe("pong-short"), 0, torch.device("cpu")).blocks())
"""


@pytest.mark.parametrize("training", [CARTPOLE, pytest.param(PONG, marks=pytest.mark.atari)])
def test_a_training_executes_no_module_that_the_digest_leaves_out(training, tmp_path):
    code = f"""
import sys, torch
from pathlib import Path
from dqn_core.loop import Trainer
{training}
print(*(name for name in sys.modules if name.split(".")[0] == "dqn_core"))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "run"],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True,
    )  # fmt: skip
    executed = set(ran.stdout.split())
    assert "dqn_core.agent" in executed
    assert executed <= set(executed_modules(resources.files(PACKAGE), ENTRANCES))
    assert ("dqn_core.envs.atari" in executed) == (training == PONG)
