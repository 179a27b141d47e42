"""What another connection changes at the same moment (PostgreSQL)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select, update

from lineal.core.access import Actor
from lineal.core.records import (
    CollectionId,
    CollectionPatch,
    Lines,
    PageRequest,
    RunKey,
    RunPatch,
    RunSpec,
    RunState,
    Stream,
)
from lineal.db import collections as collections_db
from lineal.db import deletion as deletion_db
from lineal.db import drafts as drafts_db
from lineal.db import projects as projects_db
from lineal.db import redirects, schema
from lineal.db import restoring as restoring_db
from lineal.db import runs as runs_db
from lineal.db import versions as versions_db
from lineal.errors import Gone, NotFound
from lineal.service import (
    artifacts,
    catalog,
    deletion,
    history,
    moving,
    restoring,
    rewinding,
    run_files,
    runs,
    ttl,
)
from lineal.service.instance import Instance
from tests.races import PATIENCE, is_waiting, wait_until
from tests.service.drafts import ONE, draft, log, path, send


@pytest.fixture
def instance(postgres_instance: Instance) -> Instance:
    return postgres_instance


def test_a_collection_that_two_rename_at_once_is_found_by_each_name_it_had(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"})
    found = catalog.collection(instance, owner, "ana", "vision", "data")
    with ThreadPoolExecutor(1) as threads:
        with instance.database.writing() as connection:
            collections_db.lock(connection, found.id)
            row = collections_db.by_id(connection, found.id)
            assert row is not None
            place = redirects.COLLECTION, row.project_id
            redirects.add(connection, *place, "data", found.id, instance.clock.now())
            collections_db.change(connection, found.id, {"name": "second"})
            other = threads.submit(
                catalog.update_collection, instance, owner, found.id, CollectionPatch(name="third")
            )
            wait_until(lambda: is_waiting(instance))
        other.result(PATIENCE)
    for name in ("data", "second", "third"):
        assert catalog.collection(instance, owner, "ana", "vision", name).name == "third"


def test_a_version_gets_a_ttl_while_it_is_linked(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    version = log(instance, owner, tmp_path, {"a": b"1"})
    with ThreadPoolExecutor(1) as threads:
        with instance.database.writing() as connection:
            assert versions_db.lock(connection, version.id)
            other = threads.submit(
                ttl.set_version_ttl, instance, owner, version.membership_id, 3600
            )
            wait_until(lambda: is_waiting(instance))
            versions_db.change(connection, version.id, {"description": "linked"})
        assert other.result(PATIENCE).ttl_seconds == 3600
    assert catalog.version_by_id(instance, owner, version.id).description == "linked"


def test_a_run_goes_on_while_it_is_moved(instance: Instance, owner: Actor) -> None:
    key = runs.start(instance, owner, RunSpec("ana", "first", "a")).run.key
    resumed = RunSpec("ana", "first", "a", resume="must")
    calls: list[Callable[[], object]] = [
        lambda: runs.finish(instance, owner, key, 0, 1.0),
        lambda: runs.start(instance, owner, resumed),
    ]
    for place, call in zip(("second", "third"), calls, strict=True):
        with ThreadPoolExecutor(1) as threads:
            with instance.database.writing() as connection:
                row = runs_db.find_by_key(connection, key, lock=True)
                assert row is not None
                other = threads.submit(call)
                wait_until(lambda: is_waiting(instance))
                now = instance.clock.now()
                project_id = projects_db.ensure(connection, "ana", place, now)
                runs_db.change(connection, key, {"project_id": project_id})
                redirects.add(connection, redirects.RUN, row.project_id, "a", key, now)
            other.result(PATIENCE)
    assert runs.run(instance, owner, "ana", "first", "a").project == "third"


@pytest.mark.parametrize("content", [b"the same", b"other"])
def test_a_run_logs_while_it_is_deleted_with_what_it_logged(
    content: bytes, instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    """Whoever deletes it has locked the run, and is about to lock the collection."""
    key = runs.start(instance, owner, RunSpec("ana", "vision", "a")).run.key
    first = log(instance, owner, tmp_path, {"a": b"the same"}, run=key)
    collection = catalog.collection(instance, owner, "ana", "vision", "data").id
    with ThreadPoolExecutor(1) as threads:
        with instance.database.writing() as connection:
            assert runs_db.find_by_key(connection, key, lock=True) is not None
            other = threads.submit(log, instance, owner, tmp_path, {"a": content}, run=key)
            wait_until(lambda: other.done() or is_waiting(instance))
            collections_db.lock(connection, collection)
        version = other.result(PATIENCE)
    assert (version.id == first.id) == (content == b"the same")


def test_a_run_commits_what_another_committed_meanwhile_while_it_is_deleted(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    """Whoever deletes it has locked the run, and is about to lock the collection."""
    key = runs.start(instance, owner, RunSpec("ana", "vision", "a")).run.key
    spec, segments = draft(ONE, run=key)
    begun = artifacts.begin(instance, owner, spec, segments)
    send(instance, owner, begun.draft, ONE, tmp_path)
    first = log(instance, owner, tmp_path, ONE)
    collection = catalog.collection(instance, owner, "ana", "vision", "data").id
    with ThreadPoolExecutor(1) as threads:
        with instance.database.writing() as connection:
            assert runs_db.find_by_key(connection, key, lock=True) is not None
            other = threads.submit(artifacts.commit, instance, owner, begun.draft)
            wait_until(lambda: is_waiting(instance))
            collections_db.lock(connection, collection)
        committed = other.result(PATIENCE)
    assert committed.version is not None
    assert committed.version.id == first.id


def test_a_draft_begun_again_while_it_is_committed_gives_the_version(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    version = log(instance, owner, tmp_path, {"a": b"1"})
    spec, segments = draft({"a": b"2"})
    begun = artifacts.begin(instance, owner, spec, segments)
    with ThreadPoolExecutor(1) as threads:
        with instance.database.writing() as connection:
            assert drafts_db.by_id(connection, begun.draft, lock=True) is not None
            other = threads.submit(artifacts.begin, instance, owner, spec, segments)
            wait_until(lambda: is_waiting(instance))
            values = {"state": drafts_db.COMMITTED, "version_id": version.id}
            drafts_db.change(connection, [begun.draft], values)
        again = other.result(PATIENCE)
    assert (again.draft, again.version and again.version.id) == (begun.draft, version.id)


def test_a_draft_that_two_commit_at_once_becomes_one_version(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    version = log(instance, owner, tmp_path, {"a": b"1"})
    spec, segments = draft({"a": b"1"}, on_unchanged="new_version")
    begun = artifacts.begin(instance, owner, spec, segments)
    with ThreadPoolExecutor(1) as threads:
        with instance.database.writing() as connection:
            assert drafts_db.by_id(connection, begun.draft, lock=True) is not None
            other = threads.submit(artifacts.commit, instance, owner, begun.draft)
            wait_until(lambda: is_waiting(instance))
            values = {"state": drafts_db.COMMITTED, "version_id": version.id}
            drafts_db.change(connection, [begun.draft], values)
        found = other.result(PATIENCE)
    assert (found.version and found.version.id, found.is_new) == (version.id, False)


def test_a_run_that_two_delete_at_once_is_deleted_once(instance: Instance, owner: Actor) -> None:
    key = runs.start(instance, owner, RunSpec("ana", "vision", "a")).run.key
    with ThreadPoolExecutor(1) as threads:
        with instance.database.writing() as connection:
            assert runs_db.find_by_key(connection, key, lock=True) is not None
            other = threads.submit(deletion.delete_run, instance, owner, key)
            wait_until(lambda: is_waiting(instance))
            words = {"actor": "bob", "now": instance.clock.now()}
            mine = deletion_db.record(connection, what="a", reason=deletion_db.USER, **words)
            deletion_db.hide_run(connection, mine, key, **words)
        other.result(PATIENCE)
    (act,) = deletion.deletions(instance, owner, PageRequest()).items
    assert (act.id, act.run_count) == (mine, 1)


LINES = Lines(Stream.HISTORY, "w", 1, (b'{"_step":1}',))


@pytest.mark.parametrize(
    "call",
    [
        lambda instance, actor, key: history.append(instance, actor, key, [LINES]),
        lambda instance, actor, key: run_files.delete(instance, actor, key, "a"),
        lambda instance, actor, key: run_files.put(instance, actor, key, [("a", __file__)]),
        lambda instance, actor, key: rewinding.rewind(instance, actor, key, 0, {}),
        lambda instance, actor, key: runs.update(instance, actor, key, RunPatch(notes="x")),
        lambda instance, actor, key: runs.heartbeat(instance, actor, key, 1.0),
        lambda instance, actor, key: runs.mark_crashed(instance, actor, key, 1.0),
        lambda instance, actor, key: runs.finish(instance, actor, key, 0, 1.0),
    ],
)
def test_a_run_that_is_deleted_meanwhile_takes_nothing_more(
    instance: Instance, owner: Actor, call: Callable[[Instance, Actor, RunKey], object]
) -> None:
    key = runs.start(instance, owner, RunSpec("ana", "vision", "a")).run.key
    history.append(instance, owner, key, [LINES._replace(first_offset=0)])
    with ThreadPoolExecutor(1) as threads:
        with instance.database.writing() as connection:
            assert runs_db.find_by_key(connection, key, lock=True) is not None
            other = threads.submit(call, instance, owner, key)
            wait_until(lambda: other.done() or is_waiting(instance))
            words = {"actor": "bob", "now": instance.clock.now()}
            act = deletion_db.record(connection, what="a", reason=deletion_db.USER, **words)
            deletion_db.hide_run(connection, act, key, **words)
        with pytest.raises(Gone, match="was deleted"):
            other.result(PATIENCE)
    assert restoring.restore_run(instance, owner, "ana", "vision", "a").history_count == 1


def test_a_run_that_ends_while_it_is_taken_for_crashed_has_ended(
    instance: Instance, owner: Actor
) -> None:
    key = runs.start(instance, owner, RunSpec("ana", "vision", "a")).run.key
    with ThreadPoolExecutor(1) as threads:
        with instance.database.writing() as connection:
            assert runs_db.find_by_key(connection, key, lock=True) is not None
            other = threads.submit(runs.mark_crashed, instance, owner, key, 1.0)
            wait_until(lambda: is_waiting(instance))
            runs_db.change(connection, key, {"state": str(RunState.FINISHED)})
        other.result(PATIENCE)
    assert runs.run_by_key(instance, owner, key).state == RunState.FINISHED


def test_a_run_that_two_move_at_once_is_found_by_each_name_it_had(
    instance: Instance, owner: Actor
) -> None:
    run = runs.start(instance, owner, RunSpec("ana", "first", "a")).run
    with ThreadPoolExecutor(1) as threads:
        with instance.database.writing() as connection:
            row = runs_db.find_by_key(connection, run.key, lock=True)
            assert row is not None
            other = threads.submit(moving.move, instance, owner, run.key, "ana", "third")
            wait_until(lambda: is_waiting(instance))
            now = instance.clock.now()
            second = projects_db.ensure(connection, "ana", "second", now)
            runs_db.change(connection, run.key, {"project_id": second})
            redirects.add(connection, redirects.RUN, row.project_id, "a", run.key, now)
        other.result(PATIENCE)
    for name in ("first", "second", "third"):
        assert runs.run(instance, owner, "ana", name, "a").project == "third"


def test_a_run_ends_while_its_project_is_deleted(instance: Instance, owner: Actor) -> None:
    """Whoever deletes it has locked the project, and is about to lock its runs."""
    key = runs.start(instance, owner, RunSpec("ana", "vision", "a")).run.key
    with ThreadPoolExecutor(1) as threads:
        with instance.database.writing() as connection:
            project = select(schema.projects.c.id).where(schema.projects.c.name == "vision")
            connection.execute(project.with_for_update()).one()
            other = threads.submit(runs.finish, instance, owner, key, 0, 1.0)
            wait_until(lambda: other.done() or is_waiting(instance))
            assert runs_db.find_by_key(connection, key, lock=True) is not None
        assert other.result(PATIENCE) == RunState.FINISHED


def test_a_run_moves_while_its_project_is_deleted(instance: Instance, owner: Actor) -> None:
    """Whoever deletes it has locked the project, and is about to lock its runs."""
    key = runs.start(instance, owner, RunSpec("ana", "vision", "a")).run.key
    with ThreadPoolExecutor(1) as threads:
        with instance.database.writing() as connection:
            projects_db.require_row(connection, "ana", "vision", "ana", lock=True)
            other = threads.submit(moving.move, instance, owner, key, "ana", "archive")
            wait_until(lambda: is_waiting(instance))
            assert runs_db.find_by_key(connection, key, lock=True) is not None
        assert other.result(PATIENCE).run.project == "archive"


def test_a_run_logs_while_it_moves_with_what_it_logged(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    """Whoever moves it has changed the run's key, and is about to lock the collection."""
    key = runs.start(instance, owner, RunSpec("ana", "vision", "a")).run.key
    log(instance, owner, tmp_path, {"a": b"1"}, run=key)
    collection = catalog.collection(instance, owner, "ana", "vision", "data").id
    spec, segments = draft({"a": b"2"}, run=key)
    with ThreadPoolExecutor(1) as threads:
        with instance.database.writing() as connection:
            renamed = update(schema.runs).where(schema.runs.c.id == key).values(run_id="b")
            connection.execute(renamed)
            other = threads.submit(artifacts.begin, instance, owner, spec, segments)
            wait_until(lambda: is_waiting(instance))
            collections_db.lock(connection, collection)
        assert other.result(PATIENCE).version is None


def test_a_draft_is_committed_while_another_that_shares_bytes_is_begun(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    """Whoever begins has locked the collection, and is about to lock the blobs that it reuses."""
    files = {"a": b"shared"}
    log(instance, owner, tmp_path, {"a": b"first"})
    spec, segments = draft(files)
    begun = artifacts.begin(instance, owner, spec, segments)
    send(instance, owner, begun.draft, files, tmp_path)
    collection = catalog.collection(instance, owner, "ana", "vision", "data").id
    with ThreadPoolExecutor(1) as threads:
        with instance.database.writing() as connection:
            collections_db.lock(connection, collection)
            other = threads.submit(artifacts.commit, instance, owner, begun.draft)
            wait_until(lambda: is_waiting(instance))
            connection.execute(select(schema.blobs.c.id).with_for_update(read=True)).all()
        assert other.result(PATIENCE).is_new


@pytest.mark.parametrize("name", ["data", "data:v0"])
def test_what_a_deletion_hid_is_restored_by_name_while_it_is_undone(
    name: str, instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    """Whoever undoes it has locked the deletion, and is about to lock the collection."""
    version = log(instance, owner, tmp_path, {"a": b"1"})
    collection = catalog.collection(instance, owner, "ana", "vision", "data").id
    deletion.delete_version(instance, owner, version.membership_id, delete_aliases=True)
    (deleted,) = deletion.deletions(instance, owner, PageRequest()).items
    with ThreadPoolExecutor(1) as threads:
        with instance.database.writing() as connection:
            deletion_db.lock(connection, deleted.id)
            if ":" in name:
                other = threads.submit(restoring.restore_version, instance, owner, path("v0"))
            else:
                where = ("ana", "vision", "data")
                other = threads.submit(restoring.restore_collection, instance, owner, *where)
            wait_until(lambda: is_waiting(instance))
            collections_db.lock(connection, collection)
        other.result(PATIENCE)
    assert catalog.version(instance, owner, path("v0")).number == 0


def test_a_run_is_restored_by_name_while_its_deletion_is_undone(
    instance: Instance, owner: Actor
) -> None:
    key = runs.start(instance, owner, RunSpec("ana", "vision", "a")).run.key
    deletion.delete_run(instance, owner, key)
    (deleted,) = deletion.deletions(instance, owner, PageRequest()).items
    with ThreadPoolExecutor(1) as threads:
        with instance.database.writing() as connection:
            deletion_db.lock(connection, deleted.id)
            other = threads.submit(restoring.restore_run, instance, owner, "ana", "vision", "a")
            wait_until(lambda: is_waiting(instance))
            now = instance.clock.now()
            assert restoring_db.restore(connection, deleted.id, actor="ana", now=now).runs == 1
        assert other.result(PATIENCE).key == key


def test_a_collection_that_never_was_can_be_neither_deleted_nor_changed(
    instance: Instance, owner: Actor
) -> None:
    with pytest.raises(NotFound):
        deletion.delete_collection(instance, owner, CollectionId(4711))
    with pytest.raises(NotFound):
        catalog.update_collection(instance, owner, CollectionId(4711), CollectionPatch())
