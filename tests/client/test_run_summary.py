"""The summary of a run, and what `define_metric` makes of it."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Iterator

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from logged_rows import history

import lineal
from lineal.client.run import summary
from lineal.client.values import flat
from lineal.errors import Invalid


@pytest.fixture
def run() -> lineal.Run:
    return lineal.init()


def test_the_summary_keeps_the_last_value_and_is_stored(run):
    run.log({"loss": 2.0})
    run.log({"loss": 1.0})
    run.summary["best_epoch"] = 4
    run.summary.update({"metrics": {"f1": 0.5}})
    run.summary["gone"] = 1
    run.flush()
    del run.summary["gone"]
    run.finish()
    stored = run.backend.run_by_key(run.record.key).summary
    assert stored["loss"] == 1.0
    assert stored["best_epoch"] == 4
    assert stored["metrics.f1"] == 0.5
    assert stored["_step"] == 1
    assert "gone" not in stored


def test_what_is_set_below_a_key_of_the_summary_is_stored(run):
    run.summary["best"] = {"acc": 1, "by": {"cats": 2}}
    run.summary["best"]["acc"] = 3
    run.summary["best"]["by"].update(dogs=4)
    run.summary["best"]["by"].setdefault("hens", 5)
    assert run.summary["best"]["by"].pop("hens") == 5
    assert run.summary["best"]["by"].pop("hens", None) is None
    del run.summary.best.by["cats"]
    assert run.summary["best"] == {"acc": 3, "by": {"dogs": 4}}
    own = copy.deepcopy(run.summary["best"])
    own["acc"] = 9
    run.finish()
    stored = run.backend.run_by_key(run.record.key).summary
    assert (stored["best.acc"], stored["best.by.dogs"]) == (3, 4)
    assert "best.by.cats" not in stored


def test_every_way_to_change_what_is_below_a_key_of_the_summary_reaches_it(run):
    run.summary["best"] = {"acc": 1, "f1": 2, "by": {"cats": 2, "dogs": 3}, "left": {"x": 1}}
    best = run.summary["best"]
    best.epoch = 5
    best |= {"note": "x"}
    del best.acc
    best["by"].clear()
    assert best["left"].popitem() == ("x", 1)
    best.pop("f1")
    assert (best.note, best) == ("x", {"epoch": 5, "note": "x", "by": {}, "left": {}})
    run.finish()
    stored = run.backend.run_by_key(run.record.key).summary
    assert stored == {"best.epoch": 5, "best.note": "x"}


def test_a_dict_in_the_summary_may_be_filled_after_it_was_set_empty(run):
    run.summary["best"] = {}
    run.summary["deep"] = {"by": {}, "empty": {}}
    run.flush()
    run.summary["best"]["acc"] = 1
    run.summary["deep"]["by"]["cats"] = 2
    run.finish()
    stored = run.backend.run_by_key(run.record.key).summary
    assert stored == {"best.acc": 1, "deep.by.cats": 2, "deep.empty": {}}


@pytest.mark.parametrize("value", [{"epoch": 5}, {}, 1, None])
def test_what_is_set_in_the_summary_takes_the_place_of_what_was_there(run, value):
    run.summary["best"] = 7
    run.summary["best"] = {"acc": 1, "by": {"cats": 2}}
    run.summary["best2"] = 2
    run.flush()
    run.summary["best"] = value
    assert run.summary["best"] == value
    run.finish()
    assert lineal.Api().run(run.path).summary["best"] == value
    assert set(run.summary) == {"best.epoch" if value == {"epoch": 5} else "best", "best2"}


def test_a_value_stays_beside_what_is_set_below_its_key(run):
    run.summary["loss"] = 7
    run.summary["loss.min"] = 1
    run.finish()
    assert run.backend.run_by_key(run.record.key).summary == {"loss": 7, "loss.min": 1}


def test_a_key_of_the_summary_that_there_is_not_cannot_be_removed(run):
    with pytest.raises(KeyError, match="absent"):
        del run.summary["absent"]


def test_a_key_of_the_summary_that_comes_back_is_kept(run):
    run.summary.update({"loss": 1, "caf\ud800": 1})
    run.flush()
    del run.summary["loss"]
    run.log({"loss": 2})
    run.finish()
    stored = run.backend.run_by_key(run.record.key).summary
    assert (stored["loss"], len(stored)) == (2, 5)


def test_what_was_stored_is_not_stored_again_over_what_others_set_since(run):
    run.config["lr"] = 1
    run.summary.update({"best": 1, "gone": 1})
    run.flush()
    del run.summary["gone"]
    other = lineal.Api().run(run.path)
    other.config["lr"] = 2
    other.update()
    other.summary.update({"best": 2, "gone": 2})
    run.config["late"] = run.summary["late"] = 3
    run.finish()
    found = lineal.Api().run(run.path)
    assert found.config == {"lr": 2, "late": 3}
    assert found.summary == {"best": 2, "gone": 2, "late": 3}


def test_the_summary_may_be_changed_in_the_middle_of_a_change(run, monkeypatch):
    above = summary._above
    interrupted: list[str] = []

    def interrupting(name: str) -> Iterator[str]:
        """Do what a handler of a signal may do, once, when `c.d` is looked at."""
        if name == "c.d" and not interrupted:
            interrupted.append(name)
            run.summary["handled"] = True
        return above(name)

    run.summary.update({"c.d": 1, "e": 2})
    monkeypatch.setattr(summary, "_above", interrupting)
    run.summary["c.d"] = 3
    assert interrupted == ["c.d"]
    run.finish()
    stored = lineal.Api().run(run.path).summary
    assert (stored["e"], stored["handled"], stored["c"]["d"]) == (2, True, 3)


KEYS = st.sampled_from(["a", "b", "a.b", "a.c", "a.b.c", "ab"])
VALUES = st.recursive(
    st.integers(0, 9), lambda inside: st.dictionaries(st.sampled_from("bcd"), inside, max_size=2)
)


@given(changes=st.lists(st.tuples(KEYS, VALUES | st.none(), st.booleans()), max_size=12))
def test_what_is_below_a_key_of_the_summary_is_what_its_names_say(changes):
    """None deletes; what is logged, and not set, leaves what is below the key."""
    changed = summary.Summary()
    for key, value, is_logged in changes:
        if is_logged:
            changed._record(flat({key: value}))
        elif value is not None:
            changed[key] = value
        elif key in changed:
            del changed[key]
        for name in ("a", "b", "a.b", "ab"):
            expected = {each for each in changed if each == name or each.startswith(name + ".")}
            assert set(changed._at_and_below(name)) == expected
            assert (name in changed) == bool(expected)


def test_a_change_of_the_summary_looks_at_no_other_keys():
    def calls_with(count: int) -> int:
        changed = summary.Summary({f"group{n % 9}": {f"key{n}": n} for n in range(count)})
        calls: list[str] = []
        sys.setprofile(lambda _frame, event, _of: calls.append(event))
        changed["new.key"] = {"x": 1}
        sys.setprofile(None)
        return len(calls)

    assert calls_with(10) == calls_with(1_000)


def test_the_summary_takes_tables_and_images(run):
    run.summary["table"] = lineal.Table(columns=["a"], data=[[1]])
    run.summary.update({"last": {"picture": lineal.Image(numpy.zeros((2, 3)))}})
    run.finish()
    read = lineal.Api().run(run.path)
    assert read.summary["table"]["nrows"] == 1
    assert [artifact.type for artifact in read.logged_artifacts()] == ["run_table"]
    assert read.file(read.summary["last"]["picture"]["path"]).size > 0


def test_true_and_false_are_summarised_as_one_and_zero(run):
    run.define_metric("solved", summary="mean,max,min,last")
    for solved in (True, False, numpy.bool_(True), float("nan"), True):
        run.log({"solved": solved})
    run.finish()
    with lineal.init(id=run.id, resume="must") as again:
        again.log({"solved": False})
    solved = lineal.Api().run(run.path).summary["solved"]
    assert solved == {"mean": 0.6, "max": 1, "min": 0, "last": False}


@pytest.mark.parametrize("how", [{"id": "a", "resume": "must"}, {"fork_from": "a?_step=4"}])
def test_a_mean_goes_on_as_the_mean_of_all_values(how):
    with lineal.init(id="a") as run:
        run.define_metric("loss", summary="mean")
        run.define_metric("t.*", summary="mean")
        for value in (1.0, 2.0):
            run.log({"loss": value, "t": {"acc": value}})
        for value in (math.nan, "none", 3.0):
            run.log({"loss": value})
    with lineal.init(**how) as run:
        run.log({"loss": 6.0})
        run.define_metric("loss", summary="max,mean")
        run.log({"t": {"acc": 6.0}, "other": 1})
        run.log({"loss": 8.0})
    assert run.summary["loss"]["mean"] == 4.0
    assert run.summary["t"]["acc"]["mean"] == 3.0


def test_a_dot_of_a_key_may_have_a_backslash_in_the_name_of_a_metric(run):
    run.define_metric(r"val\.loss", summary="min")
    for loss in (2, 1, 3):
        run.log({"val.loss": loss})
    assert run.summary["val.loss"] == {"min": 1}


def test_define_metric_summarises_as_told(run):
    run.define_metric("loss", summary="min,max,mean")
    run.define_metric("val/*", summary="best", goal="maximize")
    run.define_metric("hidden", summary="none")
    run.define_metric("lr", summary="first")
    run.define_metric("epoch", summary="copy")
    for loss in (3.0, 1.0, 2.0, math.nan):
        run.log({"loss": loss, "val/acc": 1 / loss, "hidden": loss, "lr": loss, "epoch": 7})
    assert run.summary["loss"] == {"min": 1.0, "max": 3.0, "mean": 2.0}
    assert run.summary["val/acc"]["best"] == 1.0
    assert "hidden" not in run.summary
    assert (run.summary["lr"], run.summary["epoch"]) == ({"first": 3.0}, 7)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("min", "MAX", {"min": 1, "max": 3}),
        ("min,max", "mean", {"min": 1, "max": 3, "mean": 2}),
        ("min", None, {"min": 1}),
        ("last", "first", {"last": 3, "first": 2}),
        ("none", "min", {"min": 1}),
        ("min", "none", None),
    ],
)
def test_what_is_said_of_a_metric_later_is_added(run, first, second, expected):
    run.define_metric("m", summary=first)
    run.define_metric("m", summary=second)
    for value in (2, 1, 3):
        run.log({"m": value})
    assert run.summary.get("m") == expected


@pytest.mark.parametrize("is_first", [True, False])
def test_all_that_is_said_of_a_metric_counts_in_whatever_order(run, is_first):
    said = [{"summary": "best"}, {"step_metric": "epoch", "goal": "maximize", "hidden": True}]
    for arguments in said if is_first else reversed(said):
        run.define_metric("m", **arguments)
    run.log({"epoch": 7})
    for value in (1, 3, 2):
        run.log({"m": value})
    assert run.summary["m"] == {"best": 3}
    assert [row["epoch"] for row in history(run)] == [7, 7, 7, 7]
    shown = lineal.Api().run(run.path).rawconfig["_lineal"]["value"]["metrics"]["m"]
    assert shown["hidden"] is True


@pytest.mark.parametrize(("goal", "best"), [("minimize", 1), ("maximize", 3), (None, 1)])
def test_the_goal_of_a_metric_decides_what_is_best_alone(run, goal, best):
    run.define_metric("m", summary="best,min,max", goal=goal)
    for value in (2, 1, 3, 2):
        run.log({"m": value})
    assert run.summary["m"] == {"best": best, "min": 1, "max": 3}


def test_a_nested_metric_is_summarised_as_it_is_defined_after_it_was_logged(run):
    for value in (2, 1, 3):
        run.log({"deep": {"x": value}})
    run.define_metric("deep.x", summary="min")
    assert run.summary["deep"]["x"] == {"min": 1}


def test_what_is_said_of_a_metric_is_said_of_none_that_begins_alike(run):
    run.define_metric("loss", summary="min")
    run.log({"lost": 1, "losses": 2})
    assert (run.summary["lost"], run.summary["losses"]) == (1, 2)


def test_what_was_said_of_a_metric_can_be_forgotten(run):
    run.define_metric("m", summary="min")
    run.define_metric("m", summary="max", overwrite=True)
    run.log({"m": 2})
    assert run.summary["m"] == {"max": 2}


def test_metric_definitions_survive_a_resume(run):
    run.define_metric("loss", summary="min")
    run.log({"loss": 1.0})
    run.finish()
    again = lineal.init(id=run.id, resume="must")
    again.log({"loss": 5.0})
    assert again.summary["loss.min"] == 1.0


def test_a_step_metric_is_added_to_rows_that_lack_it(run):
    run.define_metric("epoch")
    run.define_metric("val", step_metric="epoch")
    run.log({"epoch": 3})
    run.log({"val": 0.5})
    assert history(run)[1] == {"val": 0.5, "epoch": 3, "_step": 1}


def test_a_step_metric_that_has_no_last_value_is_not_added(run):
    run.define_metric("epoch", summary="max")
    run.define_metric("val", step_metric="epoch")
    run.log({"val": 0.5})
    run.log({"epoch": 3})
    run.finish()
    again = lineal.init(id=run.id, resume="must")  # which knows its maximum only
    again.log({"val": 0.6})
    assert [row.get("epoch", "none") for row in history(again)] == ["none", 3, "none"]


def test_a_step_metric_is_not_added_where_nobody_wants_it(run):
    run.define_metric("val", step_metric="epoch", step_sync=False)
    run.define_metric("val", summary="min")
    run.log({"epoch": 3})
    run.log({"val": 0.5})
    assert history(run)[1] == {"val": 0.5, "_step": 1}
    run.define_metric("val", step_metric="epoch")
    run.log({"val": 0.5})
    assert history(run)[2] == {"val": 0.5, "epoch": 3, "_step": 2}


@pytest.mark.parametrize("summary", ["max", "none", "first", None])
def test_a_step_metric_is_the_last_one_whatever_its_own_summary_is(run, summary):
    run.define_metric("epoch", summary=summary)
    run.define_metric("val*", step_metric="epoch")
    run.log({"epoch": 2})
    run.log({"val": 0.5})
    run.log({"epoch": 1})
    run.log({"val": {"acc": 0.6}})
    assert [row.get("epoch") for row in history(run)] == [2, 2, 1, 1]


@pytest.mark.parametrize("mode", ["online", "offline"])
@pytest.mark.parametrize(
    ("summary", "expected"),
    [
        ("max", {"max": 7}),
        ("min,mean,first", {"min": 1, "mean": 4, "first": 5}),
        ("none", None),
        (None, 3),
    ],
)
def test_a_summary_that_is_defined_late_is_of_all_that_was_logged(mode, summary, expected):
    with lineal.init(mode=mode) as run:
        run.summary["val/own"] = 9
        for value in (5, 7):
            run.log({"val/acc": value, "other": value})
        run.flush()
        run.log({"val/acc": 1}, commit=False)
        run.define_metric("val/*", summary=summary)
        run.log({})
        run.log({"val/acc": 3})
    assert run.summary.get("val/acc") == expected
    assert (run.summary["val/own"], run.summary["other"]) == (9, 7)
    if mode == "online":
        assert lineal.Api().run(run.path).summary.get("val/acc") == expected


def test_a_summary_that_is_defined_anew_is_of_all_that_was_logged():
    with lineal.init() as run:
        run.define_metric("m", summary="min")
        for value in (2, 1, 3):
            run.log({"m": value})
        run.define_metric("m", summary="max")
        assert run.summary["m"] == {"min": 1, "max": 3}
        run.define_metric("m", summary="best", goal="maximize", overwrite=True)
        assert run.summary["m"] == {"best": 3}
    with lineal.init(id=run.id, resume="must") as run:
        run.define_metric("m", summary="mean", overwrite=True)
        run.log({"m": 6})
    assert lineal.Api().run(run.path).summary["m"] == {"mean": 3}


def test_a_disabled_run_summarises_what_is_logged_from_then_on():
    with lineal.init(mode="disabled") as run:
        run.log({"m": 1})
        run.define_metric("m", summary="min")
        run.log({"m": 2})
    assert run.summary["m"] == {"min": 2}


def test_a_pattern_takes_all_but_its_star_as_it_is(run):
    run.define_metric("acc[cat]?/*", summary="max")
    run.log({"acc[cat]?/a": 1, "acct/a": 2})
    assert set(run.summary) >= {"acc[cat]?/a.max", "acct/a"}


def test_define_metric_refuses_nonsense(run):
    for arguments in ({"summary": "median"}, {"goal": "up"}):
        with pytest.raises(Invalid):
            run.define_metric("a", **arguments)
    with pytest.raises(Invalid):
        run.define_metric("a*b")
