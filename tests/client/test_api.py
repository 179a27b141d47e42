from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from lineal.client import session
from lineal.client.artifact.artifact import Artifact
from lineal.client.backend import Backend
from lineal.client.init import init
from lineal.client.public.api import Api
from lineal.client.public.catalog import Project
from lineal.client.public.run import Run
from lineal.client.public.sweep import Sweep
from lineal.client.sweep.sweep import sweep
from lineal.core.records import EdgeKind, PageRequest, RunRecord, RunSpec
from lineal.errors import CommError, Invalid, NotFound, RunNotFoundError


@pytest.fixture(autouse=True)
def _closed_at_the_end() -> Iterator[None]:
    yield
    session.close()


@pytest.fixture
def api() -> Api:
    return Api({"project": "vision"})


@pytest.fixture
def backend(api: Api) -> Backend:
    return api._backend


def start(backend: Backend, run_id: str, project: str = "vision", **said: object) -> RunRecord:
    spec = RunSpec(entity="ana", project=project, run_id=run_id, **said)  # type: ignore[arg-type]  # what the test says
    return backend.start_run(spec).run


def log(
    api: Api,
    run: str,
    name: str,
    text: str,
    *,
    type: str = "dataset",
    aliases: list[str] | None = None,
    tags: list[str] | None = None,
) -> Artifact:
    draft = Artifact(name, type)
    draft.add_bytes(text.encode(), "data.txt")
    return api.run(run).log_artifact(draft, aliases=aliases, tags=tags)


@pytest.fixture
def data(api: Api, backend: Backend) -> Artifact:
    start(backend, "make")
    return log(api, "make", "data", "one", aliases=["prod"])


# --- artifacts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["data", "data:v0", "data:prod", "vision/data:latest", "ana/vision/data:prod"],
)
def test_an_artifact_is_found_by_every_form_of_its_name(
    api: Api, data: Artifact, name: str
) -> None:
    assert api.artifact(name).qualified_name == "ana/vision/data:v0"


def test_a_digest_names_a_version(api: Api, data: Artifact) -> None:
    assert api.artifact(f"data:{data.digest}").version == "v0"


def test_fetching_records_no_use(api: Api, backend: Backend, data: Artifact) -> None:
    fetched = api.artifact("data:latest")
    fetched.download()
    assert fetched.used_by() == []


def test_an_absent_artifact_is_a_comm_error(api: Api, data: Artifact) -> None:
    with pytest.raises(CommError, match=r"ana/vision/data"):
        api.artifact("data:nope")
    with pytest.raises(CommError):
        api.artifact("nope:latest")


def test_a_wrong_type_or_no_name_is_a_value_error(api: Api, data: Artifact) -> None:
    with pytest.raises(ValueError, match=r"ana/vision/data:v0 has type `dataset`, not `model`"):
        api.artifact("data", type="model")
    with pytest.raises(ValueError, match="needs a name"):
        api.artifact(None)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ValueError, match="a/b/c/d"):
        api.artifact("a/b/c/d:v0")


def test_versions_are_listed_newest_first_across_pages(api: Api, data: Artifact) -> None:
    for text in ("two", "three", "four"):
        log(api, "make", "data", text)
    found = api.artifacts("dataset", "data", per_page=2)
    assert [artifact.version for artifact in found] == ["v3", "v2", "v1", "v0"]
    assert (len(found), found[-1].version, found[1:3]) == (4, "v0", found[1:3])
    ordered = api.artifacts(name="data", order="+version_index")
    assert [artifact.version for artifact in ordered] == ["v0", "v1", "v2", "v3"]


def test_a_list_goes_on_where_another_stopped(api: Api, data: Artifact) -> None:
    for text in ("two", "three"):
        log(api, "make", "data", text)
    first = api.artifacts(name="data", per_page=2)
    assert first[0].version == "v2"
    rest = api.artifacts(name="data", per_page=2, start=first.cursor)
    assert [artifact.version for artifact in rest] == ["v0"]


def test_the_versions_of_a_version_are_refused(api: Api, data: Artifact) -> None:
    with pytest.raises(Invalid, match=r"api\.artifact\('data:v1'\)"):
        api.artifacts(name="data:v1")


def test_versions_with_all_tags_are_counted_right(api: Api, data: Artifact) -> None:
    log(api, "make", "data", "two", tags=["clean", "big"])
    log(api, "make", "data", "three", tags=["clean"])
    assert len(api.artifacts(name="data", tags=["clean", "big"])) == 1
    assert len(api.artifacts(name="data", tags="clean")) == 2  # a string counts as a list of one
    none = api.artifacts(name="data", tags="nope")
    with pytest.raises(IndexError, match="ana/vision/data has no versions with all those tags"):
        none[0]


@pytest.fixture
def models(api: Api, backend: Backend) -> None:
    """Log v0 to v2 of `net`; v1 is the best and the largest, v2 says nothing of itself."""
    start(backend, "train")
    said: list[dict[str, Any]] = [
        {"accuracy": 0.8, "opt": {"lr": 0.1}, "arch": "resnet18"},
        {"accuracy": 0.95, "opt": {"lr": 0.3}, "arch": "vit"},
        {},
    ]
    for number, metadata in enumerate(said):
        draft = Artifact("net", "model", metadata=metadata, description=f"try {number}")
        draft.add_bytes(b"x" * (100 if number == 1 else 10 + number), "net.bin")
        is_best = number == 1
        api.run("train").log_artifact(
            draft, aliases=["best"] if is_best else None, tags=["good"] if is_best else None
        )


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"metadata.accuracy": {"$gt": 0.9}}, ["v1"]),
        ({"metadata.accuracy": {"$exists": True}}, ["v1", "v0"]),
        ({"metadata.accuracy": None}, ["v2"]),
        ({"metadata.opt.lr": {"$lte": 0.1}}, ["v0"]),
        ({"metadata.arch": {"$regex": "^res"}}, ["v0"]),
        ({"metadata.arch": {"$in": ["vit", "mlp"]}, "size": {"$gte": 100}}, ["v1"]),
        ({"$or": [{"metadata.accuracy": {"$lt": 0.9}}, {"version_index": 2}]}, ["v2", "v0"]),
        ({"aliases": "best"}, ["v1"]),
        ({"aliases": {"$nin": ["best", "latest"]}}, ["v0"]),
        ({"tags": "good"}, ["v1"]),
        ({"description": "try 2"}, ["v2"]),
        ({"created_at": {"$lt": "2000-01-01"}}, []),
        ({}, ["v2", "v1", "v0"]),
    ],
)
def test_versions_are_found_by_what_was_said_of_them(
    api: Api, models: None, filters: dict[str, Any], expected: list[str]
) -> None:
    found = api.artifacts("model", "net", filters=filters, per_page=1)
    assert [artifact.version for artifact in found] == expected
    assert len(found) == len(expected)
    of_collection = api.artifact_collection("model", "net").artifacts(filters=filters)
    assert [artifact.version for artifact in of_collection] == expected


def test_versions_are_ordered_by_their_metadata(api: Api, models: None) -> None:
    found = api.artifacts(name="net", order="-metadata.accuracy", per_page=1)
    assert [artifact.version for artifact in found] == ["v1", "v0", "v2"]
    assert (found[-1].version, found[0].version) == ("v2", "v1")


def test_a_filter_of_versions_that_names_nothing_says_what_there_is(api: Api, models: None) -> None:
    with pytest.raises(Invalid, match=r"did you mean `metadata\.accuracy`"):
        api.artifacts(name="net", filters={"metdata.accuracy": 1})[0]
    with pytest.raises(IndexError, match="net has no versions that match"):
        api.artifacts(name="net", filters={"metadata.accuracy": 1})[0]


def test_the_old_name_of_artifacts_warns(api: Api, data: Artifact) -> None:
    with pytest.warns(DeprecationWarning, match="use artifacts"):
        assert len(api.artifact_versions("dataset", "data")) == 1


def test_a_name_that_is_no_unicode_is_refused(api: Api, data: Artifact) -> None:
    for look_up in (
        lambda: api.artifact("vision/bad\udcff:latest"),
        lambda: api.run("vision/bad\udcff"),
        lambda: len(api.runs("bad\udcff")),
    ):
        with pytest.raises(Invalid, match="is not valid Unicode"):
            look_up()


@pytest.mark.parametrize("name", ["runs", "artifact_types", "project", "projects"])
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


def test_true_is_not_the_first_deletion(api: Api, data: Artifact) -> None:
    data.delete(delete_aliases=True)
    with pytest.raises(TypeError, match="the id of a deletion or a path, not True"):
        api.restore(True)
    assert data.state == "DELETED"


def test_overrides_that_are_no_dict_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match="overrides must be a dict"):
        Api(5)  # type: ignore[arg-type]  # as users may


def test_pages_may_be_larger_than_any_list(api: Api, data: Artifact) -> None:
    assert len(list(api.projects(per_page=10**20))) == len(list(api.projects()))


def test_existence_is_a_question_not_an_error(api: Api, data: Artifact) -> None:
    assert api.artifact_exists("data:prod")
    assert api.artifact_exists("data", type="dataset")
    assert not api.artifact_exists("data", type="model")
    assert not api.artifact_exists("data:v9")
    assert not api.artifact_exists("nowhere/data:v0")
    assert api.artifact_collection_exists("data", "dataset")
    assert not api.artifact_collection_exists("data", "model")
    assert not api.artifact_collection_exists("nope", "dataset")
    assert not api.artifact_collection_exists("data:v0", "dataset")


def test_types_and_collections_are_listed(api: Api, data: Artifact) -> None:
    log(api, "make", "net", "weights", type="model")
    assert [found.name for found in api.artifact_types("vision")] == ["dataset", "model"]
    assert [found.name for found in api.artifact_type("model").collections()] == ["net"]
    assert [found.name for found in api.artifact_collections("vision")] == ["data", "net"]
    assert [found.name for found in api.artifact_collections("vision", "dataset")] == ["data"]
    with pytest.raises(NotFound, match=r"`modle`; did you mean `model`"):
        api.artifact_type("modle")


def test_a_version_is_no_collection(api: Api, data: Artifact) -> None:
    with pytest.raises(Invalid, match=r"api\.artifact\('vision/data:v0'\) returns that version"):
        api.artifact_collection("dataset", "vision/data:v0")


def test_a_collection_is_edited_and_saved(api: Api, data: Artifact) -> None:
    collection = api.artifact_collection("dataset", "data")
    assert (collection.type, collection.aliases, collection.is_sequence()) == (
        "dataset",
        ["latest", "prod"],
        True,
    )
    collection.name, collection.description = "pictures", "of digits"
    collection.tags.append("digits")
    collection.save()
    renamed = api.artifact_collection("dataset", "pictures")
    assert (renamed.description, renamed.tags) == ("of digits", ["digits"])
    assert [artifact.name for artifact in renamed.artifacts()] == ["pictures:v0"]


def test_a_collection_has_a_display_name_that_nothing_is_found_by(api: Api, data: Artifact) -> None:
    collection = api.artifact_collection("dataset", "data")
    assert collection.display_name is None
    collection.display_name = "Größe, 写真 v2"
    collection.save()
    found = api.artifact_collection("dataset", "data")
    assert (found.name, found.display_name) == ("data", "Größe, 写真 v2")
    assert api.artifact("data:v0").digest == data.digest
    found.description = "of digits"
    found.save()
    assert api.artifact_collection("dataset", "data").display_name == "Größe, 写真 v2"
    with pytest.raises((NotFound, ValueError)):
        api.artifact_collection("dataset", "Größe, 写真 v2")


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_a_display_name_is_taken_away(api: Api, data: Artifact, nothing: str | None) -> None:
    collection = api.artifact_collection("dataset", "data")
    collection.display_name = "Digits"
    collection.save()
    collection.display_name = nothing
    collection.save()
    assert api.artifact_collection("dataset", "data").display_name is None


def test_a_portfolio_may_have_the_display_name_of_another(api: Api, data: Artifact) -> None:
    data.link("picked")
    for collection in (
        api.artifact_collection("dataset", "data"),
        api.artifact_collection("dataset", "picked"),
    ):
        collection.display_name = "The digits"
        collection.save()
    assert api.artifact_collection("dataset", "picked").display_name == "The digits"


def test_a_collection_of_another_type_is_a_value_error(api: Api, data: Artifact) -> None:
    with pytest.raises(ValueError, match="has type `dataset`, not `model`"):
        api.artifact_collection("model", "data")


def test_the_files_of_an_artifact_page_to_their_end(api: Api, data: Artifact) -> None:
    draft = Artifact("many", "dataset")
    names = [f"file{number:02}" for number in range(25)]
    for name in names:
        draft.add_bytes(name.encode(), name)
    api.run("make").log_artifact(draft)
    files = api.artifact("many").files(per_page=4)
    assert (len(files), [file.name for file in files]) == (25, names)
    assert [file.name for file in api.artifact("many").files(["file03", "file20"])] == [
        "file03",
        "file20",
    ]
    rest = api.artifact("many").files(per_page=4, start="file21")
    assert [file.name for file in rest] == names[22:]


def test_the_pages_of_files_read_the_manifest_once(api: Api, data: Artifact) -> None:
    draft = Artifact("many", "dataset")
    for number in range(100):
        draft.add_bytes(b"", f"file{number:02}")
    api.run("make").log_artifact(draft)
    statements: list[str] = []

    def note(*executed: Any) -> None:
        statements.append(executed[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert api.artifact("many").files(per_page=2)[-1].name == "file99"
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert sum("segments.content" in each for each in statements) == 1


def test_a_file_of_an_artifact_is_looked_at_and_fetched(
    api: Api, data: Artifact, tmp_path: Path
) -> None:
    (file,) = api.artifact("data").files()
    assert (file.name, file.size, file.mimetype) == ("data.txt", 3, "text/plain")
    assert file.md5 == "+XxdKZQb+xsv2rCHSQargg=="
    assert Path(file.url.removeprefix("file://")).read_text() == "one"
    with file.download(str(tmp_path / "out")) as opened:
        assert opened.read() == "one"
    with pytest.raises(CommError, match="replace=True"):
        file.download(str(tmp_path / "out"))
    file.download(str(tmp_path / "out"), exist_ok=True).close()
    with pytest.raises(Invalid, match="new_draft"):
        file.delete()


# --- runs ---------------------------------------------------------------------------------------


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


def test_runs_are_listed_newest_first_across_pages(api: Api, backend: Backend) -> None:
    for number in range(5):
        start(backend, f"run{number}", config={"lr": number / 10})
    runs = api.runs("vision", per_page=2)
    assert [run.id for run in runs] == ["run4", "run3", "run2", "run1", "run0"]
    assert (runs[-1].id, [run.id for run in runs[3:]], len(runs)) == ("run0", ["run1", "run0"], 5)
    assert api.runs("vision", order="+created_at")[0].id == "run0"


def test_runs_are_filtered_where_they_are_stored(api: Api, backend: Backend) -> None:
    for number in range(5):
        start(backend, f"run{number}", config={"lr": number / 10})
    found = api.runs("ana/vision", filters={"config.lr": {"$gte": 0.3}})
    assert (len(found), {run.id for run in found}) == (2, {"run3", "run4"})
    with pytest.raises(IndexError, match="ana/vision has no runs that match"):
        api.runs("vision", filters={"state": "killed"})[0]


def test_a_created_run_waits_for_its_start(api: Api, backend: Backend) -> None:
    created = api.create_run("later")
    assert (created.path, created.state) == (["ana", "vision", "later"], "pending")
    assert not backend.start_run(RunSpec("ana", "vision", "later")).is_resumed


# --- seed ---------------------------------------------------------------------------------------


@pytest.fixture
def walked(api: Api, backend: Backend, data: Artifact) -> Api:
    train = start(backend, "train")
    backend.use(train.key, api.artifact("data")._record.id, alias="prod")
    log(api, "train", "net", "weights", type="model")
    return api


def test_the_graph_is_walked_from_an_artifact(walked: Api) -> None:
    artifact = walked.artifact("vision/data:prod")
    producer_run = artifact.logged_by()
    consumer_runs = artifact.used_by()
    assert producer_run is not None
    assert [found.name for found in consumer_runs[0].logged_artifacts()] == ["net:v0"]
    assert list(producer_run.used_artifacts()) == []


def test_the_graph_is_walked_from_a_run(walked: Api) -> None:
    run = walked.run("ana/vision/train")
    produced_artifacts, consumed_artifacts = run.logged_artifacts(), run.used_artifacts()
    earlier_run = consumed_artifacts[0].logged_by()
    assert earlier_run is not None
    assert earlier_run.id == "make"
    consumer_runs = produced_artifacts[0].used_by()
    assert isinstance(consumer_runs, list)
    with pytest.raises(IndexError, match=r"no run has used ana/vision/net:v0"):
        consumer_runs[0]


def test_all_users_are_there_however_many(api: Api, backend: Backend, data: Artifact) -> None:
    version = api.artifact("data")._record.id
    for number in range(120):
        backend.use(start(backend, f"user{number}").key, version, alias=None)
    assert [run.id for run in data.used_by()] == [f"user{number}" for number in range(120)]
    assert backend.runs_of(version, EdgeKind.USED, PageRequest()).cursor is not None


def test_a_deleted_producer_is_none_even_if_another_run_logged_it_again(
    api: Api, backend: Backend, data: Artifact
) -> None:
    start(backend, "again")
    assert log(api, "again", "data", "one").version == "v0"
    producer = data.logged_by()
    assert producer is not None
    assert producer.id == "make"
    producer.delete()
    assert api.artifact("data").logged_by() is None
    (shown,) = (node for node in data.upstream().runs if node.is_deleted)
    assert shown.name == "ana/vision/make"


def test_an_artifact_that_no_run_made_was_logged_by_none(api: Api, backend: Backend) -> None:
    start(backend, "train")
    draft = Artifact("data", "dataset")
    draft.add_bytes(b"one", "data.txt")
    used = api.run("train").use_artifact(draft)
    assert used.logged_by() is None
    api.run("train").log_artifact(used)  # it closes a cycle: not its producer either
    assert used.logged_by() is None
    assert [run.id for run in used.used_by()] == ["train"]


def test_an_artifact_draws_its_lineage(walked: Api) -> None:
    graph = walked.artifact("net").upstream()
    assert str(graph).splitlines()[0].startswith("net:v0 · model · latest")
    assert [node.label for node in graph.artifacts] == ["net:v0", "data:v0"]
    assert len(walked.artifact("data").lineage("downstream", depth=1).runs) == 1
    assert walked.artifact("net").lineage(types="model").artifacts == [graph.root]
    with pytest.raises(ValueError, match="sideways"):
        walked.artifact("net").lineage("sideways")


# --- projects and the rest ----------------------------------------------------------------------


def test_projects_are_made_found_and_listed(api: Api) -> None:
    made = api.create_project("vision")
    assert api.create_project("vision").id == made.id
    api.create_project("audio")
    assert {project.name for project in api.projects(per_page=1)} == {"vision", "audio"}
    assert api.project("vision").path == ["ana", "vision"]
    with pytest.raises(NotFound):
        api.project("nope")


def test_a_project_lists_its_types_and_collections(api: Api, data: Artifact) -> None:
    project = api.project("vision")
    assert [found.name for found in project.artifacts_types(per_page=5)] == ["dataset"]
    assert [found.name for found in project.collections()] == ["data"]


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


def test_orders_depths_and_timeouts_that_are_none_are_refused(api: Api, data: Artifact) -> None:
    with pytest.raises(Invalid, match="An order is a text such as `-created_at`, not 5"):
        api.runs("vision", order=5)[0]  # type: ignore[arg-type]  # the test
    with pytest.raises(TypeError, match="depth is a number of steps, not 'a'"):
        data.lineage(depth="a")  # type: ignore[arg-type]  # the test
    with pytest.raises(Invalid, match="`init_timeout` cannot be -1"):
        Api(timeout=-1)


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
    assert api.viewer.teams == []
    other = Api({"entity": "bob"})
    assert other.viewer.teams == ["bob"]
    assert (other.default_entity, other.viewer.entity, other.viewer.username) == (
        "bob",
        "bob",
        "ana",
    )


def test_an_unknown_override_is_refused_with_the_nearest() -> None:
    with pytest.raises(Invalid, match="did you mean `project`"):
        Api({"projct": "vision"})


def test_another_home_is_reached_by_its_address(data: Artifact, tmp_path: Path) -> None:
    elsewhere = Api({"base_url": f"file://{tmp_path / 'other'}", "project": "vision"})
    assert not elsewhere.artifact_exists("data:v0")
    with pytest.raises(Invalid, match=r"Cannot reach https://api\.example\.org"):
        Api({"base_url": "https://api.example.org"})
