"""`lineal://[[entity/]project/]name:alias/path` for everything that reads through fsspec.

fsspec finds this class by the entry point in pyproject.toml, so pandas, pyarrow, DuckDB and
PyTorch's loaders read stored files and references alike, without a download. Read only; what is
used is recorded by `run.use_artifact`, not by reading.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from fsspec import AbstractFileSystem

from lineal.client import session
from lineal.client.artifact.artifact import Artifact, committed
from lineal.client.references import artifacts
from lineal.config import load
from lineal.core.manifest import Entry
from lineal.core.records import VersionId
from lineal.errors import Invalid, MissingFile, NotFound

VERSIONS_KEPT = 16
"""Manifests held for the next call; a version never changes, an alias is looked up each time."""


class LinealFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """The files of versions; a path without file means all of them."""

    protocol = ("lineal", "lineal-artifact", "wandb-artifact")
    root_marker = ""

    def __init__(self, *args: Any, **storage_options: Any) -> None:
        super().__init__(*args, **storage_options)
        self._versions: dict[VersionId, Artifact] = {}

    # --- listing ---

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return size in bytes, type and digest; raises FileNotFoundError."""
        name = self._strip_protocol(path)
        artifact, inside = self._place(name)
        entry = artifact._contents.get(inside) if inside else None
        if entry is not None:
            return _file(name, entry)
        if inside and next(artifact._contents.base.under(f"{inside}/"), None) is None:
            raise MissingFile(f"Artifact {artifact.name} has no file or folder {inside!r}")
        return _folder(name)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        name = self._strip_protocol(path)
        artifact, inside = self._place(name)
        entry = artifact._contents.get(inside) if inside else None
        found = [_file(name, entry)] if entry is not None else list(_below(artifact, name, inside))
        if not found and inside:
            raise MissingFile(f"Artifact {artifact.name} has no file or folder {inside!r}")
        return found if detail else [each["name"] for each in found]

    # --- reading ---

    def _open(self, path: str, mode: str = "rb", **_: Any) -> io.BufferedIOBase:
        if mode != "rb":
            raise Invalid(
                f"lineal:// is read only ({path} was opened as {mode!r}); a version never changes, "
                "log a new one with run.log_artifact"
            )
        artifact, inside = self._place(self._strip_protocol(path))
        return artifact._opened(inside)

    def ukey(self, path: str) -> str:
        """Return the digest of a file: what caches in front of this compare."""
        return str(self.info(path).get("digest", path))

    def created(self, path: str) -> Any:
        artifact, _ = self._place(self._strip_protocol(path))
        return artifact._record.created_at

    modified = created

    # --- versions ---

    def _place(self, name: str) -> tuple[Artifact, str]:
        """Return the version a path means, and the path inside it."""
        place = artifacts.parse(f"lineal://{name}")
        settings = load()
        backend = session.open_backend(settings)
        try:
            record = artifacts.resolve(place, backend, settings)
        except NotFound as error:
            raise MissingFile(error.message) from error
        artifact = self._versions.get(record.id)
        if artifact is None or artifact._home is not backend:  # after a fork it is another
            if len(self._versions) >= VERSIONS_KEPT:
                self._versions.pop(next(iter(self._versions)), None)
            artifact = self._versions[record.id] = committed(backend, record)
        return artifact, place.path.strip("/")


def _below(artifact: Artifact, name: str, inside: str) -> Iterator[dict[str, Any]]:
    """Yield the files and folders directly below a folder; entries come sorted by path."""
    head = f"{inside}/" if inside else ""
    last = ""
    for entry in artifact._contents.base.under(head):
        first, slash, _ = entry.path.removeprefix(head).partition("/")
        if not slash:
            yield _file(f"{name}/{first}", entry)
        elif first != last:
            last = first
            yield _folder(f"{name}/{first}")


def _file(name: str, entry: Entry) -> dict[str, Any]:
    return {"name": name, "size": entry.size, "type": "file", "digest": entry.digest}


def _folder(name: str) -> dict[str, Any]:
    return {"name": name, "size": 0, "type": "directory"}
