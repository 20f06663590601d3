"""Bundles of references: blessed with a reason, verified whenever read, never lost."""

from __future__ import annotations

import shutil

import pytest

from dqn_core.recipes.file import load_recipe
from regression.store import references
from regression.store.blessing import BlessingError, moved_between, refuse_degenerate
from regression.store.references import UnusableReferenceError, curves_of, history, load_reference
from reports.schema import CURVES_FILE
from tests.regression.finished_runs import SEEDS, bless, edited, finished, propose, replaced
from tests.regression.made import curves


@pytest.mark.usefixtures("store")
def test_a_blessed_run_becomes_the_reference_of_its_recipe(tmp_path):
    folder = bless(finished(tmp_path / "run"))
    recipe = load_recipe("cartpole")
    info, table = load_reference(recipe)
    assert (info.reason, info.seeds) == ("first ones made here", SEEDS)
    assert folder.name == info.content_hash[:16]
    assert set(table["group"]) == {"reference"}
    expected = curves("candidate", SEEDS, 108.0)
    for name in ("seed", "step", "episode_return", "loss"):
        assert table[name].tolist() == expected[name].tolist()
    # Digests are text: as numbers, these would be one.
    assert table["weights_digest"].tolist()[:2] == ["1e000000", "1e000001"]
    assert table["evaluation_return"].isna().all()


@pytest.mark.usefixtures("store")
def test_numbers_stay_the_text_that_the_run_wrote(tmp_path):
    run = finished(tmp_path / "run", 0.1 + 0.2)
    bundle, text = propose(run)
    bless(run)
    written = (run / "cartpole-cpu-seed-1003" / "curve.csv").read_text().splitlines()[1].split(",")
    assert written[2] in text
    stored = curves_of(next(history("cartpole")))
    mine = stored[(stored["seed"] == 1003) & (stored["step"] == int(written[0]))]
    assert mine["episode_return"].item().hex() == float(written[2]).hex()
    assert bundle.curves_sha256 == next(history("cartpole")).curves_sha256


@pytest.mark.usefixtures("store")
def test_blessings_form_a_chain_with_the_test_of_new_against_old(tmp_path):
    bless(finished(tmp_path / "one"))
    with pytest.raises(BlessingError, match="in force already"):
        propose(finished(tmp_path / "same"))
    bless(finished(tmp_path / "two", 60.0), "slower now for good reasons")
    newest, oldest = history("cartpole")
    assert (newest.previous, oldest.previous) == (oldest.content_hash, "")
    assert (newest.reason, oldest.moved) == ("slower now for good reasons", None)
    assert newest.moved.p_worse == pytest.approx(1 / 252)  # C(10, 5) arrangements
    assert newest.moved.p_better > 0.9
    back = moved_between(curves_of(newest), curves_of(oldest))
    assert (back.p_worse > 0.9, back.p_better) == (True, pytest.approx(1 / 252))
    assert curves_of(oldest)["episode_return"].iloc[0] == 118.0


@pytest.mark.usefixtures("store")
def test_a_reference_of_another_recipe_names_each_field(tmp_path):
    recipe = load_recipe("cartpole")
    with pytest.raises(
        UnusableReferenceError, match="there is no reference for the recipe cartpole"
    ):
        load_reference(recipe)
    bless(finished(tmp_path / "run"))
    for section, name, value in [
        ("evaluation", "epsilon", 0.5), ("env", "id", "CartPole-v0"), ("td", "gamma", 0.5),
        ("loop", "window_steps", 64),
    ]:  # fmt: skip
        changed = getattr(recipe, section).model_copy(update={name: value})
        with pytest.raises(
            UnusableReferenceError, match=rf"{section}\.{name}: .* there, .*{value}.* now"
        ):
            load_reference(recipe.model_copy(update={section: changed}))


def test_sticky_actions_are_part_of_what_must_agree():
    recipe = load_recipe("pong-short")
    load_reference(recipe)
    sticky = recipe.env.model_copy(update={"sticky_probability": 0.9})
    with pytest.raises(UnusableReferenceError, match=r"env\.sticky_probability"):
        load_reference(recipe.model_copy(update={"env": sticky}))


@pytest.fixture(scope="module")
def blessed_twice(tmp_path_factory):
    """A store of two references, and a run that could be the third."""
    folder = tmp_path_factory.mktemp("blessed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(references, "REFERENCES", folder / "references")
        patch.delenv("CI", raising=False)
        bless(finished(folder / "one"))
        bless(finished(folder / "two", 118.0), "another one, for the test")
    finished(folder / "three", 128.0)
    return folder


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda f: replaced(f / CURVES_FILE, b"8.0,9.0", b"9.0,9.0"), "altered"),
        (lambda f: replaced(f / CURVES_FILE, b"9\n", b""), "altered"),
        (lambda f: (f / CURVES_FILE).unlink(), "cannot be read"),
        (lambda f: edited(f / "bundle.json", format=2), r"format\n.*expected  1\n.*actual    2"),
        (lambda f: edited(f / "bundle.json", reason="another one"), "content_hash"),
        (lambda f: edited(f / "bundle.json", seeds=[1]), "content_hash"),
        (lambda f: edited(f / "bundle.json", recipe="pong"), "recipe\n"),
        (lambda f: edited(f / "bundle.json", surprise=1), "cannot be read"),
        (lambda f: (f / "bundle.json").write_text("{"), "cannot be read"),
        (shutil.rmtree, "chain of cartpole is broken"),
        (lambda f: f.rename(f.with_name("0" * 16)), "chain of cartpole is broken"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("which", ["in force", "before"])
def test_whatever_is_altered_is_refused_and_named(
    blessed_twice, store, tmp_path, break_it, message, which
):
    shutil.copytree(blessed_twice, tmp_path, dirs_exist_ok=True)
    newest, oldest = history("cartpole")
    bundle = newest if which == "in force" else oldest
    break_it(store / "cartpole" / bundle.content_hash[:16])
    with pytest.raises(UnusableReferenceError, match=message):
        load_reference(load_recipe("cartpole"))
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    with pytest.raises(UnusableReferenceError, match=message):
        propose(tmp_path / "three")
    assert before == {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["../x", "/etc", "a/b", "..", "A", "", "x\n", "a" * 60])
def test_names_of_recipes_lead_nowhere_else(name):
    with pytest.raises(UnusableReferenceError, match="lower case and dashes"):
        next(history(name))


@pytest.mark.parametrize(
    "text", ["../../x\n", "0123456789abcdef", "0123456789ABCDEF\n", "", "\xff"]
)
def test_the_current_file_names_a_bundle_and_nothing_else(store, text):
    (store / "cartpole").mkdir(parents=True)
    (store / "cartpole" / "current").write_text(text)
    with pytest.raises(UnusableReferenceError, match=r"hexadecimal|cannot be read"):
        next(history("cartpole"))


def test_the_references_of_the_project_are_whole():
    assert [len(bundle.seeds) for bundle in history("cartpole")] == [100, 100, 100, 20, 20]
    assert [len(bundle.seeds) for bundle in history("pong-short")] == [12, 12, 12, 6]
    for name in ("cartpole", "pong-short"):
        _, table = load_reference(load_recipe(name))
        assert table["weights_digest"].str.fullmatch("[0-9a-f]{8}").all()
        refuse_degenerate(table.drop(columns="weights_digest"))
