"""Reading and writing local files: one read, changes noticed, nothing half-written left."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from lineal.errors import LinealError, MissingFile, NoSpace, SourceChanged, Unavailable
from lineal.files import copying
from lineal.files.copying import PIECE_BYTES, copy_and_hash
from lineal.files.flushing import begin_flush_of, flush
from lineal.files.reading import CHUNK_BYTES, SMALL_BYTES, Piece, hash_file, read_small
from lineal.files.stamps import Stamp
from lineal.files.writing import write_new, write_stream, write_whole
from lineal.parallel import Abandoned, Threads
from tests.conftest import open_below

COPY_IN_KERNEL, READ, WRITE = os.sendfile, os.read, os.write
SIZES = [0, 1, SMALL_BYTES - 1, SMALL_BYTES, SMALL_BYTES + 1, 13 << 20]


def hex_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Refuse to write files beyond a size, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("size", SIZES)
def test_a_file_is_hashed(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "f").write_bytes(data)
    hashed = hash_file(str(tmp_path / "f"))
    assert (hashed.hex_digest, hashed.size) == (hex_of(data), size)
    assert hashed.stamp == Stamp.at(str(tmp_path / "f"))


@pytest.mark.parametrize("size", SIZES)
def test_a_copy_has_the_bytes_and_the_digest(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "f").write_bytes(data)
    copied = copy_and_hash(str(tmp_path / "f"), str(tmp_path / "g"))
    assert (tmp_path / "g").read_bytes() == data
    assert (copied.hex_digest, copied.size) == (hex_of(data), size)


def refuse(*_: object) -> int:
    raise OSError(errno.EINVAL, "Invalid argument")


def copy_once(*arguments: int) -> int:
    """Copy as the kernel does, but only at the beginning of a file."""
    return COPY_IN_KERNEL(*arguments) if arguments[2] == 0 else refuse()


@pytest.mark.parametrize("copy", [refuse, copy_once, lambda *_: 0, None])
@pytest.mark.parametrize("size", [SMALL_BYTES + 1, 2 * PIECE_BYTES + 5])
def test_a_copy_is_made_where_the_kernel_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, copy: Callable[..., int] | None
) -> None:
    if copy is None:
        monkeypatch.delattr(os, "sendfile")
    else:
        monkeypatch.setattr(os, "sendfile", copy)
    data = os.urandom(size)
    (tmp_path / "f").write_bytes(data)
    copied = copy_and_hash(str(tmp_path / "f"), str(tmp_path / "g"))
    assert (tmp_path / "g").read_bytes() == data
    assert (copied.hex_digest, copied.size) == (hex_of(data), size)


def test_a_source_that_fails_half_way_is_named_and_not_its_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "sendfile", copy_once)
    monkeypatch.setattr(os, "pread", fail)
    (tmp_path / "f").write_bytes(bytes(PIECE_BYTES + 1))
    with pytest.raises(Unavailable, match=r"Cannot read .*/f: Input/output error"):
        copy_and_hash(str(tmp_path / "f"), str(tmp_path / "g"))
    assert not (tmp_path / "g").exists()


@pytest.mark.parametrize("call", ["hash_file", "copy_and_hash", "write_stream"])
def test_what_nobody_waits_for_any_more_ends_early_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(copying, "PIECE_BYTES", CHUNK_BYTES)
    monkeypatch.setattr(copying, "PIECES_AHEAD", 0)
    (tmp_path / "f").write_bytes(bytes(20 * CHUNK_BYTES))
    path, copy, told = str(tmp_path / "f"), str(tmp_path / "g"), list[int]()
    work = {
        "hash_file": lambda: hash_file(path, advance=give_up),
        "copy_and_hash": lambda: copy_and_hash(path, copy, advance=give_up),
        "write_stream": lambda: write_stream(io.BytesIO(bytes(1 << 20)), copy, 10, advance=give_up),
    }[call]
    with Threads[object](1, "work") as threads:

        def give_up(count: int) -> None:
            told.append(count)
            threads.is_abandoned = True

        threads.begin(work)
        with pytest.raises(Abandoned):
            threads.wait()
    assert len(told) == 1
    assert not os.path.exists(copy)


def test_more_pieces_than_may_wait_are_copied_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "PIECE_BYTES", 10_000)
    data = os.urandom(SMALL_BYTES + 500_001)
    (tmp_path / "f").write_bytes(data)
    assert copy_and_hash(str(tmp_path / "f"), str(tmp_path / "g")).hex_digest == hex_of(data)
    assert (tmp_path / "g").read_bytes() == data


def test_a_file_is_written_in_pieces_for_which_memory_is_found_easily(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def write_some(descriptor: int, data: memoryview) -> int:
        """Write as the kernel may: less than was asked for."""
        sizes.append(len(data))
        return WRITE(descriptor, data[:100_000])

    monkeypatch.setattr(os, "write", write_some)
    data = os.urandom(SMALL_BYTES)
    write_new(str(tmp_path / "f"), data)
    assert (tmp_path / "f").read_bytes() == data
    assert max(sizes) == CHUNK_BYTES


def test_a_copy_that_others_cut_short_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*arguments: int) -> int:
        count = COPY_IN_KERNEL(*arguments)
        os.truncate(tmp_path / "g", 10)
        return count

    monkeypatch.setattr(os, "sendfile", cut)
    (tmp_path / "f").write_bytes(bytes(SMALL_BYTES + 1))
    with pytest.raises(Unavailable, match="g: the copy became shorter"):
        copy_and_hash(str(tmp_path / "f"), str(tmp_path / "g"))
    assert not (tmp_path / "g").exists()


def test_a_file_that_cannot_be_cloned_now_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))  # as OpenZFS does

    monkeypatch.setattr(fcntl, "ioctl", refuse)
    assert_is_copied(tmp_path)


def test_a_clone_is_not_copied_too_but_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clone(writing: int, _: int, reading: int) -> None:
        os.pwrite(writing, os.pread(reading, 2 * SMALL_BYTES, 0), 0)

    monkeypatch.setattr(fcntl, "ioctl", clone)
    monkeypatch.setattr(os, "sendfile", None)
    told: list[int] = []
    data = os.urandom(SMALL_BYTES + 1)
    (tmp_path / "f").write_bytes(data)
    copied = copy_and_hash(str(tmp_path / "f"), str(tmp_path / "g"), advance=told.append)
    assert (copied.hex_digest, sum(told)) == (hex_of(data), len(data))
    assert (tmp_path / "g").read_bytes() == data


def test_a_clone_of_a_part_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def clone_some(writing: int, *_: object) -> None:
        os.pwrite(writing, bytes(1_000), 0)

    monkeypatch.setattr(fcntl, "ioctl", clone_some)
    assert_is_copied(tmp_path)


def assert_is_copied(folder: Path) -> None:
    data = os.urandom(SMALL_BYTES + 1)
    (folder / "f").write_bytes(data)
    hashed = copy_and_hash(str(folder / "f"), str(folder / "g"))
    assert (folder / "g").read_bytes() == data
    assert hashed.hex_digest == hex_of(data)


def test_a_copy_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"new")
    (tmp_path / "g").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        copy_and_hash(str(tmp_path / "f"), str(tmp_path / "g"))
    assert (tmp_path / "g").read_bytes() == b"old"


def test_a_copy_is_read_only_unless_told(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    copy_and_hash(str(tmp_path / "f"), str(tmp_path / "g"))
    copy_and_hash(str(tmp_path / "f"), str(tmp_path / "h"), mode=0o666)
    assert (tmp_path / "g").stat().st_mode & 0o222 == 0
    assert (tmp_path / "h").stat().st_mode & 0o200


@contextmanager
def written_meanwhile(path: Path) -> Iterator[None]:
    """Append to a file for as long as the block lasts."""
    stop, begun = threading.Event(), threading.Event()

    def write() -> None:
        with open(path, "ab", buffering=0) as file:
            while not stop.is_set():
                file.write(b"more")
                begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    begun.wait()
    try:
        yield
    finally:
        stop.set()
        writer.join()


def test_a_file_that_changes_while_it_is_hashed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(30 << 20))
    with written_meanwhile(tmp_path / "f"), pytest.raises(SourceChanged, match="f changed while"):
        hash_file(str(tmp_path / "f"))


def test_a_file_that_grows_as_fast_as_it_is_hashed_is_refused(tmp_path: Path) -> None:
    path, told = tmp_path / "f", list[int]()
    path.write_bytes(bytes(3 << 20))

    def grow(count: int) -> None:
        told.append(count)
        assert sum(told) < 6 << 20
        with open(path, "ab") as file:
            file.write(bytes(count))

    with pytest.raises(SourceChanged, match="f changed while"):
        hash_file(str(path), advance=grow)


def test_a_file_that_changes_while_it_is_copied_leaves_no_copy(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(30 << 20))
    with written_meanwhile(tmp_path / "f"), pytest.raises(SourceChanged, match="f changed while"):
        copy_and_hash(str(tmp_path / "f"), str(tmp_path / "g"))
    assert not (tmp_path / "g").exists()


@pytest.mark.parametrize("is_read_in_pieces", [False, True])
@pytest.mark.parametrize("call", ["hash_file", "read_small", "copy_and_hash"])
def test_a_small_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, is_read_in_pieces: bool
) -> None:
    path, copy = tmp_path / "f", tmp_path / "g"
    path.write_bytes(b"before")
    os.utime(path, (0, 0))

    def read(descriptor: int, count: int) -> bytes:
        data = READ(descriptor, 3 if is_read_in_pieces else count)
        path.write_bytes(b"after!")
        return data

    monkeypatch.setattr(os, "read", read)
    with pytest.raises(SourceChanged, match="f changed while"):
        {
            "hash_file": lambda: hash_file(str(path)),
            "read_small": lambda: read_small(str(path), SMALL_BYTES),
            "copy_and_hash": lambda: copy_and_hash(str(path), str(copy)),
        }[call]()
    assert not copy.exists()


@pytest.mark.parametrize("size", [1, 70, SMALL_BYTES])
def test_a_file_that_comes_in_pieces_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    most, pread = max(size // 7, 1), os.pread
    monkeypatch.setattr(os, "read", lambda file, count: READ(file, min(count, most)))
    monkeypatch.setattr(os, "pread", lambda file, count, at: pread(file, min(count, most), at))
    data, path = os.urandom(size), str(tmp_path / "f")
    Path(path).write_bytes(data)
    assert hash_file(path).hex_digest == hex_of(data)
    assert read_small(path, size) == (data, hash_file(path), hashlib.sha256(data).digest())
    assert read_small(path, size - 1) is None
    assert Piece(path, 1, size - 1).read() == data[1:]
    with pytest.raises(SourceChanged, match=f"f ends at {size}; it was longer before"):
        Piece(path, 0, size + 1).read()


def test_a_hard_link_made_meanwhile_is_no_change(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(20 << 20))
    stop = threading.Event()

    def link() -> None:
        for number in iter(int, 1):
            if stop.is_set():
                return
            os.link(tmp_path / "f", tmp_path / f"link{number}{threading.get_ident()}")
            os.unlink(tmp_path / f"link{number}{threading.get_ident()}")

    linking = threading.Thread(target=link)
    linking.start()
    try:
        assert hash_file(str(tmp_path / "f")).size == 20 << 20
    finally:
        stop.set()
        linking.join()


@pytest.mark.parametrize("call", [hash_file, Stamp.at])
def test_a_missing_file_is_named(tmp_path: Path, call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(MissingFile, match="gone does not exist"):
        call(str(tmp_path / "gone"))


def test_a_copy_of_a_missing_file_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match="gone does not exist"):
        copy_and_hash(str(tmp_path / "gone"), str(tmp_path / "g"))
    assert os.listdir(tmp_path) == ["work"]


def test_a_link_to_itself_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(MissingFile, match="leads to itself"):
        hash_file(str(tmp_path / "loop"))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises((MissingFile, Unavailable), match=r"folder|directory"):
        hash_file(str(tmp_path))


@pytest.mark.parametrize("size", [SMALL_BYTES // 2, 5 << 20])
def test_a_copy_that_does_not_fit_leaves_nothing(tmp_path: Path, size: int) -> None:
    (tmp_path / "f").write_bytes(bytes(size))
    limit = r"g would be larger than a file may be: see .*`ulimit -f`"  # to free space is no help
    with file_size_limit(size - 1), pytest.raises(NoSpace, match=limit):
        copy_and_hash(str(tmp_path / "f"), str(tmp_path / "g"))
    assert not (tmp_path / "g").exists()


def test_new_bytes_that_do_not_fit_leave_nothing(tmp_path: Path) -> None:
    with file_size_limit(10), pytest.raises(NoSpace, match="sent or fetched is not again"):
        write_new(str(tmp_path / "g"), bytes(11))
    assert not (tmp_path / "g").exists()


def test_a_stream_is_written_and_hashed(tmp_path: Path) -> None:
    data = os.urandom(100_000)
    digest = write_stream(io.BytesIO(data), str(tmp_path / "g"), 1000)
    assert digest == hex_of(data)
    assert (tmp_path / "g").read_bytes() == data


def test_a_stream_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        write_stream(Broken(), str(tmp_path / "g"))  # type: ignore[arg-type]
    assert not (tmp_path / "g").exists()


def test_a_file_that_says_it_is_empty_but_is_not_is_refused(tmp_path: Path) -> None:
    """Files of /proc have size 0 and content: stored, they would never be found whole again."""
    if not os.path.exists("/proc/version"):
        pytest.skip("needs /proc")
    with pytest.raises(SourceChanged, match="/proc/version"):
        copy_and_hash("/proc/version", str(tmp_path / "g"))
    assert not (tmp_path / "g").exists()


@pytest.mark.parametrize("read", [hash_file, lambda path: read_small(path, 1 << 20)])
def test_a_file_that_cannot_be_read_is_named(read) -> None:  # type: ignore[no-untyped-def]
    if not os.path.exists("/proc/self/mem"):
        pytest.skip("needs /proc")
    with pytest.raises(Unavailable, match="Cannot read /proc/self/mem: Input/output error"):
        read("/proc/self/mem")


@contextmanager
def no_more_descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.open(os.devnull, os.O_RDONLY)
    os.close(probe)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("write", [write_new, write_whole])
def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    with (
        no_more_descriptors(),
        pytest.raises(Unavailable, match=r"write .*/g: Too many open files\. .*ulimit -n"),
    ):
        write(str(tmp_path / "g"), b"x")
    with pytest.raises(Unavailable, match=r"ggg.*: File name too long"):
        write(str(tmp_path / ("g" * 300)), b"x")


@pytest.mark.parametrize("size", [1, SMALL_BYTES + 1])
def test_every_file_that_was_opened_is_closed(tmp_path: Path, size: int) -> None:
    source, taken = str(tmp_path / "f"), str(tmp_path / "taken")
    data = os.urandom(size)
    for path in (source, taken):
        Path(path).write_bytes(data)
    calls: list[Callable[[str], object]] = [
        hash_file,
        lambda path: Piece(path, 0, size).read(),
        lambda path: read_small(path, SMALL_BYTES),
        lambda path: copy_and_hash(source, path),
        lambda path: write_new(path, data),
        lambda path: write_whole(path, data),
        lambda path: write_stream(io.BytesIO(data), path),
        lambda path: flush([path], str(tmp_path)),
        begin_flush_of,
    ]
    for number, call in enumerate(calls):
        for path in (source, taken, str(tmp_path), str(tmp_path / f"new{number}")):
            with suppress(OSError, LinealError):
                call(path)
    with file_size_limit(0):
        for number, call in enumerate(calls):
            with suppress(OSError, LinealError):
                call(str(tmp_path / f"full{number}"))
    assert open_below(tmp_path) == []


def test_of_a_large_file_all_bytes_are_told_bit_by_bit(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(13 << 20))
    told: dict[str, list[int]] = {"hashed": [], "copied": [], "streamed": []}
    hash_file(str(source), advance=told["hashed"].append)
    copy_and_hash(str(source), str(tmp_path / "copy"), advance=told["copied"].append)
    with source.open("rb") as stream:
        write_stream(stream, str(tmp_path / "written"), advance=told["streamed"].append)
    assert {what: sum(counts) for what, counts in told.items()} == dict.fromkeys(told, 13 << 20)
    assert all(len(counts) > 3 for counts in told.values())
