"""What `Api` answers of artifacts: versions, collections, files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.client.public.conftest import log, start

from lineal.client.artifact.artifact import Artifact
from lineal.client.artifact.contents import Contents
from lineal.client.backend import Backend
from lineal.client.public.api import Api
from lineal.errors import CommError, Invalid, NotFound


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


def test_listed_versions_share_their_names_and_are_not_looked_into(
    api: Api, data: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(api, "make", "data", "two")
    made: list[Contents] = []
    make = Contents.__init__
    monkeypatch.setattr(
        Contents,
        "__init__",
        lambda self, *args, **how: made.append(self) or make(self, *args, **how),
    )
    newest, oldest = api.artifacts("dataset", "vision/data")
    assert made == []
    assert newest._record.source_collection is oldest._record.collection
    assert list(newest.manifest.entries) == ["data.txt"]
    assert len(made) == 1


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


def test_a_type_that_is_loaded_again_says_when_it_is_gone(api: Api, data: Artifact) -> None:
    dataset = api.artifact_type("dataset", "vision")
    assert dataset.load()["name"] == "dataset"
    dataset.collection("data").delete()
    with pytest.raises(NotFound, match="has the type `dataset`"):
        dataset.load(force=True)


def test_types_and_collections_are_listed(api: Api, data: Artifact) -> None:
    log(api, "make", "net", "weights", type="model")
    assert [found.name for found in api.artifact_types("vision")] == ["dataset", "model"]
    types = api.artifact_types("vision", start=api.artifact_types("vision").cursor)
    assert (types[-1].name, len(types), types.more) == ("model", 2, False)
    with pytest.raises(Invalid, match="start='x': all types come at once"):
        list(api.artifact_types("vision", start="x"))
    assert [found.name for found in api.artifact_type("model").collections()] == ["net"]
    assert [found.name for found in api.artifact_collections("vision")] == ["data", "net"]
    first = api.project("vision").collections(per_page=1)
    assert first[0].name == "data"
    rest = api.project("vision").collections(per_page=1, start=first.cursor)
    assert [found.name for found in rest] == ["net"]
    assert api.artifact_type("model").collections(start=first.cursor)[0].name == "net"
    assert [found.name for found in api.artifact_collections("vision", "dataset")] == ["data"]
    with pytest.raises(NotFound, match=r"`modle`; did you mean `model`"):
        api.artifact_type("modle")
    with pytest.raises(TypeError, match="A type must be a text or a path, not 5"):
        api.artifact_type(5)  # type: ignore[arg-type]  # on purpose


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
    collection.description = 5  # type: ignore[assignment]  # as users may
    with pytest.raises(Invalid, match="texts, not 5"):
        collection.save()
    collection.name, collection.description = "pictures", "of digits"
    collection.tags.append("digits")
    collection.save()
    renamed = api.artifact_collection("dataset", "pictures")
    assert (renamed.description, renamed.tags) == ("of digits", ["digits"])
    assert [artifact.name for artifact in renamed.artifacts()] == ["pictures:v0"]


def test_the_type_of_a_collection_is_that_of_its_versions(api: Api, data: Artifact) -> None:
    with pytest.warns(DeprecationWarning, match="set `type` and call save"):
        api.artifact_collection("dataset", "data").change_type("corpus")
    assert api.artifact("data").type == "corpus"


def test_a_collection_stays_itself_when_another_takes_the_name_it_had(
    api: Api, data: Artifact
) -> None:
    held = api.artifact_collection("dataset", "data")
    renamed = api.artifact_collection("dataset", "data")
    renamed.name = "pictures"
    renamed.save()
    log(api, "make", "data", "another")

    held.retention = {"keep_last": 1}
    assert [version.name for version in held.artifacts()] == ["pictures:v0"]
    assert held.retention is not None
    assert api.artifact_collection("dataset", "data").retention is None
    held.delete()
    assert held.restore().versions == 1
    held.load()
    assert (held.name, held.aliases) == ("pictures", ["latest", "prod"])


def test_a_version_is_restored_itself_when_another_has_its_name_by_now(
    api: Api, data: Artifact
) -> None:
    log(api, "make", "other", "another").delete(delete_aliases=True)
    held = api.artifact("data:v0")
    api.artifact("data:v0").delete(delete_aliases=True)
    for name, new in (("data", "pictures"), ("other", "data")):
        collection = api.artifact_collection("dataset", name)
        collection.name = new
        collection.save()

    held.restore()
    assert (held.qualified_name, held.id) == ("ana/vision/pictures:v0", data.id)
    assert [version.name for version in api.artifacts("dataset", "vision/data")] == []


@pytest.mark.parametrize(
    ("name", "type"),
    [("source-data", "code"), ("run-data", "run_table"), ("data", "job"), ("data", "wandb-x")],
)
def test_a_collection_becomes_none_that_lineal_makes_itself(
    api: Api, data: Artifact, name: str, type: str
) -> None:
    collection = api.artifact_collection("dataset", "data")
    collection.name, collection.type = name, type
    with pytest.raises(Invalid, match=f"'{name}' of type '{type}' is reserved"):
        collection.save()
    collection.load()
    collection.type = "run_table"
    collection.save()
    collection.name = "run-data"
    with pytest.raises(Invalid, match="'run-data' of type 'run_table' is reserved"):
        collection.save()


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


def test_the_pages_of_files_read_the_manifest_once(
    api: Api, data: Artifact, statements: list[str]
) -> None:
    draft = Artifact("many", "dataset")
    for number in range(100):
        draft.add_bytes(b"", f"file{number:02}")
    api.run("make").log_artifact(draft)
    statements.clear()
    assert api.artifact("many").files(per_page=2)[-1].name == "file99"
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
    for caught_as in (ValueError, CommError):
        with pytest.raises(caught_as, match="replace=True"):
            file.download(str(tmp_path / "out"))
    file.download(str(tmp_path / "out"), exist_ok=True).close()
    with pytest.raises(Invalid, match="new_draft"):
        file.delete()
