"""Making folders, and walking over what is in them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from lineal.errors import MissingFile, Unavailable
from lineal.files.refusals import access_to, refusal


def make_folder(path: str) -> None:
    """Make a folder; the one it lies in, if that is missing too, for this user alone.

    For the folders of the home, which may have to be made for them (`home.Home.create`).
    """
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    os.makedirs(path, exist_ok=True)


def make_folders(path: str) -> None:
    """Make a folder and those that are missing above it, however many; it may be there already.

    `os.makedirs` calls itself for each. Raises FileExistsError or NotADirectoryError for what is
    in the way.
    """
    missing = [path]
    while (above := os.path.dirname(missing[-1])) and not os.path.exists(above):
        missing.append(above)
    for folder in reversed(missing):
        try:
            os.mkdir(folder)
        except FileExistsError:
            if not os.path.isdir(folder):
                raise


def renew_folder(path: str) -> None:
    """Make a folder of the home again that somebody removed under a living process.

    Raises Unavailable if all of the home is gone: a new one would be in the way of the old.
    """
    if os.path.isdir(path):
        return
    try:
        os.mkdir(path)
    except FileExistsError:
        return  # another thread did
    except FileNotFoundError as error:
        raise Unavailable(
            f"{os.path.dirname(path)} was removed or moved away since this process began to work "
            "in it; put it back, and repeat the call"
        ) from error
    except OSError as error:
        raise refusal(path, error) or error from error


def walk(
    root: str, *, skipped: Callable[[Unavailable], None] | None = None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield (folder, names of folders in it, all other names) of each folder that is no link.

    A folder is a path relative to root that ends with `/`, `""` for root itself. Of any depth:
    `os.walk` calls itself for each folder below another until Python 3.12. What the caller takes
    from the names of folders is not entered; what others delete meanwhile is left out.
    skipped: told of a folder that cannot be read; without it that raises Unavailable.
    """
    pending = [""]
    while pending:
        below = pending.pop()
        folders: list[str] = []
        found: list[str] = []
        folder = os.path.join(root, below[:-1]) if below else root
        try:
            with access_to(folder), os.scandir(folder) as entries:
                for entry in entries:
                    is_folder = entry.is_dir(follow_symlinks=False)
                    (folders if is_folder else found).append(entry.name)
        except MissingFile:
            continue
        except Unavailable as error:
            if skipped is None:
                raise
            skipped(error)
            continue
        yield below, folders, found
        pending += [f"{below}{name}/" for name in reversed(folders)]
