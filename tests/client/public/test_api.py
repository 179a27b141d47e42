"""What `Api` answers: runs, projects, who asks, and what is refused."""

from __future__ import annotations

import pickle
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.client.public.conftest import start

import lineal
from lineal import wandb_names
from lineal.client.artifact.artifact import Artifact
from lineal.client.backend import Backend
from lineal.client.init import init
from lineal.client.public import lists
from lineal.client.public.api import Api
from lineal.client.public.catalog import Project
from lineal.client.public.run import Run
from lineal.client.public.sweep import Sweep
from lineal.client.sweep.sweep import sweep
from lineal.core.records import RunSpec
from lineal.errors import CommError, Invalid, NotFound, RunNotFoundError

# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["runs", "artifact_types", "project"])
def test_a_project_that_is_no_text_is_a_value_error(api: Api, name: str) -> None:
    with pytest.raises(Invalid, match=r"named .*, not 5"):
        getattr(api, name)(5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda api: api.from_path(5), "A path is a text"),
        (lambda api: api.restore([1]), "A path is a text"),
        (lambda api: api.restore(10**20), "A number is too large"),
        (lambda api: api.preview(5, {"untagged": True}), "A path is a text"),
        (lambda api: api.preview("vision/data", 5), "policy is a dict of .*, not 5"),
        (lambda api: api.default_ttl(5), "Entity 5 may hold only"),
        (lambda api: api.runs("vision", start=5), "start=5"),
        (lambda api: api.artifact("data").alias_history(["a"]), "no place for such a value"),
    ],
)
def test_what_is_of_the_wrong_kind_is_a_value_error(
    api: Api, data: Artifact, call: Any, message: str
) -> None:
    with pytest.raises(Invalid, match=message):
        call(api)


@pytest.mark.parametrize("caught_as", [CommError, ValueError])
def test_a_project_or_sweep_that_is_not_there_is_a_value_error_too(
    api: Api, data: Artifact, caught_as: type[Exception]
) -> None:
    with pytest.raises(caught_as, match="No project ana/visoin"):
        len(api.runs("visoin"))
    for path in ("vision/nothing", "nothing"):
        with pytest.raises(caught_as, match="nothing"):
            api.sweep(path)


def test_true_is_not_the_first_deletion(api: Api, data: Artifact) -> None:
    data.delete(delete_aliases=True)
    with pytest.raises(TypeError, match="the id of a deletion or a path, not True"):
        api.restore(True)
    assert data.state == "DELETED"


def test_overrides_that_are_no_dict_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match="overrides must be a dict"):
        Api(5)  # type: ignore[arg-type]  # as users may


# --- runs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["make", "vision/make", "ana/vision/make", "/ana/vision/runs/make"]
)
def test_a_run_is_found_by_every_form_of_its_path(api: Api, data: Artifact, path: str) -> None:
    assert api.run(path).path == ["ana", "vision", "make"]


def test_an_absent_run_is_a_value_error(api: Api, data: Artifact) -> None:
    with pytest.raises(RunNotFoundError) as caught:
        api.run("ana/vision/mak")
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, CommError)


def test_the_default_run_comes_from_the_overrides(data: Artifact) -> None:
    assert Api({"project": "vision", "run": "make"}).run().id == "make"


def test_a_run_is_the_same_object_until_flush(api: Api, data: Artifact) -> None:
    first = api.run("make")
    assert api.run("vision/make") is first
    api.flush()
    assert api.run("make") is not first
    assert api.run("make") == first


def test_a_run_of_this_process_that_was_deleted_is_told_and_others_are_read(
    api: Api, data: Artifact, capsys: pytest.CaptureFixture[str]
) -> None:
    deleted = init(project="vision", id="deleted")
    api.run("vision/deleted").delete()
    deleted.log({"loss": 1})
    other = init(project="vision", id="other", reinit="create_new")
    other.log({"loss": 2})
    assert [row["loss"] for row in api.run("vision/other").scan_history()] == [2]
    assert "Run ana/vision/deleted cannot be stored at present" in capsys.readouterr().err
    api.restore("vision/deleted")
    deleted.finish()
    assert [row["loss"] for row in api.run("vision/deleted").scan_history()] == [1]


def test_runs_are_listed_newest_first_across_pages(api: Api, backend: Backend) -> None:
    for number in range(5):
        start(backend, f"run{number}", config={"lr": number / 10})
    runs = api.runs("vision", per_page=2)
    assert [run.id for run in runs] == ["run4", "run3", "run2", "run1", "run0"]
    assert (runs[-1].id, [run.id for run in runs[3:]], len(runs)) == ("run0", ["run1", "run0"], 5)
    assert api.runs("vision", order="+created_at")[0].id == "run0"


def test_runs_far_from_the_beginning_are_found_by_themselves(
    api: Api, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        start(backend, f"run{number}", config={"lr": number})
    monkeypatch.setattr(lists, "FAR", 2)
    for order in ("+created_at", "-config.lr"):
        all_ids = [run.id for run in api.runs("vision", order=order)]
        runs = api.runs("vision", order=order, per_page=2)
        changed = runs[7]
        changed.notes = "not sent yet"
        assert [run.id for run in runs[5:8]] == all_ids[5:8]
        assert (runs[8].id, runs[-1].id, runs[6].id) == (all_ids[8], all_ids[9], all_ids[6])
        assert [run.id for run in runs] == all_ids
        assert runs[7] is changed


def test_runs_are_filtered_where_they_are_stored(api: Api, backend: Backend) -> None:
    for number in range(5):
        start(backend, f"run{number}", config={"lr": number / 10})
    found = api.runs("ana/vision", filters={"config.lr": {"$gte": 0.3}})
    assert (len(found), {run.id for run in found}) == (2, {"run3", "run4"})
    with pytest.raises(IndexError, match="ana/vision has no runs that match"):
        api.runs("vision", filters={"state": "killed"})[0]


def test_filters_take_values_and_lists_of_numpy_and_pandas_and_dates(
    api: Api, backend: Backend
) -> None:
    numpy, pandas = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    for number in range(4):
        start(backend, f"run{number}", config={"seed": number, "big": number > 1})
    chosen = pandas.DataFrame({"id": ["run0", "run3"]})
    for filters, ids in (
        ({"config.seed": numpy.int64(2)}, ["run2"]),
        ({"config.seed": {"$lt": numpy.float32(1.5)}}, ["run0", "run1"]),
        ({"config.big": numpy.bool_(True)}, ["run2", "run3"]),
        ({"config.seed": {"$in": numpy.array([1, 9])}}, ["run1"]),
        ({"config.seed": {"$in": numpy.array([1])}}, ["run1"]),
        ({"name": {"$in": chosen["id"][:1]}}, ["run0"]),
        ({"config.seed": {"$in": range(1, 3)}}, ["run1", "run2"]),
        (
            {"$and": ({"name": {"$in": chosen["id"]}}, {"state": {"$ne": "failed"}})},
            ["run0", "run3"],
        ),
        ({"name": "run1", "created_at": {"$gt": date(2020, 1, 1)}}, ["run1"]),
        ({"created_at": {"$lt": numpy.datetime64("2020-01-01")}}, []),
        ({"created_at": {"$lt": pandas.Timestamp("2020-01-01")}}, []),
    ):
        assert sorted(run.id for run in api.runs("vision", filters=filters)) == ids
    with pytest.raises(Invalid, match=r"`config.seed` compares with strings, .* not <object"):
        len(api.runs("vision", filters={"config.seed": object()}))
    holds_itself: dict[str, Any] = {}
    holds_itself["$and"] = [holds_itself]
    with pytest.raises(Invalid, match="nested deeper than 16 levels"):
        len(api.runs("vision", filters=holds_itself))


def test_each_list_takes_dates_in_its_filters(api: Api, data: Artifact) -> None:
    sweep({"method": "random", "parameters": {"x": {"values": [1]}}}, project="vision")
    project = api.project("vision")
    for year, count in ((2020, 1), (9999, 0)):
        since = {"created_at": {"$gt": date(year, 1, 1)}}
        for found in (
            project.sweeps(filters=since),
            project.collections(filters=since),
            api.artifacts(name="data", filters=since),
        ):
            assert len(found) == count


def test_a_created_run_waits_for_its_start(api: Api, backend: Backend) -> None:
    created = api.create_run("later")
    assert (created.path, created.state) == (["ana", "vision", "later"], "pending")
    assert not backend.start_run(RunSpec("ana", "vision", "later")).is_resumed


# --- projects and the rest -----------------------------------------------------------------------


def test_projects_are_made_found_and_listed(api: Api) -> None:
    made = api.create_project("vision")
    assert api.create_project("vision").id == made.id
    api.create_project("audio")
    assert {project.name for project in api.projects(per_page=1)} == {"vision", "audio"}
    assert api.project("vision").path == ["ana", "vision"]
    with pytest.raises(NotFound):
        api.project("nope")


@pytest.mark.parametrize("call", ["project", "create_project", "restore", "from_path"])
@pytest.mark.parametrize("name", ["", "/"])
def test_no_name_is_not_that_of_the_default_project(api: Api, call: str, name: str) -> None:
    api.create_run("kept", project="uncategorized")
    with pytest.raises(Invalid, match=r"A project is named as .*, not '/?'"):
        getattr(api, call)(name)


def test_a_project_lists_its_types_and_collections(api: Api, data: Artifact) -> None:
    project = api.project("vision")
    assert [found.name for found in project.artifacts_types(per_page=5)] == ["dataset"]
    assert [found.name for found in project.collections()] == ["data"]
    assert (project.owner.username, project.is_benchmark) == ("ana", False)


def test_own_addresses_are_taken_for_paths(api: Api, data: Artifact, tmp_path: Path) -> None:
    run = api.run("make")
    sweep_id = sweep({"method": "random", "parameters": {"x": {"values": [1]}}}, project="vision")
    made = api.sweep(sweep_id)
    assert api.run(run.url) is run
    assert api.from_path(run.url) == run
    assert api.runs(api.project("vision").url)[0] == run
    for path in (made.url, f"ana/vision/sweeps/{sweep_id}", f"/ana/vision/sweeps/{sweep_id}"):
        assert api.sweep(path).id == sweep_id
        assert isinstance(api.from_path(path), Sweep)
    with init(project="vision", id="live") as live:
        assert api.run(live.url or "").id == "live"
        assert api.from_path(live.project_url or "").name == "vision"
        assert (live.sweep_url, live.sync_dir) == (None, live.dir)
        assert live.url == api.run("live").url
    project = api.from_path(api.project("vision").url)
    assert isinstance(project, Project)
    with pytest.raises(Invalid, match=r"file:///elsewhere/ana/vision/runs/make is not in file://"):
        api.run("file:///elsewhere/ana/vision/runs/make")


def test_the_config_of_a_sweep_is_the_readers_own(api: Api) -> None:
    document = {"method": "random", "parameters": {"x": {"values": [1]}}}
    found = api.sweep(sweep(document, project="vision"))
    found.config["parameters"]["x"] = "other"
    assert found.config["parameters"] == {"x": {"values": [1]}}
    assert found.expected_run_count is None


def test_orders_depths_and_timeouts_that_are_none_are_refused(api: Api, data: Artifact) -> None:
    with pytest.raises(Invalid, match="An order is a text such as `-created_at`, not 5"):
        api.runs("vision", order=5)[0]  # type: ignore[arg-type]  # the test
    with pytest.raises(TypeError, match="depth is a number of steps, not 'a'"):
        data.lineage(depth="a")  # type: ignore[arg-type]  # the test
    with pytest.raises(Invalid, match="`init_timeout` cannot be -1"):
        Api(timeout=-1)
    with pytest.raises(Invalid, match="A retention policy has no key `5`"):
        api.preview("vision", {5: 1})  # type: ignore[dict-item]  # the test
    for read in (api.projects, api.default_ttl):
        with pytest.raises(Invalid, match="Entity 5 may hold only"):
            read(5)  # type: ignore[arg-type]  # the test
    for name in (api.project, api.create_project):
        with pytest.raises(Invalid, match="Entity 5 may hold only"):
            name("vision", entity=5)  # type: ignore[arg-type]  # the test


def test_a_project_is_of_the_entity_that_is_said(api: Api) -> None:
    assert api.create_project("ana/nested", entity="ana").entity == "ana"
    for call in (api.create_project, api.project):
        with pytest.raises(
            Invalid, match="`bad/nested` is of the entity `bad`, but entity='other'"
        ):
            call("bad/nested", entity="other")
    with pytest.raises(Invalid, match="entity `bad`"):
        api.create_run("r", project="bad/nested", entity="other")


def test_a_path_names_a_project_a_run_or_an_artifact(api: Api, data: Artifact) -> None:
    assert isinstance(api.from_path("ana/vision"), Project)
    assert isinstance(api.from_path("ana/vision/make"), Run)
    assert isinstance(api.from_path("ana/vision/runs/make"), Run)
    assert isinstance(api.from_path("ana/vision/data:prod"), Artifact)
    with pytest.raises(NotFound, match="No version `a/b` in ana/vision/data"):
        api.from_path("vision/data:a/b")


def test_a_name_with_a_scheme_is_that_of_no_project(api: Api, data: Artifact) -> None:
    api.project("vision").delete()
    with pytest.raises(NotFound):
        api.restore("lineal-artifact://vision")
    with pytest.raises(NotFound):
        api.project("vision")


def test_who_asks_is_the_login_unless_overridden(api: Api) -> None:
    assert (api.default_entity, api.viewer.username) == ("ana", "ana")
    assert (api.viewer.teams, api.viewer.email, api.viewer.admin) == ([], None, True)
    other = Api({"entity": "bob"})
    assert other.viewer.teams == ["bob"]
    assert (other.default_entity, other.viewer.entity, other.viewer.username) == (
        "bob",
        "bob",
        "ana",
    )


def test_overrides_without_a_value_say_nothing(data: Artifact) -> None:
    assert Api({"entity": "", "project": "", "base_url": ""}).default_entity == "ana"


def test_an_unknown_override_is_refused_with_the_nearest() -> None:
    with pytest.raises(Invalid, match="did you mean `project`"):
        Api({"projct": "vision"})


def test_scripts_that_ask_for_a_key_go_on() -> None:
    assert Api().api_key == lineal.api.api_key != ""


def test_an_unknown_attribute_is_told_with_the_nearest_or_with_what_to_do_instead(api: Api) -> None:
    with pytest.raises(AttributeError, match=r"no attribute `artifct`; did you mean `artifact`\?"):
        _ = api.artifct  # type: ignore[attr-defined]  # that is the point
    for name, instead in wandb_names.OF_API.items():
        with pytest.raises(AttributeError, match=f"`{name}` yet: {re.escape(instead)}"):
            getattr(api, name)
    assert not hasattr(api, "_repr_mimebundle_")


def test_another_home_is_reached_by_its_address(data: Artifact, tmp_path: Path) -> None:
    elsewhere = Api({"base_url": f"file://{tmp_path / 'other'}", "project": "vision"})
    assert not elsewhere.artifact_exists("data:v0")
    assert elsewhere.settings["base_url"] == f"file://{tmp_path / 'other'}"
    with pytest.raises(Invalid, match=r"Cannot reach https://api\.example\.org"):
        Api({"base_url": "https://api.example.org"})


def test_an_attribute_that_would_be_lost_is_refused_with_the_nearest(
    api: Api, data: Artifact
) -> None:
    """As with the `ttl_duration` of W&B's guide, by which personal data would stay (SEED-10)."""
    collection = api.artifact_collection("dataset", "vision/data")
    run = data.logged_by()
    assert run is not None
    sweep = api.sweep(
        "vision/"
        + lineal.sweep({"method": "random", "parameters": {"a": {"value": 1}}}, project="vision")
    )
    for each, name, meant in [
        (data, "ttl_duration", "ttl"),
        (lineal.Artifact("more", "dataset"), "tag", "tags"),
        (collection, "descripton", "description"),
        (api.project("vision"), "ttl_duration", "ttl"),
        (run, "jobType", "job_type"),
        (sweep, "stat", "state"),
    ]:
        with pytest.raises(AttributeError, match=f"no attribute `{name}`; did you mean `{meant}`"):
            setattr(each, name, "misspelt")
    derived = type("Derived", (lineal.Artifact,), {})("more", "dataset")
    derived.epoch = 3
    assert derived.epoch == 3
    collection.description = run.notes = "as it is spelt"
    collection.save()
    run.update()
    assert api.artifact_collection("dataset", "vision/data").description == "as it is spelt"
    assert Api().run("/".join(run.path)).notes == "as it is spelt"


def test_unknown_attributes_of_what_the_api_returns_are_refused_with_the_nearest(
    api: Api, data: Artifact
) -> None:
    project, kind = api.project("vision"), api.artifact_type("dataset", "vision")
    collection, file = kind.collections()[0], data.files()[0]
    with pytest.raises(AttributeError, match="Project has no attribute `colections`; did you mean"):
        project.colections  # type: ignore[attr-defined]  # noqa: B018 - that is the mistake
    with pytest.raises(AttributeError, match=r"ArtifactType has no .* mean `collections`"):
        kind.colections  # type: ignore[attr-defined]  # noqa: B018 - that is the mistake
    with pytest.raises(AttributeError, match=r"Collection has no .* mean `description`"):
        collection.descripton  # type: ignore[attr-defined]  # noqa: B018 - that is the mistake
    with pytest.raises(AttributeError, match=r"File has no .* mean `size`"):
        file.sise  # type: ignore[attr-defined]  # noqa: B018 - that is the mistake
    for lost in (kind, file):
        with pytest.raises(AttributeError, match="has no attribute `description`"):
            lost.description = "x"  # type: ignore[attr-defined]  # that is the mistake
    assert not hasattr(project, "_repr_png_")
    assert pickle.loads(pickle.dumps(kind)).name == "dataset"


def test_aliases_that_a_collection_is_given_are_not_silently_lost(api: Api, data: Artifact) -> None:
    collection = api.artifact_collection("dataset", "vision/data")
    collection.aliases.append("best")
    collection.description = "of photos"
    with pytest.raises(Invalid, match="Aliases belong to versions, not to the collection data"):
        collection.save()
    collection.load()
    collection.save()
    assert collection.aliases == ["latest", "prod"]
