"""Faults planted in the scripts of ours, each an edit or two, and what gives it away."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from tests.probes.scripts.specimens import ARGUMENTS, CONSTANTS, FRAMES, MODULES


class Planted(NamedTuple):
    """A fault in a script.

    Attributes:
        edits: file, what stands there once, and what takes its place.
        line: of the table, that shows it.
        words: in that line.
        code: of the check that is red; "" for a choice, which is told and not judged.
    """

    edits: tuple[tuple[str, str, str], ...]
    line: str
    words: str
    code: str


def planted(script: Path, fault: Planted, folder: Path) -> Path:
    """A copy of a script's folder with a fault in it; the script there."""
    if script.parent == ARGUMENTS.parent:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy2(script, folder / script.name)
    else:
        shutil.copytree(script.parent, folder)
    for name, old, new in fault.edits:
        text = (folder / name).read_text("utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        (folder / name).write_text(text.replace(old, new), "utf-8")
    return folder / script.name


def _of(name: str, entries: dict[str, tuple[str, str, str, str, str]]) -> dict[str, Planted]:
    return {
        fault: Planted(((name, old, new),), line, words, code)
        for fault, (old, new, line, words, code) in entries.items()
    }


SEEN = ("observations recognised", "100")
_ARGUMENTS = _of("arguments.py", {
    "mask-missing": (
        '* (1 - batch["terminated"])', "", "weight of the next value",
        "0.98 where it is terminated", "td.terminal-masks-and-time-limits-bootstrap",
    ),
    "limit-taken-for-an-end": (
        "reward[i], terminated[i])", "reward[i], terminated[i] or truncated[i])",
        "weight of the next value", "0 where it is truncated", "termination.time-limit-is-no-end",
    ),
    "online-bootstrap": (
        "best = target(", "best = online(", "networks", "next values are its own",
        "td.bootstraps-from-target",
    ),
    "minimum": (
        ".max(dim=1)", ".min(dim=1)", "next value", "the least of all actions",
        "loss.aims-at-target",
    ),
    "next-episode-stored": (
        'last = info["final_obs"][i] if terminated[i] or truncated[i] else next_obs[i]',
        "last = next_obs[i]", "next value", "the largest of the target network",
        "termination.final-observation-kept",
    ),
    "losses-summed": (
        "smooth_l1_loss(value, goal)", "smooth_l1_loss(value, goal, reduction='sum')",
        "loss", "summed Huber", "loss.averages-over-rows",
    ),
    "target-drawn-by-itself": (
        "target = copy.deepcopy(online)",
        "target = nn.Sequential(nn.Linear(size, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), "
        "nn.Linear(64, actions))", "target network", "copied every 20", "target.begins-as-online",
    ),
    "weights-decay": (
        "torch.optim.Adam(online.parameters(),",
        "torch.optim.AdamW(online.parameters(), weight_decay=0.1,",
        "optimizer", "weight_decay 0.1", "optimizer.still-without-a-gradient",
    ),
    "optimizer-made-anew": (
        "        optimizer.zero_grad()\n",
        "        optimizer = torch.optim.Adam(online.parameters(), lr=args.learning_rate)\n"
        "        optimizer.zero_grad()\n", "optimizer", "Adam", "optimizer.remembers",
    ),
    "actions-of-the-row-before": (
        "row = (obs[i], last, chosen[i],", "row = (obs[i], last, chosen[i - 1],", *SEEN,
        "replay.transitions-are-real",
    ),
    "part-of-it-synced": (
        "target.load_state_dict(online.state_dict())",
        "target[4].load_state_dict(online[4].state_dict())",
        "target network", "went elsewhere", "target.moves-on-sync-only",
    ),
    "dropout-where-it-acts": (
        "nn.ReLU(), nn.Linear(64, 64)", "nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 64)", *SEEN,
        "network.values-are-of-one-row",
    ),
    "both-networks-optimized": (
        "Adam(online.parameters(),", "Adam([*online.parameters(), *target.parameters()],",
        "optimizer", "Adam", "optimizer.holds-online-only",
    ),
    "rate-fades": (
        "        updates += 1\n",
        '        updates += 1\n        optimizer.param_groups[0]["lr"] *= 0.99\n',
        "optimizer", " to ", "optimizer.rate-stays-to-the-end",
    ),
    "environments-mixed": (
        "row = (obs[i], last,", "row = (obs[1 - i], last,", *SEEN,
        "replay.environments-stay-apart",
    ),
    "one-random-action": (
        "rng.integers(actions) if", "0 if", *SEEN, "exploration.random-while-warming-up",
    ),
    "least-value-taken": (
        ".argmax())", ".argmin())", *SEEN, "exploration.greedy-when-epsilon-is-zero",
    ),
    "all-actions-trained": (
        '.gather(1, batch["action"][:, None])[:, 0]', ".mean(dim=1)", *SEEN,
        "loss.reaches-actions-taken-alone",
    ),
    "targets-of-the-whole-batch": (
        ')[:, 0]\n        loss = nn.functional.smooth_l1_loss(value, goal)',
        ')\n        loss = ((value - goal) ** 2).mean()', *SEEN, "loss.rows-are-independent",
    ),
    "errors-clipped-away": (
        "nn.functional.smooth_l1_loss(value, goal)",
        "0.5 * ((value - goal).clamp(-1, 1) ** 2).mean()", "loss", "half the mean squared error",
        "loss.big-errors-count",
    ),
    "absolute-error": (
        "smooth_l1_loss(value, goal)", "l1_loss(value, goal)", "target", "not seen",
        "loss.small-errors-count-less",
    ),
    "rewards-are-whole": (
        '"reward": np.zeros(args.capacity, np.float32)', '"reward": np.zeros(args.capacity, int)',
        "rewards are learned", "0.25 as 0", "replay.values-survive",
    ),
    "newest-left-out": (
        "places = rng.integers(min(stored, args.capacity), size=args.batch_size)",
        "places = rng.integers(min(stored, args.capacity) // 2, size=args.batch_size)",
        "replay memory", "steps old", "replay.uniform",
    ),
    "first-rows-kept": (
        "column[stored % args.capacity] = value", "column[min(stored, args.capacity - 1)] = value",
        "replay memory", "steps old", "replay.exactly-the-recent",
    ),
    "explores-more-and-more": (
        "max(0.05, 1.0 - steps / args.epsilon_decay_steps)",
        "min(1.0, 0.05 + steps / args.epsilon_decay_steps)", *SEEN,
        "exploration.follows-the-schedule.1-env",
    ),
    "one-seed-for-all": (
        "envs.reset(seed=args.seed)", "envs.reset(seed=[args.seed] * args.num_envs)", *SEEN,
        "seeding.environments-differ",
    ),
    "observations-scaled-in-place": (
        "lambda: gym.make(args.env_id)", "lambda: Halved(gym.make(args.env_id))", *SEEN,
        "replay.observations-left-alone",
    ),
    # A constant of another value is no fault; the table shows it.
    "discount-squared": (
        "args.gamma * best", "args.gamma**2 * best", "weight of the next value",
        "0.9604 where it goes on", "",
    ),
    "never-synced": (
        "updates % args.sync_period == 0", "updates < 0", "target network", "did not move", "",
    ),
    "rewards-clipped": (
        'batch["reward"] +', 'batch["reward"].clamp(-1, 1) +', "rewards are learned",
        "clipped to [-1, 1]", "",
    ),
    "averaged-over-actions": (
        '.gather(1, batch["action"][:, None])[:, 0]\n'
        "        loss = nn.functional.smooth_l1_loss(value, goal)",
        "\n        wanted = value.detach().clone()\n"
        '        wanted[torch.arange(len(goal)), batch["action"]] = goal\n'
        "        loss = nn.functional.mse_loss(value, wanted)",
        "loss", "half the mean squared error", "",
    ),
    "knee-elsewhere": (
        "smooth_l1_loss(value, goal)", "huber_loss(value, goal, delta=0.5)", "loss",
        "Huber, with a knee at 0.5", "",
    ),
})  # fmt: skip
_ARGUMENTS["observations-scaled-in-place"] = _ARGUMENTS["observations-scaled-in-place"]._replace(
    edits=(
        *_ARGUMENTS["observations-scaled-in-place"].edits,
        (
            "arguments.py", "def main() -> None:",
            "class Halved(gym.Wrapper):\n"
            "    def step(self, action):\n"
            "        found = self.env.step(action)\n"
            "        found[0][:] *= 0.5\n"
            "        return found\n\n\n"
            "def main() -> None:",
        ),
    )
)  # fmt: skip
_CONSTANTS = _of("constants.py", {
    "mask-missing": (
        "torch.where(terminated, 0.0, following)", "following", "weight of the next value",
        "0.95 where it is terminated", "loss.ignores-values-after-an-end",
    ),
    "mask-the-wrong-way-round": (
        "torch.where(terminated, 0.0, following)", "torch.where(terminated, following, 0.0)",
        "weight of the next value", "0 where it goes on",
        "td.terminal-masks-and-time-limits-bootstrap",
    ),
    "limit-taken-for-an-end": (
        "next_obs, terminated))", "next_obs, terminated or truncated))",
        "weight of the next value", "0 where it is truncated", "termination.time-limit-is-no-end",
    ),
    "double-exchanged": (
        "        choice = online.values(next_obs).argmax(dim=1, keepdim=True)\n"
        "        following = target.values(next_obs).gather(1, choice)[:, 0]\n",
        "        choice = target.values(next_obs).argmax(dim=1, keepdim=True)\n"
        "        following = online.values(next_obs).gather(1, choice)[:, 0]\n",
        "next value", "exchanged", "td.double-closed-form",
    ),
    "gradient-through-the-target": (
        "    with torch.no_grad():\n"
        "        choice = online.values(next_obs).argmax(dim=1, keepdim=True)\n"
        "        following = target.values(next_obs).gather(1, choice)[:, 0]\n",
        "    if True:\n"
        "        choice = target.values(next_obs).argmax(dim=1, keepdim=True)\n"
        "        following = online.values(next_obs).gather(1, choice)[:, 0]\n",
        *SEEN, "loss.aims-at-double-target",
    ),
    "losses-summed": (
        "** 2).mean()", "** 2).sum()", "loss", "half the summed squared error",
        "loss.averages-over-rows",
    ),
    "nothing-reset-at-limits": (
        "if terminated or truncated else", "if terminated else", *SEEN,
        "termination.resets-after-every-end",
    ),
    "dead-steps": (
        "    memory.append((obs,", "    if len(memory) and memory[-1][4]:\n"
        "        memory.append((memory[-1][3], chosen, 0.0, obs, False))\n"
        "    memory.append((obs,", *SEEN, "termination.no-dead-steps",
    ),
    "target-shares-its-weights": (
        "target = copy.deepcopy(online)",
        "target = copy.deepcopy(online)\n"
        "for mine, its in zip(target.parameters(), online.parameters(), strict=True):\n"
        "    mine.data = its.data", "target network", "", "target.separate-storage",
    ),
    "output-is-rectified": (
        "return self.last(self.hidden(obs))", "return self.last(self.hidden(obs)).relu()", *SEEN,
        "network.output-is-unbounded",
    ),
    "another-action-beside": (
        "random.randrange(env.action_space.n)", "random.randrange(env.action_space.n + 1)",
        "environment", "CartPole",
        "exploration.actions-in-the-space",
    ),
    "no-seed-for-the-environment": (
        "obs, _ = env.reset(seed=SEED)", "obs, _ = env.reset()", *SEEN,
        "seeding.environments-are-seeded",
    ),
    "each-episode-the-same": (
        "env.reset()[0] if", "env.reset(seed=SEED)[0] if", *SEEN,
        "seeding.episodes-start-differently",
    ),
    "newest-never-drawn": (
        "random.sample(memory, BATCH)",
        "random.sample(list(memory)[: max(BATCH, len(memory) * 3 // 4)], BATCH)",
        "replay memory", "steps old", "replay.exactly-the-recent",
    ),
    "least-value-taken": (
        "[None]).argmax())", "[None]).argmin())", *SEEN,
        "exploration.greedy-when-epsilon-is-zero",
    ),
    "mean-of-the-next-values": (
        "target.values(next_obs).gather(1, choice)[:, 0]", "target.values(next_obs).mean(dim=1)",
        "next value", "the mean of all actions", "loss.aims-at-target",
    ),
})  # fmt: skip
_MODULES = _of("train.py", {
    "mask-missing": (
        " * ~terminated", "", "weight of the next value", "where it is terminated",
        "td.terminal-masks-and-time-limits-bootstrap",
    ),
    "limit-taken-for-an-end": (
        "next_obs, terminated, ended)", "next_obs, ended, ended)", "weight of the next value",
        "0 where it is truncated", "termination.time-limit-is-no-end",
    ),
    "one-discount-for-all-lengths": (
        "total + discount * following", "total + self.gamma * following",
        "weight of the next value", "0.9 where it goes on after 3 steps",
        "td.terminal-masks-and-time-limits-bootstrap",
    ),
    "online-bootstrap": (
        "following = self.target(", "following = self.online(", "networks",
        "next values are its own", "td.bootstraps-from-target",
    ),
    "both-networks-optimized": (
        "RMSprop(self.online.parameters(),",
        "RMSprop([*self.online.parameters(), *self.target.parameters()],", "optimizer", "RMSprop",
        "optimizer.holds-online-only",
    ),
    "losses-summed": (
        "mse_loss(value, goal.float())", "mse_loss(value, goal.float(), reduction='sum')",
        "loss", "summed squared error", "loss.averages-over-rows",
    ),
    "target-drawn-by-itself": (
        "        self.target.load_state_dict(self.online.state_dict())\n"
        "        self.optimizer = ", "        self.optimizer = ", *SEEN, "target.begins-as-online",
    ),
    "one-layer-synced": (
        "            self.target.load_state_dict(self.online.state_dict())\n\n\n",
        "            self.target.value.load_state_dict(self.online.value.state_dict())\n\n\n",
        "target network", "went elsewhere", "target.moves-on-sync-only",
    ),
    "weights-decay": (
        "alpha=0.95, eps=1e-5)", "alpha=0.95, eps=1e-5, weight_decay=0.01)", "optimizer",
        "weight_decay 0.01", "optimizer.still-without-a-gradient",
    ),
    "rate-fades": (
        "        self.updates += 1\n", "        self.updates += 1\n"
        '        self.optimizer.param_groups[0]["lr"] *= 0.995\n', "optimizer", " to ",
        "optimizer.rate-stays-to-the-end",
    ),
    "targets-of-the-whole-batch": (
        ".gather(1, action[:, None]).squeeze(1)\n"
        "        loss = nn.functional.mse_loss(value, goal.float())",
        ".gather(1, action[:, None])\n        loss = ((value - goal.float()) ** 2).mean()", *SEEN,
        "loss.rows-are-independent",
    ),
    "all-actions-trained": (
        ".gather(1, action[:, None]).squeeze(1)", ".mean(dim=1)", *SEEN,
        "loss.reaches-actions-taken-alone",
    ),
})  # fmt: skip
_MODULES |= _of("memory.py", {
    "first-action-lost": (
        "self.waiting.append((obs, action, reward))",
        "self.waiting.append((obs, action * 0, reward))", *SEEN, "replay.transitions-are-real",
    ),
    "half-of-it-drawn": (
        "len(self.rows), size", "len(self.rows) // 2 + 1, size", "replay memory", "steps old",
        "replay.uniform",
    ),
    "rewards-not-discounted": (
        "self.gamma**i * row[2]", "row[2]", "weights of the rewards", "1, 1, 1",
        "td.terminal-masks-and-time-limits-bootstrap",
    ),
})  # fmt: skip
_FRAMES = _of("frames.py", {
    "three-frames-a-step": (
        "skip: int = 4", "skip: int = 3", "frames of a step", "3", "frames.skip",
    ),
    "last-frame-alone": (
        "deque(maxlen=2)", "deque(maxlen=1)", "a picture is", "one frame alone",
        "frames.two-frame-maximum",
    ),
    "red-alone": (
        "[0.299, 0.587, 0.114]", "[1.0, 0.0, 0.0]", "colours", "red 1.00, green 0.00",
        "frames.luminance",
    ),
    "greys-wrap-around": (
        ".byte().numpy()", ".mul(1.5).long().remainder(256).byte().numpy()", "colours", "red",
        "frames.order-of-grey-levels",
    ),
    "frames-clipped": (
        "total += float(reward)", "total += float(np.clip(reward, -1, 1))", "rewards are learned",
        "each clipped", "frames.clipped-after-the-sum",
    ),
    "last-reward-alone": (
        "total += float(reward)", "total = float(reward)", "rewards are learned",
        "of that of their last frame", "frames.reward-summed-over-skip",
    ),
    "scaled-twice": (
        "stack.float() / 255.0", "stack.float() / 255.0 / 255.0",
        "white reaches the first layer as", "0.00392", "frames.scaled-once",
    ),
    "stack-from-before": (
        "            obs, _ = env.reset()\n            stack = np.stack([obs] * 4)",
        "            obs, _ = env.reset()\n            stack = np.concatenate([stack[1:], "
        "obs[None]])", *SEEN, "frames.first-stack",
    ),
    "frames-in-wrong-places": (
        "after = np.concatenate([stack[1:], obs[None]])",
        "after = np.concatenate([stack[:3], obs[None]])", *SEEN, "frames.stack-spans-steps",
    ),
    "acts-on-the-stack-before": (
        "online(torch.from_numpy(stack)[None])",
        "online(torch.from_numpy(memory[-1][0])[None])", *SEEN,
        "frames.acts-on-what-it-was-shown",
    ),
    "pixels-torn-apart": (
        "self.layers(stack.float() / 255.0)",
        "self.layers(stack.permute(0, 2, 3, 1).reshape(stack.shape).float() / 255.0)", *SEEN,
        "frames.neighbours-stay-neighbours",
    ),
    "no-noops": (
        "range(int(self.np_random.integers(1, self.noops + 1)))", "range(0)",
        "no-ops at the start", "0 to", "frames.no-op-start",
    ),
    "life-taken-for-the-game": (
        "self.over = terminated or truncated\n",
        'self.over = terminated or truncated or info["lives"] < self.lives\n', *SEEN,
        "lives.loss-ends-no-game",
    ),
    "pressed-for-one-frame": (
        "self.env.step(action)", "self.env.step(0 if frames else action)", *SEEN,
        "frames.actions-reach-the-game",
    ),
    "some-stored-upside-down": (
        "memory.append((stack, action,",
        "memory.append((stack if step % 25 else stack[:, ::-1], action,",
        "observations recognised", "", "replay.frames-are-those-shown",
    ),
    "limit-taken-for-an-end": (
        "after, terminated))", "after, terminated or truncated))", "weight of the next value",
        "0 where it is truncated", "lives.limit-truncates",
    ),
})  # fmt: skip
_FRAMES["never-fires"] = Planted(
    (
        ("frames.py", "self.env.step(1)", "self.env.step(2)"),
        ("frames.py", "self.env.step(action)", "self.env.step(max(action, 2))"),
    ),
    *SEEN, "frames.fire",
)  # fmt: skip

PLANTED: dict[Path, dict[str, Planted]] = {
    ARGUMENTS: _ARGUMENTS,
    CONSTANTS: _CONSTANTS,
    MODULES: _MODULES,
    FRAMES: _FRAMES,
}
