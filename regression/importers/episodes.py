"""What any log comes to: the episodes of one seed, each with the step at which it ended."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from regression.job.job import UsageError

Vector = npt.NDArray[np.float64]


class LogError(UsageError):
    """A log that cannot become a curve; nothing was written.

    Args:
        what: is wrong.
        where: file, and line or field.
        expected: of it.
        actual: what is there.
        advice: what to do next.
    """

    def __init__(
        self, what: str, where: Path | str, *, expected: str, actual: str, advice: str
    ) -> None:
        super().__init__(
            f"{what}\n"
            f"  where     {where}\n"
            f"  expected  {expected}\n"
            f"  actual    {actual}\n"
            f"  next      {advice}"
        )


@dataclass(frozen=True)
class LoggedEpisodes:
    """The episodes of one seed, n of them, in the order of their ends.

    Attributes:
        steps: [n] float64, whole: agent steps from the beginning of the run to the episode's end.
        returns: [n] float64, undiscounted.
        lengths: [n] float64 in agent steps, nan where the log does not say.
        environment: its name in the log, or "".
        notes: what was left out, a sentence each.
        files: that were read.
    """

    steps: Vector
    returns: Vector
    lengths: Vector
    _: KW_ONLY
    environment: str = ""
    notes: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


def require_sound(records: LoggedEpisodes, path: Path) -> None:
    """Refuses what no curve can be made of.

    Raises:
        LogError: if there is no episode, a number is not finite, or steps do not rise.
    """
    if not len(records.steps):
        raise LogError(
            "the log is empty",
            path,
            expected="one episode at least",
            actual="none",
            advice="name the log of a finished run",
        )
    for name, values in (("step", records.steps), ("return", records.returns)):
        broken = np.flatnonzero(~np.isfinite(values))
        if len(broken):
            raise LogError(
                f"a {name} is not a finite number",
                f"{path}, record {broken[0] + 1} of {len(values)}",
                expected="a finite number",
                actual=f"{values[broken[0]]}",
                advice="find out what diverged: such a run is broken, not slow",
            )
    falling = np.flatnonzero(np.diff(records.steps, prepend=0.0) < 0)
    if len(falling):
        at = int(falling[0])
        before = records.steps[at - 1] if at else 0.0
        raise LogError(
            "the steps do not rise",
            f"{path}, record {at + 1} of {len(records.steps)}",
            expected=f"at least {before:.0f}, the step of the record before",
            actual=f"{records.steps[at]:.0f}",
            advice="separate runs that were logged into one place, and name the log of one",
        )
