"""What only a store in a folder can do, beyond the contract of `BlobStore`."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import socket
import stat
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.blobs.storing import MANY, content, key_of, not_blobs, put
from tests.conftest import stored_blobs

from lineal import packs
from lineal.blobs.local import LocalStore
from lineal.core.digest import Key
from lineal.core.transfers import Handover
from lineal.errors import MissingFile, Unavailable


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    return LocalStore(str(tmp_path / "blobs"))


def path_of(local: LocalStore, key: Key) -> str:
    (place,) = local.places([key])
    assert place is not None
    return place.path


def test_a_folder_links_an_immutable_file_instead_of_copying_it(local, source):
    path = source(b"immutable")
    key = put(local, path, b"immutable", handover=Handover.LINK)
    assert os.path.samefile(path, path_of(local, key))


def test_a_folder_links_what_a_symbolic_link_leads_to(local, source, tmp_path):
    path = source(b"target")
    (tmp_path / "alias").symlink_to(path)
    key = put(local, str(tmp_path / "alias"), b"target", handover=Handover.LINK)
    assert not os.path.islink(path_of(local, key))
    assert content(local, key) == b"target"


def test_a_folder_keeps_copies_read_only(local, source):
    key = put(local, source(b"x"), b"x")
    assert stat.S_IMODE(os.stat(path_of(local, key)).st_mode) & 0o222 == 0


def test_what_is_no_blob_is_a_stray(local, source):
    key = put(local, source(b"x"), b"x")
    half_written = Path(local.root, "parts", "abc")
    half_written.parent.mkdir(exist_ok=True)
    half_written.write_bytes(b"half")
    foreign = Path(local.root, "README")
    foreign.write_bytes(b"hello")
    notes = Path(local.root, "sha256", "no", "notes")
    notes.parent.mkdir()
    notes.write_bytes(b"mine")
    assert list(dict(stored_blobs(local))) == [key]
    strays = [("README", 5, False), ("parts/abc", 4, True), ("sha256/no/notes", 4, False)]
    assert not_blobs(local) == strays


def test_links_are_strays_and_nothing_behind_them_is(local, tmp_path):
    """Or a sweep would delete it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "mine").write_bytes(b"mine")
    for name, target in (("folder", tmp_path / "outside"), ("nowhere", "gone")):
        Path(local.root, "parts").mkdir(parents=True, exist_ok=True)
        Path(local.root, "parts", name).symlink_to(target)
    assert [name for name, *_ in not_blobs(local)] == ["parts/folder", "parts/nowhere"]
    assert local.delete_parts(["parts/folder", "parts/nowhere"]) == []
    assert (tmp_path / "outside" / "mine").exists()


def test_what_goes_while_it_is_walked_over_is_left_out(local, pack):
    parts = Path(local.root, "parts")
    parts.mkdir(parents=True)
    for name in ("1", "2", "3"):
        (parts / name).touch()
    walked = local.walk()
    next(walked)
    shutil.rmtree(parts)
    assert list(walked) == []
    for data in (b"a", b"b"):
        local.put_pack(key_of(data), pack([data]))
    packed = local.packed("n1")
    next(packed)
    shutil.rmtree(Path(local.root, "packs"))
    assert list(packed) == []


@pytest.mark.parametrize("handover", [Handover.TAKE, Handover.LINK])
def test_a_blob_that_cannot_get_its_name_is_not_said_to_have_it(
    local, source, monkeypatch, handover
):
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    path = source(b"x")
    for name in ("rename", "link"):
        monkeypatch.setattr(os, name, fail)
    with pytest.raises(Unavailable, match=r"Cannot write .*Input/output error"):
        put(local, path, b"x", handover=handover)
    assert Path(path).read_bytes() == b"x"
    assert local.size(key_of(b"x")) is None


def test_a_folder_that_another_process_makes_meanwhile_is_used(local, source, monkeypatch):
    real = os.makedirs

    def makedirs(path: str, mode: int = 0o777, exist_ok: bool = False) -> None:
        real(path, exist_ok=True)
        real(path, mode, exist_ok)

    monkeypatch.setattr(os, "makedirs", makedirs)
    assert content(local, put(local, source(b"x"), b"x")) == b"x"


def test_what_is_stored_is_flushed_before_that_is_said(local, source, pack, monkeypatch):
    flushed, fsync = set(), os.fsync

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        flushed.add(os.path.realpath(f"/proc/self/fd/{descriptor}"))

    monkeypatch.setattr(os, "fsync", noted)
    loose = put(local, source(b"loose"), b"loose")
    local.put_pack(key_of(b"a"), pack([b"a", b"b"]))
    keys = [loose, key_of(b"a"), key_of(b"gone"), key_of(b"b")]
    assert local.sync(keys) == [5, 1, None, 1]
    files = {path_of(local, loose), path_of(local, key_of(b"a"))}
    assert flushed == files | {os.path.dirname(path) for path in files}


def test_half_written_files_can_be_deleted(local):
    half_written = Path(local.root, "parts", "abc")
    half_written.parent.mkdir(parents=True)
    half_written.write_bytes(b"half")
    assert local.delete_parts(["parts/abc", "parts/gone"]) == []
    assert list(local.walk()) == []


def test_what_cannot_be_deleted_is_named_and_the_rest_is_gone(local, source):
    stuck, free = put(local, source(b"stuck"), b"stuck"), put(local, source(b"free"), b"free")
    os.unlink(path_of(local, stuck))
    os.mkdir(path_of(local, stuck))  # a folder cannot be unlinked, not even by root
    [(key, error)] = local.delete([stuck, free])
    assert (key, isinstance(error, OSError)) == (stuck, True)
    assert local.size(free) is None


def test_a_blob_in_the_wrong_folder_is_a_stray(local, source):
    key = put(local, source(b"x"), b"x")
    path = path_of(local, key)
    wrong = Path(local.root, "sha256", "00")
    wrong.mkdir(parents=True, exist_ok=True)
    os.rename(path, wrong / os.path.basename(path))
    assert stored_blobs(local) == []
    assert len(not_blobs(local)) == 1


def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path, source):
    (tmp_path / "file").write_bytes(b"")
    store = LocalStore(str(tmp_path / "file" / "blobs"))
    with pytest.raises((Unavailable, MissingFile, NotADirectoryError)):
        put(store, source(b"x"), b"x")


def test_bytes_deleted_from_a_pack_are_nowhere_in_it(local, pack):
    secret = os.urandom(5000)
    local.put_pack(key_of(secret), pack([b"before", secret, b"after"]))
    path = path_of(local, key_of(secret))
    local.delete([key_of(secret)])
    assert secret[:8] not in Path(path).read_bytes()
    assert content(local, key_of(b"after")) == b"after"


def test_what_another_process_deletes_from_a_pack_is_noticed(local, pack):
    local.put_pack(key_of(b"a"), pack([b"a", b"b", b"c"]))
    assert content(local, key_of(b"a")) == b"a"
    other = LocalStore(local.root)
    other.delete([key_of(b"a")])
    assert local.sync([key_of(b"a"), key_of(b"b")]) == [None, 1]
    other.delete([key_of(b"b"), key_of(b"c")])
    assert local.sync([key_of(b"b"), key_of(b"c")]) == [None, None]


def test_a_blob_is_deleted_from_all_packs_also_where_one_was_emptied_meanwhile(local, pack):
    key = key_of(b"a")
    for other in (b"b", b"c", b"d"):
        local.put_pack(key, pack([b"a", other]))
    os.unlink(local.places([key])[0].path)  # as another process does with a pack it emptied
    assert local.delete([key]) == []
    assert LocalStore(local.root).size(key) is None
    assert len(list(local.packed("n1"))) == 2


@contextmanager
def unnoticed(path: str) -> Iterator[None]:
    """Change a file or a folder as quickly as a coarse clock does not tell."""
    before = os.stat(path)
    yield
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_blob_is_deleted_from_all_packs_where_one_goes_at_this_moment(local, pack):
    key = key_of(b"a")
    for other in (b"b", b"c"):
        local.put_pack(key, pack([b"a", other]))
    path = path_of(local, key)
    with unnoticed(os.path.dirname(path)):
        os.unlink(path)
    assert local.delete([key]) == []
    assert LocalStore(local.root).size(key) is None


def test_what_was_deleted_is_gone_where_the_clock_of_the_disk_is_coarse(local, pack):
    local.put_pack(key_of(b"a"), pack([b"a", b"b"]))
    with unnoticed(path_of(local, key_of(b"a"))):
        assert local.delete([key_of(b"a")]) == []
    assert local.sync([key_of(b"a"), key_of(b"b")]) == [None, 1]


def test_what_cannot_be_deleted_from_a_pack_is_named_and_the_rest_is_gone(local, pack):
    local.put_pack(key_of(b"a"), pack([b"a", b"b"]))
    local.put_pack(key_of(b"c"), pack([b"c", b"d"]))
    path = path_of(local, key_of(b"a"))
    with unnoticed(path):
        os.chmod(path, 0o644)
        os.truncate(path, 10)
    [(key, error)] = local.delete([key_of(b"a"), key_of(b"c")])
    assert key == key_of(b"a")
    assert "not a whole pack" in str(error)
    assert local.sync([key_of(b"c"), key_of(b"d")]) == [None, 1]


def test_a_pack_goes_with_its_last_blob_and_the_folder_with_the_last_pack(local, pack):
    for data in (b"a", b"b"):
        local.put_pack(key_of(data), pack([data]))
    folder = Path(path_of(local, key_of(b"a"))).parent
    assert local.delete([key_of(b"a")]) == []
    assert len(list(folder.iterdir())) == 1
    assert local.delete([key_of(b"b")]) == []
    assert not folder.exists()


def test_what_is_no_pack_among_them_is_a_stray(local, pack):
    local.put_pack(key_of(b"a"), pack([b"a"]))
    for name in ("packs/n1/README", "packs/b.pack", "parts/c.pack"):
        Path(local.root, name).parent.mkdir(exist_ok=True)
        Path(local.root, name).write_bytes(b"mine")
    assert not_blobs(local) == [
        ("packs/b.pack", 4, False),
        ("packs/n1/README", 4, False),
        ("parts/c.pack", 4, True),
    ]
    assert local.sync([key_of(b"a"), key_of(b"mine")]) == [1, None]


def test_a_pack_is_found_that_came_after_another_was_read(local, pack):
    local.put_pack(key_of(b"a"), pack([b"a"]))
    assert local.size(key_of(b"b")) is None
    LocalStore(local.root).put_pack(key_of(b"b"), pack([b"b"]))
    assert local.size(key_of(b"b")) == 1


def test_a_blob_is_found_in_whichever_pack_of_a_nonce_it_is(local, pack):
    packed = [[bytes([number, n]) for n in range(9)] for number in range(5)]
    for contents in packed:
        local.put_pack(key_of(contents[0]), pack(contents))
    wanted = [contents[n] for n in range(9) for contents in packed]
    assert [content(local, key_of(data)) for data in wanted] == wanted
    assert local.sync([key_of(b"elsewhere"), *map(key_of, wanted)]) == [None, *[2] * len(wanted)]


def test_who_reads_on_finds_the_next_pack_without_a_look_into_all(local, pack, monkeypatch):
    packed = [[bytes([number, n]) for n in range(8)] for number in range(30)]
    for contents in packed:
        local.put_pack(key_of(contents[0]), pack(contents))
    fresh, looks = LocalStore(local.root), []
    find_all = packs.Pack.find_all
    monkeypatch.setattr(
        packs.Pack, "find_all", lambda self, wanted: (looks.append(self), find_all(self, wanted))[1]
    )
    in_a_row = [data for contents in packed for data in contents]
    for at in range(len(in_a_row) - 4):  # to and fro where one pack ends and the next begins
        for data in (in_a_row[at + 4], in_a_row[at]):
            assert content(fresh, key_of(data)) == data
    assert len(looks) < 2 * 2 * len(in_a_row)


def test_to_find_one_blob_takes_no_more_than_the_index_of_its_pack(local, pack):
    wanted = b"0012345"
    local.put_pack(key_of(wanted), pack([b"%07d" % number for number in range(20_000)]))
    fresh = LocalStore(local.root)
    tracemalloc.start()
    try:
        assert content(fresh, key_of(wanted)) == wanted
        assert tracemalloc.get_traced_memory()[1] < 1.5 * 20_000 * 48
    finally:
        tracemalloc.stop()


def test_blobs_of_a_damaged_pack_are_missing_and_the_file_is_shown(local, pack):
    local.put_pack(key_of(b"a"), pack([b"a"]))
    path = path_of(local, key_of(b"a"))
    os.chmod(path, 0o644)
    os.truncate(path, 10)
    fresh = LocalStore(local.root)
    assert fresh.size(key_of(b"a")) is None
    with pytest.raises(MissingFile):
        fresh.open(key_of(b"a"))
    [file] = fresh.walk()
    assert (file.size, file.key, file.is_part, file.nonce) == (10, None, True, "n1")


def test_a_pack_that_was_emptied_but_not_removed_is_a_part(local, pack):
    data = os.urandom(200_000)
    local.put_pack(key_of(data), pack([data]))
    path = path_of(local, key_of(data))
    packs.delete(path, [hashlib.sha256(data).digest()])  # killed before it went on
    os.sync()
    [(name, size, is_part)] = not_blobs(LocalStore(local.root))
    assert (os.path.join(local.root, name), is_part) == (path, True)
    assert size < 100_000  # what is freed by removing it
    assert local.delete_parts([name]) == []
    assert list(local.walk()) == []


def test_a_pack_is_found_where_the_clock_of_the_disk_is_coarse(local, pack):
    local.put_pack(key_of(b"a"), pack([b"a"]))
    assert local.size(key_of(b"b")) is None
    with unnoticed(os.path.dirname(path_of(local, key_of(b"a")))):
        local.put_pack(key_of(b"b"), pack([b"b"]))
    assert local.size(key_of(b"b")) == 1


def test_a_pack_on_another_file_system_is_copied(local, pack, tmp_path):
    other = "/dev/shm"
    if not os.path.isdir(other) or os.stat(other).st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("needs a second file system, such as /dev/shm")
    path = shutil.move(pack(MANY), f"{other}/lineal-{os.getpid()}.pack")
    local.put_pack(key_of(MANY[3]), path)
    assert content(local, key_of(MANY[3])) == MANY[3]
    assert not os.path.exists(path)


def test_a_file_on_another_file_system_is_copied(local, tmp_path):
    other = "/dev/shm"
    if not os.path.isdir(other) or os.stat(other).st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("needs a second file system, such as /dev/shm")
    path = os.path.join(other, f"lineal-{os.getpid()}")
    for handover in (Handover.LINK, Handover.TAKE):
        Path(path).write_bytes(b"far")
        try:
            key = put(local, path, b"far", nonce=handover, handover=handover)
            assert content(local, key) == b"far"
            assert os.path.exists(path) == (handover is Handover.LINK)
        finally:
            if os.path.exists(path):
                os.unlink(path)


def socket_at(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))  # since it may have 108 bytes


@pytest.mark.parametrize("make", [os.mkfifo, socket_at, os.mkdir])
@pytest.mark.parametrize("is_packed", [False, True])
def test_a_blob_whose_file_is_another_thing_is_missing_and_nobody_waits(
    local, source, pack, make, is_packed
):
    key = key_of(b"a")
    if is_packed:
        local.put_pack(key, pack([b"a"]))
    else:
        put(local, source(b"a"), b"a")
    path = path_of(local, key)
    os.unlink(path)
    make(path)
    store = LocalStore(local.root)
    with pytest.raises(MissingFile):
        store.open(key)
    with pytest.raises(MissingFile):
        packs.Pack(path)
    list(store.walk())
    assert store.sync([key]) == [None]
    failed = store.delete([key])
    assert len(failed) == (make is os.mkdir and not is_packed)
