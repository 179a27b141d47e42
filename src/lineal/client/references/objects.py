"""What the object stores of the clouds have in common (REF-9…REF-11).

Objects lie under keys in buckets, have an ETag, and their store may keep older versions of them. A
store says how to ask; what is concluded from the answers is said once, here.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from lineal.client.artifact.patterns import Chosen
from lineal.client.references.arriving import repeated
from lineal.client.references.scheme import (
    ETAG,
    VERSION_ID,
    Found,
    Freshness,
    Listing,
    Ranges,
    State,
    extra,
    is_unchecked,
    no_object,
    unquoted,
)
from lineal.client.references.telling import reason
from lineal.core.digest import Digest
from lineal.core.manifest import Entry
from lineal.errors import (
    Denied,
    IntegrityError,
    Invalid,
    MissingFile,
    ReferenceChanged,
    Unavailable,
)
from lineal.files.reading import CHUNK_BYTES, Advance
from lineal.files.writing import write_stream

CONNECTIONS = 64
"""Kept open to one store; `ref check` asks on as many threads."""


class Place(NamedTuple):
    """Where an object is, or all objects whose keys begin with `key`."""

    bucket: str
    """As the store's URIs spell it, up to the key; of Azure the URL of a container."""
    key: str
    version: str | None = None
    """As the URI pins it, or as it was recorded."""

    @property
    def name(self) -> str:
        """What this is called in an artifact as one object."""
        return self.key.rstrip("/").rpartition("/")[2] or self.bucket.rpartition("/")[2]


class Head(NamedTuple):
    """What a store says of one version of an object."""

    etag: str
    """Unquoted."""
    size: int
    """Bytes."""
    version: str | None
    modified: datetime | None = None


class Stream(Protocol):
    def read(self, count: int, /) -> bytes: ...

    def close(self) -> None: ...


class Checksum(Protocol):
    """Runs along with the bytes of one object."""

    def update(self, data: bytes, /) -> None: ...

    def is_right(self) -> bool:
        """Compare with what the store said."""


class Body(NamedTuple):
    """An object's bytes on their way."""

    stream: Stream
    size: int
    """Bytes, as the answer that carries them says."""
    checksum: Checksum | None
    """None where the store told none that can be computed."""


class Md5:
    """The checksum that a store tells of an object, as its digest's bytes."""

    def __init__(self, expected: bytes) -> None:
        self._expected = expected
        self._running = hashlib.md5(usedforsecurity=False)

    def update(self, data: bytes, /) -> None:
        self._running.update(data)

    def is_right(self) -> bool:
        return self._running.digest() == self._expected


class ObjectStore(ABC):
    """A scheme over one kind of object store; `scheme.Scheme` says what each method promises."""

    # --- what each store does in its own way ---

    @staticmethod
    @abstractmethod
    def parse(uri: str) -> Place: ...

    @abstractmethod
    def uri(self, place: Place) -> str:
        """Return the URI without version (REF-21), from which `parse` makes the same key.

        With version where the key itself ends like one: it would be taken for that.
        """

    @abstractmethod
    def head(self, place: Place) -> Head | None:
        """Ask for one version, the current one if the place has none; None if it is not there."""

    @abstractmethod
    def below(self, place: Place) -> Iterator[tuple[str, Head]]:
        """Yield (key, head) of all current objects whose keys begin so, a page at a time.

        Without what consoles make to show an empty folder (REF-6).
        """

    @abstractmethod
    def versions(self, place: Place) -> Iterator[Head]:
        """Yield all versions of one object that are kept, the newest first if it may be."""

    @abstractmethod
    def body(self, entry: Entry, place: Place) -> Body:
        """Begin to read the recorded version, and nothing that takes its place meanwhile."""

    @abstractmethod
    def part(self, entry: Entry, place: Place, start: int, stop: int) -> bytes:
        """Read bytes of the recorded version, stop not included and within its size."""

    def is_recorded(self, entry: Entry, head: Head) -> bool:
        """Say whether this is the content that was recorded."""
        recorded = entry.extra.get(ETAG) or entry.digest
        return head.etag == unquoted(recorded) and _recorded_size(entry, head.size) == head.size

    # --- recording ---

    def listing(self, uri: str, *, checksum: bool, chosen: Chosen) -> Listing:
        place = self.parse(uri)
        if place.key and not place.key.endswith("/"):
            head = self.head(place)
            if head is not None and not self._is_placeholder(place, head):
                folder = place.key[: place.key.rfind("/") + 1]
                return Listing(False, iter([self._found(place, head, folder)]))
            if place.version:
                raise MissingFile(f"{uri} does not exist, or not in that version")
        if place.version:
            raise Invalid(f"{uri} pins a version of a folder; only objects have versions")
        folder = place.key if not place.key or place.key.endswith("/") else place.key + "/"
        below = _first_and_rest(self._below(place._replace(key=folder), folder))
        if below is None and folder != place.key:  # a prefix that is not a whole name
            start, slash, _ = place.key.rpartition("/")
            below = _first_and_rest(self._below(place, start + slash))
        if below is None:
            raise MissingFile(f"{uri} leads to no object, and no object's key begins like that")
        return Listing(True, below)

    def _is_placeholder(self, place: Place, head: Head) -> bool:
        """Say whether an object only shows that there is a folder of its name (REF-6)."""
        if head.size or place.version:
            return False
        try:
            return next(self.below(place._replace(key=place.key + "/")), None) is not None
        except Denied:  # who may read an object may not always list others
            return False

    def _below(self, place: Place, folder: str) -> Iterator[Found]:
        try:
            for key, head in _without_placeholders(self.below(place)):
                yield self._found(place._replace(key=key), head, folder)
        except MissingFile as error:  # a list that nothing is in is no error: the bucket is gone
            bucket = self.uri(Place(place.bucket, "", None)).rstrip("/")
            raise MissingFile(f"{bucket} does not exist") from error

    def _found(self, place: Place, head: Head, folder: str) -> Found:
        name = place.key.removeprefix(folder)
        version = head.version or place.version
        uri = self.uri(place._replace(version=version))
        return Found(name, uri, Digest(head.etag), head.size, extra(head.etag, version))

    # --- reading ---

    def fetch(self, entry: Entry, target: str, *, advance: Advance | None = None) -> str:
        place = self._recorded(entry)
        return repeated(lambda: self._written(entry, place, target, advance), target)

    def _written(self, entry: Entry, place: Place, target: str, advance: Advance | None) -> str:
        body = self.body(entry, place)
        counted = _Counted(body)
        try:
            hex_digest = write_stream(counted, target, CHUNK_BYTES, advance=advance)
        except (Denied, MissingFile, ReferenceChanged, Unavailable):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's, not the network's
            raise Unavailable(
                f"{self.uri(place)} stopped arriving after {counted.size} bytes: {reason(error)}"
            ) from error
        finally:
            body.stream.close()
        if counted.size != body.size:
            raise Unavailable(f"{self.uri(place)} ended after {counted.size} of {body.size} bytes")
        if body.size != _recorded_size(entry, body.size):
            raise IntegrityError(
                f"{self.uri(place)} has {body.size} bytes instead of the {entry.size} that were "
                "recorded"
            )
        if body.checksum is not None and not body.checksum.is_right():
            raise Unavailable(f"{self.uri(place)} arrived damaged: its checksum is another")
        return hex_digest

    def check(self, entry: Entry) -> Freshness:
        place = self._place(entry)
        try:
            if is_unchecked(entry):
                try:
                    self._require_object(place)
                except MissingFile as error:
                    return Freshness(State.UNCHECKED, error.message)
                if self.head(place) is None:
                    return Freshness(State.LOST, f"{self.uri(place)} does not exist any more")
                return Freshness(State.UNCHECKED, "recorded without checksum")
            current = self.head(place._replace(version=None))
            if current is not None and self.is_recorded(entry, current):
                return Freshness(State.FRESH)
            changed = self._what_happened(place, current)
            if self._kept(entry, place) is not None:
                return Freshness(State.RECOVERABLE, f"{changed}; the recorded version is kept")
            return Freshness(State.LOST, f"{changed}; the recorded version is not kept")
        except Denied as error:
            return Freshness(State.FORBIDDEN, error.message)

    def ranges(self, entry: Entry) -> Ranges:
        place = self._recorded(entry)
        head = self.head(place)
        if head is None:
            raise MissingFile(f"{self.uri(place)} does not exist any more")
        pinned = place._replace(version=head.version or place.version)
        return ObjectRanges(self, entry, pinned, head.size)

    # --- finding the recorded version ---

    def _place(self, entry: Entry) -> Place:
        assert entry.ref is not None
        place = self.parse(entry.ref)
        return place._replace(version=entry.extra.get(VERSION_ID) or place.version)

    def _recorded(self, entry: Entry) -> Place:
        """Return where the recorded version is now; raises MissingFile, ReferenceChanged."""
        place = self._place(entry)
        if is_unchecked(entry):
            self._require_object(place)
            return place
        found = self.head(place)
        if found is not None and self.is_recorded(entry, found):
            return place
        current = found if place.version is None else self.head(place._replace(version=None))
        if current is not None and self.is_recorded(entry, current):  # the same was written again
            return place._replace(version=current.version)
        kept = self._kept(entry, place)
        if kept is not None:
            return kept
        text = (
            f"Reference {entry.path} leads to {self._what_happened(place, current)}, and the "
            f"version that was recorded (ETag {entry.digest}) is not kept. Put it back, or log "
            "what is there now as a new version"
        )
        raise (MissingFile if current is None else ReferenceChanged)(text)

    def _require_object(self, place: Place) -> None:
        """Refuse to fetch a folder or prefix as if it was one object (REF-4)."""
        is_folder = not place.key or place.key.endswith("/")
        found = self.head(place) if place.key else None
        if found is not None and (
            found.size or not (is_folder or self._is_placeholder(place, found))
        ):
            return
        if found is None and not is_folder:
            try:
                if next(self.below(place._replace(key=place.key + "/")), None) is None:
                    return  # nothing is there: whoever fetches it says so
            except Denied:  # who may read an object may not always list others
                return
        raise no_object(self.uri(place))

    def _kept(self, entry: Entry, place: Place) -> Place | None:
        """Search the versions that the store kept for the recorded one."""
        if place.version is not None:
            found = self.head(place)
            return place if found is not None and self.is_recorded(entry, found) else None
        try:
            for head in self.versions(place):
                if self.is_recorded(entry, head):
                    return place._replace(version=head.version)
        except (Denied, MissingFile):
            pass  # who may read an object may not always list its versions
        return None

    def _what_happened(self, place: Place, current: Head | None) -> str:
        if current is None:
            return f"{self.uri(place)}, which was deleted"
        when = ""
        if current.modified is not None:
            when = f" on {current.modified.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        return (
            f"{self.uri(place)}, which was overwritten{when} "
            f"(ETag {current.etag}, {current.size} bytes)"
        )


class ObjectRanges:
    """Parts of one version of an object."""

    def __init__(self, store: ObjectStore, entry: Entry, place: Place, size: int) -> None:
        self._store, self._entry, self._place, self._size = store, entry, place, size

    @property
    def size(self) -> int:
        return self._size

    def read(self, start: int, stop: int) -> bytes:
        stop = min(stop, self._size)
        if start >= stop:
            return b""
        data = self._store.part(self._entry, self._place, start, stop)
        if len(data) != stop - start:
            uri = self._store.uri(self._place)
            raise Unavailable(f"{uri} gave {len(data)} bytes of {stop - start}")
        return data

    def close(self) -> None:
        return


class _Counted:
    """The stream of a body, counted and summed as it is read."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self.size = 0

    def read(self, count: int) -> bytes:
        data = self._body.stream.read(count)
        self.size += len(data)
        if self._body.checksum is not None:
            self._body.checksum.update(data)
        return data


def _without_placeholders(found: Iterator[tuple[str, Head]]) -> Iterator[tuple[str, Head]]:
    """Leave out empty objects whose names are those of folders, too.

    What is below `a/` follows `a`, but after what is called `a-b`: keys come in order.
    """
    empty: list[tuple[str, Head]] = []
    for key, head in found:
        while empty and key >= f"{empty[-1][0]}/":
            held = empty.pop()
            if not key.startswith(f"{held[0]}/"):
                yield held
        if head.size:
            yield key, head
        else:
            empty.append((key, head))
    yield from empty


def _recorded_size(entry: Entry, size: int) -> int:
    """Return the size that was recorded, or the one given where none was."""
    return size if entry.digest == entry.ref else entry.size


def _first_and_rest(found: Iterator[Found]) -> Iterator[Found] | None:
    """Return the same items if there are any."""
    first = next(found, None)
    if first is None:
        return None

    def items() -> Iterator[Found]:
        yield first
        yield from found

    return items()
