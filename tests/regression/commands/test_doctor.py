"""The doctor tells the level, what is in the way, and whether a machine repeats itself."""

import json

import pytest

import regression.commands.doctor as module
from dqn_core.recipes.file import load_recipe
from regression.__main__ import main
from regression.commands.doctor import doctor, read_fingerprint, warnings_of, with_references
from regression.job.job import UsageError
from regression.machine.fingerprint import fingerprint
from regression.machine.selftest import Observation, tiny_recipe
from reports.schema import ExitCode, Fingerprint
from tests.regression.machine.test_levels import FLAT, PINS


@pytest.fixture(scope="module")
def facts():
    return fingerprint("cpu", tiny_recipe())


@pytest.fixture
def trainings(monkeypatch, facts):
    """Puts digests in place of two trainings."""

    def give(*digests):
        observations = [Observation(list(one), facts) for one in digests]
        monkeypatch.setattr(module, "observe_in", lambda _, times: observations[:times])

    return give


def stored(path, flat, **around):
    path.write_text(json.dumps(around | {"fingerprint": flat} if around else flat))
    return str(path)


def test_a_machine_that_repeats_itself_is_well(trainings, capsys):
    trainings("ab", "ab")
    assert doctor() is ExitCode.OK
    told = capsys.readouterr().out
    assert "Level 2 by itself" in told
    assert "ATEN_CPU_CAPABILITY is not set" in told
    assert "Self-test, two trainings of 2 windows on cpu: equal bits" in told
    assert "\ncartpole: " in told


def test_a_machine_that_does_not_fails_and_says_where(trainings, capsys):
    trainings("abc", "axc")
    assert doctor() is ExitCode.FAIL
    assert "bits part at window 2 of 3" in capsys.readouterr().out


def test_json_holds_all_and_can_be_compared_with(trainings, capsys, tmp_path, facts):
    trainings("ab", "ax")
    assert doctor(as_json=True) is ExitCode.FAIL
    told = json.loads(capsys.readouterr().out)
    assert (told["level"], told["repeats"], told["digests"]) == (2, False, [["a", "b"], ["a", "x"]])
    assert told["prevented_by"] == sorted(PINS)
    path = tmp_path / "here.json"
    path.write_text(json.dumps(told))
    assert read_fingerprint(str(path)).flat() == facts
    assert doctor(str(path)) is ExitCode.OK  # with this machine
    assert "Level 2 of the two" in capsys.readouterr().out


def test_two_fingerprints_are_compared_without_training(tmp_path, capsys, monkeypatch):
    monkeypatch.delattr(module, "observe_in")
    ours = stored(tmp_path / "a.json", FLAT)
    (tmp_path / "run").mkdir()
    stored(
        tmp_path / "run" / "verdict.json", FLAT | {"cpu family": "x", "driver": "1"}, sentence=""
    )
    assert doctor(ours, str(tmp_path / "run")) is ExitCode.OK
    told = capsys.readouterr().out
    assert "Level 0 of the two" in told
    assert "in the way of level 1: cpu family" in told
    assert "cpu family: AuthenticAMD 25 17 | x" in told
    assert "driver: 550 | 1" in told
    doctor(ours, str(tmp_path / "run"), as_json=True)
    compared = json.loads(capsys.readouterr().out)
    assert (compared["level"], compared["prevented_by"]) == (0, ["cpu family"])
    assert compared["differing"]["driver"] == ["550", "1"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "[1]",
        "null",
        "{}",
        '{"fingerprint": 3}',
        '{"bits": {"cpu": 1}}',
        "\xff",
        "[" * 9**5,
    ],
)
def test_files_that_hold_no_fingerprint_are_refused(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(UsageError, match="no fingerprint in"):
        read_fingerprint(str(path))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["nowhere"], "no fingerprint in nowhere"), (["--device", "tpu"], "cpu-avx2")],
)
def test_bad_words_are_usage(tmp_path, monkeypatch, called, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _, told = called(main, "doctor", *arguments)
    assert code == 4
    assert message in told


def test_warnings_name_what_lowers_the_rung():
    quiet = Fingerprint.model_validate(FLAT | PINS)
    assert warnings_of(quiet) == []
    loose = {
        "threads": "8 per run",
        "deterministic algorithms": "off",
        "float32 matmul precision": "medium",
        "flush denormals": "off",
        "tf32": "on",
        "switch MKL_CBWR": "not set",
    }
    for field, value in loose.items():
        (told,) = warnings_of(Fingerprint.model_validate(FLAT | PINS | {field: value}))
        assert told
    gpu = FLAT | {"device": "cuda", "switch CUBLAS_WORKSPACE_CONFIG": "not set"}
    (told,) = warnings_of(Fingerprint.model_validate(gpu))
    assert told.startswith("CUBLAS_WORKSPACE_CONFIG is not set")


def test_references_are_asked_recipe_by_recipe(facts, monkeypatch):
    class Info:
        fingerprint = Fingerprint.model_validate(fingerprint("cpu", load_recipe("cartpole")))

    def load(recipe):
        if recipe.name == "cartpole":
            return Info, None
        raise module.UnusableReferenceError(
            f"there is no reference for the recipe {recipe.name}\nmore"
        )

    monkeypatch.setattr(module, "load_reference", load)
    told = with_references(Fingerprint.model_validate(facts))
    assert set(told) == {"cartpole", "pong", "pong-short"}
    assert told["cartpole"].startswith("Level 2 with the reference")
    assert told["pong"] == "there is no reference for the recipe pong"
