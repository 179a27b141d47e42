"""How files of a download come to be in their folder: each is there as a whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from itertools import count as numbers
from typing import TypeVar

from lineal.client.artifact.folder import is_empty_folder, lowest
from lineal.core.digest import PREFIX, Digest, check_stored
from lineal.core.manifest import Entry
from lineal.errors import InTheWay, LinealError, MissingFile
from lineal.files.folders import make_folders
from lineal.files.new_folder import NewFolder
from lineal.files.parts import new_stem, remove_old_parts
from lineal.files.refusals import room_on
from lineal.files.stamps import Stamp
from lineal.files.writing import write_whole
from lineal.interrupts import deferred

PLACE_ATTEMPTS = 3
"""Of fetching a file that others remove on its way."""
_IN_THE_WAY = (IsADirectoryError, NotADirectoryError, FileExistsError)

T = TypeVar("T")


class Landing:
    """The folder that one download brings files to, from several threads."""

    makes_folders = False
    """Whether a folder that is not there appears once all its packed files are in it."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._is_own_root = not os.path.lexists(root)
        """Whether nothing was there before, so that another folder may take its place."""
        self._filled: NewFolder | None = None
        self._last_folder = ""
        """Where the last packed file went."""
        self._part = new_stem()
        self._numbers = numbers()
        self._tidied: set[str] = set()
        """Folders in which nothing is left of downloads that were killed long ago."""

    def put_packed(self, target: str, data: memoryview | bytes) -> Stamp:
        """Write a file that was in a pack; those of one folder come one after the other."""
        folder, _, name = target.rpartition("/")
        if folder != self._last_folder:
            self.end_folder()
            self._last_folder = folder
            if folder != self._root or self._is_own_root:
                self._tidy(os.path.dirname(folder))
                if self.makes_folders and self._is_new(folder):
                    with deferred():  # else Ctrl-C may leave one that nobody knows of
                        self._filled = self._begun(folder)
        return write(target, data) if self._filled is None else self._filled.write(name, data)

    def end_folder(self) -> None:
        """Let the folder that is being filled appear."""
        self._last_folder = ""
        if self._filled is not None:
            with deferred():  # else Ctrl-C may leave it where it is
                filled, self._filled = self._filled, None
                try:
                    filled.appear()
                except _IN_THE_WAY as error:
                    raise _in_the_way(error.filename2) from error

    def place(self, target: str, fetch: Callable[[str], str], stored: Entry | None = None) -> None:
        """Fetch to a temporary name beside the target; rename once the digest is right.

        stored: what is fetched, unless it is a reference, whose scheme has checked it.
        """
        folder, _, _ = target.rpartition("/")
        self._tidy(folder)
        part = self._new_part(folder)
        try:
            for _ in range(PLACE_ATTEMPTS):
                hex_digest = _in_folder(folder, lambda: fetch(part))
                if stored is not None:
                    check_stored(Digest(PREFIX + hex_digest), stored.digest, stored.path)
                if os.path.lexists(part):
                    break  # else another process checks out into the folder, and removed it
            with room_on(target):
                os.replace(part, target)
        except BaseException as error:
            with suppress(OSError):  # what went wrong before says why
                os.unlink(part)
            if isinstance(error, _IN_THE_WAY):
                raise _in_the_way(target) from error
            raise

    def _is_new(self, folder: str) -> bool:
        return is_empty_folder(folder) if folder == self._root else not os.path.lexists(folder)

    def _begun(self, folder: str) -> NewFolder | None:
        above = os.path.dirname(folder)
        try:
            return _in_folder(above, lambda: NewFolder(folder, self._new_part(above)))
        except (OSError, LinealError):
            return None  # to write the files there will tell why

    def _new_part(self, folder: str) -> str:
        return f"{folder}/{self._part}-{next(self._numbers)}.part"

    def _tidy(self, folder: str) -> None:
        if folder not in self._tidied:
            self._tidied.add(folder)
            remove_old_parts(folder)


def write(target: str, data: bytes | memoryview) -> Stamp:
    """Write a small file; raises InTheWay, NoSpace, Unavailable."""
    folder, _, _ = target.rpartition("/")
    try:
        return _in_folder(folder, lambda: write_whole(target, data, mode=0o666))
    except _IN_THE_WAY as error:
        raise _in_the_way(target) from error


def _in_folder(folder: str, write: Callable[[], T]) -> T:
    """Write something in a folder, which is made if that shows that it is missing."""
    try:
        return write()
    except FileNotFoundError as error:
        if isinstance(error, MissingFile):  # the source is missing, not the folder
            raise
        with room_on(folder):
            make_folders(folder)
        return write()


def _in_the_way(target: str) -> InTheWay:
    if os.path.isdir(target):
        what = f"{target} is a folder, and a file of the artifact belongs there"
    else:
        found = lowest(os.path.dirname(target))
        kind = "a file" if os.path.exists(found) else "a link that leads nowhere"
        what = f"{found} is {kind}, and a folder belongs there"
    return InTheWay(f"{what}; move it away, or name another folder as `root`")
