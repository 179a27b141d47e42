"""A run as `Api` has it: attributes, summary, files, artifacts."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest

import lineal
from lineal.client.artifact.artifact import Artifact
from lineal.client.backend import Backend
from lineal.client.init import init
from lineal.client.public import run as public_run
from lineal.client.public.api import Api
from lineal.client.public.run import Run
from lineal.client.values import ARRAY_MAX_ELEMENTS
from lineal.core.records import RunPatch, RunSpec
from lineal.errors import (
    CommError,
    Conflict,
    Invalid,
    MissingFile,
    RunGone,
    RunNotFoundError,
    WaitTimeoutError,
)


def draft(text: str, name: str = "data") -> Artifact:
    artifact = Artifact(name, "dataset")
    artifact.add_bytes(text.encode(), "data.txt")
    return artifact


# --- attributes ---------------------------------------------------------------------------------


def test_a_run_shows_what_it_is(run: Run) -> None:
    assert (run.id, run.name, run.entity, run.project) == ("train", "bold owl", "ana", "vision")
    assert (run.state, run.job_type, run.tags, run.user) == ("running", "train", ["a"], "ana")
    assert (run.user.username, run.user.name, run.user.email) == ("ana", "ana", None)
    assert run.path == ["ana", "vision", "train"]
    assert run.created_at.endswith("Z")
    assert run.lastHistoryStep == -1
    assert (run.createdAt, run.historyLineCount, run.jobType) == (run.created_at, 0, "train")
    assert repr(run) == "<Run ana/vision/train (running)>"


def test_hidden_keys_show_in_rawconfig_only(run: Run) -> None:
    assert run.config == {"lr": 0.1, "layers": [1, 2]}
    assert run.rawconfig["lr"] == {"value": 0.1}
    assert json.loads(run.json_config) == run.rawconfig
    assert run.rawconfig["_lineal"] == {"value": {"hidden": True}}


def test_an_unknown_attribute_is_refused_with_the_nearest(run: Run) -> None:
    with pytest.raises(AttributeError, match="did you mean `summary`"):
        run.sumary  # noqa: B018 - the access is the test


def test_update_sends_what_changed_and_nothing_else(api: Api, run: Run, backend: Backend) -> None:
    backend.update_run(run._record.key, RunPatch(config={"by_another": 1}))
    run.display_name, run.notes, run.group = "calm fox", "works", "first"
    run.tags.append("b")
    run.config["lr"] = 0.2
    del run.config["layers"]
    run.update()
    api.flush()
    fresh = api.run("train")
    assert (fresh.name, fresh.notes, fresh.group, fresh.tags) == (
        "calm fox",
        "works",
        "first",
        ["a", "b"],
    )
    assert fresh.config == {"lr": 0.2, "by_another": 1}
    assert fresh.rawconfig["_lineal"] == {"value": {"hidden": True}}


def test_update_sends_what_changed_deep_in_the_config(api: Api, run: Run) -> None:
    run.config["model"] = {"layers": [1, 2], "dropout": {"rate": 0.1}}
    run.update()
    run.config["model"]["layers"].append(3)
    run.config["model"]["dropout"]["rate"] = 0.2
    run.update()
    api.flush()
    assert api.run("train").config["model"] == {"layers": [1, 2, 3], "dropout": {"rate": 0.2}}


@pytest.mark.parametrize(("before", "after"), [(1, True), (0, False), (1.0, 1), ([1], [True])])
def test_update_sends_what_changed_its_type_alone(
    api: Api, run: Run, before: object, after: object
) -> None:
    run.config["it"] = before
    run.update()
    run.config["it"] = after
    run.update()
    api.flush()
    assert repr(api.run("train").config["it"]) == repr(after)


def test_the_description_of_a_run_is_its_notes(api: Api, run: Run) -> None:
    run.description = "of digits"
    run.update()
    api.flush()
    assert api.run("train").notes == "of digits"


def test_load_drops_what_was_not_sent(run: Run) -> None:
    run.name = "never sent"
    run.load()
    assert run.name == "bold owl"


def test_a_run_that_goes_on_is_stopped_and_one_that_is_over_is_not(
    backend: Backend, run: Run
) -> None:
    run.stop()
    assert run.state == "killed"
    backend.finish_run(run._record.key, 0, 1.0)
    run.load()
    assert run.state == "killed"
    run.stop()
    finished = backend.start_run(RunSpec(entity="ana", project="vision", run_id="done")).run
    backend.finish_run(finished.key, 0, 1.0)
    with pytest.raises(Conflict, match="done is finished, so there is nothing to stop"):
        Run(backend, finished).stop()


def test_a_failed_run_can_be_started_anew(backend: Backend, run: Run) -> None:
    with pytest.raises(Conflict, match="train is running; only a failed or crashed"):
        run.update_state("pending")
    with pytest.raises(Invalid, match="use `pending`"):
        run.update_state("finished")
    backend.finish_run(run._record.key, 1, 1.0)
    assert run.update_state("pending")
    assert run.state == "pending"
    started = backend.start_run(RunSpec(entity="ana", project="vision", run_id="train"))
    assert (started.run.state, started.is_resumed) == ("running", True)
    backend.finish_run(run._record.key, 0, 1.0)
    with pytest.raises(Conflict, match="train is finished; only a failed or crashed"):
        run.update_state("pending")


def test_waiting_ends_when_the_run_does(run: Run, backend: Backend) -> None:
    with pytest.raises(WaitTimeoutError, match="ana/vision/train is still running"):
        run.wait_until_finished(timeout=0)
    backend.finish_run(run._record.key, 0, 1.5)
    run.wait_until_finished(timeout=0)
    assert (run.state, run.exit_code, run.duration) == ("finished", 0, 1.5)


def test_a_deleted_run_is_gone(api: Api, run: Run) -> None:
    run.delete()
    api.flush()
    for kind in (CommError, RunNotFoundError, ValueError):
        with pytest.raises(kind, match="ana/vision/train was deleted"):
            api.run("train")


# --- summary ------------------------------------------------------------------------------------


def test_a_summary_is_a_dict_whose_changes_are_sent_by_update(
    api: Api, run: Run, backend: Backend
) -> None:
    backend.update_run(run._record.key, RunPatch(summary={"old_name": 0.9, "loss": 1.0}))
    run.load()
    run.summary["new_name"] = run.summary["old_name"]
    del run.summary["old_name"]
    run.summary.update({"best": True})
    api.flush()
    fresh = api.run("train").summary
    assert dict(fresh) == {"loss": 1.0, "new_name": 0.9, "best": True}


def test_a_summary_has_all_that_a_dict_has(api: Api, run: Run, backend: Backend) -> None:
    backend.update_run(run._record.key, RunPatch(summary={"old_name": 0.9, "n.acc": 1}))
    run.load()
    run.summary["new_name"] = run.summary.pop("old_name")
    assert run.summary.pop("nope", None) is None
    assert run.summary.setdefault("new_name", 0) == 0.9
    assert run.summary.pop("n") == {"acc": 1}
    run.summary.update()
    api.flush()
    fresh = api.run("train").summary
    assert fresh == {"new_name": 0.9}
    fresh.clear()
    fresh.update(run.summary)
    assert fresh == run.summary


def test_a_summary_gives_its_values_as_wandbs_example_of_exporting_asks(
    run: Run, backend: Backend
) -> None:
    backend.update_run(run._record.key, RunPatch(summary={"loss": 1.0, "n.acc": 0.5}))
    run.load()
    own = {"runtime": 0}
    assert run.summary._json_dict == {"loss": 1.0, "n.acc": 0.5, "_wandb": own}


def test_a_summary_knows_how_long_the_run_took(api: Api) -> None:
    with init(project="vision", id="long") as live:
        live.log({"loss": 1.0})
    live.backend.finish_run(live.record.key, 0, 61.5)
    run = api.run("long")
    assert run.summary["_wandb"]["runtime"] == run.summary.get("_wandb")["runtime"] == 61
    assert run.summary.pop("_wandb", None) == {"runtime": 61}
    assert "_wandb" not in dict(run.summary)
    run.summary.update({"loss": 2.0})
    assert api.run("long").summary["_wandb"] == {"runtime": 61}


def test_a_summary_takes_histograms_and_no_other_media(api: Api, run: Run) -> None:
    run.summary["weights"] = lineal.Histogram([1, 2, 2], num_bins=2)
    run.summary["long"] = numpy.arange(ARRAY_MAX_ELEMENTS + 1)
    with pytest.raises(TypeError, match="`page` cannot hold a Html here; open the run"):
        run.summary["page"] = lineal.Html("<p>")
    run.summary.update()
    api.flush()
    fresh = api.run("train").summary
    assert fresh["weights"] == {"_type": "histogram", "values": [1, 2], "bins": [1.0, 1.5, 2.0]}
    assert fresh["long"]["_type"] == "histogram"


def test_summary_changes_go_with_the_run(api: Api, run: Run) -> None:
    run.summary["val_acc"] = 0.5
    run.update()
    api.flush()
    assert api.run("train").summary.get("val_acc") == 0.5


@pytest.mark.parametrize(
    ("attribute", "value", "error"),
    [
        ("config", {"a": object()}, TypeError),
        ("config", None, TypeError),
        ("tags", 5, TypeError),
        ("name", 5, Invalid),
        ("notes", 0, Invalid),
    ],
)
def test_an_update_that_fails_keeps_the_summary_for_the_next(
    api: Api, run: Run, attribute: str, value: object, error: type[Exception]
) -> None:
    run.summary["val_acc"] = 0.5
    right = getattr(run, attribute)
    setattr(run, attribute, value)
    with pytest.raises(error):
        run.update()
    setattr(run, attribute, right)
    run.update()
    api.flush()
    assert api.run("train").summary["val_acc"] == 0.5


def test_no_tags_are_none_of_them(api: Api, run: Run) -> None:
    run.tags = None  # type: ignore[assignment]  # as users may
    run.update()
    assert run.tags == []


@pytest.mark.parametrize(
    "meanwhile",
    [lambda run: run.summary.update({"loss": 1.0}), lambda run: run.move("archive")],
    ids=["summary.update", "move"],
)
def test_an_update_leaves_what_others_changed_as_it_is(
    run: Run, backend: Backend, meanwhile: Callable[[Run], object]
) -> None:
    seen = run.config
    change = RunPatch(name="calm fox", notes="by another", config={"by_another": 1})
    backend.update_run(run._record.key, change)
    meanwhile(run)
    run.tags.append("b")
    run.update()
    assert (run.name, run.notes, run.tags) == ("calm fox", "by another", ["a", "b"])
    assert run.config == seen | {"by_another": 1}


@pytest.mark.parametrize("value", [float("nan"), None])
def test_nan_and_none_count_as_missing_where_a_number_is_the_default(
    run: Run, value: object
) -> None:
    run.summary.update({"val_acc": value})
    assert "val_acc" in run.summary_metrics
    run.load()
    assert run.summary.get("val_acc", 0) == 0
    assert run.summary.get("other", 0) == 0
    kept = run.summary.get("val_acc")
    assert kept is None if value is None else math.isnan(kept)


def test_runs_sort_by_a_metric_that_some_lack(api: Api, backend: Backend) -> None:
    for run_id, value in (("a", 0.3), ("b", float("nan")), ("c", 0.7), ("d", None)):
        key = backend.start_run(RunSpec("ana", "vision", run_id)).run.key
        backend.update_run(key, RunPatch(summary={"val_acc": value}))
    runs = sorted(api.runs("vision"), key=lambda run: run.summary.get("val_acc", 0), reverse=True)
    assert [run.id for run in runs][:2] == ["c", "a"]


# --- files --------------------------------------------------------------------------------------


def test_an_api_does_not_return_a_deleted_run_whoever_deleted_it(api: Api, run: Run) -> None:
    """Objects are kept until `flush()` (API-2), but not those of what is gone."""

    def by_itself() -> None:
        run.delete()

    def from_a_list() -> None:
        next(each for each in api.runs() if each.id == "train").delete()

    def with_its_project() -> None:
        api.project(run.project).delete()

    def by_somebody_else() -> None:
        Api().run("vision/train").delete()

    for delete in (by_itself, from_a_list, with_its_project, by_somebody_else):
        delete()
        with pytest.raises(RunGone):
            api.run("train")
        api.restore(run.project) if delete is with_its_project else run.restore()
        assert api.run("train") is run


def test_tags_that_two_programs_add_and_take_away_are_merged(api: Api, run: Run) -> None:
    run.tags = ["old", "kept"]
    run.update()
    other = Api().run("vision/train")
    other.tags.append("theirs")
    other.tags.remove("old")
    other.update()
    run.tags.append("mine")
    run.update()
    assert run.tags == ["kept", "theirs", "mine"]


def test_a_live_run_keeps_tags_that_others_gave_it(api: Api) -> None:
    live = init(project="vision", tags=["a"])
    beside = api.run("/".join(["vision", live.id]))
    beside.tags.append("theirs")
    beside.update()
    live.tags += ("mine",)
    assert live.tags == ("a", "theirs", "mine")


def test_tags_of_a_collection_that_two_programs_add_are_merged(api: Api, data: Artifact) -> None:
    one, two = (Api().artifact_collection("dataset", "vision/data") for _ in range(2))
    for collection, tag in ((one, "mine"), (two, "theirs")):
        collection.tags.append(tag)
        collection.save()
    assert sorted(two.tags) == ["mine", "theirs"]


def test_a_moved_run_is_one_object_by_its_old_path_and_its_new_one(api: Api, run: Run) -> None:
    old = "/".join(run.path)
    run.move("elsewhere")
    assert api.run("elsewhere/train") is run
    assert api.run(old) is run


def test_files_are_stored_listed_fetched_and_deleted(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "work" / "logs"
    folder.mkdir()
    (folder / "a.txt").write_text("hello")
    stored = run.upload_file("logs/a.txt")
    assert (stored.name, stored.size) == ("logs/a.txt", 5)
    assert [file.name for file in run.files()] == ["logs/a.txt"]
    with run.file("logs/a.txt").download(str(tmp_path / "out"), api=None) as opened:
        assert opened.read() == "hello"
    assert (tmp_path / "out" / "logs" / "a.txt").read_text() == "hello"
    with pytest.raises(Invalid, match=r"out/logs/a.txt is not below root='logs'; give as `root`"):
        run.upload_file("../out/logs/a.txt", root="logs")
    assert run.created_at <= stored.updated_at
    stored.delete()
    assert run.files() == []
    with pytest.raises(MissingFile, match=r"The bytes of .*/train/logs/a.txt are not stored any"):
        stored.download(replace=True)


def test_an_absent_file_is_refused_with_the_nearest(run: Run, tmp_path: Path) -> None:
    (tmp_path / "work" / "notes.txt").write_text("x")
    run.upload_file("notes.txt")
    with pytest.raises(FileNotFoundError, match=r"has no file note\.txt; near: notes\.txt") as e:
        run.file("note.txt")
    assert isinstance(e.value, MissingFile)


def test_only_some_of_many_files_are_looked_at_for_what_is_near(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.txt", "b.txt", "zebra.txt"):
        (tmp_path / "work" / name).write_text("x")
        run.upload_file(name)
    monkeypatch.setattr(public_run, "NEAR_MISSES_MOST", 2)
    with pytest.raises(MissingFile, match=r"near: a\.txt, b\.txt$"):
        run.file("aa.txt")
    with pytest.raises(MissingFile, match=r"has no file zebra$"):
        run.file("zebra")


# --- artifacts ----------------------------------------------------------------------------------


def test_a_draft_is_logged_by_a_finished_run(run: Run, backend: Backend) -> None:
    backend.finish_run(run._record.key, 0, 1.0)
    logged = run.log_artifact(draft("one"), aliases="prod", tags=["clean"])
    assert (logged.qualified_name, logged.aliases) == ("ana/vision/data:v0", ["latest", "prod"])
    assert logged.tags == ["clean"]
    assert logged.logged_by() == run
    run.load()
    assert run.state == "finished"


def test_an_existing_version_becomes_another_output(api: Api, run: Run, backend: Backend) -> None:
    logged = run.log_artifact(draft("one"))
    other = Run(backend, backend.start_run(RunSpec("ana", "vision", "other")).run)
    again = other.log_artifact(api.artifact("data"), aliases=["prod"])
    assert (again.version, again.aliases) == ("v0", ["latest", "prod"])
    assert [artifact.name for artifact in other.logged_artifacts()] == ["data:v0"]
    assert logged.logged_by() == run


def test_what_another_run_is_just_logging_becomes_an_output_too(run: Run) -> None:
    artifact = draft("one")
    with init(project="vision") as other:
        other.log_artifact(artifact)
        logged = run.log_artifact(artifact, aliases="prod")
    assert (logged.version, logged.aliases) == ("v0", ["latest", "prod"])
    assert [artifact.name for artifact in run.logged_artifacts()] == ["data:v0"]
    assert logged.logged_by() != run


def test_logging_to_another_project_is_refused(run: Run, backend: Backend) -> None:
    elsewhere = Run(backend, backend.start_run(RunSpec("ana", "audio", "other")).run)
    logged = run.log_artifact(draft("one"))
    with pytest.raises(Invalid, match=r"ana/vision/data:v0 belongs to ana/vision"):
        elsewhere.log_artifact(logged)


def test_an_existing_version_or_a_draft_is_used(api: Api, run: Run, backend: Backend) -> None:
    run.log_artifact(draft("one"))
    other = Run(backend, backend.start_run(RunSpec("ana", "audio", "other")).run)
    other.use_artifact(api.artifact("data"))
    other.use_artifact(draft("two", "fresh"))
    assert [artifact.qualified_name for artifact in other.used_artifacts(per_page=1)] == [
        "ana/vision/data:v0",
        "ana/audio/fresh:v0",
    ]


def test_only_artifacts_are_used_and_logged(run: Run) -> None:
    with pytest.raises(TypeError, match=r"api\.artifact"):
        run.use_artifact("data:v0")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(TypeError):
        run.log_artifact("data.txt")  # type: ignore[arg-type]  # on purpose


def test_a_run_draws_its_lineage(run: Run) -> None:
    run.log_artifact(draft("one"))
    assert str(run.lineage("downstream")).splitlines() == [
        "bold owl (train) · train run · running",
        "└─ downstream",
        "   └─ data:v0 · dataset · latest",
    ]


def test_deleting_with_artifacts_deletes_what_it_made(api: Api, run: Run) -> None:
    run.log_artifact(draft("one"))
    run.delete(delete_artifacts=True)
    assert not api.artifact_exists("data:v0")
