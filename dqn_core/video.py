"""Videos of episodes: what the agent saw (Atari), or what Gymnasium renders (vectors).

Not `gymnasium.wrappers.RecordVideo`: it records what a Gymnasium environment renders, and ALE's
vector environment renders nothing; nor would that be what the agent saw, after cropping and
pooling. Encoding is imageio's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import gymnasium
import numpy as np
import numpy.typing as npt

from dqn_core.acting import Actor
from dqn_core.envs.envs import Envs
from dqn_core.envs.gymnasium_envs import GymnasiumEnvs
from dqn_core.envs.make import make_envs
from dqn_core.files import replacing
from dqn_core.loop import Trainer
from dqn_core.recipes.schema import GymnasiumEnv
from dqn_core.streams import Stream

Frame = npt.NDArray[np.uint8]

SUFFIXES: Final = (".mp4", ".gif")
SMALLEST_SIDE: Final = 320  # pixels; smaller frames are enlarged by a whole factor


class VideoError(RuntimeError):
    """A video that cannot be written here."""


class Player:
    """Plays one episode with a trained agent.

    Args:
        trainer: from `load_model`.
        seed: of the episode; selects the `eval` stream.
        record: keep a frame for each step.
    """

    def __init__(self, trainer: Trainer, seed: int, *, record: bool) -> None:
        self._trainer = trainer
        self._stream = Stream(seed, "eval")
        self._rendered: gymnasium.Env[Any, Any] | None = None
        self._record = record

    def play(self) -> tuple[float, int, list[Frame]]:
        """Return, length in steps, and the frames, [height, width] or [height, width, 3] uint8."""
        recipe, agent = self._trainer.recipe, self._trainer.agent
        envs = self._envs()
        actor = Actor(envs, recipe.frame_stack, self._stream)
        epsilon = np.full((1, 1), recipe.evaluation.epsilon)
        frames: list[Frame] = []
        while not (finished := actor.take_finished()):
            (transitions,) = actor.play(agent, epsilon, truncate_last=False)
            if self._record:
                frames.append(self._frame(transitions.next_obs))
        envs.close()
        return finished[0].episode_return, finished[0].length, frames

    def _envs(self) -> Envs:
        section = self._trainer.recipe.env
        if not (self._record and isinstance(section, GymnasiumEnv)):
            return make_envs(self._trainer.recipe, 1, self._stream)
        self._rendered = gymnasium.make(section.id, render_mode="rgb_array")
        rendered = self._rendered
        return GymnasiumEnvs([lambda: rendered], self._stream)

    def _frame(self, row: npt.NDArray[Any]) -> Frame:
        if self._rendered is None:
            return np.asarray(row[0], np.uint8)
        return np.asarray(self._rendered.render(), np.uint8)


def require_video(path: Path) -> None:
    """Refuses, before any work, a video that could not be written.

    Raises:
        VideoError: for another suffix than .mp4 or .gif, a missing folder, or a missing extra.
    """
    if path.suffix not in SUFFIXES:
        raise VideoError(f"video {path}: expected a name that ends in {' or '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise VideoError(f"video {path}: there is no folder {path.parent}")
    try:
        import imageio  # noqa: F401, PLC0415  # an optional extra
        import imageio_ffmpeg  # noqa: F401, PLC0415
        import pygame  # noqa: F401, PLC0415
    except ImportError as error:
        raise VideoError(
            f"a video needs the package {error.name}, which is not installed\n"
            "  next      pip install 'dqn-harness[video]'"
        ) from None


def write_video(path: Path, frames: list[Frame], frames_per_second: int) -> None:
    """Writes an MP4 or GIF; small frames are enlarged without smoothing.

    Args:
        path: as accepted by `require_video`.
        frames: equal shapes, [height, width] or [height, width, 3] uint8.
        frames_per_second: of play.
    """
    import imageio.v3  # noqa: PLC0415  # an optional extra

    video = np.stack(frames)
    if video.ndim == 3:
        video = np.repeat(video[..., None], 3, axis=-1)
    factor = -(-SMALLEST_SIDE // min(video.shape[1:3]))
    video = video.repeat(factor, axis=1).repeat(factor, axis=2)
    options: dict[str, Any] = (
        {"duration": 1000 / frames_per_second, "loop": 0}
        if path.suffix == ".gif"
        else {"fps": frames_per_second, "codec": "libx264", "macro_block_size": 2}
    )
    encoded = imageio.v3.imwrite("<bytes>", video, extension=path.suffix, **options)
    with replacing(path) as partial:
        partial.write_bytes(encoded)
