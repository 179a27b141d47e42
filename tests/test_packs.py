"""Packs: what goes in comes out, and deleting one file touches no other."""

from __future__ import annotations

import errno
import gc
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineal import libc, packs
from lineal.errors import IntegrityError, MissingFile, NoSpace, Unavailable
from tests.conftest import open_below
from tests.test_files import no_more_descriptors

CONTENTS = st.lists(st.binary(max_size=9000), unique=True, min_size=1, max_size=12)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def written(folder: Path, contents: list[bytes], name: str = "pack") -> str:
    writer = packs.Writer(str(folder / name))
    for data in contents:
        writer.add(sha256(data), data)
    writer.seal()
    return writer.path


def content(pack: packs.Pack, data: bytes) -> bytes | None:
    """Return what a pack has under the digest of some bytes; None if nothing."""
    (place,) = pack.find_all([sha256(data)])
    return None if place is None else pack.read_at(place.offset, place.length)


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packs")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=CONTENTS, data=st.data())
def test_deleting_some_leaves_the_others_whole(
    folder: Path, contents: list[bytes], data: st.DataObject
) -> None:
    path = written(folder, contents, os.urandom(8).hex())
    gone = data.draw(st.lists(st.sampled_from(contents), unique=True))
    left = [each for each in contents if each not in gone]
    assert packs.delete(path, map(sha256, gone)) == len(left)
    pack = packs.Pack(path)
    assert [content(pack, each) for each in left] == left
    for each in gone:
        assert content(pack, each) is None
        place = packs.Pack(path)
        assert sha256(each) not in place.places()


def test_many_megabytes_come_out_as_they_went_in(folder: Path) -> None:
    contents = [os.urandom(size) for size in (700_000, 1, 3 << 20, 0, 1 << 20, 2_000_000)] * 2
    pack = packs.Pack(written(folder, contents))
    assert [content(pack, each) for each in contents] == contents


def test_a_pack_is_whole_where_a_file_system_takes_and_gives_pieces(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writev, pread = os.writev, os.pread
    monkeypatch.setattr(os, "writev", lambda file, data: writev(file, [data[0][:700]]))
    monkeypatch.setattr(os, "pread", lambda file, length, at: pread(file, min(length, 700), at))
    contents = [os.urandom(1000 + number) for number in range(40)]
    path = written(folder, contents)
    pack = packs.Pack(path)
    assert [content(pack, each) for each in contents] == contents
    os.chmod(path, 0o644)
    os.truncate(path, 900)
    with pytest.raises(IntegrityError, match=f"pack {path} is shorter than it says"):
        pack.read_at(0, 1000)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="asks a device that is always full")
def test_a_full_disk_that_a_thread_meets_is_told_and_nothing_is_left(folder: Path) -> None:
    writer = packs.Writer(str(folder / "pack"))
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, writer._descriptor)
    os.close(full)
    writer.add(bytes(32), bytes(1 << 20))
    with pytest.raises(NoSpace):
        writer.seal()
    writer.discard()
    assert os.listdir(folder) == []


def test_what_a_thread_could_not_write_is_told_at_the_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writev = os.writev

    def write(*arguments: Any) -> int:
        if threading.current_thread() is not threading.main_thread():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return writev(*arguments)

    monkeypatch.setattr(os, "writev", write)
    writer = packs.Writer(str(folder / "pack"))
    writer.add(bytes(32), bytes(1 << 20))
    with pytest.raises(NoSpace):
        writer.seal()
    writer.discard()


def test_a_file_is_gone_from_the_disk_before_it_is_marked_as_deleted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut, a mark without that would leave its bytes there for ever."""
    done: list[str] = []

    def noted(name: str, call: Callable[..., object]) -> Callable[..., object]:
        return lambda *arguments: (done.append(name), call(*arguments))[1]

    path = written(folder, [b"a" * 5000, b"b" * 5000])
    monkeypatch.setattr(libc, "punch_hole", noted("hole", libc.punch_hole))
    monkeypatch.setattr(os, "fsync", noted("flush", os.fsync))
    monkeypatch.setattr(os, "pwrite", noted("mark", os.pwrite))
    assert packs.delete(path, [sha256(b"a" * 5000), sha256(b"never there")]) == 1
    assert packs.delete(path, [sha256(b"a" * 5000)]) == 1
    assert done == ["hole", "flush", "mark", "flush"]


def test_the_index_is_read_again_only_when_it_changed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read = written(folder, [b"a", b"b"]), []
    pack, pread = packs.Pack(path), os.pread
    monkeypatch.setattr(os, "pread", lambda *each: (read.append(each), pread(*each))[1])
    for _ in range(3):
        assert len(pack.places()) == 2
    assert len(read) == 2  # the footer and the index
    packs.delete(path, [sha256(b"a")])
    read.clear()
    assert [len(pack.places()) for _ in range(2)] == [1, 1]
    assert len(read) == 2


@pytest.mark.parametrize(("at", "byte"), [(-1, b"2"), (-16, b"\x03"), (-24, b"\x01")])
def test_a_pack_whose_footer_says_another_thing_is_no_pack(
    folder: Path, at: int, byte: bytes
) -> None:
    path = Path(written(folder, [b"a" * 100, b"b" * 100]))
    data = bytearray(path.read_bytes())
    data[len(data) + at] = byte[0]
    path.chmod(0o644)
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="not a whole pack"):
        packs.Pack(str(path)).places()


def test_a_pack_on_a_failing_disk_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    pack = packs.Pack(written(folder, [b"a"]))
    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(Unavailable, match=r"Cannot read .*/pack: Input/output error"):
        pack.places()


def test_the_same_content_is_kept_once(folder: Path) -> None:
    path = written(folder, [b"twice" * 1000] * 2)
    assert len(packs.Pack(path).places()) == 1
    assert os.path.getsize(path) < 6000


def test_a_writer_says_when_it_is_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "ENTRIES_MOST", 2)
    writer = packs.Writer(str(folder / "pack"))
    writer.add(sha256(b"a"), b"a")
    assert not writer.is_full
    writer.add(sha256(b"b"), b"b")
    assert writer.is_full
    writer.discard()


def test_a_writer_is_full_also_by_its_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "BYTES_MOST", 10)
    writer = packs.Writer(str(folder / "pack"))
    writer.add(sha256(b"a" * 9), b"a" * 9)
    assert not writer.is_full
    writer.add(sha256(b"b"), b"b")
    assert writer.is_full
    writer.discard()


def test_a_discarded_pack_leaves_no_file_and_no_thread(folder: Path) -> None:
    writer = packs.Writer(str(folder / "pack"))
    writer.add(sha256(b"a"), bytes(2 << 20))
    writer.discard()
    assert os.listdir(folder) == []
    assert open_below(folder) == []
    assert [each for each in threading.enumerate() if each.name == "lineal-pack"] == []


def test_a_pack_that_nobody_reads_any_more_is_closed(folder: Path) -> None:
    path = written(folder, [b"a", b"b"])
    packs.Pack(path).places()
    packs.delete(path, [sha256(b"a")])
    os.chmod(path, 0o644)
    os.truncate(path, 30)
    for read in (packs.Pack(path).places, lambda: packs.delete(path, [sha256(b"b")])):
        with pytest.raises(IntegrityError):
            read()
    del read
    gc.collect()
    assert open_below(folder) == []


def test_a_pack_that_cannot_be_begun_is_named(folder: Path) -> None:
    with no_more_descriptors(), pytest.raises(Unavailable, match="/pack: Too many open files"):
        packs.Writer(str(folder / "pack"))


def test_a_sealed_pack_stays_and_is_read_only(folder: Path) -> None:
    writer = packs.Writer(str(folder / "pack"))
    writer.seal()
    writer.discard()
    assert os.stat(writer.path).st_mode & 0o222 == 0
    assert packs.Pack(writer.path).places() == {}


@pytest.mark.parametrize("keep", [0, 1, 23, 24, -1, -24])
def test_a_pack_that_was_cut_is_no_pack(folder: Path, keep: int) -> None:
    path = Path(written(folder, [b"a" * 100, b"b" * 100]))
    whole = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(whole[:keep])
    with pytest.raises(IntegrityError, match="not a whole pack"):
        packs.Pack(str(path)).places()


def test_a_missing_pack_is_named(folder: Path) -> None:
    with pytest.raises(MissingFile, match="gone"):
        packs.Pack(str(folder / "gone"))


def test_deleting_again_after_a_crash_finishes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(folder, [b"a" * 5000, b"b" * 5000])

    def die(*_: object) -> None:
        raise OSError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(packs, "_erase", die)
        with pytest.raises(OSError, match="killed"):
            packs.delete(path, [sha256(b"a" * 5000)])
    assert packs.delete(path, [sha256(b"a" * 5000)]) == 1
    assert b"aaaa" not in Path(path).read_bytes()
    assert content(packs.Pack(path), b"b" * 5000) == b"b" * 5000


def test_a_block_is_free_once_all_its_files_are_deleted_in_whatever_order(folder: Path) -> None:
    contents = [f"{number} ".encode() * 300 for number in range(400)]
    path = written(folder, contents)
    os.sync()
    taken = os.stat(path).st_blocks
    for first in range(3):
        packs.delete(path, map(sha256, contents[first:-1:3]))
    assert os.stat(path).st_blocks < taken / 8  # the index, and what the last file shares
    assert content(packs.Pack(path), contents[-1]) == contents[-1]


def test_where_no_holes_can_be_made_bytes_are_overwritten(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(folder, [b"a" * 5000, b"b" * 5000])
    monkeypatch.setattr(libc, "punch_hole", lambda *_: False)
    packs.delete(path, [sha256(b"a" * 5000)])
    assert b"aaaa" not in Path(path).read_bytes()
    assert content(packs.Pack(path), b"b" * 5000) == b"b" * 5000


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=CONTENTS, data=st.data())
def test_files_are_found_one_by_one_as_all_at_once(
    folder: Path, contents: list[bytes], data: st.DataObject
) -> None:
    contents = [*contents, *(bytes([n]) * 9001 for n in range(40))]  # few asked for: no dictionary
    path = written(folder, contents, os.urandom(8).hex())
    packs.delete(path, map(sha256, data.draw(st.lists(st.sampled_from(contents), unique=True))))
    pack = packs.Pack(path)
    asked = [*map(sha256, contents), sha256(b"never there")]
    assert pack.find_all(asked) == [pack.find_all([each])[0] for each in asked]
    found = zip(asked, pack.find_all(asked), strict=True)
    assert pack.places() == {each: place for each, place in found if place is not None}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=CONTENTS, data=st.data())
def test_files_read_in_turn_are_whole_in_whatever_order(
    folder: Path, contents: list[bytes], data: st.DataObject
) -> None:
    places = {}
    for name, inside in (("one", contents), ("other", [b"elsewhere", *contents[::-1]])):
        path = written(folder, inside, f"{name} {os.urandom(8).hex()}")
        places[path] = packs.Pack(path).places()
    in_turn = packs.InTurn()
    order = st.tuples(st.sampled_from(sorted(places)), st.sampled_from(contents))
    for path, content in data.draw(st.lists(order, max_size=30)):
        place = places[path][sha256(content)]
        assert in_turn.file(path, place.offset, place.length) == content


def test_neighbours_are_read_in_few_calls_and_a_stranger_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = [f"{number:05}".encode() * 1000 for number in range(200)]
    path = written(folder, contents)
    places = packs.Pack(path).places()
    lengths = []
    read = os.pread

    def counted(descriptor: int, length: int, offset: int) -> bytes:
        lengths.append(length)
        return read(descriptor, length, offset)

    in_turn = packs.InTurn()
    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", counted)
        for content in contents:
            place = places[sha256(content)]
            assert in_turn.file(path, place.offset, place.length) == content
        assert len(lengths) < 10
        lengths.clear()
        for content in contents[::-7]:
            place = places[sha256(content)]
            assert in_turn.file(path, place.offset, place.length) == content
    assert set(lengths) <= {5000}
