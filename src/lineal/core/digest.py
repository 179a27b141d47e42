"""Digests and storage keys. A blob's identity is its SHA-256, the algorithm always in front."""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Sequence
from typing import NewType, overload

from lineal.errors import IntegrityError

Digest = NewType("Digest", str)
"""`sha256:` and 64 hex digits; for a reference, whatever identifies the foreign object."""

Key = NewType("Key", str)
"""Where a store keeps a blob: `sha256/ab/cd/<hex>/<nonce>`. Written once, never reused."""

PREFIX = "sha256:"
_SHA256_BYTES = 32
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_DIGESTS = re.compile(r"(?:sha256:[0-9a-f]{64}\n)*")
_DIGEST_LINE_CHARS = len(PREFIX) + 2 * _SHA256_BYTES + 1
_DIGEST_AND_NONCE = re.compile(r"sha256:[0-9a-f]{64}/[A-Za-z0-9]{1,64}")


def of_bytes(data: bytes | memoryview) -> Digest:
    return Digest(PREFIX + hashlib.sha256(data).hexdigest())


def of_hash(running: hashlib._Hash) -> Digest:
    return Digest(PREFIX + running.hexdigest())


def check_stored(found: Digest, promised: Digest, path: str) -> None:
    """Raise IntegrityError unless the stored bytes of a file have the digest it promises."""
    if found != promised:
        raise IntegrityError(
            f"The stored bytes of {path} do not have the digest {promised}; "
            "`lineal verify` says what else is affected"
        )


def is_content(digest: str) -> bool:
    """Tell a content digest from the free text that identifies a reference."""
    return _DIGEST.fullmatch(digest) is not None


def storage_key(digest: Digest, nonce: str) -> Key:
    """Return the key of a blob that a draft with this nonce stores.

    The digest makes a bucket recoverable without the database; the nonce makes deleting old
    bytes unable to hit new ones (docs/design/001-storage.md, invariant 2). Raises IntegrityError
    for anything else, as a damaged database may say.
    """
    if not _DIGEST_AND_NONCE.fullmatch(f"{digest}/{nonce}"):
        raise IntegrityError(f"{digest!r} and {nonce!r} are not a content digest and nonce")
    hex_digits = digest[len(PREFIX) :]
    return Key(f"sha256/{hex_digits[:2]}/{hex_digits[2:4]}/{hex_digits}/{nonce}")


def storage_keys(digests: Sequence[Digest], nonce: str) -> list[Key]:
    """Return the keys of blobs that one draft stores; raises as `storage_key`.

    They are looked at together, which takes a third of the time.
    """
    lines = "".join([f"{digest}\n" for digest in digests])
    if len(lines) != _DIGEST_LINE_CHARS * len(digests) or not _DIGESTS.fullmatch(lines):
        return [storage_key(digest, nonce) for digest in digests]  # one of them raises
    for first in digests[:1]:
        storage_key(first, nonce)  # raises if it is the nonce
    return [Key(f"sha256/{digest[7:9]}/{digest[9:11]}/{digest[7:]}/{nonce}") for digest in digests]


def of_key(key: Key) -> Digest:
    """Return the digest that a key promises; raises ValueError for a foreign key."""
    parts = key.split("/")
    digest = Digest(PREFIX + parts[3]) if len(parts) == 5 else Digest("")
    if not is_content(digest) or storage_key(digest, parts[4]) != key:
        raise ValueError(f"not a storage key: {key!r}")
    return digest


class Keys(Sequence[Key]):
    """Many keys in little memory: 40 bytes for each, where a text takes 180."""

    def __init__(self) -> None:
        self._sha256s = bytearray()
        self._numbers = array("q")
        """Of each key, the place of its nonce in the list."""
        self._nonces: list[str] = []
        self._number_of: dict[str, int] = {}

    def add(self, key: Key) -> None:
        _, _, _, hex_digits, nonce = key.split("/")
        if nonce not in self._number_of:
            self._number_of[nonce] = len(self._nonces)
            self._nonces.append(nonce)
        self._sha256s += bytes.fromhex(hex_digits)
        self._numbers.append(self._number_of[nonce])

    def digest(self, index: int) -> Digest:
        """Return the digest that the key at a place promises."""
        start = _SHA256_BYTES * index
        return Digest(PREFIX + self._sha256s[start : start + _SHA256_BYTES].hex())

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Key: ...

    @overload
    def __getitem__(self, index: slice) -> list[Key]: ...

    def __getitem__(self, index: int | slice) -> Key | list[Key]:
        chosen = range(len(self))[index]
        if isinstance(chosen, range):
            return [self[place] for place in chosen]
        return storage_key(self.digest(chosen), self._nonces[self._numbers[chosen]])
