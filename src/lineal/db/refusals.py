"""What it means that the database refuses, and what to do about it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

from lineal.db.json_values import NoJson
from lineal.db.lock_holder import lock_holder
from lineal.errors import IntegrityError, Invalid, LinealError, NoSpace, Unavailable

CONNECTIONS_MOST = 25
"""Of one process; each takes three descriptors on SQLite."""
SHOWN_BYTES = 200
"""Of a complaint of SQLite's that is not UTF-8."""


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Say what a failure of the database means to the user, and what to do."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise Invalid(f"{error.object!r} is not valid Unicode; names and paths must be") from error
    except UnicodeDecodeError as error:  # SQLite's own complaint quotes bytes that are no text
        raise _damaged(url, error.object[:SHOWN_BYTES].decode(errors="backslashreplace")) from error
    except NoJson as error:
        raise IntegrityError(
            f"The database {url.database} is damaged: a record holds {error}; `lineal verify` says "
            "where"
        ) from error
    except OverflowError as error:
        if "SQLite" not in str(error):
            raise
        raise Invalid("A number is too large: the database has whole numbers of 64 bits") from error
    except NoConnection as error:
        raise Unavailable(
            f"Other threads of this process used all {CONNECTIONS_MOST} connections to the "
            f"database {url.database} for too long; try again with fewer of them, or raise "
            "LINEAL_BUSY_TIMEOUT"
        ) from error
    except (DatabaseError, sqlite3.DatabaseError) as error:
        cause = error.orig if isinstance(error, DatabaseError) else error
        if _is_damage(str(cause)):
            raise _damaged(url, str(cause)) from error
        if "rror binding parameter" in str(cause):
            raise Invalid(f"The database has no place for such a value: {cause}") from error
        if not isinstance(error, (OperationalError, sqlite3.OperationalError)):
            raise
        if url.get_backend_name() == "postgresql":
            state = getattr(cause, "sqlstate", None)
            raise _postgres_meaning(str(cause), state, str(url.database)) from error
        name = getattr(cause, "sqlite_errorname", None)
        raise _meaning(str(cause), name, str(url.database)) from error


def _is_damage(text: str) -> bool:
    return any(each in text for each in ("malformed", "not a database", "not decode to UTF-8"))


def _damaged(url: URL, why: str) -> IntegrityError:
    return IntegrityError(
        f"The database {url.database} is damaged: {why}. The bytes of files in blobs/ beside it "
        "are not touched by that: move nothing away, and put the database back from a backup, "
        "without a lineal.db-wal and lineal.db-shm of another beside it "
        "(docs/guides/operating.md)"
    )


def _meaning(text: str, name: str | None, place: str) -> LinealError:
    if "full" in text:
        return NoSpace(f"The disk that holds {place} is full; nothing was changed")
    if "readonly" in text:
        return unwritable(text, place)
    if "unable to open" in text:
        return _unopened(text, place)
    if "locked" in text or "busy" in text:
        who = lock_holder(place)
        return Unavailable(
            f"{who[0].upper()}{who[1:]} held the database {place} for too long; see whether it "
            "hangs, and try again, or raise LINEAL_BUSY_TIMEOUT (for `init`, LINEAL_INIT_TIMEOUT)"
        )
    if "I/O error" in text:
        code = f" ({name})" if name else ""
        folder = os.path.dirname(place)
        return Unavailable(
            f"The file system of {folder} failed while the database {place} was used: {text}{code}"
            ". See whether that disk, its inodes or a quota is full, a limit on the size of files "
            "was reached, it is a network file system that went away or that processes share no "
            "memory through, or somebody removed the files beside the database. What was "
            "committed stays; put that right, and repeat the call"
        )
    return Unavailable(f"The database {place} failed: {text}")


def _postgres_meaning(text: str, state: str | None, name: str) -> LinealError:
    """Say what PostgreSQL means by a state; its words come in the language of the server.

    state: None where no connection was made.
    Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
    """
    place = f"the database {name}"
    first = text.partition("\n")[0]
    match state:
        case "40P01" | "40001":  # deadlock_detected, serialization_failure
            return Unavailable(
                f"This call and another one waited for each other in {place}, which broke this "
                "one off; nothing was changed, so repeat the call"
            )
        case "55P03" | "57014":  # lock_not_available, query_canceled
            return Unavailable(
                f"Another connection held what is needed in {place} for too long ({first}); "
                "nothing was changed: see whether it hangs, and repeat the call"
            )
        case "53100":  # disk_full
            return NoSpace(f"The disk that holds {place} is full; nothing was changed")
    return Unavailable(
        f"The database {name} failed: {first}. See whether its server runs and takes connections, "
        "and repeat the call"
    )


def _unopened(text: str, place: str) -> Unavailable:
    """Say why SQLite opens neither a database nor the files beside it; it names no reason."""
    if os.path.isdir(place):
        return Unavailable(
            f"{place} is a folder, and not the database. Put that right, or set LINEAL_HOME to "
            "another folder"
        )
    needed = [path for path in (os.path.dirname(place), place) if os.path.exists(path)]
    if not needed or not all(os.access(path, os.W_OK) for path in needed):
        return unwritable(text, place)
    return Unavailable(
        f"Cannot open the database {place} and the files beside it: {text}. See whether its disk "
        "has no inodes left (`df -i`), or this process too many files open (`ulimit -n`), and "
        "repeat the call"
    )


def unwritable(why: str, place: str) -> Unavailable:
    """Say that a database may only be read."""
    return Unavailable(
        f"Cannot write to the database {place}: {why}. Set LINEAL_HOME to a folder you may write to"
    )
