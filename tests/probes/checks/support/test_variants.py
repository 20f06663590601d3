"""Variants: green and held to their own truth when declared, proposed when not, faults red."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from probes.checks.registry import CHECKS, check_named, select
from probes.checks.support.variants import (
    OBSERVED,
    UNUSUAL_GAMMA,
    as_learned,
    averaged,
    treated,
)
from probes.faults.catalogue import fault_named
from probes.running.run_check import run_check
from probes.subject import Unsupported
from probes.traits import Traits, read_traits
from probes.worlds.tables import BRANCHING, DELAYED_REWARD, NOISY_REWARD, TWO_STEP
from reports.schema import FindingStatus
from tests.probes.faults.test_catalogue import OF_OTHER_AGENTS
from tests.probes.variant_dqn import TRAITS, make

GAMMA = 0.5
# Of each variant: its options, and of each fault of its own the cheapest check that it turns red.
VARIANTS = {
    "plain": ({}, {}),
    "polyak": (
        {"tau": 0.05},
        {
            "average-swapped": "target.follows-the-average",
            "average-every-other-update": "target.follows-the-average",
            "weights-averaged-biases-not": "target.follows-the-average",
        },
    ),
    "n-step": (
        {"n_step": 3},
        {
            "one-discount-for-all": "loss.aims-at-target",
            "rewards-not-discounted": "replay.transitions-are-real",
            "windows-lost-at-ends": "replay.exactly-the-recent",
        },
    ),
    "noisy": (
        {"noisy": True},
        {
            "noise-where-asked": "network.values-are-of-one-row",
            "noise-drawn-once": "network.noise-is-drawn-anew",
        },
    ),
    "noisy-without-epsilon": (
        {"noisy": True, "epsilon_greedy": False},
        {
            "noise-where-asked": "network.values-are-of-one-row",
            "noise-drawn-once": "network.noise-is-drawn-anew",
        },
    ),
    "batch-norm": (
        {"batch_norm": True},
        {
            "statistics-not-synced": "target.moves-on-sync-only",
            "statistics-of-the-batch-asked": "target.moves-on-sync-only",
        },
    ),
    "dueling": (
        {"dueling": True},
        {
            "dueling-mean-over-batch": "network.values-are-of-one-row",
            "dueling-maximum-detached-from-value": "network.values-are-of-one-row",
            "dueling-mean-not-subtracted": "network.advantages-are-centred",
            "dueling-sum-subtracted": "network.advantages-are-centred",
        },
    ),
    "reward-clip": (
        {"reward_clip": 1.0},
        {
            "only-gains-clipped": "world.reward-by-action.vector",
            "targets-clipped": "world.time-limit.vector",
        },
    ),
    "mse": (
        {"loss": "mse"},
        {
            "the-other-loss": "loss.bends-as-declared",
            "absolute-error": "loss.bends-as-declared",
        },
    ),
    "huber": (
        {"loss": "huber", "huber_knee": 10.0},
        {
            "the-other-loss": "loss.bends-as-declared",
            "knee-of-a-tenth": "loss.bends-as-declared",
        },
    ),
    "gradient-clip-norm": (
        {"gradient_clip_norm": 0.5},
        {
            "clipped-after-the-step": "optimizer.clips-as-declared",
            "tensor-by-tensor": "optimizer.clips-as-declared",
        },
    ),
    "gradient-clip-value": (
        {"gradient_clip_value": 1.0},
        {
            "clipped-after-the-step": "optimizer.clips-as-declared",
            "norm-for-value": "optimizer.clips-as-declared",
        },
    ),
    "prioritised": (
        {"priority_exponent": 0.6},
        {
            "priorities-not-updated": "replay.follows-priorities",
            "priorities-of-signed-errors": "replay.follows-priorities",
            "new-rows-last": "replay.draws-new-rows",
            "weights-dropped": "replay.weights-enter-the-loss",
            "weights-not-normalised": "replay.weighs-by-share",
            "weights-of-the-wrong-sign": "replay.weighs-by-share",
        },
    ),
    "reward-sign": (
        {"reward_sign": True},
        {
            "losses-as-they-are": "world.reward-by-action.vector",
            "sign-of-the-size": "world.reward-by-action.vector",
        },
    ),
    "reward-scale": (
        {"reward_clip": 1.0, "reward_scale": 0.5},
        {
            "scaled-before-clipping": "world.reward-by-action.vector",
            "scaled-twice": "world.reward-by-action.vector",
        },
    ),
}


def traits_of(options) -> Traits:
    declared = {name: value for name, value in options.items() if name in TRAITS}
    if "tau" in declared:
        declared["sync_period_updates"] = 1
    return read_traits(declared)


def status(code, options, fault="", *, declared=True):
    traits = traits_of(options) if declared else Traits()
    return run_check(check_named(code), make(fault, **options), 0, traits=traits)


# A sample for each: worlds take long.
SAMPLE = [
    check.code
    for check in select("loss or target or network or optimizer or world.two-step*.vector")
    if check.code != "loss.fits-fixed-targets"
]


@pytest.mark.parametrize("name", VARIANTS)
def test_a_correct_variant_has_no_red_check(name):
    options, _ = VARIANTS[name]
    findings = [status(code, options) for code in SAMPLE]
    allowed = {FindingStatus.GREEN, FindingStatus.SKIP, FindingStatus.ADVICE}
    assert [found for found in findings if found.status not in allowed] == []


@pytest.mark.parametrize(
    ("name", "fault"), [(name, fault) for name, (_, faults) in VARIANTS.items() for fault in faults]
)
def test_a_fault_of_a_variant_is_red_by_its_own_truth(name, fault):
    options, faults = VARIANTS[name]
    assert status(faults[fault], options).status is FindingStatus.GREEN
    found = status(faults[fault], options, fault)
    assert found.status is FindingStatus.RED, found


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"tau": 0.05}, "target.moves-on-sync-only", "{'tau': 0.05, 'sync_period_updates': 1}"),
        ({"n_step": 3}, "world.branching.vector", "{'n_step': 3}"),
        ({"noisy": True}, "loss.aims-at-target", "{'noisy': True}"),
        ({"batch_norm": True}, "loss.small-errors-count-less", "{'batch_norm': True}"),
        (
            {"noisy": True, "epsilon_greedy": False},
            "exploration.uniform-when-epsilon-is-one",
            "{'noisy': True, 'epsilon_greedy': False}",
        ),
        ({"double": True}, "loss.aims-at-target", "{'double': True}"),
        ({"double": False}, "world.overestimation.double", "{'double': False}"),
        ({"reward_clip": 1.0}, "world.branching.vector", "{'reward_clip': 1.0}"),
        ({"reward_sign": True}, "world.noisy-reward.vector", "{'reward_sign': True}"),
        ({"reward_scale": 0.1}, "replay.values-survive", "{'reward_scale': 0.1}"),
        ({"priority_exponent": 0.6}, "replay.uniform", "{'priority_exponent': 0.6}"),
        ({"learning_rate": 2e-3}, "optimizer.follows-the-settings", "{'learning_rate': 0.002}"),
    ],
)
def test_a_variant_that_is_not_declared_is_proposed(options, code, words):
    found = status(code, options, declared=False)
    assert found.status is FindingStatus.INCONCLUSIVE, found
    assert f"declare traits = {words}, or is it a fault?" in found.actual


def test_what_an_agent_without_epsilon_may_not_have_tried_is_not_red():
    options = {"noisy": True, "epsilon_greedy": False}
    assert status("world.overestimation.plain", options).status is FindingStatus.SKIP
    found = status("world.branching.vector", options)
    assert found.status in {FindingStatus.GREEN, FindingStatus.INCONCLUSIVE}, found


def test_a_small_and_slow_network_is_waited_for():
    found = status("loss.fits-fixed-targets", {"hidden": 16, "learning_rate": 1e-4})
    assert found.status is FindingStatus.GREEN, found


def test_an_undeclared_variant_with_a_fault_is_red_by_the_truth_of_the_variant():
    found = status("world.delayed-reward.vector", {"n_step": 3}, "one-discount-for-all",
                   declared=False)  # fmt: skip
    assert found.status is FindingStatus.RED, found
    assert "as if: n rewards, one discount" in found.actual
    assert "held to 3-step returns" in found.actual


def test_every_check_that_knows_variants_is_tried_with_one():
    known = {variant for check in CHECKS for variant in check.variants}
    assert known == set(OBSERVED)


def test_values_of_n_step_returns_by_hand():
    learned = as_learned(DELAYED_REWARD, Traits(n_step=3))
    np.testing.assert_allclose(learned.solve(GAMMA), DELAYED_REWARD.solve(GAMMA))  # one action
    # After three rewards of zero, gamma times the value of the last state.
    one_discount = learned.solve(GAMMA, "n rewards, one discount")
    np.testing.assert_allclose(one_discount[1], GAMMA * 8)
    # Two steps, the second at random: the mean of what it pays.
    branching = replace(BRANCHING, n_step=2)
    np.testing.assert_allclose(branching.solve(GAMMA)[0], [0, GAMMA * -2])


def test_what_a_world_cannot_show_of_a_variant_is_skipped():
    with pytest.raises(Unsupported, match="vary too much"):
        as_learned(BRANCHING, Traits(n_step=3))


def test_rewards_are_clipped_and_then_scaled_noise_included():
    learned = as_learned(NOISY_REWARD, Traits(reward_clip=1.5, reward_scale=2.0))
    # Half of the time 2.9, which is clipped, half of the time 0.9.
    np.testing.assert_allclose(learned.reward, 2 * (1.5 + 0.9) / 2)
    assert as_learned(TWO_STEP, Traits(reward_scale=0.5)).solve(GAMMA)[1, 0] == 2.0


@pytest.mark.parametrize(
    ("treat", "seen"),
    [
        (lambda r: r, {}),
        (lambda r: r.clip(-1, 1), {"reward_clip": 1.0}),
        (lambda r: 0.01 * r, {"reward_scale": 0.01}),
        (lambda r: 0.5 * r.clip(-2, 2), {"reward_clip": 2.0, "reward_scale": 0.5}),
        (np.sign, {"reward_sign": True}),
        (lambda r: 2 * np.sign(r), {}),
        (lambda r: r.clip(-9, 1), {}),
        (lambda r: UNUSUAL_GAMMA * r, {}),  # a reward that is discounted
        (lambda r: -r, {}),
        (lambda r: 0 * r, {}),
    ],
)
def test_clipped_and_scaled_rewards_are_seen_in_values(treat, seen):
    rewards = np.array([-3.0, -0.5, 0.25, 1.5, 6.0])
    assert treated(rewards, treat(rewards)) == seen


def test_a_fault_in_rewards_that_no_trait_explains_stays_red():
    found = status("world.branching.vector", {"reward_clip": 1.0}, "only-gains-clipped",
                   declared=False)  # fmt: skip
    assert found.status is FindingStatus.RED, found


def test_an_agent_that_reads_double_and_does_not_follow_it_is_red():
    found = run_check(
        check_named("world.overestimation.plain"), fault_named("plain-is-double").parts.make, 0
    )
    assert found.status is FindingStatus.RED, found


@pytest.mark.parametrize(("tau", "period"), [(0.005, 1), (0.1, 3), (0.5, 1)])
def test_an_average_is_seen_with_its_share_and_period(tau, period):
    rng = np.random.default_rng(0)
    online, target = [rng.normal(size=50)], [np.zeros(50)]
    for update in range(1, 30):
        online.append(online[-1] + 0.01 * rng.normal(size=50))
        due = update % period == 0
        target.append(target[-1] + tau * (online[-1] - target[-1]) if due else target[-1])
    assert averaged(online, target) == {"tau": tau, "sync_period_updates": period}
    copies = [online[update - update % 7] for update in range(30)]
    assert averaged(online, copies) == {}
    assert averaged(online, [weights + rng.normal(size=50) for weights in online]) == {}


def test_what_is_said_of_variants_alone_is_proven_here():
    proven = {code for _, faults in VARIANTS.values() for code in faults.values()}
    assert proven >= OF_OTHER_AGENTS
