"""What a script asked for: environments and arguments that surprise most people once.

None of it needs any training, and none of it is a fault of the code: a run with these settings is
another experiment than the one that it is compared with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from probes.recordings.recording import AskedGame, MadeEnvironment, Recording

# Gymnasium's own list of what became of ids: https://gymnasium.farama.org/environments/
OUTDATED: Final = {
    "CartPole-v0": "CartPole-v1 has 500 steps and a threshold of 475, this one 200 and 195",
    "LunarLander-v2": "Gymnasium 1.0 has LunarLander-v3, whose wind and resets were mended",
    "Taxi-v2": "Taxi-v3 has other maps", "Pendulum-v0": "Pendulum-v1 takes its place",
}  # fmt: skip
OLD_GAME: Final = re.compile(r"^[A-Z]\w+-v[04]$")


def surprises(recording: Recording) -> list[str]:
    """What is worth knowing about what was asked for, each as a sentence or two."""
    found: list[str] = []
    for made in recording.meta.environments:
        found += [one for one in _surprises(made, recording) if one not in found]
    return found


def _surprises(made: MadeEnvironment, recording: Recording) -> Iterator[str]:
    if made.id in OUTDATED:
        yield f"{made.id} is out of date: {OUTDATED[made.id]}"
    if made.arguments.get("render_mode") == "human":
        yield f"{made.id} is drawn in a window at each step, which takes most of the time"
    if made.game is not None:
        yield from _surprises_of_a_game(made.id, made.game, recording)


def _surprises_of_a_game(name: str, game: AskedGame, recording: Recording) -> Iterator[str]:
    if game.sticky:
        yield (
            f"{name} takes the action of the frame before with probability {game.sticky:g}, unless "
            "repeat_action_probability=0.0 is given; Mnih et al. 2015 played without"
        )
    inside = game.frameskip
    if not isinstance(inside, int):
        yield (
            f"{name} lasts {inside[0]} to {inside[1] - 1} frames a step, drawn anew each time; "
            "frameskip=1 leaves it to a wrapper"
        )
    elif inside > 1 and recording.games is not None and recording.games.skip > inside:
        yield (
            f"{name} skips frames inside, {inside} a step, and they are skipped again outside: "
            f"{recording.games.skip} frames a step; frameskip=1 leaves it to the wrapper"
        )
    elif inside > 1:
        yield (
            f"{name} skips frames inside, {inside} a step, and shows the last one alone: what is "
            "drawn in every other frame can be missed; frameskip=1 leaves it to a wrapper"
        )
    if OLD_GAME.match(name) and "NoFrameskip" not in name:  # which papers of years have used
        game_name = name.split("-", maxsplit=1)[0]
        yield f"{name} is a name of gym's before 0.22; ALE/{game_name}-v5 is today's"
    if len(game.meanings) == 18:  # all that a joystick can do
        yield f"{name} has all 18 actions; most games have fewer of their own (full_action_space)"
