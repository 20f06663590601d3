"""Files of monitors, of one environment or several."""

from __future__ import annotations

import pytest

from regression.importers.episodes import LogError
from regression.importers.monitor import read_monitor
from regression.importers.table import LONGEST_LINE
from tests.regression.importers.logs import HEADER, written


def test_environments_of_a_vectorised_run_step_together(tmp_path):
    written(tmp_path / "0.monitor.csv", HEADER + "r,l,t\n1.0,10,0.5\n2.0,30,1.5\n")
    written(tmp_path / "1.monitor.csv", HEADER + "r,l,t\n3.0,25,1.2\n")
    found = read_monitor(tmp_path)
    # The second environment's episode ends when both have made 25 steps.
    assert found.steps.tolist() == [20.0, 50.0, 80.0]
    assert found.returns.tolist() == [1.0, 3.0, 2.0]
    assert found.lengths.tolist() == [10.0, 25.0, 30.0]
    assert found.environment == "CartPole-v1"
    written(tmp_path / "2.monitor.csv", HEADER.replace("CartPole", "Acrobot") + "r,l,t\n1,1,1\n")
    with pytest.raises(LogError, match="'Acrobot-v1', 'CartPole-v1'"):
        read_monitor(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("r,l,t\n1,1,1\n", "not a monitor"),
        ("#[1]\nr,l,t\n1,1,1\n", "not a monitor"),
        ('#{"env_id": 3}\nr,l,t\n1,1,1\n', "not a monitor"),
        ("#" + "[" * 50_000 + "\nr,l,t\n1,1,1\n", "not a monitor"),
        ('#{"env_id": "a\\u202eb"}\nr,l,t\n1,1,1\n', "printable"),
        ('#{"env_id": "' + "a" * 101 + '"}\nr,l,t\n1,1,1\n', "printable"),
        ("#{" + " " * LONGEST_LINE + "}\nr,l,t\n1,1,1\n", "too long"),
        (HEADER + "r,t\n1,1\n", "no column 'l'"),
        (HEADER + "r,l,t\n1,0,1\n", "row 3, column l"),
        (HEADER + "r,l,t\n1,2.5,1\n", "no length"),
        (HEADER + "r,l,t\n1,nan,1\n", "no length"),
    ],
)
def test_other_monitors_are_refused(tmp_path, content, message):
    with pytest.raises(LogError, match=message):
        read_monitor(written(tmp_path / "monitor.csv", content))
    with pytest.raises(LogError, match="there is no monitor"):
        read_monitor(written(tmp_path / "empty" / "x.txt", "").parent)
