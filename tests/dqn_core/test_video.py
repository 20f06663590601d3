"""Videos of an episode, and what they need."""

from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
import pytest

from dqn_core.video import Player, VideoError, require_video, write_video
from tests.dqn_core.small import small, small_pong, trainer


# imageio leaves the closing of its pipes to ffmpeg to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_video_of_an_episode(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    imageio = pytest.importorskip("imageio.v3")
    player = Player(trainer(small()), seed=1, record=True)
    total, length, frames = player.play()
    assert total == length == len(frames)
    assert frames[0].shape == (400, 600, 3)
    # A GIF shows a repeated picture once, for longer.
    distinct = 1 + sum((a != b).any() for a, b in pairwise(frames))
    for name, count in (("episode.gif", distinct), ("episode.mp4", len(frames))):
        require_video(tmp_path / name)
        write_video(tmp_path / name, frames, frames_per_second=30)
        assert imageio.imread(tmp_path / name).shape == (count, 400, 600, 3)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.atari
def test_a_video_shows_what_the_agent_sees(tmp_path):
    imageio = pytest.importorskip("imageio.v3")
    _, length, frames = Player(trainer(small_pong()), seed=0, record=True).play()
    assert (len(frames), frames[0].shape) == (length, (32, 32))
    write_video(tmp_path / "rally.gif", frames, frames_per_second=30)
    # Enlarged by a whole factor until the smaller side has 320 pixels.
    first = imageio.imread(tmp_path / "rally.gif")[0, ..., 0]
    np.testing.assert_array_equal(first[::10, ::10] > 0, frames[0] > 0)


def test_videos_that_could_not_be_written_are_refused_first(tmp_path, monkeypatch):
    with pytest.raises(VideoError, match="there is no folder"):
        require_video(tmp_path / "nowhere" / "episode.mp4")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(VideoError, match=r"pip install 'dqn-harness\[video\]'"):
        require_video(tmp_path / "episode.mp4")
