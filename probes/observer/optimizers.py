"""Steps of optimizers: whose weights they move, with which settings and gradients."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from .networks import Networks
from .recorder import Recorder

PLAIN = (bool, int, float, tuple, list, str)


def watch_optimizers(torch: ModuleType, recorder: Recorder, networks: Networks) -> None:
    """Has every step of every optimizer recorded."""
    kinds = importlib.import_module(torch.__name__ + ".optim.optimizer")

    def stepped(optimizer: Any, *_: Any) -> None:
        if recorder.over:
            return
        try:
            recorder.optimizer_steps.append(_facts(optimizer, recorder, networks))
            networks.look()
        except Exception as error:  # noqa: BLE001  # never in the owner's way
            recorder.note(f"a step of an optimizer was not recorded: {error}")
        recorder.count_update()

    if hasattr(kinds, "register_optimizer_step_post_hook"):
        kinds.register_optimizer_step_post_hook(stepped)
        return
    made = kinds.Optimizer.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        own = self.step

        def step(*given: Any, **named: Any) -> Any:
            result = own(*given, **named)
            stepped(self)
            return result

        self.step = step

    kinds.Optimizer.__init__ = init


def _facts(optimizer: Any, recorder: Recorder, networks: Networks) -> dict[str, Any]:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    held = set(map(id, parameters))
    squares, largest = 0.0, 0.0
    for parameter in parameters:
        if parameter.grad is not None:
            gradient = parameter.grad.detach()
            squares += float(gradient.norm()) ** 2
            largest = max(largest, float(gradient.abs().max()))
    return {
        "moment": recorder.moment(),
        "optimizer": id(optimizer),
        "kind": type(optimizer).__name__,
        "holds": [
            number
            for number, module in enumerate(networks.seen)
            if any(id(parameter) in held for parameter in module.parameters())
        ],
        "gradient_norm": squares**0.5,
        "gradient_largest": largest,
        "settings": {
            name: value
            for name, value in optimizer.param_groups[0].items()
            if name != "params" and isinstance(value, PLAIN)
        },
        "tensors": len(parameters),
    }
