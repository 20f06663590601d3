"""Draws which planted fault turns which check red, as SVG text with one line for each fault."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

from reports.schema import Dictionary, DictionaryRow
from reports.text import one_line

# Pixels. With these, 133 checks in 16 families are 791 wide: what a page shows without scaling.
_LEFT: Final = 190  # of the cells: names of components
_TOP: Final = 134  # of the cells: title, legend, names of families
_RIGHT: Final = 24  # the last family's slanted name
_CELL: Final = 4
_ROW: Final = 7
_GAP: Final = 3  # between families, and between components
_NAME_APART: Final = 18  # of slanted and of level names, or they overlap

_BACKGROUND: Final = "#ffffff"  # stated, or dark text stands on a dark page
_GREEN: Final = "#d3e2d8"
_RED: Final = "#c0392b"
_STYLE: Final = (
    "text{font:12px system-ui,'Segoe UI','Noto Sans',Helvetica,Arial,sans-serif;fill:#1f2328}"
    f".ran{{stroke:{_GREEN};stroke-width:{_ROW - 1}}}.red{{stroke:{_RED};stroke-width:{_ROW - 1}}}"
    ".lead{stroke:#8a9099;fill:none}"
)


def draw_matrix(dictionary: Dictionary) -> str:
    """Faults x checks: red where a fault turns a check red, blank where it was not run.

    Faults stand together by component, checks by family, the first word of their codes; both in
    the order of the dictionary, without checks that were run on no fault. The title of a row, seen
    where a viewer points at it, names the fault and its reds.

    Returns:
        An `<svg>` element that is the same whenever it is drawn again.
    """
    codes = [code for code in dictionary.checks if any(code in row.ran for row in dictionary.rows)]
    columns = _places(_grouped({code: code.split(".")[0] for code in codes}), _LEFT, _CELL)
    rows = {row.fault: row for row in dictionary.rows}
    lines = _places(_grouped({row.fault: row.component for row in rows.values()}), _TOP, _ROW)
    right = max(columns.values(), default=_LEFT) + _CELL
    bottom = max(lines.values(), default=_TOP) + _ROW
    width, height = right + _RIGHT, bottom + 10
    title = f"{len(rows)} planted faults, {len(columns)} checks: which fault turns which check red"
    svg = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{title}">',
        f"<style>{_STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="{_BACKGROUND}"/>',
        f'<text x="10" y="22" style="font-size:14px;font-weight:600">{title}</text>',
        *_legend(),
        *_family_names(columns),
        *_component_names({fault: rows[fault].component for fault in lines}, lines),
        *(_row(rows[fault], top, columns) for fault, top in lines.items()),
        # Cells of a row are drawn as one stroke for each run of them; this parts them.
        f'<path stroke="{_BACKGROUND}" pointer-events="none" d="'
        + "".join(f"M{x + _CELL - 0.5} {_TOP}V{bottom}" for x in columns.values())
        + '"/>',
        "</svg>",
    ]
    return "\n".join(svg)


def _grouped(groups: Mapping[str, str]) -> dict[str, list[str]]:
    """Names by their group, both in the order in which they come first."""
    members: dict[str, list[str]] = {}
    for name, group in groups.items():
        members.setdefault(group, []).append(name)
    return members


def _places(members: Mapping[str, Sequence[str]], first: int, size: int) -> dict[str, int]:
    """Where each name begins, in pixels, with a gap between groups."""
    places: dict[str, int] = {}
    position = first
    for names in members.values():
        for name in names:
            places[name] = position
            position += size
        position += _GAP
    return places


def _row(row: DictionaryRow, top: int, columns: Mapping[str, int]) -> str:
    """One line: the fault in words, then its cells."""
    words = f"{row.fault} ({row.component}): {row.what} Red: {', '.join(row.red) or 'none'}"
    strokes = "".join(
        f'<path class="{kind}" d="{_strokes(codes, columns)}"/>'
        for kind, codes in (("ran", row.ran), ("red", row.red))
    )
    move = f'transform="translate(0 {top + (_ROW - 1) / 2:g})"'
    return f"<g {move}><title>{escape(one_line(words, limit=4000))}</title>{strokes}</g>"


def _strokes(codes: Sequence[str], columns: Mapping[str, int]) -> str:
    """A stroke for each run of neighbouring cells, at height zero."""
    strokes: list[list[int]] = []
    for x in sorted(columns[code] for code in codes):
        if strokes and sum(strokes[-1]) == x:
            strokes[-1][1] += _CELL
        else:
            strokes.append([x, _CELL])
    return "".join(f"M{x} 0h{length}" for x, length in strokes)


def _family_names(columns: Mapping[str, int]) -> Iterator[str]:
    """Slanted names above the cells, each led to the middle of its family."""
    families = _grouped({code: code.split(".")[0] for code in columns})
    middles = [(columns[codes[0]] + columns[codes[-1]] + _CELL) / 2 for codes in families.values()]
    for family, middle, x in zip(families, middles, _apart(middles), strict=True):
        yield f'<path class="lead" d="M{x:g} {_TOP - 12}L{middle:g} {_TOP - 3}"/>'
        yield (
            f'<text transform="translate({x + 3:g} {_TOP - 15}) rotate(-45)">'
            f"{escape(one_line(family, limit=14))}</text>"
        )


def _component_names(components: Mapping[str, str], lines: Mapping[str, int]) -> Iterator[str]:
    """Names at the left of the cells, each led to the middle of its faults."""
    members = _grouped(components)
    middles = [(lines[faults[0]] + lines[faults[-1]] + _ROW) / 2 for faults in members.values()]
    for (component, faults), middle, y in zip(
        members.items(), middles, _apart(middles), strict=True
    ):
        top, bottom = lines[faults[0]], lines[faults[-1]] + _ROW - 1
        yield (
            f'<path class="lead" d="M{_LEFT - 12} {y:g}L{_LEFT - 8} {middle:g}'
            f'M{_LEFT - 4} {top}h-4V{bottom}h4"/>'
        )
        yield (
            f'<text x="{_LEFT - 16}" y="{y + 4:g}" text-anchor="end">'
            f"{escape(one_line(component, limit=26))}</text>"
        )


def _apart(middles: Sequence[float]) -> Iterator[float]:
    """Moves rising positions up so far that names there do not overlap."""
    last = float("-inf")
    for middle in middles:
        last = max(middle, last + _NAME_APART)
        yield last


def _legend() -> Iterator[str]:
    x = 10
    for fill, words in ((_RED, "red"), (_GREEN, "green"), (_BACKGROUND, "not run, or skipped")):
        yield (
            f'<rect x="{x}" y="35.5" width="11" height="11" fill="{fill}" stroke="#8a9099"/>'
            f'<text x="{x + 17}" y="45">{words}</text>'
        )
        x += 65
