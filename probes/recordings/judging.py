"""Checks by observation: what a recording shows of the properties that the probes look for.

Each is one of the checks of the probes, under its code: the same property, of the same component,
seen from another side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from probes.checks.registry import check_named
from probes.outcome import Outcome
from probes.recordings import of_frames, of_learning, of_memory, of_seeds, of_steps
from probes.recordings.facts import Facts, NotSeenError
from reports.schema import Finding, FindingStatus

JUDGED: Final[dict[str, Callable[[Facts], Outcome]]] = {
    "td.terminal-masks-and-time-limits-bootstrap": of_learning.masks_and_bootstraps,
    "td.bootstraps-from-target": of_learning.bootstraps_from_target,
    "loss.reaches-actions-taken-alone": of_learning.reaches_actions_taken_alone,
    "loss.ignores-values-after-an-end": of_learning.masks_ends,
    "loss.averages-over-rows": of_learning.averages_over_rows,
    "loss.aims-at-target": of_learning.aims_at_target,
    "target.begins-as-online": of_learning.begins_as_online,
    "target.moves-on-sync-only": of_learning.moves_by_copies,
    "network.values-are-of-one-row": of_learning.values_are_of_one_row,
    "optimizer.holds-online-only": of_learning.holds_online_only,
    "optimizer.rate-stays-to-the-end": of_learning.rate_stays,
    "optimizer.remembers": of_learning.remembers,
    "optimizer.still-without-a-gradient": of_learning.decays_no_weight,
    "termination.resets-after-every-end": of_steps.resets_after_ends,
    "termination.final-observation-kept": of_steps.final_observations_kept,
    "termination.time-limit-is-no-end": of_learning.limits_bootstrap,
    "termination.no-dead-steps": of_steps.no_dead_steps,
    "replay.transitions-are-real": of_steps.transitions_are_real,
    "replay.environments-stay-apart": of_steps.environments_stay_apart,
    "exploration.random-while-warming-up": of_steps.random_while_warming_up,
    "exploration.greedy-when-epsilon-is-zero": of_steps.acts_greedily_where_asked,
    "td.double-closed-form": of_learning.chooses_by_online_values_by_target,
    "loss.aims-at-double-target": of_learning.aims_at_double_target,
    "loss.big-errors-count": of_learning.big_errors_count,
    "loss.small-errors-count-less": of_learning.small_errors_count_less,
    "loss.rows-are-independent": of_learning.rows_are_independent,
    "target.separate-storage": of_learning.separate_storage,
    "network.output-is-unbounded": of_learning.output_is_unbounded,
    "exploration.actions-in-the-space": of_steps.actions_in_the_space,
    "exploration.follows-the-schedule.1-env": of_steps.explores_less_and_less,
    "replay.observations-left-alone": of_steps.observations_left_alone,
    "replay.values-survive": of_memory.values_survive,
    "replay.exactly-the-recent": of_memory.newest_are_drawn,
    "replay.uniform": of_memory.drawn_uniformly,
    "seeding.environments-are-seeded": of_seeds.environments_are_seeded,
    "seeding.environments-differ": of_seeds.environments_differ,
    "seeding.episodes-start-differently": of_seeds.episodes_start_differently,
    "frames.skip": of_frames.steps_of_four_frames,
    "frames.two-frame-maximum": of_frames.last_two_frames,
    "frames.luminance": of_frames.colours_are_shown,
    "frames.order-of-grey-levels": of_frames.greys_stay_in_order,
    "frames.reward-summed-over-skip": of_frames.rewards_are_summed,
    "frames.clipped-after-the-sum": of_frames.clipped_after_the_sum,
    "frames.stack-spans-steps": of_frames.stacks_span_steps,
    "frames.first-stack": of_frames.stacks_begin_anew,
    "frames.scaled-once": of_frames.pixels_are_scaled_once,
    "frames.acts-on-what-it-was-shown": of_frames.acts_on_the_newest_frame,
    "frames.neighbours-stay-neighbours": of_frames.neighbours_stay_neighbours,
    "frames.no-op-start": of_frames.begins_with_noops,
    "frames.actions-reach-the-game": of_frames.one_action_a_step,
    "frames.fire": of_frames.fires_in_each_life,
    "replay.frames-are-those-shown": of_frames.replayed_frames_are_those_shown,
    "lives.limit-truncates": of_frames.limits_truncate,
    "lives.loss-ends-no-game": of_frames.games_outlast_lives,
}

# A script that gives no seed cannot be repeated, and is not wrong; a decay of weights is small, as
# AdamW's is by default, or was asked for, as a fading learning rate was.
ADVISED: Final = frozenset(
    {
        "seeding.environments-are-seeded",
        "optimizer.still-without-a-gradient",
        "optimizer.rate-stays-to-the-end",
    }
)


def judged(facts: Facts) -> Iterator[Finding]:
    """What a recording shows of each property that it can show; skipped where it was not seen."""
    for code, judge in JUDGED.items():
        try:
            yield as_finding(code, judge(facts), advises=code in ADVISED)
        except NotSeenError as missing:
            yield as_finding(code, str(missing))


def as_finding(code: str, outcome: Outcome | str, *, advises: bool = False) -> Finding:
    """The finding of a check, by what it came to, or by why it could not be seen."""
    check = check_named(code)
    if isinstance(outcome, str):
        return Finding(
            check=code, component=check.component, status=FindingStatus.SKIP, expected="",
            actual=outcome, compared=0, wall_s=0.0,
        )  # fmt: skip
    status = FindingStatus.GREEN if outcome.holds else FindingStatus.RED
    if status is FindingStatus.RED and (check.advises or advises):
        status = FindingStatus.ADVICE
    return Finding(
        check=code,
        component=check.component,
        status=FindingStatus.INCONCLUSIVE if outcome.holds is None else status,
        expected=outcome.expected,
        actual=outcome.actual,
        compared=outcome.compared,
        wall_s=0.0,
        hint="; ".join(check.causes) if not outcome.holds else "",
    )
