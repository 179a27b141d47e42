from __future__ import annotations

import sys

import pytest

import lineal
from lineal import Api
from lineal.errors import Invalid


def log(run_id: str, *rows: dict[str, object]) -> None:
    with lineal.init(project="vision", id=run_id) as run:
        for row in rows:
            run.log(row)


def test_histories_of_runs_are_one_list_with_the_runs_names(api: Api) -> None:
    log("one", {"loss": 3}, {"loss": 2, "acc": 0.5})
    log("none")
    log("two", {"loss": 1})
    runs = api.runs("vision", order="+created_at", per_page=1)
    found = runs.histories(keys=["loss"])
    assert found == [
        {"_step": 0, "loss": 3, "run_id": "one"},
        {"_step": 1, "loss": 2, "run_id": "one"},
        {"_step": 0, "loss": 1, "run_id": "two"},
    ]
    assert [row["run_id"] for row in runs.histories(samples=1)] == ["one", "two"]
    with pytest.raises(Invalid, match=r"'csv'.*default, pandas, polars"):
        runs.histories(format="csv")


@pytest.mark.parametrize("format", ["pandas", "polars"])
def test_histories_come_as_a_frame(api: Api, format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(format)
    log("one", {"loss": 3}, {"acc": 0.5})
    log("two", {"loss": 1.5})
    frame = api.runs("vision", order="+created_at").histories(format=format)
    assert list(frame.columns) == ["_runtime", "_step", "_timestamp", "acc", "loss", "run_id"]
    assert list(frame["run_id"]) == ["one", "one", "two"]
    assert frame["loss"].sum() == 4.5
    nothing = api.runs("vision", filters={"name": "three"}).histories(format=format)
    assert len(nothing) == 0
    monkeypatch.setitem(sys.modules, format, None)
    with pytest.raises(Invalid, match=f"pip install {format}"):
        api.runs("vision").histories(format=format)


def test_next_goes_through_a_list_and_loops_change_nothing(api: Api) -> None:
    log("one")
    log("two")
    runs = api.runs("vision", order="+created_at", per_page=1)
    assert next(runs).id == "one"
    assert [run.id for run in runs] == ["one", "two"]
    assert next(runs).id == "two"
    assert next(runs, None) is None
    with pytest.raises(StopIteration):
        next(runs)
