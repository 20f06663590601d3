"""What one process of a script did, in order, kept in memory and written once, at the end."""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import sys
import threading
import time
import traceback
from typing import Any

FORMAT = 2
NOTES = 40  # that are kept


class Recorder:
    """Everything that is observed; each entry begins with its moment, a count that only rises.

    Attributes:
        plan: as it was given.
        environments: what the script asked for and got, in order.
        resets: (moment, environment, tag shown, seed given); -1 for none.
        steps: (moment, environment, tag before, tag after, state, action, reward, end), of a game
            each raw frame; an end is 0 for none, 1 for one of the task, 2 for a time limit, 3 for
            a lost life.
        shown: (environment, state) of each observation; its number is its tag.
        calls: of networks, see `networks.Call`.
        optimizer_steps: of optimizers, as dictionaries.
        weights: (moment, network, some entries of its parameters) whenever they have changed.
        networks: a name for each network that was called.
        versions: of the packages observed.
        notes: what could not be observed, and why.
        seen: these networks.
        rows: what was given to networks, each different row once.
        first_inputs: what reached the first layer of the first calls, for their first rows.
        altered: how many observations the script changed in place.
        place: file and line of the owner's code where an exception ended it; "" if none did.
        over: whether the script has come to its end, and nothing more is recorded.
    """

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.environments: list[dict[str, Any]] = []
        self.resets: list[tuple[int, int, int, int]] = []
        self.steps: list[tuple[Any, ...]] = []
        self.shown: list[tuple[int, int]] = []
        self.calls: list[Any] = []
        self.optimizer_steps: list[dict[str, Any]] = []
        self.weights: list[tuple[int, int, Any]] = []
        self.networks: list[str] = []
        self.versions: dict[str, str] = {"python": sys.version.split()[0]}
        self.notes: list[str] = []
        self.seen: list[Any] = []
        self.rows: Any = None
        self.first_inputs: list[Any] = []
        self.altered = 0
        self.place = ""
        self.over = False
        self._moment = 0
        self._taken = 0.0
        self._begun: float | None = None
        self._lock = threading.Lock()

    def moment(self) -> int:
        """The next moment."""
        self._moment += 1
        return self._moment

    def note(self, text: str) -> None:
        """Keeps what could not be observed, once."""
        if text not in self.notes and len(self.notes) < NOTES:
            self.notes.append(text)

    def note_reset(self, number: int, tag: int, seed: Any) -> None:
        """Keeps that an environment was reset, and with which seed, if with any."""
        given = seed if isinstance(seed, int) else -1
        self.resets.append((self.moment(), number, tag, given))

    def look_back(self, handed: Any, copied: Any) -> None:
        """Counts an observation that is no longer what it was when it was handed out."""
        if handed is not None and handed.tobytes() != copied:
            self.altered += 1

    def count_step(self, share: float = 1.0) -> None:
        """Counts a step of any environment, or a part of one; ends the script after enough."""
        if self._begun is None:
            self._begun = time.process_time()
        if self._taken >= self.plan["steps"]:
            self.finish("at the budget", leave=True)
        self._taken += share

    def count_update(self) -> None:
        """Ends the script where its optimizers have made enough steps."""
        if len(self.optimizer_steps) >= self.plan["updates"]:
            self.finish("after enough updates", leave=True)

    def go_aside(self) -> None:
        """Keeps a process that was forked from this one out of its recording."""
        self.plan["out"] += "-child"
        self._lock = threading.Lock()  # the other one may have been held
        self.environments.clear()

    def finish_with_the_process(self) -> None:
        """Writes the recording however the script ends; after so many seconds it is ended."""
        atexit.register(self.finish, "by itself")
        told = sys.excepthook

        def failed(kind: Any, error: Any, trace: Any) -> None:
            told(kind, error, trace)
            self.place = _own_place(trace)
            self.finish(f"{kind.__name__}: {str(error)[:200]}")

        sys.excepthook = failed
        late = threading.Timer(
            self.plan["seconds"],
            lambda: self.finish("after {:g} seconds".format(self.plan["seconds"]), leave=True),
        )
        late.daemon = True
        late.start()

    def finish(self, how: str, *, leave: bool = False) -> None:
        """Writes what was recorded, the first time that it is called.

        Args:
            how: the script ended.
            leave: whether the process is ended, without going on in the script.
        """
        with self._lock:
            first, self.over = not self.over, True
        if first and (not self.plan["out"].endswith("-child") or self.environments):
            try:
                self._write(how)
            except BaseException as error:  # noqa: BLE001  # never in the owner's way
                sys.stderr.write(f"observer: the recording was not written: {error!r}\n")
        if leave:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)

    def _write(self, how: str) -> None:
        spent = time.process_time() - self._begun if self._begun is not None else 0.0
        meta = {
            "format": FORMAT,
            "ended": how,
            "place": self.place,
            "steps": round(self._taken),
            "processor_s": spent,
            "arguments": sys.argv,
            "environments": self.environments,
            "networks": self.networks,
            "network_names": self._names(),
            "optimizer_steps": self.optimizer_steps,
            "versions": self.versions,
            "notes": self.notes,
            "weights_digests": self._digests(),
            "altered": self.altered,
            "tags": self.plan["tags"],
            "num_states": len(self.plan["world"]["next_state"]),
        }
        os.makedirs(self.plan["out"], exist_ok=True)
        parts = {"meta.json": json.dumps(meta, default=str).encode("utf-8")}
        if "numpy" in sys.modules:
            from .arrays import packed  # noqa: PLC0415  # not before the owner imports NumPy

            parts["arrays.npz"] = packed(self)
        parts["seal.json"] = json.dumps(
            {name: hashlib.sha256(content).hexdigest() for name, content in parts.items()}
        ).encode("utf-8")
        for name, content in parts.items():  # the seal last
            path = os.path.join(self.plan["out"], name)
            with open(path + ".partial", "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(path + ".partial", path)

    def _names(self) -> list[list[str]]:
        from .names import names_of  # noqa: PLC0415  # where the script has ended

        return names_of(self.seen)

    def _digests(self) -> list[Any]:
        if "torch" not in sys.modules:
            return []
        from .digests import digests  # noqa: PLC0415  # where the owner has imported torch

        return digests(sys.modules["torch"])


def _own_place(trace: Any) -> str:
    """The innermost call in a file that neither Python nor anybody else installed."""
    others = ("site-packages", os.path.dirname(__file__), os.path.dirname(os.__file__), "<frozen")
    own = [
        frame
        for frame in traceback.extract_tb(trace)
        if not any(other in frame.filename for other in others)
    ]
    return f"{os.path.basename(own[-1].filename)}:{own[-1].lineno}" if own else ""
