"""`artifact.ttl` and what goes with it, as the SDK shows it."""

from __future__ import annotations

from datetime import timedelta

import pytest

import lineal
from lineal.cli.app import execute
from lineal.client import session
from lineal.client.backend import Backend
from lineal.config import Settings, load
from lineal.core.retention import Level, Selection
from lineal.errors import ArtifactNotLoggedError, Conflict, Gone, Invalid, NotFound

QUIET = {"console": "off"}


def logged(text: str = "0", name: str = "data", **changes: object) -> lineal.Artifact:
    artifact = lineal.Artifact(name, "dataset")
    artifact.add_bytes(text.encode(), "a.txt")
    for key, value in changes.items():
        setattr(artifact, key, value)
    with lineal.init(project="vision", settings=QUIET) as run:
        return run.log_artifact(artifact).wait()


def found(name: str = "vision/data:latest") -> lineal.Artifact:
    return lineal.Api().artifact(name)


def test_a_ttl_is_set_before_logging():
    artifact = logged(ttl=timedelta(days=30))
    assert artifact.ttl == timedelta(days=30)
    assert found().ttl == timedelta(days=30)
    assert found().effective_ttl.level is Level.VERSION
    expires_at = found().expires_at
    assert expires_at is not None
    assert expires_at.isoformat().replace("+00:00", "Z") > found().created_at


def test_a_ttl_is_changed_after_logging_by_save():
    artifact = logged()
    artifact.ttl = 7
    assert artifact.ttl == timedelta(days=7)
    assert found().ttl is None
    artifact.description = "and a description"
    artifact.save()
    assert (found().ttl, found().description) == (timedelta(days=7), "and a description")
    other = found()
    other.ttl = "12h"
    other.save()
    assert found().ttl == timedelta(hours=12)


def test_a_change_while_it_is_still_uploaded_counts():
    artifact = lineal.Artifact("data", "dataset")
    artifact.add_bytes(b"0", "a.txt")
    with lineal.init(project="vision", settings=QUIET) as run:
        run.log_artifact(artifact)
        artifact.ttl = 3
        artifact.save()
    assert found().ttl == timedelta(days=3)


def test_none_is_never_even_where_a_default_exists():
    api = lineal.Api()
    never, inherits = logged("0", ttl=None), logged("1")
    api.set_default_ttl(timedelta(days=1))
    assert api.default_ttl() == timedelta(days=1)
    assert (never.ttl, never.expires_at) == (None, None)
    assert inherits.ttl == timedelta(days=1)
    api.set_default_ttl(None)
    assert (inherits.ttl, api.default_ttl()) == (None, None)


def test_what_is_inherited_is_unknown_until_it_is_logged_or_saved():
    draft = lineal.Artifact("data", "dataset")
    with pytest.raises(ArtifactNotLoggedError):
        _ = draft.ttl
    draft.ttl = 5
    assert draft.ttl == timedelta(days=5)
    draft.ttl = lineal.ArtifactTTL.INHERIT
    with pytest.raises(ArtifactNotLoggedError):
        _ = draft.ttl
    artifact = logged(ttl=5)
    artifact.ttl = lineal.ArtifactTTL.INHERIT
    with pytest.raises(ArtifactNotLoggedError, match="once it is saved"):
        _ = artifact.ttl
    artifact.save()
    assert artifact.ttl is None


@pytest.mark.parametrize("value", [timedelta(0), timedelta(days=-1), 0, -3, "soon", True])
def test_nonsense_is_refused_at_once(value: object):
    with pytest.raises(ValueError, match=r"positive|no duration"):
        lineal.Artifact("data", "dataset").ttl = value  # type: ignore[assignment]


def test_less_than_a_second_is_a_second():
    assert logged(ttl=timedelta(milliseconds=1)).ttl == timedelta(seconds=1)


def test_a_link_takes_no_ttl_and_suspends_that_of_its_source():
    artifact = logged(ttl=1)
    link = artifact.link("registry/data")
    with pytest.raises(ValueError, match="unlink it first"):
        link.ttl = 1
    assert artifact.effective_ttl.suspended_by == "link ana/registry/data:v0"
    assert (artifact.ttl, artifact.expires_at) == (timedelta(days=1), None)
    link.unlink()
    assert artifact.expires_at is not None


def test_collections_and_projects_have_ttls_of_their_own():
    artifact = logged()
    project, collection = lineal.Api().project("vision"), artifact.collection
    assert (project.ttl, collection.ttl) == (lineal.ArtifactTTL.INHERIT,) * 2
    project.ttl = 30
    assert (artifact.ttl, artifact.effective_ttl.level) == (timedelta(days=30), Level.PROJECT)
    collection.ttl = "P20D"
    assert (artifact.ttl, artifact.effective_ttl.level) == (timedelta(days=20), Level.COLLECTION)
    for shown in (collection, lineal.Api().artifact_collection("dataset", "vision/data")):
        assert shown.ttl == timedelta(days=20)
    collection.ttl = lineal.ArtifactTTL.INHERIT
    project.ttl = None
    assert (artifact.ttl, lineal.Api().project("vision").ttl) == (None, None)


def test_policies_and_protected_aliases_are_set_on_collections_and_projects():
    artifact = logged()
    project, collection = lineal.Api().project("vision"), artifact.collection
    assert project.retention is None
    project.retention = {"keep_last": 5, "unaliased": True}
    assert collection.retention == Selection(keep_last=5, unaliased=True)
    collection.retention = Selection(unused=True)
    assert collection.retention == Selection(unused=True)
    with pytest.raises(Invalid, match="did you mean `keep_last`"):
        project.retention = {"keep_lost": 5}
    collection.retention = project.retention = None
    assert collection.retention is None
    project.protected_aliases = "prod"
    assert lineal.Api().project("vision").protected_aliases == ("prod",)
    project.protected_aliases += ("best",)
    assert lineal.Api().project("vision").protected_aliases == ("prod", "best")
    artifact.aliases.append("prod")
    artifact.save()
    with pytest.raises(Conflict, match="protected alias"):
        artifact.delete(delete_aliases=True)


def test_a_deleted_version_is_restored():
    artifact = logged()
    artifact.delete(delete_aliases=True)
    assert artifact.state == "DELETED"
    with pytest.raises(Gone):
        found("vision/data:v0")
    artifact.restore()
    assert (artifact.state, artifact.aliases) == ("COMMITTED", ["latest"])
    assert found().file_count == 1


def test_collections_runs_and_projects_are_restored():
    artifact = logged()
    run = artifact.logged_by()
    assert run is not None
    collection = artifact.collection
    collection.delete()
    assert collection.restore().versions == 1
    assert collection.version_count == 1
    run.delete(delete_artifacts=True)
    run.restore()
    assert found().name == "data:v0"
    project = lineal.Api().project("vision")
    project.delete()
    with pytest.raises(NotFound, match="lineal project restore"):
        lineal.Api().project("vision")
    assert project.restore().versions == 1


def test_the_api_previews_deletes_lists_and_restores():
    for number in range(3):
        logged(str(number))
    api = lineal.Api()
    assert api.preview("vision", {"keep_last": 1}).bytes_freed == 2
    assert api.delete_versions("vision/data", Selection(keep_last=3)) is None
    act = api.delete_versions("vision/data", Selection(keep_last=1))
    assert act is not None
    assert [each.version_count for each in api.deletions()] == [2]
    assert api.restore("vision/data:v0").versions == 1
    assert api.restore(act.id).versions == 1
    api.artifact_collection("dataset", "vision/data").delete()
    assert api.restore("wandb-artifact://ana/vision/data").versions == 3
    api.artifact_collection("dataset", "vision/data").delete()
    assert api.restore("vision/data").versions == 3
    run = next(iter(api.runs("vision")))
    run.delete()
    assert api.restore(f"ana/vision/{run.id}").runs == 1
    api.project("vision").delete()
    assert api.restore("vision").projects == 1


def test_versions_are_selected_by_every_path_of_a_project_and_a_collection():
    logged("one")
    logged("two")
    api = lineal.Api()
    url = api.project("vision").url
    for path in ("vision", "ana/vision", url, "vision/data", "ana/vision/data"):
        assert api.preview(path, {"keep_last": 1}).count == 1, path


def test_of_two_parts_a_collection_goes_before_a_project_of_its_name():
    logged("one")
    with lineal.init(project="ana", settings=QUIET) as run:
        artifact = lineal.Artifact("vision", "dataset")
        artifact.add_bytes(b"1", "f")
        run.log_artifact(artifact)
    (chosen,) = lineal.Api().preview("ana/vision", {"keep_last": 0}).versions
    assert chosen.path == "ana/ana/vision:v0"


@pytest.mark.parametrize("path", ["vision/data:v0", "data:v0", "ana/vision/data:latest"])
def test_a_version_is_no_place_to_select_versions_from(path: str):
    kept = [logged(text) for text in ("one", "two")]
    api = lineal.Api()
    for select in (api.preview, api.delete_versions):
        with pytest.raises(Invalid, match=r"\.delete\(\) deletes that version"):
            select(path, {"keep_last": 0})
    assert len(list(api.artifacts("dataset", "vision/data"))) == len(kept)


def test_using_what_expires_soon_is_said(capsys: pytest.CaptureFixture[str]):
    logged("soon", name="soon", ttl=6)
    logged("later", name="later", ttl=8)
    with lineal.init(project="vision", settings=QUIET) as run:
        capsys.readouterr()
        run.use_artifact("later:latest")
        assert "expires" not in capsys.readouterr().err
        run.use_artifact("soon:latest")
        said = capsys.readouterr().err
        run.use_artifact(found("vision/soon:v0"))
        assert "expires on" in capsys.readouterr().err
    assert "ana/vision/soon:v0 expires on" in said
    assert "`lineal artifact ttl ana/vision/soon:v0 none` keeps it" in said


def test_a_ttl_travels_with_an_offline_run(settings: Settings):
    logged("base", name="base", ttl=6)
    artifact = lineal.Artifact("data", "dataset")
    artifact.add_bytes(b"0", "a.txt")
    artifact.ttl = 9
    with lineal.init(project="vision", mode="offline", settings=QUIET) as run:
        base = run.use_artifact("base:latest")
        assert base.ttl == timedelta(days=6)
        run.log_artifact(artifact)
        folder = run.place.offline_folder
    assert folder is not None
    session.close()
    assert execute(["sync", str(folder)]) == 0
    assert found().ttl == timedelta(days=9)


def test_a_run_with_nothing_to_free_asks_the_database_nothing(statements: list[str]):
    backend: Backend = session.open_backend(load())
    backend.sweep_if_due()
    statements.clear()
    assert backend.sweep_if_due() is None
    assert statements == []
