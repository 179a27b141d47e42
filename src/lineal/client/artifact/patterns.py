"""Which files are meant: `include`, `exclude` and `.linealignore`, as patterns of `.gitignore`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lineal.errors import Invalid
from lineal.files.refusals import access_to

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE = ".linealignore"

Chosen = Callable[[str], bool]
"""Tells whether what has this path is wanted; of a folder's, which ends with `/`, whether something
below it may be."""


def selection(folder: str, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> Chosen:
    """Return what include and exclude globs and the folder's `.linealignore` leave (ART-20).

    Patterns are those of `.gitignore`; an excluded folder is not entered. What one of the two
    excludes, a `!` of the other does not bring back.
    """
    ignore_file = os.path.join(folder, IGNORE_FILE)
    ignored: list[str] = []
    if os.path.isfile(ignore_file):
        ignored = [*_ignored(ignore_file), f"/{IGNORE_FILE}"]
    excluding = [_excluding(lines) for lines in (ignored, exclude) if lines]
    if not excluding and not include:
        return lambda _: True
    included = _patterns(include)

    def chosen(path: str) -> bool:
        if any(is_excluded(path) for is_excluded in excluding):
            return False
        return path.endswith("/") or not include or included.match_file(path)

    return chosen


def _ignored(ignore_file: str) -> list[str]:
    try:
        with access_to(ignore_file), open(ignore_file, encoding="utf-8-sig") as file:
            return file.read().splitlines()
    except UnicodeDecodeError as error:
        raise Invalid(f"{ignore_file} is not text in UTF-8: {error}") from error


def _excluding(lines: Sequence[str]) -> Callable[[str], bool]:
    """Return what tells whether a file, or a folder, is excluded.

    The last line that matches decides. What is below a folder, `sub/*` matches by that folder
    alone, and `!*/` does not: that only GitIgnoreSpec knows, which is wrong of folders themselves.
    """
    from pathspec import PathSpec

    of_files, nearly = _patterns(lines), PathSpec.from_lines("gitignore", lines)

    def is_excluded(path: str) -> bool:
        return nearly.match_file(path) or (not path.endswith("/") and of_files.match_file(path))

    return is_excluded


def _patterns(lines: Sequence[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec  # 14 ms that only patterns are worth

    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        raise Invalid(
            f"{error}; `include`, `exclude` and {IGNORE_FILE} take patterns as in `.gitignore`"
        ) from error


def matches(include: Sequence[str], exclude: Sequence[str]) -> Chosen:
    """Return what globs leave of paths inside an artifact (ART-29).

    Of a folder's path, which ends with `/`, it tells whether something below it may be left.
    """
    if not include and not exclude:
        return lambda _: True
    included, excludes = _patterns(include), _excluding(exclude)
    takes_back = any(line.startswith("!") for line in exclude)

    def chosen(path: str) -> bool:
        if path.endswith("/"):
            return takes_back or not excludes(path)
        return (not include or included.match_file(path)) and not excludes(path)

    return chosen
