"""A recording's arrays as the bytes of an .npz file, without pickle."""

from __future__ import annotations

import io
from typing import Any

import numpy as np


def packed(recorder: Any) -> bytes:
    """All arrays of a `Recorder`.

    Returns:
        resets [K, 4] and steps [T, 8] float64, shown [N, 2], see `Recorder`; call [C, 7] int64:
        moment, network, rows, moment of its gradient or 0, whether a gradient was wanted, actions,
        and whether the network was in training mode; call_rows [R] numbers of rows, call_values
        and call_gradients [., A], of each call in order; the rows; first_input_k, what reached the
        first layer of some calls for their first row; weights_at [W, 2]: moment and
        network, and the entries of each network, weights_n [., E].
    """
    calls: list[Any] = recorder.calls
    width = max([call.values.shape[1] for call in calls] or [1])

    def joined(parts: list[np.ndarray]) -> np.ndarray:
        padded = [
            np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=np.nan)
            for part in parts
        ]
        return np.concatenate([np.zeros((0, width), np.float32), *padded])

    found: dict[str, np.ndarray] = {
        "resets": np.array(recorder.resets, np.float64).reshape(-1, 4),
        "steps": np.array(recorder.steps, np.float64).reshape(-1, 8),
        "shown": np.array(recorder.shown, np.int64).reshape(-1, 2),
        "call": np.array([call.facts() for call in calls], np.int64).reshape(-1, 7),
        "call_rows": np.concatenate([np.zeros(0, np.int32), *(call.rows for call in calls)]),
        "call_values": joined([call.values for call in calls]),
        "call_gradients": joined([call.gradient for call in calls if call.gradient is not None]),
        "weights_at": np.array([entry[:2] for entry in recorder.weights], np.int64).reshape(-1, 2),
    }
    if recorder.rows is not None:
        found.update(recorder.rows.arrays())
    for number, given in enumerate(recorder.first_inputs):
        found[f"first_input_{number}"] = given
    for network in range(len(recorder.networks)):
        seen = [entries for _, number, entries in recorder.weights if number == network]
        if seen:
            found[f"weights_{network}"] = np.stack(seen)
    file = io.BytesIO()
    np.savez_compressed(file, **found)  # type: ignore[arg-type]
    return file.getvalue()
