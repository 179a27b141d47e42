"""Putting bytes into a store, and looking at what it holds, for tests."""

from __future__ import annotations

from lineal.blobs.store import BlobStore
from lineal.core.digest import Key, of_bytes, storage_key
from lineal.core.transfers import Handover

MANY = [bytes([n]) * n for n in range(40)]


def key_of(data: bytes, nonce: str = "n1") -> Key:
    return storage_key(of_bytes(data), nonce)


def put(
    store: BlobStore, path: str, data: bytes, nonce: str = "n1", handover: Handover = Handover.COPY
) -> Key:
    key = key_of(data, nonce)
    store.put(key, path, size=len(data), handover=handover)
    return key


def content(store: BlobStore, key: Key) -> bytes:
    with store.open(key) as file:
        return file.read()


def not_blobs(store: BlobStore) -> list[tuple[str, int, bool]]:
    return sorted((file.name, file.size, file.is_part) for file in store.walk() if file.key is None)
