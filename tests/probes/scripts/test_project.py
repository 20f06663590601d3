"""What a script belongs to is copied, and started where its owner starts it."""

from __future__ import annotations

import subprocess

import pytest

from probes.scripts import project
from probes.scripts.project import copy_of, modules_of, project_of


@pytest.fixture
def mine(tmp_path):
    """A project with a script in a folder of it."""
    for name, text in {
        "pyproject.toml": "", "config/config.yaml": "seed: 1\n", "src/deep/train.py": "",
        "src/deep/.venv/lib.py": "", "notes.txt": "12345",
    }.items():  # fmt: skip
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_text(text)
    return tmp_path / "mine"


@pytest.mark.parametrize(
    ("here", "inside"), [("", ""), ("src", "src"), ("config", "src/deep"), ("..", "src/deep")]
)
def test_it_is_started_where_its_owner_is_or_beside_itself(mine, monkeypatch, here, inside):
    monkeypatch.chdir(mine / here)
    root, found = project_of(mine / "src" / "deep" / "train.py")
    assert root == mine
    assert str(found) == (inside or ".")


def test_a_script_without_a_project_is_a_folder_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "train.py").touch()
    monkeypatch.chdir(tmp_path)
    assert project_of(tmp_path / "train.py")[0] == tmp_path


def test_what_is_made_again_is_not_copied_and_what_is_large_is_linked(mine, tmp_path, monkeypatch):
    monkeypatch.setattr(project, "MOST_BYTES", 10)
    linked = copy_of(mine, tmp_path / "copy")
    assert linked in (["notes.txt"], ["config/config.yaml"])
    assert (tmp_path / "copy" / linked[0]).is_symlink()
    assert (tmp_path / "copy" / "src" / "deep" / "train.py").is_file()
    assert not (tmp_path / "copy" / "src" / "deep" / ".venv").exists()


def test_what_git_ignores_is_not_copied(mine, tmp_path):
    (mine / ".gitignore").write_text("notes.txt\n")
    subprocess.run(["git", "init", "-q", str(mine)], check=True)
    assert copy_of(mine, tmp_path / "copy") == []
    assert (tmp_path / "copy" / "config" / "config.yaml").is_file()
    assert not (tmp_path / "copy" / "notes.txt").exists()


def test_modules_are_those_that_are_imported(mine):
    script = mine / "src" / "deep" / "train.py"
    for name, text in {
        "src/deep/train.py": "import numpy\nfrom agents.dqn import Agent\nimport helper as h\n",
        "src/agents/__init__.py": "from . import nothing\n", "src/agents/dqn.py": "import net\n",
        "src/agents/net.py": "not python", "src/deep/helper.py": "", "src/deep/other.py": "",
    }.items():  # fmt: skip
        (mine / name).parent.mkdir(exist_ok=True)
        (mine / name).write_text(text)
    found = [path.relative_to(mine / "src").as_posix() for path in modules_of(script, mine)]
    assert found[0] == "deep/train.py"
    assert sorted(found[1:]) == ["agents/dqn.py", "agents/net.py", "deep/helper.py"]
