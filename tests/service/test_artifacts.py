"""Begin, send, commit: what becomes visible, and when."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from lineal.core import limits, names
from lineal.core.access import Actor
from lineal.core.findings import STORED_BYTES, Finding
from lineal.core.records import (
    CollectionQuery,
    EdgeKind,
    PageRequest,
    RunKey,
    RunSpec,
    VersionQuery,
)
from lineal.db import versions as versions_db
from lineal.errors import (
    Conflict,
    Gone,
    IntegrityError,
    Invalid,
    NotFound,
    RunNotFoundError,
    Superseded,
)
from lineal.service import (
    artifacts,
    catalog,
    deletion,
    lineage,
    projects,
    restoring,
    runs,
    transfers,
)
from lineal.service.instance import Instance
from lineal.service.verify import verify
from tests.conftest import MovableClock, stored_blobs
from tests.service.drafts import ONE, Files, commit, draft, findings, log, path, send


def test_first_log_of_a_name_makes_v0_and_each_change_the_next(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    first = log(instance, owner, tmp_path, {"a": b"1"})
    second = log(instance, owner, tmp_path, {"a": b"2"})
    assert (first.name, second.name) == ("data:v0", "data:v1")
    assert catalog.version(instance, owner, path("latest")).number == 1
    assert findings(instance, owner) == []


def test_content_of_any_earlier_version_is_reused_and_latest_moves_back(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"})
    log(instance, owner, tmp_path, {"a": b"2"})
    again = commit(instance, owner, tmp_path, {"a": b"1"}, aliases=("best",))
    assert again.version is not None
    assert (again.is_new, again.version.number) == (False, 0)
    assert again.version.aliases == ("best", "latest")


def test_every_run_that_logs_the_same_content_is_a_producer(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    keys = [
        runs.start(instance, owner, RunSpec("ana", "vision", f"run{n}")).run.key for n in range(3)
    ]
    versions = [log(instance, owner, tmp_path, {"a": b"1"}, run=key) for key in keys]
    assert len({version.id for version in versions}) == 1
    producers = lineage.runs_of(
        instance, owner, versions[0].id, EdgeKind.LOGGED, PageRequest()
    ).items
    assert [run.run_id for run in producers] == ["run0", "run1", "run2"]


def test_nothing_is_visible_before_commit(instance: Instance, owner: Actor, tmp_path: Path) -> None:
    spec, segments = draft({"a": b"1"})
    begun = artifacts.begin(instance, owner, spec, segments)
    send(instance, owner, begun.draft, {"a": b"1"}, tmp_path)
    with pytest.raises(NotFound):
        catalog.version(instance, owner, path("latest"))
    require_invisible(instance, owner)


def require_invisible(instance: Instance, owner: Actor) -> None:
    query = CollectionQuery("ana", "vision")
    assert catalog.collections(instance, owner, query, PageRequest()).items == ()
    with pytest.raises(NotFound, match="none is there yet"):
        catalog.versions(instance, owner, VersionQuery("ana", "vision", "data"), PageRequest())


def test_commit_is_refused_while_a_blob_is_missing(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    spec, segments = draft({"a": b"1", "b": b"2"})
    begun = artifacts.begin(instance, owner, spec, segments)
    send(instance, owner, begun.draft, {"a": b"1", "b": b"2"}, tmp_path)
    uploads = list(transfers.missing_blobs(instance, owner, begun.draft))
    instance.store.delete([uploads[0].key])
    with pytest.raises(Conflict, match=r"not\s+stored"):
        artifacts.commit(instance, owner, begun.draft)


def test_commit_is_refused_while_a_segment_is_missing(instance: Instance, owner: Actor) -> None:
    spec, segments = draft({"a": b"1"})
    begun = artifacts.begin(instance, owner, spec)
    assert begun.missing_segments == (segments[0].head.digest,)
    assert artifacts.begin(instance, owner, spec) == begun
    with pytest.raises(Conflict):
        artifacts.commit(instance, owner, begun.draft)


def test_begin_and_commit_may_be_repeated(instance: Instance, owner: Actor, tmp_path: Path) -> None:
    spec, segments = draft({"a": b"1"})
    begun = artifacts.begin(instance, owner, spec, segments)
    for sent in (segments, []):
        again = artifacts.begin(instance, owner, spec, sent)
        assert (again.draft, again.missing_segments) == (begun.draft, ())
    send(instance, owner, begun.draft, {"a": b"1"}, tmp_path)
    first = artifacts.commit(instance, owner, begun.draft)
    second = artifacts.commit(instance, owner, begun.draft)
    assert first.version == second.version
    third = artifacts.begin(instance, owner, spec, segments)
    assert third.version == first.version


def test_an_interrupted_upload_sends_only_what_was_not_confirmed(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    files = {f"f{n}": b"%d" % n for n in range(10)}
    spec, segments = draft(files)
    begun = artifacts.begin(instance, owner, spec, segments)
    send(instance, owner, begun.draft, files, tmp_path)
    sent = list(transfers.missing_blobs(instance, owner, begun.draft))[:6]
    transfers.confirm(instance, owner, begun.draft, sent)
    again, segments = draft(files)
    second = artifacts.begin(instance, owner, again, segments)
    assert len(list(transfers.missing_blobs(instance, owner, second.draft))) == 4


def test_two_drafts_of_the_same_content_become_one_version(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    files = {"a": b"1", "b": b"22"}
    begun = []
    for _ in range(2):
        spec, segments = draft(files)
        begun.append(artifacts.begin(instance, owner, spec, segments).draft)
    for each in begun:
        send(instance, owner, each, files, tmp_path)
    first, second = (artifacts.commit(instance, owner, each) for each in begun)
    assert first.version is not None
    assert second.version is not None
    assert (first.is_new, second.is_new) == (True, False)
    assert first.version.id == second.version.id
    assert findings(instance, owner) == []


def test_an_expired_draft_cannot_be_committed(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    spec, segments = draft({"a": b"1"})
    begun = artifacts.begin(instance, owner, spec, segments)
    clock.move(days=4)
    with pytest.raises(Gone, match=r"expired on [\d-]{10} \d\d:\d\d UTC; log it again"):
        artifacts.commit(instance, owner, begun.draft)


def test_another_type_under_the_same_name_is_refused_naming_both(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"})
    other, segments = draft({"a": b"2"}, type="model")
    for call in (artifacts.begin, artifacts.check_collection):
        with pytest.raises(Invalid, match="`dataset`, not `model`"):
            call(instance, owner, other)
    artifacts.check_collection(instance, owner, other._replace(type="dataset"))
    artifacts.check_collection(instance, owner, other._replace(collection="new"))
    collection = catalog.collection(instance, owner, "ana", "vision", "data")
    deletion.delete_collection(instance, owner, collection.id)
    with pytest.raises(Invalid, match="also now that it is deleted"):
        artifacts.begin(instance, owner, other, segments)


def test_new_version_on_request_even_without_a_change(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"})
    again = log(instance, owner, tmp_path, {"a": b"1"}, on_unchanged="new_version")
    assert again.number == 1


def test_of_several_with_the_same_content_the_newest_is_reused(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    for number in range(2):
        made = log(instance, owner, tmp_path, {"a": b"1"}, on_unchanged="new_version")
        assert made.number == number
    again = log(instance, owner, tmp_path, {"a": b"1"})
    assert (again.number, again.aliases) == (1, ("latest",))


def test_a_version_has_what_its_draft_asked_for_and_tags_of_later_ones(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    asked = {"description": "d", "metadata": {"k": 1}, "history_step": 7, "ttl_seconds": 60}
    made = log(instance, owner, tmp_path, ONE, aliases=("prod",), tags=("b", "a"), **asked)
    found = catalog.version(instance, owner, path("prod"))
    assert found == made
    assert {name: getattr(found, name) for name in asked} == asked
    assert (found.aliases, found.tags) == (("latest", "prod"), ("a", "b"))
    again = log(instance, owner, tmp_path, ONE, tags=("c", "a"), description="other")
    assert (again.tags, again.description) == (("a", "b", "c"), "d")


def test_metadata_of_unchanged_content_is_updated_on_request_only(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"}, metadata={"k": 1})
    kept = log(instance, owner, tmp_path, {"a": b"1"}, metadata={"k": 2})
    assert kept.metadata == {"k": 1}
    changed = log(
        instance, owner, tmp_path, {"a": b"1"}, metadata={"k": 3}, on_unchanged="update_metadata"
    )
    assert (changed.number, changed.metadata) == (0, {"k": 3})


@pytest.mark.parametrize("value", ["abc", "1.5", 1.5, [1], None])
def test_metadata_that_looks_like_stored_nan_comes_back_as_it_was(
    instance: Instance, owner: Actor, tmp_path: Path, value: object
) -> None:
    metadata = {"x": {"$float": value}, "$float": value}
    assert log(instance, owner, tmp_path, {"a": b"1"}, metadata=metadata).metadata == metadata


def test_an_empty_artifact_is_a_version(instance: Instance, owner: Actor, tmp_path: Path) -> None:
    version = log(instance, owner, tmp_path, {})
    assert (version.entry_count, version.size_bytes) == (0, 0)


def test_what_adds_to_the_latest_version_is_refused_once_there_is_another(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    spec, segments = draft(ONE, on_latest=True)
    begun = artifacts.begin(instance, owner, spec, segments)
    send(instance, owner, begun.draft, ONE, tmp_path)
    other = log(instance, owner, tmp_path, {"other": b"o"}, on_latest=True)
    with pytest.raises(Superseded):
        artifacts.commit(instance, owner, begun.draft)
    assert catalog.version(instance, owner, path("latest")).id == other.id

    both = ONE | {"other": b"o"}
    spec, segments = draft(both, base=other.id, on_latest=True)
    begun = artifacts.begin(instance, owner, spec, segments)
    assert begun.uploads == ()  # what the refused attempt sent is stored
    assert artifacts.commit(instance, owner, begun.draft).is_new
    with pytest.raises(Superseded):  # also where nothing would have to be sent
        artifacts.begin(instance, owner, *draft(ONE | {"other": b"o"}, on_latest=True))
    assert findings(instance, owner) == []


def test_what_adds_to_nothing_makes_a_version_where_all_others_are_deleted(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    gone = log(instance, owner, tmp_path, ONE)
    deletion.delete_version(instance, owner, gone.membership_id, delete_aliases=True)
    assert log(instance, owner, tmp_path, {"b": b"2"}, on_latest=True).number == 1


def test_who_logged_the_base_of_a_version_did_not_log_the_version(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    first, second = (
        runs.start(instance, owner, RunSpec("ana", "vision", name)).run.key for name in ("a", "b")
    )
    base = log(instance, owner, tmp_path, ONE, run=first)
    made = log(instance, owner, tmp_path, {"b": b"2"}, run=second, base=base.id)
    page = lineage.runs_of(instance, owner, made.id, EdgeKind.LOGGED, PageRequest())
    assert [run.run_id for run in page.items] == ["b"]


@pytest.mark.parametrize(
    "changes",
    [
        {"entity": "a/b"},
        {"project": "a/b"},
        {"collection": "a/b"},
        {"type": ""},
        {"aliases": ("a/b",)},
        {"tags": ("",)},
        {"metadata": {"x": "x" * limits.METADATA_MAX_BYTES}},
        {"ttl_seconds": -1},
        {"ttl_seconds": 60, "type": names.HISTORY_TYPE},
        {"number": -1},
        {"number": artifacts.NUMBER_MAX + 1},
        {"on_unchanged": "whatever"},
    ],
)
def test_a_draft_that_cannot_be_is_refused_before_anything_is_recorded(
    instance: Instance, owner: Actor, changes: dict[str, object]
) -> None:
    with pytest.raises(Invalid):
        artifacts.begin(instance, owner, *draft(ONE, **changes))
    assert projects.projects(instance, owner, "ana", PageRequest()).items == ()


def test_a_project_deleted_since_begin_takes_no_version(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, ONE, project="other")
    spec, segments = draft(ONE)
    begun = artifacts.begin(instance, owner, spec, segments)
    send(instance, owner, begun.draft, ONE, tmp_path)
    deletion.delete_project(instance, owner, "ana", "vision")
    with pytest.raises(Gone, match="project restore ana/vision"):
        artifacts.commit(instance, owner, begun.draft)
    restoring.restore_project(instance, owner, "ana", "vision")
    assert artifacts.commit(instance, owner, begun.draft).is_new


@pytest.mark.parametrize("content", [{"a": b"new"}, ONE])
def test_a_deleted_run_logs_nothing_new_nor_again(
    instance: Instance, owner: Actor, tmp_path: Path, content: Files
) -> None:
    log(instance, owner, tmp_path, ONE)
    run = runs.start(instance, owner, RunSpec("ana", "vision", "r1")).run
    runs.finish(instance, owner, run.key, 0, 1.0)
    deletion.delete_run(instance, owner, run.key, delete_artifacts=False)
    spec, segments = draft(content, run=run.key)
    with pytest.raises(Gone, match="Run ana/vision/r1 was deleted"):
        artifacts.begin(instance, owner, spec, segments)


def test_a_run_deleted_since_begin_logs_nothing(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    run = runs.start(instance, owner, RunSpec("ana", "vision", "r1")).run
    spec, segments = draft(ONE, run=run.key)
    begun = artifacts.begin(instance, owner, spec, segments)
    send(instance, owner, begun.draft, ONE, tmp_path)
    runs.finish(instance, owner, run.key, 0, 1.0)
    runs.start(instance, owner, RunSpec("ana", "vision", "r2"))
    deletion.delete_run(instance, owner, run.key, delete_artifacts=False)
    with pytest.raises(Gone, match="Run ana/vision/r1 was deleted"):
        artifacts.commit(instance, owner, begun.draft)


def test_a_run_that_never_was_logs_nothing(instance: Instance, owner: Actor) -> None:
    spec, segments = draft(ONE, run=RunKey(12345))
    with pytest.raises(RunNotFoundError):
        artifacts.begin(instance, owner, spec, segments)


def test_a_message_names_the_nearest_of_many_aliases(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    many = tuple(f"epoch-{number:03}" for number in range(200))
    log(instance, owner, tmp_path, {"a": b"1"}, aliases=many)
    with pytest.raises(NotFound, match=r"Aliases there: epoch-150, .* …$") as caught:
        catalog.version(instance, owner, path("epch-150"))
    assert "latest" in str(caught.value)
    assert str(caught.value).count("epoch-") < 20


class Interrupted(Exception):
    pass


class FailingStore:
    """The real store, until the chosen call of any kind."""

    def __init__(self, store: object, fail_at: int) -> None:
        self._store = store
        self._left = fail_at

    def __getattr__(self, name: str):  # type: ignore[no-untyped-def]  # passes everything on
        call = getattr(self._store, name)

        def counted(*args: object, **kwargs: object) -> object:
            self._left -= 1
            if self._left == 0:
                raise Interrupted(name)
            return call(*args, **kwargs)

        return counted


@pytest.mark.parametrize("fail_at", range(1, 14))
def test_a_fault_at_any_step_leaves_nothing_visible_and_the_next_attempt_succeeds(
    instance: Instance, owner: Actor, tmp_path: Path, fail_at: int
) -> None:
    files = {"a": b"1", "b": b"22", "c/d": b"333"}
    broken = replace(instance, store=FailingStore(instance.store, fail_at))  # type: ignore[arg-type]
    try:
        log(broken, owner, tmp_path, files)
        was_interrupted = False
    except Interrupted:
        was_interrupted = True
    assert findings(instance, owner) == []
    if was_interrupted:
        require_invisible(instance, owner)
    version = log(instance, owner, tmp_path, files)
    assert version.number == 0
    assert findings(instance, owner) == []


def verify_of_bytes(instance: Instance, owner: Actor) -> Finding:
    (found,) = (each for each in verify(instance, owner) if each.invariant == STORED_BYTES)
    return found


def test_verify_names_a_damaged_blob_and_the_version_it_is_in(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1", "b": b"22"})
    for key, size in stored_blobs(instance.store):
        if size == 2:
            (damaged,) = instance.store.places([key])
            assert damaged is not None
            os.chmod(damaged.path, 0o644)
            Path(damaged.path).write_bytes(b"2x")
    (finding,) = verify(instance, owner)
    assert finding.where == damaged.path
    assert finding.files == ("b in ana/vision/data:v0",)
    assert "changed on disk" in finding.what
    with instance.database.writing() as connection:
        connection.exec_driver_sql("UPDATE segments SET content = x'00'")
    assert verify_of_bytes(instance, owner).files == ("ana/vision/data:v0",)


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("UPDATE versions SET metadata = '{\"a\": tr'", "versions 1"),
        ("UPDATE blobs SET digest = 'sha256:9f'", "blobs 1"),
    ],
)
def test_verify_names_a_damaged_record_and_goes_on(
    instance: Instance, owner: Actor, tmp_path: Path, statement: str, where: str
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"})
    assert findings(instance, owner) == []
    with instance.database.writing() as connection:
        connection.exec_driver_sql(statement)
    assert where in [finding.where for finding in verify(instance, owner)]


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ("UPDATE blobs SET state = '??'", "state is '??'"),
        ("UPDATE collections SET kind = '??'", "kind is '??'"),
        ("UPDATE versions SET size_bytes = 7", "7 bytes instead of 1"),
        ("UPDATE versions SET created_at = 'today'", "no moment: created_at"),
        ("UPDATE blobs SET stored_at = 1 << 62", "no moment: stored_at"),
    ],
)
def test_verify_names_a_value_that_cannot_be(
    instance: Instance, owner: Actor, tmp_path: Path, damage: str, what: str
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"})
    with instance.database.writing() as connection:
        connection.exec_driver_sql(damage)
    assert what in [finding.what for finding in verify(instance, owner)]


def test_verify_names_damaged_pages_of_the_database(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"})
    instance.close()
    with open(instance.home.database, "r+b") as file:
        file.seek(2 * 4096)
        file.write(b"\xff" * 8)
    assert "Page 3" in next(verify(instance, owner)).what


def test_a_damaged_record_is_said_as_damage(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"})
    with instance.database.writing() as connection:
        connection.exec_driver_sql("UPDATE versions SET metadata = '{\"a\": tr'")
    query = VersionQuery("ana", "vision", "data")
    said = rf"{instance.home.database} is damaged.* is no JSON .* `lineal verify` says where"
    with pytest.raises(IntegrityError, match=said):
        catalog.versions(instance, owner, query, PageRequest())
    with pytest.raises(IntegrityError, match=said), instance.database.reading() as connection:
        versions_db.by_id(connection, 1)
