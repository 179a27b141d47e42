"""Deleting versions and collections, and the acts that tell of it."""

# ruff: noqa: F811 - `instance` of these tests is on SQLite and on PostgreSQL, not the usual one

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import event, insert, select, update

from lineal.core.access import Actor, Role
from lineal.core.full_names import ArtifactPath
from lineal.core.records import CollectionPatch, EdgeKind, RunRecord, VersionPatch, VersionRecord
from lineal.core.retention import Restored
from lineal.db import aliases as aliases_db
from lineal.db import deletion as deletion_db
from lineal.db import restoring as restoring_db
from lineal.db import schema
from lineal.db import versions as versions_db
from lineal.errors import Conflict, Denied, Gone, NotFound
from lineal.service import catalog, deletion, finding, lineage, restoring, retention, runs
from lineal.service.instance import Instance
from tests.conftest import MovableClock
from tests.gc.conftest import instance  # noqa: F401 - a fixture
from tests.service.deleting import FIRST, Log, delete, listed, live, log, release, run  # noqa: F401 - fixtures
from tests.service.drafts import findings, path

# --- versions -----------------------------------------------------------------------------------


def test_many_acts_are_listed_by_as_many_statements_as_one(
    instance: Instance, owner: Actor, log: Log, statements: list[str]
) -> None:
    for number in range(6):
        delete(instance, owner, log(str(number)))
    statements.clear()
    (last,) = deletion.deletions(instance, owner, FIRST._replace(size=1)).items
    count = len(statements)
    acts = deletion.deletions(instance, owner, FIRST).items
    assert len(statements) == 2 * count
    assert acts[0] == last
    assert [act.versions for act in acts] == [
        (f"ana/vision/data:v{number}",) for number in reversed(range(6))
    ]


def test_a_deleted_number_is_never_given_again(instance: Instance, owner: Actor, log: Log) -> None:
    log("0")
    second = log("1")
    with pytest.raises(Conflict, match="delete_aliases"):
        deletion.delete_version(instance, owner, second.membership_id, delete_aliases=False)
    delete(instance, owner, second)
    with pytest.raises(Gone, match="deleted by ana"):
        catalog.version(instance, owner, path("v1"))
    assert catalog.version(instance, owner, path("latest")).number == 0
    assert log("2").number == 2
    assert findings(instance, owner) == []


def test_the_name_of_a_deleted_version_says_who_when_and_how_to_restore_it(
    instance: Instance, owner: Actor, log: Log
) -> None:
    delete(instance, owner, log("0"))
    said = (
        r"ana/vision/data:v0 was deleted by ana on 2026-01-01 00:00 UTC; "
        r"restore it with `lineal artifact restore ana/vision/data:v0`"
    )
    with pytest.raises(Gone, match=said):
        catalog.version(instance, owner, path("v0"))
    assert catalog.version(instance, owner, path("v0"), with_deleted=True).deleted_by == "ana"


def test_a_protected_alias_keeps_its_version(instance: Instance, owner: Actor, log: Log) -> None:
    version = log("0", aliases=("prod",))
    retention.protect_aliases(instance, owner, "ana", "vision", ["prod"])
    with pytest.raises(Conflict, match=r"alias ana/vision/data:prod keeps .* take it off"):
        delete(instance, owner, version)
    retention.protect_aliases(instance, owner, "ana", "vision", ["latest-good", "prod"])
    both = VersionPatch(aliases_added=("latest-good",))
    catalog.update_version(instance, owner, version.membership_id, both)
    with pytest.raises(Conflict, match=r"aliases .*-good, .*:prod keep .* take them off"):
        delete(instance, owner, version)
    patch = VersionPatch(aliases_removed=("prod", "latest-good"))
    catalog.update_version(instance, owner, version.membership_id, patch)
    delete(instance, owner, version)


def test_a_protected_alias_of_a_link_keeps_the_source(
    instance: Instance, owner: Actor, log: Log
) -> None:
    version = log("0")
    target = ArtifactPath("ana", "registry", "detector")
    catalog.link_version(instance, owner, version.id, target, ["prod"])
    retention.protect_aliases(instance, owner, "ana", "registry", ["prod"])
    with pytest.raises(Conflict, match="protected alias ana/registry/detector:prod"):
        delete(instance, owner, version)


def test_of_a_link_only_the_link_is_deleted(instance: Instance, owner: Actor, log: Log) -> None:
    version = log("0")
    target = ArtifactPath("ana", "registry", "detector")
    link = catalog.link_version(instance, owner, version.id, target, ["prod"])
    call = partial(deletion.delete_version, instance, owner, link.membership_id)
    call(delete_aliases=False, dry_run=True)
    assert catalog.version(instance, owner, target).id == version.id
    call(delete_aliases=False)
    with pytest.raises(NotFound):
        catalog.version(instance, owner, target)
    assert live(instance, owner) == {"v0": ("latest",)}
    assert deletion.deletions(instance, owner, FIRST).items == ()


def test_a_deleted_version_takes_no_alias_and_no_link(
    instance: Instance, owner: Actor, log: Log
) -> None:
    version = log("0")
    delete(instance, owner, version)
    patch = VersionPatch(aliases_added=("prod",))
    with pytest.raises(Gone):
        catalog.update_version(instance, owner, version.membership_id, patch)
    target = ArtifactPath("ana", "registry", "detector")
    with pytest.raises(Gone):
        catalog.link_version(instance, owner, version.id, target, [])
    assert findings(instance, owner) == []


def test_tombstones_stay_in_the_lineage(
    instance: Instance, owner: Actor, log: Log, run: RunRecord
) -> None:
    version = log("0", run=run.key)
    delete(instance, owner, version)
    release(instance)
    logged = lineage.versions_of(instance, owner, run.key, EdgeKind.LOGGED, FIRST)
    shown = catalog.version_by_id(instance, owner, version.id)
    assert (shown.digest, shown.number, shown.deleted_by) == (version.digest, 0, "ana")
    assert logged.total is not None


# --- collections --------------------------------------------------------------------------------


def test_a_collection_is_deleted_and_restored_as_a_whole(
    instance: Instance, owner: Actor, log: Log
) -> None:
    log("0", aliases=("raw",))
    version = log("1")
    other = log("x", collection="other")
    delete(instance, owner, version)
    collection = catalog.collection(instance, owner, "ana", "vision", "data")
    deletion.delete_collection(instance, owner, collection.id)
    deletion.delete_collection(instance, Actor("bob", Role.MEMBER), collection.id)
    assert live(instance, owner) == {}
    with pytest.raises(Gone, match="deleted by ana"):
        catalog.collection(instance, owner, "ana", "vision", "data")
    restored = restoring.restore_collection(instance, owner, "ana", "vision", "data")
    assert restored == Restored(versions=1, aliases=2, collections=1)
    assert live(instance, owner) == {"v0": ("latest", "raw")}
    assert live(instance, owner, "other") == {"v0": other.aliases}
    assert findings(instance, owner) == []


def test_restoring_a_collection_says_which_of_it_cannot_come_back(
    instance: Instance, owner: Actor, log: Log
) -> None:
    log("0")
    log("1")
    collection = catalog.collection(instance, owner, "ana", "vision", "data")
    deletion.delete_collection(instance, owner, collection.id)
    release(instance)
    restored = restoring.restore_collection(instance, owner, "ana", "vision", "data")
    assert restored == Restored(collections=1, released=2)
    assert listed(instance, owner) == ["data"]
    delete(instance, owner, log("2"))
    restored = restoring.restore_collection(instance, owner, "ana", "vision", "data")
    assert restored == Restored(versions=1, aliases=1)


def test_a_deleted_collection_is_not_changed(instance: Instance, owner: Actor, log: Log) -> None:
    log("0")
    collection = catalog.collection(instance, owner, "ana", "vision", "data")
    deletion.delete_collection(instance, owner, collection.id)
    for patch in (CollectionPatch(name="other"), CollectionPatch(description="x")):
        with pytest.raises(Gone, match="lineal artifact restore ana/vision/data"):
            catalog.update_collection(instance, owner, collection.id, patch)
    restoring.restore_collection(instance, owner, "ana", "vision", "data")
    catalog.update_collection(instance, owner, collection.id, CollectionPatch(name="other"))
    assert listed(instance, owner) == ["other"]


def test_a_deleted_collection_is_listed_again_once_something_is_in_it(
    instance: Instance, owner: Actor, log: Log
) -> None:
    delete(instance, owner, log("0"))
    collection = catalog.collection(instance, owner, "ana", "vision", "data")
    assert listed(instance, owner) == ["data"]  # empty, but nobody deleted the collection
    deletion.delete_collection(instance, owner, collection.id)
    assert listed(instance, owner) == []
    assert catalog.artifact_types(instance, owner, "ana", "vision") == []
    with pytest.raises(Gone, match="ana/vision/data was deleted by ana on 2026"):
        catalog.collection(instance, owner, "ana", "vision", "data")
    with pytest.raises(Gone, match="Version ana/vision/data:v0 was deleted"):
        catalog.version(instance, owner, path("v0"))
    assert log("new").number == 1
    assert listed(instance, owner) == ["data"]
    deletion.delete_collection(instance, owner, collection.id)
    restoring.restore_version(instance, owner, path("v0"))
    assert listed(instance, owner) == ["data"]
    assert findings(instance, owner) == []


def test_a_collection_with_a_linked_version_is_not_deleted(
    instance: Instance, owner: Actor, log: Log
) -> None:
    version = log("0")
    log("1")
    target = ArtifactPath("ana", "registry", "detector")
    catalog.link_version(instance, owner, version.id, target, [])
    collection = catalog.collection(instance, owner, "ana", "vision", "data")
    with pytest.raises(Conflict, match="linked as ana/registry/detector:v0"):
        deletion.delete_collection(instance, owner, collection.id)
    assert list(live(instance, owner)) == ["v1", "v0"]


# --- acts ---------------------------------------------------------------------------------------


def test_deletions_say_who_when_why_and_how_long_they_can_be_undone(
    instance: Instance, owner: Actor, log: Log, clock: MovableClock
) -> None:
    delete(instance, owner, log("0"))
    clock.move(days=1)
    bob = Actor("bob", Role.MEMBER)
    delete(instance, bob, log("1"))
    newest, oldest = deletion.deletions(instance, owner, FIRST).items
    assert (newest.what, newest.deleted_by, newest.reason) == ("ana/vision/data:v1", "bob", "user")
    assert (oldest.what, oldest.version_count) == ("ana/vision/data:v0", 1)
    assert oldest.restorable_until == oldest.deleted_at + instance.undo_period
    assert restoring.restore(instance, owner, oldest.id) == Restored(versions=1, aliases=1)
    assert restoring.restore(instance, owner, oldest.id) == Restored()
    oldest = deletion.deletions(instance, owner, FIRST).items[1]
    assert (oldest.restored_at is not None, oldest.restorable_until) == (True, None)
    with pytest.raises(NotFound, match="No deletion 99"):
        restoring.restore(instance, owner, 99)


def test_of_a_deletion_of_many_versions_the_first_are_named(
    instance: Instance, owner: Actor, log: Log
) -> None:
    for number in range(7):
        log(str(number))
    collection = catalog.collection(instance, owner, "ana", "vision", "data")
    deletion.delete_collection(instance, owner, collection.id)
    (act,) = deletion.deletions(instance, owner, FIRST).items
    assert (act.version_count, len(act.versions)) == (7, finding.IN_MESSAGE_MOST)
    assert act.versions[0] == "ana/vision/data:v0"


def test_hiding_leaves_out_what_is_kept_or_deleted_already(
    instance: Instance, owner: Actor, log: Log
) -> None:
    versions = [log(str(number)) for number in range(4)]
    target = ArtifactPath("ana", "registry", "detector")
    catalog.link_version(instance, owner, versions[0].id, target, [])
    patch = VersionPatch(aliases_added=("prod",))
    catalog.update_version(instance, owner, versions[1].membership_id, patch)
    retention.protect_aliases(instance, owner, "ana", "vision", ["prod"])
    delete(instance, owner, versions[2])
    with instance.database.writing() as connection:
        deletion_db.hide_versions(
            connection,
            [version.id for version in versions],
            what="all",
            reason=deletion_db.EXPIRED,
            actor="sweep",
            now=instance.clock.now(),
        )
    assert live(instance, owner) == {"v1": ("latest", "prod"), "v0": ()}
    assert catalog.version_by_id(instance, owner, versions[2].id).deleted_by == "ana"
    assert findings(instance, owner) == []


def test_a_deletion_that_is_killed_half_way_leaves_nothing_and_can_be_run_again(
    instance: Instance, owner: Actor, log: Log, monkeypatch: pytest.MonkeyPatch, run: RunRecord
) -> None:
    log("0", run=run.key, aliases=("best",))

    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    before = live(instance, owner)
    calls: list[Callable[[], object]] = [
        lambda: deletion.delete_run(instance, owner, run.key, delete_artifacts=True),
        lambda: deletion.delete_project(instance, owner, "ana", "vision"),
    ]
    with monkeypatch.context() as patched:
        patched.setattr(aliases_db, "settle_latest", killed)
        for call in calls:
            with pytest.raises(Killed):
                call()
    assert live(instance, owner) == before
    assert runs.run(instance, owner, "ana", "vision", "train").key == run.key
    assert deletion.deletions(instance, owner, FIRST).items == ()
    for call in calls:
        call()
    with monkeypatch.context() as patched:
        patched.setattr(restoring_db, "_close_restored", killed)
        with pytest.raises(Killed):
            restoring.restore_project(instance, owner, "ana", "vision")
    restoring.restore_project(instance, owner, "ana", "vision")
    restoring.restore_run(instance, owner, "ana", "vision", "train")
    assert live(instance, owner) == before
    assert findings(instance, owner) == []


def test_to_strangers_nothing_exists_and_viewers_may_change_nothing(
    instance: Instance, owner: Actor, stranger: Actor, log: Log
) -> None:
    delete(instance, owner, log("0"))
    (act,) = deletion.deletions(instance, owner, FIRST).items
    viewer = Actor("vic", Role.VIEWER)
    calls: list[Callable[[Actor], object]] = [
        lambda actor: restoring.restore(instance, actor, act.id),
        lambda actor: restoring.restore_version(instance, actor, path("v0")),
        lambda actor: restoring.restore_collection(instance, actor, "ana", "vision", "data"),
        lambda actor: restoring.restore_run(instance, actor, "ana", "vision", "train"),
        lambda actor: restoring.restore_project(instance, actor, "ana", "vision"),
        lambda actor: deletion.delete_project(instance, actor, "ana", "vision"),
    ]
    for call in calls:
        with pytest.raises(NotFound, match="you are eve"):
            call(stranger)
        with pytest.raises(Denied, match="may not delete"):
            call(viewer)
    with pytest.raises(NotFound, match="you are eve"):
        deletion.deletions(instance, stranger, FIRST)
    assert len(deletion.deletions(instance, viewer, FIRST).items) == 1


def test_a_version_that_is_being_linked_is_waited_for_and_kept(
    instance: Instance, owner: Actor, log: Log
) -> None:
    version = log("0")
    target = ArtifactPath("ana", "registry", "detector")
    link = catalog.link_version(instance, owner, log("1").id, target, [])
    now = instance.clock.now()

    def hide() -> None:
        with instance.database.writing() as connection:
            words = {"what": "x", "reason": "expired", "actor": "sweep", "now": now}
            deletion_db.hide_versions(connection, [version.id], **words)

    hiding = threading.Thread(target=hide)
    with instance.database.writing() as connection:
        portfolio = versions_db.collection_of(connection, link.membership_id)
        assert versions_db.lock(connection, version.id)
        versions_db.add_membership(connection, portfolio, version.id, now)
        hiding.start()
        hiding.join(0.3)
        assert hiding.is_alive()
    hiding.join(30)
    assert live(instance, owner) == {"v1": ("latest",), "v0": ()}


def test_ten_thousand_versions_are_hidden_with_few_statements(
    instance: Instance, owner: Actor, log: Log
) -> None:
    first = log("0")
    ids = many_versions(instance, first, 10_000)
    statements: list[str] = []
    with instance.database.writing() as connection:
        event.listen(connection, "before_cursor_execute", lambda *args: statements.append(args[2]))
        deletion_db.hide_versions(
            connection, ids, what="all", reason="user", actor="ana", now=instance.clock.now()
        )
    assert len(statements) < 300  # a page of versions at a time, not each by itself
    assert catalog.collection(instance, owner, "ana", "vision", "data").version_count == 1
    (act,) = deletion.deletions(instance, owner, FIRST).items
    assert restoring.restore(instance, owner, act.id) == Restored(versions=10_000, aliases=10_000)


def many_versions(instance: Instance, like: VersionRecord, count: int) -> list[int]:
    """Insert versions of the same content, each with an alias of its own."""
    versions, memberships = schema.versions, schema.memberships
    with instance.database.writing() as connection:
        row = connection.execute(select(versions).where(versions.c.id == like.id)).one()
        ids = list(range(row.id + 1, row.id + 1 + count))
        connection.execute(insert(versions), [row._asdict() | {"id": id} for id in ids])
        home = {"collection_id": row.collection_id, "created_at": row.created_at}
        connection.execute(
            insert(memberships),
            [home | {"id": 1000 + id, "version_id": id, "number": id} for id in ids],
        )
        connection.execute(
            insert(schema.aliases),
            [
                {"collection_id": row.collection_id, "alias": f"a{id}", "membership_id": 1000 + id}
                for id in ids
            ],
        )
        by = {"collection_id": row.collection_id, "moved_by": "ana", "moved_at": row.created_at}
        connection.execute(
            insert(schema.alias_moves),
            [by | {"alias": f"a{id}", "after_number": id} for id in ids],
        )
        connection.execute(update(schema.collections).values(next_number=ids[-1] + 1))
    return ids
