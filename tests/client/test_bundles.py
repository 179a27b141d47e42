"""Versions carried from one home to another in a folder (CLI-2, RUN-33)."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from tests.test_files import file_size_limit

import lineal
from lineal.client import session
from lineal.client.artifact.artifact import committed
from lineal.client.backend import Backend
from lineal.client.embedded import EmbeddedBackend
from lineal.client.offline import bundles, sync
from lineal.config import Settings, load
from lineal.core.names import ArtifactPath
from lineal.core.records import (
    CollectionPatch,
    EdgeKind,
    PageRequest,
    RunPatch,
    RunQuery,
    RunRecord,
    RunState,
    Stream,
    VersionQuery,
    VersionRecord,
)
from lineal.errors import (
    IntegrityError,
    InTheWay,
    Invalid,
    NoSpace,
    NotFound,
    Unavailable,
)


class Home:
    """The instance of one person on one machine."""

    def __init__(self, root: Path, user: str) -> None:
        self.values = {"home": str(root), "username": user, "console": "off"}
        self.user = user

    @property
    def settings(self) -> Settings:
        return load(self.values)

    @property
    def backend(self) -> Backend:
        return session.open_backend(self.settings)

    def run(self, **options: object) -> lineal.Run:
        return lineal.init(**{"project": "vision", "settings": self.values, **options})

    def log(self, text: str, name: str = "data", **options: object) -> VersionRecord:
        with self.run() as run:
            return self._logged(run, text, name, **options)

    def _logged(self, run: lineal.Run, text: str, name: str, **options: object) -> VersionRecord:
        artifact = lineal.Artifact(name, "dataset", description="all", metadata={"rows": 3})
        artifact.add_bytes(text.encode(), "a.txt")
        logged = run.log_artifact(artifact, **options).wait()
        return self.version(logged.name)

    def version(
        self, name: str, project: str = "vision", entity: str | None = None
    ) -> VersionRecord:
        collection, _, alias = name.partition(":")
        return self.backend.version(
            ArtifactPath(entity or self.user, project, collection, alias or "latest")
        )

    def versions(self, name: str = "data") -> list[VersionRecord]:
        query = VersionQuery(self.user, "vision", name)
        return list(self.backend.versions(query, PageRequest(size=100)).items)

    def content(self, version: VersionRecord, folder: Path) -> dict[str, bytes]:
        root = Path(committed(self.backend, version).download(root=str(folder)))
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file()
        }

    def export(self, *names: str, to: str = "bundle", **options: bool) -> list[bundles.Carried]:
        versions = [self.version(name) for name in names]
        return bundles.export(self.backend, versions, to, settings=self.settings, **options)

    def import_(self, folder: str = "bundle", **options: str) -> list[bundles.Carried]:
        return bundles.import_(folder, self.backend, settings=self.settings, **options)

    def state(self) -> list[object]:
        """Everything that a second import must not change."""
        found: list[object] = []
        for version in self.versions():
            runs = self.backend.runs_of(version.id, EdgeKind.LOGGED, PageRequest()).items
            found += [version, [run._replace(heartbeat_at=None) for run in runs]]
        return found


@pytest.fixture(autouse=True)
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for capture in ("GIT", "REQUIREMENTS", "MACHINE_INFO", "META"):
        monkeypatch.setenv(f"LINEAL_DISABLE_{capture}", "true")
    monkeypatch.chdir(tmp_path)
    yield
    session.close()


@pytest.fixture
def ana(tmp_path: Path) -> Home:
    return Home(tmp_path / "ana", "ana")


@pytest.fixture
def bob(tmp_path: Path) -> Home:
    return Home(tmp_path / "bob", "bob")


def test_a_version_arrives_with_all_that_is_said_of_it(ana, bob, tmp_path):
    ana.log("old")
    before = ana.log("new", aliases=["prod"], tags=["checked"])
    committed(ana.backend, before).ttl = "30d"
    ana.export("data:v1")
    (carried,) = bob.import_()
    there = bob.version("data:prod")
    assert carried.target == there
    assert (there.path, there.digest) == ("bob/vision/data:v1", before.digest)
    assert (there.description, there.metadata, there.tags) == ("all", {"rows": 3}, ("checked",))
    assert set(there.aliases) == {"prod", "latest"}
    assert bob.content(there, tmp_path / "out") == {"a.txt": b"new"}
    assert [*bob.backend.verify()] == []


def show_as(home: Home, name: str, collection: str = "data") -> None:
    found = home.backend.collection(home.user, "vision", collection)
    home.backend.update_collection(found.id, CollectionPatch(display_name=name))


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


def test_the_run_that_logged_it_comes_along_without_its_history(ana, bob):
    with ana.run(id="train", config={"lr": 0.1}, tags=["night"], job_type="train") as run:
        run.log({"loss": 0.5})
        ana._logged(run, "weights", "model")
    ana.export("model")
    bob.import_()
    there = bob.backend.run("bob", "vision", "train")
    assert (there.config, there.summary["loss"]) == ({"lr": 0.1}, 0.5)
    assert (there.tags, there.job_type, there.state) == (("night",), "train", "finished")
    assert there.metadata["origin"]["run"] == "ana/vision/train"
    assert [*bob.backend.read_lines(there.key, Stream.HISTORY)] == []
    (logged,) = bob.backend.versions_of(there.key, EdgeKind.LOGGED, PageRequest()).items
    assert logged.path == "bob/vision/model:v0"


def test_the_tables_of_a_run_are_named_where_they_arrive(ana, bob):
    with ana.run(id="train") as run:
        run.log({"t": lineal.Table(["x"], [[1]])})
    ana.export("run-train-t")
    bob.import_()
    path = bob.backend.run("bob", "vision", "train").summary["t"]["artifact_path"]
    assert path.startswith("lineal-artifact://bob/vision/run-train-t:")


def test_a_preempted_run_is_preempted_there(ana, bob):
    run = ana.run(id="train")
    ana._logged(run, "weights", "model")
    run.mark_preempting()
    run.finish(exit_code=3)
    ana.export("model")
    bob.import_()
    there = bob.backend.run("bob", "vision", "train")
    assert (there.state, there.exit_code) == ("preempted", 3)


def test_a_stopped_run_is_killed_there(ana, bob):
    with ana.run(id="train") as run:
        ana._logged(run, "weights", "model")
        key = ana.backend.run("ana", "vision", "train").key
        ana.backend.update_run(key, RunPatch(state=RunState.KILLED))
    ana.export("model")
    bob.import_()
    assert bob.backend.run("bob", "vision", "train").state == "killed"


def test_a_run_without_an_end_has_failed_there(ana, bob):
    with ana.run(id="train") as run:
        ana._logged(run, "weights", "model")
        ana.export("model")
    bob.import_()
    there = bob.backend.run("bob", "vision", "train")
    assert (there.state, there.exit_code) == ("failed", 1)


def test_a_later_bundle_brings_the_end_of_a_run(ana, bob):
    with ana.run(id="train") as run:
        run.log({"loss": 2})
        ana._logged(run, "weights", "model")
        ana.export("model", to="early")
        ana.export("model", to="same")
        bob.import_("early")
        run.log({"loss": 1})
        run.config["late"] = True
    ana.export("model", to="same")
    bob.import_("same")
    there = bob.backend.run("bob", "vision", "train")
    assert (there.state, there.exit_code, there.summary["loss"]) == ("finished", 0, 1)
    assert there.config["late"]
    bob.import_("early")
    bob.import_("same")
    assert bob.backend.run("bob", "vision", "train") == there


def test_a_later_bundle_brings_the_end_of_a_run_that_was_resumed(ana, bob):
    with ana.run(id="train") as run:
        ana._logged(run, "weights", "model")
        run.finish(exit_code=1)
    ana.export("model", to="failed")
    with ana.run(id="train", resume="must") as run:
        ana.export("model", to="again")
        run.log({"loss": 1})
    ana.export("model", to="finished")
    states = []
    for folder in ("failed", "again", "finished", "failed", "again"):
        bob.import_(folder)
        states.append(bob.backend.run("bob", "vision", "train").state)
    assert states == ["failed", "failed", "finished", "finished", "finished"]


def test_a_copy_that_somebody_goes_on_with_is_not_ended_by_an_import(ana, bob):
    with ana.run(id="train") as run:
        ana._logged(run, "weights", "model")
    ana.export("model")
    bob.import_()
    with bob.run(id="train", resume="must"):
        bob.import_()
        assert bob.backend.run("bob", "vision", "train").state == "running"


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


@pytest.fixture
def chain(ana: Home) -> str:
    """A model made from a split that was made from raw data."""
    ana.log("raw", "raw")
    for source, name in (("raw", "split"), ("split", "model")):
        with ana.run(id=f"make-{name}") as run:
            run.use_artifact(f"{source}:latest")
            ana._logged(run, name, name)
    return "model"


def neighbours(home: Home, name: str) -> set[str]:
    graph = committed(home.backend, home.version(name)).upstream()
    return {node.id.partition(":")[0] + " " + node.label for node in graph.nodes}


def test_with_upstream_all_it_was_made_from_comes_along(ana, bob, chain):
    ana.export(chain, upstream=True)
    bob.import_()
    assert neighbours(bob, chain) == neighbours(ana, chain)
    assert len(neighbours(bob, chain)) == 6


def test_without_upstream_only_its_run_comes_along(ana, bob, chain):
    ana.export(chain)
    bob.import_()
    assert len(neighbours(bob, chain)) == 2
    ana.export("split", chain)  # into the same bundle
    bob.import_()
    assert len(neighbours(bob, chain)) == 4


def test_a_deleted_version_upstream_is_left_out_and_named(ana, bob, chain, capsys):
    committed(ana.backend, ana.version("raw")).delete(delete_aliases=True)
    ana.export(chain, upstream=True)
    assert "ana/vision/raw:v0 was deleted" in capsys.readouterr().err
    assert [each.target.collection for each in bob.import_()] == ["split", "model"]


@pytest.mark.parametrize("own", [0, 2])
def test_an_offline_run_that_used_it_is_traced_at_home(ana, bob, own):
    ana.log("other")
    ana.log("a")
    for number in range(own):  # then it gets another number here than it has at home
        bob.log(f"own {number}")
    ana.export("data:v1")
    (carried,) = bob.import_()
    with bob.run(id="away", mode="offline") as run:
        assert run.use_artifact(carried.target.name).get_entry("a.txt").size == 1
    (result,) = sync.sync(sync.find_folders("lineal"), ana.backend, settings=ana.settings)
    assert result.failures == {}
    (user,) = ana.backend.runs_of(ana.version("data:v1").id, EdgeKind.USED, PageRequest()).items
    assert user.run_id == "away"


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


def test_a_bundle_without_its_database_is_refused(ana, bob):
    ana.log("a")
    ana.export("data")
    Path("bundle", "lineal.db").unlink()
    with pytest.raises(NotFound, match="has lost its database"):
        bob.import_()


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


def test_another_run_of_that_id_is_left_alone(ana, bob, capsys):
    with bob.run(id="train", config={"mine": 1}):
        pass
    with ana.run(id="train") as run:
        ana._logged(run, "a", "data")
    ana.export("data")
    (carried,) = bob.import_()
    assert "another run is bob/vision/train there" in capsys.readouterr().err
    assert bob.backend.run("bob", "vision", "train").config == {"mine": 1}
    assert bob.backend.runs_of(carried.target.id, EdgeKind.LOGGED, PageRequest()).items == ()


def test_they_may_go_elsewhere(ana, bob):
    ana.log("a")
    ana.export("data")
    (carried,) = bob.import_(entity="team", project="shared")
    assert carried.target.path == "team/shared/data:v0"


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


def many(artifact: lineal.Artifact) -> None:
    for number in range(150):
        artifact.add_bytes(b"content %d\n" % number, f"{number}.txt")


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
    with pytest.raises(IntegrityError, match="is damaged where it is copied from"):
        bob.import_()
    blob.unlink()
    with pytest.raises(IntegrityError, match="is lost where it is copied from"):
        bob.import_()
    with pytest.raises(NotFound):
        bob.version("data")


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
    with file_size_limit(1 << 10), pytest.raises(NoSpace, match="No space left to write"):
        bob.import_()


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


@pytest.mark.parametrize("content", [None, "{", "[]", '{"format": 1}', '{"format": "x"}'])
def test_what_is_no_bundle_is_refused(bob, content):
    Path("bundle").mkdir()
    if content is not None:
        Path("bundle", "bundle.json").write_text(content)
    with pytest.raises(NotFound, match="is not a bundle"):
        bob.import_()


def test_a_bundle_whose_names_are_none_is_refused(ana, bob):
    ana.log("a")
    ana.export("data")
    about = json.loads(Path("bundle", "bundle.json").read_text())
    for change in ({"entity": 1}, {"versions": [None]}):
        Path("bundle", "bundle.json").write_text(json.dumps(about | change))
        with pytest.raises(NotFound, match="is not a bundle"):
            bob.import_()


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
