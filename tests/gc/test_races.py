"""The race that matters: a draft reuses a stored blob while the sweep condemns it (PostgreSQL).

Two real connections. The blob has no pair any more (its only version was released and pruned), so
the sweep may take it; a draft logs the same content and wants to reuse it. Every condemner runs
in the same harness, in both orders; the two naive ones lose the blob, and the harness says so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, func, select, update

from lineal.core.access import Actor
from lineal.core.records import Begun
from lineal.db import gc as gc_db
from lineal.db.blobs import CONDEMNED, STORED
from lineal.db.schema import blobs
from lineal.service import artifacts, deletion, gc, transfers
from lineal.service.instance import Instance
from lineal.service.verify import verify
from tests.conftest import MovableClock
from tests.races import PATIENCE, is_waiting, wait_until
from tests.service.drafts import draft, log, send

Condemner = Callable[[Connection, list[int], datetime], object]
FILES = {"a": b"reused"}
GATE = 4711
"""Number of the advisory lock at which a statement waits after it took its snapshot."""


def naive_in_one_statement(connection: Connection, ids: list[int], now: datetime) -> None:
    """Check and mark at once: waits for the draft, and then marks what it checked before."""
    statement = update(blobs).where(
        blobs.c.id.in_(ids), blobs.c.state == STORED, gc_db.is_unneeded_blob()
    )
    connection.execute(statement.values(state=CONDEMNED, condemned_at=now))


def naive_skip_locked(connection: Connection, ids: list[int], now: datetime) -> None:
    """Skip what is held, and never look again."""
    free = select(blobs.c.id).where(
        blobs.c.id.in_(ids), blobs.c.state == STORED, gc_db.is_unneeded_blob()
    )
    mine = connection.execute(free.with_for_update(skip_locked=True)).scalars().all()
    statement = update(blobs).where(blobs.c.id.in_(mine))
    connection.execute(statement.values(state=CONDEMNED, condemned_at=now))


CONDEMNERS: dict[str, Condemner] = {
    "one statement": naive_in_one_statement,
    "skip locked": naive_skip_locked,
    "lock and look again": gc_db.condemn,
}


@pytest.fixture
def instance(postgres_instance: Instance) -> Instance:
    return postgres_instance


@pytest.fixture
def unneeded(instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path) -> list[int]:
    """Make a stored blob that nothing needs; returns its id."""
    version = log(instance, owner, tmp_path, FILES)
    deletion.delete_version(instance, owner, version.membership_id, delete_aliases=True)
    clock.move(days=8)
    now = clock.now()
    with instance.database.writing() as connection:
        gc_db.release_versions(connection, [version.id], now - instance.undo_period, now)
        gc_db.release_drafts(connection, gc_db.dead_drafts(now, connection, after=0, limit=9), now)
        gc_db.prune_manifests(connection, gc_db.unneeded_manifests(connection, after=0, limit=9))
        found = gc_db.unneeded_segments(connection, after=0, limit=9)
        gc_db.prune_segments(connection, [row.id for row in found])
        return gc_db.unneeded_blobs(connection, after=0, limit=9)


def begin(instance: Instance, owner: Actor) -> Begun:
    spec, segments = draft(FILES)
    return artifacts.begin(instance, owner, spec, segments)


def finish(instance: Instance, owner: Actor, begun: Begun, folder: Path) -> None:
    """Send what is asked for, commit, and let the sweep do the rest."""
    send(instance, owner, begun.draft, FILES, folder)
    artifacts.commit(instance, owner, begun.draft)
    gc.sweep(instance, owner)


# --- the draft first ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONDEMNERS)
def test_a_blob_that_a_draft_has_just_taken_is_not_condemned(
    name: str, instance: Instance, owner: Actor, unneeded: list[int], tmp_path: Path
) -> None:
    """The draft holds the blob, the condemner comes, the draft commits."""
    condemn = CONDEMNERS[name]
    took, may_commit = threading.Event(), threading.Event()

    def reuse() -> Begun:
        with stopped_before_commit(instance.database.engine, took, may_commit):
            return begin(instance, owner)

    def sweep() -> None:
        with instance.database.writing() as connection:
            condemn(connection, unneeded, instance.clock.now())

    with ThreadPoolExecutor(2) as threads:
        writer = threads.submit(reuse)
        assert took.wait(PATIENCE)
        condemner = threads.submit(sweep)
        wait_until(lambda: condemner.done() or is_waiting(instance))
        may_commit.set()
        begun = writer.result(PATIENCE)
        condemner.result(PATIENCE)
    judge(name != "one statement", instance, owner, begun, tmp_path)


@pytest.mark.parametrize("name", CONDEMNERS)
def test_a_blob_taken_while_the_condemner_looks_is_not_condemned(
    name: str, instance: Instance, owner: Actor, unneeded: list[int], tmp_path: Path
) -> None:
    """The condemner's first statement has begun; a whole draft begins and commits; it goes on."""
    condemn = CONDEMNERS[name]

    def sweep() -> None:
        with (
            instance.database.writing() as connection,
            first_statement_at_the_gate(connection),
        ):
            condemn(connection, unneeded, instance.clock.now())

    with ThreadPoolExecutor(1) as threads, closed_gate(instance) as open_gate:
        condemner = threads.submit(sweep)
        wait_until(lambda: is_waiting(instance))
        begun = begin(instance, owner)
        open_gate()
        condemner.result(PATIENCE)
    judge(name == "lock and look again", instance, owner, begun, tmp_path)


# --- the condemner first ------------------------------------------------------------------------


def test_a_draft_that_finds_its_blob_being_condemned_waits_and_gets_a_new_one(
    instance: Instance, owner: Actor, unneeded: list[int], tmp_path: Path
) -> None:
    condemned, may_commit = threading.Event(), threading.Event()

    def sweep() -> None:
        with instance.database.writing() as connection:
            gc_db.condemn(connection, unneeded, instance.clock.now())
            condemned.set()
            assert may_commit.wait(PATIENCE)

    with ThreadPoolExecutor(2) as threads:
        condemner = threads.submit(sweep)
        assert condemned.wait(PATIENCE)
        writer = threads.submit(begin, instance, owner)
        wait_until(lambda: is_waiting(instance))
        may_commit.set()
        condemner.result(PATIENCE)
        begun = writer.result(PATIENCE)
    uploads = list(transfers.missing_blobs(instance, owner, begun.draft))
    assert len(uploads) == 1, "the condemned bytes must not be counted on"
    judge(True, instance, owner, begun, tmp_path)


@pytest.mark.parametrize("step", ["manifest", "segment", "blob"])
def test_a_draft_that_comes_while_rows_are_deleted_makes_them_anew(
    step: str,
    instance: Instance,
    owner: Actor,
    clock: MovableClock,
    tmp_path: Path,
) -> None:
    """Each link of the chain is taken away just when a draft wants to use it."""
    version = log(instance, owner, tmp_path, FILES)
    deletion.delete_version(instance, owner, version.membership_id, delete_aliases=True)
    clock.move(days=8)
    deleted, may_commit = threading.Event(), threading.Event()

    def sweep() -> None:
        engine = instance.database.engine
        with stopped_before_commit(engine, deleted, may_commit, after=DELETES[step]):
            gc.sweep(instance, owner)

    with ThreadPoolExecutor(2) as threads:
        sweeper = threads.submit(sweep)
        assert deleted.wait(PATIENCE)
        writer: Future[Begun] = threads.submit(begin, instance, owner)
        wait_until(lambda: writer.done() or is_waiting(instance))
        may_commit.set()
        begun = writer.result(PATIENCE)
        sweeper.result(PATIENCE)
    judge(True, instance, owner, begun, tmp_path)


DELETES = {
    "manifest": "DELETE FROM manifests",
    "segment": "DELETE FROM segments",
    "blob": "UPDATE blobs SET state",
}

# --- the harness --------------------------------------------------------------------------------


def judge(is_safe: bool, instance: Instance, owner: Actor, begun: Begun, folder: Path) -> None:
    """Complete the draft; the version is whole, or (naive) an invariant is broken already."""
    broken = [finding.invariant for finding in verify(instance, owner)]
    if is_safe:
        assert broken == []
        finish(instance, owner, begun, folder)
        assert list(verify(instance, owner)) == []
        assert [file.size for file in instance.store.walk()] == [len(FILES["a"])]
    else:
        assert "a condemned blob is never referenced again" in broken


@contextmanager
def stopped_before_commit(
    engine: Engine, reached: threading.Event, goes_on: threading.Event, after: str = ""
) -> Iterator[None]:
    """Let this thread stop before its first commit (that follows a statement that begins so)."""
    mine = threading.get_ident()
    seen = [not after]

    def statement(_c: Any, _cursor: Any, sent: str, *_: object) -> None:
        if threading.get_ident() == mine and after and sent.startswith(after):
            seen[0] = True

    def commit(_connection: Connection) -> None:
        if threading.get_ident() == mine and seen[0] and not reached.is_set():
            reached.set()
            assert goes_on.wait(PATIENCE)

    event.listen(engine, "before_cursor_execute", statement)
    event.listen(engine, "commit", commit)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", statement)
        event.remove(engine, "commit", commit)


@contextmanager
def first_statement_at_the_gate(connection: Connection) -> Iterator[None]:
    """Let the first statement on blobs wait at the gate, after it took its snapshot."""
    passed = []

    def gated(_c: Any, _cursor: Any, sent: str, parameters: Any, *_: object) -> tuple[str, Any]:
        if not passed and "blobs" in sent:
            passed.append(sent)
            gate = f"(SELECT pg_advisory_xact_lock({GATE})::text) IS NOT NULL"
            sent = sent.replace("WHERE", f"WHERE {gate} AND", 1)
        return sent, parameters

    event.listen(connection, "before_cursor_execute", gated, retval=True)
    yield


@contextmanager
def closed_gate(instance: Instance) -> Iterator[Callable[[], None]]:
    with instance.database.engine.connect() as connection:
        connection.execute(select(func.pg_advisory_lock(GATE)))

        def open_gate() -> None:
            connection.execute(select(func.pg_advisory_unlock(GATE)))

        yield open_gate
