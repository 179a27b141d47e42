"""Moving a run to another project: old names go on leading to what they led to (RUN-38)."""

from __future__ import annotations

from typing import Any

import pytest

from lineal.client.embedded.backend import EmbeddedBackend
from lineal.core.access import Actor, Role
from lineal.core.full_names import ArtifactPath
from lineal.core.records import (
    CollectionPatch,
    EdgeKind,
    Lines,
    MovedRun,
    PageRequest,
    RunKey,
    RunQuery,
    RunSpec,
    Stream,
    VersionRecord,
)
from lineal.errors import Denied, Exists, Gone, Invalid, NotFound, RunNotFoundError, UsageError
from lineal.service import moving
from lineal.service.instance import Instance
from lineal.service.verify import verify
from tests.service import edges

ALL = PageRequest(1000)


class World:
    """Runs and artifacts of the owner, mostly in the project `old`."""

    def __init__(self, backend: EmbeddedBackend) -> None:
        self.backend = backend

    def start(self, run_id: str = "r", project: str = "old", **spec: Any) -> RunKey:
        return self.backend.start_run(RunSpec("ana", project, run_id, **spec)).run.key

    def move(self, run: RunKey, project: str = "new", *, with_artifacts: bool = False) -> MovedRun:
        return self.backend.move_run(run, "ana", project, with_artifacts=with_artifacts)

    def log(
        self, run: RunKey | None, name: str = "data", project: str = "old", content: str = ""
    ) -> VersionRecord:
        return edges.log(self.backend, run, name, content, project=project)

    def rename(self, name: str, new: str) -> None:
        found = self.backend.collection("ana", "old", name)
        self.backend.update_collection(found.id, CollectionPatch(name=new))

    def path(self, text: str) -> str:
        """Return the full name of what `project/name:ref` leads to."""
        project, _, rest = text.partition("/")
        name, _, ref = rest.partition(":")
        return self.backend.version(ArtifactPath("ana", project, name, ref)).path

    def run_ids(self, project: str) -> list[str]:
        return [run.run_id for run in self.backend.runs(RunQuery("ana", project), ALL).items]


@pytest.fixture
def world(backend: EmbeddedBackend) -> World:
    return World(backend)


# --- the run ------------------------------------------------------------------------------------


def test_a_run_moves_with_all_it_has_and_its_old_path_leads_to_it(world: World) -> None:
    run = world.start(tags=("t",), config={"lr": 1})
    world.backend.append_lines(run, [Lines(Stream.HISTORY, "w", 0, [b'{"_step": 0}'])])
    moved = world.move(run).run
    assert (moved.key, moved.project, moved.tags, moved.config) == (run, "new", ("t",), {"lr": 1})
    assert (world.run_ids("old"), world.run_ids("new")) == ([], ["r"])
    assert world.backend.run("ana", "old", "r") == world.backend.run("ana", "new", "r")
    assert list(world.backend.read_lines(run, Stream.HISTORY)) == [b'{"_step": 0}']


def test_a_run_that_goes_on_while_it_is_moved_loses_nothing(world: World) -> None:
    run = world.start()
    world.move(run)
    world.backend.append_lines(run, [Lines(Stream.HISTORY, "w", 0, [b'{"_step": 0}'])])
    world.backend.finish_run(run, 0, 1.0)
    assert world.backend.run("ana", "new", "r").history_count == 1


def test_moving_twice_changes_nothing(world: World) -> None:
    run = world.start()
    first = world.move(run)
    assert world.move(run).run.key == first.run.key
    assert world.run_ids("new") == ["r"]


def test_every_name_a_run_had_leads_to_it_also_after_moving_on_and_back(world: World) -> None:
    run = world.start()
    for project in ("second", "third", "old", "second"):
        world.move(run, project)
        for name in ("old", "second"):
            assert world.backend.run("ana", name, "r").project == project


def test_an_old_id_can_be_resumed_but_not_started_anew(world: World) -> None:
    run = world.start()
    world.move(run)
    resumed = world.backend.start_run(RunSpec("ana", "old", "r", resume="must"))
    assert (resumed.run.key, resumed.run.project, resumed.is_resumed) == (run, "new", True)
    with pytest.raises(UsageError, match=r"ana/old/r exists already .*is ana/new/r now"):
        world.start()
    assert world.run_ids("old") == []


def test_an_id_that_is_taken_there_is_refused_and_named(world: World) -> None:
    run, other = world.start(), world.start(project="new")
    with pytest.raises(Exists, match=r"ana/old/r: there is a run ana/new/r,"):
        world.move(run)
    world.move(other, "third")
    with pytest.raises(Exists, match="ana/new/r, which leads to ana/third/r"):
        world.move(run)
    deleted = world.start("gone", project="new")
    world.backend.delete_run(deleted)
    with pytest.raises(Exists, match="ana/new/gone, which was deleted"):
        world.move(world.start("gone"))
    assert set(world.run_ids("old")) == {"r", "gone"}


def test_a_run_that_was_moved_and_deleted_is_gone_by_both_names(world: World) -> None:
    run = world.start()
    world.move(run)
    world.backend.delete_run(run)
    for project in ("old", "new"):
        with pytest.raises(Gone, match="ana/new/r"):
            world.backend.run("ana", project, "r")
    with pytest.raises(Gone):
        world.move(run)


def test_a_run_comes_back_by_its_old_name_also_where_the_project_of_that_is_deleted(
    world: World,
) -> None:
    run = world.start()
    world.move(run)
    world.backend.delete_run(run)
    world.backend.delete_project("ana", "old")
    assert world.backend.restore_run("ana", "old", "r").path == "ana/new/r"


def test_wrong_names_and_unknown_runs_are_refused(world: World) -> None:
    with pytest.raises(RunNotFoundError):
        world.move(RunKey(99))
    with pytest.raises(Invalid):
        world.move(world.start(), "no/project")
    with pytest.raises(Invalid):
        world.backend.move_run(world.start(project="other"), "no/entity", "new")


def test_only_who_may_write_may_move(world: World, instance: Instance, stranger: Actor) -> None:
    run = world.start()
    with pytest.raises(NotFound):
        moving.move(instance, stranger, run, "ana", "new")
    with pytest.raises(Denied):
        moving.move(instance, Actor("vic", Role.VIEWER), run, "ana", "new")


def test_killed_half_way_leaves_everything_where_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = world.start()
    world.log(run)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(moving, "_move_collection", die)
        with pytest.raises(KeyboardInterrupt):
            world.move(run, with_artifacts=True)
    assert (world.run_ids("old"), world.path("old/data:v0")) == (["r"], "ana/old/data:v0")
    world.move(run, with_artifacts=True)
    assert world.path("old/data:v0") == "ana/new/data:v0"


# --- its artifacts ------------------------------------------------------------------------------


def test_artifacts_stay_unless_asked_for_with_their_edges(world: World) -> None:
    run = world.start()
    version = world.log(run)
    assert world.move(run).moved == ()
    assert world.path("old/data:latest") == "ana/old/data:v0"
    (producer,) = world.backend.runs_of(version.id, EdgeKind.LOGGED, ALL).items
    assert producer.project == "new"


def test_a_collection_goes_along_with_numbers_and_aliases(
    world: World, instance: Instance, owner: Actor
) -> None:
    run = world.start()
    first, _ = world.log(run), world.log(run)
    moved = world.move(run, with_artifacts=True)
    assert (moved.moved, moved.kept) == (("ana/new/data",), ())
    for project in ("old", "new"):
        assert world.path(f"{project}/data:v0") == "ana/new/data:v0"
        assert world.path(f"{project}/data:latest") == "ana/new/data:v1"
    (producer,) = world.backend.runs_of(first.id, EdgeKind.LOGGED, ALL).items
    assert producer.key == run
    assert list(verify(instance, owner)) == []


def test_a_collection_that_others_logged_to_stays_until_they_move(world: World) -> None:
    one, two = world.start("one"), world.start("two")
    world.log(one)
    world.log(two)
    moved = world.move(one, with_artifacts=True)
    assert moved.moved == ()
    assert moved.kept == ("ana/old/data: 1 live version was not logged by a run of ana/new",)
    assert world.path("old/data:v0") == "ana/old/data:v0"
    assert world.move(two, with_artifacts=True).moved == ("ana/new/data",)


def test_a_version_that_no_run_logged_keeps_its_collection(world: World) -> None:
    run = world.start()
    world.log(run)
    world.log(None)
    assert len(world.move(run, with_artifacts=True).kept) == 1


def test_logging_content_again_does_not_make_it_a_runs_own(world: World) -> None:
    one, two = world.start("one"), world.start("two")
    world.log(one, content="same")
    world.log(two, content="same")
    moved = world.move(two, with_artifacts=True)
    assert (moved.moved, moved.kept) == ((), ())
    assert world.move(one, with_artifacts=True).moved == ("ana/new/data",)


def test_a_name_that_is_taken_there_stays_taken(world: World) -> None:
    run = world.start()
    world.log(world.start("other", project="new"), project="new")
    world.log(run)
    world.log(run, "free")
    moved = world.move(run, with_artifacts=True)
    assert moved.moved == ("ana/new/free",)
    assert moved.kept == ("ana/old/data: ana/new/data exists already",)
    assert world.path("new/data:v0") == "ana/new/data:v0"


def test_a_new_collection_of_an_old_name_never_gives_a_number_again(world: World) -> None:
    run = world.start()
    world.log(run)
    world.log(run)
    elsewhere = world.start("elsewhere", project="third")
    world.log(elsewhere, project="third")
    world.move(run, with_artifacts=True)
    later = world.log(world.start("later"))
    assert later.path == "ana/old/data:v2"
    assert world.log(elsewhere, project="third").path == "ana/third/data:v1"
    assert world.path("old/data:latest") == "ana/old/data:v2"
    with pytest.raises(NotFound):
        world.path("old/data:v0")
    assert world.path("new/data:v0") == "ana/new/data:v0"


def test_a_renamed_collection_is_found_by_its_old_name_until_something_else_has_it(
    world: World,
) -> None:
    run = world.start()
    world.log(run)
    world.log(run)
    world.rename("data", "pictures")
    assert world.path("old/data:v0") == "ana/old/pictures:v0"
    assert world.log(run).path == "ana/old/data:v2"
    with pytest.raises(NotFound, match="v2"):
        world.path("old/data:v0")
    assert world.path("old/pictures:v0") == "ana/old/pictures:v0"
    with pytest.raises(Exists, match="Collection ana/old/data exists already"):
        world.rename("pictures", "data")


def test_a_deleted_collection_keeps_its_name_and_that_is_said(world: World) -> None:
    run = world.start()
    world.log(run)
    world.log(run, "other")
    world.backend.delete_collection(world.backend.collection("ana", "old", "data").id)
    with pytest.raises(Exists, match=r"ana/old/data was deleted.*restore ana/old/data`"):
        world.rename("other", "data")


def test_a_collection_can_have_its_old_name_back_and_others_can_take_it(world: World) -> None:
    run = world.start()
    world.log(run)
    world.log(run, "other")
    world.rename("data", "pictures")
    world.rename("pictures", "data")
    assert world.log(run).path == "ana/old/data:v1"
    assert world.path("old/pictures:v0") == "ana/old/data:v0"
    world.rename("other", "pictures")
    assert world.path("old/pictures:latest") == "ana/old/pictures:v0"
    assert world.path("old/other:latest") == "ana/old/pictures:v0"


def test_deleted_versions_go_along_as_tombstones(world: World) -> None:
    run = world.start()
    deleted = world.log(run)
    world.log(run)
    world.backend.delete_version(deleted.membership_id, delete_aliases=True)
    world.move(run, with_artifacts=True)
    with pytest.raises(Gone, match="ana/new/data:v0"):
        world.path("old/data:v0")


def test_links_keep_leading_to_versions_that_moved(world: World) -> None:
    run = world.start()
    version = world.log(run)
    world.backend.link_version(version.id, ArtifactPath("ana", "old", "best"), ())
    world.move(run, with_artifacts=True)
    link = world.backend.version(ArtifactPath("ana", "old", "best"))
    assert (link.path, link.source_project) == ("ana/old/best:v0", "new")
