"""Plain files of runs (RUN-28)."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, update

from lineal.core.access import Actor, Role
from lineal.core.digest import Digest, Key, of_bytes, storage_key
from lineal.core.records import PageRequest, RunFileRecord, RunKey, RunRecord, RunSpec
from lineal.db import run_files as run_files_db
from lineal.db.schema import blobs
from lineal.errors import (
    Denied,
    Gone,
    HostilePath,
    Invalid,
    MissingFile,
    NotFound,
    RunNotFoundError,
    SourceChanged,
)
from lineal.files.copying import copy_and_hash
from lineal.files.reading import Hashed, Piece, Source
from lineal.packs import Pack
from lineal.service import deletion, run_files, runs
from lineal.service.instance import Instance
from tests.conftest import stored_blobs

FIRST = PageRequest(50)
CONDEMNED = {"state": "condemned", "condemned_at": datetime(2026, 1, 1, tzinfo=UTC)}


@pytest.fixture
def run(instance: Instance, owner: Actor) -> RunRecord:
    return runs.start(instance, owner, RunSpec("ana", "p", "r1")).run


def written(name: str, text: str) -> str:
    Path(name).write_text(text)
    return name


def put(instance: Instance, owner: Actor, run: RunRecord, *files: str) -> list[RunFileRecord]:
    return run_files.put(instance, owner, run.key, [(name, name) for name in files])


def listed(instance: Instance, owner: Actor, run: RunRecord) -> list[str]:
    return [file.path for file in run_files.files(instance, owner, run.key, FIRST).items]


def content(instance: Instance, file: RunFileRecord) -> bytes:
    with instance.database.reading() as connection:
        live = select(blobs).where(blobs.c.digest == file.digest, blobs.c.state == "stored")
        row = connection.execute(live).one()
    with instance.store.open(storage_key(file.digest, row.nonce)) as stream:
        return stream.read()


def test_files_are_stored_and_listed_by_path(
    instance: Instance, owner: Actor, run: RunRecord
) -> None:
    source = written("source.txt", "hello")
    files = [("b/config.yaml", source), ("a.txt", written("other", "x"))]
    stored = run_files.put(instance, owner, run.key, files)
    assert [file.path for file in stored] == ["b/config.yaml", "a.txt"]
    assert (stored[0].digest, stored[0].size) == (of_bytes(b"hello"), 5)
    assert content(instance, stored[0]) == b"hello"
    page = run_files.files(instance, owner, run.key, PageRequest(1))
    assert ([file.path for file in page.items], page.total) == (["a.txt"], 2)
    page = run_files.files(instance, owner, run.key, PageRequest(1, page.cursor))
    assert ([file.path for file in page.items], page.cursor) == (["b/config.yaml"], None)
    assert Path(source).read_text() == "hello"


def test_only_the_names_asked_for_are_listed(
    instance: Instance, owner: Actor, run: RunRecord
) -> None:
    put(instance, owner, run, written("a", "1"), written("b", "2"), written("c", "3"))
    page = run_files.files(instance, owner, run.key, FIRST, names=["c", "a", "absent"])
    assert ([file.path for file in page.items], page.total) == (["a", "c"], 2)


def test_only_what_is_like_the_pattern_is_listed(
    instance: Instance, owner: Actor, run: RunRecord
) -> None:
    written("x", "1")
    files = [(name, "x") for name in ("a.png", "b/A.PNG", "a%.txt", "a_png", "a\\b")]
    run_files.put(instance, owner, run.key, files)

    def like(pattern: str) -> list[str]:
        page = run_files.files(instance, owner, run.key, FIRST, pattern=pattern)
        assert page.total == len(page.items)
        return [file.path for file in page.items]

    assert like("%.png") == ["a.png", "b/A.PNG"]
    assert like("a_png") == ["a.png", "a_png"]
    assert like("a\\_png") == ["a_png"]
    assert like("a\\%%") == ["a%.txt"]
    assert like("a\\\\%") == like("a\\\\b") == ["a\\b"]
    assert len(like("")) == 5
    with pytest.raises(Invalid, match="backslash"):
        like("a\\")


def test_the_last_write_wins(instance: Instance, owner: Actor, run: RunRecord) -> None:
    put(instance, owner, run, written("a", "one"))
    [file] = put(instance, owner, run, written("a", "two"))
    assert content(instance, file) == b"two"
    assert listed(instance, owner, run) == ["a"]


def test_an_unchanged_file_is_not_stored_again(
    instance: Instance, owner: Actor, run: RunRecord
) -> None:
    first = put(instance, owner, run, written("a", "same"))
    keys = stored_blobs(instance.store)
    assert put(instance, owner, run, "a") == first
    put(instance, owner, run, written("b", "same"))
    assert stored_blobs(instance.store) == keys
    assert os.listdir(instance.home.staging) == []


def packs_of(instance: Instance) -> list[Path]:
    return list(Path(instance.home.blobs).glob("packs/*/*.pack"))


def test_many_small_files_share_one(instance: Instance, owner: Actor, run: RunRecord) -> None:
    put(instance, owner, run, written("known", "content 0"))
    names = [written(f"f{i}", f"content {i}") for i in range(50)] + [written("same", "content 1")]
    large = written("large", "x" * (instance.pack_files_up_to + 1))
    stored = put(instance, owner, run, *names, large, written("empty", ""))
    assert [content(instance, file) for file in stored[:50]] == [
        b"content %d" % i for i in range(50)
    ]
    assert [file.size for file in stored[50:]] == [9, instance.pack_files_up_to + 1, 0]
    [pack] = packs_of(instance)
    assert len(Pack(str(pack)).places()) == 50  # 49 that were not known, and the empty one
    assert len(list(Path(instance.home.blobs, "sha256").glob("*/*"))) == 2
    assert os.listdir(instance.home.staging) == []


def test_few_files_are_files_of_their_own(instance: Instance, owner: Actor, run: RunRecord) -> None:
    put(instance, owner, run, *(written(f"f{i}", str(i)) for i in range(run_files.PACK_LEAST - 1)))
    assert packs_of(instance) == []


def test_files_share_none_where_packs_are_switched_off(
    instance: Instance, owner: Actor, run: RunRecord
) -> None:
    without = replace(instance, pack_files_up_to=0)
    stored = put(without, owner, run, *(written(f"f{i}", str(i or "")) for i in range(9)))
    assert [content(instance, file) for file in stored][:2] == [b"", b"1"]
    assert packs_of(instance) == []


@pytest.mark.parametrize("count", [1, 9])
def test_pieces_of_a_file_are_stored(
    instance: Instance, owner: Actor, run: RunRecord, count: int
) -> None:
    whole = written("whole", "".join(f"{i:03}" for i in range(count)))
    files = [(f"f{i}", Piece(whole, 3 * i, 3)) for i in range(count)]
    stored = run_files.put(instance, owner, run.key, files)
    assert [content(instance, file) for file in stored] == [b"%03d" % i for i in range(count)]
    with pytest.raises(SourceChanged, match="ends at"):
        run_files.put(instance, owner, run.key, [("f0", Piece(whole, 3 * count - 1, 3))])


def test_what_cannot_be_read_leaves_no_half_pack(
    instance: Instance, owner: Actor, run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [written(f"f{i}", str(i)) for i in range(9)]
    hashed = run_files._hashed

    def hash_and_lose(source: Source) -> Digest:
        found = hashed(source)
        if source == "f8":
            os.unlink("f8")
        return found

    monkeypatch.setattr(run_files, "_hashed", hash_and_lose)
    with pytest.raises(MissingFile):
        put(instance, owner, run, *names)
    assert listed(instance, owner, run) == []
    assert os.listdir(instance.home.staging) == []


def test_content_that_was_condemned_is_stored_anew(
    instance: Instance, owner: Actor, run: RunRecord
) -> None:
    put(instance, owner, run, written("a", "text"))
    with instance.database.writing() as connection:
        connection.execute(update(blobs).values(CONDEMNED))
    put(instance, owner, run, "a")
    assert len(stored_blobs(instance.store)) == 2


def test_content_that_is_condemned_while_other_content_is_sent_costs_neither(
    instance: Instance, owner: Actor, run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert of_bytes(b"new") < of_bytes(b"condemned")  # so that its row would come first
    put(instance, owner, run, written("b", "condemned"))
    sync = instance.store.sync

    def condemn(keys: Sequence[Key]) -> list[int | None]:
        with instance.database.writing() as connection:
            connection.execute(update(blobs).values(CONDEMNED))
        monkeypatch.setattr(instance.store, "sync", sync)
        return sync(keys)

    monkeypatch.setattr(instance.store, "sync", condemn)
    stored = put(instance, owner, run, written("a", "new"), "b")
    assert [content(instance, file) for file in stored] == [b"new", b"condemned"]


def test_equal_files_in_one_call_share_their_bytes(
    instance: Instance, owner: Actor, run: RunRecord
) -> None:
    put(instance, owner, run, written("a", "same"), written("b", "same"))
    assert len(stored_blobs(instance.store)) == 1


def test_a_path_given_twice_takes_the_last_file(
    instance: Instance, owner: Actor, run: RunRecord
) -> None:
    files = [("x", written("a", "1")), ("x", written("b", "2"))]
    stored = run_files.put(instance, owner, run.key, files)
    assert [content(instance, file) for file in stored] == [b"2", b"2"]


def test_a_file_that_grows_between_two_reads_is_stored_as_it_is_then(
    instance: Instance, owner: Actor, run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    written("log", "one line")
    copy = copy_and_hash

    def grow_first(source: str, target: str) -> Hashed:
        written("log", "one line and another")
        return copy(source, target)

    monkeypatch.setattr(run_files, "copy_and_hash", grow_first)
    [file] = put(instance, owner, run, "log")
    assert content(instance, file) == b"one line and another"


@pytest.mark.parametrize("size", [1, 5_000_000])
def test_a_log_that_never_rests_is_stored_as_far_as_it_went(
    instance: Instance, owner: Actor, run: RunRecord, size: int
) -> None:
    over = threading.Event()
    written("log", "x" * size)

    def grow() -> None:
        with open("log", "a") as log:
            while not over.is_set():
                log.write("x" * 100)
                log.flush()

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        [file] = put(instance, owner, run, "log")
    finally:
        over.set()
        writer.join()
    stored = content(instance, file)
    assert set(stored) == {ord("x")}
    assert size <= len(stored) == file.size <= os.path.getsize("log")
    assert os.listdir(instance.home.staging) == []


def test_one_bad_file_leaves_all_paths_as_they_were(
    instance: Instance, owner: Actor, run: RunRecord
) -> None:
    with pytest.raises(MissingFile, match="absent"):
        put(instance, owner, run, written("a", "1"), "absent")
    with pytest.raises(HostilePath):
        run_files.put(instance, owner, run.key, [("a", "a"), ("../b", "a")])
    assert listed(instance, owner, run) == []


def test_a_deleted_file_is_gone_from_the_list(
    instance: Instance, owner: Actor, run: RunRecord
) -> None:
    put(instance, owner, run, written("config.yaml", "1"), written("b", "2"))
    run_files.delete(instance, owner, run.key, "b")
    assert listed(instance, owner, run) == ["config.yaml"]
    with pytest.raises(NotFound, match=r"ana/p/r1 has no file config.yml; did you mean config"):
        run_files.delete(instance, owner, run.key, "config.yml")


def test_files_of_a_run_can_be_located_by_it_alone(
    instance: Instance, owner: Actor, run: RunRecord
) -> None:
    other = runs.start(instance, owner, RunSpec("ana", "p", "r2")).run
    [file] = put(instance, owner, run, written("a", "1"))
    with instance.database.reading() as connection:
        [(digest, size, nonce)] = run_files_db.stored(connection, run.key, [file.digest])
        assert run_files_db.stored(connection, other.key, [file.digest]) == []
    assert (digest, size) == (file.digest, 1)
    assert instance.store.size(storage_key(digest, nonce)) == 1


def test_unknown_and_deleted_runs_hold_no_files(
    instance: Instance, owner: Actor, run: RunRecord
) -> None:
    written("a", "1")
    for key, error in ((RunKey(99), RunNotFoundError), (run.key, Gone)):
        if error is Gone:
            deletion.delete_run(instance, owner, run.key)
        for call in (
            lambda key=key: run_files.put(instance, owner, key, [("a", "a")]),
            lambda key=key: run_files.files(instance, owner, key, FIRST),
            lambda key=key: run_files.delete(instance, owner, key, "a"),
        ):
            with pytest.raises(error):
                call()
    assert stored_blobs(instance.store) == []


def test_rights_are_asked_for(instance: Instance, stranger: Actor, run: RunRecord) -> None:
    viewer = Actor("vic", Role.VIEWER)
    run_files.files(instance, viewer, run.key, FIRST)
    for actor, error in ((stranger, NotFound), (viewer, Denied)):
        with pytest.raises(error):
            run_files.put(instance, actor, run.key, [])
        with pytest.raises(error):
            run_files.delete(instance, actor, run.key, "a")
    with pytest.raises(NotFound):
        run_files.files(instance, stranger, run.key, FIRST)


def test_a_page_of_nothing_is_refused(instance: Instance, owner: Actor, run: RunRecord) -> None:
    with pytest.raises(Invalid):
        run_files.files(instance, owner, run.key, PageRequest(0))
