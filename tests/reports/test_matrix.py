"""The picture of faults x checks."""

from __future__ import annotations

from reports.__main__ import matrix
from reports.figures import draw_matrix
from reports.schema import Dictionary, DictionaryRow, ExitCode


def row(fault: str, component: str, *red: str) -> DictionaryRow:
    return DictionaryRow(
        fault=fault, component=component, what="", red=list(red),
        ran=["world.a", "replay.b"], wall_s=1.0,
    )  # fmt: skip


STORED = Dictionary(
    schema_version=1,
    checks={"world.a": 1, "replay.b": 1, "frames.never-run": 1},
    seed=0,
    rows=[row("mask-lost", "TD target", "world.a"), row("shifted", "replay", "replay.b")],
    detected=1.0,
    named=1.0,
    named_unseen=0.5,
    wall_s=2.0,
)


def test_the_picture_names_faults_checks_and_components_and_is_always_the_same():
    svg = draw_matrix(STORED)
    for text in ("mask-lost", "shifted", "world.a", "replay.b", "TD target"):
        assert text in svg
    assert "frames.never-run" not in svg
    assert draw_matrix(STORED) == svg


def test_the_picture_is_drawn_from_the_stored_dictionary(tmp_path, capsys):
    stored, drawing = tmp_path / "dictionary.json", tmp_path / "docs" / "faults.svg"
    stored.write_text(STORED.model_dump_json())
    assert matrix(stored, drawing) is ExitCode.OK
    assert drawing.read_text().startswith("<svg")
    stored.write_text('{"rows": 3}')
    assert matrix(stored, drawing) is ExitCode.INFRA
    assert "rows" in capsys.readouterr().err
