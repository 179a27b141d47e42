"""Purge: personal data that must be gone, with proof (TTL-1, DEL-7)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from lineal.blobs.local import LocalStore
from lineal.core.access import Actor, Role
from lineal.core.digest import Key, of_bytes, storage_key
from lineal.core.gc import Amount
from lineal.core.lineage import LineageQuery
from lineal.db import gc as gc_db
from lineal.errors import Conflict, Denied, Gone, Invalid, NotFound
from lineal.service import artifacts, catalog, deletion, lineage_graph, purge, restoring, retention
from lineal.service.instance import Instance
from lineal.service.verify import verify
from tests.conftest import MovableClock
from tests.service.drafts import draft, log, path, send


def test_a_purged_collection_is_gone_with_its_tombstones_content(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    first = log(instance, owner, tmp_path, {"person": b"123"})
    log(instance, owner, tmp_path, {"person": b"4567"})
    deletion.delete_version(instance, owner, first.membership_id, delete_aliases=True)
    proof = purge.purge(instance, owner, path("latest"), all_versions=True)
    assert proof.what == "ana/vision/data"
    assert proof.versions == ("ana/vision/data:v0", "ana/vision/data:v1")
    assert (len(proof.removed), proof.removed_bytes, proof.is_complete) == (2, 7, True)
    assert all(instance.store.size(key) is None for key in proof.removed)
    assert list(instance.store.walk()) == []
    assert list(verify(instance, owner)) == []


def test_the_tombstone_stays_and_cannot_be_restored(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    version = log(instance, owner, tmp_path, {"person": b"123"})
    purge.purge(instance, owner, path("v0"))
    found = catalog.version_by_id(instance, owner, version.id)
    assert (found.name, found.digest, found.deleted_by) == ("data:v0", version.digest, "ana")
    graph = lineage_graph.graph(instance, owner, f"version:{version.id}", LineageQuery())
    assert graph.nodes[0].is_deleted
    with pytest.raises(Gone):
        restoring.restore_version(instance, owner, path("v0"))
    assert log(instance, owner, tmp_path, {"person": b"123"}).number == 1


def test_bytes_in_an_open_draft_stay_and_are_named(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"person": b"123"})
    spec, segments = draft({"person": b"123"}, collection="other")
    begun = artifacts.begin(instance, owner, spec, segments)
    proof = purge.purge(instance, owner, path("latest"))
    assert (proof.is_complete, len(proof.removed)) == (False, 0)
    assert proof.kept[0].needed_by == ("a draft of ana/vision/other",)
    artifacts.commit(instance, owner, begun.draft)
    assert list(verify(instance, owner)) == []


def test_further_copies_of_the_bytes_are_removed_too(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    files = {f"person{number}": b"12%d" % number for number in range(4)}
    spec, segments = draft(files, collection="other")
    lost = artifacts.begin(instance, owner, spec, segments)
    send(instance, owner, lost.draft, files, tmp_path)
    log(instance, owner, tmp_path, files)
    clock.move(days=4)  # a draft lives for three
    assert len(list(instance.store.walk())) == 8
    proof = purge.purge(instance, owner, path("v0"))
    assert (len(proof.removed), proof.removed_bytes, proof.is_complete) == (8, 24, True)
    assert list(instance.store.walk()) == []


def test_what_others_left_in_the_store_is_left_there(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    by_digest = sorted((b"%d" % number for number in range(9)), key=of_bytes)
    person = by_digest.pop(4)
    for other in by_digest:
        instance.store.put_bytes(storage_key(of_bytes(other), "unknown"), other)
    clock.move(days=10_000)  # whoever stored them is done long ago
    log(instance, owner, tmp_path, {"person": person})
    log(instance, owner, tmp_path, {"a": b"another"}, collection="other")
    proof = purge.purge(instance, owner, path("v0"))
    assert (len(proof.removed), proof.kept, proof.is_complete) == (1, (), True)
    assert len(list(instance.store.walk())) == 8 + 1


class StuckStore(LocalStore):
    """A store that cannot delete anything."""

    def delete(self, keys: Iterable[Key]) -> list[tuple[Key, OSError]]:
        return [(key, OSError("no access today")) for key in keys]


def test_what_the_store_does_not_delete_is_named(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    stuck = replace(instance, store=StuckStore(instance.home.blobs))
    log(stuck, owner, tmp_path, {"person": b"123"})
    (file,) = instance.store.walk()
    proof = purge.purge(stuck, owner, path("v0"))
    assert [failure.key for failure in proof.failures] == [file.key]
    assert (proof.is_complete, len(proof.removed), proof.kept) == (False, 0, ())


def test_what_a_deleted_version_needs_that_may_come_back_is_kept(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"person": b"123"})
    other = log(instance, owner, tmp_path, {"person": b"123"}, collection="other")
    deletion.delete_version(instance, owner, other.membership_id, delete_aliases=True)
    proof = purge.purge(instance, owner, path("v0"))
    assert (proof.is_complete, len(proof.removed)) == (False, 0)
    assert [each.needed_by for each in proof.kept] == [("ana/vision/other:v0",)]


def test_bytes_of_an_upload_under_way_are_said_to_be_still_there(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"person": b"123"})
    instance.store.put_bytes(storage_key(of_bytes(b"123"), "running"), b"123")
    proof = purge.purge(instance, owner, path("v0"))
    assert (len(proof.removed), proof.is_complete) == (1, False)
    assert proof.kept[0].needed_by == ("an upload under way",)


def test_a_protected_version_is_purged_only_by_force(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"person": b"123"}, aliases=("prod",))
    retention.protect_aliases(instance, owner, "ana", "vision", ["prod"])
    with pytest.raises(Conflict, match=r"prod.*use force"):
        purge.purge(instance, owner, path("v0"))
    assert catalog.version(instance, owner, path("prod")).number == 0
    assert purge.purge(instance, owner, path("v0"), force=True).is_complete


def test_file_names_are_not_readable_in_the_database_any_more(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    secret = "ada-lovelace-" + "x" * 40
    log(instance, owner, tmp_path, {secret: b"123"})
    log(instance, owner, tmp_path, {"b": b"1"}, collection="other")

    def is_readable() -> bool:
        files = Path(instance.home.root).glob("lineal.db*")
        return any(secret.encode() in file.read_bytes() for file in files)

    assert is_readable(), "a segment names its first path"
    purge.purge(instance, owner, path("latest"), all_versions=True)
    assert not is_readable()


def test_what_cannot_be_purged_is_said(instance: Instance, owner: Actor, tmp_path: Path) -> None:
    version = log(instance, owner, tmp_path, {"a": b"1"})
    catalog.link_version(instance, owner, version.id, path("latest", "models"), ())
    with pytest.raises(Invalid, match="links only"):
        purge.purge(instance, owner, path("latest", "models"), all_versions=True)
    with pytest.raises(NotFound, match="did you mean data"):
        purge.purge(instance, owner, path("latest", "date"), all_versions=True)
    with pytest.raises(NotFound, match="v7"):
        purge.purge(instance, owner, path("v7"))
    for ref in ("latest", "v0"):
        with pytest.raises(Invalid, match=r"models:v0 is a link; purge ana/vision/data:v0, "):
            purge.purge(instance, owner, path(ref, "models"), force=True)


def test_only_who_administers_may_purge(
    instance: Instance, owner: Actor, stranger: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"})
    with pytest.raises(NotFound):
        purge.purge(instance, stranger, path("v0"))
    with pytest.raises(Denied):
        purge.purge(instance, Actor("mel", Role.MEMBER), path("v0"))


def test_which_files_go_is_asked_once_however_many_they_are(
    instance: Instance,
    owner: Actor,
    tmp_path: Path,
    statements: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gc_db, "ROWS_AT_ONCE", 10)
    monkeypatch.setattr(purge, "PAGE", 10)
    files = {f"{number:03}": b"%d" % number for number in range(50)}
    version = log(instance, owner, tmp_path, files)
    keys = sorted(file.key for file in instance.store.walk() if file.key is not None)
    statements.clear()
    proof = purge.purge(instance, owner, path("v0"))
    asked = [each for each in statements if "SELECT" in each and "ORDER BY blobs.digest" in each]
    assert len(asked) == 1
    assert sorted(proof.removed) == keys
    assert (len(keys), proof.removed_bytes) == (50, version.size_bytes)


def test_what_other_versions_need_is_counted_and_the_first_is_named(
    instance: Instance, owner: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "PAGE", 3)
    monkeypatch.setattr(purge, "REPORTED_MOST", 4)
    files = {str(number): b"%d" % number for number in range(10)}
    log(instance, owner, tmp_path, files | {"own": b"own"})
    log(instance, owner, tmp_path, files, collection="other")
    proof = purge.purge(instance, owner, path("v0"))
    assert (len(proof.removed), proof.kept_total) == (1, Amount(10, 10))
    assert [each.needed_by for each in proof.kept] == [("ana/vision/other:v0",)] * 4
