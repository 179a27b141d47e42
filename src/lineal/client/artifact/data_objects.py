"""Artifacts as data types see them: a draft they are written to, a version they are read from."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lineal.client import media
from lineal.client.artifact.manifest import ManifestEntry
from lineal.errors import IntegrityError, LinealError, MissingFile
from lineal.files.stamps import Stamp

if TYPE_CHECKING:
    from lineal.client.artifact.artifact import Artifact
    from lineal.client.artifact.draft import DraftMethods

AHEAD_MOST = 1_000
"""Files fetched at once."""


def path_of(name: str, type_name: str) -> str:
    """Return where an object that is added under a name is described."""
    suffix = f".{type_name}.json"
    return name if name.endswith(suffix) else name + suffix


class DraftTarget:
    """The `MediaTarget` that a draft is."""

    def __init__(self, draft: DraftMethods) -> None:
        self._draft = draft

    def add_file(self, local_path: str, name: str, /) -> ManifestEntry:
        return self._draft.add_file(local_path, name)

    def add_bytes(self, data: bytes, name: str, /) -> ManifestEntry:
        return self._draft.add_bytes(data, name)

    def add_reference(self, uri: str, name: str, /) -> object:
        return self._draft.add_reference(uri, name)

    def reference_to(self, obj: object, /) -> str | None:
        origin = getattr(obj, "_origin", None)
        if origin is None or not isinstance(origin.source, ArtifactSource):
            return None
        entry = origin.source.artifact._contents.get(origin.path)
        return None if entry is None else ManifestEntry(entry, origin.source.artifact).ref_url()


@dataclass
class _Folder:
    """Files of a folder of the artifact that are expected to be asked for."""

    names: list[str] = field(default_factory=list)
    positions: dict[str, int] = field(default_factory=dict)
    next: int = 0
    """Position of the first that was not fetched with the last ones."""
    ahead: int = 1
    """So many are fetched if that one is asked for."""


class ArtifactSource:
    """The `MediaSource` that a version is.

    It fetches files as they are asked for, and more and more of those that follow along with them.
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
            paths[name] = self._entry(name).download()
        for each, path in paths.items():
            with suppress(OSError):
                self._fetched[each] = path, Stamp.of(os.stat(path))
        return paths[name]

    def _entry(self, name: str) -> ManifestEntry:
        try:
            return self.artifact.get_entry(name)
        except KeyError as error:
            raise MissingFile(
                f"An object needs a file that is not there: {error.args[0].rstrip('?')}. It was "
                "removed from a draft, the object was added as a file, without those beside it, "
                "or it is a table that a JoinedTable names and nobody added"
            ) from error

    def _with_next(self, name: str) -> list[str]:
        folder = self._folders.get(os.path.dirname(name))
        if folder is None or name not in folder.positions:
            return [name]
        start = folder.positions[name]
        count = folder.ahead if start == folder.next else 1
        folder.next, folder.ahead = start + count, min(2 * count, AHEAD_MOST)
        return folder.names[start : start + count]


def read(artifact: Artifact, entry: ManifestEntry) -> media.DataObject | None:
    """Rebuild the object that an entry describes, None if it is any other file."""
    if not entry.path.endswith(tuple(media.suffixes())):
        return None
    try:
        with open(entry.download(), encoding="utf-8") as file:
            found = json.load(file)
        if isinstance(found, dict) and "box_data" in found:  # of an image, which they are beside
            return None
        return media.read(found, ArtifactSource(artifact), entry.path)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, LinealError):
            raise
        raise IntegrityError(
            f"{entry.path} of {artifact.name} is no data object that can be read: {error!r}"
        ) from error
