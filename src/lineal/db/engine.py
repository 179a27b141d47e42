"""Connections and transactions, and all that differs between SQLite and PostgreSQL.

SQLite: write-ahead log, `BEGIN IMMEDIATE` for writers, commits flushed to disk. A SQLite
connection must not survive `fork()` (the child would inherit the parent's idea of which locks
it holds), so a fork waits for running transactions and closes idle connections first.
"""

from __future__ import annotations

import functools
import json
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy
from sqlalchemy import (
    URL,
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Select,
    Table,
    Text,
    cast,
    event,
    func,
    literal,
    select,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import NullPool

from lineal.db import write_lock
from lineal.db.json_values import json_text, json_value
from lineal.db.refusals import CONNECTIONS_MOST, translated, unwritable
from lineal.db.unwritable import UnwritableFile
from lineal.db.write_lock import SignalCame, Wait, WriteTurn
from lineal.errors import MissingFile, Unavailable
from lineal.files.refusals import access_to
from lineal.forks import around_forks
from lineal.interrupts import LOOK_SECONDS, deferred

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql


COMPACT_LEAST_BYTES = 16 << 20
"""Fewer empty bytes than these are left in the file."""
COMPACT_MOST_BYTES = 1 << 30
"""To write more than this anew takes longer than others should have to wait."""
IN_MOST = 500
"""Values in one IN list: below every limit of SQLite and PostgreSQL."""
_CONNECTIONS_KEPT = 5

T = TypeVar("T")


class Database:
    """One database; `reading` and `writing` are the only ways to a connection."""

    def __init__(
        self,
        url: str | URL,
        *,
        busy_timeout_seconds: float = 120.0,
        is_unwritable: bool = False,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        """is_unwritable: the folder of this SQLite database may only be read.

        tell: takes a message for the user of a thread that waits for another process.
        """
        self.url = sqlalchemy.make_url(url)
        self._unwritable = UnwritableFile(str(self.url.database)) if is_unwritable else None
        self._busy_timeout_seconds = busy_timeout_seconds
        self._tell = tell
        self._patience = threading.local()
        self.engine = _create_engine(self.url, self._wait_seconds, self._unwritable)
        self._turn = WriteTurn()
        self._gate = threading.Condition()
        self._open_count = 0
        self._scrubbers = 0
        """Calls that are within `scrubbing`, of any thread."""
        self._place = str(self.url.database) if self.is_sqlite and not is_unwritable else None
        """The file that must keep its name while it is open."""
        self._opened_file: int | None = None
        if self.is_sqlite:
            _close_before_fork(self)

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    def reading(self) -> AbstractContextManager[Connection]:
        """Open a transaction that sees one state of the database throughout."""
        return self._transaction(writes=False)

    def writing(self, *, is_durable: bool = True) -> AbstractContextManager[Connection]:
        """Open a transaction that commits at the end of the block, or leaves nothing behind.

        On SQLite it holds the one write lock: no bytes and no network inside. is_durable: on disk
        when the block ends; else, on SQLite, with the next durable one: a power cut may take it
        back as a whole, so nothing that outlives the database may rely on it.
        """
        return self._transaction(writes=True, is_durable=is_durable)

    @contextmanager
    def waiting(self, seconds: float) -> Iterator[None]:
        """Let this thread wait at most so long for SQLite's write lock, until the block ends."""
        before = self._wait_seconds()
        self._patience.seconds = min(seconds, before)
        try:
            yield
        finally:
            self._patience.seconds = before

    def _wait_seconds(self) -> float:
        seconds: float = getattr(self._patience, "seconds", self._busy_timeout_seconds)
        return seconds

    @contextmanager
    def scrubbing(self) -> Iterator[None]:
        """Overwrite what this process deletes meanwhile, and empty the write-ahead log after it.

        Threads may do so at once: what is deleted is overwritten until the last of them is done.
        Else SQLite leaves deleted rows, file names among them, readable in its files until their
        place is used again. On PostgreSQL vacuuming does that; nothing is done here.
        """
        if not self.is_sqlite:
            yield
            return
        with self._gate:
            self._scrubbers += 1
        try:
            yield
        finally:
            with self._gate:
                self._scrubbers -= 1
            self.engine.dispose()  # the pragma stays with a connection
            with self.engine.connect() as connection:
                # as far as readers let it
                plain(connection).execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def compact(self) -> int:
        """Give the empty pages of SQLite's file back to the disk; returns the bytes it shrank by.

        What is in it is written anew, while others may read and wait to write: so only where that
        is little, and most of the file is empty. Elsewhere the pages are kept for what comes.
        PostgreSQL has its own way; 0 there. Raises Unavailable, NoSpace.
        """
        if not self.is_sqlite:
            return 0
        with (
            deferred(),
            self._counted(),
            translated(self.url),
            self.engine.connect() as connection,
        ):
            _wait_at_most(connection, self._wait_seconds())
            database = plain(connection)
            page_bytes, pages, empty = (
                int(database.execute(f"PRAGMA {name}").fetchone()[0])
                for name in ("page_size", "page_count", "freelist_count")
            )
            used_bytes, empty_bytes = (pages - empty) * page_bytes, empty * page_bytes
            if empty_bytes < max(used_bytes, COMPACT_LEAST_BYTES):
                return 0
            if used_bytes > COMPACT_MOST_BYTES:
                return 0
            database.execute("VACUUM")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # as far as readers let it
            left = int(database.execute("PRAGMA page_count").fetchone()[0])
            return max(0, pages - left) * page_bytes

    def close(self) -> None:
        self.engine.dispose()
        if self._unwritable is not None:
            self._unwritable.close()

    @contextmanager
    def _transaction(self, *, writes: bool, is_durable: bool = True) -> Iterator[Connection]:
        if writes and self._unwritable is not None:
            raise unwritable("its folder may only be read", self._unwritable.path)
        self._require_in_place()
        wait = Wait(str(self.url.database), self._wait_seconds(), self._tell)
        while True:
            with (
                suppress(SignalCame),
                self._begun(wait, writes=writes, is_durable=is_durable) as connection,
            ):
                yield connection
                return

    @contextmanager
    def _begun(self, wait: Wait, *, writes: bool, is_durable: bool) -> Iterator[Connection]:
        """Open a transaction; raises SignalCame if a signal came before it could be."""
        with (
            deferred() as late,
            self._counted(),
            translated(self.url),
            self._turn.taken(wait, late) if writes and self.is_sqlite else nullcontext(),
            self.engine.connect() as connection,
            connection.begin(),
            self._unchanged(connection),
        ):
            if self._opened_file is None:
                self._opened_file = self._file()
            if self.is_sqlite and writes:
                _wait_at_most(connection, min(self._wait_seconds(), LOOK_SECONDS))
                _make_durable(connection, is_durable)
                write_lock.begin(plain(connection), wait, late)
            elif self.is_sqlite:
                _wait_at_most(connection, self._wait_seconds())
                plain(connection).execute("BEGIN")  # an event of SQLAlchemy's slows all statements
            if writes and self._scrubbers:
                connection.exec_driver_sql("PRAGMA secure_delete = ON")
            yield connection

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Hold up forks, which wait until no connection is at work."""
        with self._gate:
            self._open_count += 1
        try:
            yield
        finally:
            with self._gate:
                self._open_count -= 1
                self._gate.notify_all()

    def _require_in_place(self) -> None:
        """Raise Unavailable if the file that is open does not have the database's name any more.

        What is written to it would be gone with this process, and a file that has the name now is
        not the one that this process knows. Also raised where that cannot be found out, since the
        folder may not be entered any more.
        """
        if self._opened_file is None:
            return
        found = self._file()
        if found != self._opened_file:
            what = "was removed or moved away" if found is None else "was replaced"
            raise Unavailable(
                f"The database {self._place} {what} since this process opened it. Put the one that "
                "was there back, and repeat the call; what is there now is for a new process"
            )

    def _file(self) -> int | None:
        """Return the inode that has the database's name; None if nothing has, or any may."""
        if self._place is None:
            return None
        try:
            with access_to(self._place):
                return os.stat(self._place).st_ino
        except MissingFile:
            return None

    def _unchanged(self, connection: Connection) -> AbstractContextManager[None]:
        if self._unwritable is None:
            return nullcontext()
        return self._unwritable.unchanged(plain(connection))

    def before_fork(self) -> None:
        """Wait for open transactions, let none begin, and close what the child must not share."""
        self._gate.acquire()
        self._gate.wait_for(lambda: self._open_count == 0)
        self.engine.dispose()

    def after_fork(self) -> None:
        self._gate.release()


def _close_before_fork(database: Database) -> None:
    reference = weakref.ref(database)

    def call(step: Callable[[Database], None]) -> Callable[[], None]:
        def run() -> None:
            alive = reference()
            if alive is not None:
                step(alive)

        return run

    # Registered calls cannot be taken back; the weak reference lets the database go all the same.
    around_forks(call(Database.before_fork), call(Database.after_fork))


def sqlite_url(path: str) -> URL:
    """Name the database in a file, whatever is in its path: `?` and `%` say more in a text."""
    return URL.create("sqlite", database=path)


def make_empty(path: str) -> None:
    """Make an empty file an empty database that others may open from now on.

    Its log must be as it stays: SQLite waits for nobody when that changes.
    """
    with translated(sqlite_url(path)), closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def _create_engine(
    url: URL, wait_seconds: Callable[[], float], unwritable: UnwritableFile | None
) -> Engine:
    pool: dict[str, Any] = {
        "pool_size": _CONNECTIONS_KEPT,
        "max_overflow": CONNECTIONS_MOST - _CONNECTIONS_KEPT,
        "pool_timeout": wait_seconds(),
    }
    if unwritable is not None:
        pool = {"poolclass": NullPool, "creator": unwritable.connect}
    engine = sqlalchemy.create_engine(
        url,
        json_serializer=json_text,
        json_deserializer=json_value,
        **pool,
    )
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine, wait_seconds, is_written=unwritable is None)
    return engine


def _prepare_sqlite(engine: Engine, wait_seconds: Callable[[], float], *, is_written: bool) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # `Database._begun` begins transactions
        connection.create_function("regexp", 2, _regexp, deterministic=True)
        connection.execute(f"PRAGMA busy_timeout = {int(wait_seconds() * 1000)}")
        if is_written:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cache_size = -32000")  # KiB


_DURABLE = "lineal_durable"
_WAIT = "lineal_wait"


def _wait_at_most(connection: Connection, seconds: float) -> None:
    if connection.info.get(_WAIT) != seconds:
        plain(connection).execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
        connection.info[_WAIT] = seconds


def _make_durable(connection: Connection, is_durable: bool) -> None:
    if connection.info.get(_DURABLE, True) != is_durable:
        plain(connection).execute(f"PRAGMA synchronous = {'FULL' if is_durable else 'NORMAL'}")
        connection.info[_DURABLE] = is_durable


def plain(connection: Connection) -> sqlite3.Connection:
    """Return SQLite's own connection below SQLAlchemy's."""
    raw: Any = connection.connection.dbapi_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


def _regexp(pattern: str, value: object) -> bool:
    import re  # only queries with $regex come here

    return value is not None and re.search(pattern, str(value)) is not None


def on_sqlite(connection: Connection) -> bool:
    """Tell which spelling a statement needs that is built once for each of the two."""
    return connection.dialect.name == "sqlite"


def insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT that knows `on_conflict_do_nothing`, which both spell alike."""
    return insert_for(on_sqlite(connection), table)


def insert_for(is_sqlite: bool, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return the same for a statement that is built once for each of the two."""
    if is_sqlite:
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # 25 ms that embedded use never needs

    return postgresql.insert(table)


@functools.cache
def insert_new(is_sqlite: bool, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT that leaves rows alone which are there; built once per table."""
    return insert_for(is_sqlite, table).on_conflict_do_nothing()


def listed(connection: Connection, ids: Sequence[int]) -> Select[Any]:
    """Return a SELECT of these numbers, however many: they travel as one parameter."""
    is_sqlite = on_sqlite(connection)
    texts = each_text(is_sqlite, literal(json.dumps(list(ids)), Text))
    return texts if is_sqlite else select(cast(texts.selected_columns.value, BigInteger))


def batches(items: Iterable[T], size: int = IN_MOST) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def each_text(is_sqlite: bool, document: ColumnElement[str]) -> Select[Any]:
    """Return a SELECT of the texts in a JSON list that comes as text."""
    if is_sqlite:
        return select(func.json_each(document).table_valued("value").c.value)
    return select(func.jsonb_array_elements_text(_jsonb(document)).table_valued("value").c.value)


def each_pair(
    is_sqlite: bool, document: ColumnElement[str]
) -> tuple[ColumnElement[str], ColumnElement[int]]:
    """Return the columns `key` and `value`, a number, of a JSON object that comes as text."""
    if is_sqlite:
        pairs = func.json_each(document).table_valued("key", "value")
        return pairs.c.key, pairs.c.value
    pairs = func.jsonb_each_text(_jsonb(document)).table_valued("key", "value")
    return pairs.c.key, cast(pairs.c.value, BigInteger)


def _jsonb(document: ColumnElement[str]) -> ColumnElement[Any]:
    from sqlalchemy.dialects.postgresql import JSONB  # 25 ms that embedded use never needs

    # the document is text already, so it is cast as such: JSONB would quote it once more
    return cast(cast(document, Text), JSONB)
