"""Checks of networks, targets, loss and optimizer: what they see, and what they let be."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dqn_core.agent import Agent
from probes.checks import loss, loss_shape, optimizer, target_network, td_target
from probes.running.run_check import run_check
from probes.subjects.core import CoreSubject, Parts
from reports.schema import FindingStatus
from tests.probes.faults.test_catalogue import OF_OTHER_AGENTS, VARIANTS
from tests.probes.tiny_dqn import Bellman, TinyDqn, tiny

CHECKS = {
    check.code: check
    for family in (target_network, td_target, loss, loss_shape, optimizer)
    for check in family.CHECKS
    if check.code not in {*VARIANTS, *OF_OTHER_AGENTS}
}
BY_HAND = [code for code, check in CHECKS.items() if {"update", "td_targets"} & {*check.needs}]


def status(code, factory, seed=0):
    finding = run_check(CHECKS[code], factory, seed)
    assert finding.compared > 0, finding
    return finding.status


@pytest.mark.parametrize(
    "make_optimizer",
    [
        torch.optim.Adam,
        lambda p, lr: torch.optim.AdamW(p, lr, amsgrad=True),
        lambda p, lr: torch.optim.RMSprop(p, lr, alpha=0.95, eps=1e-5, centered=True),
        lambda p, lr: torch.optim.SGD(p, 30 * lr, momentum=0.9),
        lambda p, lr: torch.optim.SGD(p, 30 * lr),
    ],
    ids=["adam", "adamw", "rmsprop", "momentum", "sgd"],
)
@pytest.mark.parametrize("code", [code for code in BY_HAND if code != "loss.fits-fixed-targets"])
def test_another_implementation_is_green_with_any_optimizer(code, make_optimizer):
    assert status(code, tiny(make_optimizer=make_optimizer)) is FindingStatus.GREEN


@pytest.mark.parametrize(("name", "kind"), [("mse", "adam"), ("huber", "centred_rmsprop")])
@pytest.mark.parametrize("code", CHECKS)
def test_the_core_is_green_with_its_other_loss_and_optimizer(code, name, kind):
    def factory(make_env, settings):
        return CoreSubject(make_env, settings, Parts(), loss=name, optimizer=kind)

    assert status(code, factory) is FindingStatus.GREEN


class BatchMaximum(Agent):
    def td_target(self, batch):
        value = self.target_net.infer(batch.next_obs).amax()
        return batch.reward + self.recipe.td.gamma * ~batch.terminated * value


class ErrorsCutOff(Agent):
    def update(self, obs, target, weight):
        error = (target - self.online_net.infer(obs)).abs()
        return super().update(obs, target, weight * (error <= 1))


class OtherActionTrained(Agent):
    def update(self, obs, target, weight):
        return super().update(obs, target, weight.flip(1))


class Squashed(Agent):
    def __init__(self, *args):
        super().__init__(*args)
        for network in (self.online_net, self.target_net):
            network.infer = lambda obs, net=network: net(obs).softmax(1).detach()


class GradientsKept(Agent):
    def apply_gradients(self):
        total = [leaf.grad.clone() for leaf in self._optimized_tensors]
        for leaf, before in zip(
            self._optimized_tensors, getattr(self, "before", total), strict=True
        ):
            leaf.grad += before
        self.before = total
        super().apply_gradients()


class TwoSteps(Agent):
    def apply_gradients(self):
        super().apply_gradients()
        super().apply_gradients()


class OldWeightsSynced(Agent):
    def sync(self):
        super().sync()
        for lagged in self.target_net.optimized_tensors:
            lagged.mul_(0.99)


@pytest.mark.parametrize(
    ("agent", "codes"),
    [
        (BatchMaximum, ["td.rows-are-independent", "loss.aims-at-target"]),
        (ErrorsCutOff, ["loss.big-errors-count", "loss.fits-fixed-targets"]),
        (OtherActionTrained, ["loss.fits-fixed-targets"]),
        (Squashed, ["network.output-is-unbounded"]),
        (GradientsKept, ["loss.rows-are-independent"]),
        (TwoSteps, ["optimizer.steps-as-configured"]),
        (OldWeightsSynced, ["target.moves-on-sync-only"]),
    ],
)
def test_other_faults_of_the_families_are_seen(agent, codes):
    for code in codes:
        assert status(code, Parts(agent=agent).make) is FindingStatus.RED, code


def test_a_target_that_is_differentiated_is_seen():
    assert status("loss.aims-at-target", tiny(Bellman)) is FindingStatus.RED
    assert status("td.bootstraps-from-target", tiny(Bellman)) is FindingStatus.GREEN


@pytest.mark.parametrize("seed", range(5))
def test_a_squashed_output_is_seen(seed):
    class SoftmaxLast(TinyDqn):
        def __init__(self, *args):
            super().__init__(*args)
            self.online_net.append(nn.Softmax(dim=1))

    for code in ("network.output-is-unbounded", "loss.fits-fixed-targets"):
        assert status(code, tiny(SoftmaxLast), seed) is FindingStatus.RED


def test_an_update_without_gradients_says_so():
    class Still(TinyDqn):
        def update(self, transitions):
            del transitions

    finding = run_check(CHECKS["loss.averages-over-rows"], tiny(Still), 0)
    assert finding.status is FindingStatus.RED
    assert "update() gave none" in finding.actual
    assert status("loss.fits-fixed-targets", tiny(Still)) is FindingStatus.RED


def test_targets_of_another_shape_are_misbehaviour():
    class Column(TinyDqn):
        def td_targets(self, transitions):
            return super().td_targets(transitions)[:, None]

    finding = run_check(CHECKS["td.rows-are-independent"], tiny(Column), 0)
    assert finding.status is FindingStatus.RED
    assert finding.actual == "it returned [64, 1]"
