"""What it means that the operating system refuses to read or write."""

from __future__ import annotations

import errno
import os
import pwd
import stat

from lineal.errors import LinealError, MissingFile, NoSpace, Unavailable

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ESTALE,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENAMETOOLONG,
    errno.ELOOP,
}
"""What is wrong is the file or its disk, and no caller can go another way."""
_FAILING = {errno.EIO, errno.ESTALE}
"""The disk is broken, or the server that has it went away."""


class _Working:
    """Work on a path. A class, since a generator costs three times as much a file."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        return


class access_to(_Working):  # noqa: N801 - read as a word of the `with` statement
    """Translate the operating system's refusals to read a file, or to list a folder.

    Raises MissingFile, Unavailable; an error of what lies in the folder names that.
    """

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if isinstance(error, OSError) and not isinstance(error, LinealError):
            raise unreadable(error.filename or self._path, error) from error


class room_on(_Working):  # noqa: N801 - read as a word of the `with` statement
    """Translate the operating system's refusals to write into errors that say what to do."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        refused = refusal(self._path, error) if isinstance(error, OSError) else None
        if refused is not None:
            raise refused from error


def unreadable(path: str, error: OSError) -> MissingFile | Unavailable:
    """Say why a local file or folder cannot be read."""
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return MissingFile(f"{path} does not exist (any more)")
    if error.errno == errno.ELOOP:
        return MissingFile(f"{path} is a symbolic link that leads to itself")
    if isinstance(error, IsADirectoryError):
        return not_a_file(path, stat.S_IFDIR)
    if error.errno == errno.ENXIO:  # what opening a socket says
        return not_a_file(path, stat.S_IFSOCK)
    return Unavailable(f"Cannot read {path}: {_reason(error)}")


def not_a_file(path: str, mode: int) -> MissingFile:
    """Say that something else is where a file should be."""
    if stat.S_ISDIR(mode):
        return MissingFile(f"{path} is a folder, not a file")
    return MissingFile(f"{path} is a pipe, a socket or a device, not a file")


def refusal(path: str, error: OSError) -> NoSpace | Unavailable | None:
    """Return what a failed write means to the user; None where its own words say it."""
    if error.errno == errno.EFBIG:
        return NoSpace(
            f"{path} would be larger than a file may be: see the limit of this process "
            "(`ulimit -f`) and that of the file system, and repeat the call: what was sent or "
            "fetched is not again"
        )
    if error.errno in _NO_ROOM:
        what = "No inodes (`df -i`)" if _lacks_inodes(path) else "No space"
        return NoSpace(
            f"{what} left to write {path}; free some and repeat the call: "
            "what was sent or fetched is not again"
        )
    if error.errno in _REFUSED:
        return Unavailable(f"Cannot write {path}: {_reason(error)}")
    return None


def _lacks_inodes(path: str) -> bool:
    """Tell whether a disk has no room for files, however much it has for bytes."""
    try:
        place = os.path.abspath(path)
        while not os.path.exists(place):  # the folder itself may be what could not be made
            place = os.path.dirname(place)
        status = os.statvfs(place)
    except OSError:
        return False
    return status.f_files > 0 and status.f_favail == 0


def _reason(error: OSError) -> str:
    if error.errno in _FAILING:
        return f"{error.strerror}. Its disk fails or is gone; see to that, and repeat the call"
    if error.errno == errno.EMFILE:
        return (
            f"{error.strerror}. Close some, or raise the limit (`ulimit -n`), and repeat the call"
        )
    return str(error.strerror)


def why_it_stays(error: OSError) -> str:
    """Say why a file could not be deleted, and whose it is if that is the reason."""
    if not isinstance(error, PermissionError) or error.filename is None:
        return str(error)
    path = os.fsdecode(error.filename)
    try:
        owner = os.stat(path).st_uid
    except OSError:
        return str(error)
    if owner == os.geteuid():
        return str(error)
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = f"user {owner}"
    return f"{path} belongs to {name}, whose `lineal gc` frees it"
