"""A logged artifact as data types read from it (DAT-1)."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lineal.errors import LinealError
from lineal.files.stamps import Stamp

if TYPE_CHECKING:
    from lineal.client.artifact.artifact import Artifact

AHEAD_MOST = 1_000
"""Files fetched at once."""


@dataclass
class _Folder:
    """Files of a folder of the artifact that are expected to be asked for."""

    names: list[str] = field(default_factory=list)
    positions: dict[str, int] = field(default_factory=dict)
    next: int = 0
    """Position of the first that was not fetched with the last ones."""
    ahead: int = 1
    """So many are fetched if that one is asked for."""


class Source:
    """Fetches files as they are asked for, and more and more of those that follow along with them.

    Who looks at one picture of a table, or at some here and there, gets just these; who looks at
    one after the other waits for few requests, not for one each.
    """

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        self._folders: dict[str, _Folder] = {}
        self._fetched: dict[str, tuple[str, Stamp]] = {}

    def expect(self, name: str, /) -> None:
        folder = self._folders.setdefault(os.path.dirname(name), _Folder())
        if name not in folder.positions:
            folder.positions[name] = len(folder.names)
            folder.names.append(name)

    def path(self, name: str, /) -> str:
        return self._there(name) or self._fetch(name)

    def under(self, folder: str, /) -> list[str]:
        prefix = f"{folder}/" if folder else ""
        return [entry.path for entry in self.artifact._contents.base.under(prefix)]

    def _there(self, name: str) -> str | None:
        """Return where a file was fetched to, unless it has changed or is gone since."""
        path, stamp = self._fetched.get(name, (None, None))
        try:
            return path if path is not None and Stamp.of(os.stat(path)) == stamp else None
        except OSError:
            return None

    def _fetch(self, name: str) -> str:
        names = self._with_next(name)
        paths: dict[str, str] = {}
        if len(names) > 1:
            with suppress(LinealError):  # of one that nobody asked for, perhaps
                paths = self.artifact._download_some(names)
        if name not in paths:
            paths[name] = self.artifact.get_entry(name).download()
        for each, path in paths.items():
            with suppress(OSError):
                self._fetched[each] = path, Stamp.of(os.stat(path))
        return paths[name]

    def _with_next(self, name: str) -> list[str]:
        folder = self._folders.get(os.path.dirname(name))
        if folder is None or name not in folder.positions:
            return [name]
        start = folder.positions[name]
        count = folder.ahead if start == folder.next else 1
        folder.next, folder.ahead = start + count, min(2 * count, AHEAD_MOST)
        return folder.names[start : start + count]
