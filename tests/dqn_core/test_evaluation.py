"""Evaluation: without a trace on training, by its own stream and epsilon."""

from __future__ import annotations

from dqn_core.evaluation import evaluate
from tests.dqn_core.small import equal, run, small, trainer


def test_evaluation_leaves_no_trace_on_training():
    plain, _ = run(small())
    made = trainer(small())
    for index, block in enumerate(made.blocks()):
        assert equal(block, plain[index])
        if block.step % 80 == 0:
            returns = evaluate(made, index)
            assert returns.shape == (2,)
            assert (returns >= 8).all()
    assert made.finished


def test_evaluation_follows_its_stream_and_its_epsilon():
    made = trainer(
        small(evaluation={"episodes": 6, "num_envs": 3, "epsilon": 1.0, "rolling_episodes": 6})
    )
    assert evaluate(made, 1).tolist() == evaluate(made, 1).tolist()
    assert evaluate(made, 1).tolist() != evaluate(made, 2).tolist()
    greedy = trainer(
        small(evaluation={"episodes": 6, "num_envs": 3, "epsilon": 0.0, "rolling_episodes": 6})
    )
    for p in greedy.agent.online_net.parameters():
        p.data.zero_()
    # All values equal: the first action always, and the pole falls within eleven steps.
    assert evaluate(greedy, 1).max() <= 11


def test_each_environment_plays_its_share_of_an_evaluation():
    """The second episodes are among the returns, though some first ones end after them."""
    everything = {"epsilon": 1.0, "rolling_episodes": 4}
    one_each = evaluate(trainer(small(evaluation=everything | {"episodes": 4, "num_envs": 4})), 0)
    two_each = evaluate(trainer(small(evaluation=everything | {"episodes": 8, "num_envs": 4})), 0)
    assert two_each.reshape(4, 2)[:, 0].tolist() == one_each.tolist()
