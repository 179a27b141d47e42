"""The packs of a local store: which blobs lie in `packs/<nonce>/`, and where.

A draft stores all its blobs under one nonce, so the nonce of a key leads to the few packs that
can hold it, and nothing else needs to know of packs.
"""

from __future__ import annotations

import functools
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby

from lineal import packs
from lineal.core.digest import PREFIX, Digest, Key, storage_key
from lineal.errors import IntegrityError, LinealError, MissingFile, Unavailable
from lineal.files.refusals import access_to
from lineal.packs import Pack, Place

PACKS = "packs"
_SUFFIX = ".pack"
OPEN_MOST = 32
"""Packs kept open: each takes a descriptor and, with 20,000 blobs, 1 MB."""


class PackedBlobs:
    """The packs below a folder; safe for threads and any number of processes."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._pack = functools.lru_cache(OPEN_MOST)(Pack)
        self._known: dict[str, tuple[int, tuple[str, ...]]] = {}
        """Nonce → (when its folder changed last, the packs in it)."""
        self._recent: dict[str, tuple[str, ...]] = {}
        """Nonce → the two packs that were found to hold a blob last, the latest first."""

    def new_path(self, key: Key) -> str:
        """Return a path for a new pack under the key's nonce; by name they are in order of time."""
        name = f"{time.time_ns():016x}{secrets.token_hex(4)}"
        return f"{self._root}/{_nonce(key)}/{name}{_SUFFIX}"

    def held(self, path: str) -> list[Digest]:
        """Return what is in a pack just placed here; raises MissingFile, IntegrityError."""
        self._known.pop(_nonce_of(path), None)  # its folder may look unchanged by a coarse clock
        return [Digest(PREFIX + sha256.hex()) for sha256 in self._pack(path).places()]

    def find(self, keys: Iterable[Key]) -> Iterator[tuple[str, Place] | None]:
        """Yield for each key the path of the pack that holds it and where in it; None if none."""
        for nonce, group in groupby(keys, _nonce):
            paths, sha256s = self.paths(nonce), map(_sha256, group)
            if len(paths) == 1:
                yield from self._in_one(paths[0], list(sha256s))
            else:
                yield from self._in_several(nonce, paths, list(sha256s))

    def read(self, key: Key) -> bytes | None:
        """Return a blob whole, None if it is in no pack."""
        found = next(self.find([key]))
        if found is None:
            return None
        path, place = found
        return self._pack(path).read_at(place.offset, place.length)

    def delete(self, keys: Iterable[Key]) -> list[tuple[Key, OSError]]:
        """Delete blobs from the packs that hold them; returns those that stay, and why."""
        failed: list[tuple[Key, OSError]] = []
        wanted = list(keys)
        while wanted:
            by_pack: dict[str, list[Key]] = {}
            for key, found in zip(wanted, self.find(wanted), strict=True):
                if found is not None:
                    by_pack.setdefault(found[0], []).append(key)
            wanted = []
            for path, mine in by_pack.items():
                try:
                    if packs.delete(path, map(_sha256, mine)) == 0:
                        self.remove(path)
                except MissingFile:
                    wanted += mine  # another process emptied it; as below
                except (OSError, LinealError) as error:
                    reason = error if isinstance(error, OSError) else OSError(str(error))
                    failed += [(key, reason) for key in mine]
                else:
                    wanted += mine  # another pack of the same draft may hold them, too
            self._pack.cache_clear()  # what was read before this moment may be marked now
        return failed

    def remove(self, path: str) -> None:
        """Remove a pack in which nothing is left, or that is none."""
        try:
            os.unlink(path)
            os.rmdir(os.path.dirname(path))
        except OSError:
            return  # gone already, or the folder holds another pack; what stays is a stray

    def nonce_of(self, path: str) -> str | None:
        """Return the nonce under which a path keeps blobs, None if it is not that of a pack."""
        is_pack = path.endswith(_SUFFIX) and os.path.dirname(os.path.dirname(path)) == self._root
        return _nonce_of(path) if is_pack else None

    def inside(self, path: str) -> Sequence[tuple[Key, int]] | None:
        """Return (key, size) of the blobs in a pack, None if it cannot be read as one.

        Raises MissingFile.
        """
        nonce = _nonce_of(path)
        try:
            places = self._pack(path).places()
            return [(_key(sha256, nonce), place.length) for sha256, place in places.items()]
        except (IntegrityError, Unavailable, ValueError):
            return None  # not ours, or damaged: `verify` names the blobs that miss it

    # --- which packs there are ---

    def _in_several(
        self, nonce: str, paths: Sequence[str], sha256s: Sequence[bytes]
    ) -> Iterator[tuple[str, Place] | None]:
        """Look first where something was found last, then in the packs that came after that.

        Neighbours lie in one pack or in two, and whoever comes to the end of one goes on in the
        next: with hundreds of packs, to open them all each time would take most of a download.
        """
        recent = self._recent.get(nonce, ())
        likely = [path for path in recent if path in paths]
        next_number = paths.index(likely[0]) + 1 if likely else 0
        others = chain(paths[next_number:], paths[:next_number])
        found: dict[bytes, tuple[str, Place]] = {}
        missing = sha256s
        for path in chain(likely, (path for path in others if path not in likely)):
            for sha256, place in zip(missing, self._in_one(path, missing), strict=True):
                if place is not None:
                    found[sha256] = place
                    last = path
            missing = [sha256 for sha256 in missing if sha256 not in found]
            if not missing:
                break
        if found and recent[:1] != (last,):
            self._recent[nonce] = last, *recent[:1]
        return (found.get(sha256) for sha256 in sha256s)

    def _in_one(self, path: str, sha256s: Sequence[bytes]) -> Iterator[tuple[str, Place] | None]:
        try:
            places = self._pack(path).find_all(sha256s)
        except (MissingFile, IntegrityError):
            places = [None] * len(sha256s)  # as above
        return ((path, place) if place is not None else None for place in places)

    def paths(self, nonce: str) -> Sequence[str]:
        """Return the packs that keep blobs under a nonce."""
        folder = f"{self._root}/{nonce}"
        try:
            with access_to(folder):
                changed_at = os.stat(folder).st_mtime_ns
                known = self._known.get(nonce)
                if known is None or known[0] != changed_at:
                    names = sorted(os.listdir(folder))
                    found = tuple(f"{folder}/{name}" for name in names if name.endswith(_SUFFIX))
                    known = self._known[nonce] = changed_at, found
        except MissingFile:
            return ()
        return known[1]


def _nonce_of(path: str) -> str:
    return os.path.basename(os.path.dirname(path))


def _nonce(key: Key) -> str:
    return key[78:]  # after `sha256/ab/cd/<64 digits>/`


def _sha256(key: Key) -> bytes:
    return bytes.fromhex(key[13:77])


def _key(sha256: bytes, nonce: str) -> Key:
    return storage_key(Digest(PREFIX + sha256.hex()), nonce)
