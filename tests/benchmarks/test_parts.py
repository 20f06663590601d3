"""One update, and one choice of actions: against what a tutorial writes, by autograd."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional

from dqn_core import td
from dqn_core.agent import Agent
from dqn_core.recipes.file import load_recipe
from dqn_core.replay import Batch
from dqn_core.streams import Stream
from tests.benchmarks.side_by_side import as_in_runs, medians, shown

CPU = torch.device("cpu")


def made(name: str) -> tuple[Agent, Batch]:
    """An agent of a recipe, and a batch of noise."""
    recipe = load_recipe(name)
    frames = name != "cartpole"
    shape, num_actions = ((4, 84, 84), 6) if frames else ((4,), 2)
    agent = Agent(recipe, shape, num_actions, Stream(0, "init"), CPU)
    draws, size = Stream(0, "replay"), recipe.replay.batch_size
    if frames:
        window = draws.integers(256, size, 5, 84, 84).astype(np.uint8)
    else:
        window = draws.uniform(size, 2, 4).astype(np.float32)
    batch = Batch(
        torch.from_numpy(window),
        torch.from_numpy(draws.integers(num_actions, size)),
        torch.ones(size),
        torch.zeros(size, dtype=torch.bool),
        np.arange(size),
    )
    return agent, batch


class Tutorial:
    """The same network and batch, with autograd and torch's Adam as it comes."""

    def __init__(self, agent: Agent) -> None:
        self.gamma = agent.recipe.td.gamma
        self.online = copy.deepcopy(agent.online_net)
        self.target = copy.deepcopy(agent.target_net)
        self.adam = torch.optim.Adam(self.online.parameters(), lr=1e-4)

    def learn(self, batch: Batch) -> None:
        with torch.no_grad():
            next_value = self.target(batch.next_obs).max(dim=1).values
            target = batch.reward + self.gamma * next_value * ~batch.terminated
        q = self.online(batch.obs).gather(1, batch.action[:, None]).squeeze(1)
        loss = functional.smooth_l1_loss(q, target)
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()

    def q_values(self, obs: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return self.online(torch.from_numpy(obs)).numpy()


RECIPES = ["cartpole", pytest.param("pong", marks=pytest.mark.atari)]


@pytest.mark.benchmark(group="updates per second, one at a time")
@pytest.mark.parametrize("name", RECIPES)
def test_an_update(benchmark, name, capsys):
    calls = (400 if name == "cartpole" else 4) if benchmark.enabled else 1
    with as_in_runs():
        agent, batch = made(name)
        tutorial = Tutorial(agent)
        sides = {
            "ours": lambda: [agent.learn(batch, 1) for _ in range(calls)],
            "tutorial": lambda: [tutorial.learn(batch) for _ in range(calls)],
        }
        told = medians(benchmark, sides, calls, rounds=15)
    steps = next(iter(tutorial.adam.state.values()))["step"]
    assert agent.updates == int(steps) > 0
    with capsys.disabled():
        print(f"\n{name}, batch {len(batch.action)}, updates a second: {shown(told)}")


@pytest.mark.benchmark(group="choices of an action per second, one environment")
@pytest.mark.parametrize("name", RECIPES)
def test_acting(benchmark, name, capsys):
    calls = (2_000 if name == "cartpole" else 100) if benchmark.enabled else 1
    with as_in_runs():
        agent, batch = made(name)
        tutorial, obs = Tutorial(agent), batch.obs[:1].numpy()
        assert np.allclose(agent.q_values(obs), tutorial.q_values(obs), atol=1e-5)
        sides = {
            "ours": lambda: [agent.q_values(obs).argmax(axis=1) for _ in range(calls)],
            "tutorial": lambda: [tutorial.q_values(obs).argmax(axis=1) for _ in range(calls)],
        }
        told = medians(benchmark, sides, calls, rounds=15)
    with capsys.disabled():
        print(f"\n{name}, choices a second: {shown(told)}")


def test_the_tutorial_learns_the_same():
    agent, batch = made("cartpole")
    agent.recipe = agent.recipe.model_copy(
        update={"td": agent.recipe.td.model_copy(update={"loss": "huber"})}
    )
    tutorial = Tutorial(agent)
    before = agent.q_values(batch.obs.numpy())
    assert np.array_equal(tutorial.q_values(batch.obs.numpy()), before)
    q, pullback = agent.online_net.vjp(batch.obs)
    target = agent.td_target(batch)
    weight = td.loss_weight(batch.action, 2, len(batch.action))
    pullback(td.loss_gradient(q, target[:, None], weight, "huber"))
    tutorial.learn(batch)
    gradient = torch.cat([p.grad.flatten() for p in tutorial.online.parameters()])
    assert torch.allclose(agent.online_net.optimized_tensors[0].grad, gradient, atol=1e-6)
