"""A DQN in a style of its own, in all the variants that traits declare, each right or with a fault.

    make(tau=0.005)             a correct one
    make("average-swapped", tau=0.005)    one with a fault of that variant

It offers what a user's file has: both networks, optimizer, update, sample, target values, epsilon.
"""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from probes.subject import EnvMaker, Settings, Subject, Transitions


class NoisyLinear(nn.Module):
    """Factorised noise (Fortunato et al. 2018, section 3), redrawn by `draw`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.mean = nn.Linear(inputs, outputs)
        self.sigma = nn.Parameter(torch.full((outputs, inputs), 0.3 / math.sqrt(inputs)))
        self.register_buffer("noise", torch.zeros(outputs, inputs))
        self.quiet = False

    def draw(self, generator: torch.Generator) -> None:
        rows, columns = self.noise.shape
        outer, inner = (torch.randn(size, generator=generator) for size in (rows, columns))
        outer, inner = (x.sign() * x.abs().sqrt() for x in (outer, inner))
        self.noise.copy_(torch.outer(outer, inner))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.mean.weight
        if not self.quiet:
            weight = weight + self.sigma * self.noise
        return functional.linear(x, weight, self.mean.bias)


class Network(nn.Module):
    def __init__(self, inputs: int, actions: int, options: dict[str, Any], fault: str) -> None:
        super().__init__()
        self.options, self.fault = options, fault
        width = options["hidden"]
        linear = NoisyLinear if options["noisy"] else nn.Linear
        layers: list[nn.Module] = []
        for size in (inputs, width):
            layers.append(nn.Linear(size, width))
            if options["batch_norm"]:
                layers.append(nn.BatchNorm1d(width))
            layers.append(nn.ReLU())
        self.body = nn.Sequential(*layers)
        self.advantage = linear(width, actions)
        self.value = linear(width, 1) if options["dueling"] else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.body(x)
        advantage = self.advantage(features)
        if self.value is None:
            return advantage
        if self.fault == "dueling-mean-not-subtracted":
            return self.value(features) + advantage
        if self.fault == "dueling-sum-subtracted":
            return self.value(features) + advantage - advantage.sum(1, keepdim=True)
        if self.fault == "dueling-mean-over-batch":
            return self.value(features) + advantage - advantage.mean()
        if self.fault == "dueling-maximum-detached-from-value":
            return self.value(features).mean() + advantage - advantage.mean(1, keepdim=True)
        return self.value(features) + advantage - advantage.mean(1, keepdim=True)

    def noisy_layers(self) -> list[NoisyLinear]:
        return [module for module in self.modules() if isinstance(module, NoisyLinear)]


OPTIONS: dict[str, Any] = {
    "tau": 1.0, "n_step": 1, "dueling": False, "noisy": False, "batch_norm": False,
    "reward_clip": 0.0, "reward_scale": 1.0, "double": None, "hidden": 64, "learning_rate": 0.0,
    "loss": "huber", "huber_knee": 1.0, "gradient_clip_norm": 0.0, "gradient_clip_value": 0.0,
    "priority_exponent": 0.0, "importance_exponent": 1.0, "epsilon_greedy": True,
    "reward_sign": False,
}  # fmt: skip
TRAITS = (
    "tau", "n_step", "noisy", "batch_norm", "reward_clip", "reward_scale", "double",
    "learning_rate", "dueling", "loss", "huber_knee", "gradient_clip_norm", "gradient_clip_value",
    "priority_exponent", "importance_exponent", "epsilon_greedy", "reward_sign",
)  # fmt: skip


class VariantDQN(Subject):
    max_envs = 1

    def __init__(
        self, make_env: EnvMaker, settings: Settings, options: dict[str, Any], fault: str
    ) -> None:
        self.env, self.settings, self.fault = make_env(), settings, fault
        self.options = options
        self.rng = np.random.default_rng([settings.seed, 7])
        self.noise = torch.Generator().manual_seed(settings.seed + 1)
        (inputs,) = self.env.observation_space.shape
        self.actions = int(self.env.action_space.n)
        with torch.random.fork_rng():
            torch.manual_seed(settings.seed)  # noqa: TID251
            self.online_net = Network(inputs, self.actions, options, fault)
        self.target_net = copy.deepcopy(self.online_net).eval()
        rate = options["learning_rate"] or settings.learning_rate
        self.optimizer = torch.optim.Adam(self.online_net.parameters(), rate)
        self.memory: deque[tuple[Any, ...]] = deque(maxlen=settings.capacity)
        self.priorities: deque[float] = deque(maxlen=settings.capacity)
        self.window: deque[tuple[Any, ...]] = deque()
        self.steps = self.updates = 0
        seed = int(self.rng.integers(2**31))
        self.obs = self.env.reset(seed=seed)[0].copy()

    def train(self, steps: int) -> None:
        for _ in range(steps):
            self.act()
            due = self.steps % self.settings.train_period_steps == 0
            if due and self.steps >= self.settings.warmup_steps:
                self.learn(*self.drawn(self.settings.batch_size))

    def act(self) -> None:
        if not self.options["epsilon_greedy"]:
            with torch.no_grad():  # by the noise of the last update
                action = int(self.online_net(torch.as_tensor(self.obs[None])).argmax())
        elif self.rng.random() < self.epsilon():
            action = int(self.rng.integers(self.actions))
        else:
            action = int(self.q_values(self.obs[None]).argmax())
        next_obs, reward, terminated, truncated, _ = self.env.step(action)
        next_obs = next_obs.copy()
        self.window.append((self.obs, action, self.learned(reward)))
        ended = terminated or truncated
        n = self.options["n_step"]
        while self.window and (ended or len(self.window) == n):
            gamma = self.settings.gamma
            power = 0 if self.fault == "rewards-not-discounted" else 1
            total = sum(gamma ** (power * i) * row[2] for i, row in enumerate(self.window))
            obs, first, _ = self.window.popleft()
            discount = gamma ** (len(self.window) + 1)
            if self.fault == "one-discount-for-all":
                discount = gamma
            if self.fault != "windows-lost-at-ends" or not self.window:
                self.memory.append((obs, first, total, next_obs, terminated, discount))
                self.priorities.append(max(self.priorities, default=1.0))
                if self.fault == "new-rows-last":
                    self.priorities[-1] = 1e-4
            if not ended:
                break
        self.obs = self.env.reset()[0].copy() if ended else next_obs
        self.steps += 1

    def learned(self, reward: float) -> float:
        if self.options["reward_sign"]:
            if self.fault == "losses-as-they-are" and reward < 0:
                return reward
            return (
                float(bool(reward)) if self.fault == "sign-of-the-size" else float(np.sign(reward))
            )
        most = self.options["reward_clip"] or math.inf
        if self.fault == "scaled-before-clipping":
            return min(max(reward * self.options["reward_scale"], -most), most)
        clipped = min(max(reward, -most), most)
        if self.fault == "only-gains-clipped":
            clipped = min(reward, most)
        if self.fault == "scaled-twice":
            clipped *= self.options["reward_scale"]
        return clipped * self.options["reward_scale"]

    def epsilon(self) -> float:
        s = self.settings
        share = (self.steps - s.warmup_steps) / s.epsilon_decay_steps
        if share < 0:
            return 1.0
        return s.epsilon_initial + min(1.0, share) * (s.epsilon_final - s.epsilon_initial)

    def drawn(self, size: int) -> tuple[Transitions, Any, Any, Any]:
        """Rows with their discounts, their weights and their places."""
        alpha, count = self.options["priority_exponent"], len(self.memory)
        if not alpha:
            places = self.rng.integers(count, size=size)
            weights = np.ones(size)
        else:
            shares = np.array(self.priorities) ** alpha
            shares /= shares.sum()
            places = self.rng.choice(count, size, p=shares)
            sign = 1 if self.fault == "weights-of-the-wrong-sign" else -1
            weights = (count * shares[places]) ** (sign * self.options["importance_exponent"])
            if self.fault != "weights-not-normalised":
                weights /= weights.max()
        columns = list(zip(*(self.memory[place] for place in places), strict=True))
        discount = np.array(columns.pop(), np.float32)
        return Transitions(*map(np.array, columns)), discount, weights, places

    def sample(self, size: int) -> Transitions:
        return self.drawn(size)[0]

    def weighted_sample(self, size: int) -> tuple[Transitions, np.ndarray]:
        rows, _, weights, _ = self.drawn(size)
        return rows, weights

    def update(self, transitions: Transitions) -> None:
        power = 1 if self.fault == "one-discount-for-all" else self.options["n_step"]
        self.learn(transitions, self.settings.gamma**power, 1.0, ())

    def learn(self, transitions: Transitions, discount: Any, weights: Any, places: Any) -> None:
        obs, action, reward, next_obs, terminated = map(torch.as_tensor, transitions)
        discount, weights = (
            torch.as_tensor(column, dtype=torch.float32) for column in (discount, weights)
        )
        if self.options["epsilon_greedy"]:
            self.draw_noise()
        self.online_net.train()
        with torch.no_grad():
            next_q = self.target_net(next_obs)
            double = self.options["double"]
            if self.settings.double if double is None else double:
                best = self.quietly(self.online_net, next_obs).argmax(1, keepdim=True)
            else:
                best = next_q.argmax(1, keepdim=True)
            next_value = next_q.gather(1, best).squeeze(1)
            target = reward.float() + discount * torch.where(terminated, 0.0, next_value)
            if self.fault == "targets-clipped":
                target = target.clamp(-1.0, 1.0)
        predicted = self.online_net(obs).gather(1, action[:, None]).squeeze(1)
        if self.fault == "weights-dropped":
            weights = torch.ones(())
        self.optimizer.zero_grad()
        (weights * self.losses(predicted, target.float())).mean().backward()
        if self.fault != "clipped-after-the-step":
            self.clip_gradients()
        self.optimizer.step()
        self.clip_gradients()
        if not self.options["epsilon_greedy"]:  # which acts with the noise that is drawn here
            self.draw_noise()
        self.updates += 1
        error = (target - predicted).detach().numpy()
        if self.fault != "priorities-not-updated":
            for place, size in zip(places, error, strict=bool(len(places))):
                signed = -size if self.fault == "priorities-of-signed-errors" else abs(size)
                self.priorities[place] = max(float(signed), 0.0) + 1e-3
        self.sync()

    def draw_noise(self) -> None:
        for net in (self.online_net, self.target_net):
            for layer in net.noisy_layers():
                if self.fault != "noise-drawn-once":
                    layer.draw(self.noise)

    def losses(self, predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        knee = self.options["huber_knee"] * (0.1 if self.fault == "knee-of-a-tenth" else 1.0)
        if self.fault == "absolute-error":
            return functional.l1_loss(predicted, target, reduction="none")
        square = self.options["loss"] == "mse"
        if square != (self.fault == "the-other-loss"):
            return functional.mse_loss(predicted, target, reduction="none")
        return functional.huber_loss(predicted, target, reduction="none", delta=knee)

    def clip_gradients(self) -> None:
        norm, value = (self.options[f"gradient_clip_{kind}"] for kind in ("norm", "value"))
        parameters = list(self.online_net.parameters())
        if self.fault == "norm-for-value":
            norm, value = value, norm
        if value:
            nn.utils.clip_grad_value_(parameters, value)
        groups = [[p] for p in parameters] if self.fault == "tensor-by-tensor" else [parameters]
        for group in groups if norm else ():
            nn.utils.clip_grad_norm_(group, norm)

    def sync(self) -> None:
        tau = self.options["tau"]
        if tau == 1.0:
            if self.updates % self.settings.sync_period_updates == 0:
                self.copy_weights()
            return
        if self.fault == "average-swapped":
            tau = 1 - tau
        if self.fault == "average-every-other-update" and self.updates % 2:
            return
        online, target = (dict(net.state_dict()) for net in (self.online_net, self.target_net))
        names = [name for name, _ in self.online_net.named_parameters()]
        if self.fault == "weights-averaged-biases-not":
            names = [name for name in names if "weight" in name]
        with torch.no_grad():
            for name in target:
                if name in names:
                    target[name].lerp_(online[name], tau)
                elif name not in dict(self.online_net.named_parameters()):
                    target[name].copy_(online[name])

    def copy_weights(self) -> None:
        state = self.online_net.state_dict()
        if self.fault == "statistics-not-synced":
            state = {k: v for k, v in state.items() if "running" not in k}
        self.target_net.load_state_dict(state, strict=False)

    @torch.no_grad()
    def quietly(self, net: Network, obs: torch.Tensor) -> torch.Tensor:
        training = net.training
        if self.fault != "statistics-of-the-batch-asked":
            net.eval()
        for layer in net.noisy_layers():
            layer.quiet = self.fault != "noise-where-asked"
            if not layer.quiet:
                layer.draw(self.noise)
        values = net(obs)
        for layer in net.noisy_layers():
            layer.quiet = False
        net.train(training)
        return values

    def q_values(self, obs: np.ndarray) -> np.ndarray:
        return self.quietly(self.online_net, torch.as_tensor(obs)).numpy()

    def target_values(self, obs: np.ndarray) -> np.ndarray:
        return self.quietly(self.target_net, torch.as_tensor(obs)).numpy()


def make(
    fault: str = "", *, declared: bool = True, **chosen: Any
) -> Callable[[EnvMaker, Settings], VariantDQN]:
    """A factory of one variant.

    Args:
        fault: of that variant, or "".
        declared: whether its traits are declared.
        chosen: options other than those of plain DQN.
    """
    options = OPTIONS | chosen
    traits = {name: value for name, value in chosen.items() if name in TRAITS}
    if "tau" in traits:
        traits["sync_period_updates"] = 1

    class Declared(VariantDQN):
        pass

    if declared:
        Declared.traits = traits  # type: ignore[attr-defined]
    return lambda make_env, settings: Declared(make_env, settings, options, fault)
