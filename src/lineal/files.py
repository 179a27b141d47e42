"""Reading and writing local files: hash and copy in one read, notice changes, reach the disk.

Below every room that touches files, because the SDK (private copies) and the local store (blobs)
must do this alike. What it costs and why: docs/design/001-storage.md.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import cycle
from typing import NamedTuple, Protocol

from lineal import libc
from lineal.errors import LinealError, MissingFile, NoSpace, SourceChanged, Unavailable

SMALL_BYTES = 1 << 20
"""Files up to here are read whole: one read, one hash, one write."""
CHUNK_BYTES = 256 << 10
"""Read, hashed and written at a time: small enough to stay in the processor's cache meanwhile
(2 GiB: 2.0 s of CPU; with 4 MiB 2.9 s)."""
CHUNKS_AHEAD = 8
"""Chunks that may wait for the hash."""
FLUSH_BYTES = 32 << 20
"""A large copy begins to reach the disk each time so much was written, so that the final flush
finds little to do."""
SYNC_EACH_MOST = 32
"""Up to here each file is flushed by itself; beyond, one `syncfs` is cheaper (10,000 × 10 KiB:
0.1 s against 2 s), but it also flushes what other programs wrote."""

_FICLONE = 0x40049409
"""linux/fs.h: let the target share the source's extents (XFS, Btrfs, overlay of them)."""
_NO_CLONE = {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.EPERM, errno.ENOSYS}
_OPEN_FILES = "/proc/self/fd"
_HAS_NAMELESS = hasattr(os, "O_TMPFILE") and os.path.isdir(_OPEN_FILES)
_NO_NAMELESS = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EXDEV}
"""Said by file systems and sandboxes without them."""
_NO_MODES = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ESTALE,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENAMETOOLONG,
    errno.ELOOP,
}
"""What is wrong is the file or its disk, and no caller can go another way."""
_FAILING = {errno.EIO, errno.ESTALE}
"""The disk is broken, or the server that has it went away."""


class Stamp(NamedTuple):
    """What tells cheaply that a file is still the one that was hashed."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


class Hashed(NamedTuple):
    """A file as it was read: digest without prefix, and the stamp it had before and after."""

    hex_digest: str
    size: int
    stamp: Stamp


def hash_file(path: str) -> Hashed:
    """Hash a file; raises SourceChanged if it changed meanwhile, MissingFile if it is gone."""
    with _Opened(path) as descriptor:
        before = stamp_of_open(path, descriptor)
        if before.size <= SMALL_BYTES:
            running = hashlib.sha256(_read_whole(path, descriptor, before))
        else:
            with open(descriptor, "rb", buffering=0, closefd=False) as file:
                running = hashlib.sha256()
                buffer = memoryview(bytearray(CHUNK_BYTES))
                try:
                    while count := file.readinto(buffer):
                        running.update(buffer[:count])
                except OSError as error:
                    raise missing(path, error) from error
        _require_unchanged(path, descriptor, before)
    return Hashed(running.hexdigest(), before.size, before)


def read_small(path: str, most: int) -> tuple[bytes, Hashed, bytes] | None:
    """Return (content, what `hash_file` says, SHA-256) of a file of at most so many bytes.

    None if it is larger; errors as of `hash_file`.
    """
    with _Opened(path) as descriptor:
        before = stamp_of_open(path, descriptor)
        if before.size > most:
            return None
        data = _read_whole(path, descriptor, before)
        _require_unchanged(path, descriptor, before)
    hashed = hashlib.sha256(data)
    return data, Hashed(hashed.hexdigest(), before.size, before), hashed.digest()


def copy_and_hash(source: str, target: str, *, mode: int = 0o444) -> Hashed:
    """Copy a file to a new path and hash what was written, in one read.

    The digest is that of the copy, whatever happens to the source. Raises SourceChanged if the
    source changed while being read (the copy would be a mixture), MissingFile if it is gone,
    NoSpace; on any error the target is removed.
    """
    with _Opened(source) as reading:
        before = stamp_of_open(source, reading)
        if before.size <= SMALL_BYTES:
            data = _read_whole(source, reading, before)
            _require_unchanged(source, reading, before)
            write_new(target, data, mode=mode)
            return Hashed(hashlib.sha256(data).hexdigest(), before.size, before)
        with _created(target, mode) as writing:
            if _clone(reading, writing):
                hex_digest = hash_file(target).hex_digest
            else:
                hex_digest = _copy_large(source, reading, writing)
            _require_unchanged(source, reading, before)
    return Hashed(hex_digest, before.size, before)


class Readable(Protocol):
    def read(self, count: int, /) -> bytes: ...


def write_stream(
    source: Readable, path: str, chunk_bytes: int = CHUNK_BYTES, *, mode: int = 0o666
) -> str:
    """Write what a stream yields to a new file; returns the hex digest of what was written."""
    running = hashlib.sha256()
    with _created(path, mode) as descriptor:
        while chunk := source.read(chunk_bytes):
            running.update(chunk)
            write_all(descriptor, chunk)
    return running.hexdigest()


def write_new(path: str, data: bytes, *, mode: int = 0o444) -> None:
    """Write a new file, read-only unless told otherwise; on any error it is removed."""
    with room_on(path):  # not `_created`: every small file comes here, and it costs a tenth of it
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            write_all(descriptor, data)
        except BaseException:
            os.unlink(path)
            raise
        finally:
            os.close(descriptor)


def make_folder(path: str) -> None:
    """Make a folder; the one it lies in, if that is missing too, for this user alone.

    For the folders of the home, which may have to be made for them (`home.Home.create`).
    """
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    os.makedirs(path, exist_ok=True)


def make_folders(path: str) -> None:
    """Make a folder and those that are missing above it, however many; it may be there already.

    `os.makedirs` calls itself for each. Raises FileExistsError or NotADirectoryError for what is
    in the way.
    """
    missing = [path]
    while (above := os.path.dirname(missing[-1])) and not os.path.exists(above):
        missing.append(above)
    for folder in reversed(missing):
        try:
            os.mkdir(folder)
        except FileExistsError:
            if not os.path.isdir(folder):
                raise


def walk(
    root: str, *, skipped: Callable[[Unavailable], None] | None = None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield (folder, names of folders in it, all other names) of each folder that is no link.

    A folder is a path relative to root that ends with `/`, `""` for root itself. Of any depth:
    `os.walk` calls itself for each folder below another until Python 3.12. What the caller takes
    from the names of folders is not entered; what others delete meanwhile is left out.
    skipped: told of a folder that cannot be read; without it that raises Unavailable.
    """
    pending = [""]
    while pending:
        below = pending.pop()
        folders: list[str] = []
        found: list[str] = []
        folder = os.path.join(root, below)
        try:
            with access_to(folder), os.scandir(folder) as entries:
                for entry in entries:
                    is_folder = entry.is_dir(follow_symlinks=False)
                    (folders if is_folder else found).append(entry.name)
        except MissingFile:
            continue
        except Unavailable as error:
            if skipped is None:
                raise
            skipped(error)
            continue
        yield below, folders, found
        pending += [f"{below}{name}/" for name in reversed(folders)]


def renew_folder(path: str) -> None:
    """Make a folder of the home again that somebody removed under a living process.

    Raises Unavailable if all of the home is gone: a new one would be in the way of the old.
    """
    if os.path.isdir(path):
        return
    try:
        os.mkdir(path)
    except FileExistsError:
        return  # another thread did
    except FileNotFoundError as error:
        raise Unavailable(
            f"{os.path.dirname(path)} was removed or moved away since this process began to work "
            "in it; put it back, and repeat the call"
        ) from error
    except OSError as error:
        raise refusal(path, error) or error from error


def set_mode(file: str | int, mode: int) -> None:
    """Set the mode of a file, by path or descriptor; where modes cannot be set it stays as it is.

    So it is on file systems without modes: vfat, SMB, some of FUSE.
    """
    try:
        os.chmod(file, mode)
    except OSError as error:
        if error.errno not in _NO_MODES:
            raise


def shared_mode(folder: str) -> int:
    """Return the mode with which all read and write a file who may write to its folder."""
    writers = os.stat(folder).st_mode & 0o022
    return 0o600 | writers | writers << 1


def write_whole(path: str, data: bytes, *, mode: int = 0o644) -> Stamp:
    """Make or replace a file as a whole, so that no reader ever sees half of it.

    It gets its name when it is written, so that a crash leaves nothing either. Where the file
    system has no nameless files, as NFS, a crash may leave one that ends in `.part`.
    """
    with room_on(path):
        written = _write_nameless(path, data, mode)
        if written is not None:
            return written
        part = _part_of(path)
        with _created(part, mode) as descriptor:
            write_all(descriptor, data)
        _replace(part, path)
        return stamp(path)


def stamp(path: str) -> Stamp:
    """Return a file's stamp; raises MissingFile."""
    try:
        return Stamp.of(os.stat(path))
    except OSError as error:
        raise missing(path, error) from error


def stamp_of_open(path: str, descriptor: int) -> Stamp:
    """Return the stamp of an open file; raises Unavailable."""
    try:
        return Stamp.of(os.fstat(descriptor))
    except OSError as error:
        raise missing(path, error) from error


def is_still_at(path: str, descriptor: int) -> bool:
    """Tell whether what was opened is still what has that path."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def sync(paths: Iterable[str], folder: str) -> None:
    """Return once files would survive a power cut; all lie below `folder`."""
    names = list(paths)
    if len(names) > SYNC_EACH_MOST and _sync_all(folder):
        return
    for name in names:
        _fsync(name)
    for parent in {os.path.dirname(name) for name in names}:
        _fsync(parent)


class access_to:  # noqa: N801 - read as a word of the `with` statement
    """Translate the operating system's refusals to read a file, or to list a folder.

    Raises MissingFile, Unavailable; an error of what lies in the folder names that.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if isinstance(error, OSError) and not isinstance(error, LinealError):
            raise missing(error.filename or self._path, error) from error


def missing(path: str, error: OSError) -> MissingFile | Unavailable:
    """Say why a local file or folder cannot be read."""
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return MissingFile(f"{path} does not exist (any more)")
    if error.errno == errno.ELOOP:
        return MissingFile(f"{path} is a symbolic link that leads to itself")
    if isinstance(error, IsADirectoryError):
        return MissingFile(f"{path} is a folder, not a file")
    return Unavailable(f"Cannot read {path}: {_reason(error)}")


class room_on:  # noqa: N801 - read as a word of the `with` statement
    """Translate the operating system's refusals to write into errors that say what to do.

    A class, since a generator costs three times as much a file.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        refused = refusal(self._path, error) if isinstance(error, OSError) else None
        if refused is not None:
            raise refused from error


def refusal(path: str, error: OSError) -> NoSpace | Unavailable | None:
    """Return what a failed write means to the user; None where its own words say it."""
    if error.errno in _NO_ROOM:
        return NoSpace(
            f"No space left to write {path}; free some and repeat the call: "
            "it sends only what is missing"
        )
    if error.errno in _REFUSED:
        return Unavailable(f"Cannot write {path}: {_reason(error)}")
    return None


def _reason(error: OSError) -> str:
    if error.errno in _FAILING:
        return f"{error.strerror}. Its disk fails or is gone; see to that, and repeat the call"
    return str(error.strerror)


class _Opened:
    """A file open for reading; a class, since a generator costs three times as much a file."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> int:
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise missing(self._path, error) from error
        return self._descriptor

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        os.close(self._descriptor)
        if isinstance(error, IsADirectoryError):  # opening a folder succeeds, reading does not
            raise missing(self._path, error) from error


@contextmanager
def _created(path: str, mode: int = 0o444) -> Iterator[int]:
    with room_on(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            yield descriptor
        except BaseException:
            os.close(descriptor)
            os.unlink(path)
            raise
        os.close(descriptor)


def _write_nameless(path: str, data: bytes, mode: int) -> Stamp | None:
    """Write a file and give it its name then; None where the file system cannot."""
    if not _HAS_NAMELESS:
        return None
    try:
        descriptor = os.open(
            path[: path.rfind("/") + 1] or ".", os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, mode
        )
    except OSError as error:
        if error.errno in _NO_NAMELESS:
            return None
        raise
    try:
        write_all(descriptor, data)
        return Stamp.of(os.fstat(descriptor)) if _named(descriptor, path) else None
    finally:
        os.close(descriptor)


def _named(descriptor: int, path: str) -> bool:
    """Give a nameless file its name; False if that fails, as in a sandbox that hides /proc.

    Whoever writes it by a rename then finds out whether something else is wrong.
    """
    # only with a folder's descriptor does Python call `linkat`, which goes through /proc to the
    # file; for an absolute path the kernel does not look at it
    nameless = f"{_OPEN_FILES}/{descriptor}"
    try:
        os.link(nameless, path, src_dir_fd=descriptor, follow_symlinks=True)
    except FileExistsError:
        part = _part_of(path)
        os.link(nameless, part, src_dir_fd=descriptor, follow_symlinks=True)
        _replace(part, path)
    except OSError:
        return False
    return True


def _part_of(path: str) -> str:
    return f"{path}.{secrets.token_hex(4)}.part"


def _replace(part: str, path: str) -> None:
    try:
        os.replace(part, path)
    except BaseException:
        os.unlink(part)
        raise


def _read_whole(path: str, descriptor: int, before: Stamp) -> bytes:
    try:
        data = os.read(descriptor, before.size + 1)
        if len(data) != before.size:  # a file system may answer in pieces
            data += _read_all(descriptor)
    except OSError as error:
        raise missing(path, error) from error
    if len(data) != before.size:  # it grew, or it is one of /proc, whose sizes are made up
        raise SourceChanged(
            f"File {path} has {before.size} bytes by its size and {len(data)} when read; "
            "copy it to an ordinary file that nobody writes to, and log that"
        )
    return data


def _read_all(descriptor: int) -> bytes:
    parts = []
    while part := os.read(descriptor, SMALL_BYTES):
        parts.append(part)
    return b"".join(parts)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write everything to an open file, in as many calls as it takes."""
    written = os.write(descriptor, data)
    while written < len(data):  # a signal, or a disk that is nearly full
        written += os.write(descriptor, memoryview(data)[written:])


def _clone(reading: int, writing: int) -> bool:
    try:
        fcntl.ioctl(writing, _FICLONE, reading)
    except OSError as error:
        if error.errno in _NO_CLONE:
            return False
        raise
    return True


def _copy_large(source: str, reading: int, writing: int) -> str:
    """Write each chunk here while one thread hashes it: both let go of the interpreter.

    Where no thread can be had it is hashed here: by a limit, or since the process is ending.
    """
    running = hashlib.sha256()
    buffers = [memoryview(bytearray(CHUNK_BYTES)) for _ in range(CHUNKS_AHEAD)]
    pending: deque[Future[None]] = deque()
    written = flushed = 0
    has_thread = True
    with ThreadPoolExecutor(1, "lineal-hash") as hasher:
        for buffer in cycle(buffers):
            if len(pending) == len(buffers):
                pending.popleft().result()  # its buffer is filled again now
            try:
                count = os.readv(reading, [buffer])
            except OSError as error:
                raise missing(source, error) from error
            if not count:
                break
            if has_thread:
                try:
                    pending.append(hasher.submit(running.update, buffer[:count]))
                except RuntimeError:
                    has_thread = False
                    wait(pending)
            if not has_thread:
                running.update(buffer[:count])
            write_all(writing, buffer[:count])
            written += count
            if written - flushed >= FLUSH_BYTES:
                begin_flush(writing, flushed, written - flushed)
                flushed = written
        for future in pending:
            future.result()
    return running.hexdigest()


def begin_flush(descriptor: int, offset: int, size: int) -> None:
    """Let the kernel start writing a range to disk; on Linux that is what this advice does."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, offset, size, os.POSIX_FADV_DONTNEED)


def _require_unchanged(path: str, descriptor: int, before: Stamp) -> None:
    # ctime is left out: a hard link made meanwhile moves it without touching a byte
    after = stamp_of_open(path, descriptor)
    if after.size != before.size or after.mtime_ns != before.mtime_ns:
        raise SourceChanged(
            f"File {path} changed while it was being read ({before.size} bytes before, "
            f"{after.size} after); log it again when nobody writes to it"
        )


def _fsync(path: str) -> None:
    with room_on(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sync_all(folder: str) -> bool:
    """Flush the file system of a folder; False where there is no such call."""
    with room_on(folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return libc.syncfs(descriptor)
        finally:
            os.close(descriptor)
