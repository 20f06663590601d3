"""Benchmarks say what they were measured on."""

from __future__ import annotations

from typing import Any

from regression.machine.fingerprint import fingerprint


def pytest_benchmark_update_machine_info(config: object, machine_info: dict[str, Any]) -> None:
    """Adds the fingerprint of this machine to what `--benchmark-json` writes."""
    del config
    machine_info["fingerprint"] = fingerprint("cpu")
