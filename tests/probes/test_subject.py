"""How a subject is named."""

from __future__ import annotations

import pytest

from probes.subject import SubjectError, load_factory


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_colon", "expected module:factory"),
        ("a:b:c", "expected module:factory"),
        ("not a module:f", "expected module:factory"),
        ("tests.nowhere:make", "cannot import 'tests.nowhere'"),
        ("tests.probes.bad_subjects:os", "has no function 'os'"),
    ],
)
def test_names_that_name_no_subject(name, message):
    with pytest.raises(SubjectError, match=message):
        load_factory(name)
