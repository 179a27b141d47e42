"""What is no bundle or a damaged one, and what cannot be where it goes."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.client.bundling import Home, many
from tests.test_files import file_size_limit

import lineal
from lineal.client.embedded.backend import EmbeddedBackend
from lineal.client.offline import bundles
from lineal.core.records import (
    PageRequest,
    RunPatch,
    RunQuery,
    RunRecord,
)
from lineal.errors import (
    IntegrityError,
    InTheWay,
    Invalid,
    LinealError,
    NoSpace,
    NotFound,
    Unavailable,
)


def test_a_bundle_without_its_database_is_refused(ana, bob):
    ana.log("a")
    ana.export("data")
    Path("bundle", "lineal.db").unlink()
    with pytest.raises(NotFound, match="has lost its database"):
        bob.import_()


def test_collections_of_two_projects_do_not_become_one(ana, bob):
    ana.log("a")
    with ana.run(project="speech") as run:
        artifact = lineal.Artifact("data", "dataset")
        artifact.add_bytes(b"b", "b.txt")
        run.log_artifact(artifact)
    versions = [ana.version("data"), ana.version("data", "speech")]
    bundles.export(ana.backend, versions, "bundle", settings=ana.settings)
    with pytest.raises(Invalid, match="would both become bob/one/data"):
        bob.import_(project="one")
    assert len(bob.import_()) == 2


def test_all_names_that_belong_to_something_else_are_said_before_anything_is_written(ana, bob):
    for name in ("fits", "other", "links", "gone"):
        ana.log(name, name)
    with bob.run(id="theirs") as run:
        for name in ("gone", "other"):
            artifact = lineal.Artifact(name, "model")
            artifact.add_bytes(b"theirs", "a.txt")
            run.log_artifact(artifact).wait()
        artifact.link("links")
    theirs = bob.backend.collection("bob", "vision", "gone")
    bob.backend.delete_collection(theirs.id)
    ana.export("fits", "other", "links", "gone")
    with pytest.raises(Invalid, match="Nothing was imported") as raised:
        bob.import_()
    said = str(raised.value)
    assert "bob/vision/other has type `model`, not `dataset`" in said
    assert "bob/vision/links holds links only" in said
    assert "bob/vision/gone was deleted and keeps its type" in said
    assert "fits" not in said
    with pytest.raises(NotFound):
        bob.version("fits")
    assert [run.run_id for run in every_run(bob)] == ["theirs"]
    assert len(bob.import_(project="other")) == 4


def every_run(home: Home) -> list[RunRecord]:
    return list(home.backend.runs(RunQuery(home.user, "vision"), PageRequest()).items)


def test_an_interrupted_export_is_refused_and_goes_on_when_repeated(ana, bob, monkeypatch):
    ana.log("a", "one")
    ana.log("b", "two")
    commit, count = EmbeddedBackend.commit, iter(range(9))

    def full(self: EmbeddedBackend, draft: object) -> object:
        if next(count) == 1:
            raise NoSpace("the disk is full")
        return commit(self, draft)

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedBackend, "commit", full)
        with pytest.raises(NoSpace):
            ana.export("one", "two")
    with pytest.raises(Unavailable, match="was interrupted; repeat it"):
        bob.import_()
    ana.export("one", "two")
    assert [each.target.collection for each in bob.import_()] == ["one", "two"]


@pytest.mark.parametrize("fill", [lambda each: each.add_bytes(b"whole", "a.txt"), many])
def test_what_was_damaged_on_the_way_does_not_arrive(
    ana: Home, bob: Home, fill: Callable[[lineal.Artifact], None]
) -> None:
    with ana.run() as run:
        artifact = lineal.Artifact("data", "dataset")
        fill(artifact)
        run.log_artifact(artifact)
    ana.export("data")
    blob = max(
        Path("bundle", "blobs").rglob("*"), key=lambda path: path.stat().st_size * path.is_file()
    )
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes().replace(b"whole", b"wh0le").replace(b"t 77", b"t 78"))
    with pytest.raises(IntegrityError, match=r"File .*\.txt of .* is damaged where"):
        bob.import_()
    blob.unlink()
    with pytest.raises(IntegrityError, match=r"File .*\.txt of .* is lost where"):
        bob.import_()
    with pytest.raises(NotFound):
        bob.version("data")
    for entity in ("ana", "bob"):  # nor a run that would never end
        with pytest.raises(NotFound):
            bob.backend.run(entity, "vision", run.id)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: os.truncate(path, 20_000), "is damaged; copy .*bundle here once more"),
        (lambda path: os.truncate(path, 0), "has lost its database"),
    ],
)
def test_a_damaged_database_of_a_bundle_is_named_where_it_is(
    ana: Home, bob: Home, damage: Callable[[Path], None], said: str
) -> None:
    ana.log("content")
    ana.export("data")
    damage(Path("bundle", "lineal.db"))
    with pytest.raises((IntegrityError, NotFound), match=said) as raised:
        bob.import_()
    assert str(Path("bundle").absolute()) in str(raised.value)


def test_an_import_without_room_for_a_copy_of_the_database_says_so(ana: Home, bob: Home) -> None:
    ana.log("content")
    ana.export("data")
    bob.import_()  # else its own database would find the limit first
    with file_size_limit(1 << 10), pytest.raises(NoSpace, match="larger than a file may be"):
        bob.import_()


@pytest.mark.parametrize("folder", ["file", "file/bundle"])
def test_a_file_where_the_bundle_should_be_is_left_alone(ana: Home, folder: str) -> None:
    Path("file").write_text("mine")
    ana.log("content")
    with pytest.raises(InTheWay, match="is no folder, or lies below a file"):
        ana.export("data", to=folder)
    assert Path("file").read_text() == "mine"


def test_a_folder_with_other_things_is_not_filled(ana):
    ana.log("a")
    Path("bundle").mkdir()
    Path("bundle", "mine.txt").write_text("mine")
    with pytest.raises(InTheWay, match="holds other things"):
        ana.export("data")
    assert os.listdir("bundle") == ["mine.txt"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE versions SET metadata = '[]'", "versions 1: no JSON object: metadata"),
        ("UPDATE runs SET created_at = 'today'", "runs 1: no moment: created_at"),
        ("UPDATE collections SET name = '../..'", "collections: Artifact name '../..'"),
        ("UPDATE versions SET ttl_seconds = -1", "A TTL is .* never negative"),
        ("UPDATE versions SET deleted_at = 1", "was deleted by None"),
        ("CREATE VIEW more AS SELECT 1", "more: it is a view, and Lineal has none"),
        ("UPDATE blobs SET nonce = '../..'", "not a content digest and nonce"),
        ("DROP TABLE version_tags", "no such table: version_tags"),
        ("UPDATE segments SET content = x'ff'", "[Ss]egment"),
    ],
)
def test_a_bundle_with_a_database_that_lineal_did_not_write_is_named(
    ana: Home, bob: Home, damage: str, said: str
) -> None:
    ana.log("a", tags=["t"])
    ana.export("data")
    database = Path("bundle", "lineal.db").absolute()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(damage)
        connection.commit()
    with pytest.raises(LinealError, match=said) as raised:
        bob.import_()
    assert str(database.parent) in str(raised.value)
    with pytest.raises(NotFound):
        bob.version("data")
    assert [*bob.backend.verify()] == []


@pytest.mark.parametrize("name", ["bundle.json", "lineal.db-wal", "blob"])
@pytest.mark.parametrize("put", [os.mkfifo, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_not_read(
    ana: Home, bob: Home, name: str, put: Callable[[Path], None]
) -> None:
    ana.log("a")
    ana.export("data")
    (blob,) = (path for path in Path("bundle", "blobs").rglob("*") if path.is_file())
    path = blob if name == "blob" else Path("bundle", name)
    path.unlink(missing_ok=True)
    put(path)
    with pytest.raises(IntegrityError, match=f"{path.name} is neither a file nor a folder"):
        bob.import_()


def test_a_folder_in_place_of_a_pack_is_named(ana, bob):
    with ana.run() as run:
        artifact = lineal.Artifact("data", "dataset")
        many(artifact)
        run.log_artifact(artifact)
    ana.export("data")
    (pack,) = (path for path in Path("bundle", "blobs").rglob("*") if path.is_file())
    pack.unlink()
    pack.mkdir()
    with pytest.raises(LinealError, match=str(Path("bundle").absolute())):
        bob.import_()


@pytest.mark.parametrize("origin", [None, 5, {}, {"created_at": 5}, {"created_at": "yesterday"}])
def test_what_a_run_says_of_its_origin_may_be_anything(
    ana: Home, bob: Home, origin: object
) -> None:
    with ana.run(id="train") as run:
        ana._logged(run, "a", "data")
    key = ana.backend.run("ana", "vision", "train").key
    ana.backend.update_run(key, RunPatch(metadata={"origin": origin}))
    ana.export("data")
    for _ in range(2):
        bob.import_()
    assert bob.backend.run("bob", "vision", "train").state == "finished"


@pytest.mark.parametrize("content", [None, "{", "[]", '{"format": 1}', '{"format": "x"}'])
def test_what_is_no_bundle_is_refused(bob, content):
    Path("bundle").mkdir()
    if content is not None:
        Path("bundle", "bundle.json").write_text(content)
    with pytest.raises(NotFound, match="is not a bundle"):
        bob.import_()


def test_a_folder_that_is_not_there_or_empty_is_no_bundle(bob):
    with pytest.raises(NotFound, match=r"/bundle is not a bundle \(there is no such folder\)"):
        bob.import_()
    Path("bundle").mkdir()
    with pytest.raises(NotFound, match=r"/bundle is not a bundle \(it has no bundle.json\)"):
        bob.import_()


def test_what_is_no_bundle_is_not_searched_for_what_belongs_into_none(bob):
    Path("bundle").mkdir()
    os.mkfifo("bundle/pipe")
    with pytest.raises(NotFound, match=r"/bundle is not a bundle \(it has no bundle.json\)"):
        bob.import_()


def test_a_file_is_no_bundle(bob):
    Path("bundle").touch()
    with pytest.raises(NotFound, match=r"/bundle is not a bundle \(it is a file; unpack"):
        bob.import_()


def test_a_bundle_whose_names_are_none_is_refused(ana, bob):
    ana.log("a")
    ana.export("data")
    about = json.loads(Path("bundle", "bundle.json").read_text())
    for change, said in [
        ({"entity": 1}, "`entity` is 1, not str"),
        ({"versions": [None]}, "`versions` is .* not tuple"),
        ({"is_complete": "no"}, "`is_complete` is 'no', not bool"),
    ]:
        Path("bundle", "bundle.json").write_text(json.dumps(about | change))
        with pytest.raises(NotFound, match=f"is not a bundle .*{said}"):
            bob.import_()


def test_a_bundle_that_lacks_a_version_which_it_names_is_refused(ana, bob):
    ana.log("a")
    ana.export("data")
    about = json.loads(Path("bundle", "bundle.json").read_text())
    versions = [*about["versions"], "ana/vision/data:v7"]
    Path("bundle", "bundle.json").write_text(json.dumps(about | {"versions": versions}))
    with pytest.raises(IntegrityError, match=r"bundle is damaged .*No version `v7`"):
        bob.import_()
    with pytest.raises(NotFound):
        bob.version("data")


def test_a_bundle_whose_database_a_later_lineal_wrote_is_named(ana, bob):
    ana.log("a")
    ana.export("data")
    database = Path("bundle", "lineal.db").absolute()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(Unavailable, match=f"{database} was written by a newer Lineal"):
        bob.import_()


def test_a_bundle_of_a_later_lineal_is_refused(ana, bob):
    ana.log("a")
    ana.export("data")
    about = json.loads(Path("bundle", "bundle.json").read_text())
    Path("bundle", "bundle.json").write_text(json.dumps(about | {"format": 2, "more": 1}))
    with pytest.raises(Unavailable, match="newer Lineal"):
        bob.import_()
