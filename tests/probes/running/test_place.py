"""Where an exception is said to come from."""

from __future__ import annotations

import numpy as np

from probes.running.place import error_text, place_of
from probes.subjects import core


def caught(function) -> Exception:
    try:
        function()
    except Exception as error:  # noqa: BLE001  # whatever it is
        return error
    raise AssertionError


def test_the_last_call_of_the_owner_is_named_whatever_it_called():
    error = caught(lambda: np.random.default_rng(0).integers(-1))
    assert place_of(error).endswith("in <lambda>")
    assert "test_place.py:" in place_of(error)
    assert error_text(error).startswith("ValueError: ")


def test_where_no_call_is_the_owners_the_innermost_one_is_named():
    error = caught(lambda: core.core_recipe(None, 1, "", ""))  # type: ignore[arg-type]
    error = error.with_traceback(error.__traceback__.tb_next.tb_next)
    assert "core.py:" in place_of(error)
    assert error_text(ValueError()) == "ValueError"
