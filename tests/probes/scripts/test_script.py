"""A script, untouched: faults planted in it are read off, and what does not train is told plainly.

`SCRIPTS=every` (`make scripts`) plants every fault; the ordinary tests a sample of them.
"""

from __future__ import annotations

import os

import pytest

from probes.__main__ import main
from probes.recordings.facts import Facts
from probes.recordings.judging import JUDGED, judged
from probes.recordings.reading_world import reading_world
from probes.recordings.readings import readings
from probes.scripts.observed import Plan, Script, observe
from reports.schema import FindingStatus
from tests.probes.scripts.specimens import ARGUMENTS, CONSTANTS, OWN

EVERY = os.environ.get("SCRIPTS") == "every"

# Edits of the specimen, and what gives each away.
FAULTS = {
    "mask-missing": (
        "* (1 - batch[\"terminated\"])", "",
        ("weight of the next value", "0.98 where it is terminated"),
        "td.terminal-masks-and-time-limits-bootstrap",
    ),
    "limit-taken-for-an-end": (
        "reward[i], terminated[i])", "reward[i], terminated[i] or truncated[i])",
        ("weight of the next value", "0 where it is truncated"),
        "termination.time-limit-is-no-end",
    ),
    "online-bootstrap": (
        "best = target(", "best = online(", ("networks", "next values are its own"),
        "td.bootstraps-from-target",
    ),
    "minimum": (
        ".max(dim=1)", ".min(dim=1)", ("next value", "the least of all actions"),
        "loss.aims-at-target",
    ),
    "next-episode-stored": (
        "last = info[\"final_obs\"][i] if terminated[i] or truncated[i] else next_obs[i]",
        "last = next_obs[i]", ("next value", "the largest of the target network"),
        "termination.final-observation-kept",
    ),
    "losses-summed": (
        "smooth_l1_loss(value, goal)", "smooth_l1_loss(value, goal, reduction='sum')",
        ("loss", "summed Huber"), "loss.averages-over-rows",
    ),
    "target-drawn-by-itself": (
        "target = copy.deepcopy(online)",
        "target = nn.Sequential(nn.Linear(size, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), "
        "nn.Linear(64, actions))", ("target network", "copied every 20"), "target.begins-as-online",
    ),
    "weights-decay": (
        "torch.optim.Adam(online.parameters(),",
        "torch.optim.AdamW(online.parameters(), weight_decay=0.1,",
        ("optimizer", "weight_decay 0.1"), "optimizer.still-without-a-gradient",
    ),
    "optimizer-made-anew": (
        "        optimizer.zero_grad()\n",
        "        optimizer = torch.optim.Adam(online.parameters(), lr=args.learning_rate)\n"
        "        optimizer.zero_grad()\n", ("optimizer", "Adam"), "optimizer.remembers",
    ),
    "actions-of-the-row-before": (
        "row = (obs[i], last, chosen[i],", "row = (obs[i], last, chosen[i - 1],",
        ("observations recognised", "100"), "replay.transitions-are-real",
    ),
    "part-of-it-synced": (
        "target.load_state_dict(online.state_dict())",
        "target[4].load_state_dict(online[4].state_dict())",
        ("target network", "went elsewhere"), "target.moves-on-sync-only",
    ),
    "dropout-where-it-acts": (
        "nn.ReLU(), nn.Linear(64, 64)", "nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 64)",
        ("observations recognised", "100"), "network.values-are-of-one-row",
    ),
    "both-networks-optimized": (
        "Adam(online.parameters(),", "Adam([*online.parameters(), *target.parameters()],",
        ("optimizer", "Adam"), "optimizer.holds-online-only",
    ),
    "rate-fades": (
        "        updates += 1\n",
        "        updates += 1\n        optimizer.param_groups[0][\"lr\"] *= 0.99\n",
        ("optimizer", " to "), "optimizer.rate-stays-to-the-end",
    ),
    "environments-mixed": (
        "row = (obs[i], last,", "row = (obs[1 - i], last,",
        ("observations recognised", "100"), "replay.environments-stay-apart",
    ),
    "one-random-action": (
        "rng.integers(actions) if", "0 if",
        ("observations recognised", "100"), "exploration.random-while-warming-up",
    ),
    "least-value-taken": (
        ".argmax())", ".argmin())",
        ("observations recognised", "100"), "exploration.greedy-when-epsilon-is-zero",
    ),
    "all-actions-trained": (
        ".gather(1, batch[\"action\"][:, None])[:, 0]", ".mean(dim=1)",
        ("observations recognised", "100"), "loss.reaches-actions-taken-alone",
    ),
    # A constant of another value is no fault; the table shows it.
    "discount-squared": (
        "args.gamma * best", "args.gamma**2 * best",
        ("weight of the next value", "0.9604 where it goes on"), "",
    ),
    "never-synced": (
        "updates % args.sync_period == 0", "updates < 0", ("target network", "did not move"), "",
    ),
    "rewards-clipped": (
        "batch[\"reward\"] +", "batch[\"reward\"].clamp(-1, 1) +",
        ("rewards are learned", "3 as 1"), "",
    ),
}  # fmt: skip
SAMPLE = ("mask-missing", "actions-of-the-row-before", "rewards-clipped")


@pytest.mark.parametrize("name", FAULTS if EVERY else SAMPLE)
def test_a_planted_fault_is_read_off(name, tmp_path):
    old, new, (line, words), code = FAULTS[name]
    text = ARGUMENTS.read_text("utf-8")
    assert text.count(old) == 1
    script = tmp_path / "mine" / "train.py"
    script.parent.mkdir()
    script.write_text(text.replace(old, new))
    recording = observe(Script(script, OWN), Plan(600, 120, reading_world()), tmp_path / "seen")
    facts = Facts(recording)
    found = {reading.name: reading.found for reading in readings(facts)}
    assert words in found[line], found
    red = {one.check for one in judged(facts, recording) if one.status is FindingStatus.RED}
    assert code in red if code else not red, red


@pytest.mark.parametrize(
    "code", ["termination.resets-after-every-end", "termination.no-dead-steps"]
)
def test_playing_on_after_a_limit_is_seen(played_on, code):
    assert code in played_on


@pytest.fixture(scope="module")
def played_on(tmp_path_factory) -> set[str]:
    """What is red of a script that resets where the task has ended, and only there."""
    folder = tmp_path_factory.mktemp("played")
    script = folder / "mine" / "train.py"
    script.parent.mkdir()
    text = CONSTANTS.read_text("utf-8")
    assert text.count("if terminated or truncated else") == 1
    script.write_text(text.replace("if terminated or truncated else", "if terminated else"))
    recording = observe(Script(script), Plan(600, 120, reading_world()), folder / "seen")
    found = judged(Facts(recording), recording)
    return {one.check for one in found if one.status is FindingStatus.RED}


def test_every_check_of_recordings_has_a_fault_that_turns_it_red():
    planted = {code for *_, code in FAULTS.values()}
    played = {"termination.resets-after-every-end", "termination.no-dead-steps"}
    masks = {"loss.ignores-values-after-an-end"}  # red with the mask that is missing
    assert JUDGED.keys() == (planted - {""}) | played | masks


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("print('hello')", 4, "none was made"),
        ("import gymnasium\nenv = gymnasium.make('CartPole-v1')\nenv.reset()\n1 / 0", 4,
         "train.py broke at train.py:4: ZeroDivisionError"),
        ("import sys\nsys.exit('no data here')", 4, "none was made"),
        ("import os\nos.abort()", 4, "it was ended by SIGABRT"),
        ("input('name? ')", 4, "train.py broke at train.py:1: EOFError"),
    ],
)  # fmt: skip
def test_what_does_not_train_is_told_in_a_sentence(tmp_path, called, text, code, words):
    (tmp_path / "train.py").write_text(text)
    ended, out, errors = called(main, "script", str(tmp_path / "train.py"))
    assert ended == code, out + errors
    assert words in out + errors
    assert "observer" not in out + errors
