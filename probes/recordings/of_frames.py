"""What a recording shows of a game's frames: skipped, pooled, greyed, stacked, scaled and paid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np

from probes.observer.screens import COLOURS
from probes.observer.worlds import LIFE_LOST, TERMINATED
from probes.outcome import Outcome
from probes.recordings.facts import Facts, NotSeenError
from probes.recordings.games import SUM, PlayedGames
from probes.recordings.of_learning import limits_bootstrap
from probes.recordings.recording import UNKNOWN, Integers, Vector
from probes.recordings.screens import EMPTY, NO_FRAME, ShownPlanes, shown_planes

SKIP: Final = 4  # raw frames of a step, Mnih et al. 2015, extended data table 1
ENOUGH_KNOWN: Final = 0.8  # of the planes, before anything is said of them
MOST: Final = 0.9  # of all: ends within a step leave some that are otherwise
SEEN: Final = 0.02  # of the way from black to white
FAR_APART: Final = 0.5  # black and white, of what a row's numbers span
FEWEST_GAMES: Final = 4
FEWEST_NOOPS: Final = 5  # more than a random choice of actions begins with
ABOUT_ONE: Final = (0.2, 10.0)  # the largest number of a scaled picture; wider if standardised
FIRE: Final = 1


def games_of(facts: Facts) -> PlayedGames:
    """The games that were played.

    Raises:
        NotSeenError: if none were, or their frames cannot be read.
    """
    games = facts.recording.games
    if games is None:
        raise NotSeenError("no game of frames is played")
    if not len(games.steps):
        raise NotSeenError("no frame was recognised in what a network was given")
    return games


def planes_of(facts: Facts) -> ShownPlanes:
    """The planes of the rows that the trained network was given most.

    Raises:
        NotSeenError: if no frames can be read in them.
    """
    games_of(facts)
    planes = max((planes for _, planes in facts.recording.screens), key=lambda x: len(x.newest))
    known = float((planes.newest != NO_FRAME).mean())
    if known < ENOUGH_KNOWN:
        raise NotSeenError(f"frames are recognised in {known:.0%} of the planes")
    return planes


def steps_of_four_frames(facts: Facts) -> Outcome:
    """The distance between frames in which the agent stood."""
    games = games_of(facts)
    return Outcome(
        holds=games.skip == SKIP,
        expected=f"{SKIP} raw frames for each agent step",
        actual=f"{games.skip}",
        compared=len(games.steps),
    )


def last_two_frames(facts: Facts) -> Outcome:
    """How many frames one plane shows."""
    planes = planes_of(facts)
    known = planes.newest >= 0
    # What a game begins with is one frame.
    known &= ~np.isin(planes.newest, list(games_of(facts).first_seen))
    pooled = (planes.newest > planes.oldest)[known]
    if not len(pooled):
        raise NotSeenError("no frame but the first ones was recognised")
    usual = Counter((planes.newest - planes.oldest)[known].tolist()).most_common(1)[0][0]
    return Outcome(
        holds=float(pooled.mean()) > MOST,
        expected="the last raw frame and the one before in each plane",
        actual=f"frames up to {usual} before the last one" if usual else "the last one alone",
        compared=len(pooled),
    )


def brightness(facts: Facts) -> Vector:
    """The brightness of the patches, [11], 0 for black."""
    planes = planes_of(facts)
    steady = planes.patches.reshape(-1, planes.patches.shape[-1])
    if np.isnan(steady).all():
        raise NotSeenError("the part of the picture above is cut off")
    # In colours, what one plane does not show another does.
    several = in_colours(planes)
    levels = planes.patches.max(axis=1).mean(axis=0) if several else steady.mean(axis=0)
    found: Vector = levels - levels[len(COLOURS)]
    return found


def in_colours(planes: ShownPlanes) -> bool:
    """Whether the planes of a row are the colours of one frame."""
    same = (planes.newest == planes.newest[:, :1]).all(axis=1)
    return planes.layout.planes == len(COLOURS) and bool(same.mean() > MOST)


def colours_are_shown(facts: Facts) -> Outcome:
    """The brightness of red, green and blue patches."""
    levels = brightness(facts)
    white = float(levels[-1])
    shares = levels[: len(COLOURS)] / white if white else np.zeros(len(COLOURS))
    return Outcome(
        holds=bool((shares > SEEN).all()) and bool((shares <= 1 + SEEN).all()),
        expected="red, green and blue apart from black, none above white",
        actual=", ".join(f"{share:.2f}" for share in shares) + " of white",
        compared=len(COLOURS),
    )


def greys_stay_in_order(facts: Facts) -> Outcome:
    """The brightness of grey patches."""
    greys = brightness(facts)[len(COLOURS) :]
    span = float(np.ptp(planes_of(facts).patches)) or 1.0
    falls = float(-np.diff(greys).min())
    return Outcome(
        holds=falls <= SEEN * span and float(greys[-1]) >= FAR_APART * span,
        expected="brighter greys never shown darker, and white far above black",
        actual=", ".join(f"{grey / span:.2f}" for grey in greys),
        compared=len(greys),
    )


def rewards_are_summed(facts: Facts) -> Outcome:
    """What of its frames' rewards a step is learned to pay."""
    games_of(facts)
    paid = facts.target.paid
    return Outcome(
        holds=paid == SUM or "clipped" in paid or "signs" in paid,
        expected=SUM,
        actual=paid,
        compared=facts.target.rows,
    )


def clipped_after_the_sum(facts: Facts) -> Outcome:
    """Whether each frame's reward is clipped, or their sum."""
    games_of(facts)
    paid = facts.target.paid
    return Outcome(
        holds="clipped" not in paid and "signs" not in paid,
        expected="rewards as they are, or the clipped sum of a step",
        actual=paid,
        compared=facts.target.rows,
    )


def _stacks(facts: Facts) -> Iterator[tuple[Integers, PlayedGames]]:
    """Frames of each stack from the oldest plane to the newest, [P]."""
    games = games_of(facts)
    planes = planes_of(facts)
    if planes.layout.planes == 1 or in_colours(planes):
        raise NotSeenError("frames are not stacked")
    whole = planes.newest[(planes.newest != NO_FRAME).all(axis=1) & (planes.newest >= 0).any(1)]
    if not len(whole):
        raise NotSeenError("no whole stack was recognised")
    falling = np.median(np.sign(whole[:, -1] - whole[:, 0])) < 0
    for stack in whole[:, ::-1] if falling else whole:
        yield stack, games


def stacks_span_steps(facts: Facts) -> Outcome:
    """The distances between the frames of a stack."""
    seen = wrong = 0
    usual: Counter[tuple[int, ...]] = Counter()
    steps = games_of(facts).steps
    cut = set(steps[steps[:, 7] > 0, 3].tolist())  # an end may come within a step
    for stack, games in _stacks(facts):
        shown = stack[stack >= 0].tolist()
        game = games.places[shown[-1]][0]
        # What was left of the game before is another question.
        places = [games.places[tag][1] for tag in shown if games.places[tag][0] == game]
        apart = np.diff(places)
        usual[tuple(apart.tolist())] += 1
        # What a game begins with may be there more than once.
        begins = shown[0] in games.first_seen or games.places[shown[0]][1] == 0
        moved = apart[apart != 0] if begins else apart
        seen += 1
        wrong += bool((moved != games.skip).any()) and not cut.intersection(shown)
    told = " ".join(map(str, usual.most_common(1)[0][0])) if usual else "none"
    repeated = "0" in told.split()
    return Outcome(
        holds=wrong <= SEEN * seen and not repeated,
        expected="frames of successive steps, each once and in order",
        actual=f"frames {told} raw frames apart; {wrong} of {seen} stacks have others",
        compared=seen,
    )


def stacks_begin_anew(facts: Facts) -> Outcome:
    """Stacks with frames of another game, such as the one before."""
    seen = wrong = 0
    for stack, games in _stacks(facts):
        seen += 1
        wrong += len({games.places[tag][0] for tag in stack.tolist() if tag >= 0}) > 1
    if games_of(facts).games <= 1:
        raise NotSeenError("one game was played")
    return Outcome(
        holds=not wrong,
        expected="no frame from before the game",
        actual=f"some in {wrong} of {seen} stacks",
        compared=seen,
    )


def replayed_frames_are_those_shown(facts: Facts) -> Outcome:
    """Planes of replayed stacks in which no frame can be read."""
    planes = planes_of(facts)
    none = int((planes.newest == NO_FRAME).sum())
    return Outcome(
        holds=none <= SEEN * planes.newest.size,  # ends within a step mix frames of two steps
        expected=f"frames of the game in {planes.newest.size:,} planes",
        actual=f"none in {none:,}",
        compared=planes.newest.size,
    )


def acts_on_the_newest_frame(facts: Facts) -> Outcome:
    """The newest frame of what the network was asked for, and the last one that was shown."""
    games_of(facts)
    steps = facts.recording.raw_steps
    moments = np.concatenate([facts.recording.resets[:, 0], steps[:, 0]])
    tags = np.concatenate([facts.recording.resets[:, 2], steps[:, 3]])
    order = np.argsort(moments, kind="stable")
    moments, tags = moments[order], tags[order]
    asked = [
        (int(call.tags[0]), int(tags[int(np.searchsorted(moments, call.moment)) - 1]))
        for call in facts.recording.calls
        if len(call.tags) == 1 and call.gradient is None and call.network == facts.roles.online
        and call.tags[0] != UNKNOWN
    ]  # fmt: skip
    if not asked or len(set(facts.recording.raw_steps[:, 1].tolist())) > 1:
        raise NotSeenError("the network was not asked for the frames of one game")
    late = sum(found != due for found, due in asked)
    return Outcome(
        holds=late <= SEEN * len(asked),
        expected=f"the frame last shown, {len(asked)} times",
        actual=f"another one in {late}",
        compared=len(asked),
    )


def pixels_are_scaled_once(facts: Facts) -> Outcome:
    """The largest number that reaches the first layer."""
    games_of(facts)
    largest = [float(np.abs(given).max()) for given in facts.recording.first_inputs]
    if not largest:
        raise NotSeenError("no call of a first layer was seen")
    found = float(np.median(largest))
    return Outcome(
        holds=ABOUT_ONE[0] <= found <= ABOUT_ONE[1],
        expected="the brightest pixel to reach the first layer as about one",
        actual=f"as {found:.3g}",
        compared=len(largest),
    )


def neighbours_stay_neighbours(facts: Facts) -> Outcome:
    """Whether frames can be read in what reaches the first layer."""
    games_of(facts)
    shapes = Counter(given.shape for given in facts.recording.first_inputs)
    if not shapes or len(shapes.most_common(1)[0][0]) != 3:  # planes
        raise NotSeenError("no call of a first convolution was seen")
    shape = shapes.most_common(1)[0][0]
    given = np.stack([one for one in facts.recording.first_inputs if one.shape == shape])
    # A stack that is given with its planes last would be read, and seen by a convolution wrongly.
    layout = planes_of(facts).layout
    known = layout.bounds if shape[1:] == (layout.height, layout.width) else None
    first = shown_planes(given[:, :, None], facts.recording.shown, known)
    read = 0.0
    if first is not None and not first.layout.channels_last:
        read = float(((first.newest >= 0) | (first.newest == EMPTY)).mean())
    return Outcome(
        holds=read > MOST,
        expected="pictures as they are shown, in each plane of the first convolution",
        actual=f"in {read:.0%} of the planes",
        compared=len(given),
    )


def begins_with_noops(facts: Facts) -> Outcome:
    """No-ops before anything else in each game."""
    idle = games_of(facts).idle
    if len(idle) < FEWEST_GAMES:
        raise NotSeenError(f"{len(idle)} games were begun, {FEWEST_GAMES} tell")
    return Outcome(
        holds=max(idle) >= FEWEST_NOOPS and len(set(idle)) > 2,
        expected="a number of no-ops that differs from game to game",
        actual=", ".join(map(str, idle[:8])),
        compared=len(idle),
    )


def one_action_a_step(facts: Facts) -> Outcome:
    """Actions of all frames of a step, and how many different ones reach the game."""
    games = games_of(facts)
    given = facts.recording.meta.environments[0].actions
    used = len({int(step[5]) for step in games.steps})
    changed = int((~games.held).sum())
    return Outcome(
        holds=not changed and used > 1,
        expected=f"one of {given} actions in all frames of a step",
        actual=f"another one within {changed} of {len(games.steps)} steps; {used} actions in all",
        compared=len(games.steps),
    )


def fires_in_each_life(facts: Facts) -> Outcome:
    """Lives in which FIRE was never pressed."""
    game = facts.recording.meta.environments[0].game
    games_of(facts)
    if game is None or len(game.meanings) <= FIRE or game.meanings[FIRE] != "FIRE":
        raise NotSeenError("the game has no FIRE")
    lives, fired = 0, 0
    pressed = False
    for step in facts.recording.raw_steps:
        pressed = pressed or int(step[5]) == FIRE
        if int(step[7]) in (LIFE_LOST, TERMINATED):
            lives, fired, pressed = lives + 1, fired + pressed, False
    if lives < FEWEST_GAMES:
        raise NotSeenError(f"{lives} lives ended, {FEWEST_GAMES} tell")
    return Outcome(
        holds=fired > lives / 2,
        expected=f"FIRE in each of {lives} lives",
        actual=f"in {fired}",
        compared=lives,
    )


def limits_truncate(facts: Facts) -> Outcome:
    """The weight of the next value where a limit of frames cut a game."""
    games_of(facts)
    return limits_bootstrap(facts)


def games_outlast_lives(facts: Facts) -> Outcome:
    """Games that were reset at a lost life, although another was left."""
    games = games_of(facts)
    return Outcome(
        holds=not games.ended_by_lives,
        expected="the same game after a lost life",
        actual=f"{games.ended_by_lives} of {games.games} games were ended by one",
        compared=games.games,
    )
