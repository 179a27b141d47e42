"""One side file of a data object: in memory, on the disk, or still in a logged artifact."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from typing import Any

from lineal.client.media.types import MediaSource, MediaTarget, Origin
from lineal.core.digest import PREFIX
from lineal.errors import IntegrityError, Invalid, MissingFile, SourceChanged

HASH_DIGITS = 20
"""Hex digits of the SHA-256 in the name of a side file: 80 bits, as W&B names them."""
_ADDRESS = re.compile("(gs|s3|https?)://")


class MediaFile:
    """The bytes of a side file, wherever they are; named by their hash when they are stored.

    A file on the disk is read when it is stored or looked at, not when this object is made. One
    that is elsewhere becomes a reference of the artifact that it is added to, and is read from it.
    """

    def __init__(
        self,
        suffix: str,
        *,
        data: bytes | None = None,
        local_path: str | None = None,
        uri: str | None = None,
        origin: Origin | None = None,
        sha256: str | None = None,
        size: int | None = None,
    ) -> None:
        self.suffix = suffix
        self._data = data
        self._local_path = local_path
        self._uri = uri
        self._origin = origin
        self._sha256 = hashlib.sha256(data).hexdigest() if data is not None else sha256
        self._size = len(data) if data is not None else size

    @property
    def local_path(self) -> str | None:
        """The user's file that it is, if it is one: it may change."""
        return self._local_path

    @property
    def uri(self) -> str | None:
        """Where the file is, if it is elsewhere and in no artifact yet."""
        return self._uri

    @property
    def sha256(self) -> str:
        """Hex digest of the bytes; nothing is fetched for a file in a logged artifact."""
        if self._sha256 is not None:
            return self._sha256
        with self.open() as file:  # on the disk: may change, so never remembered
            return hashlib.file_digest(file, "sha256").hexdigest()

    @property
    def size_bytes(self) -> int:
        return self._size if self._size is not None else os.path.getsize(self.path())

    @property
    def shown(self) -> str:
        """What a message calls it."""
        if self._origin is not None:
            return f"{self._origin.path} of the artifact"
        return self._uri or self._local_path or "what was made here"

    def path(self) -> str:
        """Return a local path, fetching the file if need be; not for a file in memory.

        Raises Invalid for one that is elsewhere and in no artifact.
        """
        if self._local_path is not None:
            return self._local_path
        if self._uri is not None:
            raise Invalid(
                f"{self._uri} is not on this machine: add it to an artifact, which refers to it, "
                "or fetch it and give the path of the file"
            )
        assert self._origin is not None
        return self._origin.source.path(self._origin.path)

    def open(self) -> io.BufferedReader | io.BytesIO:
        """Open for reading; raises MissingFile when a local file is gone."""
        if self._data is not None:
            return io.BytesIO(self._data)
        try:
            return open(self.path(), "rb")
        except FileNotFoundError as error:
            raise MissingFile(f"{self.path()} is gone; it was there when it was given") from error

    def read(self) -> bytes:
        with self.open() as file:
            return file.read()

    def same_as(self, other: MediaFile) -> bool:
        """Compare the bytes; of files that are elsewhere where they are."""
        if self._uri is not None or other._uri is not None:
            return self._uri == other._uri
        return self.sha256 == other.sha256

    def write(self, target: MediaTarget, folder: str) -> dict[str, Any]:
        """Store under `<folder>/<hash><suffix>` and return the stub: `path`, `sha256`, `size`.

        What another artifact holds becomes a reference to it (DAT-7), and so does what is
        elsewhere, whose hash and size are not known. The name of a reference is made from the URI,
        so that it meets neither the same bytes added here nor those of a third artifact.
        """
        if self._uri is not None:
            stem = hashlib.sha256(self._uri.encode()).hexdigest()
            name = f"{folder}/{stem[:HASH_DIGITS]}{self.suffix}"
            target.add_reference(self._uri, name)
            return {"path": name}
        sha256, size = self.sha256, self.size_bytes
        uri = target.reference_to(self)
        stem = sha256 if uri is None else hashlib.sha256(uri.encode()).hexdigest()
        name = f"{folder}/{stem[:HASH_DIGITS]}{self.suffix}"
        if uri is not None:
            target.add_reference(uri, name)
        elif self._data is not None:
            target.add_bytes(self._data, name)
        else:
            entry = target.add_file(self.path(), name)
            if entry.digest != PREFIX + sha256:
                raise SourceChanged(f"{self.path()} changed while it was being added")
        return {"path": name, "sha256": sha256, "size": size}


def is_address(path: str | os.PathLike[str]) -> bool:
    """Tell the URL of a file, of a web server or a store, from a path."""
    return isinstance(path, str) and _ADDRESS.match(path) is not None


def stored(stub: dict[str, Any], source: MediaSource) -> MediaFile:
    """Return the file that a stub describes; it is fetched when it is opened.

    Raises KeyError, TypeError or AttributeError for what is no stub.
    """
    path, sha256, size = stub["path"], stub.get("sha256"), stub.get("size")
    if not (
        isinstance(path, str) and isinstance(sha256, str | None) and isinstance(size, int | None)
    ):
        raise TypeError(f"{stub!r:.80} describes no file")
    base = path.rsplit("/", 1)[-1]
    suffix = base[base.index(".") :] if "." in base else ""
    source.expect(path)
    return MediaFile(suffix, origin=Origin(source, path), sha256=sha256, size=size)


def json_file(value: Any, suffix: str) -> MediaFile:
    """Return a side file of canonical JSON, so that equal values are one file."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # A lone surrogate becomes the escape that JSON has for it.
    return MediaFile(suffix, data=text.encode(errors="backslashreplace"))


def read_json(file: MediaFile) -> dict[str, Any]:
    """Return the object in a side file; raises IntegrityError for what is none."""
    try:
        found = json.loads(file.read())
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{file.shown} is no JSON that can be read: {error}") from error
    if not isinstance(found, dict):
        raise IntegrityError(f"{file.shown} holds no JSON object")
    return found
