"""Versions that many runs write: contributions, and whoever finishes (ART-44)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lineal.core.access import Actor
from lineal.core.records import Begun, Committed, EdgeKind, PageRequest, RunSpec, VersionQuery
from lineal.core.retention import NEVER_SECONDS
from lineal.db import blobs as blobs_db
from lineal.errors import Conflict, NotFound
from lineal.service import artifacts, catalog, distributed, gc, lineage, runs, transfers
from lineal.service.clock import Clock
from lineal.service.instance import Instance
from tests.conftest import MovableClock
from tests.service.drafts import commit, draft, findings, log, send
from tests.service.drafts import path as at


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


def test_finishing_nothing_is_refused_naming_the_ids_that_parts_wait_under(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    part = {"distributed_id": "day", "is_final": False}
    commit(instance, owner, tmp_path, {"a": b"1"}, collection="other", **part)
    with pytest.raises(NotFound, match=r"contributed to ana/vision/data under 'nigth', and"):
        commit(instance, owner, tmp_path, {}, distributed_id="nigth")
    commit(instance, owner, tmp_path, {"a": b"1"}, distributed_id="night", is_final=False)
    with pytest.raises(NotFound, match=r"under 'nigth'; contributions to it wait under 'night'"):
        commit(instance, owner, tmp_path, {}, distributed_id="nigth")
    final = log(instance, owner, tmp_path, {}, distributed_id="night")
    assert (final.number, final.entry_count) == (0, 1)
    with pytest.raises(NotFound, match=r"under 'night' since v0 was made of it"):
        commit(instance, owner, tmp_path, {}, distributed_id="night")
    assert catalog.version(instance, owner, at("latest")).number == 0
    assert findings(instance, owner) == []


@pytest.mark.parametrize(
    ("contributed", "finishing", "in_force"),
    [
        ((None, 60, 90), None, 90),
        ((60, NEVER_SECONDS), None, NEVER_SECONDS),
        ((90, NEVER_SECONDS), 60, 60),
        ((None,), None, None),
    ],
)
def test_the_longest_ttl_that_was_contributed_holds_unless_the_finisher_sets_one(
    instance: Instance,
    owner: Actor,
    tmp_path: Path,
    contributed: tuple[int | None, ...],
    finishing: int | None,
    in_force: int | None,
) -> None:
    for number, seconds in enumerate(contributed):
        files = {f"part{number}": b""}
        part = {"distributed_id": "d", "is_final": False, "ttl_seconds": seconds}
        commit(instance, owner, tmp_path, files, **part)
    final = log(instance, owner, tmp_path, {}, distributed_id="d", ttl_seconds=finishing)
    assert final.ttl_seconds == in_force


@pytest.mark.parametrize("is_part", [True, False])
def test_an_empty_version_is_finished_where_somebody_asked_for_one(
    instance: Instance, owner: Actor, tmp_path: Path, is_part: bool
) -> None:
    if is_part:
        commit(instance, owner, tmp_path, {}, distributed_id="d", is_final=False)
    files = {} if is_part else {"own": b"1"}
    final = log(instance, owner, tmp_path, files, distributed_id="d")
    assert final.entry_count == len(files)


@pytest.mark.parametrize("between", [{}, {"same.txt": b"", "same!/a": b"", "sa": b""}])
def test_a_file_that_is_a_folder_for_another_run_is_refused_naming_both(
    instance: Instance, owner: Actor, tmp_path: Path, between: dict[str, bytes]
) -> None:
    [one, two] = [
        runs.start(instance, owner, RunSpec("ana", "vision", f"rank{n}")).run.key for n in range(2)
    ]
    files = {"same": b"", **between}
    commit(instance, owner, tmp_path, files, run=one, distributed_id="d", is_final=False)
    with pytest.raises(
        Conflict, match=r"'same' .* a file, and .* with 'same/x', by rank0 and rank1"
    ):
        commit(instance, owner, tmp_path, {"same/x": b""}, run=two, distributed_id="d")
    final = log(instance, owner, tmp_path, {"other/x": b""}, run=two, distributed_id="d")
    assert final.entry_count == len(files) + 1


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


class Interrupted(Exception):
    pass


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


def test_a_copy_that_finishes_takes_what_was_made_up_to_its_moment(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    early, late = (datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in (1, 3))
    moments = {"early": early, "late": late, "here": None}
    for name, moment in moments.items():
        part = {"distributed_id": "d", "is_final": False, "as_of": moment}
        commit(instance, owner, tmp_path, {name: b""}, **part)
    final = log(instance, owner, tmp_path, {}, distributed_id="d", as_of=early)
    assert final.entry_count == 2
    rest = log(instance, owner, tmp_path, {}, distributed_id="d")
    assert rest.entry_count == 1
    made = distributed.made_of(instance, owner, ("ana", "vision", "data"), "d")
    assert [each.version.number for each in made] == [0, 1]
    assert made[0].as_of == early
    assert findings(instance, owner) == []


def test_a_version_that_completes_another_has_its_producers_too(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    one, two, late = (
        runs.start(instance, owner, RunSpec("ana", "vision", name)).run.key
        for name in ("one", "two", "late")
    )
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    copy = {"distributed_id": "d", "as_of": moment}
    commit(instance, owner, tmp_path, {"1": b""}, run=one, is_final=False, **copy)
    lacks = log(instance, owner, tmp_path, {}, run=two, **copy)
    commit(instance, owner, tmp_path, {"3": b""}, run=late, is_final=False, **copy)
    own = {"run": two, "base": lacks.id, "on_latest": True}
    whole = log(instance, owner, tmp_path, {"1": b""}, **own, **copy)
    page = lineage.runs_of(instance, owner, whole.id, EdgeKind.LOGGED, PageRequest())
    assert [run.run_id for run in page.items] == ["two", "late", "one"]
    assert (whole.number, whole.entry_count) == (1, 2)
    assert findings(instance, owner) == []


def test_a_finisher_that_failed_and_logs_for_itself_takes_nothing_of_others(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    commit(instance, owner, tmp_path, {"a": b"1"}, distributed_id="d", is_final=False)
    spec, segments = draft({"b": b"2"}, distributed_id="d")
    begun = artifacts.begin(instance, owner, spec, segments)
    send(instance, owner, begun.draft, {"b": b"2"}, tmp_path)
    with instance.database.reading() as connection:
        row = transfers.find_draft(instance, connection, owner, begun.draft)
        awaited = blobs_db.awaited(connection, row.manifest_id)
    distributed.merge(instance, row, transfers.stored_now(instance, row, awaited))
    own = log(instance, owner, tmp_path, {"b": b"2"}, client_id=spec.client_id)
    assert (own.entry_count, own.size_bytes) == (1, 1)
    assert findings(instance, owner) == []


def test_committing_a_contribution_again_changes_nothing(
    instance: Instance, owner: Actor, tmp_path: Path
) -> None:
    spec, segments = draft({"a": b"1"}, distributed_id="d", is_final=False)
    begun = artifacts.begin(instance, owner, spec, segments)
    send(instance, owner, begun.draft, {"a": b"1"}, tmp_path)
    for _ in range(2):
        assert artifacts.commit(instance, owner, begun.draft) == Committed(None, is_new=False)
        assert artifacts.begin(instance, owner, spec) == Begun(begun.draft, None)
    assert log(instance, owner, tmp_path, {}, distributed_id="d").entry_count == 1


def test_a_contribution_that_waited_too_long_can_be_made_again(
    instance: Instance, owner: Actor, clock: MovableClock, tmp_path: Path
) -> None:
    part = {"distributed_id": "d", "is_final": False, "client_id": "again"}
    commit(instance, owner, tmp_path, {"a": b"1"}, **part)
    clock.move(hours=73)
    gc.sweep(instance, owner)
    commit(instance, owner, tmp_path, {"a": b"1"}, **part)
    assert log(instance, owner, tmp_path, {}, distributed_id="d").entry_count == 1
    assert findings(instance, owner) == []
