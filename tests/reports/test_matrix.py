"""The picture of faults x checks."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from reports.__main__ import matrix
from reports.matrix import draw_matrix
from reports.schema import Dictionary, DictionaryRow, ExitCode

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"
CELL = 4


def row(fault: str, component: str, *red: str, ran: tuple[str, ...] = ()) -> DictionaryRow:
    return DictionaryRow(
        fault=fault, component=component, what=f"{fault} it is.", red=list(red),
        ran=list(ran or ("world.a", "world.b", "replay.b")), wall_s=1.0,
    )  # fmt: skip


def dictionary(*rows: DictionaryRow, checks: tuple[str, ...] = ()) -> Dictionary:
    codes = checks or ("world.a", "world.b", "replay.b", "frames.never-run")
    return Dictionary(
        schema_version=2, checks=dict.fromkeys(codes, 1), seed=0, rows=list(rows), detected=1.0,
        named=1.0, named_unseen=0.5, wall_s=2.0,
    )  # fmt: skip


STORED = dictionary(
    row("mask-lost", "TD target", "world.a"),
    row("shifted", "replay", "world.a", "replay.b"),
    row("summed", "TD target", "world.b", ran=("world.b", "replay.b")),
)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


def rows(svg: str) -> dict[str, ET.Element]:
    """The groups that have a title, by the fault it begins with."""
    groups = ET.fromstring(svg).findall(f"{SVG}g")
    return {(group.findtext(f"{SVG}title") or "").split(" ")[0]: group for group in groups}


def cells(group: ET.Element, kind: str) -> set[int]:
    """Left edges of the cells that a row's strokes of one kind cover."""
    (path,) = (path for path in group.iter(f"{SVG}path") if path.get("class") == kind)
    strokes = re.findall(r"M(\d+) 0h(\d+)", path.get("d") or "")
    return {int(x) + at for x, length in strokes for at in range(0, int(length), CELL)}


def height(group: ET.Element) -> float:
    (found,) = re.findall(r"translate\(0 ([\d.]+)\)", group.get("transform") or "")
    return float(found)


def test_names_of_families_and_components_are_written_and_those_of_faults_are_titles():
    svg = draw_matrix(STORED)
    assert [text for text in texts(svg) if text in {"world", "replay", "frames", "TD target"}] == [
        "world", "replay", "TD target", "replay",
    ]  # fmt: skip
    title = rows(svg)["shifted"].findtext(f"{SVG}title")
    assert title == "shifted (replay): shifted it is. Red: world.a, replay.b"
    assert draw_matrix(STORED) == svg


def test_a_fault_is_a_line_and_those_of_a_component_stand_together():
    svg = draw_matrix(STORED)
    lines = svg.splitlines()
    for fault in ("mask-lost", "shifted", "summed"):
        assert sum(f"<title>{fault} " in line and line.endswith("</g>") for line in lines) == 1
    heights = {fault: height(group) for fault, group in rows(svg).items()}
    assert heights["mask-lost"] < heights["summed"] < heights["shifted"]


def test_cells_are_those_of_the_dictionary():
    found = rows(draw_matrix(STORED))
    first, second, third = sorted(cells(found["mask-lost"], "ran"))
    assert second - first == CELL
    assert third - second > CELL  # another family
    assert cells(found["mask-lost"], "red") == {first}
    assert cells(found["shifted"], "red") == {first, third}
    assert cells(found["summed"], "ran") == {second, third}
    assert cells(found["summed"], "red") == {second}


def test_the_background_is_stated_and_holds_everything():
    drawing = ET.fromstring(draw_matrix(STORED))
    background = drawing.find(f"{SVG}rect")
    assert background is not None
    assert background.get("fill") == "#ffffff"
    for side in ("width", "height"):
        assert background.get(side) == drawing.get(side)
    last = max(height(group) for group in drawing.findall(f"{SVG}g"))
    assert last < int(drawing.get("height", "0"))


def test_names_of_small_families_do_not_overlap():
    codes = tuple(f"family{number}.check" for number in range(6))
    components = [row(f"fault{number}", f"component{number}", *codes[:1], ran=codes)
                  for number in range(6)]  # fmt: skip
    svg = draw_matrix(dictionary(*components, checks=codes))
    columns = [float(x) for x in re.findall(r"translate\(([\d.]+) [\d.]+\) rotate", svg)]
    levels = [float(y) for y in re.findall(r'<text x="\d+" y="([\d.]+)" text-anchor', svg)]
    for places in (columns, levels):
        assert len(places) == 6
        assert all(after - before >= 16 for before, after in pairwise(places))


@pytest.mark.parametrize("name", ["</title><script>", "a&b", "bell\x07", "\u202e"])
def test_names_are_only_ever_text(name):
    group, *others = rows(draw_matrix(dictionary(row(name, name, "world.a")))).values()
    assert not others
    assert [child.tag for child in group] == [f"{SVG}title", f"{SVG}path", f"{SVG}path"]
    assert name.replace("\x07", "\ufffd").replace("\u202e", "\ufffd") in (group[0].text or "")


def test_the_picture_is_drawn_from_the_stored_dictionary(tmp_path, capsys):
    stored, drawing = tmp_path / "dictionary.json", tmp_path / "docs" / "faults.svg"
    stored.write_text(STORED.model_dump_json())
    assert matrix(stored, drawing) is ExitCode.OK
    assert drawing.read_text() == draw_matrix(STORED) + "\n"
    stored.write_text('{"rows": 3}')
    assert matrix(stored, drawing) is ExitCode.INFRA
    assert "rows" in capsys.readouterr().err


def test_the_shipped_picture_is_of_the_shipped_dictionary():
    text = (ROOT / "probes/diagnosis/dictionary.json").read_text("utf-8")
    shipped = Dictionary.model_validate_json(text)
    svg = (ROOT / "docs/faults.svg").read_text("utf-8")
    assert svg == draw_matrix(shipped) + "\n", (
        "docs/faults.svg is out of date\n  next      python -m reports matrix"
    )
    found = rows(svg)
    assert set(found) == {entry.fault for entry in shipped.rows}
    for entry in shipped.rows:
        assert len(cells(found[entry.fault], "red")) == len(entry.red)
        assert len(cells(found[entry.fault], "ran")) == len(entry.ran)
    assert int(ET.fromstring(svg).get("width", "0")) <= 830  # what a README shows without scaling
