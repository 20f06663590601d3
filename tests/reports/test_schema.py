"""Stored values by the names of their fields."""

from __future__ import annotations

from reports.schema import Fingerprint


def test_a_fingerprint_reads_its_flat_form_by_the_names_of_the_fields():
    flat = {"cpu": "x86", "behaviour: sum 7": "1f", "switch MKL_CBWR": "not set"}
    told = {"recipe digest": "ab", "python": "3.11", "bits": "0"}
    read = Fingerprint.model_validate(flat | told)
    assert read.bits == flat
    assert read.distribution == {"recipe digest": "ab"}
    assert read.informative == {"python": "3.11", "bits": "0"}
    assert Fingerprint.model_validate_json(read.model_dump_json(), strict=True) == read
    assert read.flat() == flat | told
    assert Fingerprint.model_validate({}) == Fingerprint()
