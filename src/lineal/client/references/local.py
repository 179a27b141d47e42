"""`file://` references: bytes that stay in a folder of this machine (REF-13)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import quote, unquote, urlsplit

from lineal.client.artifact.patterns import Chosen, selection
from lineal.client.artifact.walking import walk
from lineal.client.references.scheme import (
    Found,
    Freshness,
    Listing,
    Ranges,
    State,
    is_unchecked,
    uri_digest,
)
from lineal.core.digest import PREFIX, Digest
from lineal.core.manifest import Entry
from lineal.errors import Denied, Invalid, MissingFile, ReferenceChanged
from lineal.files.copying import copy_and_hash
from lineal.files.reading import Advance, hash_file, open_file
from lineal.files.stamps import Stamp

ENCODED = "file://localhost/"
"""How references to files begin whose path is no Unicode, and so is encoded; no other path is."""


def opened(_timeout_seconds: float) -> LocalScheme:
    return LocalScheme()


class LocalScheme:
    """Files have no versions: what is recorded is their content's digest."""

    def listing(self, uri: str, *, checksum: bool, chosen: Chosen) -> Listing:
        """With `checksum` an entry tells of its content, else only of its URI (REF-4).

        What a `.linealignore` in the folder names stays out, as where the folder is added.
        """
        path = local_path(uri)
        if os.path.isfile(path):
            return Listing(False, iter([_found(path, os.path.basename(path), checksum)]))
        if not os.path.isdir(path):
            raise MissingFile(f"{uri} leads to no file or folder")
        left = selection(path)
        return Listing(True, _below(path, checksum, lambda name: left(name) and chosen(name)))

    def fetch(self, entry: Entry, target: str, *, advance: Advance | None = None) -> str:
        path = _present(entry)
        hex_digest = copy_and_hash(path, target, mode=0o666, advance=advance).hex_digest
        if entry.digest != PREFIX + hex_digest and not is_unchecked(entry):
            raise _changed(entry, path)
        return hex_digest

    def check(self, entry: Entry) -> Freshness:
        try:
            path = _present(entry)
            if is_unchecked(entry):
                return Freshness(State.UNCHECKED, "recorded without checksum")
            is_same = (
                os.path.getsize(path) == entry.size
                and PREFIX + hash_file(path).hex_digest == entry.digest
            )
        except MissingFile as error:
            return Freshness(State.LOST, error.message)
        except (Denied, PermissionError):
            return Freshness(State.FORBIDDEN, f"{entry.ref} may not be read by this user")
        return Freshness(State.FRESH) if is_same else Freshness(State.LOST, _changed_text(path))

    def ranges(self, entry: Entry) -> Ranges:
        """Open the file and hold its content against the record, which reads it once."""
        path = _present(entry)
        ranges = LocalRanges(path)
        try:
            if not is_unchecked(entry) and not ranges.are_of(entry, path):
                raise _changed(entry, path)
        except BaseException:
            ranges.close()
            raise
        return ranges


class LocalRanges:
    """Parts of a file; the open file stays the one that was checked, whatever takes its name."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = open_file(path)
        self._is_open = True
        self._checked: Stamp | None = None

    @property
    def size(self) -> int:
        return os.fstat(self._file).st_size

    def are_of(self, entry: Entry, path: str) -> bool:
        """Tell whether the open file, and no other at its path by now, has the recorded content."""
        if self.size != entry.size:
            return False
        hashed = hash_file(path)
        self._checked = hashed.stamp
        return self._is_unchanged() and PREFIX + hashed.hex_digest == entry.digest

    def _is_unchanged(self) -> bool:
        if self._checked is None:
            return True
        # not by the time of its last change: whatever takes its name changes that
        own = Stamp.of(os.fstat(self._file))
        return own._replace(ctime_ns=self._checked.ctime_ns) == self._checked

    def read(self, start: int, stop: int) -> bytes:
        parts = []
        while start < stop and (part := os.pread(self._file, stop - start, start)):
            parts.append(part)
            start += len(part)
        if not self._is_unchanged():
            raise ReferenceChanged(f"{self._path} was written to while it was being read")
        return b"".join(parts)

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            os.close(self._file)


def local_path(uri: str) -> str:
    """Return the path of a `file://` URI; raises Invalid for no path, or another machine's.

    `local://` is what fsspec calls it, too.
    """
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost"):
        raise Invalid(f"{uri} names the host {parts.netloc}; write file:///path with three slashes")
    if not parts.path:
        raise Invalid(f"{uri} names no path; write file:///path")
    # A path with `%` that is there as written means itself: W&B does not decode.
    written = uri.partition("://")[2].removeprefix("localhost")
    return os.path.abspath(written if os.path.exists(written) else _decoded(parts.path))


def _decoded(path: str) -> str:
    return unquote(path, errors="surrogateescape")  # as Python has names that are no UTF-8


def _below(folder: str, checksum: bool, chosen: Chosen) -> Iterator[Found]:
    for inner, found in walk(folder, chosen):
        for name in found:
            relative = f"{inner}/{name}" if inner else name
            yield _found(os.path.join(folder, relative), relative, checksum)


def _found(path: str, name: str, checksum: bool) -> Found:
    uri = _uri(path)
    if checksum:
        hashed = hash_file(path)
        return Found(name, uri, Digest(PREFIX + hashed.hex_digest), hashed.size)
    # not its size, which is part of what a version is: it may change, and the version must not
    return Found(name, uri, uri_digest(uri), 0)


def _uri(path: str) -> str:
    try:
        path.encode()
    except UnicodeEncodeError:
        return ENCODED + quote(os.fsencode(path).lstrip(b"/"))
    return f"file://{path}"  # as it is


def _present(entry: Entry) -> str:
    """Return the path of a referenced file; raises MissingFile if nothing is there."""
    assert entry.ref is not None
    if entry.ref.startswith(ENCODED):
        path = "/" + _decoded(entry.ref.removeprefix(ENCODED))
    else:
        path = entry.ref.removeprefix("file://")
    if not os.path.isfile(path):
        raise MissingFile(f"Reference {entry.path} leads to {path}, which does not exist any more")
    return path


def _changed(entry: Entry, path: str) -> ReferenceChanged:
    return ReferenceChanged(
        f"Reference {entry.path} leads to {_changed_text(path)}; put the old file back, or log the "
        "new one as a version"
    )


def _changed_text(path: str) -> str:
    moment = datetime.fromtimestamp(os.path.getmtime(path), UTC)
    return (
        f"{path}, whose content changed since it was logged (written on "
        f"{moment:%Y-%m-%d %H:%M:%S} UTC)"
    )
