"""Rules of the house that no linter states: sizes, banned words and calls, docstrings, paths.

Each rule maps a text, as a rule that of a file, to its violations, and is proven by a small bad
example.
"""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("dqn_core", "dqn_harness", "probes", "regression", "reports")
MAX_MODULE_LINES = 400  # cohesion decides where a module ends; this many are several ideas
MAX_FUNCTION_LINES = 60
BANNED_MODULES = {"pickle", "cloudpickle", "marshal", "random"}
BANNED_FUNCTIONS = {
    *("eval", "exec", "os.system", "torch.load", "yaml.load"),
    *("torch.manual_seed", "numpy.random.seed"),
}
BANNED_ARGUMENTS = {("allow_pickle", True)}
MACHINE_PATH = re.compile(r"(?<![\w.~)}\]])/(?:work|tmp|home|root)\b")

Rule = Callable[[str], list[str]]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def module_is_short(source: str) -> list[str]:
    lines = len(source.splitlines())
    return [f"module: {lines} lines"] if lines > MAX_MODULE_LINES else []


def functions_are_short(source: str) -> list[str]:
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, Function)]
    sizes = [(node.name, node.end_lineno - node.lineno + 1) for node in functions]
    return [f"{name}: {size} lines" for name, size in sizes if size > MAX_FUNCTION_LINES]


def nothing_is_called_done(source: str) -> list[str]:
    return [
        f"line {node.lineno}: say terminated or truncated"
        for node in ast.walk(ast.parse(source))
        if "done" in {getattr(node, field, None) for field in ("id", "arg", "attr", "name")}
    ]


def nothing_executes_data_or_seeds_globals(source: str) -> list[str]:
    tree = ast.parse(source)
    meaning = dict(_imported_names(tree))
    imports = [
        f"import {target}" for target in meaning.values() if target.split(".")[0] in BANNED_MODULES
    ]
    uses = [
        f"line {node.lineno}: {target}"
        for node in ast.walk(tree)
        if (target := _full_name(node, meaning)) in BANNED_FUNCTIONS
    ]
    arguments = [
        f"line {node.value.lineno}: {node.arg}={node.value.value}"
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword)
        and isinstance(node.value, ast.Constant)
        and (node.arg, node.value.value) in BANNED_ARGUMENTS
    ]
    return imports + uses + arguments


def private_names_stay_at_home(source: str) -> list[str]:
    """A module that needs another one's private names is half of it."""
    return [
        f"line {node.lineno}: {alias.name} of {node.module}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
        if alias.name.startswith("_") and not alias.name.startswith("__")
    ]


def _imported_names(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each imported name with what it stands for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.split(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (root, root)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                origin = "." * node.level + (node.module or "")
                yield alias.asname or alias.name, f"{origin}.{alias.name}"


def _full_name(node: ast.AST, meaning: dict[str, str]) -> str:
    """`np.random.seed` as `numpy.random.seed`; empty where an expression owns the attribute."""
    if isinstance(node, ast.Name):
        return meaning.get(node.id, node.id)
    if isinstance(node, ast.Attribute) and (owner := _full_name(node.value, meaning)):
        return f"{owner}.{node.attr}"
    return ""


def public_names_have_docstrings(source: str) -> list[str]:
    def undocumented(node: ast.Module | ast.ClassDef, name: str) -> Iterator[str]:
        if not ast.get_docstring(node):
            yield f"{name}: no docstring"
        for child in node.body:
            if not isinstance(child, ast.ClassDef | Function) or child.name.startswith("_"):
                continue
            if isinstance(child, ast.ClassDef):
                yield from undocumented(child, child.name)
            # What overrides a method is described where that is.
            elif not ast.get_docstring(child) and not getattr(node, "bases", []):
                yield f"{child.name}: no docstring"

    return list(undocumented(ast.parse(source), "module"))


def init_only_names_the_public_api(source: str) -> list[str]:
    def is_allowed(node: ast.stmt) -> bool:
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant(value=str())):
                return True
            case ast.Assign(targets=[ast.Name(id="__all__")]):
                return True
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):  # names that are looked up when used
                return True
        return False

    body = ast.parse(source).body
    return [f"line {node.lineno}: {ast.unparse(node)}" for node in body if not is_allowed(node)]


def no_path_of_one_machine(source: str) -> list[str]:
    lines = enumerate(source.splitlines(), start=1)
    return [f"line {number}: {line}" for number, line in lines if MACHINE_PATH.search(line)]


def module_name_says_what_it_holds(path: str) -> list[str]:
    return [f"{path}: name the idea"] if "utils" in Path(path).with_suffix("").parts else []


def every_room_has_tests(listing: str) -> list[str]:
    """Of a list of files, a line each: a folder with modules has its folder of tests."""
    paths = [Path(line) for line in listing.splitlines()]
    rooms = {
        path.parent
        for path in paths
        if path.parts[0] in PACKAGES and path.suffix == ".py" and path.name != "__init__.py"
    }
    tested = {path.parent for path in paths if path.match("test_*.py")}
    missing = sorted(room for room in rooms if "tests" / room not in tested)
    return [f"{room}: no tests/{room}/test_*.py" for room in missing]


MODULE_RULES = [
    module_is_short,
    functions_are_short,
    nothing_is_called_done,
    nothing_executes_data_or_seeds_globals,
    private_names_stay_at_home,
    public_names_have_docstrings,
]

BAD = [
    (module_is_short, "x = 1\n" * (MAX_MODULE_LINES + 1)),
    (functions_are_short, "def f():\n" + "    x = 1\n" * MAX_FUNCTION_LINES),
    (functions_are_short, "class C:\n  async def f(self):\n" + "    x = 1\n" * MAX_FUNCTION_LINES),
    (nothing_is_called_done, "done = True"),
    (nothing_is_called_done, "def f(done): ..."),
    (nothing_is_called_done, "f(done=True)"),
    (nothing_is_called_done, "x = batch.done"),
    (nothing_executes_data_or_seeds_globals, "import pickle"),
    (nothing_executes_data_or_seeds_globals, "import random as r"),
    (nothing_executes_data_or_seeds_globals, "from random import choice"),
    (nothing_executes_data_or_seeds_globals, "eval('1')"),
    (nothing_executes_data_or_seeds_globals, "import torch\ntorch.load('x')"),
    (nothing_executes_data_or_seeds_globals, "from torch import load as read\nread('x')"),
    (nothing_executes_data_or_seeds_globals, "import torch as t\nt.manual_seed(0)"),
    (nothing_executes_data_or_seeds_globals, "import numpy as np\nnp.random.seed(0)"),
    (nothing_executes_data_or_seeds_globals, "from numpy import random as r\nr.seed(0)"),
    (nothing_executes_data_or_seeds_globals, "import os\nos.system('x')"),
    (nothing_executes_data_or_seeds_globals, "import marshal"),
    (nothing_executes_data_or_seeds_globals, "import yaml as y\ny.load(f)"),
    (nothing_executes_data_or_seeds_globals, "import numpy as np\nnp.load(f, allow_pickle=True)"),
    (private_names_stay_at_home, "from probes.subject import _of_file"),
    (public_names_have_docstrings, "x = 1"),
    (public_names_have_docstrings, '"""M."""\ndef f(): ...'),
    (public_names_have_docstrings, '"""M."""\nclass C: ...'),
    (public_names_have_docstrings, '"""M."""\nclass C:\n  """C."""\n  def f(self): ...'),
    (init_only_names_the_public_api, "def f(): ..."),
    (init_only_names_the_public_api, "VERSION = 1"),
    (no_path_of_one_machine, f"open('/{'home'}/ann/run')"),
    (no_path_of_one_machine, f"cd /{'tmp'}"),
    (module_name_says_what_it_holds, "probes/utils.py"),
    (module_name_says_what_it_holds, "probes/utils/frames.py"),
    (every_room_has_tests, "probes/worlds/world.py\ntests/probes/test_world.py"),
    (every_room_has_tests, "probes/worlds/world.py\ntests/probes/worlds/made_worlds.py"),
    (every_room_has_tests, "probes/subject.py\ntests/probes/worlds/test_world.py"),
]

# Close to the bad examples, and right.
GOOD_INIT = '''"""Named for its idea; a word like done is free in prose."""
import numpy as np
import torch
from probes import worlds as random_worlds

__all__ = ["Agent"]
'''
GOOD_MODULE = (
    GOOD_INIT
    + '''
class Agent:
    """Has a rng of its own."""

    def __init__(self, net):
        self.rng = np.random.default_rng(0)
        self.net = net.eval()
        self.generator = torch.Generator().manual_seed(0)
        self.arrays = np.load("x.npz", allow_pickle=False)

    def _act(self, terminated):
        return terminated


class Other(Agent):
    """Acts in another way."""

    def act(self, terminated):
        return not terminated
'''
)


@pytest.mark.parametrize(("rule", "text"), BAD)
def test_each_rule_sees_its_bad_example(rule: Rule, text: str) -> None:
    assert rule(text) != []


@pytest.mark.parametrize("rule", [*MODULE_RULES, no_path_of_one_machine])
def test_rules_leave_good_code_alone(rule: Rule) -> None:
    assert rule(GOOD_MODULE) == []


def test_rules_leave_good_names_paths_and_init_files_alone() -> None:
    assert init_only_names_the_public_api(GOOD_INIT) == []
    assert module_name_says_what_it_holds("probes/worlds/world.py") == []
    assert no_path_of_one_machine("runs/work ../tmp $(X)/root https://a.org/home /homes") == []
    listing = "probes/worlds/world.py\nprobes/__init__.py\ntests/probes/worlds/test_env.py\nREADME"
    assert every_room_has_tests(listing) == []


@pytest.fixture(scope="module")
def files() -> list[str]:
    """Every file that git tracks or would track."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listing.stdout.split("\0") if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def modules(files: list[str]) -> list[str]:
    found = [name for name in files if name.endswith(".py") and name.split("/")[0] in PACKAGES]
    assert {name.split("/")[0] for name in found} == set(PACKAGES)
    return found


# Modules that break a rule on purpose, and how.
EXCEPTIONS = {
    # Looks at their states, and gives them back.
    "probes/checks/support/global_generators.py: import random",
    "probes/faults/seeding.py: torch.manual_seed",  # the fault is to call it
}


def _violations(rule: Rule, names: list[str]) -> list[str]:
    found = [f"{name}: {told}" for name in names for told in rule((ROOT / name).read_text("utf-8"))]
    return [told for told in found if re.sub(r"line \d+: ", "", told) not in EXCEPTIONS]


@pytest.mark.parametrize("rule", MODULE_RULES)
def test_every_module_obeys(rule: Rule, modules: list[str]) -> None:
    assert _violations(rule, modules) == []


def test_init_files_only_name_the_public_api(modules: list[str]) -> None:
    inits = [name for name in modules if name.endswith("__init__.py")]
    assert _violations(init_only_names_the_public_api, inits) == []


def test_module_names_say_what_they_hold(modules: list[str]) -> None:
    assert [found for name in modules for found in module_name_says_what_it_holds(name)] == []


def test_tests_mirror_the_rooms(files: list[str]) -> None:
    assert every_room_has_tests("\n".join(files)) == []


def test_no_file_holds_a_path_of_one_machine(files: list[str]) -> None:
    texts = [name for name in files if b"\0" not in (ROOT / name).read_bytes()]
    assert _violations(no_path_of_one_machine, texts) == []


LEAKS = """
import random, numpy, torch, pytest

@pytest.fixture
def shuffled():
    random.random()

def test_python(): random.seed(0)
def test_numpy(): numpy.random.random()
def test_torch(): torch.rand(1)
def test_fixture(shuffled): ...
def test_own_generators():
    numpy.random.default_rng(0).random()
    torch.rand(1, generator=torch.Generator().manual_seed(0))
    assert torch.get_num_threads() == 1
"""


def test_conftest_fails_whatever_moves_global_random_state(tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests/conftest.py", tmp_path)
    (tmp_path / "test_leaks.py").write_text(LEAKS)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "--rootdir=."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    outcomes = re.findall(r"^(PASSED|FAILED|ERROR) \S+::(\w+)", run.stdout, flags=re.MULTILINE)
    assert set(outcomes) == {
        ("FAILED", "test_python"),
        ("FAILED", "test_numpy"),
        ("FAILED", "test_torch"),
        ("ERROR", "test_fixture"),
        ("PASSED", "test_own_generators"),
    }
