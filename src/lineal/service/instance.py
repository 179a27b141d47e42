"""One installation: its database, its bytes, its clock. Everything a process shares hangs here."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from lineal.blobs.local import LocalStore
from lineal.blobs.store import BlobStore
from lineal.config import Settings
from lineal.db import blobs as blobs_db
from lineal.db import migrations
from lineal.db.engine import Database, make_empty, sqlite_url
from lineal.errors import Unavailable
from lineal.files.modes import open_shared, umask_against
from lineal.home import Home, home_of, unwritable
from lineal.service.clock import Clock, SystemClock
from lineal.service.lock_files import locked

if TYPE_CHECKING:
    from lineal.service.sweep.search import Search


@dataclass(frozen=True)
class Instance:
    database: Database
    store: BlobStore
    clock: Clock
    home: Home
    draft_ttl: timedelta = timedelta(hours=72)
    crashed_after: timedelta = timedelta(seconds=300)
    undo_period: timedelta = timedelta(days=7)
    trial_lease: timedelta = timedelta(seconds=60)
    pack_files_up_to: int = 128 << 10
    """Bytes up to which files of runs that are stored together share one; 0: never."""
    searches: dict[int, Search] = field(default_factory=dict)
    """What this process knows of sweeps, by their keys; `service.sweep.search`."""

    def crashed_before(self) -> datetime:
        """Return when a run must have been heard of last to have crashed by now (RUN-9)."""
        return self.clock.now() - self.crashed_after

    def close(self) -> None:
        self.database.close()


def open_instance(
    settings: Settings, *, clock: Clock | None = None, tell: Callable[[str], None] | None = None
) -> Instance:
    """Open the embedded instance in the settings' home, creating or migrating it if need be.

    Any number of processes may do so at once. A home that is there and may only be read is
    opened for reading: then writing to it raises Unavailable. What the instance keeps of the
    settings is listed in `config.OPENED_WITH`.

    tell: takes messages for the user: of a call that waits for another process, and of a umask
    that keeps others out of a shared home.
    Raises Unavailable when there is no home and none can be made, when it stays locked for
    `init_timeout` seconds (RUN-8), and when its database is newer than this Lineal, is missing
    while there are bytes, or knows of bytes while there are none.
    """
    home = home_of(settings)
    is_unwritable = _may_only_be_read(home)
    if not is_unwritable:
        home.create()
        if tell is not None and (umask := umask_against(home.root)) is not None:
            tell(
                f"with the umask {umask:03o} of this process the group of {home.root} may not use "
                "all that it makes there; call `umask 002` before"
            )
    store = LocalStore(home.blobs)
    database = Database(
        sqlite_url(home.database),
        busy_timeout_seconds=settings.busy_timeout,
        is_unwritable=is_unwritable,
        tell=tell,
    )
    try:
        with database.waiting(settings.init_timeout):
            if is_unwritable:
                migrations.require_current(database)
            else:
                wait = min(settings.busy_timeout, settings.init_timeout)
                _bring_up_to_date(database, home, store, wait_seconds=wait, tell=tell)
                _require_store(database, home, store)
    except BaseException:
        database.close()
        raise
    return Instance(
        database=database,
        store=store,
        clock=clock or SystemClock(),
        home=home,
        draft_ttl=timedelta(hours=settings.draft_ttl_hours),
        crashed_after=timedelta(seconds=settings.crashed_after_seconds),
        undo_period=timedelta(days=settings.undo_days),
        trial_lease=timedelta(seconds=settings.trial_lease_seconds),
        pack_files_up_to=settings.pack_files_up_to,
    )


def _may_only_be_read(home: Home) -> bool:
    """Tell whether a home is there and may not be written.

    Its database may be a link to one in another folder.
    """
    folders = home.root, os.path.dirname(os.path.realpath(home.database))
    return os.path.exists(home.database) and not all(os.access(each, os.W_OK) for each in folders)


def _bring_up_to_date(
    database: Database,
    home: Home,
    store: LocalStore,
    *,
    wait_seconds: float,
    tell: Callable[[str], None] | None,
) -> None:
    if os.path.exists(home.database) and migrations.revision(database) == migrations.HEAD:
        return
    with locked(
        os.path.join(home.root, "migrate.lock"),
        wait_seconds=wait_seconds,
        holder="makes or migrates the database",
        tell=tell,
    ):
        if not os.path.exists(home.database):
            _require_no_log(home)
            _require_no_bytes(home, store)
            _make_shared(home.database)
        elif migrations.revision(database) is None:
            migrations.require_ours(database)
            _require_no_bytes(home, store)
        migrations.migrate(database)


def _require_no_log(home: Home) -> None:
    """Refuse to make a database beside the log of one that is gone: SQLite takes it for its own."""
    log = f"{home.database}-wal"
    if os.path.exists(log):
        raise Unavailable(
            f"There is {log}, the newest part of a database, but no {home.database}. Put the "
            "database back that it belongs to; or, to take one from a backup or to begin anew, "
            "move this file away"
        )


def _require_no_bytes(home: Home, store: LocalStore) -> None:
    """Refuse to begin anew above stored bytes: to a new database all of them would be garbage."""
    if any(not file.is_part for file in store.walk()):
        raise Unavailable(
            f"There are stored files in {home.blobs}, but no database: {home.database} is missing "
            "or empty. Put it back from a backup; or, to begin anew, move the home away"
        )


def _require_store(database: Database, home: Home, store: LocalStore) -> None:
    """Refuse to begin a new store beside a database that has one: what it holds is elsewhere."""
    if store.is_begun():
        return
    with database.reading() as connection:
        if not blobs_db.any_stored(connection):
            return
    raise Unavailable(
        f"The database {home.database} knows of stored files, and nothing is in {home.blobs}. Is "
        "a disk not mounted, or was the folder moved? Put it back; or, if the files are lost for "
        f"good, make the folder {store.begun_by}, and `lineal verify --repair` notes what is gone"
    )


def _make_shared(path: str) -> None:
    """Make an empty database; SQLite gives the files beside it the mode that it has.

    It gets its name when it is closed: closing it lets go of all locks this process has on it.
    """
    part = f"{path}.new"
    try:
        os.close(open_shared(part))
        make_empty(part)
        os.rename(part, path)
    except OSError as error:
        raise unwritable(path, error) from error
