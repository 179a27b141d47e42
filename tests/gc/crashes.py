"""Dying at the N-th thing that outlives a process, without leaving the process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO

from sqlalchemy import event

from lineal.blobs.store import BlobStore, LocalPlace, StoredFile
from lineal.core.digest import Digest, Key
from lineal.db.engine import Database

WRITES = ("INSERT", "UPDATE", "DELETE")


class Crash(Exception):
    """Nothing that comes after it happens, as if the process were gone."""


class Crashes:
    """Counts steps; the armed one raises before it happens."""

    def __init__(self) -> None:
        self._left: int | None = None

    def arm(self, steps: int) -> None:
        self._left = steps

    def disarm(self) -> None:
        self._left = None

    def step(self) -> None:
        if self._left is None:
            return
        if self._left == 0:
            raise Crash
        self._left -= 1

    def watch(self, database: Database) -> None:
        @event.listens_for(database.engine, "before_cursor_execute")
        def statement(_c: Any, _cursor: Any, text: str, *_: object) -> None:
            if text.lstrip().startswith(WRITES):
                self.step()

        @event.listens_for(database.engine, "commit")
        def commit(_connection: Any) -> None:
            self.step()


class CrashingStore:
    """A store whose every change is a step; deleting many keys is many."""

    def __init__(self, store: BlobStore, crashes: Crashes) -> None:
        self._store = store
        self._crashes = crashes

    def put(self, key: Key, source: str, **options: object) -> None:
        self._crashes.step()
        self._store.put(key, source, **options)  # type: ignore[arg-type]  # whatever the store takes

    def put_bytes(self, key: Key, data: bytes) -> None:
        self._crashes.step()
        self._store.put_bytes(key, data)

    def put_pack(self, key: Key, pack: str) -> list[Digest]:
        self._crashes.step()
        return self._store.put_pack(key, pack)

    def sync(self, keys: Sequence[Key]) -> list[int | None]:
        return self._store.sync(keys)

    def open(self, key: Key) -> BinaryIO:
        return self._store.open(key)

    def size(self, key: Key) -> int | None:
        return self._store.size(key)

    def places(self, keys: Sequence[Key]) -> list[LocalPlace | None]:
        return self._store.places(keys)

    def delete(self, keys: Iterable[Key]) -> list[tuple[Key, OSError]]:
        failed = []
        for key in keys:
            self._crashes.step()
            failed += self._store.delete([key])
        return failed

    def walk(self) -> Iterator[StoredFile]:
        return self._store.walk()

    def packed(self, nonce: str) -> Iterator[StoredFile]:
        return self._store.packed(nonce)

    def delete_parts(self, names: Iterable[str]) -> list[tuple[str, OSError]]:
        self._crashes.step()
        return self._store.delete_parts(names)
