"""Checks of networks, targets, loss and optimizer: what they see, and what they let be."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from dqn_core.agent import Agent
from probes.checks import loss, optimizer, target_network, td_target
from probes.checks.support.testbed import Testbed
from probes.checks.support.white_box import (
    draw,
    generator,
    gradient,
    kept,
    randomise,
    white_box_trial,
    with_errors,
)
from probes.checks.target_network import memory, shared_bytes
from probes.running.run_check import run_check
from probes.subjects.core import CoreSubject, Parts, make
from reports.schema import FindingStatus

CHECKS = {
    check.code: check
    for family in (target_network, td_target, loss, optimizer)
    for check in family.CHECKS
}
BY_HAND = [code for code, check in CHECKS.items() if {"update", "td_targets"} & {*check.needs}]


def status(code, factory, seed=0):
    finding = run_check(CHECKS[code], factory, seed)
    assert finding.compared > 0, finding
    return finding.status


class TinyDqn:
    """Another implementation: autograd, clipped gradients, cleared as soon as they are used."""

    def __init__(self, make_env, settings, make_optimizer):
        self.env, self.settings = make_env(), settings
        inputs, actions = self.env.observation_space.shape[0], self.env.action_space.n
        first, last = (
            nn.utils.skip_init(nn.Linear, *sizes) for sizes in [(inputs, 32), (32, actions)]
        )
        self.online_net = nn.Sequential(first, nn.Tanh(), last)
        randomise(self.online_net, generator(settings.seed))
        self.target_net = copy.deepcopy(self.online_net)
        self.optimizer = make_optimizer(self.online_net.parameters(), settings.learning_rate)

    def train(self, steps):
        for _ in range(steps):
            self.env.reset()
            self.env.step(0)

    def q_values(self, obs):
        return self.online_net(torch.from_numpy(obs)).detach().numpy()

    def target_values(self, obs):
        return self.target_net(torch.from_numpy(obs)).detach().numpy()

    def bootstrap(self, next_obs):
        chosen = self.online_net if self.settings.double else self.target_net
        action = chosen(next_obs).argmax(1, keepdim=True)
        return self.target_net(next_obs).gather(1, action).squeeze(1).detach()

    def targets(self, transitions):
        _, _, reward, next_obs, terminated = map(torch.from_numpy, transitions)
        return reward + self.settings.gamma * ~terminated * self.bootstrap(next_obs)

    def td_targets(self, transitions):
        return self.targets(transitions).detach().numpy()

    def update(self, transitions):
        obs, action = map(torch.from_numpy, transitions[:2])
        predicted = self.online_net(obs).gather(1, action[:, None]).squeeze(1)
        functional.smooth_l1_loss(predicted, self.targets(transitions)).backward()
        nn.utils.clip_grad_norm_(self.online_net.parameters(), 10.0)
        self.optimizer.step()
        self.optimizer.zero_grad()


class Bellman(TinyDqn):
    """One network, and a loss that is differentiated through the target."""

    def __init__(self, *args):
        super().__init__(*args)
        self.target_net = copy.deepcopy(self.online_net)

    def bootstrap(self, next_obs):
        lagged = self.target_net(next_obs).amax(1)
        own = self.online_net(next_obs).amax(1)
        return lagged.detach() + own - own.detach()


def tiny(kind=TinyDqn, make_optimizer=torch.optim.Adam):
    return lambda make_env, settings: kind(make_env, settings, make_optimizer)


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


@pytest.mark.parametrize(
    ("make_optimizer", "differs"),
    [
        (lambda p: torch.optim.Adam(p, lr=1.0), 1.67),
        (lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.9), 6.2),
        (lambda p: torch.optim.RMSprop(p, lr=1.0, alpha=0.99), 0.72),
        (lambda p: torch.optim.RMSprop(p, lr=1.0, alpha=0.95), 0.68),
        (lambda p: torch.optim.RMSprop(p, lr=1.0, alpha=0.95, centered=True), 0.63),
        (lambda p: torch.optim.RMSprop(p, lr=1.0, alpha=0.99, centered=True), 0.7),
    ],
)
def test_what_an_optimizer_remembers_moves_its_step_by_four_times_the_tolerance(
    make_optimizer, differs
):
    weight = torch.zeros(1)
    made = make_optimizer([weight])
    steps = []
    for slope in [1.0, *[-1.0] * optimizer.UPDATES, 1.0]:
        before = weight.item()
        weight.grad = torch.tensor([slope])
        made.step()
        steps.append(weight.item() - before)
    distance = abs(steps[-1] - steps[0]) / abs(steps[0])
    assert distance == pytest.approx(differs, abs=0.02)
    assert distance >= 4 * optimizer.REMEMBERED


def test_shared_memory_is_counted_in_bytes():
    vector = torch.zeros(10)
    assert shared_bytes(vector, vector[4:]) == 24
    assert shared_bytes(vector[:4], vector[4:]) == 0  # one storage, but other parts of it
    assert shared_bytes(vector, vector.clone()) == 0
    assert shared_bytes(vector[:0], vector) == 0
    start, stop = memory(torch.zeros(2, 3, 4).permute(2, 0, 1))
    assert stop - start == 2 * 3 * 4 * 4


def test_gradients_are_caught_before_they_are_clipped_or_cleared():
    trial = white_box_trial(Testbed(tiny(), 0))
    transitions = with_errors(trial, draw(generator(0), 8), 0.1)
    weights = list(trial.subject.online_net.parameters())
    before = [weight.detach().clone() for weight in weights]
    found = gradient(trial.subject, transitions)
    assert len(found) == sum(weight.numel() for weight in weights)
    assert np.abs(found).max() > 1e-3
    assert all(weight.grad is None for weight in weights)
    assert all(map(torch.equal, weights, before))  # they have been put back


def test_networks_are_put_back_whatever_happens():
    trial = white_box_trial(Testbed(make, 0))
    obs = draw(generator(0), 4).obs
    before = trial.q_table(obs)

    def interrupted():
        with kept(trial.subject.online_net):
            randomise(trial.subject.online_net, generator(1))
            assert np.abs(trial.q_table(obs) - before).max() > 1e-3
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert np.array_equal(trial.q_table(obs), before)


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
