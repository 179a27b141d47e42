"""The contract of `BlobStore`, for every store there is: a new store adds a fixture, not tests."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import stored_blobs

from lineal import packs
from lineal.blobs.local import LocalStore
from lineal.blobs.store import BlobStore
from lineal.core.digest import Key, of_bytes, storage_key
from lineal.core.records import Handover
from lineal.errors import IntegrityError, MissingFile, SourceChanged, Unavailable

MakeStore = Callable[[Path], BlobStore]

STORES: dict[str, MakeStore] = {
    "local": lambda folder: LocalStore(str(folder / "blobs")),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return STORES[request.param](tmp_path)


@pytest.fixture
def source(tmp_path: Path) -> Callable[[bytes], str]:
    numbers = iter(range(1000))

    def write(data: bytes) -> str:
        path = tmp_path / f"source{next(numbers)}"
        path.write_bytes(data)
        return str(path)

    return write


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


SIZES = [0, 1, 1000, (1 << 20) + 1, 9 << 20]


@pytest.mark.parametrize("handover", Handover)
@pytest.mark.parametrize("size", SIZES)
def test_what_was_put_is_read_back_whole(store, source, handover, size):
    data = os.urandom(size)
    key = put(store, source(data), data, handover=handover)
    assert content(store, key) == data
    assert store.size(key) == size


def test_a_source_that_may_not_be_taken_stays(store, source):
    path = source(b"mine")
    put(store, path, b"mine")
    assert Path(path).read_bytes() == b"mine"


def test_a_source_that_may_be_taken_is_gone(store, source):
    path = source(b"yours")
    put(store, path, b"yours", handover=Handover.TAKE)
    assert not os.path.exists(path)


def test_later_changes_of_a_copied_source_do_not_reach_the_store(store, source):
    path = source(b"before")
    key = put(store, path, b"before")
    Path(path).write_bytes(b"after!")
    assert content(store, key) == b"before"


def test_bytes_without_the_promised_digest_are_refused(store, source):
    with pytest.raises(SourceChanged):
        store.put(key_of(b"promised"), source(b"actually"), size=8)
    assert store.size(key_of(b"promised")) is None
    assert stored_blobs(store) == []


def test_bytes_of_another_size_are_refused(store, source):
    with pytest.raises(SourceChanged):
        store.put(key_of(b"abc"), source(b"abc"), size=4)
    assert store.size(key_of(b"abc")) is None


def test_a_refused_put_leaves_nothing_behind(store, source):
    with pytest.raises(SourceChanged):
        store.put(key_of(b"promised"), source(b"actually"), size=8)
    assert not_blobs(store) == []


@pytest.mark.parametrize("handover", Handover)
def test_a_source_that_vanished_is_named(store, tmp_path, handover):
    gone = str(tmp_path / "gone")
    with pytest.raises(MissingFile, match="gone"):
        put(store, gone, b"x", handover=handover)
    assert store.size(key_of(b"x")) is None


def test_an_existing_key_is_left_alone(store, source):
    key = put(store, source(b"data"), b"data")
    path = source(b"evil")
    store.put(key, path, size=4, handover=Handover.TAKE)
    assert content(store, key) == b"data"
    assert not os.path.exists(path)


def test_putting_bytes_again_changes_nothing(store):
    store.put_bytes(key_of(b"small"), b"small")
    store.put_bytes(key_of(b"small"), b"small")
    assert content(store, key_of(b"small")) == b"small"
    assert len(stored_blobs(store)) == 1


def test_bytes_must_have_the_digest_of_their_key(store):
    with pytest.raises(SourceChanged):
        store.put_bytes(key_of(b"one"), b"two")
    assert store.size(key_of(b"one")) is None


def test_the_same_content_under_two_nonces_is_two_blobs(store, source):
    one, two = put(store, source(b"d"), b"d", "n1"), put(store, source(b"d"), b"d", "n2")
    store.delete([one])
    assert store.size(one) is None
    assert content(store, two) == b"d"


def test_a_missing_key_has_no_size_and_cannot_be_opened(store):
    assert store.size(key_of(b"nothing")) is None
    with pytest.raises(MissingFile, match="does not exist"):
        store.open(key_of(b"nothing"))


def test_deleting_what_is_missing_is_no_error(store, source):
    key = put(store, source(b"x"), b"x")
    assert store.delete([key, key_of(b"never there"), key]) == []
    assert store.size(key) is None


def test_a_walk_yields_every_key_with_its_size(store, source):
    wanted = {put(store, source(data), data): len(data) for data in (b"", b"a", b"bb", b"ccc")}
    assert dict(stored_blobs(store)) == wanted
    assert not_blobs(store) == []


def test_a_walk_tells_when_a_blob_was_stored(store, source):
    before = time.time()
    put(store, source(b"x"), b"x")
    [file] = store.walk()
    assert before - 2 <= file.modified_at <= time.time() + 2  # whole seconds in some stores


def test_an_empty_store_walks_nothing(store):
    assert stored_blobs(store) == []
    assert not_blobs(store) == []


@pytest.mark.parametrize("count", [0, 1, 40])
def test_sync_returns_for_few_and_many_keys(store, source, count):
    keys = [put(store, source(bytes([i])), bytes([i])) for i in range(count)]
    assert store.sync(keys) == [1] * count


def test_a_local_path_if_there_is_one_holds_the_bytes(store, source):
    key = put(store, source(b"here"), b"here")
    (place,) = store.places([key])
    assert place is None or Path(place.path).read_bytes() == b"here"


# --- packs ---------------------------------------------------------------------------------------

MANY = [bytes([n]) * n for n in range(40)]


@pytest.fixture
def pack(tmp_path: Path) -> Callable[[list[bytes]], str]:
    numbers = iter(range(1000))

    def write(contents: list[bytes]) -> str:
        writer = packs.Writer(str(tmp_path / f"pack{next(numbers)}"))
        for data in contents:
            writer.add(hashlib.sha256(data).digest(), data)
        writer.seal()
        return writer.path

    return write


def test_what_came_in_a_pack_is_read_back_whole(store, pack):
    assert set(store.put_pack(key_of(MANY[7]), pack(MANY))) == {of_bytes(data) for data in MANY}
    keys = [key_of(data) for data in MANY]
    assert [content(store, key) for key in keys] == MANY
    assert store.sync(keys) == [len(data) for data in MANY]
    assert dict(stored_blobs(store)) == {
        key: len(data) for key, data in zip(keys, MANY, strict=True)
    }


def test_a_pack_stores_under_its_own_nonce_only(store, pack):
    store.put_pack(key_of(b"a"), pack([b"a"]))
    assert store.sync([key_of(b"a", "n2"), key_of(b"a")]) == [None, 1]


def test_a_pack_that_was_taken_is_gone(store, pack):
    path = pack(MANY)
    store.put_pack(key_of(MANY[0]), path)
    assert not os.path.exists(path)


def test_a_pack_that_was_taken_may_be_sent_again(store, pack):
    path = pack(MANY)
    first = store.put_pack(key_of(MANY[0]), path)
    assert store.put_pack(key_of(MANY[5]), path) == first
    with pytest.raises(MissingFile):
        store.put_pack(key_of(b"not in it"), path)


def test_several_packs_and_loose_files_share_a_nonce(store, pack, source):
    store.put_pack(key_of(b"a"), pack([b"a", b"b"]))
    store.put_pack(key_of(b"c"), pack([b"c"]))
    put(store, source(b"loose"), b"loose")
    expected = [b"c", b"loose", b"a", b"b"]
    assert [content(store, key_of(data)) for data in expected] == expected


def test_what_two_packs_hold_is_deleted_from_both(store, pack):
    store.put_pack(key_of(b"a"), pack([b"a", b"b"]))
    store.put_pack(key_of(b"a"), pack([b"a", b"c"]))
    assert list(store.delete([key_of(b"a")])) == []
    assert store.size(key_of(b"a")) is None
    assert sorted(file.key for file in store.packed("n1")) == sorted(map(key_of, (b"b", b"c")))


def test_a_pack_without_the_promised_blob_is_refused(store, pack):
    with pytest.raises(IntegrityError):
        store.put_pack(key_of(b"promised"), pack([b"actually"]))
    assert list(store.walk()) == []


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"", lambda data: b"x"])
def test_what_is_no_pack_is_refused(store, pack, damage):
    path = Path(pack([b"a"]))
    path.chmod(0o644)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(IntegrityError):
        store.put_pack(key_of(b"a"), str(path))
    assert list(store.walk()) == []


def test_what_packs_brought_under_a_nonce_is_told(store, pack, source):
    put(store, source(b"alone"), b"alone")
    store.put_pack(key_of(b"a"), pack([b"a", b"b"]))
    store.put_pack(key_of(b"c", "n2"), pack([b"c"]))
    assert {file.key for file in store.packed("n1")} == {key_of(b"a"), key_of(b"b")}
    assert {file.key for file in store.packed("n2")} == {key_of(b"c", "n2")}
    assert list(store.packed("n3")) == []


def test_a_blob_deleted_from_a_pack_is_gone_and_the_others_stay(store, pack):
    store.put_pack(key_of(MANY[0]), pack(MANY))
    gone, left = MANY[5:10], MANY[:5] + MANY[10:]
    assert store.delete([key_of(data) for data in gone]) == []
    assert store.sync([key_of(data) for data in gone]) == [None] * 5
    assert [content(store, key_of(data)) for data in left] == left
    assert set(dict(stored_blobs(store))) == {key_of(data) for data in left}
    with pytest.raises(MissingFile):
        store.open(key_of(gone[0]))
    assert store.delete([key_of(data) for data in gone]) == []


@pytest.mark.parametrize("pack_first", [True, False])
def test_a_blob_that_came_both_ways_is_deleted_whole(store, pack, source, pack_first):
    if pack_first:
        store.put_pack(key_of(b"a"), pack([b"a", b"b"]))
    put(store, source(b"a"), b"a")
    store.put_bytes(key_of(b"a"), b"a")
    if not pack_first:
        store.put_pack(key_of(b"a"), pack([b"a", b"b"]))
    assert content(store, key_of(b"a")) == b"a"
    assert store.delete([key_of(b"a")]) == []
    assert dict(stored_blobs(store)) == {key_of(b"b"): 1}


def test_a_pack_goes_with_its_last_blob(store, pack):
    store.put_pack(key_of(MANY[0]), pack(MANY))
    store.delete([key_of(data) for data in MANY[::2]])
    store.delete([key_of(data) for data in MANY[1::2]])
    assert list(store.walk()) == []


# --- what only a folder can do ------------------------------------------------------------------


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
    assert list(dict(stored_blobs(local))) == [key]
    assert not_blobs(local) == [("README", 5, False), ("parts/abc", 4, True)]


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
    assert [(file.size, file.key) for file in fresh.walk()] == [(10, None)]


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
