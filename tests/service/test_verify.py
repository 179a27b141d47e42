from __future__ import annotations

import os
import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from lineal.core.access import Actor
from lineal.core.digest import of_bytes
from lineal.core.findings import NONE, Finding, Portion
from lineal.core.records import Lines, RunSpec, Stream
from lineal.db import checks
from lineal.db.blobs import AWAITED
from lineal.db.schema import aliases, blobs, collections, edges, line_chunks, segments
from lineal.errors import IntegrityError
from lineal.service import deletion, gc, history, run_files, runs, transfers
from lineal.service.instance import Instance
from lineal.service.verify import verify
from tests.conftest import MovableClock, stored_blobs
from tests.service.drafts import log


@contextmanager
def no_more_open_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    fillers = [os.open(os.devnull, os.O_RDONLY)]
    while fillers[-1] < highest:
        fillers.append(os.open(os.devnull, os.O_RDONLY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (fillers[-1] + 1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for filler in fillers:
            os.close(filler)


def test_what_cannot_be_read_now_is_named_and_not_given_up_by_a_repair(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"123"})
    assert list(verify(instance, owner)) == []
    with no_more_open_files():
        (finding,) = verify(instance, owner, repair=True)
    assert "cannot be read now" in finding.what
    assert "log the same content again" not in finding.what
    assert list(verify(instance, owner)) == []


def test_what_a_sweep_takes_meanwhile_is_no_damage(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1", "b": b"2"})
    old = log(instance, owner, tmp_path, {"a": b"1", "c": b"3"})
    deletion.delete_version(instance, owner, old.membership_id, delete_aliases=True)
    clock.move(days=8)

    def sweep(_blobs: int, _bytes: int) -> None:
        gc.sweep(instance, owner)  # all that is stored has been looked up by now

    assert list(verify(instance, owner, sweep)) == []


def test_a_pack_is_read_from_its_beginning_to_its_end(
    instance: Instance, owner: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"{number:03}": b"%d" % number * 1000 for number in range(200)}
    log(instance, owner, tmp_path, files, in_pack=True)
    offsets: list[int] = []
    read = os.pread

    def counted(descriptor: int, length: int, offset: int) -> bytes:
        offsets.append(offset)
        return read(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", counted)
    assert list(verify(instance, owner)) == []
    assert len(offsets) < 20


def test_a_damaged_file_of_a_pack_is_named_and_its_neighbours_are_not(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    files = {f"{number:03}": b"%03d" % number * 100 for number in range(50)}
    log(instance, owner, tmp_path, files, in_pack=True)
    (pack,) = Path(instance.home.blobs).rglob("*.pack")
    pack.chmod(0o644)
    pack.write_bytes(pack.read_bytes().replace(b"007", b"700", 1))
    (finding,) = verify(instance, owner)
    assert finding.where == f"{pack}, at byte 2100"
    assert finding.files == ("007 in ana/vision/data:v0",)
    assert "changed on disk" in finding.what


def test_a_part_of_the_bytes_is_read_and_all_of_them_in_as_many_turns(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {f"{number}": b"%d" % number for number in range(20)})
    packed = {f"p{number}": b"packed %d" % number for number in range(20)}
    log(instance, owner, tmp_path, packed, collection="packed", in_pack=True)
    files = [path for path in Path(instance.store.root).rglob("*") if path.is_file()]
    for path in files:
        path.chmod(0o644)
        data = path.read_bytes()
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    assert list(verify(instance, owner, portion=NONE)) == []
    turns = [list(verify(instance, owner, portion=Portion(number, 3))) for number in (1, 2, 3)]
    found = [finding.where for turn in turns for finding in turn]
    assert len(found) == 21  # of the pack the first file is damaged
    assert sorted(found) == sorted(each.where for each in verify(instance, owner))
    assert sum(map(bool, turns)) > 1


def test_without_reading_bytes_a_file_is_missed_or_found_too_short(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1", "b": b"22"})
    packed = {f"p{number}": b"packed %d" % number for number in range(20)}
    log(instance, owner, tmp_path, packed, collection="packed", in_pack=True)
    (pack,) = Path(instance.store.root).rglob("*.pack")
    pack.unlink()
    for path in Path(instance.store.root).rglob("sha256/*/*"):
        path.chmod(0o644)
        if path.read_bytes() == b"1":
            path.unlink()
        else:
            path.write_bytes(b"2")
    found = Counter(finding.what for finding in verify(instance, owner, portion=NONE))
    assert found == {"the bytes are missing": 21, "1 bytes instead of 2": 1}


def test_of_a_pack_that_was_cut_the_file_is_named_that_is_to_be_put_back(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1", "b": b"2"}, in_pack=True)
    log(instance, owner, tmp_path, {"c": b"3"})
    blobs = Path(instance.home.blobs)
    (pack,) = blobs.rglob("*.pack")
    pack.chmod(0o644)
    pack.write_bytes(pack.read_bytes()[:-1])
    instance.store.delete([key for key, _ in stored_blobs(instance.store)])  # but for the pack
    assert sorted(finding.what for finding in verify(instance, owner)) == [
        "the bytes are missing",
        *[f"the bytes are missing; damaged: blobs/{pack.relative_to(blobs)}"] * 2,
    ]


def test_a_segment_that_was_changed_is_named_and_the_rest_is_looked_at(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"})
    version = log(instance, owner, tmp_path, {"b": b"2"})
    with instance.database.writing() as connection:
        (second,) = connection.execute(select(segments.c.content).where(segments.c.id == 2)).one()
        for id, damaged in ((1, second), (2, b"no content")):
            connection.execute(update(segments).where(segments.c.id == id).values(content=damaged))
    found = [finding.invariant for finding in verify(instance, owner)]
    assert found == ["segment matches its digest"] * 2
    heads = transfers.manifest(instance, owner, version.id).segments
    with pytest.raises(IntegrityError):
        list(transfers.read_segments(instance, owner, version.id, heads))


def test_what_is_asked_of_the_database_does_not_grow_with_the_versions(
    instance: Instance, owner: Actor, tmp_path: Path, statements: list[str]
) -> None:
    def asked() -> int:
        statements.clear()
        assert list(verify(instance, owner)) == []
        return len(statements)

    log(instance, owner, tmp_path, {"a": b"first"})
    before = asked()
    for number in range(20):
        log(instance, owner, tmp_path, {"a": b"%d" % number})
    assert asked() == before


def test_runs_that_logged_a_version_and_lines_of_a_history_are_missed(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    keys = [runs.start(instance, owner, RunSpec("ana", "vision", name)).run.key for name in "ab"]
    for key in keys:
        log(instance, owner, tmp_path, {"a": b"1"}, run=key)
        lines = tuple(b'{"_step": %d}' % step for step in range(3))
        streams = Stream.HISTORY, Stream.CONSOLE
        history.append(instance, owner, key, [Lines(each, "w", 0, lines) for each in streams])
    assert list(verify(instance, owner)) == []
    with instance.database.writing() as connection:
        connection.execute(delete(edges).where(edges.c.run_id == keys[0]))
        connection.execute(delete(line_chunks).where(line_chunks.c.run_id == keys[1]))
    assert list(verify(instance, owner)) == [
        Finding("a version has the runs that logged it", "ana/vision/data:v0", "1 of 2 are lost"),
        Finding("a run has its whole history", "ana/vision/b", "0 lines instead of 3"),
    ]


def test_aliases_numbers_and_files_that_are_lost_are_named_with_their_project(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    key = runs.start(instance, owner, RunSpec("ana", "vision", "a")).run.key
    note = tmp_path / "note.txt"
    note.write_bytes(b"said")
    run_files.put(instance, owner, key, [("note.txt", str(note))])
    log(instance, owner, tmp_path, {"a": b"1"})
    with instance.database.writing() as connection:
        connection.execute(delete(aliases))
        connection.execute(update(collections).values(next_number=0))
        connection.execute(update(blobs).where(blobs.c.size_bytes == 4).values(state=AWAITED))
        found = list(checks.violations(connection))
    assert [(invariant, where) for invariant, where, _ in found] == [
        ("a version number is never given twice", "ana/vision/data"),
        ("every move of an alias is recorded", "ana/vision/data"),
        ("a run file has its bytes", "ana/vision/a/note.txt"),
    ]


def test_a_deleted_run_that_gave_up_its_lines_is_whole(
    instance: Instance, owner: Actor, clock: MovableClock
) -> None:
    key = runs.start(instance, owner, RunSpec("ana", "vision", "a")).run.key
    lines = Lines(Stream.HISTORY, "w", 0, (b'{"_step": 0}',))
    history.append(instance, owner, key, [lines])
    deletion.delete_run(instance, owner, key)
    assert list(verify(instance, owner)) == []
    clock.move(days=8)
    gc.sweep(instance, owner)
    assert list(verify(instance, owner)) == []


def test_a_blob_that_is_not_stored_is_named_with_every_version_that_has_it(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1", "b": b"2"})
    log(instance, owner, tmp_path, {"a": b"1", "c": b"3"}, collection="other")
    log(instance, owner, tmp_path, {"c": b"3"}, collection="sound")
    lost = update(blobs).where(blobs.c.digest == of_bytes(b"1")).values(state=AWAITED, nonce=None)
    with instance.database.writing() as connection:
        connection.execute(lost)
        found = list(checks.violations(connection))
    assert sorted(found) == [
        (
            "a committed version references only stored blobs",
            f"ana/vision/{name}:v0",
            f"{of_bytes(b'1')} is awaited",
        )
        for name in ("data", "other")
    ]
