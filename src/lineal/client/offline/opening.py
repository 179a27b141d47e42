"""Opening folders that hold an instance and may come from anywhere: alone, and without harm.

They are those of offline runs, and bundles. Neither need be writable, whole, or what it says.
"""

from __future__ import annotations

import dataclasses
import fcntl
import itertools
import os
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from lineal.client import term
from lineal.client.embedded.backend import EmbeddedBackend, open_embedded
from lineal.config import Settings
from lineal.errors import IntegrityError, Unavailable
from lineal.files.copying import copy_and_hash
from lineal.files.stamps import is_still_at
from lineal.files.temporary import TemporaryFolder
from lineal.home import BLOBS, Home, home_of

_APART = "lineal-apart-"


def require_plain(folder: str) -> None:
    """Raise IntegrityError for a pipe or a device where an instance has its files.

    To read one might never end. What users keep in the folder of a run is their own affair.
    """
    blobs = os.path.realpath(os.path.join(folder, BLOBS))
    for where, _, names in itertools.chain(itertools.islice(os.walk(folder), 1), os.walk(blobs)):
        for name in names:  # none where a folder cannot be read; who reads it says why
            path = os.path.join(where, name)
            try:
                mode = os.stat(path).st_mode
            except OSError:
                continue
            if not stat.S_ISREG(mode):
                raise IntegrityError(
                    f"{path} is neither a file nor a folder, and Lineal makes nothing else; take "
                    "it out, and bring back what was there from a copy"
                )


@contextmanager
def alone_in(folder: str) -> Iterator[bool]:
    """Wait until no other process copies from or to a folder in this way, and let none do it.

    Says whether the folder is still there. On a medium without locks nobody waits.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # who reads what is in it says why
        yield True
        return
    try:
        with suppress(OSError):
            _lock(descriptor, folder)
        yield is_still_at(folder, descriptor)
    finally:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # a forked child may hold the file, too
        os.close(descriptor)


def _lock(descriptor: int, folder: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        term.info(f"waiting for another process to be done with {folder}")
        fcntl.flock(descriptor, fcntl.LOCK_EX)


@contextmanager
def opened_apart(settings: Settings) -> Iterator[EmbeddedBackend]:
    """Open the instance in the settings' home, and write nothing to it.

    A database writes beside itself even when it is read, and one of an older Lineal is brought up
    to date, so a copy of it is opened. Raises MissingFile without one, IntegrityError if it is
    damaged, NoSpace.
    """
    there = home_of(settings)
    with closing(TemporaryFolder(_APART)) as folder:
        home = os.path.join(folder.path, "home")
        os.mkdir(home, 0o700)
        apart = dataclasses.replace(settings, home=home)
        copy = home_of(apart)
        database = os.path.realpath(there.database)  # SQLite keeps the log beside the file itself
        copy_and_hash(database, copy.database, mode=0o600)
        if os.path.exists(database + "-wal"):
            copy_and_hash(database + "-wal", copy.database + "-wal", mode=0o600)
        if os.path.isdir(there.blobs):  # an empty one gets lost where folders are packed
            os.symlink(there.blobs, copy.blobs)
        try:
            source = open_embedded(apart)
            try:
                require_readable(source, there)
                yield source
            finally:
                source.close()
        except (IntegrityError, Unavailable) as error:
            if home not in error.message:
                raise
            # it is said of the copy, which nobody finds any more
            if isinstance(error, IntegrityError):
                raise _damaged(there, "its pages or records cannot be read") from error
            raise type(error)(error.message.replace(home, there.root)) from error


def require_readable(source: EmbeddedBackend, there: Home) -> None:
    """Raise IntegrityError unless the database of an instance is what Lineal writes.

    There is no telling who made it; else each value in it could be anything when it is used.
    there: where it is, or where the copy of it comes from that is open.
    """
    finding = source.unreadable()
    if finding is not None:
        raise _damaged(there, f"{finding.where}: {finding.what}")


def _damaged(there: Home, what: str) -> IntegrityError:
    return IntegrityError(
        f"The database {there.database} is damaged; copy {there.root} here once more, from where "
        f"it is whole ({what})"
    )
