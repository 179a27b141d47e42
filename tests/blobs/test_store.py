"""The contract of `BlobStore`, for every store there is: a new store adds a fixture, not tests."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.blobs.storing import MANY, content, key_of, not_blobs, put
from tests.conftest import stored_blobs

from lineal.blobs.local import LocalStore
from lineal.blobs.store import BlobStore
from lineal.core.digest import of_bytes
from lineal.core.transfers import Handover
from lineal.errors import IntegrityError, MissingFile, SourceChanged

MakeStore = Callable[[Path], BlobStore]

STORES: dict[str, MakeStore] = {
    "local": lambda folder: LocalStore(str(folder / "blobs")),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return STORES[request.param](tmp_path)


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
