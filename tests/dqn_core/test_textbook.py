"""The loop against a DQN written naively for this test alone: equal bits for 2,000 steps."""

from __future__ import annotations

import gymnasium
import numpy as np
import torch
from torch import nn

from dqn_core.loop import Trainer
from dqn_core.recipes.file import load_recipe
from dqn_core.recipes.schema import Recipe
from dqn_core.streams import Stream

STEPS, SEGMENT, WARMUP, BATCH, GAMMA, SYNC = 2_000, 1_000, 100, 32, 0.99, 37
CAPACITY = 600  # rows: the ring wraps three times


def textbook_recipe(**td: object) -> Recipe:
    values = load_recipe("cartpole").model_dump()
    values["loop"] |= {
        "num_envs": 1, "total_steps": STEPS, "segment_steps": SEGMENT, "block_steps": 1,
        "train_period_steps": 1, "sync_period_updates": SYNC, "window_steps": 100,
        "overlap": False,
    }  # fmt: skip
    values["replay"] |= {"capacity_rows": CAPACITY, "warmup_steps": WARMUP, "batch_size": BATCH}
    values["exploration"] |= {"initial": 1.0, "final": 0.1, "decay_steps": 1_000}
    values["learning_rate"] |= {"schedule": "constant", "initial": 1e-3}
    values["network"]["hidden"] = [32, 32]
    values["evaluation"] |= {"period_steps": 1_000, "rolling_episodes": 10}
    values["td"] |= {"gamma": GAMMA, "double": False, "loss": "huber"} | td
    return Recipe.model_validate(values)


def naive_dqn(seed: int):
    """Textbook DQN: a list for a replay memory, autograd for gradients, one step at a time."""

    def network() -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2)
        )

    with torch.random.fork_rng():  # torch's own initial weights, replaced below
        online, target = network(), network()
    init = Stream(seed, "init")
    for layer in (online[0], online[2], online[4]):
        bound = 1 / layer.in_features**0.5
        for parameter in (layer.weight, layer.bias):
            values = init.uniform(*parameter.shape) * 2 * bound - bound
            parameter.data = torch.tensor(values, dtype=torch.float32)
    target.load_state_dict(online.state_dict())
    adam = torch.optim.Adam(online.parameters(), lr=1e-3, fused=True)
    memory = []  # (row number, obs, action, reward, next_obs, terminated)
    actions, slots, losses, rows, updates = [], [], [], 0, 0
    for step in range(STEPS):
        if step % SEGMENT == 0:
            env = gymnasium.make("CartPole-v1")
            first_seed = Stream(seed, "env", step // SEGMENT).integers(2**31 - 1, 1)[0]
            explore = Stream(seed, "explore", step // SEGMENT)
            replay = Stream(seed, "replay", step // SEGMENT)
            obs, _ = env.reset(seed=int(first_seed))
            rows += 1
        chance = 1.0 if step < WARMUP else 1.0 - 0.9 * min((step - WARMUP) / 1_000, 1.0)
        coin, choice = explore.uniform(2)
        with torch.inference_mode():
            greedy = int(online(torch.from_numpy(obs)[None]).argmax())
        action = int(choice * 2) if coin < chance else greedy
        next_obs, reward, terminated, truncated, _ = env.step(action)
        memory.append((rows - 1, obs, action, reward, next_obs, terminated))
        rows += 1
        obs = next_obs
        if (terminated or truncated) and (step + 1) % SEGMENT:
            obs, _ = env.reset()
            rows += 1
        if step + 1 >= WARMUP:
            oldest = written_rows(rows, terminated, truncated, step) - CAPACITY
            memory = [transition for transition in memory if transition[0] >= oldest]
            batch = [memory[i] for i in replay.integers(len(memory), BATCH)]
            number, o, a, r, o2, end = (np.array(column) for column in zip(*batch, strict=True))
            with torch.no_grad():
                best = target(torch.from_numpy(o2)).amax(1)
                y = torch.tensor(r, dtype=torch.float32) + GAMMA * best.masked_fill(
                    torch.tensor(end), 0.0
                )
            q = online(torch.from_numpy(o)).gather(1, torch.tensor(a)[:, None])[:, 0]
            loss = nn.functional.smooth_l1_loss(q, y)
            adam.zero_grad()
            loss.backward()
            adam.step()
            updates += 1
            if updates % SYNC == 0:
                target.load_state_dict(online.state_dict())
            slots.append(number % CAPACITY)
            losses.append(loss.item())
        actions.append(action)
    return actions, slots, losses, [p.detach() for p in online.parameters()]


def written_rows(rows: int, terminated: bool, truncated: bool, step: int) -> int:
    """Rows in the memory when the learner looks: the next episode's first one, though already
    seen, enters it only with its first action.
    """
    pending = (terminated or truncated) and (step + 1) % SEGMENT != 0
    return rows - pending


def test_textbook_dqn_is_a_special_case_bit_for_bit():
    actions, slots, losses, weights = naive_dqn(seed=5)
    trainer = Trainer(textbook_recipe(), 5, torch.device("cpu"))
    blocks = list(trainer.blocks())
    assert [int(block.action[0, 0]) for block in blocks] == actions
    learned = [block for block in blocks if len(block.loss)]
    assert len(learned) == STEPS - WARMUP + 1
    np.testing.assert_array_equal([block.replay_slots[0] for block in learned], slots)
    np.testing.assert_array_equal([block.loss[0] for block in learned], np.float32(losses))
    for mine, naive in zip(trainer.agent.online_net.parameters(), weights, strict=True):
        assert torch.equal(mine, naive)
