"""A file, folder or link is made whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dqn_core import files
from dqn_core.files import commit_folder, partial_path, replace_text, replacing


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_text_arrives_unchanged_and_nothing_else_stays(tmp_path):
    (tmp_path / "page").write_text("old")
    replace_text(tmp_path / "page", "é\r\n\n")
    assert (tmp_path / "page").read_bytes() == "é\r\n\n".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


def test_a_folder_arrives_whole_and_is_never_added_to(tmp_path):
    commit_folder({"a": b"1", "b": b"2"}, tmp_path / "made")
    assert contents(tmp_path) == {"made/a": "1", "made/b": "2"}
    with pytest.raises(OSError, match="not empty"):
        commit_folder({"c": b"3"}, tmp_path / "made")
    assert contents(tmp_path) == {"made/a": "1", "made/b": "2"}


def test_a_link_is_replaced_by_another(tmp_path):
    for target in ("one", "two"):
        (tmp_path / target).mkdir()
        with replacing(tmp_path / "latest") as partial:
            partial.symlink_to(target, target_is_directory=True)
        assert (tmp_path / "latest").readlink() == Path(target)
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two", "latest"}


@pytest.mark.parametrize("left", ["file", "folder", "dangling link"])
def test_what_a_killed_writer_left_aside_is_removed(tmp_path, left):
    partial = partial_path(tmp_path / "page")
    if left == "file":
        partial.write_text("half of")
    elif left == "folder":
        commit_folder({"half": b"of"}, partial)
    else:
        partial.symlink_to("nowhere")
    replace_text(tmp_path / "page", "new")
    assert contents(tmp_path) == {"page": "new"}
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


@pytest.mark.parametrize(
    "error", [OSError("disk full"), ValueError("no such"), KeyboardInterrupt()]
)
def test_a_broken_off_writer_leaves_the_old_and_nothing_aside(tmp_path, error):
    (tmp_path / "page").write_text("old")

    def fail(path: Path) -> None:
        with replacing(path) as partial:
            partial.mkdir()
            (partial / "half").write_text("new")
            raise error

    for name in ("page", "folder"):
        with pytest.raises(type(error)):
            fail(tmp_path / name)
    assert contents(tmp_path) == {"page": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


def test_text_that_cannot_be_encoded_leaves_the_old_file_alone(tmp_path):
    (tmp_path / "page").write_text("old")
    with pytest.raises(UnicodeEncodeError, match="surrogates"):
        replace_text(tmp_path / "page", "new \ud800")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("page", "old")]


def test_all_content_is_on_disk_before_the_name_moves_and_then_the_name(tmp_path, monkeypatch):
    """Otherwise a power cut could leave empty files under the final names."""
    seen: list[tuple[str, bool]] = []
    sync = files.sync

    def watch(path: Path) -> None:
        seen.append((path.relative_to(tmp_path).as_posix(), (tmp_path / "made").exists()))
        sync(path)

    monkeypatch.setattr(files, "sync", watch)
    with replacing(tmp_path / "made") as partial:
        (partial / "inner").mkdir(parents=True)
        (partial / "inner" / "file").write_text("new")
    assert seen == [
        (".made.partial/inner/file", False),
        (".made.partial/inner", False),
        (".made.partial", False),
        (".", True),
    ]


def test_a_disk_that_does_not_take_it_leaves_the_old_file(tmp_path, monkeypatch):
    def fail(_descriptor: int) -> None:
        raise OSError("disk full")

    (tmp_path / "page").write_text("old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        replace_text(tmp_path / "page", "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("page", "old")]


def test_replacing_a_file_fails_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.replace_text(path, "old")
    monkeypatch.setattr(files, "sync", lambda _: (_ for _ in ()).throw(OSError(5, "EIO")))
    with pytest.raises(OSError, match="EIO"):
        files.replace_text(path, "new")
    assert (path.read_text(), len(list(tmp_path.iterdir()))) == ("old", 1)
