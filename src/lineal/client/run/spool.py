"""Lines on their way to the database: on disk before `log` returns, so that kill -9 loses none.

One append-only file per writer, held by a lock that the kernel drops when its process dies:
what can be locked is a dead writer's leftover, and whoever opens the instance next moves its
lines (RUN-32, see `adopting`). A file is a header line, then one line per logged line with a
letter in front, one per change of config or summary, and one per picture or other medium, which
waits in a folder beside it (see `media_spool`). Lines have offsets, so moving them twice
changes nothing.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import NamedTuple

from lineal.client import term
from lineal.core.records import Lines, Stream
from lineal.errors import Unavailable
from lineal.interrupts import deferred, held

SUFFIX = ".spool"
FORMAT = 1
REWRITE_BYTES = 8 * 1024 * 1024
"""A file longer than that is written anew once most of it is in the database."""

_LETTERS = {Stream.HISTORY: b"h", Stream.EVENTS: b"e", Stream.CONSOLE: b"c"}
_STREAMS = {letter: stream for stream, letter in _LETTERS.items()}
_PARTIAL = b"p"
"""The row of the present step so far; the next history line replaces it."""
_CHANGE = b"v"
"""Values of the config and the summary that the program set itself."""
_MEDIUM = b"m"
"""Where a file of the run waits to be stored."""


@dataclass(frozen=True)
class Writer:
    """Whose lines these are; the header of the file."""

    entity: str
    project: str
    run_id: str
    run_key: int
    writer: str
    """Unique for ever: offsets count per run, stream and writer (RUN-16)."""


def media_folder(path: str) -> str:
    """Return the folder for media of the writer whose file is at a path."""
    return path.removesuffix(SUFFIX) + ".media"


def remove(path: str) -> None:
    """Delete a writer's file, and its media first: nobody would know whose they are."""
    folder = media_folder(path)
    if os.path.isdir(folder):
        shutil.rmtree(folder, ignore_errors=True)
    os.unlink(path)


def prefix(run_key: int) -> str:
    """Return how the names of the files of all writers of a run begin."""
    return f"{run_key}-"


class Spool:
    """The lines of one writer. The file is made by `begin` or the first line.

    Any thread may append.
    """

    def __init__(
        self, folder: str, writer: Writer, opened: Callable[[], None] | None = None
    ) -> None:
        """opened: called when the first line arrives."""
        self._opened = opened
        self._path = os.path.join(folder, f"{prefix(writer.run_key)}{writer.writer}{SUFFIX}")
        self._writer = writer
        self._lock = threading.RLock()  # a handler of a signal may log while we do
        self._descriptor: int | None = None
        self._size = 0
        self._is_broken = False
        self._moved = dict.fromkeys(Stream, 0)
        self._pending: dict[Stream, list[bytes]] = {stream: [] for stream in Stream}
        self._partial: bytes | None = None
        self._changes: list[bytes] = []
        self._media: list[bytes] = []

    @property
    def writer(self) -> str:
        return self._writer.writer

    @property
    def media_folder(self) -> str:
        return media_folder(self._path)

    def begin(self) -> None:
        """Make the file now: its lock tells others that the writer lives."""
        with self._lock:
            self._put(b"")

    def append(self, stream: Stream, line: bytes) -> None:
        """Keep one line (without its line break) until the database has it."""
        with self._lock:
            self._pending[stream].append(line)
            if stream is Stream.HISTORY:
                self._partial = None
            self._put(_LETTERS[stream] + line + b"\n")

    def hold(self, row: bytes) -> None:
        """Keep a row that may still grow; it counts as logged only if the process dies now."""
        with self._lock:
            self._partial = row
            self._put(_PARTIAL + row + b"\n")

    def change(self, values: bytes) -> None:
        """Keep a change of config or summary, a JSON object, until the database has it."""
        with self._lock:
            self._changes.append(values)
            self._put(_CHANGE + values + b"\n")

    def keep_medium(self, line: bytes) -> None:
        """Keep where a file of the run waits, a JSON object, until it is stored."""
        with self._lock:
            self._media.append(line)
            self._put(_MEDIUM + line + b"\n")

    def change_count(self) -> int:
        """Return how many changes the database lacks; give it to `moved` once it has them."""
        return len(self._changes)

    def pending_count(self) -> int:
        return sum(map(len, self._pending.values()))

    def pending(self) -> list[Lines]:
        """Return what the database lacks; hand the same to `moved` once it has it."""
        with self._lock:
            return [
                Lines(stream, self.writer, self._moved[stream], tuple(lines))
                for stream, lines in self._pending.items()
                if lines
            ]

    def moved(self, batches: list[Lines], change_count: int = 0, *, media_count: int = 0) -> None:
        """Forget lines, the oldest changes and the oldest media, that are stored now."""
        with held(self._lock):  # else Ctrl-C may leave lines forgotten that still count as to come
            del self._changes[:change_count]
            del self._media[:media_count]
            for batch in batches:
                del self._pending[batch.stream][: len(batch.lines)]
                self._moved[batch.stream] += len(batch.lines)
            if self._descriptor is None:
                return
            left = (self._partial, self._changes, self._media, *self._pending.values())
            is_empty = not any(left)
            if is_empty or self._is_broken or self._size > REWRITE_BYTES:
                self._rewrite(in_place=is_empty)

    def remove(self) -> None:
        """Delete the file: everything is in the database."""
        with held(self._lock):  # else Ctrl-C may leave a descriptor that is closed
            if self._descriptor is not None:
                with suppress(OSError):  # a file that stays tells nobody anything new
                    remove(self._path)
                os.close(self._descriptor)
                self._descriptor = None

    def disown(self) -> None:
        """Let go of the file, and leave it to others: in a forked child it is the parent's."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _put(self, data: bytes) -> None:
        """Write to the file; on failure go on in memory, since logging must not stop training."""
        if self._is_broken:
            return
        try:
            if self._descriptor is None:
                with deferred():  # else Ctrl-C may leave a file that nobody else can take over
                    self._descriptor, self._size = self._created()
                if self._opened is not None:
                    self._opened()
            written = os.write(self._descriptor, data)
            if written != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._size += written
        except OSError as error:
            if error.errno is None:
                raise  # a `TimeoutError`, as handlers of signals raise it
            self._is_broken = True  # a gap in the file would shift the offsets behind it
            term.warn_once(
                f"Cannot write to {self._path}: {error.strerror}; logged lines are kept in "
                "memory until they can be stored",
                key="spool",
            )

    def _created(self, content: bytes = b"") -> tuple[int, int]:
        """Make the file, locked and whole before anyone can see it under its name."""
        fresh = self._path + ".new"
        descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            whole = self._header() + content
            if os.write(descriptor, whole) != len(whole):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.rename(fresh, self._path)
        except OSError:
            os.close(descriptor)
            with suppress(FileNotFoundError):
                os.unlink(fresh)
            raise
        return descriptor, len(whole)

    def _header(self) -> bytes:
        offsets = {stream.value: offset for stream, offset in self._moved.items()}
        fields = {"spool": FORMAT, **asdict(self._writer), "offsets": offsets}
        return json.dumps(fields).encode() + b"\n"

    def _rewrite(self, *, in_place: bool) -> None:
        """Drop from the file what the database has."""
        assert self._descriptor is not None
        try:
            if in_place:  # killed in between, an empty or half header says: nothing was left
                os.ftruncate(self._descriptor, 0)
                self._size, self._is_broken = 0, False
                self._put(self._header())
                return
            old = self._descriptor
            self._descriptor, self._size = self._created(self._left())
        except OSError:
            return  # the old one stays, with all that it has
        self._is_broken = False
        with suppress(OSError):  # of a network file system; it has another name by now
            os.close(old)

    def _left(self) -> bytes:
        """Return what the file holds of all that the database lacks."""
        left = [(_LETTERS[stream], line) for stream in Stream for line in self._pending[stream]]
        if self._partial is not None:
            left.append((_PARTIAL, self._partial))
        left += [(_CHANGE, values) for values in self._changes]
        left += [(_MEDIUM, line) for line in self._media]
        return b"".join(letter + line + b"\n" for letter, line in left)


# --- reading ------------------------------------------------------------------------------------


class Entry(NamedTuple):
    """A history line, or a change of config or summary."""

    line: bytes
    is_change: bool


class Header(NamedTuple):
    """The first line of a file."""

    writer: Writer
    offsets: Mapping[str, int]
    """By the name of a stream."""


class Left(NamedTuple):
    """What a file holds: the lines that its writer had not moved when it died."""

    writer: Writer
    batches: list[Lines]
    entries: list[Entry]
    """What makes config and summary, in the order of writing; the rows among `batches`, too."""
    media: list[bytes]


def read_header(line: bytes) -> Header | None:
    """Read a first line; None if it is damaged, or half of one, whose writer died while making it.

    Raises Unavailable if a later Lineal wrote it.
    """
    try:
        header = json.loads(line)
        if header["spool"] > FORMAT:
            raise Unavailable("they were written by a newer Lineal; upgrade it")
        writer = Writer(**{field.name: header[field.name] for field in fields(Writer)})
        return Header(writer, {stream.value: header["offsets"][stream.value] for stream in Stream})
    except (ValueError, TypeError, KeyError):
        return None


def read(header: Header, content: bytes) -> Left:
    """Read what stands behind the first line.

    A half-written last line is dropped; a row that was still growing counts.
    """
    lines, entries, media = _sorted(content)
    batches = [
        Lines(stream, header.writer.writer, header.offsets[stream.value], tuple(lines[stream]))
        for stream in Stream
        if lines[stream]
    ]
    return Left(header.writer, batches, entries, media)


def _sorted(content: bytes) -> tuple[dict[Stream, list[bytes]], list[Entry], list[bytes]]:
    lines: dict[Stream, list[bytes]] = {stream: [] for stream in Stream}
    entries: list[Entry] = []
    media: list[bytes] = []
    partial: bytes | None = None
    for whole in content.split(b"\n")[:-1]:
        letter, line = whole[:1], whole[1:]
        if letter == _PARTIAL:
            partial = line
        elif letter == _CHANGE:
            entries.append(Entry(line, is_change=True))
        elif letter == _MEDIUM:
            media.append(line)
        elif letter in _STREAMS:
            stream = _STREAMS[letter]
            lines[stream].append(line)
            if stream is Stream.HISTORY:
                entries.append(Entry(line, is_change=False))
                partial = None
    if partial is not None:
        lines[Stream.HISTORY].append(partial)
        entries.append(Entry(partial, is_change=False))
    return lines, entries, media
