"""The checks of worlds: one for each, within the budget of frames."""

from __future__ import annotations

import pytest

from probes.checks.worlds import CHECKS
from probes.running.run_check import run_check
from probes.subjects.core import CoreSubject, Parts
from probes.worlds.tables import WORLDS
from reports.schema import FindingStatus


def test_every_world_is_checked():
    checked = {check.code.split(".")[1] for check in CHECKS}
    assert checked == {world.name for world in WORLDS}


@pytest.mark.parametrize("loss", ["huber", "mse"])
def test_frames_are_learned_by_another_optimizer_within_the_budget(loss):
    def make(make_env, settings):
        return CoreSubject(make_env, settings, Parts(), loss, "centred_rmsprop")

    code = "world.reward-by-observation-and-action.frames"
    (check,) = [check for check in CHECKS if check.code == code]
    finding = run_check(check, make, seed=0)
    assert finding.status is FindingStatus.GREEN, finding
