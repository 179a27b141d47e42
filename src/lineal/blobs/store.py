"""The seam to whatever keeps bytes: a folder, and later S3, GCS, Azure.

Contract, checked for every store by tests/blobs/: a key is written once and never reused; what
`put` returned from is readable under its key, whole and with the promised digest, and after
`sync` also after a power cut; a `put` that raised leaves at most a file that no reader can
mistake for a whole one; `delete` of a missing key is not an error. Nobody retries inside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, NamedTuple, Protocol

from lineal.core.digest import Digest, Key
from lineal.core.transfers import Handover
from lineal.files.reading import Advance


class StoredFile(NamedTuple):
    """Something in a store: a blob, a half-written one, or what somebody else put there."""

    name: str
    """As the store calls it."""
    size: int
    modified_at: float
    """Seconds since 1970; of a blob that was linked, not later than it was stored."""
    key: Key | None
    """None if it is no blob."""
    is_part: bool
    """Half-written, or still being written; or a pack in which nothing is left."""
    nonce: str | None = None
    """Of a part that may hold blobs of this nonce, but cannot be read: a pack cut short."""


class LocalPlace(NamedTuple):
    """A file of this machine that holds a blob."""

    path: str
    pack_offset: int | None = None
    """Where in the file the blob begins, if it is a pack; None: the file is the blob."""
    pack_length: int | None = None
    """Of how many bytes the pack says that the blob is."""


class BlobStore(Protocol):
    def put(
        self,
        key: Key,
        source: str,
        *,
        size: int,
        handover: Handover = Handover.COPY,
        advance: Advance | None = None,
    ) -> None:
        """Store a local file under a new key.

        A copy is hashed in the same read. Raises SourceChanged if the bytes do not have the key's
        digest, NoSpace if they do not fit. An existing key is left alone.
        """

    def put_bytes(self, key: Key, data: bytes) -> None:
        """Store bytes of this process under a new key; raises as `put`."""

    def put_pack(self, key: Key, pack: str) -> list[Digest]:
        """Take over a pack that we wrote (`lineal.packs`) and that holds the blob of a new key.

        Every blob in it, which is what it returns, is then stored under the key's nonce; those
        that no row ever names are strays. A pack that was taken over before is not asked for again.
        Raises MissingFile if there is no such pack, IntegrityError if it is damaged.
        """

    def sync(self, keys: Sequence[Key]) -> list[int | None]:
        """Return the size of each once those that are there would survive a power cut.

        None where nothing is stored.
        """

    def open(self, key: Key) -> BinaryIO:
        """Open for reading; raises MissingFile, Unavailable if it cannot be read now."""

    def size(self, key: Key) -> int | None:
        """Return the bytes stored under a key, None if there is nothing; raises Unavailable."""

    def places(self, keys: Sequence[Key]) -> list[LocalPlace | None]:
        """Say where this machine can read each (never write); None where it must use `open`."""

    def delete(self, keys: Iterable[Key]) -> list[tuple[Key, OSError]]:
        """Delete what is stored under keys; returns those that are still there, and why."""

    def walk(self) -> Iterator[StoredFile]:
        """Walk all that is there, blob or not, in any order; for garbage collection.

        Raises Unavailable if something cannot be read now.
        """

    def packed(self, nonce: str) -> Iterator[StoredFile]:
        """Walk the blobs that packs brought under a nonce; as `walk` otherwise."""

    def delete_parts(self, names: Iterable[str]) -> list[tuple[str, OSError]]:
        """Delete half-written files by the names that `walk` told."""
