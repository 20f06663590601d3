"""TD arithmetic on numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch

from dqn_core import td

# Two actions, three transitions: an ordinary one, a terminated one, and a diverged terminated one.
TARGET_Q = torch.tensor([[1.0, 3.0], [5.0, 2.0], [float("inf"), 0.0]])
ONLINE_Q = torch.tensor([[9.0, 0.0], [0.0, 9.0], [0.0, 1.0]])
REWARD = torch.tensor([2.0, -1.0, 4.0])
TERMINATED = torch.tensor([False, True, True])


def test_max_value_is_the_largest_target_value_of_each_row():
    assert td.max_value(TARGET_Q).tolist() == [3.0, 5.0, float("inf")]


def test_double_value_is_chosen_online_and_valued_by_the_target():
    # Online prefers actions 0, 1, 1; the target values those at 1, 2, 0.
    assert td.double_value(TARGET_Q, ONLINE_Q).tolist() == [1.0, 2.0, 0.0]


def test_td_target_discounts_and_masks_terminated_rows():
    # 2 + 0.5 * 3 = 3.5; terminated rows keep the reward alone, even next to an infinite value.
    target = td.td_target(REWARD, TERMINATED, td.max_value(TARGET_Q), 0.5)
    assert target.tolist() == [3.5, -1.0, 4.0]


def test_td_target_refuses_shapes_that_would_broadcast():
    with pytest.raises(ValueError, match=r"one shape \[B\], got reward \(3, 1\)"):
        td.td_target(REWARD[:, None], TERMINATED, td.max_value(TARGET_Q), 0.5)


def test_td_error_is_target_minus_the_value_of_the_action_taken():
    error = td.td_error(ONLINE_Q, torch.tensor([0, 0, 1]), torch.tensor([3.5, -1.0, 4.0]))
    assert error.tolist() == [-5.5, -1.0, 3.0]


def test_huber_is_quadratic_within_one_and_linear_beyond():
    # 0.5 * 0.25 = 0.125 within; |-3| - 0.5 = 2.5 beyond; mean of both 1.3125.
    assert td.loss(torch.tensor([0.5, -3.0]), "huber").item() == 1.3125


def test_mse_is_half_the_mean_square():
    # Half of 0.25 and half of 9, then the mean of both.
    assert td.loss(torch.tensor([0.5, -3.0]), "mse").item() == 2.3125


def test_each_batch_of_a_block_is_averaged_by_itself():
    errors = torch.tensor([[0.5, -3.0], [0.0, 0.0]])
    assert td.loss(errors, "huber").tolist() == [1.3125, 0.0]


def test_clip_reward_clips_sums_not_signs():
    rewards = torch.tensor([-7.0, -0.5, 0.0, 2.0])
    assert td.clip_reward(rewards).tolist() == [-1.0, -0.5, 0.0, 1.0]


def test_loss_weight_is_one_share_of_the_batch_at_the_actions_taken():
    weight = td.loss_weight(torch.tensor([1, 0, 2, 1]), 3, 2)  # two batches of two
    assert weight.tolist() == [[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0.5], [0, 0.5, 0]]


def test_loss_gradient_by_hand():
    # Targets 3.5 and 9.5 for Q-values 9 and 9: slope 5.5 clipped to 1, and -0.5; halved.
    q, target = ONLINE_Q[:2], torch.tensor([[3.5], [9.5]])
    weight = td.loss_weight(torch.tensor([0, 1]), 2, 2)
    assert td.loss_gradient(q, target, weight, "huber").tolist() == [[0.5, 0.0], [0.0, -0.25]]
    assert td.loss_gradient(q, target, weight, "mse").tolist() == [[2.75, 0.0], [0.0, -0.25]]


def test_loss_gradient_refuses_shapes_that_would_broadcast():
    weight = td.loss_weight(torch.tensor([0, 1]), 2, 2)
    for target in (torch.zeros(2), torch.zeros(1, 1), torch.zeros(1, 2)):
        with pytest.raises(ValueError, match=r"expected q \[B, A\], target \[B, 1\]"):
            td.loss_gradient(ONLINE_Q[:2], target, weight, "huber")


@pytest.mark.parametrize("name", ["huber", "mse"])
def test_loss_gradient_is_that_of_autograd(name):
    generator = torch.Generator().manual_seed(0)  # a generator of the test's own
    q = (4 * torch.randn(64, 3, generator=generator)).requires_grad_()
    action = torch.randint(0, 3, (64,), generator=generator)
    target = 4 * torch.randn(64, generator=generator)
    error = td.td_error(q, action, target)
    td.loss(error, name).backward()
    weight = td.loss_weight(action, 3, len(action))
    written = td.loss_gradient(q.detach(), target[:, None], weight, name)
    torch.testing.assert_close(written, q.grad, rtol=1e-6, atol=1e-8)


def test_duplicating_every_row_leaves_the_gradient_of_a_row_halved_and_their_sum_unchanged():
    q, target, action = ONLINE_Q[:2], torch.tensor([[9.25], [8.5]]), torch.tensor([0, 1])
    once = td.loss_gradient(q, target, td.loss_weight(action, 2, 2), "huber")
    weight = td.loss_weight(action.repeat(2), 2, 4)
    twice = td.loss_gradient(q.repeat(2, 1), target.repeat(2, 1), weight, "huber")
    assert once.count_nonzero() == 2
    assert torch.equal(twice[:2] + twice[2:], once)
