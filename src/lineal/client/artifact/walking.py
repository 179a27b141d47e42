"""Which files a folder of this machine has; links are followed, Lineal's own data is left out."""

from __future__ import annotations

import os
from collections.abc import Iterator

from lineal.client import term
from lineal.client.artifact.patterns import IGNORE_FILE, Chosen
from lineal.errors import Invalid, MissingFile
from lineal.files.parts import is_part
from lineal.files.refusals import access_to
from lineal.home import BLOBS, BUNDLE, DATABASE

_OF_INSTANCE = frozenset({DATABASE, BLOBS, BUNDLE})


def walk(root: str, chosen: Chosen) -> Iterator[tuple[str, list[str]]]:
    """Yield (folder relative to root, sorted file names), following symbolic links.

    A folder without chosen files is left out if it has folders, and else has no names.
    Homes and offline runs of Lineal's own below the root are left out, and that is said once:
    what is added there grows with each time it is added. So is what a killed download left, which
    may end anywhere. Raises Invalid for a link that leads back into itself and for what is neither
    file nor folder, MissingFile for a link that leads nowhere.
    """
    pending: list[tuple[str, tuple[tuple[int, int], ...]]] = [("", (_identity(root),))]
    while pending:
        relative, above = pending.pop()
        read = _read_folder(root, relative, chosen)
        if read is None:
            continue
        names_here, folders = read
        for folder in folders:
            identity = _identity(os.path.join(root, folder))
            if identity in above:
                raise Invalid(
                    f"{os.path.join(root, folder)} is a symbolic link to a folder that holds it; "
                    f"exclude it, or list it in {IGNORE_FILE}"
                )
            pending.append((folder, (*above, identity)))
        if names_here or not folders:
            yield relative, names_here


def _read_folder(root: str, relative: str, chosen: Chosen) -> tuple[list[str], list[str]] | None:
    """Return the sorted names of files, and the folders; None if it is to be left out."""
    below = f"{relative}/" if relative else ""
    found: list[str] = []
    folders: list[str] = []
    own: set[str] = set()
    folder = os.path.join(root, relative) if relative else root
    with access_to(folder), os.scandir(folder) as entries:
        for entry in entries:
            if is_part(entry.name):
                continue
            path = below + entry.name
            if entry.name in _OF_INSTANCE:
                own.add(entry.name)
            if _is_folder(entry, path, chosen):
                if chosen(path + "/"):
                    folders.append(path)
            elif chosen(path):
                if not entry.is_file():
                    raise not_a_file(entry.path)
                found.append(entry.name)
    if relative and {DATABASE, BLOBS} <= own and BUNDLE not in own:
        term.warn_once(f"{folder} holds data of Lineal's own and is left out", key=f"own {folder}")
        return None
    return sorted(found), sorted(folders, reverse=True)


def _is_folder(entry: os.DirEntry[str], path: str, chosen: Chosen) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        if chosen(path):
            raise
        return False


def _identity(folder: str) -> tuple[int, int]:
    with access_to(folder):
        status = os.stat(folder)
    return status.st_dev, status.st_ino


def not_a_file(path: str) -> Invalid | MissingFile:
    if os.path.isdir(path):
        return Invalid(f"{path} is a folder, not a file; use add_dir")
    if os.path.islink(path):
        return Invalid(f"{path} is a symbolic link that leads nowhere")
    if os.path.exists(path):
        return Invalid(f"{path} is neither a file nor a folder and cannot be stored")
    return Invalid(f"File {path} does not exist")
