"""The optimizer: what it moves, how far, and what it remembers; and the network that it moves."""

from __future__ import annotations

import inspect
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from probes.checks.check import Check, Component
from probes.checks.support.testbed import Testbed
from probes.checks.support.variants import NOT_DECLARED
from probes.checks.support.white_box import (
    Vector,
    draw,
    flat,
    generator,
    gradient,
    kept,
    off,
    randomise,
    trained,
    update,
    white_box_trial,
    with_errors,
)
from probes.checks.target_network import shared_bytes
from probes.outcome import Outcome
from probes.properties.gradients import clipped_as_declared
from probes.properties.weights import constant_rate, still_without_gradient
from probes.subject import Unsupported

ROWS: Final = 32
LEARNING_RATE: Final = 7e-4  # no library's default

# Epsilon bounds the steps of small gradients. Usual are 1e-8 to 1.5e-4; gradients of a Q-network
# are often as small as 1e-3, and beyond that most steps would shrink with them.
LARGEST_EPSILON: Final = 1e-3
LARGEST_BETA1: Final = 0.99
SMALLEST_BETA2: Final = 0.9

UPDATES: Final = 12  # by hand
RUN_STEPS, RUN_LOOKS = 400, 10
SMALL: Final = 0.1  # TD errors whose gradients are shorter than what implementations clip

# How far, relative to its first step, an optimizer steps when it meets its first gradient again
# after `UPDATES` of the opposite one. A test works it out with torch's own: 1.7 for Adam, 6.2 for
# momentum, 0.6 or more for RMSProp, centred or not; zero for an optimizer made anew each time.
REMEMBERED: Final = 0.6 / 4

# With uniform weights within 10 / sqrt(fan in) values reach hundreds, in one draw up and in another
# down: all of one sign are as likely as a coin that falls 32 times on one side. Squashed ones
# reach one.
DRAWS: Final = 32
UNBOUNDED: Final = 2.0


def holds_online_only(testbed: Testbed) -> Outcome:
    """Counts how much memory of each parameter the optimizer's tensors cover."""
    subject = white_box_trial(testbed).subject
    held = [tensor for group in subject.optimizer.param_groups for tensor in group["params"]]

    def times(tensor: Tensor) -> float:
        return sum(shared_bytes(tensor, other) for other in held) / max(
            tensor.numel() * tensor.element_size(), 1
        )

    online = [times(parameter) for parameter in trained(subject.online_net)]
    target = [times(parameter) for parameter in subject.target_net.parameters()]
    return Outcome(
        holds=all(count == 1 for count in online) and not any(target),
        expected="every parameter of online_net once, and none of target_net",
        actual=f"{sum(count == 0 for count in online)} of {len(online)} of online_net left out, "
        f"{sum(count > 1 for count in online)} there twice; "
        f"{sum(count > 0 for count in target)} of {len(target)} of target_net held",
        compared=len(online) + len(target),
    )


def follows_the_settings(testbed: Testbed) -> Outcome:
    """Reads the optimizer's settings, fresh and after some updates."""
    due = testbed.traits.learning_rate or LEARNING_RATE
    trial = white_box_trial(testbed, learning_rate=LEARNING_RATE)
    optimizer = trial.subject.optimizer
    first = [_settings_text(group) for group in optimizer.param_groups]
    trial.train(trial.settings.warmup_steps + UPDATES)
    groups = trial.subject.optimizer.param_groups
    later = [_settings_text(group) for group in groups]
    wrong = [f"{a}, later {b}" for a, b in zip(first, later, strict=True) if a != b]
    for group in groups:
        sane = {"lr": float(group["lr"]) > 0}
        if isinstance(optimizer, torch.optim.Adam):
            beta1, beta2 = map(float, group["betas"])
            sane = {
                "lr": bool(np.isclose(float(group["lr"]), due, rtol=1e-6)),
                "eps": 0 <= group["eps"] <= LARGEST_EPSILON,
                "betas": 0 <= beta1 <= LARGEST_BETA1 and SMALLEST_BETA2 <= beta2 < 1,
            }
        wrong += [f"{name} {group[name]}" for name, is_sane in sane.items() if not is_sane]
    return Outcome(
        holds=not wrong,
        expected=f"a constant learning rate, for Adam {due} and epsilon at most {LARGEST_EPSILON}",
        actual=f"{type(optimizer).__name__} with " + "; ".join(wrong or first),
        compared=len(groups),
    )


def steps_as_configured(testbed: Testbed) -> Outcome:
    """Gives the gradients of some updates to torch's optimizer of that name and settings."""
    trial = white_box_trial(testbed, learning_rate=LEARNING_RATE, batch_size=ROWS)
    subject, rng = trial.subject, generator(testbed.seed)
    parameters = trained(subject.online_net)
    start = flat(parameters)
    copies = [parameter.detach().clone().requires_grad_() for parameter in parameters]
    twin = _twin(subject.optimizer, copies, testbed.traits.learning_rate or LEARNING_RATE)
    downhill = []
    for _ in range(UPDATES):
        before = flat(parameters)
        gradients = update(subject, with_errors(trial, draw(rng, ROWS), SMALL))
        downhill.append(float((flat(parameters) - before) @ flat(gradients)) < 0)
        for copy, found in zip(copies, gradients, strict=True):
            copy.grad = found
        if twin is not None:
            twin.step()
    kind = type(subject.optimizer).__name__
    if twin is None:  # not torch's: only the direction of its first step is known
        direction = "downhill" if downhill[0] else "not downhill"
        return Outcome(downhill[0], f"a first step of {kind} downhill", direction, len(start))
    # Made anew at each update, without its correction, or with another rate or epsilon, it ends up
    # a good part of the way off. Float32 and fused kernels err by less than a thousandth.
    distance = off(flat(parameters) - start, flat(copies) - start)
    return Outcome(
        holds=distance <= 0.02,
        expected=f"where torch's {type(twin).__name__} comes with the same gradients",
        actual=f"after {UPDATES} updates {distance:.1%} of the way off",
        compared=len(start),
    )


def remembers(testbed: Testbed) -> Outcome:
    """Repeats the first update after some of the opposite kind, from the same weights."""
    trial = white_box_trial(testbed, batch_size=ROWS)
    subject = trial.subject
    parameters = trained(subject.online_net)
    transitions = draw(generator(testbed.seed), ROWS)
    up, down = (with_errors(trial, transitions, error) for error in (1.0, -1.0))
    start = flat(parameters)

    def step() -> tuple[Vector, Vector]:
        with kept(subject.online_net):
            found = flat(update(subject, up))
            return flat(parameters) - start, found

    first, slope = step()
    for _ in range(UPDATES):
        gradient(subject, down)
    again, _ = step()
    distance = off(again, first)
    lengths = float(np.linalg.norm(first) * np.linalg.norm(slope))
    along = -float(first @ slope) / lengths if lengths else 0.0
    # Plain gradient descent has nothing to remember.
    plain = along > 0.999
    return Outcome(
        holds=distance >= REMEMBERED or plain,
        expected="another step for the same gradient, after others in between",
        actual="steps in proportion to the gradient: nothing to remember"
        if plain
        else f"a step that differs by {distance:.0%}",
        compared=len(start),
    )


def output_is_unbounded(testbed: Testbed) -> Outcome:
    """Draws large weights, and looks how far values go up and down."""
    trial = white_box_trial(testbed)
    rng = generator(testbed.seed)
    obs = draw(rng, ROWS).obs
    values = []
    with kept(trial.subject.online_net):
        for _ in range(DRAWS):
            randomise(trial.subject.online_net, rng, scale=10.0)
            values.append(trial.q_table(obs))
    low, high = float(np.min(values)), float(np.max(values))
    return Outcome(
        holds=low < -UNBOUNDED and high > UNBOUNDED,
        expected=f"values below {-UNBOUNDED} and above {UNBOUNDED} for large weights",
        actual=f"from {low:.2f} to {high:.2f}",
        compared=DRAWS,
    )


def still_without_a_gradient(testbed: Testbed) -> Outcome:
    """Lets a fresh optimizer make a step with gradients of zero."""
    optimizer = white_box_trial(testbed).subject.optimizer
    held = [tensor for group in optimizer.param_groups for tensor in group["params"]]
    before = flat(held)
    for tensor in held:
        tensor.grad = torch.zeros_like(tensor)
    optimizer.step()
    return still_without_gradient(before, flat(held))


def clips_as_declared(testbed: Testbed) -> Outcome:
    """Compares what the optimizer is given with what the loss gave, small gradients to huge."""
    norm, value = testbed.traits.gradient_clip_norm, testbed.traits.gradient_clip_value
    if not norm and not value:
        raise Unsupported(NOT_DECLARED)
    trial = white_box_trial(testbed, batch_size=ROWS)
    subject, parameters = trial.subject, trained(trial.subject.online_net)
    given, taken = [], []

    def note(*_: Any) -> None:
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        taken.append(flat(gradients))

    hook = subject.optimizer.register_step_pre_hook(note)
    transitions = draw(generator(testbed.seed), ROWS)
    for error, size in ((SMALL, 1.0), (10.0, 1.0), (10.0, 1e2), (10.0, 1e4), (10.0, 1e6)):
        shown = transitions._replace(obs=(size * transitions.obs).astype(np.float32))
        with kept(subject.online_net):
            given.append(flat(update(subject, with_errors(trial, shown, error))))
    hook.remove()
    if len(taken) != len(given):
        raise Unsupported("its optimizer does not take one step for an update")
    return clipped_as_declared(given, taken, norm, value)


def rate_stays_to_the_end(testbed: Testbed) -> Outcome:
    """Reads the learning rate from the start of a run to its end."""
    trial = white_box_trial(testbed, learning_rate=LEARNING_RATE, total_steps=RUN_STEPS)
    rates, steps = [], []
    for _ in range(RUN_LOOKS):
        trial.train(RUN_STEPS // RUN_LOOKS)
        rates.append(float(trial.subject.optimizer.param_groups[0]["lr"]))
        steps.append(trial.steps)
    return constant_rate(rates, steps)


def _settings_text(group: dict[str, Any]) -> str:
    """Settings of a parameter group, in words."""
    names = [name for name in ("lr", "betas", "eps") if name in group]
    return ", ".join(f"{name} {group[name]}" for name in names)


def _twin(
    optimizer: torch.optim.Optimizer, copies: list[Tensor], learning_rate: float
) -> torch.optim.Optimizer | None:
    """Torch's own optimizer of the same kind, over copies; None where it knows no such kind."""
    kinds = [k for k in type(optimizer).__mro__[:-1] if k.__module__.startswith("torch.optim.")]
    if len(kinds) < 2 or len(optimizer.param_groups) > 1:  # the base class alone, or a mixture
        return None
    known = inspect.signature(kinds[0]).parameters
    group = optimizer.param_groups[0]
    settings = {name: group[name] for name in optimizer.defaults if name in known}
    if issubclass(kinds[0], torch.optim.Adam):
        settings["lr"] = learning_rate
    twin: torch.optim.Optimizer = kinds[0](copies, **settings)
    return twin


CHECKS: Final = (
    Check(
        code="optimizer.clips-as-declared",
        component=Component.OPTIMIZER,
        needs=("update", "optimizer", "online_net"),
        what="The optimizer is given the gradient of the loss, clipped as it is declared.",
        why="Gradients that are clipped after the step are not clipped, and ones that are clipped "
        "tensor by tensor point elsewhere; both only show when a large error comes.",
        causes=(
            "clipped before backward(), or after the optimizer's step",
            "each tensor is clipped by a norm of its own",
            "by value where the norm was meant, or the other way round",
        ),
        seen=(),
        experiment="print the gradient's norm right before the optimizer's step",
        run=clips_as_declared,
    ),
    Check(
        code="optimizer.still-without-a-gradient",
        component=Component.OPTIMIZER,
        needs=("optimizer",),
        what="A step with gradients of zero leaves the weights where they are.",
        why="Weight decay pulls all values towards zero, whatever was learned; in a regression on "
        "returns that is a bias, and not in any of the published agents.",
        causes=("weight_decay is set, or is the default of this optimizer, as it is of AdamW",),
        seen=(),
        experiment="print optimizer.defaults",
        run=still_without_a_gradient,
    ),
    Check(
        code="optimizer.rate-stays-to-the-end",
        component=Component.OPTIMIZER,
        needs=("optimizer",),
        what="The learning rate that was asked for is the one of the whole run, to its end.",
        why="A schedule that nobody asked for makes the second half of a run learn less than the "
        "first, which looks like a plateau.",
        causes=(
            "a scheduler is stepped with each update, or with each episode",
            "the rate follows the progress of the run",
        ),
        seen=(),
        experiment="log the optimizer's lr with the return",
        run=rate_stays_to_the_end,
    ),
    Check(
        code="network.output-is-unbounded",
        component=Component.OPTIMIZER,
        needs=("online_net",),
        what="Q-values can be of any size and of either sign.",
        why="Returns are not probabilities: an activation after the last layer bounds what can be "
        "learned, and the loss hardly moves.",
        causes=("softmax, sigmoid, tanh or a rectifier after the last layer",),
        seen=("https://github.com/thu-ml/tianshou/issues/725",),
        experiment="print the last module of the network: it should be linear",
        run=output_is_unbounded,
    ),
    Check(
        code="optimizer.holds-online-only",
        component=Component.OPTIMIZER,
        needs=("optimizer", "online_net", "target_net"),
        what="The optimizer holds every parameter of the online network once, and none of the "
        "target network.",
        why="Weight decay or momentum would move a target network that it holds; a parameter that "
        "it lacks stays as it was drawn.",
        causes=(
            "it was given the parameters of a module that contains both networks",
            "it was made before the network was moved, wrapped or replaced",
        ),
        seen=("https://github.com/DLR-RM/stable-baselines3/issues/1963",),
        experiment="compare the number of values in its groups with that of the online network",
        run=holds_online_only,
    ),
    Check(
        code="optimizer.follows-the-settings",
        component=Component.OPTIMIZER,
        needs=("optimizer",),
        what="The learning rate is the one asked for, and stays; epsilon is small against "
        "gradients; running means forget at usual rates.",
        why="A port with another rate or epsilon learns, only slower or less stably, and its "
        "scores are compared with those of the original.",
        causes=(
            "defaults of another library, or of another algorithm",
            "epsilon copied from an optimizer that adds it elsewhere",
            "a schedule that was not asked for",
        ),
        seen=(
            "https://github.com/vwxyzjn/cleanrl/commit/fcf60229",
            "https://github.com/google/dopamine/commit/b7217a7",
        ),
        experiment="print optimizer.defaults next to the table of the paper",
        variants=("learning_rate",),
        run=follows_the_settings,
    ),
    Check(
        code="optimizer.steps-as-configured",
        component=Component.OPTIMIZER,
        needs=("update", "optimizer", "online_net"),
        what="Given the same gradients, torch's optimizer of that name and settings arrives at the "
        "same weights.",
        why="Optimizers of one name differ between libraries, and one that steps twice, or on "
        "gradients that were not cleared, still learns.",
        causes=(
            "an optimizer of one's own, or of another library, that differs in a detail",
            "another learning rate than the one asked for",
            "several steps for an update, or an optimizer made anew each time",
        ),
        seen=(
            "https://github.com/DLR-RM/stable-baselines3/blob/master/docs/guide/migration.md",
            "https://github.com/vwxyzjn/cleanrl/blob/master/docs/rl-algorithms/dqn.md",
        ),
        experiment="swap in torch's optimizer of that name, and compare one step",
        variants=("learning_rate",),
        run=steps_as_configured,
    ),
    Check(
        code="optimizer.remembers",
        component=Component.OPTIMIZER,
        needs=("update", "online_net"),
        what="A step depends on the updates before it, unless the optimizer is plain gradient "
        "descent.",
        why="Made anew at every update Adam only ever takes its first step, of full size in every "
        "weight: it learns, but unstably.",
        causes=(
            "the optimizer is made inside the update",
            "its state is reset, or loaded from an old copy, too often",
        ),
        seen=(),
        experiment="print the optimizer's own count of its steps after a hundred updates",
        run=remembers,
    ),
)
