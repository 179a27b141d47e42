"""Begin, send, commit: what becomes visible, and when."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lineal import packs
from lineal.core.access import Actor, Role
from lineal.core.digest import of_bytes
from lineal.core.manifest import Entry, Segment, build_segments, manifest_head
from lineal.core.names import ArtifactPath
from lineal.core.records import (
    Committed,
    DraftSpec,
    EdgeKind,
    MembershipId,
    PageRequest,
    RunKey,
    RunSpec,
    VersionPatch,
    VersionQuery,
    VersionRecord,
)
from lineal.errors import (
    Conflict,
    Denied,
    Exists,
    Gone,
    IntegrityError,
    Invalid,
    NotFound,
    RunNotFoundError,
    Superseded,
)
from lineal.service import artifacts, catalog, deletion, lineage, runs, transfers
from lineal.service.clock import Clock
from lineal.service.instance import Instance
from lineal.service.verify import verify
from tests.conftest import MovableClock

Files = dict[str, bytes]
ONE: Files = {"a": b"1"}
serial = iter(range(10**9))


def draft(files: Files, **changes: object) -> tuple[DraftSpec, list[Segment]]:
    entries = [Entry(path, of_bytes(data), len(data)) for path, data in sorted(files.items())]
    segments = list(build_segments(entries))
    spec = DraftSpec(
        client_id=f"client{next(serial)}",
        entity="ana",
        project="vision",
        collection="data",
        type="dataset",
        manifest=manifest_head(segment.head for segment in segments),
        run=None,
    )
    return spec._replace(**changes), segments  # type: ignore[arg-type]  # a test's shorthand


def send(
    instance: Instance,
    owner: Actor,
    begun_draft: int,
    files: Files,
    folder: Path,
    *,
    in_pack: bool = False,
) -> None:
    by_digest = {of_bytes(data): data for data in files.values()}
    missing = list(transfers.missing_blobs(instance, owner, begun_draft))  # type: ignore[arg-type]
    if in_pack and missing:
        writer = packs.Writer(str(folder / f"pack{next(serial)}"))
        for data in files.values():
            writer.add(hashlib.sha256(data).digest(), data)
        writer.seal()
        instance.store.put_pack(missing[0].key, writer.path)
        return
    for upload in missing:
        source = folder / f"source{next(serial)}"
        source.write_bytes(by_digest[upload.digest])
        instance.store.put(upload.key, str(source), size=upload.size, take=True, link=False)


def log(
    instance: Instance,
    owner: Actor,
    folder: Path,
    files: Files,
    *,
    in_pack: bool = False,
    **changes: object,
) -> VersionRecord:
    version = commit(instance, owner, folder, files, in_pack=in_pack, **changes).version
    assert version is not None
    return version


def commit(
    instance: Instance,
    owner: Actor,
    folder: Path,
    files: Files,
    *,
    in_pack: bool = False,
    **changes: object,
) -> Committed:
    spec, segments = draft(files, **changes)
    begun = artifacts.begin(instance, owner, spec, segments)
    if begun.version is not None:
        return Committed(begun.version, is_new=False)
    send(instance, owner, begun.draft, files, folder, in_pack=in_pack)
    return artifacts.commit(instance, owner, begun.draft)


def findings(instance: Instance, owner: Actor) -> list[object]:
    return list(verify(instance, owner))


def path(ref: str, name: str = "data") -> ArtifactPath:
    return ArtifactPath("ana", "vision", name, ref)


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
    query = VersionQuery("ana", "vision", "data")
    assert catalog.versions(instance, owner, query, PageRequest()).items == ()


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
    with pytest.raises(Conflict):
        artifacts.commit(instance, owner, begun.draft)


def test_begin_and_commit_may_be_repeated(instance: Instance, owner: Actor, tmp_path: Path) -> None:
    spec, segments = draft({"a": b"1"})
    begun = artifacts.begin(instance, owner, spec, segments)
    assert artifacts.begin(instance, owner, spec, segments).draft == begun.draft
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
    with pytest.raises(Gone):
        artifacts.commit(instance, owner, begun.draft)


def test_another_type_under_the_same_name_is_refused_naming_both(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"})
    with pytest.raises(Invalid, match="`dataset`, not `model`"):
        log(instance, owner, tmp_path, {"a": b"2"}, type="model")


def test_new_version_on_request_even_without_a_change(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"})
    again = log(instance, owner, tmp_path, {"a": b"1"}, on_unchanged="new_version")
    assert again.number == 1


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


def test_contributions_are_merged_when_one_finishes(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    for n in range(3):
        part = commit(
            instance,
            owner,
            tmp_path,
            {f"part{n}": b"%d" % n, "common": b"c"},
            distributed_id="d1",
            is_final=False,
        )
        assert part.version is None
    final = log(instance, owner, tmp_path, {"last": b"l"}, distributed_id="d1")
    assert final.entry_count == 5
    assert findings(instance, owner) == []
    after = log(instance, owner, tmp_path, {"other": b"o"}, distributed_id="d1")
    assert (after.number, after.entry_count) == (1, 1)


def test_conflicting_contributions_are_refused_naming_both_runs(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    keys = [
        runs.start(instance, owner, RunSpec("ana", "vision", f"rank{n}")).run.key for n in range(2)
    ]
    for key, data in zip(keys, (b"x", b"y"), strict=True):
        commit(
            instance,
            owner,
            tmp_path,
            {"same": data},
            run=key,
            distributed_id="d",
            is_final=False,
        )
    with pytest.raises(Conflict, match="rank0 and rank1"):
        commit(instance, owner, tmp_path, {}, distributed_id="d")


def test_a_conflict_of_the_finisher_leaves_the_contributions_as_they_were(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    [one, two] = [
        runs.start(instance, owner, RunSpec("ana", "vision", f"rank{n}")).run.key for n in range(2)
    ]
    commit(instance, owner, tmp_path, {"a": b"1"}, run=one, distributed_id="d", is_final=False)
    with pytest.raises(Conflict, match=r"rank0 and rank1.*another id than 'd'"):
        commit(instance, owner, tmp_path, {"a": b"2"}, run=two, distributed_id="d")
    final = log(instance, owner, tmp_path, {"own/a": b"2"}, run=two, distributed_id="d")
    assert final.entry_count == 2
    assert findings(instance, owner) == []


# --- aliases, links, deletion -------------------------------------------------------------------


def test_an_alias_moves_and_every_move_is_kept(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    first = log(instance, owner, tmp_path, {"a": b"1"}, aliases=("prod",))
    second = log(instance, owner, tmp_path, {"a": b"2"}, aliases=("prod",))
    collection = catalog.collection(instance, owner, "ana", "vision", "data")
    history = catalog.alias_history(instance, owner, collection.id, "prod")
    assert [(move.before, move.after) for move in history] == [(None, "v0"), ("v0", "v1")]
    assert catalog.version_by_id(instance, owner, first.id).aliases == ()
    assert catalog.version_by_id(instance, owner, second.id).aliases == ("latest", "prod")


def test_compare_and_swap_refuses_a_moved_alias_and_changes_nothing(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"}, aliases=("prod",))
    second = log(instance, owner, tmp_path, {"a": b"2"})
    patch = VersionPatch(aliases_added=("prod",), expected_version={"prod": None})
    with pytest.raises(Conflict, match="is on v0, not on none"):
        catalog.update_version(instance, owner, second.membership_id, patch)
    moved = catalog.update_version(
        instance, owner, second.membership_id, patch._replace(expected_version={"prod": "v0"})
    )
    assert "prod" in moved.aliases


def test_a_link_numbers_by_itself_and_shares_the_bytes(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"})
    second = log(instance, owner, tmp_path, {"a": b"2"})
    target = ArtifactPath("ana", "registry", "detector")
    link = catalog.link_version(instance, owner, second.id, target, ["prod"])
    assert (link.path, link.source_number, link.is_link) == ("ana/registry/detector:v0", 1, True)
    assert link.aliases == ("latest", "prod")
    again = catalog.link_version(instance, owner, second.id, target, ["next"])
    assert again.number == 0
    with pytest.raises(Exists):
        log(instance, owner, tmp_path, {"a": b"3"}, project="registry", collection="detector")
    with pytest.raises(Conflict, match="linked as ana/registry/detector:v0"):
        catalog.delete_version(instance, owner, second.membership_id, delete_aliases=True)
    catalog.unlink_version(instance, owner, link.membership_id)
    assert catalog.links(instance, owner, second.id) == []
    catalog.delete_version(instance, owner, second.membership_id, delete_aliases=True)


def test_a_project_deleted_since_begin_takes_no_version(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    spec, segments = draft(ONE)
    begun = artifacts.begin(instance, owner, spec, segments)
    send(instance, owner, begun.draft, ONE, tmp_path)
    deletion.delete_project(instance, owner, "ana", "vision")
    with pytest.raises(Gone, match="project restore ana/vision"):
        artifacts.commit(instance, owner, begun.draft)
    deletion.restore_project(instance, owner, "ana", "vision")
    assert artifacts.commit(instance, owner, begun.draft).is_new


@pytest.mark.parametrize("content", [{"a": b"new"}, ONE])
def test_a_deleted_run_logs_nothing_new_nor_again(
    instance: Instance, owner: Actor, tmp_path: Path, content: Files
) -> None:
    log(instance, owner, tmp_path, ONE)
    run = runs.start(instance, owner, RunSpec("ana", "vision", "r1")).run
    runs.finish(instance, owner, run.key, 0, 1.0)
    runs.delete(instance, owner, run.key, delete_artifacts=False)
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
    runs.delete(instance, owner, run.key, delete_artifacts=False)
    with pytest.raises(Gone, match="Run ana/vision/r1 was deleted"):
        artifacts.commit(instance, owner, begun.draft)


def test_a_run_that_never_was_logs_nothing(instance: Instance, owner: Actor) -> None:
    spec, segments = draft(ONE, run=RunKey(12345))
    with pytest.raises(RunNotFoundError):
        artifacts.begin(instance, owner, spec, segments)


def test_a_removed_link_takes_no_alias(instance: Instance, owner: Actor, tmp_path: Path) -> None:
    version = log(instance, owner, tmp_path, {"a": b"1"})
    target = ArtifactPath("ana", "registry", "detector")
    link = catalog.link_version(instance, owner, version.id, target, [])
    catalog.unlink_version(instance, owner, link.membership_id)
    patch = VersionPatch(aliases_added=("prod",))
    with pytest.raises(Gone, match=r"ana/registry/detector:v0 was removed on .*data:v0 again"):
        catalog.update_version(instance, owner, link.membership_id, patch)
    assert findings(instance, owner) == []
    again = catalog.link_version(instance, owner, version.id, target, [])
    moved = catalog.update_version(instance, owner, again.membership_id, patch)
    assert (moved.number, moved.aliases) == (1, ("latest", "prod"))
    # by the first handle it cannot be taken off what holds the alias now
    catalog.unlink_version(instance, owner, link.membership_id)
    assert catalog.version(instance, owner, target._replace(ref="prod")).number == 1


def test_a_deleted_number_is_never_given_again(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"})
    second = log(instance, owner, tmp_path, {"a": b"2"})
    with pytest.raises(Conflict, match="delete_aliases"):
        catalog.delete_version(instance, owner, second.membership_id, delete_aliases=False)
    catalog.delete_version(instance, owner, second.membership_id, delete_aliases=True)
    with pytest.raises(Gone, match="deleted by ana"):
        catalog.version(instance, owner, path("v1"))
    assert catalog.version(instance, owner, path("latest")).number == 0
    again = log(instance, owner, tmp_path, {"a": b"2"})
    assert again.number == 2
    assert findings(instance, owner) == []


def test_a_missing_alias_is_named_with_those_that_are_there(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"}, aliases=("best",))
    with pytest.raises(NotFound, match=r"`prod` in ana/vision/data \(you are ana\).*best, latest"):
        catalog.version(instance, owner, path("prod"))
    with pytest.raises(NotFound, match="did you mean data"):
        catalog.version(instance, owner, path("latest", "dat"))
    with pytest.raises(NotFound, match="`lineal artifact ls ana/vision` lists: "):
        catalog.version(instance, owner, path("latest", "model"))


def test_a_missing_number_is_named_with_those_that_are_there(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    for number in range(6):
        log(instance, owner, tmp_path, {"a": bytes([number])})
    with pytest.raises(NotFound, match=r"`v9` .* Versions there: v5, v4, v3, v2, v1 …\. Aliases"):
        catalog.version(instance, owner, path("v9"))


def test_an_alias_may_look_like_a_digest(instance: Instance, owner: Actor, tmp_path: Path) -> None:
    first = log(instance, owner, tmp_path, {"a": b"1"}, aliases=("0f" * 16, "0f" * 32))
    second = log(instance, owner, tmp_path, {"a": b"2"})
    for ref in ("0f" * 16, "0f" * 32):
        assert catalog.version(instance, owner, path(ref)).id == first.id
    for ref in (second.digest, second.digest.removeprefix("sha256:")):
        assert catalog.version(instance, owner, path(ref)).id == second.id


def test_a_message_names_latest_also_where_it_falls_back(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    version = log(instance, owner, tmp_path, {"a": b"1"})
    patch = VersionPatch(aliases_removed=("latest",))
    assert catalog.update_version(instance, owner, version.membership_id, patch).aliases == ()
    assert catalog.version(instance, owner, path("latest")).number == 0
    with pytest.raises(NotFound, match="Aliases there: latest"):
        catalog.version(instance, owner, path("prod"))
    catalog.delete_version(instance, owner, version.membership_id, delete_aliases=True)
    with pytest.raises(NotFound, match="It has no live version"):
        catalog.version(instance, owner, path("latest"))


def test_a_message_names_the_nearest_of_many_aliases(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    many = tuple(f"epoch-{number:03}" for number in range(200))
    log(instance, owner, tmp_path, {"a": b"1"}, aliases=many)
    with pytest.raises(NotFound, match=r"Aliases there: epoch-150, .* …$") as caught:
        catalog.version(instance, owner, path("epch-150"))
    assert "latest" in str(caught.value)
    assert str(caught.value).count("epoch-") < 20


def test_a_collection_tells_what_latest_means(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    def latest() -> str | None:
        return catalog.collection(instance, owner, "ana", "vision", "data").latest

    first = log(instance, owner, tmp_path, {"a": b"1"})
    second = log(instance, owner, tmp_path, {"a": b"2"})
    assert latest() == "v1"
    log(instance, owner, tmp_path, {"a": b"1"})
    assert latest() == "v0" == f"v{catalog.version(instance, owner, path('latest')).number}"
    patch = VersionPatch(aliases_removed=("latest",))
    catalog.update_version(instance, owner, first.membership_id, patch)
    assert latest() == "v1" == f"v{catalog.version(instance, owner, path('latest')).number}"
    for version in (first, second):
        catalog.delete_version(instance, owner, version.membership_id, delete_aliases=True)
    assert latest() is None


# --- who may ------------------------------------------------------------------------------------


def test_to_an_outsider_what_is_there_and_what_is_not_look_the_same(
    instance: Instance, owner: Actor, stranger: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1"})
    messages = []
    for name in ("data", "nothing"):
        with pytest.raises(NotFound) as caught:
            catalog.version(instance, stranger, path("latest", name))
        messages.append(caught.value.message.replace(name, "X"))
    assert messages[0] == messages[1]


def test_a_viewer_may_read_but_not_write(instance: Instance, owner: Actor, tmp_path: Path) -> None:
    version = log(instance, owner, tmp_path, {"a": b"1"})
    viewer = Actor("vic", Role.VIEWER)
    assert catalog.version(instance, viewer, path("latest")).id == version.id
    with pytest.raises(Denied, match="vic"):
        log(instance, viewer, tmp_path, {"a": b"2"})
    with pytest.raises(Denied):
        catalog.delete_version(instance, viewer, version.membership_id, delete_aliases=True)


def test_a_digest_opens_only_the_versions_it_belongs_to(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    first = log(instance, owner, tmp_path, {"a": b"1"})
    second = log(instance, owner, tmp_path, {"b": b"2"}, collection="other")
    mine, foreign = of_bytes(b"1"), of_bytes(b"2")
    found = transfers.locate(instance, owner, [mine, foreign], version=first.id)
    assert list(found) == [mine]
    heads = transfers.manifest(instance, owner, second.id).segments
    with pytest.raises(NotFound):
        transfers.read_segments(instance, owner, first.id, heads)


def test_a_blob_remembers_the_version_that_stored_it_first(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    first = log(instance, owner, tmp_path, {"a": b"1"})
    second = log(instance, owner, tmp_path, {"b": b"1", "c": b"2"}, collection="other")
    one, two = of_bytes(b"1"), of_bytes(b"2")
    births = transfers.births(instance, owner, [one, two], version=second.id)
    assert births == {one: first.id, two: second.id}
    assert transfers.births(instance, owner, [one, two], version=first.id) == {one: first.id}


# --- faults -------------------------------------------------------------------------------------


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
    query = VersionQuery("ana", "vision", "data")
    if was_interrupted:
        listed = catalog.versions(instance, owner, query, PageRequest()).items
        assert listed == ()
    version = log(instance, owner, tmp_path, files)
    assert version.number == 0
    assert findings(instance, owner) == []


class FailingClock:
    """The real clock, until it is asked for the n-th time."""

    def __init__(self, clock: Clock, fail_at: int) -> None:
        self._clock = clock
        self._left = fail_at

    def now(self) -> datetime:
        self._left -= 1
        if self._left == 0:
            raise Interrupted("now")
        return self._clock.now()


@pytest.mark.parametrize("fail_at", range(1, 12))
def test_after_a_fault_in_one_finisher_another_one_finishes_what_was_contributed(
    instance: Instance, owner: Actor, tmp_path: Path, fail_at: int
) -> None:
    commit(instance, owner, tmp_path, {"a": b"1"}, distributed_id="d", is_final=False)
    broken = replace(instance, clock=FailingClock(instance.clock, fail_at))
    with suppress(Interrupted):
        commit(broken, owner, tmp_path, {"b": b"2"}, distributed_id="d")
    log(instance, owner, tmp_path, {"c": b"3"}, distributed_id="d")
    query = VersionQuery("ana", "vision", "data")
    first = catalog.versions(instance, owner, query, PageRequest()).items[-1]
    assert transfers.manifest(instance, owner, first.id).entry_count >= 2
    assert findings(instance, owner) == []


def test_verify_names_a_damaged_blob_and_the_version_it_is_in(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    log(instance, owner, tmp_path, {"a": b"1", "b": b"22"})
    for key, size in list(instance.store.keys()):
        if size == 2:
            (damaged,) = instance.store.places([key])
            assert damaged is not None
            os.chmod(damaged.path, 0o644)
            Path(damaged.path).write_bytes(b"2x")
    (finding,) = verify(instance, owner)
    assert "ana/vision/data:v0" in finding.where
    assert "changed on disk" in finding.what


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
    with pytest.raises(IntegrityError, match=r"which is no JSON .* `lineal verify` says where"):
        catalog.versions(instance, owner, query, PageRequest())


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    pages=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    order=st.sampled_from([None, "+version_index", "-created_at", "+updatedAt", "+size"]),
)
def test_pages_of_versions_are_the_whole_list(
    instance: Instance, owner: Actor, tmp_path: Path, pages: Sequence[int], order: str | None
) -> None:
    for n in range(5):
        log(instance, owner, tmp_path, {"a": b"%d" % (n % 4), "n": b"x" * (n % 3)})
    query = VersionQuery("ana", "vision", "data", order=order)
    whole = catalog.versions(instance, owner, query, PageRequest(size=100))
    assert whole.total == len(whole.items)
    found: list[MembershipId] = []
    cursor, turn = None, 0
    while True:
        page = catalog.versions(
            instance, owner, query, PageRequest(pages[turn % len(pages)], cursor)
        )
        found += [version.membership_id for version in page.items]
        cursor, turn = page.cursor, turn + 1
        if cursor is None:
            break
    assert found == [version.membership_id for version in whole.items]
