"""The artifact formats: what a regression and a probe run write, and what a page reads.

Everything that decides is a value in one of these models, stored as JSON, and everything drawn is
a column of `curves.csv`. A page can therefore be rebuilt, and a verdict turned into an exit code,
from the files alone.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reports.fields import class_of

SCHEMA_VERSION: Final = 2

VERDICT_FILE: Final = "verdict.json"
CURVES_FILE: Final = "curves.csv"
PAGE_FILE: Final = "report.html"
SUMMARY_FILE: Final = "summary.md"

# One row per (group, seed, window of steps). Returns are undiscounted sums of raw rewards; an
# empty cell means that no episode ended (or no evaluation took place) within the window.
CURVE_COLUMNS: Final = {
    "group": "'reference' or 'candidate'",
    "seed": "seed of the run",
    "step": "agent steps at the end of the window",
    "episodes": "training episodes that ended within the window",
    "episode_return": "mean return of those training episodes",
    "episode_length": "mean length of those training episodes, in agent steps",
    "evaluation_return": "mean return of the evaluation episodes played within the window",
    "loss": "mean TD loss of the updates within the window",
    "q_mean": "mean Q-value of the sampled actions within the window",
}


class VerdictName(StrEnum):
    """The six possible outcomes of a comparison with a stored reference."""

    PASS = "PASS"
    WATCH = "WATCH"  # a first look tripped, a second, independent look did not
    FAIL = "FAIL"
    BETTER = "BETTER"  # suspiciously: a change this large deserves an explanation too
    INCONCLUSIVE = "INCONCLUSIVE"  # too little evidence to say anything
    INFRA = "INFRA"  # the runs themselves broke


class ExitCode(IntEnum):
    """Exit codes of every command of the harness."""

    OK = 0
    FAIL = 1
    INTERRUPTED = 2
    INFRA = 3
    USAGE = 4
    NOTHING_RAN = 5
    INCONCLUSIVE = 6


# BETTER is a pass for a gate: nothing got worse. The page still shows it in its own colour.
EXIT_CODES: Final = {
    VerdictName.PASS: ExitCode.OK,
    VerdictName.WATCH: ExitCode.OK,
    VerdictName.BETTER: ExitCode.OK,
    VerdictName.FAIL: ExitCode.FAIL,
    VerdictName.INFRA: ExitCode.INFRA,
    VerdictName.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
}


class Artifact(BaseModel):
    """Base of every stored model: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Criterion(Artifact):
    """One statistical comparison of candidate seeds with reference seeds."""

    name: str  # e.g. "area under the training curve"
    unit: str  # e.g. "mean episode return"
    reference_n: int
    reference_mean: float
    reference_sd: float
    candidate_n: int
    candidate_mean: float
    # One-sided, candidate worse than reference by more than the margin; two-sided for values and
    # losses; Holm's, where there are several besides the one that decides.
    p_value: float
    alpha: float  # the criterion trips when p_value <= alpha
    smallest_p: float  # the smallest p-value that these sample sizes can reach
    margin_sd: float  # indifference margin, in reference standard deviations
    tripped: bool
    # False: secondary; where it trips, a PASS becomes a WATCH, and values or losses that trip in
    # both stages are a FAIL.
    decides: bool
    stage: int = 1  # 2: on further fresh seeds, trained because stage one had tripped


class OperatingPoint(Artifact):
    """What the gate makes of candidates that lost so much."""

    drop_sd: float  # of the mean area under the curve, in standard deviations of healthy seeds
    fail: float  # share of them that the gate calls FAIL
    watch: float  # share that trip stage one and not stage two


class OperatingCurve(Artifact):
    """What a gate of these sizes sees, by simulation."""

    shape: Literal["normal", "reference"]  # of areas: normal, or as the reference's are
    reference_n: int
    stage_one_n: int
    stage_two_n: int
    draws: int  # simulated runs of the whole gate for each point
    healthy_seeds: float  # mean number of fresh seeds that a healthy candidate costs
    points: list[OperatingPoint]


class SeedResult(Artifact):
    """What became of one seed."""

    seed: int
    status: Literal["complete", "failed"]
    auc: float | None  # mean of the training curve; None where the seed failed
    first_tenth: float | None  # mean of the curve over its first tenth of steps
    final_tenth: float | None  # the same over its last tenth
    evaluation_return: float | None  # rolling mean of evaluation returns at the end of the run
    weights_digest: str  # of the final online network; "" where the seed failed
    wall_s: float
    error: str = ""  # last lines of what went wrong


class Fingerprint(Artifact):
    """What a run ran on and what it ran, by what depends on it; see `reports.fields`.

    A flat table of fields, as units and older verdicts store it, is read by the fields' names.
    """

    bits: dict[str, str] = Field(default_factory=dict)
    distribution: dict[str, str] = Field(default_factory=dict)
    informative: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_the_flat_form(cls, stored: Any) -> Any:
        if not isinstance(stored, dict) or not all(isinstance(v, str) for v in stored.values()):
            return stored
        classes: dict[str, dict[str, str]] = {}
        for name, value in stored.items():
            classes.setdefault(class_of(name), {})[name] = value
        return classes

    def flat(self) -> dict[str, str]:
        """All fields in one table."""
        return self.bits | self.distribution | self.informative


class BitsCheck(Artifact):
    """A seed of the reference, trained again and compared with the stored curve bit by bit."""

    seed: int
    windows: int  # compared
    first_difference: int | None  # step of the first window whose weights differ; None: equal
    promised: bool  # whether the level of the two fingerprints promises equal bits


class ReferenceInfo(Artifact):
    """Where the stored truth came from."""

    seeds: list[int]
    content_hash: str  # of the stored bundle, its curves included
    recipe_hash: str
    reason: str  # why it was blessed
    blessed_on: str  # ISO date
    fingerprint: Fingerprint


class Cell(Artifact):
    """One recipe on one device, in a verdict on several."""

    name: str  # also of its folder, which has a verdict and a page of its own
    device: str
    verdict: VerdictName  # after the correction for several cells
    sentence: str
    seeds: int
    p_value: float | None  # of stage two; None where it was not needed
    p_holm: float | None  # the same, by Holm's correction over all cells
    level: int | None  # that the cell and its reference can claim


class Verdict(Artifact):
    """The whole outcome of one regression, as stored in `verdict.json`.

    Where it is on several cells, the numbers are those of the worst one.
    """

    schema_version: int
    verdict: VerdictName
    sentence: str  # one sentence: what, by how much, by which rule
    game: str  # as resolved, e.g. "pong"
    recipe: str  # e.g. "pong-short"
    recipe_hash: str
    device: str
    fault: str = ""  # name of the planted fault, where one was planted on purpose
    metric: str  # what a return is here, e.g. "rally return in [-1, 1]"
    criteria: list[Criterion] = Field(default_factory=list)
    operating: list[OperatingCurve] = Field(default_factory=list)
    seeds: list[SeedResult] = Field(default_factory=list)
    reference: ReferenceInfo | None = None
    fingerprint: Fingerprint = Field(default_factory=Fingerprint)
    level: int | None = None  # of reproducibility, that run and reference can claim; None: unknown
    level_prevented_by: list[str] = Field(default_factory=list)  # fields in the way of the next one
    bits: list[BitsCheck] = Field(default_factory=list)
    cells: list[Cell] = Field(default_factory=list)  # none where there was one device
    reproduce: list[str] = Field(default_factory=list)  # commands
    notes: list[str] = Field(default_factory=list)  # anything a reader must know
    started_utc: str
    wall_s: float


class FindingStatus(StrEnum):
    """Outcome of one check; only green and red ones are evidence of what works and what fails."""

    GREEN = "green"
    RED = "red"
    ADVICE = "advice"  # nothing is wrong yet, but would be elsewhere
    INCONCLUSIVE = "inconclusive"  # seen, but too little of it to say green or red
    ERROR = "error"  # an exception or a broken protocol kept it from being judged
    EXPECTED = "expected"  # red, or an error, and documented as such
    SKIP = "skip"


class Finding(Artifact):
    """Outcome of one check on one subject."""

    check: str  # stable code, e.g. "world.two-step-discounting.mlp"
    component: str  # e.g. "td target"
    status: FindingStatus
    expected: str
    actual: str
    compared: int  # how many values were compared; zero is red
    wall_s: float
    place: str = ""  # in the subject's code, of an error
    hint: str = ""  # likeliest causes when red


class DictionaryRow(Artifact):
    """What one planted fault does to the checks."""

    fault: str
    component: str
    what: str
    red: list[str]  # codes of the checks it turned red
    ran: list[str]  # codes of all checks that ran on it
    wall_s: float


class Dictionary(Artifact):
    """The fault dictionary: every planted fault and the checks that it turned red.

    The three rates are measured on the dictionary itself: a fault counts as named where its
    component is ranked first.
    """

    schema_version: int
    checks: dict[str, int]  # code and version of every check
    seed: int
    rows: list[DictionaryRow]
    detected: float  # share of faults that turn at least one check red
    named: float  # share whose component is ranked first
    named_unseen: float  # the same, by the dictionary without the fault's own row
    wall_s: float


class Suspicion(Artifact):
    """How likely a component is the broken one, given which checks are red."""

    component: str
    probability: float
    faults: list[str]  # planted faults that look most like it, the likeliest first


class ProbeReport(Artifact):
    """The outcome of all checks on one subject, as `--json` prints it."""

    schema_version: int
    subject: str  # "module:factory", or the bundled core with a fault
    seed: int
    declined: dict[str, str] = Field(default_factory=dict)  # by name, why it is not made use of
    unread: list[str] = Field(default_factory=list)  # settings that it has not looked at
    traits: dict[str, bool | int | float] = Field(default_factory=dict)  # as declared, by name
    findings: list[Finding]
    suspicions: list[Suspicion] = Field(default_factory=list)  # none where nothing is red
    experiment: str = ""  # what would distinguish the two likeliest
    wall_s: float
