"""The packs of a local store: which blobs lie in `packs/<nonce>/`, and where.

A draft stores all its blobs under one nonce, so the nonce of a key leads to the few packs that
can hold it, and nothing else needs to know of packs.
"""

from __future__ import annotations

import functools
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence

from lineal import packs
from lineal.blobs.store import LocalPlace
from lineal.core.digest import PREFIX, Digest, Key, storage_key
from lineal.errors import IntegrityError, LinealError, MissingFile
from lineal.packs import Pack, Place

PACKS = "packs"
_SUFFIX = ".pack"
OPEN_MOST = 8
"""Packs kept open: each takes a descriptor and, with 20,000 blobs, some 6 MB."""


class PackedBlobs:
    """The packs below a folder; safe for threads and any number of processes."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._pack = functools.lru_cache(OPEN_MOST)(Pack)
        self._known: dict[str, tuple[int, tuple[str, ...]]] = {}
        """Nonce → (when its folder changed last, the packs in it)."""

    def new_path(self, key: Key) -> str:
        """Return a path for a new pack under the key's nonce."""
        return f"{self._root}/{_nonce(key)}/{secrets.token_hex(4)}{_SUFFIX}"

    def sizes(self, keys: Iterable[Key]) -> list[int | None]:
        """Return the size of each blob, None where it is in no pack."""
        return [None if place is None else place.length for _, _, place in self._located(keys)]

    def places(self, keys: Iterable[Key]) -> list[LocalPlace | None]:
        """Return where each blob is, None where it is in no pack."""
        return [
            None if pack is None or place is None else LocalPlace(pack.path, place.offset)
            for _, pack, place in self._located(keys)
        ]

    def files_of(self, keys: Iterable[Key]) -> tuple[set[str], list[Key]]:
        """Return the packs that hold blobs, and the keys that are in none."""
        paths: set[str] = set()
        loose: list[Key] = []
        for key, pack, _ in self._located(keys):
            if pack is None:
                loose.append(key)
            else:
                paths.add(pack.path)
        return paths, loose

    def read(self, key: Key) -> bytes | None:
        """Return a blob whole, None if it is in no pack."""
        for _, pack, _ in self._located([key]):
            if pack is not None:
                return pack.read(_sha256(key))
        return None

    def delete(self, keys: Iterable[Key]) -> list[tuple[Key, OSError]]:
        """Delete blobs from the packs that hold them; returns those that stay, and why."""
        by_pack: dict[str, list[Key]] = {}
        failed: list[tuple[Key, OSError]] = []
        for key, pack, _ in self._located(keys):
            if pack is not None:
                by_pack.setdefault(pack.path, []).append(key)
        for path, mine in by_pack.items():
            try:
                if packs.delete(path, map(_sha256, mine)) == 0:
                    self._remove(path)
            except MissingFile:
                continue  # another process emptied it this moment
            except (OSError, LinealError) as error:
                reason = error if isinstance(error, OSError) else OSError(str(error))
                failed += [(key, reason) for key in mine]
        self._pack.cache_clear()  # what was read before this moment may be marked now
        return failed

    def inside(self, path: str) -> Iterator[tuple[Key, int]] | None:
        """Return (key, size) of the blobs in a pack, None if the path is not that of one."""
        folder, name = os.path.split(path)
        parent, nonce = os.path.split(folder)
        if parent != self._root or not name.endswith(_SUFFIX):
            return None
        try:
            places = self._pack(path).places()
            return iter([(_key(sha256, nonce), place.length) for sha256, place in places.items()])
        except MissingFile:
            return iter(())
        except (IntegrityError, ValueError):
            return None  # not ours, or damaged: `verify` names the blobs that miss it

    # --- which packs there are ---

    def _located(self, keys: Iterable[Key]) -> Iterator[tuple[Key, Pack | None, Place | None]]:
        nonce: str | None = None
        found: list[tuple[Pack, Mapping[bytes, Place]]] = []
        for key in keys:
            if _nonce(key) != nonce:
                nonce = _nonce(key)
                found = list(self._packs(nonce))
            sha256 = _sha256(key) if found else b""
            for pack, places in found:
                if sha256 in places:
                    yield key, pack, places[sha256]
                    break
            else:
                yield key, None, None

    def _packs(self, nonce: str) -> Iterator[tuple[Pack, Mapping[bytes, Place]]]:
        for path in self._paths(nonce):
            try:
                pack = self._pack(path)
                yield pack, pack.places()
            except (MissingFile, IntegrityError):
                continue  # emptied this moment, or damaged: its blobs are missing

    def _paths(self, nonce: str) -> Sequence[str]:
        folder = f"{self._root}/{nonce}"
        try:
            changed_at = os.stat(folder).st_mtime_ns
        except FileNotFoundError:
            return ()
        known = self._known.get(nonce)
        if known is None or known[0] != changed_at:
            try:
                names = sorted(os.listdir(folder))
            except FileNotFoundError:
                return ()
            found = tuple(f"{folder}/{name}" for name in names if name.endswith(_SUFFIX))
            known = self._known[nonce] = changed_at, found
        return known[1]

    def _remove(self, path: str) -> None:
        try:
            os.unlink(path)
            os.rmdir(os.path.dirname(path))
        except OSError:
            return  # gone already, or the folder holds another pack


def _nonce(key: Key) -> str:
    return key[78:]  # after `sha256/ab/cd/<64 digits>/`


def _sha256(key: Key) -> bytes:
    return bytes.fromhex(key[13:77])


def _key(sha256: bytes, nonce: str) -> Key:
    return storage_key(Digest(PREFIX + sha256.hex()), nonce)
