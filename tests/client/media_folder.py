"""An artifact made of a folder: what data types write to and read from in tests."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from lineal.client import media
from lineal.client.media.table import Table
from lineal.core.digest import Digest
from lineal.core.manifest import Entry


class Folder:
    """A MediaTarget and a MediaSource; refuses different content under one name, as drafts do."""

    def __init__(self, root: Path, *, name: str = "a") -> None:
        self.root = root
        self.name = name
        self.entries: dict[str, Entry] = {}
        self.fetched: list[str] = []
        self.others: dict[str, Folder] = {}

    def add_bytes(self, data: bytes, name: str, /) -> Entry:
        digest = Digest("sha256:" + hashlib.sha256(data).hexdigest())
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return self._put(Entry(name, digest, len(data)))

    def add_file(self, local_path: str, name: str, /) -> Entry:
        return self.add_bytes(Path(local_path).read_bytes(), name)

    def add_reference(self, uri: str, name: str, /) -> object:
        return self._put(Entry(name, Digest(uri), 0, ref=uri))

    def reference_to(self, obj: object, /) -> str | None:
        origin = getattr(obj, "_origin", None)
        if origin is None or origin.source is self:
            return None
        self.others[origin.source.name] = origin.source
        return f"folder://{origin.source.name}/{origin.path}"

    def expect(self, name: str, /) -> None:
        """Nothing is fetched ahead."""

    def under(self, folder: str, /) -> list[str]:
        return [name for name in self.entries if name.startswith(f"{folder}/")]

    def path(self, name: str, /) -> str:
        self.fetched.append(name)
        entry = self.entries[name]
        if entry.ref is not None:
            other, _, path = entry.ref.removeprefix("folder://").partition("/")
            return self.others[other].path(path)
        return str(self.root / name)

    def _put(self, entry: Entry) -> Entry:
        if self.entries.setdefault(entry.path, entry) != entry:
            raise ValueError(f"{entry.path} is there with other content")
        return entry

    def add(self, obj: media.DataObject, name: str) -> str:
        """Store an object as a draft does; returns its path."""
        path = f"{name}.{obj.type_name}.json"
        self.add_bytes(json.dumps(obj.write(self)).encode(), path)
        return path

    def get(self, path: str) -> Any:
        return media.read(json.loads(Path(self.path(path)).read_text()), self, path)


def round_trip(obj: media.DataObject, root: Path) -> Any:
    """Store an object and read it back after the folder has moved."""
    written = Folder(root / "written")
    path = written.add(obj, "x")
    read = Folder(root / "read")
    shutil.copytree(written.root, read.root)
    read.entries, read.others = written.entries, written.others
    return read.get(path)


def types_of(table: Table) -> dict[Any, str]:
    return {name: str(kind) for name, kind in table.column_types.items()}
