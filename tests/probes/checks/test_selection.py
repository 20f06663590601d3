"""Which codes an expression means."""

from __future__ import annotations

import pytest

from probes.checks.selection import SelectionError, matcher

CODES = ("td.masks-ends", "td.double-is-double", "replay.frames-are-those-shown", "world.flicker")


@pytest.mark.parametrize(
    ("expression", "meant"),
    [
        ("td", [0, 1]),
        ("td.*", [0, 1]),
        ("not td", [2, 3]),
        ("td and not double", [0]),
        ("world or td and double", [1, 3]),
        ("(world or td) and double", [1]),
        ("not (td or world)", [2]),
        ("not not world", [3]),
        ("world.flicker", [3]),
        ("?d.*", [0, 1]),
    ],
)
def test_expressions_mean_codes(expression, meant):
    means = matcher(expression)
    assert [index for index, code in enumerate(CODES) if means(code)] == meant


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("td and", "a pattern\n  actual    the end"),
        ("and td", "a pattern\n  actual    and"),
        ("not", "a pattern\n  actual    the end"),
        ("(td", "a closing parenthesis\n  actual    the end"),
        ("td)", "and, or, or the end\n  actual    )"),
        ("td world", "and, or, or the end\n  actual    world"),
        ("()", "a pattern\n  actual    )"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_place(expression, expected):
    with pytest.raises(SelectionError) as refused:
        matcher(expression)
    assert f"expected  {expected}" in str(refused.value)
