"""The folder that a version is downloaded to, or checked out."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator

from lineal.config import absolute_path
from lineal.core.manifest import Entry
from lineal.errors import (
    HostilePath,
    InTheWay,
    Invalid,
    NoSpace,
    Unavailable,
)
from lineal.files.folders import make_folders, walk
from lineal.files.parts import new_stem
from lineal.files.refusals import refusal, room_on
from lineal.files.writing import write_new
from lineal.home import DATABASE
from lineal.interrupts import deferred


def make_root(root: str) -> None:
    """Make the folder that a download goes to; raises InTheWay, NoSpace, Unavailable."""
    try:
        make_folders(root)
    except (FileExistsError, NotADirectoryError) as error:
        raise InTheWay(
            f"Cannot download into {root}: {lowest(root)} is not a folder; "
            "move it away, or name another folder as `root`"
        ) from error
    except OSError as error:
        refused = refusal(root, error)
        if isinstance(refused, NoSpace):
            raise refused from error
        raise Unavailable(
            f"Cannot make the folder {root}: {error.strerror}. Name another one as `root`, or set "
            "LINEAL_ARTIFACT_DIR to where downloads without `root` may go"
        ) from error


def lowest(path: str) -> str:
    """Return the last part of a path that there is."""
    path = absolute_path(path)
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path


def present(root: str) -> Iterator[str]:
    """Yield the paths of all files below a folder, relative to it.

    Links count as files, those that lead to folders too: they are not followed. Raises Unavailable
    for a folder that may not be read.
    """
    for below, _, found in walk(root):
        for name in found:
            yield below + name


def is_empty_folder(root: str) -> bool:
    """Say whether nothing is in a folder; False where that may not be looked at."""
    try:
        with os.scandir(root) as entries:  # not all of them: files are fetched one by one, too
            return next(entries, None) is None
    except OSError:
        return False


def _empty_folders(root: str) -> Iterator[str]:
    """Yield the folders that hold nothing, as paths relative to root with a `/` at their end."""
    walked = walk(root)
    return (below for below, folders, found in walked if below and not folders and not found)


def surplus(root: str, entries: Iterable[Entry]) -> list[str]:
    """Return what `checkout` would delete: files, links and empty folders that are no entries.

    A link to a folder is one of them even if entries lie below: what is behind it is elsewhere.
    Raises Invalid for folders that nobody wants emptied: `/`, the user's home or what holds it, a
    git work tree or what holds one, and what holds Lineal's own data, as a home or an offline run.
    """
    real = os.path.realpath(absolute_path(root))
    home = os.path.realpath(os.path.expanduser("~"))
    if os.path.commonpath([real, home]) == real or os.path.exists(os.path.join(real, ".git")):
        raise Invalid(f"Refusing to check out into {real}: it would delete files there")
    if not os.path.isdir(real):
        return []
    expected = {entry.path for entry in entries}
    found = [path for path in present(real) if path not in expected]
    database = next((path for path in found if os.path.basename(path) == DATABASE), None)
    if database is not None:
        raise Invalid(
            f"Refusing to check out into {real}: it would delete the data that Lineal keeps in "
            f"{os.path.dirname(os.path.join(real, database))}; name another folder as `root`"
        )
    split = (f"/{path}/".partition("/.git/") for path in found)
    repository = next((before for before, git, _ in split if git), None)
    if repository is not None:
        raise Invalid(
            f"Refusing to check out into {real}: it would delete the Git work tree "
            f"{real}{repository}; name another folder as `root`"
        )
    return sorted([*found, *_empty_folders(real)])


def in_the_way(root: str, surplus: Iterable[str], entries: Iterable[Entry]) -> set[str]:
    """Return what of the surplus must go before the entries can be fetched.

    It is a folder where a file belongs, or the reverse, or differs from a file by its case alone
    on a file system that ignores it.
    """
    surplus = list(surplus)
    if not surplus:
        return set()
    named = str.casefold if _ignores_case(root) else str
    files = {named(entry.path) for entry in entries}
    folders = {above for path in files for above in _above(path)}
    found = set()
    for path in surplus:
        name = named(path.rstrip("/"))
        is_folder_there = name in folders and not path.endswith("/")
        if is_folder_there or name in files or not files.isdisjoint(_above(name)):
            found.add(path)
    return found


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def remove(root: str, paths: Iterable[str]) -> None:
    """Delete what `surplus` found below root, and the folders that become empty.

    Other processes may do the same, or fill a folder. Raises Unavailable for what may not be
    deleted.
    """
    top = os.path.realpath(root)
    for path in paths:
        target = os.path.join(root, path.rstrip("/"))
        with room_on(target):
            if path.endswith("/"):
                _remove_if_empty(target)
            else:
                unlink(target)
            folder = os.path.dirname(target)
            while os.path.realpath(folder) != top and _remove_if_empty(folder):
                folder = os.path.dirname(folder)


def _remove_if_empty(folder: str) -> bool:
    """Return whether there is no such folder now."""
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


def require_distinct(root: str, entries: Iterable[Entry]) -> None:
    """Raise HostilePath if two names would be one file here (names that differ only in case).

    The entries are looked at only where the file system ignores case.
    """
    make_root(root)
    if not _ignores_case(root):
        return
    seen: dict[str, str] = {}
    for entry in entries:
        other = seen.setdefault(entry.path.casefold(), entry.path)
        if other != entry.path:
            raise HostilePath(
                f"{other} and {entry.path} are one file on the file system of {root}; "
                "download to another one, or one of them at a time with include="
            )


def _ignores_case(root: str) -> bool:
    # by its name, what a killed process leaves of it is no part of the version (`parts.PART`)
    probe = os.path.join(root, f"{new_stem()}-0.part")
    with deferred():  # Ctrl-C would leave it in the folder
        try:
            write_new(probe, b"")
        except (OSError, Unavailable):
            return False  # the download itself will say what is wrong
        try:
            return os.path.exists(os.path.join(root, os.path.basename(probe).upper()))
        finally:
            unlink(probe)


def unlink(path: str) -> None:
    """Remove a file that may be gone, its folder too."""
    try:
        os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        return
