"""Pictures and other media on their way to the store: on disk before `log` returns.

Small ones share a file, so that not each takes an inode; a large one has its own. A line in the
writer's `Spool` says where each is, so whoever takes over the lines of a dead writer stores its
media, too (RUN-32, see `adopting`).
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from lineal.client import term
from lineal.client.run.spool import Spool
from lineal.core.file_paths import entry_path
from lineal.files.reading import Piece, Source
from lineal.files.refusals import room_on
from lineal.files.writing import write_new

SHARING_MOST = 128 << 10
"""Bytes of one that shares a file."""


class Medium(NamedTuple):
    """One that is not stored yet."""

    path: str
    """In the run."""
    source: Source

    @property
    def file(self) -> str:
        return self.source if isinstance(self.source, str) else self.source.path


class MediaSpool:
    """The media of one writer; any thread may add."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._lock = threading.RLock()
        self._file_count = 0
        self._shared: _Shared | None = None
        """The file that takes small ones, until they are handed out."""
        self._waiting: list[Medium] = []
        self._handed_out = 0

    def add(self, path: str, data: bytes) -> None:
        """Keep a file of the run until it is stored; raises HostilePath, NoSpace, Unavailable."""
        path = entry_path(path)
        with self._lock:
            self._spool.begin()  # whoever sees its lock leaves the media alone, too
            medium = Medium(path, self._written(data))
            self._waiting.append(medium)
            self._spool.keep_medium(_line(medium))

    def waiting(self) -> list[Medium]:
        """Return what is not stored yet; call `stored` once it is."""
        with self._lock:
            self.disown()
            self._handed_out = len(self._waiting)
            there = _whole(self._waiting)
            for medium in set(self._waiting).difference(there):
                term.warn_once(f"{medium.path} is not stored with the run: {medium.file} is gone")
            return there

    def stored(self) -> None:
        """Forget what `waiting` returned last."""
        with self._lock:
            done = self._waiting[: self._handed_out]
            del self._waiting[: self._handed_out]
            self._handed_out = 0
            for file in {medium.file for medium in done}:
                with suppress(OSError):  # it goes with the folder
                    os.unlink(file)
            if done:
                self._spool.moved([], media_count=len(done))

    def disown(self) -> None:
        """Let go of the file that takes small ones: the next begins another."""
        if self._shared is not None:
            self._shared.close()
            self._shared = None

    def _written(self, data: bytes) -> Source:
        if self._shared is not None and len(data) <= SHARING_MOST:
            return self._shared.append(data)
        folder = self._spool.media_folder
        path = os.path.join(folder, str(self._file_count))
        self._file_count += 1
        with room_on(folder):
            os.makedirs(folder, mode=0o700, exist_ok=True)
            if len(data) > SHARING_MOST:
                write_new(path, data)
                return path
            self._shared = _Shared(path)
        return self._shared.append(data)


class _Shared:
    """A file of many small ones."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = open(path, "xb", buffering=0)  # noqa: SIM115 - open until `close`
        self._size = 0

    def append(self, data: bytes) -> Piece:
        piece = Piece(self._path, self._size, len(data))
        self._size += len(data)  # first: the handler of a signal may come in between
        with room_on(self._path):
            written = 0
            while written < len(data):
                at = piece.offset + written
                written += os.pwrite(self._file.fileno(), data[written:], at)
        return piece

    def close(self) -> None:
        self._file.close()


def left(folder: str, lines: Iterable[bytes]) -> list[Medium]:
    """Return the media that a dead writer left in its folder and had not stored."""
    media = []
    for line in lines:
        try:
            said = json.loads(line)
            file = os.path.join(folder, os.path.basename(said["file"]))
            source = Piece(file, said["offset"], said["size"]) if "offset" in said else file
            media.append(Medium(said["path"], source))
        except (ValueError, TypeError, KeyError):
            continue  # half a line that a failing disk left
    return _whole(media)


def _whole(media: Iterable[Medium]) -> list[Medium]:
    """Leave out those whose file is gone, or ends before they do."""
    sizes: dict[str, int] = {}
    found = []
    for medium in media:
        if medium.file not in sizes:
            sizes[medium.file] = _size(medium.file)
        source = medium.source
        end = source.offset + source.size if isinstance(source, Piece) else 0
        if end <= sizes[medium.file]:
            found.append(medium)
    return found


def _size(file: str) -> int:
    try:
        return os.path.getsize(file)
    except OSError:
        return -1


def _line(medium: Medium) -> bytes:
    fields: dict[str, object] = {"path": medium.path, "file": os.path.basename(medium.file)}
    if isinstance(medium.source, Piece):
        fields |= {"offset": medium.source.offset, "size": medium.source.size}
    return json.dumps(fields).encode()
