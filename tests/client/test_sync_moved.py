"""`lineal sync` and collections: moved, retyped or deleted by now, and what is said of them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from tests.client.syncing import state, synced, write_dataset

import lineal


@pytest.fixture
def made() -> None:
    with lineal.init(project="p", id="make") as run:
        run.log_artifact(write_dataset(text="at home"))


def go_on_offline() -> None:
    """Log the next version of what is at home, and refer to that in all ways there are."""
    with lineal.init(mode="offline", project="p", id="a") as run:
        used = run.use_artifact("data:v0", aliases=["seen"])
        draft = used.new_draft()
        draft.add_bytes(b"more", "b.txt")
        run.log_artifact(draft)
        run.link_artifact(used, "registry/released")
        taken = lineal.Artifact("taken", "dataset")
        taken.add_reference("lineal://p/data:v0/a.txt")
        run.log_artifact(taken)


@pytest.mark.parametrize("now", ["ana/p/pictures", "ana/q/data"])
def test_versions_go_where_their_collection_has_gone_since(
    home: Path, made: None, now: str
) -> None:
    go_on_offline()
    api = lineal.Api()
    if now == "ana/q/data":
        api.run("p/make").move("q", artifacts="move")
    else:
        collection = api.artifact_collection("dataset", "p/data")
        collection.name = "pictures"
        collection.save()
    (result,) = synced(home)
    assert result.failures == {}
    found = state(home, "a")
    assert found["used"] == [f"{now}:v0"]
    assert [path for path, *_ in found["logged"]] == [f"{now}:v1", "ana/p/taken:v0"]
    assert api.artifact(f"{now}:seen").version == "v0"
    assert api.artifact("registry/released:v0").source_qualified_name == f"{now}:v0"
    (again,) = synced(home, again=True)
    assert again.failures == {}
    assert state(home, "a") == found


def test_a_name_that_was_free_when_the_run_logged_it_is_a_collection_of_its_own(
    home: Path, made: None
) -> None:
    lineal.Api().run("p/make").move("q", artifacts="move")
    with lineal.init(mode="offline", project="p", id="a") as run:
        for text in ("one", "two"):
            run.log_artifact(write_dataset(text=text)).wait()
    (result,) = synced(home)
    assert result.failures == {}
    assert [path for path, *_ in state(home, "a")["logged"]] == ["ana/p/data:v1", "ana/p/data:v2"]
    assert [each.name for each in lineal.Api().artifacts("dataset", "q/data")] == ["data:v0"]


def test_what_has_another_type_by_now_can_be_copied_elsewhere(home: Path, made: None) -> None:
    go_on_offline()
    collection = lineal.Api().artifact_collection("dataset", "p/data")
    collection.type = "model"
    collection.save()
    (result,) = synced(home)
    message = str(result.failures["artifact data:v1"])
    assert "has type `model`, not `dataset`" in message
    assert "a --project OTHER` copies the run elsewhere" in message
    (result,) = synced(home, project="other")
    assert result.failures == {}
    assert lineal.Api().artifact("other/data:latest").type == "dataset"


def test_a_run_of_a_project_that_is_deleted_by_now_can_be_copied_elsewhere(
    home: Path, made: None
) -> None:
    go_on_offline()
    lineal.Api().project("p").delete()
    (result,) = synced(home)
    (message,) = map(str, result.failures.values())
    assert "lineal project restore ana/p" in message
    assert "a --project OTHER` copies it elsewhere" in message


def test_what_was_said_of_a_new_collection_comes_home_with_it(home: Path, made: None) -> None:
    with lineal.init(mode="offline", project="p", id="a") as run:
        for name in ("data", "fresh"):
            collection = run.log_artifact(write_dataset(name, "new")).wait().collection
            collection.description, collection.tags = "from the field", ["wet"]
            collection.save()
            collection.ttl = "30d"
    for _ in range(2):
        synced(home, again=True)
        found = [
            lineal.Api().artifact_collection("dataset", f"p/{name}") for name in ("data", "fresh")
        ]
        assert [(each.description, each.tags) for each in found] == [
            (None, []),  # what is said at home stays as it is
            ("from the field", ["wet"]),
        ]
        assert [each.ttl for each in found] == [lineal.ArtifactTTL.INHERIT, timedelta(days=30)]


def test_a_policy_set_offline_comes_home_where_the_artifact_is_new(home: Path) -> None:
    with lineal.init(project="p") as run:
        run.log_artifact(write_dataset("old"))
    with lineal.init(mode="offline", project="p", id="a") as run:
        for name in ("old", "new"):
            artifact = run.log_artifact(write_dataset(name, "b")).wait()
            artifact.collection.retention = {"keep_last": 2}
    (result,) = synced(home)
    assert result.failures == {}
    api = lineal.Api()
    found = [api.artifact(f"p/{name}:latest").collection.retention for name in ("old", "new")]
    assert found[0] is None
    assert found[1] is not None
    assert found[1].keep_last == 2


def test_what_was_deleted_in_the_folder_stays_behind_and_is_named(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with lineal.init(mode="offline", project="p", id="a") as run:
        run.log_artifact(write_dataset(text="worse")).wait().delete(delete_aliases=True)
        run.log_artifact(write_dataset(text="better"))
    (result,) = synced(home)
    assert (result.failures, result.version_count) == ({}, 1)
    assert "not copied, as they were deleted in lineal/offline-run-" in capsys.readouterr().err
