"""Versions carried from one home to another in a folder (CLI-2, RUN-33)."""

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.client.bundling import Home, many

import lineal
from lineal.client import uploads
from lineal.client.artifact.artifact import committed
from lineal.client.embedded.backend import EmbeddedBackend
from lineal.client.offline import bundles
from lineal.core.records import CollectionPatch
from lineal.core.transfers import Upload
from lineal.errors import NoSpace


def test_a_version_arrives_with_all_that_is_said_of_it(ana, bob, tmp_path):
    ana.log("old")
    with ana.run() as run:
        run.log({"loss": 1.0})
        before = ana._logged(run, "new", "data", aliases=["prod"], tags=["checked"])
    said = committed(ana.backend, before)
    said.ttl = "30d"
    said.save()
    ana.export("data:v1")
    (carried,) = bob.import_()
    there = bob.version("data:prod")
    assert carried.target == there
    assert (there.path, there.digest) == ("bob/vision/data:v1", before.digest)
    assert (there.description, there.metadata, there.tags) == ("all", {"rows": 3}, ("checked",))
    assert set(there.aliases) == {"prod", "latest"}
    assert (there.history_step, there.ttl_seconds) == (before.history_step, 30 * 86_400)
    assert before.history_step is not None
    assert bob.content(there, tmp_path / "out") == {"a.txt": b"new"}
    assert [*bob.backend.verify()] == []


def show_as(home: Home, name: str, collection: str = "data") -> None:
    found = home.backend.collection(home.user, "vision", collection)
    home.backend.update_collection(found.id, CollectionPatch(display_name=name))


def test_the_latest_stays_what_was_logged_again(ana, bob):
    for text in ("a", "b", "a"):
        ana.log(text)
    ana.export("data:v0", "data:v1")
    bob.import_()
    assert bob.version("data").number == 0
    bob.log("own")
    bob.import_()
    assert bob.version("data").number == 2


def test_the_latest_stays_what_is_the_newest_there(ana, bob):
    ana.log("a")
    ana.log("b")
    ana.export("data:v1")
    bob.import_()
    bob.log("own")
    ana.log("a")  # the latest once more
    ana.export("data:v0")
    bob.import_()
    assert bob.version("data") == bob.version("data:v2")


def test_a_display_name_arrives_where_there_is_none(ana, bob):
    ana.log("a")
    ana.log("b")
    ana.log("c", "plain")
    show_as(ana, "Été à la mer")
    ana.export("data:v0", "data:v1", "plain")
    bob.import_()
    assert bob.backend.collection("bob", "vision", "data").display_name == "Été à la mer"
    assert bob.backend.collection("bob", "vision", "plain").display_name is None


def test_a_display_name_that_is_there_stays(ana, bob):
    ana.log("a")
    bob.log("own")
    show_as(ana, "Summer")
    show_as(bob, "Winter")
    ana.export("data")
    bob.import_()
    assert bob.backend.collection("bob", "vision", "data").display_name == "Winter"


def describe(home: Home, text: str, *tags: str, ttl_seconds: int | None = None) -> None:
    found = home.backend.collection(home.user, "vision", "data")
    home.backend.update_collection(found.id, CollectionPatch(description=text, tags=tags))
    home.backend.set_collection_ttl(found.id, ttl_seconds)


def described(home: Home) -> tuple[object, ...]:
    found = home.backend.collection(home.user, "vision", "data")
    return found.description, found.tags, found.ttl_seconds


def test_a_new_collection_gets_what_is_said_of_it(ana, bob):
    ana.log("a")
    ana.log("b")
    describe(ana, "Pictures", "raw", "small", ttl_seconds=3600)
    ana.export("data:v0", "data:v1")
    bob.import_()
    assert described(bob) == ("Pictures", ("raw", "small"), 3600)
    describe(bob, "")
    bob.import_()
    assert described(bob) == ("", (), None)


def test_a_collection_that_is_there_keeps_what_it_says(ana, bob):
    ana.log("a")
    describe(ana, "Pictures", "raw", ttl_seconds=3600)
    bob.log("own")
    ana.export("data")
    bob.import_()
    assert described(bob) == (None, (), None)


def test_an_import_that_was_killed_describes_the_collection_when_it_is_repeated(
    ana: Home, bob: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana.log("a")
    describe(ana, "Pictures", "raw", ttl_seconds=3600)
    ana.export("data")

    def full(*_: object) -> None:
        raise NoSpace("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedBackend, "commit", full)
        with pytest.raises(NoSpace):
            bob.import_()
    bob.import_()
    assert described(bob) == ("Pictures", ("raw",), 3600)
    assert [version.number for version in bob.versions()] == [0]


def test_an_import_that_failed_goes_on_behind_what_was_confirmed(
    ana: Home, bob: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = lineal.Artifact("data", "dataset")
    for number in range(4):
        artifact.add_bytes(b"%d" % number * 100, str(number))
    with ana.run() as run:
        run.log_artifact(artifact)
    ana.export("data")
    monkeypatch.setattr(uploads, "CONFIRM_BYTES", 150)
    send, sent = EmbeddedBackend.send, []

    def failing(backend: EmbeddedBackend, upload: Upload, *how: object, **more: object) -> None:
        sent.append(upload.digest)
        if len(sent) == 4:
            raise NoSpace("the disk is full")
        send(backend, upload, *how, **more)

    monkeypatch.setattr(EmbeddedBackend, "send", failing)
    with pytest.raises(NoSpace):
        bob.import_()
    bob.import_()
    assert len(sent) == 4 + 2
    assert bob.version("data").size_bytes == 400


def test_an_import_removes_the_copies_that_killed_ones_left(
    ana: Home, bob: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana.log("a")
    ana.export("data")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = [tmp_path / f"lineal-apart-{which}" for which in ("dead", "held")]
    for folder in left:
        (folder / "home").mkdir(parents=True)
        (folder / ".lock").write_text(os.uname().nodename)
    with (left[1] / ".lock").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        bob.import_()
    assert sorted(tmp_path.glob("lineal-apart-*")) == left[1:]
    assert [version.number for version in bob.versions()] == [0]


def test_importing_again_or_at_home_changes_nothing(ana, bob):
    ana.log("a", aliases=["prod"])
    at_home = ana.state()
    ana.export("data")
    bob.import_()
    first = bob.state()
    bob.import_()
    ana.import_()
    assert bob.state() == first
    assert ana.state() == at_home


def test_a_number_is_kept_unless_another_version_had_it(ana, bob):
    for text in "abcd":
        ana.log(text)
    ana.export("data:v2", to="first")
    ana.export("data:v1", to="second")
    bob.import_("first")
    bob.import_("second")
    assert [version.number for version in bob.versions()] == [2, 1]
    assert bob.version("data:latest").number == 2
    assert bob.log("own").number == 3
    ana.export("data:v3", to="third")
    (carried,) = bob.import_("third")
    assert (carried.source.number, carried.target.number) == (3, 4)
    assert bob.version("data:latest").number == 4


def test_a_number_that_a_deleted_version_had_is_not_given_again(ana, bob):
    committed(bob.backend, bob.log("gone")).delete(delete_aliases=True)
    ana.log("a")
    ana.export("data")
    (carried,) = bob.import_()
    assert carried.target.number == 1


def test_no_alias_is_taken_from_a_version_that_is_there(ana, bob):
    bob.log("own", aliases=["prod"])
    ana.log("old")
    ana.log("a", aliases=["prod", "good"])
    ana.export("data:v1")
    (carried,) = bob.import_()
    assert carried.aliases_elsewhere == ("prod",)
    assert bob.version("data:prod").number == 0
    assert bob.version("data:good").number == 1


def test_what_is_there_under_another_number_is_not_made_again(ana, bob):
    ana.log("other")
    ana.log("same")
    bob.log("same")
    bob.log("newer")
    ana.export("data:v1")
    (carried,) = bob.import_()
    assert carried.target.number == 0
    assert len(bob.versions()) == 2
    assert bob.version("data:latest").number == 1


def test_a_bundle_can_be_used_as_it_is(ana, tmp_path):
    ana.log("a")
    ana.export("data")
    there = Home(tmp_path / "bundle", "ana")
    assert there.content(there.version("data:v0"), tmp_path / "out") == {"a.txt": b"a"}


def test_importing_writes_nothing_to_the_bundle(ana, bob):
    ana.log("a")
    ana.export("data")
    before = {path: path.stat().st_mtime_ns for path in Path("bundle").rglob("*")}
    bob.import_()
    assert {path: path.stat().st_mtime_ns for path in Path("bundle").rglob("*")} == before


def test_references_stay_references(ana, bob):
    Path("far.txt").write_text("far")
    with ana.run() as run:
        artifact = lineal.Artifact("data", "dataset")
        artifact.add_reference(f"file://{os.path.abspath('far.txt')}", "far.txt")
        run.log_artifact(artifact)
    ana.export("data")
    (carried,) = bob.import_()
    entry = committed(bob.backend, carried.target).get_entry("far.txt")
    assert entry.ref == f"file://{os.path.abspath('far.txt')}"


def test_a_bundle_that_lost_its_empty_folders_on_the_way_is_whole(ana, bob):
    Path("far.txt").write_text("far")
    with ana.run() as run:
        artifact = lineal.Artifact("data", "dataset")
        artifact.add_reference(f"file://{os.path.abspath('far.txt')}", "far.txt")
        run.log_artifact(artifact)
    ana.export("data")
    for folder in Path("bundle").iterdir():
        if folder.is_dir() and not os.listdir(folder):
            folder.rmdir()
    assert not Path("bundle", "blobs").exists()
    assert bob.import_()[0].target.source_number == 0


def test_they_may_go_elsewhere(ana, bob):
    ana.log("a")
    ana.export("data")
    (carried,) = bob.import_(entity="team", project="shared")
    assert carried.target.path == "team/shared/data:v0"


def test_many_small_files_share_files_in_the_bundle(ana, bob, tmp_path):
    with ana.run() as run:
        artifact = lineal.Artifact("data", "dataset")
        many(artifact)
        run.log_artifact(artifact)
    ana.export("data")
    assert len([path for path in Path("bundle", "blobs").rglob("*") if path.is_file()]) == 1
    (carried,) = bob.import_()
    content = bob.content(carried.target, tmp_path / "out")
    assert content == {f"{number}.txt": b"content %d\n" % number for number in range(150)}
    assert os.listdir(tmp_path / "bob" / "staging") == []


def test_what_is_exported_into_a_bundle_at_the_same_time_is_in_it(ana, bob):
    names = ["one", "two", "three"]
    for name in names:
        ana.log(name, name)
    at_once = threading.Barrier(len(names))

    def export(name: str) -> None:
        at_once.wait()
        ana.export(name)

    with ThreadPoolExecutor(len(names)) as pool:
        assert len(list(pool.map(export, names))) == len(names)
    assert sorted(each.target.collection for each in bob.import_()) == sorted(names)


def moved(home: Home, run_id: str) -> None:
    """Take a run and what it logged to the project `other`."""
    run = home.backend.run(home.user, "vision", run_id)
    assert home.backend.move_run(run.key, home.user, "other", with_artifacts=True).moved


def test_what_moved_there_gets_its_new_versions_where_it_is_now(ana, bob):
    ana.log("a", id="first")
    ana.export("data:v0", to="first")
    bob.import_("first")
    moved(bob, "first")
    ana.log("b")
    ana.export("data:v0", "data:v1", to="second")
    for _ in range(2):
        carried = bob.import_("second")
        assert [each.target.path for each in carried] == ["bob/other/data:v0", "bob/other/data:v1"]
    assert bob.version("data", "other").number == 1


def test_what_was_renamed_there_gets_its_new_versions_under_its_new_name(ana, bob):
    ana.log("a")
    ana.export("data:v0", to="first")
    bob.import_("first")
    found = bob.backend.collection(bob.user, "vision", "data")
    bob.backend.update_collection(found.id, CollectionPatch(name="pictures"))
    ana.log("b")
    ana.export("data:v0", "data:v1", to="second")
    names = [each.target.path for each in bob.import_("second")]
    assert names == ["bob/vision/pictures:v0", "bob/vision/pictures:v1"]


def test_what_moved_there_stays_apart_from_what_comes_with_its_name(ana, bob):
    ana.log("a", id="first")
    ana.export("data")
    bob.import_()
    moved(bob, "first")
    with ana.run(project="other") as run:
        artifact = lineal.Artifact("data", "dataset")
        artifact.add_bytes(b"b", "b.txt")
        run.log_artifact(artifact)
    bundles.export(ana.backend, [ana.version("data", "other")], "bundle", settings=ana.settings)
    assert [each.target.project for each in bob.import_()] == ["vision", "other"]


def test_a_name_that_leads_to_another_type_is_free(ana, bob):
    with bob.run(id="theirs") as run:
        artifact = lineal.Artifact("data", "model")
        artifact.add_bytes(b"theirs", "a.txt")
        run.log_artifact(artifact)
    moved(bob, "theirs")
    ana.log("a")
    ana.export("data")
    (carried,) = bob.import_()
    assert carried.target.path == "bob/vision/data:v1"
