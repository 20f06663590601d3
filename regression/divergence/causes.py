"""What the first difference suggests, in plain words."""

from __future__ import annotations

import re
from typing import Final

from regression.divergence.first_difference import Difference

# Rounding in another order moves a sum by a few units in the last place; a mistake by many.
FEW_ULPS: Final = 64

# Of each event: what stands behind it, given that everything before it was equal.
CAUSES: Final = (
    ("env draws|explore draws|replay draws", "random streams or seeds: numbers were drawn from "
     "another seed or stream, in another number, or by another generator"),
    ("first obs|next_obs|terminated|truncated", "the environment or emulator: it was given the "
     "same actions and showed something else (its version, seed, ROM or arithmetic)"),
    ("reward", "the environment or what is done to its rewards: the actions were the same"),
    ("acting obs", "how observations are stacked before acting: the frames were the same"),
    ("action", "how an action is chosen (exploration, argmax, forced actions): Q-values and draws "
     "were the same"),
    ("stored .*|replay counters", "how the replay memory stores: what was given to it was the "
     "same"),
    ("replay indices", "how the replay memory samples: contents and draws were the same"),
    ("batch .*", "how the replay memory puts a batch together: the indices were the same"),
    ("td target", "how the TD target is put together: batch and target Q-values were the same"),
    ("sync of .*", "when or how the target network is copied: the weights were the same"),
    ("learning rate", "the learning-rate schedule"),
    ("optimizer .*", "the optimizer, its settings or its state: gradients and learning rate were "
     "the same"),
    ("td error", "how the loss is reported: everything that trains was the same"),
)  # fmt: skip

# Events of arithmetic, which other kernels may round otherwise.
COMPUTED: Final = "td target|td error|optimizer .*"


def suggestion(found: Difference) -> str:
    """What to look at first, a sentence."""
    if found.kind != "values":
        return (
            f"control flow: '{found.event}' is {found.kind.replace('order', 'in another order')}"
            "; one run did something more, less or earlier than the other. "
            + _cause(found).capitalize()
        )
    if found.phase == "start":
        return (
            "the state that the block began with: initial weights, a checkpoint, or something that "
            "changed weights or optimizer outside updates and syncs"
        )
    return _cause(found)


def _cause(found: Difference) -> str:
    behind = next((cause for names, cause in CAUSES if re.fullmatch(names, found.event)), "")
    computed = not behind or re.fullmatch(COMPUTED, found.event)
    if computed and found.max_ulps is not None and found.max_ulps <= FEW_ULPS:
        rounding = (
            f"kernels, hardware or threads: equal inputs, and results at most {found.max_ulps} "
            "units in the last place (ulps) apart"
        )
        return f"{rounding}; on equal machines, {behind}" if behind else rounding
    if behind:
        return behind
    if found.max_ulps is None:
        return "arithmetic or logic of the network: its inputs were the same"
    return (
        f"logic, or a corrupted value: equal inputs, and results up to {found.max_ulps} ulps "
        "apart, which is more than rounding does"
    )
