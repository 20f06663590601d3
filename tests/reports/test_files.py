"""A file is replaced whole, or not at all."""

import os

import pytest

from reports.files import write_text_atomically


def test_text_arrives_unchanged(tmp_path):
    write_text_atomically(tmp_path / "page", "é\r\n\n")
    assert (tmp_path / "page").read_bytes() == "é\r\n\n".encode()


def test_old_file_is_replaced_and_nothing_else_stays(tmp_path):
    (tmp_path / "page").write_text("old")
    write_text_atomically(tmp_path / "page", "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("page", "new")]


def test_failing_disk_leaves_the_old_file_alone(tmp_path, monkeypatch):
    def fail(_descriptor):
        raise OSError("disk full")

    (tmp_path / "page").write_text("old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_text_atomically(tmp_path / "page", "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("page", "old")]


def test_text_that_cannot_be_encoded_leaves_the_old_file_alone(tmp_path):
    (tmp_path / "page").write_text("old")
    with pytest.raises(UnicodeEncodeError, match="surrogates"):
        write_text_atomically(tmp_path / "page", "new \ud800")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("page", "old")]


def test_content_is_on_disk_before_the_name_moves(tmp_path, monkeypatch):
    """Otherwise a power cut could leave an empty file under the final name."""
    seen = []
    fsync = os.fsync

    def watch(descriptor):
        seen.append((tmp_path / "page").exists())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    write_text_atomically(tmp_path / "page", "new")
    assert seen == [False, True]  # the file, then the folder that names it
