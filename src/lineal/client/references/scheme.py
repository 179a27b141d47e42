"""The seam of references: what each scheme (`file://`, `s3://`, …) has to know how to do.

One class per scheme, in a module of its own. A scheme knows one kind of store; names inside the
artifact, limits, globs, warnings and threads are done once, for all, by the modules around it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from lineal.client.artifact.patterns import Chosen
from lineal.core.digest import Digest, is_content, of_bytes
from lineal.core.manifest import NO_EXTRA, Entry
from lineal.errors import MissingFile
from lineal.files.reading import Advance

ETAG, VERSION_ID = "etag", "versionID"
"""The keys of `extra`, spelt as W&B spells them; cloud schemes always have both (REF-20)."""


class Found(NamedTuple):
    """One object that a URI leads to, as it is recorded."""

    name: str
    """Relative to the folder or prefix; of a single object the last part of its path."""
    ref: str
    """The object's own URI, without version (REF-21): what `fetch` will be given in the entry.
    Empty for bytes that are stored here: a file of another artifact."""
    digest: Digest
    """The ETag, unquoted, or what else identifies the content; the URI where nothing does."""
    size: int
    """Bytes."""
    extra: Mapping[str, Any] = NO_EXTRA


class Listing(NamedTuple):
    is_folder: bool
    """Whether the URI means everything below it; then a given name is that of a folder (REF-3)."""
    found: Iterator[Found]
    """Streamed: a million objects are never held. In any order, each object once."""


class State(StrEnum):
    """What `ref check` says of one reference (REF-17)."""

    FRESH = "fresh"
    RECOVERABLE = "recoverable"
    """The current object is another one, or deleted, but the recorded version is kept."""
    LOST = "lost"
    FORBIDDEN = "forbidden"
    UNCHECKED = "unchecked"
    """It is there, but nothing was recorded that could be compared."""


class Freshness(NamedTuple):
    state: State
    detail: str = ""
    """What changed, when, and what can be done; empty if fresh."""


class Ranges(Protocol):
    """Random access to exactly the recorded version of one object; safe for threads."""

    @property
    def size(self) -> int:
        """Bytes in all."""

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from start up to, not including, stop; fewer only at the end.

        Raises what `fetch` raises when the recorded version went away meanwhile.
        """

    def close(self) -> None:
        """May be called twice."""


class Scheme(Protocol):
    """Reads one kind of store, for one process and any number of threads.

    Optional libraries are imported when first needed. Credentials come from the provider's own
    chain; they are never kept in what is recorded, and never part of a message. Each request
    ends within the timeout the scheme was opened with; a scheme retries what may pass by itself.

    All of it raises Denied for what may not be read (the message names the right that is
    missing), Unavailable when the store does not answer or its library is not installed
    (naming the extra), Invalid for a URI that can never work.
    """

    def listing(self, uri: str, *, checksum: bool, chosen: Chosen) -> Listing:
        """Find the object a URI means, or all objects below the folder or prefix it means.

        A version pinned in the URI (`?versionId=`, `#generation`) is parsed here and goes to
        `extra`. Folder placeholders are left out, objects of 0 bytes are not (REF-6). Nothing
        found: an empty listing of a folder, or MissingFile where it is known that nothing is
        there. What is not chosen may come all the same, but must not have been read. checksum=False
        reaches only schemes that expand folders without it (`file://`).
        """

    def fetch(self, entry: Entry, target: str, *, advance: Advance | None = None) -> str:
        """Write exactly the recorded version to a new file; returns the hex SHA-256 of it.

        When the current object differs, versions the store kept are searched for the recorded
        ETag. An unchecked entry (`is_unchecked`) gives the current object. Verified: ETag and
        size at least. Raises MissingFile if nothing is there, ReferenceChanged if only something
        else is; both say what changed, when, and what can be done. What was written to `target`
        before a failure is the caller's to remove. FileNotFoundError that is no LinealError
        means that the folder of `target` is missing.
        """

    def check(self, entry: Entry) -> Freshness:
        """Say how the recorded version fares, without reading its bytes where possible.

        Raises only Unavailable and Invalid: what is gone or forbidden is a state.
        """

    def ranges(self, entry: Entry) -> Ranges:
        """Open the recorded version for reading parts of it; the same rules as for `fetch`."""


def is_unchecked(entry: Entry) -> bool:
    """Tell whether nothing was recorded that says which content is meant (REF-4)."""
    if entry.ref is None or entry.extra.get(VERSION_ID):
        return False
    # empty: homes hold references to objects whose store gave an empty ETag
    return entry.digest in (entry.ref, "", uri_digest(entry.ref))


def no_object(shown: str) -> MissingFile:
    """Say that a URI that was recorded alone means many objects; shown: without secrets."""
    return MissingFile(
        f"{shown} is a folder, and was recorded without checksum, as one reference: nothing says "
        "what was in it. Refer to it with checksums, or to each object, and log that"
    )


def uri_digest(uri: str) -> Digest:
    """Return what a file has as its digest that was recorded without checksum (REF-4)."""
    return of_bytes(uri.encode())


def has_checked_content(entry: Entry) -> bool:
    """Tell whether the store, and not our own digest, says which content is meant."""
    return entry.ref is not None and not is_content(entry.digest) and not is_unchecked(entry)


def identity(entry: Entry) -> Digest:
    """Return a digest of all that says which content a reference means."""
    return of_bytes(json.dumps([entry.ref, entry.digest, entry.extra.get(VERSION_ID)]).encode())


def extra(etag: str | None, version_id: str | None) -> dict[str, Any]:
    """Return what a cloud scheme records, both keys always there, the ETag unquoted (REF-20)."""
    return {ETAG: None if etag is None else unquoted(etag), VERSION_ID: version_id or None}


def unquoted(etag: str) -> str:
    """Return an ETag without quotes and without the mark of a weak one."""
    return etag.removeprefix("W/").strip('"')
