"""The outermost calls of networks, with their rows, values and gradients, and their weights.

Methods are wrapped as a class of the owner's is made, which also sees `self.forward(x)` and
networks whose values come from a method of another name.
"""

from __future__ import annotations

import functools
import threading
from types import FunctionType, ModuleType
from typing import Any, Callable

import numpy as np

from .recorder import Recorder
from .rows import Rows

ENTRIES = 12  # of each tensor, evenly spaced: enough to tell how weights move
FIRST_INPUTS = 24  # that are kept


class Call:
    """A call of a network.

    Attributes:
        rows: numbers [B] of what it was given.
        values: [B, A] float32, what it returned.
        gradient: [B, A] float32 that came back to it, if any did.
    """

    def __init__(self, moment: int, network: int, rows: Any, values: Any, *, wanted: bool) -> None:
        self.moment = moment
        self.network = network
        self.rows = rows
        self.values = values
        self.wanted = wanted
        self.training = False
        self.gradient: Any | None = None
        self.gradient_at = 0

    def facts(self) -> tuple[int, ...]:
        """Its numbers, for the recording."""
        return (
            self.moment, self.network, len(self.rows), self.gradient_at, int(self.wanted),
            self.values.shape[1], int(self.training),
        )  # fmt: skip


class Networks:
    """The networks that have been called so far.

    Attributes:
        seen: modules, by their number.
    """

    def __init__(self, torch: ModuleType, recorder: Recorder) -> None:
        self.seen: list[Any] = recorder.seen
        self._numbers: dict[int, int] = {}
        self._entries: dict[int, Any] = {}
        self._torch = torch
        self._recorder = recorder
        recorder.rows = Rows()

    def look(self, only: int | None = None) -> None:
        """Notes the weights of each network, or of one, that have changed since the last look."""
        for number, module in enumerate(self.seen):
            if only not in (None, number):
                continue
            parts = [self._some_of(parameter) for parameter in module.parameters()]
            entries = np.concatenate(parts)
            before = self._entries.get(number)
            if before is None or not np.array_equal(before, entries):
                self._entries[number] = entries
                self._recorder.weights.append((self._recorder.moment(), number, entries))

    def fits(self, given: Any, values: Any) -> bool:
        """Whether these could be observations and their Q-values."""
        tensors = self._torch.is_tensor(given) and self._torch.is_tensor(values)
        if not tensors or not values.is_floating_point() or values.dim() not in (1, 2):
            return False
        counts = {made["actions"] for made in self._recorder.environments}
        of_rows = values.dim() == 1 or (given.dim() >= 1 and len(given) == len(values))
        return bool(values.shape) and values.shape[-1] in counts and of_rows

    def called(self, module: Any, given: Any, values: Any) -> None:
        """Records a call."""
        if self._recorder.over or not self._is_plain(given):
            return
        if values.dim() == 1:
            given, values = given[None], values[None]
        number = self._number(module)
        if number is None:
            return
        # Acting asks one network again and again; others are looked at when there is a batch.
        self.look(number if len(given) == 1 else None)
        call = Call(
            self._recorder.moment(),
            number,
            self._recorder.rows.numbers(_numpy(given)),
            _numpy(values.float()).copy(),
            wanted=bool(values.requires_grad),
        )
        call.training = bool(module.training)
        self._recorder.calls.append(call)

    def watch_gradient(self, values: Any) -> None:
        """Notes the gradient that comes back to the call recorded last."""
        if self._recorder.over or not self._recorder.calls or not values.requires_grad:
            return
        call, recorder = self._recorder.calls[-1], self._recorder

        def came(gradient: Any) -> None:
            found = gradient[None] if gradient.dim() == 1 else gradient
            whole = _numpy(found.float())
            call.gradient = whole.copy() if call.gradient is None else call.gradient + whole
            call.gradient_at = recorder.moment()

        values.register_hook(came)

    def _number(self, module: Any) -> int | None:
        if id(module) not in self._numbers:
            if not any(True for _ in module.parameters()):
                return None
            self._numbers[id(module)] = len(self.seen)
            self.seen.append(module)  # and kept, so that its id stays its own
            self._recorder.networks.append(type(module).__name__)
        return self._numbers[id(module)]

    def _some_of(self, parameter: Any) -> Any:
        flat = parameter.detach().reshape(-1)
        return _numpy(flat[:: max(1, flat.numel() // ENTRIES)].float())

    def _is_plain(self, given: Any) -> bool:
        """Whether this is a call with numbers, and not one of a compiler or a transformation."""
        try:
            functorch = self._torch._C._functorch.is_functorch_wrapped_tensor(given)  # noqa: SLF001
            return not (functorch or self._torch.compiler.is_compiling())
        except AttributeError:  # of an older torch
            return True


def _numpy(tensor: Any) -> Any:
    return tensor.detach().cpu().numpy()


def watch_networks(torch: ModuleType, recorder: Recorder) -> Networks:
    """Has every network that is made or called from now on watched."""
    recorder.versions["torch"] = str(torch.__version__)
    networks = Networks(torch, recorder)
    local = threading.local()
    wrapped = functools.partial(_watched, torch.nn.Module, networks, recorder, local)
    module_class = torch.nn.Module
    made = module_class.__init_subclass__

    def init_subclass(cls: Any, **kwargs: Any) -> None:
        made(**kwargs)
        for name, own in list(vars(cls).items()):
            if isinstance(own, FunctionType) and (name == "forward" or not name.startswith("__")):
                setattr(cls, name, wrapped(own))

    module_class.__init_subclass__ = classmethod(init_subclass)  # type: ignore[arg-type]
    torch.nn.Sequential.forward = wrapped(torch.nn.Sequential.forward)
    _watch_first_layers(torch, recorder, local)
    return networks


def _watch_first_layers(torch: ModuleType, recorder: Recorder, local: Any) -> None:
    """Has kept what reaches the first layer: scaling and order as they are inside a network."""
    modules = torch.nn.modules
    layers = modules.Linear, modules.conv._ConvNd  # noqa: SLF001  # all convolutions

    def before(layer: Any, given: Any) -> None:
        waits = local.__dict__.get("first", False)
        if waits and isinstance(layer, layers) and given and torch.is_tensor(given[0]):
            local.first = False
            if not recorder.over and given[0].dim() > 1 and len(given[0]):
                recorder.first_inputs.append(_numpy(given[0][0].float()).copy())
            if len(recorder.first_inputs) >= FIRST_INPUTS:
                handle.remove()

    handle = modules.module.register_module_forward_pre_hook(before)


def _watched(
    module_class: Any, networks: Networks, recorder: Recorder, local: Any, own: Callable[..., Any]
) -> Callable[..., Any]:
    """A method whose outermost calls with rows and values are recorded.

    Of nested calls the outermost that returns values counts; one that returns something else, such
    as an action, passes those within it on.
    """

    @functools.wraps(own)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        stack = local.__dict__.setdefault("stack", [])
        inner: list[Any] = []
        local.first = local.first if stack else True
        stack.append(inner)
        try:
            values = own(self, *args, **kwargs)
        finally:
            stack.pop()
        given = args[0] if args else next(iter(kwargs.values()), None)
        whole = isinstance(self, module_class) and networks.fits(given, values)
        found = [(self, given, values)] if whole else inner
        if stack:
            stack[-1].extend(found)
            return values
        for entry in found:
            try:
                networks.called(*entry)
                networks.watch_gradient(entry[2])
            except Exception as error:  # noqa: BLE001  # never in the owner's way
                recorder.note(f"a call was not recorded: {error}")
        return values

    return method
