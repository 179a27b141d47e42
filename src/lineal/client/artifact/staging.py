"""Private copies of added files, until they are stored (ART-17).

Each process has a folder of its own below the instance's staging folder, locked while it lives;
a process that adds its first file removes those of the dead. On the same file system as the
blobs, so that storing a copy is a rename: logging needs no more space than the version will.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

from lineal import packs
from lineal.client import term
from lineal.core.digest import PREFIX, Digest
from lineal.errors import MissingFile, SourceChanged, Unavailable
from lineal.files.copying import copy_and_hash
from lineal.files.flushing import begin_flush_of
from lineal.files.folders import make_folder, renew_folder
from lineal.files.reading import Advance, read_small
from lineal.files.refusals import access_to, room_on
from lineal.files.stamps import Stamp
from lineal.interrupts import held
from lineal.parallel import LARGE_BYTES

_LOCK = "lock"
LOOSE_FILE_SECONDS = 24 * 3600.0
"""Age at which a file beside the folders is nobody's any more; nothing locks it."""


class Copied(NamedTuple):
    """A private copy of a file, as it was when it was read."""

    path: str
    """Of the copy, or of the pack that has it."""
    digest: Digest
    stamp: Stamp
    """Of the file."""


class Staging:
    """The staging folder of this process, made when first needed."""

    def __init__(self, root: str, variable: str = "LINEAL_HOME") -> None:
        """variable: which one says where `root` is, for whoever cannot write there."""
        self._root = root
        self._variable = variable
        self._owner: int | None = None
        self._folder = ""
        self._lock_descriptor = -1
        self._making = threading.Lock()
        self._numbers = itertools.count()

    def copy(self, source: str, advance: Advance | None = None) -> Copied:
        """Copy and hash a file."""
        target = self.new_path()
        copied = copy_and_hash(source, target, advance=advance)
        if copied.size >= LARGE_BYTES:
            begin_flush_of(target)  # it will be flushed, and the disk has time now
        return Copied(target, Digest(PREFIX + copied.hex_digest), copied.stamp)

    def new_path(self) -> str:
        """Return a path in this process's folder where nothing is yet."""
        if self._owner != os.getpid():  # a forked child must not use its parent's folder
            with held(self._making):
                if self._owner != os.getpid():
                    self._make()
        elif not os.path.isdir(self._folder):  # whoever tidies folders of `/tmp` took it
            with held(self._making):
                if not os.path.isdir(self._folder):
                    renew_folder(self._root)
                    before = self._lock_descriptor
                    self._make()
                    os.close(before)  # not earlier: to make it may fail, now and again
        return f"{self._folder}/{next(self._numbers)}"

    def drop(self, numbers: Iterable[int], *, kept: Container[str]) -> None:
        """Remove copies, given by `number_of` their paths, unless they are among those kept."""
        for number in numbers:
            path = f"{self._folder}/{number}"
            if path not in kept:
                remove_copy(path)

    def _make(self) -> None:
        try:
            make_folder(self._root)
            while not self._made_locked():
                continue
        except OSError as error:
            with room_on(self._root):
                if error.errno == errno.ENOSPC:
                    raise
            raise Unavailable(
                f"Cannot write to {self._root}: {error.strerror}. "
                f"Set {self._variable} to a folder you may write to"
            ) from error

    def _made_locked(self) -> bool:
        """Make and lock a folder; False if another process took it for a leftover meanwhile."""
        folder = os.path.join(self._root, f"{os.getpid()}-{secrets.token_hex(4)}")
        os.mkdir(folder, 0o700)
        lock = os.path.join(folder, _LOCK)
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not os.path.exists(lock):  # it was removed between being made and being locked
            os.close(descriptor)
            return False
        self._lock_descriptor, self._folder, self._owner = descriptor, folder, os.getpid()
        return True

    def close(self) -> None:
        """Remove this process's folder; copies that were not stored go with it."""
        if self._owner == os.getpid():
            shutil.rmtree(self._folder, ignore_errors=True)
            with suppress(OSError):  # a network file system that went away
                os.close(self._lock_descriptor)
            self._owner = None


class Packing:
    """Private copies of many small files, in as few packs as hold them (lineal.packs)."""

    def __init__(self, staging: Staging, file_bytes_most: int) -> None:
        self._staging = staging
        self._file_bytes_most = file_bytes_most
        self._writer: packs.Writer | None = None

    def copy(self, source: str) -> Copied | None:
        """Copy and hash a file as `Staging.copy` does, into a pack; None if it is too large."""
        read = read_small(source, self._file_bytes_most)
        if read is None:
            return None
        data, hashed, sha256 = read
        if self._writer is None or self._writer.is_full:
            self.seal()
            self._writer = packs.Writer(self._staging.new_path())
        self._writer.add(sha256, data)
        return Copied(self._writer.path, Digest(PREFIX + hashed.hex_digest), hashed.stamp)

    def seal(self) -> None:
        """Close the last pack; only then can what was copied be stored."""
        if self._writer is not None:
            self._writer.seal()
            self._writer = None

    def discard(self) -> None:
        """Remove a pack that was not sealed."""
        if self._writer is not None:
            self._writer.discard()


def write_pack(pack: str, files: Mapping[str | bytes, str]) -> bool:
    """Write a pack of small files, given with their digests; tells whether that was possible."""
    writer = None
    try:
        writer = packs.Writer(pack)
        for file, digest in files.items():
            read = read_small(os.fsdecode(file), sys.maxsize)
            if read is None or digest != PREFIX + read[1].hex_digest:
                raise SourceChanged(f"{os.fsdecode(file)} changed after it was added")
            writer.add(read[2], read[0])
        writer.seal()
    except BaseException as error:
        if writer is not None:
            writer.discard()
        if isinstance(error, (MissingFile, SourceChanged, Unavailable)):
            return False  # whoever sends the files says what is wrong
        raise
    return True


def number_of(copy: str) -> int:
    return int(os.path.basename(copy))


def remove_copy(path: str) -> None:
    """Remove a private copy; one that was stored was moved away and is none any more."""
    try:
        os.unlink(path)
    except OSError:
        return  # gone already, or left to the process that removes this folder


def _remove_old(entry: os.DirEntry[str]) -> None:
    """Remove a run file on its way to the store whose process died: it takes moments, not days."""
    try:
        if time.time() - entry.stat(follow_symlinks=False).st_mtime > LOOSE_FILE_SECONDS:
            os.unlink(entry.path)
    except OSError:
        return  # stored or removed meanwhile, or another user's


def _remove_empty(folder: str) -> None:
    """Remove what a process left that died before it made a lock; one that lives makes another."""
    try:
        os.rmdir(folder)
    except OSError:
        return  # removed by another process, or locked this very moment


def remove_leftovers(root: str) -> None:
    """Remove the staging folders of processes that died; what may not be removed stays.

    Everything in `root` must be ours. If it cannot be listed, all stays and that is said.
    """
    if not os.path.isdir(root):
        return
    try:
        with access_to(root), os.scandir(root) as entries:
            found = list(entries)
    except (MissingFile, Unavailable) as error:
        term.warn_once(f"Copies of earlier processes stay in {root}: {error}")
        return
    for entry in found:
        if not entry.is_dir(follow_symlinks=False):
            _remove_old(entry)
            continue
        try:
            descriptor = os.open(os.path.join(entry.path, _LOCK), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            _remove_empty(entry.path)
            continue
        except OSError:
            continue  # another user's
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # its process lives
        else:
            shutil.rmtree(entry.path, ignore_errors=True)
        finally:
            os.close(descriptor)
