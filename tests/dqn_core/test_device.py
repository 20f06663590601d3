"""Devices: what is there is prepared, what is not is refused."""

from __future__ import annotations

import os

import pytest
import torch

from dqn_core.device import DeviceError, prepare_device


def test_a_device_that_is_not_there_is_never_replaced_by_another():
    count = torch.cuda.device_count()
    with pytest.raises(DeviceError, match=rf"cuda:{count} is not available") as refused:
        prepare_device(f"cuda:{count}")
    if not torch.backends.cuda.is_built():
        assert "reason    Torch not compiled with CUDA enabled" in str(refused.value)


def test_preparing_a_device_fixes_threads_and_kernels():
    assert prepare_device("cpu") == torch.device("cpu")
    assert torch.tensor(1e-39) * 0.5 == 0  # a denormal number, flushed
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()


def test_only_a_recipe_that_declares_it_is_multiplied_in_tf32():
    flags = []
    for precision in ("tf32", "bf16", "float32"):
        prepare_device("cpu", precision)
        flags.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))
    assert flags == [(True, True), (False, False), (False, False)]


def test_a_gpu_gets_the_workspace_that_makes_products_repeatable(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(os, "environ", dict(os.environ))  # what is set here is forgotten
    prepare_device("cuda")
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":16:8"
    prepare_device("cuda")
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"  # the user's choice stays
