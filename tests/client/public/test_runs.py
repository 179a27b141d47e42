from __future__ import annotations

import pickle
import sys
from collections.abc import Sequence

import pytest
from tests.client.public.conftest import start

import lineal
from lineal import Api
from lineal.client.backend import Backend
from lineal.client.embedded.backend import EmbeddedBackend
from lineal.core.records import JsonObject, RunDocument, RunKey, RunPatch
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


def test_histories_that_fit_into_no_frame_are_refused_with_what_to_do(api: Api) -> None:
    pytest.importorskip("polars")
    log("one", {"x": [1]})
    log("two", {"x": 1})
    with pytest.raises(Invalid, match=r'frame of polars: .*format="pandas"'):
        api.runs("vision").histories(format="polars")
    assert len(api.runs("vision").histories(format="pandas")) == 2


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


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Which document was read of how many runs, query by query."""
    found: list[tuple[str, int]] = []
    read = EmbeddedBackend.run_documents

    def counted(
        backend: EmbeddedBackend, runs: Sequence[RunKey], name: RunDocument
    ) -> dict[RunKey, JsonObject]:
        found.append((name, len(runs)))
        return read(backend, runs, name)

    monkeypatch.setattr(EmbeddedBackend, "run_documents", counted)
    return found


def many(backend: Backend, count: int = 10) -> None:
    for number in range(count):
        record = start(backend, f"run{number}", config={"lr": number, "opt": {"beta": number}})
        backend.update_run(
            record.key, RunPatch(summary={"loss": number}, metadata={"program": f"{number}.py"})
        )


def test_documents_of_listed_runs_are_read_for_many_at_once(
    api: Api, backend: Backend, asked: list[tuple[str, int]]
) -> None:
    many(backend)
    runs = api.runs("vision", order="+created_at", per_page=4)
    assert [run.id for run in runs] == [f"run{number}" for number in range(10)]
    assert asked == []
    assert [run.summary["loss"] for run in runs] == list(range(10))
    assert asked == [("summary", 2), ("summary", 4), ("summary", 4)]
    assert [run.config["opt"]["beta"] for run in runs] == list(range(10))
    assert [run.metadata["program"] for run in runs] == [f"{number}.py" for number in range(10)]
    assert asked[3:6] == [("config", 2), ("config", 4), ("config", 4)]
    assert len(asked) == 9
    asked.clear()
    again = api.runs("vision", order="+created_at", per_page=4)
    assert [run.summary["loss"] for run in again] == list(range(10))  # page by page
    assert asked == [("summary", 2), ("summary", 2), ("summary", 6)]


def test_documents_of_runs_are_right_in_whatever_order_they_are_asked_for(
    api: Api, backend: Backend, asked: list[tuple[str, int]]
) -> None:
    many(backend)
    runs = api.runs("vision", order="+created_at", per_page=4)
    assert [runs[place].config["lr"] for place in (7, -1, 0, 1, -2, 2)] == [7, 9, 0, 1, 8, 2]
    assert sum(count for _, count in asked) < 15
    assert [run.rawconfig["lr"]["value"] for run in runs] == list(range(10))


def test_documents_come_with_the_list_that_is_not_lazy(
    api: Api, backend: Backend, asked: list[tuple[str, int]]
) -> None:
    many(backend, 2)
    runs = api.runs("vision", order="+created_at", lazy=False)
    assert [run.summary["loss"] for run in runs] == [0, 1]
    assert asked == []


def test_listed_runs_are_changed_copied_and_deleted_like_others(api: Api, backend: Backend) -> None:
    many(backend, 4)
    changed, copied, moved, deleted = api.runs("vision", order="+created_at")
    changed.name = "other"
    changed.config["lr"] = 1.5
    changed.update()
    assert api.run("vision/run0").config == {"lr": 1.5, "opt": {"beta": 0}}
    elsewhere = pickle.loads(pickle.dumps(copied))
    assert (elsewhere.summary["loss"], elsewhere.config["lr"]) == (1, 1)
    assert elsewhere.metadata["program"] == "1.py"
    with pytest.raises(Invalid, match="use `keep` or `move`"):
        moved.move("other", artifacts="all")
    assert moved.move("other").config["lr"] == 2
    assert moved.path == ["ana", "other", "run2"]
    deleted.delete()
    assert deleted.summary["loss"] == 3
    assert deleted.state == "running"
