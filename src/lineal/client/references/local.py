"""`file://` references: bytes that stay in a folder of this machine (REF-13)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from lineal import files
from lineal.client.adding import walk
from lineal.client.contents import Added
from lineal.core import names
from lineal.core.digest import PREFIX, Digest, of_bytes
from lineal.core.manifest import Entry
from lineal.errors import IntegrityError, Invalid, MissingFile

SCHEME = "file"


def added(uri: str, name: str | None, *, checksum: bool, max_objects: int) -> Iterator[Added]:
    """Yield the entries of a file, or of a folder with everything below it (REF-3).

    With `checksum` an entry has the digest of its content, else that of its URI, which changes
    only when the URI does (REF-4). Raises Invalid beyond `max_objects`, never truncates (REF-5).
    """
    path = local_path(uri)
    if os.path.isfile(path):
        entry_name = name or os.path.basename(path)
        yield Added(_entry(path, names.entry_path(entry_name), checksum), None)
        return
    if not os.path.isdir(path):
        raise MissingFile(f"{uri} leads to no file or folder")
    head = f"{names.entry_path(name)}/" if name else ""
    count = 0
    for folder, found in walk(path, lambda _: True):
        for file in found:
            count += 1
            if count > max_objects:
                raise Invalid(f"{uri} holds more than max_objects={max_objects} files")
            relative = f"{folder}/{file}" if folder else file
            yield Added(
                _entry(os.path.join(path, relative), names.entry_path(head + relative), checksum),
                None,
            )
    if count == 0:
        raise Invalid(f"{uri} holds no files; a reference to nothing is an error")


def local_path(uri: str) -> str:
    """Return the path of a `file://` URI; raises Invalid for a host other than this machine."""
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost"):
        raise Invalid(f"{uri} names the host {parts.netloc}; write file:///path with three slashes")
    # A path with `%` that is there as written means itself: W&B does not decode.
    written = uri.removeprefix("file://").removeprefix("localhost")
    return os.path.abspath(written if os.path.exists(written) else unquote(parts.path))


def copy(entry: Entry, target: str) -> str:
    """Copy the referenced file; raises MissingFile if it is gone, IntegrityError if it changed."""
    assert entry.ref is not None
    scheme = urlsplit(entry.ref).scheme
    if scheme != SCHEME:
        raise Invalid(
            f"{entry.path} refers to {entry.ref}; this version of Lineal cannot fetch {scheme}://"
        )
    path = local_path(entry.ref)
    if not os.path.isfile(path):
        raise MissingFile(f"Reference {entry.path} leads to {path}, which does not exist any more")
    hex_digest = files.copy_and_hash(path, target, mode=0o666).hex_digest
    if entry.digest not in (PREFIX + hex_digest, _uri_digest(entry.ref)):
        raise IntegrityError(
            f"Reference {entry.path} leads to {path}, whose content changed since it was logged"
        )
    return hex_digest


def _entry(path: str, name: str, checksum: bool) -> Entry:
    uri = f"file://{path}"
    if checksum:
        hashed = files.hash_file(path)
        return Entry(name, Digest(PREFIX + hashed.hex_digest), hashed.size, uri)
    return Entry(name, _uri_digest(uri), os.path.getsize(path), uri)


def _uri_digest(uri: str) -> Digest:
    return of_bytes(uri.encode())
