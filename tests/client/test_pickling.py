"""What may be sent to another process, as the workers of a data loader are."""

from __future__ import annotations

import copy
import json
import multiprocessing
import pickle
from collections.abc import Callable
from datetime import timedelta

import pytest

import lineal
from lineal.client.public.files import File
from lineal.core.records import PageRequest
from lineal.errors import ArtifactNotLoggedError, UsageError


def logged() -> lineal.Artifact:
    with lineal.init(project="pickled") as run:
        artifact = lineal.Artifact("data", "dataset", metadata={"n": 1})
        artifact.add_bytes(b"content", "x/data.bin")
        run.log({"loss": 0.5})
        return run.log_artifact(artifact).wait()


def read(artifact: lineal.Artifact) -> tuple[str, bytes, dict[str, int]]:
    with artifact.open("x/data.bin") as file:
        return artifact.qualified_name, file.read(), artifact.metadata


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_logged_artifact_is_read_in_other_processes(method: str) -> None:
    artifact = logged()
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = pool.map(read, [artifact, artifact])
        pool.close()
        pool.join()
    assert found == [("ana/pickled/data:v0", b"content", {"n": 1})] * 2


def test_it_is_found_in_the_home_it_came_from(tmp_path, monkeypatch) -> None:
    pickled = pickle.dumps(logged())
    monkeypatch.setenv("LINEAL_HOME", str(tmp_path / "another"))
    assert read(pickle.loads(pickled))[1] == b"content"
    assert not (tmp_path / "another").exists()


def undo_period_of(artifact: lineal.Artifact) -> timedelta:
    backend = artifact._home
    artifact.delete(delete_aliases=True)
    (deletion,) = backend.deletions(PageRequest()).items
    assert deletion.restorable_until is not None
    return deletion.restorable_until - deletion.deleted_at


def test_it_keeps_the_settings_that_its_home_was_opened_with() -> None:
    with lineal.init(project="pickled", settings={"undo_days": 1}) as run:
        artifact = lineal.Artifact("data", "dataset")
        artifact.add_bytes(b"content", "x")
        run.log_artifact(artifact).wait()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(undo_period_of, [artifact]) == timedelta(days=1)
        pool.close()
        pool.join()


def test_copies_of_a_logged_artifact_are_artifacts() -> None:
    artifact = logged()
    for copied in (copy.copy(artifact), copy.deepcopy({"a": artifact})["a"]):
        assert read(copied) == read(artifact)


def test_a_run_that_was_fetched_is_too() -> None:
    logged()
    (run,) = lineal.Api().runs("ana/pickled")
    again = pickle.loads(pickle.dumps(run))
    assert (again.path, again.summary["loss"]) == (run.path, 0.5)


@pytest.mark.parametrize("how", [lambda it: pickle.loads(pickle.dumps(it)), copy.deepcopy])
def test_what_the_api_lists_goes_along_as_a_list(how: Callable[[object], object]) -> None:
    logged()
    runs = lineal.Api().runs("ana/pickled")
    again = how({"runs": runs, "made": runs[0].logged_artifacts()})
    assert [run.path for run in again["runs"]] == [run.path for run in runs]
    assert [read(artifact)[1] for artifact in again["made"]] == [b"content"]


def fetch(file: File) -> str:
    return file.download(root="fetched", exist_ok=True).read()


def test_files_are_fetched_by_other_processes() -> None:
    artifact = logged()
    (run,) = lineal.Api().runs("ana/pickled")
    files = [artifact.files()[0], run.file("wandb-summary.json")]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        content, summary = pool.map(fetch, files)
        pool.close()
        pool.join()
    assert (content, json.loads(summary)["loss"]) == ("content", 0.5)


@pytest.mark.parametrize(
    "how", [lambda it: pickle.loads(pickle.dumps(it)), copy.copy, copy.deepcopy]
)
def test_a_manifest_goes_along_with_its_artifact(how: Callable[[object], object]) -> None:
    manifest = logged().manifest
    again = how(manifest)
    assert again.to_manifest_json() == manifest.to_manifest_json()
    assert how(manifest.entries) == manifest.entries
    entry = how(manifest.entries["x/data.bin"])
    with open(entry.download()) as file:
        assert file.read() == "content"


@pytest.mark.parametrize("how", [lambda it: pickle.loads(pickle.dumps(it)), copy.deepcopy])
def test_lineal_itself_goes_along_with_functions_that_use_it(how) -> None:
    assert how({"wandb": lineal})["wandb"] is lineal


@pytest.mark.parametrize("how", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_draft_says_that_it_cannot_be_copied(how: Callable[[object], object]) -> None:
    with pytest.raises(ArtifactNotLoggedError, match=r"'data' cannot be copied .* log it first"):
        how(lineal.Artifact("data", "dataset"))


@pytest.mark.parametrize("how", [pickle.dumps, copy.deepcopy])
def test_so_does_its_manifest(how: Callable[[object], object]) -> None:
    with pytest.raises(ArtifactNotLoggedError, match=r"'data' cannot be copied .* log it first"):
        how(lineal.Artifact("data", "dataset").manifest)


def log_loss(run: lineal.Run, loss: float) -> tuple[str, bool]:
    run.log({"loss": loss})
    return run.path, lineal.run is run


@pytest.mark.parametrize("mode", ["online", "offline"])
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_process_goes_on_with_a_run_that_it_is_sent(method: str, mode: str) -> None:
    run = lineal.init(project='"pickled"', id="one", mode=mode)
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.starmap(log_loss, [(run, 1), (run, 2)]) == [(run.path, True)] * 2
        pool.close()
        pool.join()
    run.log({"loss": 3})
    run.finish()
    if mode == "online":
        rows = lineal.Api().run(run.path).scan_history()
        assert sorted(row["loss"] for row in rows) == [1, 2, 3]


def test_it_is_found_in_the_home_of_its_own(tmp_path) -> None:
    run = lineal.init(project="p", settings={"home": str(tmp_path / "another")})
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(log_loss, (run, 1)) == (run.path, True)
        pool.close()
        pool.join()


def test_here_it_is_the_same_run() -> None:
    run = lineal.init(project="pickled")
    assert pickle.loads(pickle.dumps({"trainer": run}))["trainer"] is run


def test_one_that_is_over_is_read_and_not_begun_again() -> None:
    with lineal.init(project="pickled", config={"lr": 1}) as run:
        kept = pickle.dumps(run)
        run.log({"loss": 0.5})
    for pickled in (kept, pickle.dumps(run)):
        found = pickle.loads(pickled)
        assert (found.id, found.name, found.config) == (run.id, run.name, {"lr": 1})
        assert (found.state, found.summary["loss"]) == ("finished", 0.5)
    assert lineal.run is None


def log_in_child(run: lineal.Run) -> tuple[str, dict[str, object], dict[str, object]]:
    run.log({"loss": 2})
    assert run.use_artifact("data:latest").version == "v0"
    run.finish()
    return run.id, run.config.as_dict(), dict(run.summary)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_disabled_run_goes_along(method: str) -> None:
    data = lineal.Artifact("data", "dataset")
    run = lineal.init(mode="disabled", config={"lr": {"first": 1}, "data": data})
    run.define_metric("loss", summary="min")
    run.log({"loss": 1, "x": 1})
    with multiprocessing.get_context(method).Pool(1) as pool:
        found = pool.apply(log_in_child, [run])
        pool.close()
        pool.join()
    assert found == (run.id, run.config.as_dict(), {"loss.min": 1, "x": 1})
    assert lineal.run is run


@pytest.mark.parametrize("mode", ["online", "disabled"])
@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
def test_what_holds_a_run_is_copied_with_the_same_run(
    mode: str, how: Callable[[lineal.Run], lineal.Run]
) -> None:
    run = lineal.init(mode=mode)
    assert how(run) is run
    assert copy.deepcopy({"trainer": [run]})["trainer"][0] is run


def test_a_disabled_run_that_was_sent_is_the_readers_own() -> None:
    run = lineal.init(mode="disabled", config={"lr": 1})
    copied = pickle.loads(pickle.dumps(run))
    copied.config.lr, copied.summary["x"], copied.name = 2, 1, "copy"
    assert (run.config.lr, dict(run.summary), run.name) == (1, {}, "disabled")


def test_what_an_offline_run_has_stays_there() -> None:
    with lineal.init(mode="offline") as run:
        artifact = lineal.Artifact("data", "dataset")
        artifact.add_bytes(b"x", "x")
        run.log_artifact(artifact).wait()
        with pytest.raises(UsageError, match="offline run"):
            pickle.dumps(artifact)
    with pytest.raises(UsageError, match="offline run"):
        pickle.dumps(run)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))]
)
def test_a_copy_of_config_or_summary_is_the_readers_own(copied) -> None:
    with lineal.init(config={"lr": 0.1, "model": {"depth": 2}}) as run:
        run.log({"loss": 0.5, "val": {"acc": [1]}})
        config, summary = copied(run.config), copied(run.summary)
        config.lr = 3
        config["model"]["depth"] = summary["val"]["acc"][0] = summary.loss = 4
        assert (config.lr, config.model["depth"], summary["loss"]) == (3, 4, 4)
    stored = lineal.Api().run(run.path)
    assert stored.config == {"lr": 0.1, "model": {"depth": 2}}
    assert (stored.summary["loss"], stored.summary["val.acc"]) == (0.5, [1])
