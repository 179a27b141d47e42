"""Where the bytes are: own, shared, pending, orphaned, and all of them (DEL-8)."""

# ruff: noqa: F811 - `instance` of these tests is on SQLite and on PostgreSQL, not the usual one

from __future__ import annotations

from pathlib import Path

import pytest

from lineal.core.access import Actor
from lineal.core.gc import Amount, StorageReport
from lineal.core.records import RunSpec
from lineal.errors import Invalid, NotFound
from lineal.service import artifacts, deletion, gc, run_files, runs, storage, transfers
from lineal.service.instance import Instance
from tests.conftest import MovableClock
from tests.gc.conftest import instance  # noqa: F401 - a fixture
from tests.service.drafts import draft, log, send


def sums(report: StorageReport) -> int:
    return (
        report.own_bytes
        + report.shared_bytes
        + report.pending_bytes
        + report.draft_bytes
        + report.orphaned_bytes
        + report.elsewhere_bytes
    )


def fill(instance: Instance, owner: Actor, clock: MovableClock, folder: Path) -> None:
    """Bytes of every kind, each a power of two."""
    orphan = log(instance, owner, folder, {"o": b"x" * 1}, collection="old")
    deletion.delete_version(instance, owner, orphan.membership_id, delete_aliases=True)
    clock.move(days=8)
    pending = log(instance, owner, folder, {"s": b"x" * 2, "p": b"x" * 4}, collection="one")
    deletion.delete_version(instance, owner, pending.membership_id, delete_aliases=True)
    log(instance, owner, folder, {"s": b"x" * 2, "a": b"x" * 8}, collection="one")
    log(instance, owner, folder, {"s": b"x" * 2}, collection="two")
    log(instance, owner, folder, {"s": b"x" * 2, "b": b"x" * 16}, project="nlp", collection="three")
    run = runs.start(instance, owner, RunSpec("ana", "vision", "r1")).run
    (folder / "out").write_bytes(b"x" * 32)
    run_files.put(instance, owner, run.key, [("out", str(folder / "out"))])
    spec, segments = draft({"d": b"x" * 64}, collection="two")
    begun = artifacts.begin(instance, owner, spec, segments)
    send(instance, owner, begun.draft, {"d": b"x" * 64}, folder)
    uploads = list(transfers.missing_blobs(instance, owner, begun.draft))
    transfers.confirm(instance, owner, begun.draft, uploads)


def rows(report: StorageReport) -> dict[str, tuple[int, int, int]]:
    return {row.name: (row.own_bytes, row.shared_bytes, row.pending_bytes) for row in report.rows}


def test_by_project(instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path) -> None:
    fill(instance, owner, clock, tmp_path)
    report = storage.storage(instance, owner)
    assert rows(report) == {"ana/vision": (8 + 32, 2, 4), "ana/nlp": (16, 2, 0)}
    assert (report.own_bytes, report.shared_bytes, report.pending_bytes) == (56, 2, 4)
    assert (report.draft_bytes, report.orphaned_bytes, report.elsewhere_bytes) == (64, 1, 0)
    assert sums(report) == report.total.size_bytes == 127


def test_files_that_are_no_blobs_are_told_apart_by_whether_they_may_become_some(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    for name in ("killed", "alive"):
        clock.move(hours=40)
        files = {"a": name.encode()}
        spec, segments = draft(files, collection=name)
        send(
            instance, owner, artifacts.begin(instance, owner, spec, segments).draft, files, tmp_path
        )
    clock.move(hours=40)
    report = storage.storage(instance, owner)
    assert (report.strays, report.fresh_strays) == (Amount(1, 6), Amount(1, 5))
    assert report.total == Amount()
    assert gc.sweep(instance, owner).strays == report.strays
    assert storage.storage(instance, owner).strays == Amount()
    assert storage.storage(instance, owner, entity="ana").fresh_strays == Amount()


def test_by_collection(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    fill(instance, owner, clock, tmp_path)
    report = storage.storage(instance, owner, entity="ana", project="vision")
    assert rows(report) == {
        "ana/vision (run files)": (32, 0, 0),
        "ana/vision/one": (8, 2, 4),
        "ana/vision/two": (0, 2, 0),
    }
    assert report.elsewhere_bytes == 16
    assert sums(report) == report.total.size_bytes


def test_by_version(instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path) -> None:
    fill(instance, owner, clock, tmp_path)
    report = storage.storage(instance, owner, entity="ana", project="vision", collection="one")
    assert rows(report) == {"ana/vision/one:v0": (0, 0, 4), "ana/vision/one:v1": (8, 2, 0)}
    assert report.elsewhere_bytes == 16 + 32
    assert sums(report) == report.total.size_bytes


def test_versions_of_equal_size_are_in_the_order_of_their_numbers(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    for number in range(12):
        log(instance, owner, tmp_path, {"a": b"%4d" % number})
    report = storage.storage(instance, owner, entity="ana", project="vision", collection="data")
    expected = [f"ana/vision/data:v{number}" for number in range(12)]
    assert [row.name for row in report.rows] == expected


def test_of_one_entity(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    fill(instance, owner, clock, tmp_path)
    log(instance, owner, tmp_path, {"s": b"x" * 2, "e": b"x" * 128}, entity="eve")
    report = storage.storage(instance, owner, entity="eve")
    assert rows(report) == {"eve/vision": (128, 2, 0)}
    assert sums(report) == report.total.size_bytes == 255


def test_names_must_be_whole_and_exist(
    instance: Instance, owner: Actor, stranger: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"})
    with pytest.raises(Invalid, match="entity"):
        storage.storage(instance, owner, project="vision")
    with pytest.raises(NotFound):
        storage.storage(instance, owner, entity="ana", project="visio")
    with pytest.raises(NotFound):
        storage.storage(instance, stranger)


def test_an_empty_instance_has_no_rows(instance: Instance, owner: Actor) -> None:
    report = storage.storage(instance, owner)
    assert (report.rows, report.total.size_bytes) == ((), 0)
