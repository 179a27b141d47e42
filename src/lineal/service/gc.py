"""Freeing what nothing needs: a plan that can be read, and a sweep that carries it out.

The steps, and why each is safe at any moment, whoever else writes: docs/design/003-deletion.md.
Nothing is remembered between them; a sweep that died is finished by the next one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from operator import attrgetter
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Row

from lineal.core import access
from lineal.core.access import Action, Actor
from lineal.core.digest import Digest, storage_key
from lineal.core.gc import (
    REPORTED_MOST,
    Amount,
    CleanupPlan,
    DoomedVersion,
    Failure,
    Kept,
    Reason,
    Swept,
    VersionsStep,
)
from lineal.core.records import VersionId
from lineal.db import deletion as deletion_db
from lineal.db import gc as gc_db
from lineal.db import gc_plan
from lineal.db import retention as retention_db
from lineal.db import ttl as ttl_db
from lineal.errors import NoSpace, Unavailable
from lineal.files.refusals import why_it_stays
from lineal.service import due, strays
from lineal.service.instance import Instance
from lineal.service.lock_files import locked_if_free

Progress = Callable[[str, int], None]
"""Called with (step, how many more it has done)."""

_Row = Row[*tuple[Any, ...]]


T = TypeVar("T")


class _Find(Protocol[T]):
    """Find the next rows above an id, in the order of their ids."""

    def __call__(self, connection: Connection, /, *, after: int, limit: int) -> list[T]: ...


BATCH = 5_000
"""Rows per transaction: some 50 ms of the write lock."""
BATCH_RUNS = 100
"""A run can have a hundred thousand files and many megabytes of lines."""
BATCH_ENTRIES = 20_000
"""Pairs deleted per transaction."""
SHARERS_MOST = 5
"""Names of those that share content with a doomed version."""
EXPIRE_MOST = 1_000_000
"""Versions that one plan counts as past their time, and as let go by each policy."""

# --- plan ---------------------------------------------------------------------------------------


def plan(instance: Instance, actor: Actor) -> CleanupPlan:
    """Say what a sweep would do now, and why every byte that stays does; changes nothing.

    Reads the rows of all blobs and the names of all files in the store.
    """
    access.require(actor, Action.ADMINISTER, "the instance")
    now = instance.clock.now()
    cutoff = now - instance.undo_period
    with instance.database.reading() as connection:
        expiring = retention_db.to_expire(connection, now, EXPIRE_MOST)
        is_final = instance.undo_period <= timedelta(0)
        survivors = gc_plan.Survivors(
            connection, cutoff=cutoff, now=now, doomed=expiring if is_final else ()
        )
        amounts = gc_plan.amounts(connection, survivors)
        moments = gc_plan.earliest(connection, cutoff, now)
        manifests, segments = gc_plan.unneeded_counts(connection, survivors)
        releasing = gc_db.releasable_versions(cutoff, connection, after=0, limit=REPORTED_MOST)
        planned = CleanupPlan(
            made_at=now,
            expire=VersionsStep(
                Amount(len(expiring), gc_plan.sizes_of(connection, expiring)),
                _doomed(connection, survivors, expiring[:REPORTED_MOST]),
            ),
            release=VersionsStep(
                gc_plan.release_amount(connection, cutoff),
                _doomed(connection, survivors, releasing),
            ),
            runs=gc_plan.run_count(connection, cutoff),
            drafts=gc_plan.expired_draft_count(connection, now),
            manifests=manifests,
            segments=segments,
            condemn=amounts.pop(None, Amount()),
            delete=gc_plan.condemned_amount(connection),
            strays=Amount(),
            kept=_kept(instance, amounts, moments),
            is_final=is_final,
        )
    found = strays.totals(instance, expired_by=now)
    return replace(planned, strays=found.dead, fresh_strays=found.fresh, foreign=found.foreign)


def _doomed(
    connection: Connection, survivors: gc_plan.Survivors, ids: Sequence[int]
) -> tuple[DoomedVersion, ...]:
    """Name versions with the bytes that go and stay, if the content of all of them is released."""
    names = gc_plan.names_of(connection, ids)
    parts = gc_plan.parts(connection, survivors, ids)
    found = []
    for id in ids:
        freed, shared = parts.get(id, (0, 0))
        others: list[str] = []
        if shared:
            others = gc_plan.sharers(connection, survivors, id, SHARERS_MOST + 1)
        name = names[id].name
        others = [other for other in others if other != name][:SHARERS_MOST]
        size_bytes = names[id].size_bytes
        found.append(DoomedVersion(VersionId(id), name, size_bytes, freed, shared, tuple(others)))
    return tuple(found)


def _kept(
    instance: Instance, amounts: dict[Reason | None, Amount], moments: dict[Reason, datetime]
) -> tuple[Kept, ...]:
    if Reason.UNDO in moments:
        moments = {**moments, Reason.UNDO: moments[Reason.UNDO] + instance.undo_period}
    return tuple(
        Kept(reason, amounts[reason], moments.get(reason)) for reason in Reason if reason in amounts
    )


# --- sweep --------------------------------------------------------------------------------------


def sweep(
    instance: Instance,
    actor: Actor,
    progress: Progress | None = None,
    *,
    time_limit_seconds: float | None = None,
) -> Swept:
    """Delete what nothing needs; may run beside anything else, and be killed at any moment.

    The time limit is looked at between transactions. What the store fails to delete is named
    in `failures` and tried again by the next sweep. Source: DEL-8, TTL-14.
    """
    access.require(actor, Action.ADMINISTER, "the instance")
    sweeping = _Sweep(instance, actor, progress or _unseen, time_limit_seconds)
    for step in (
        sweeping.expire,
        sweeping.release,
        sweeping.prune,
        sweeping.condemn,
        sweeping.delete,
        sweeping.remove_strays,
    ):
        step()
    if time_limit_seconds is None:
        sweeping.compact()
    return replace(sweeping.swept, is_complete=not sweeping.is_late)


class _Sweep:
    """One pass through the steps: what it may take, and what it has done so far."""

    def __init__(
        self, instance: Instance, actor: Actor, progress: Progress, time_limit: float | None
    ) -> None:
        self.instance = instance
        self.actor = actor
        self.progress = progress
        self.swept = Swept()
        self.is_late = False
        """Something was left because the time was up."""
        self._deadline = None if time_limit is None else time.monotonic() + time_limit

    # --- the steps ---

    def expire(self) -> None:
        """Make tombstones of versions past their TTL, and of those that policies let go."""
        old, let_go = "versions past their time to live", "versions that retention policies let go"
        self._hide(deletion_db.EXPIRED, old, ttl_db.expired_versions)
        self._hide(deletion_db.RETENTION, let_go, retention_db.policy_victims)

    def _hide(
        self, reason: str, what: str, find: Callable[[Connection, datetime, int], list[int]]
    ) -> None:
        """Make one deletion of all that is found, batch by batch; of nothing, none.

        What is found after somebody undid it belongs to another: an undone one hides nothing.
        """
        deletion_id: int | None = None
        while True:
            now = self.instance.clock.now()
            with self.instance.database.reading() as connection:
                if not find(connection, now, 1) or self._is_over():
                    return
            with self.instance.database.writing() as connection:
                if deletion_id is not None and deletion_db.is_undone(connection, deletion_id):
                    deletion_id = None
                ids = find(connection, now, BATCH)
                if deletion_id is None and ids:
                    deletion_id = deletion_db.record(
                        connection, what=what, reason=reason, actor=self.actor.name, now=now
                    )
                hidden = 0
                if deletion_id is not None:
                    hidden = deletion_db.hide(
                        connection, deletion_id, ids, actor=self.actor.name, now=now
                    )
            self._count("expire", hidden, expired=hidden)
            if not hidden:  # PostgreSQL: somebody has just linked or protected them
                return

    def release(self) -> None:
        """Take the content from what can no longer be restored, and from drafts that are over."""
        now = self.instance.clock.now()
        cutoff = now - self.instance.undo_period
        for ids in self._pages(partial(gc_db.releasable_versions, cutoff), BATCH):
            with self.instance.database.writing() as connection:
                count = gc_db.release_versions(connection, ids, cutoff, now)
            self._count("release", count, released=count)
        for ids in self._pages(partial(gc_db.releasable_runs, cutoff), BATCH_RUNS):
            with self.instance.database.writing() as connection:
                count = gc_db.release_runs(connection, ids, cutoff, now)
            self._count("release", count, runs=count)
        for ids in self._pages(partial(gc_db.dead_drafts, now), BATCH):
            with self.instance.database.writing() as connection:
                count = gc_db.release_drafts(connection, ids, now)
            self._count("release", count, drafts=count)

    def prune(self) -> None:
        """Delete manifests that nothing has, then segments that no manifest has."""
        for ids in self._pages(gc_db.unneeded_manifests, BATCH):
            with self.instance.database.writing() as connection:
                count = gc_db.prune_manifests(connection, ids)
            self._count("prune", count, manifests=count)
        for rows in self._row_pages(gc_db.unneeded_segments, BATCH):
            for ids in _portions(rows):
                with self.instance.database.writing() as connection:
                    count = gc_db.prune_segments(connection, ids)
                self._count("prune", count, segments=count)

    def condemn(self) -> None:
        """Mark blobs that nothing needs; from here on they are never used again (invariant 3)."""
        for ids in self._pages(gc_db.unneeded_blobs, BATCH):
            with self.instance.database.writing() as connection:
                amount = gc_db.condemn(connection, ids, self.instance.clock.now())
            self._count("condemn", amount.count, condemned=amount)

    def delete(self) -> None:
        """Delete the bytes of condemned blobs, and then their rows."""
        for rows in self._row_pages(gc_db.condemned, BATCH):
            amount, failures = delete_bytes(self.instance, rows)
            self._fail(failures)
            self._count("delete", amount.count, deleted=amount)

    def remove_strays(self) -> None:
        """Delete files that belong to no blob and never will."""
        if self._is_over():
            return
        for found in strays.find(self.instance):
            amount, failures = strays.delete(self.instance, found.dead)
            self._fail(failures)
            self._count("strays", amount.count, strays=amount)
            if self._is_over():
                return

    def compact(self) -> None:
        """Give what the database does not need any more back to the disk."""
        with suppress(NoSpace, Unavailable):  # its file stays as large as it was
            self.swept = replace(self.swept, compacted_bytes=self.instance.database.compact())

    # --- walking and counting ---

    def _pages(self, find: _Find[int], limit: int) -> Iterator[list[int]]:
        return self._walked(find, limit, int)

    def _row_pages(self, find: _Find[_Row], limit: int) -> Iterator[list[_Row]]:
        return self._walked(find, limit, attrgetter("id"))

    def _walked(self, find: _Find[T], limit: int, id_of: Callable[[T], int]) -> Iterator[list[T]]:
        """Yield what a reading transaction each finds, until that is no more or the time is up."""
        after = 0
        while not self._is_over():
            with self.instance.database.reading() as connection:
                found = find(connection, after=after, limit=limit)
            if found:
                yield found
                after = id_of(found[-1])
            if len(found) < limit:
                return

    def _is_over(self) -> bool:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self.is_late = True
        return self.is_late

    def _count(self, step: str, count: int, **more: int | Amount) -> None:
        sums = {name: getattr(self.swept, name) + value for name, value in more.items()}
        self.swept = replace(self.swept, **sums)
        if count:
            self.progress(step, count)

    def _fail(self, failures: Sequence[Failure]) -> None:
        named = (*self.swept.failures, *failures)[:REPORTED_MOST]
        failed = self.swept.failed + len(failures)
        self.swept = replace(self.swept, failures=named, failed=failed)


def forget_unneeded(instance: Instance, actor: Actor) -> None:
    """Do the steps from release on, but leave strays alone; for the strict path."""
    sweeping = _Sweep(instance, actor, _unseen, None)
    sweeping.release()
    sweeping.prune()
    sweeping.condemn()
    sweeping.delete()


def _unseen(_step: str, _count: int) -> None:
    return None


def delete_bytes(instance: Instance, rows: Sequence[_Row]) -> tuple[Amount, list[Failure]]:
    """Delete the bytes of condemned blobs, and the rows of those that are gone.

    rows: id, digest, nonce, size_bytes. In this order, since a row without bytes is found again,
    but bytes without a row would be a stray. What another sweep has just deleted, that one counts.
    """
    keys = {storage_key(Digest(row.digest), row.nonce): row for row in rows}
    failed = dict(instance.store.delete(keys))
    with instance.database.writing() as connection:
        gone = gc_db.drop(connection, [row.id for key, row in keys.items() if key not in failed])
    sizes = [row.size_bytes for row in rows if row.id in gone]
    failures = [Failure(key, why_it_stays(error)) for key, error in failed.items()]
    return Amount(len(sizes), sum(sizes)), failures


def _portions(rows: Sequence[_Row]) -> Iterator[list[int]]:
    """Cut segments into lists of ids with some `BATCH_ENTRIES` entries each."""
    portion: list[int] = []
    entries = 0
    for row in rows:
        portion.append(row.id)
        entries += row.entry_count
        if entries >= BATCH_ENTRIES:
            yield portion
            portion, entries = [], 0
    if portion:
        yield portion


# --- by itself ----------------------------------------------------------------------------------


def sweep_briefly(
    instance: Instance, actor: Actor, *, time_limit_seconds: float = 2.0
) -> Swept | None:
    """Sweep for a short while; None if somebody did so today, or is at it, who is not waited for.

    Called by `due.sweep_if_due`, which has looked before; here that is done again, under the lock.
    """
    with locked_if_free(os.path.join(instance.home.root, "gc.lock")) as is_mine:
        if not is_mine or not due.is_due(instance):
            return None
        due.note(instance, instance.clock.now())  # before it: not every run is to repeat a failure
        return sweep(instance, actor, time_limit_seconds=time_limit_seconds)
