"""What a script does with the frames of a game, for the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from probes.observer.screens import COLOURS
from probes.recordings.facts import Facts, NotSeenError
from probes.recordings.of_frames import brightness, games_of, in_colours, planes_of
from probes.recordings.reading import Reading


def frame_readings(facts: Facts) -> Iterator[Reading]:
    """What is read off the games of a recording.

    Raises:
        NotSeenError: if no frames can be read.
    """
    games, planes = games_of(facts), planes_of(facts)
    yield Reading("frames of a step", f"{games.skip}", "4")
    known = planes.newest >= 0
    depth = Counter((planes.newest - planes.oldest)[known].tolist()).most_common(1)[0][0]
    told = f"the largest of {depth + 1} frames" if depth else "one frame alone"
    yield Reading("a picture is", told, "the largest of the last 2 frames")
    layout = planes.layout
    turned = ", rows and columns exchanged" if layout.turned else ""
    yield Reading("size of a picture", f"{layout.height} x {layout.width}{turned}", "84 x 84")
    yield Reading("colours", _colours(facts), "luminance")
    yield Reading("stack", _stack(facts), "4 frames")
    largest = [float(np.abs(given).max()) for given in facts.recording.first_inputs]
    if largest:
        yield Reading("white reaches the first layer as", f"{np.median(largest):.3g}", "1")
    fewest, most = min(games.idle), max(games.idle)
    yield Reading("no-ops at the start", f"{fewest} to {most}", "up to 30")


def _colours(facts: Facts) -> str:
    try:
        levels = brightness(facts)
    except NotSeenError as missing:
        return f"not seen: {missing}"
    if in_colours(planes_of(facts)):
        return "kept"
    shares = levels[: len(COLOURS)] / (levels[-1] or 1.0)
    return "red {:.2f}, green {:.2f}, blue {:.2f} of white".format(*shares)


def _stack(facts: Facts) -> str:
    planes = planes_of(facts)
    if planes.layout.planes == 1 or in_colours(planes):
        return "none: one frame"
    whole = planes.newest[(planes.newest >= 0).all(axis=1)]
    rises = float(np.median(np.sign(whole[:, -1] - whole[:, 0]))) if len(whole) else 0.0
    order = {1.0: ", newest last", -1.0: ", newest first"}.get(rises, "")
    return f"{planes.layout.planes} frames{order}"
