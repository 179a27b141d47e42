"""`lineal sync` of what offline runs contributed to versions of many."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import event
from tests.client.syncing import folders, synced

import lineal
from lineal.client import session
from lineal.client.embedded.backend import EmbeddedBackend
from lineal.client.offline.marks import MARK_FILE
from lineal.client.offline.sync import sync
from lineal.client.offline.sync_job import Synced
from lineal.config import load
from lineal.core.records import Begun, DraftSpec, EdgeKind, PageRequest
from lineal.service.verify import verify

STEP = 13
"""Commits between two kills that are tried: no divisor of what one version takes."""


def contribute(
    run_id: str, files: dict[str, str], *, finish: bool = False, mode: str = "offline"
) -> str | None:
    """Let a run contribute, and finish what all do; returns its folder."""
    before = set(folders()) if os.path.isdir("lineal") else set()
    with lineal.init(mode=mode, project="p", id=run_id, group="g") as run:
        if files:
            run.upsert_artifact(part(files)).wait()
        if finish:
            run.finish_artifact(part({}), aliases=["best"]).wait()
    session.close()
    return next(iter({*folders()} - before), None) if mode == "offline" else None


def part(files: dict[str, str]) -> lineal.Artifact:
    artifact = lineal.Artifact("parts", "dataset")
    for name, text in files.items():
        with artifact.new_file(name) as file:
            file.write(text)
    return artifact


def brought(home: Path, *named: str | None, **options) -> list[Synced]:
    """Sync some folders in this order."""
    backend = session.open_backend(load({"home": str(home)}))
    there = [each for each in named if each is not None]
    return sync(there, backend, settings=load({"home": str(home)}), **options)


def contents(name: str = "p/parts:latest") -> list[str]:
    return sorted(lineal.Api().artifact(name).manifest.entries)


def producers(home: Path) -> list[str]:
    backend = session.open_backend(load({"home": str(home)}))
    version = lineal.Api().artifact("p/parts:latest")._record
    page = backend.runs_of(version.id, EdgeKind.LOGGED, PageRequest())
    return [run.run_id for run in page.items]


@pytest.mark.parametrize("has_own", [True, False])
def test_what_several_runs_contributed_is_one_version_in_whatever_order_they_began(
    home: Path, has_own: bool
) -> None:
    own = {"c.txt": "3"} if has_own else {}
    contribute("finisher", own, finish=True)
    contribute("one", {"a.txt": "1"})
    contribute("two", {"b.txt": "2"})
    results = synced(home, clean=True)
    assert [each.failures for each in results] == [{}] * 3
    assert folders() == []
    assert contents() == ["a.txt", "b.txt", *own]
    artifact = lineal.Api().artifact("p/parts:best")
    assert (artifact.version, artifact.aliases) == ("v0", ["best", "latest"])
    assert producers(home) == ["finisher", "one", "two"]


@pytest.mark.parametrize("order", list(itertools.permutations(["finisher", "one", "two"])))
def test_the_latest_version_has_all_in_whatever_order_folders_are_synced(
    home: Path, order: tuple[str, ...]
) -> None:
    there = {
        "one": contribute("one", {"a.txt": "1"}),
        "two": contribute("two", {"b.txt": "2"}),
        "finisher": contribute("finisher", {"c.txt": "3"}, finish=True),
    }
    for name in order:
        (result,) = brought(home, there[name])
        is_late = "finisher" in order[: order.index(name) + 1]
        assert list(result.failures) == ([] if is_late else ["contribution to ana/p/parts"])
    results = brought(home, *there.values(), clean=True)
    assert [each.failures for each in results] == [{}] * 3
    assert folders() == []
    assert contents() == ["a.txt", "b.txt", "c.txt"]
    assert producers(home)[0] == "finisher"
    assert sorted(producers(home)) == ["finisher", "one", "two"]
    assert lineal.Api().artifact("p/parts:latest").aliases == ["best", "latest"]


def test_what_waits_for_another_run_is_named_and_its_folder_kept(home: Path) -> None:
    contribute("one", {"a.txt": "1"})
    for _ in range(2):
        (result,) = synced(home, clean=True)
        ((name, failure),) = result.failures.items()
        assert name == "contribution to ana/p/parts"
        assert "under 'g' came home, and waits for the run that finishes it" in str(failure)
        assert len(folders()) == 1
    (result,) = synced(home, clean=True, skip_gone=True)
    assert (result.failures, len(result.skipped), folders()) == ({}, 1, [])


def test_what_finishes_before_anything_came_fails_and_is_made_up_for(home: Path) -> None:
    finisher = contribute("finisher", {}, finish=True)
    one = contribute("one", {"a.txt": "1"})
    (result,) = brought(home, finisher)
    assert "Nothing was contributed to ana/p/parts" in str(result.failures["artifact parts:v0"])
    brought(home, one)
    results = brought(home, finisher, one)
    assert [each.failures for each in results] == [{}, {}]
    assert contents() == ["a.txt"]


def test_runs_that_are_not_offline_take_part(home: Path) -> None:
    contribute("online", {"b.txt": "2"}, mode="online")
    one = contribute("one", {"a.txt": "1"})
    brought(home, one)
    contribute("finisher", {"c.txt": "3"}, finish=True, mode="online")
    (result,) = brought(home, one)
    assert result.failures == {}
    assert contents() == ["a.txt", "b.txt", "c.txt"]


def test_rounds_of_one_run_under_one_id_stay_versions_of_their_own(home: Path) -> None:
    with lineal.init(mode="offline", project="p", id="a", group="g") as run:
        for number in range(3):
            run.upsert_artifact(part({f"{number}.txt": "x"})).wait()
            run.finish_artifact(part({})).wait()
    session.close()
    (result,) = synced(home)
    assert result.failures == {}
    assert [contents(f"p/parts:v{number}") for number in range(3)] == [
        ["0.txt"],
        ["1.txt"],
        ["2.txt"],
    ]


def test_rounds_of_several_runs_under_one_id_are_told_apart_by_when_parts_were_made(
    home: Path,
) -> None:
    how = {"mode": "offline", "project": "p", "group": "g", "reinit": "create_new"}
    finisher, other = (lineal.init(id=name, **how) for name in ("finisher", "other"))
    for number in range(3):
        other.upsert_artifact(part({"other": f"{number}"})).wait()
        finisher.finish_artifact(part({"own": f"{number}"})).wait()
    other.finish()
    finisher.finish()
    session.close()
    assert [each.failures for each in synced(home)] == [{}, {}]
    for number in range(3):
        artifact = lineal.Api().artifact(f"p/parts:v{number}")
        texts = [artifact.open(name).read() for name in ("other", "own")]
        assert texts == [str(number).encode()] * 2


def test_different_content_for_one_path_fails_by_name_and_keeps_the_folders(home: Path) -> None:
    contribute("one", {"a.txt": "1"})
    contribute("finisher", {"a.txt": "2"}, finish=True)
    one, finisher = sorted(synced(home, clean=True), key=lambda each: "finisher" in each.folder)
    assert "'a.txt' was contributed with different content" in str(
        finisher.failures["artifact parts:v0"]
    )
    assert list(one.failures) == ["contribution to ana/p/parts"]
    assert len(folders()) == 2


def test_what_came_after_newer_versions_is_not_put_on_top_of_them(home: Path) -> None:
    finisher = contribute("finisher", {"c.txt": "3"}, finish=True)
    one = contribute("one", {"a.txt": "1"})
    brought(home, finisher)
    with lineal.init(project="p", id="later") as run:
        run.log_artifact(part({"new.txt": "n"}))
    (result,) = brought(home, one)
    assert "came after parts:v0 was made without it" in str(
        result.failures["contribution to ana/p/parts"]
    )
    assert contents() == ["new.txt"]


def test_what_came_late_changes_nothing_that_is_said_of_the_version(home: Path) -> None:
    with lineal.init(mode="offline", project="p", id="finisher", group="g") as run:
        run.log({"loss": 1})
        whole = part({"c.txt": "3"})
        whole.description, whole.ttl = "whole", timedelta(days=9)
        whole.metadata["rows"] = 3
        run.finish_artifact(whole, aliases=["best"]).wait()
        whole.tags = ["raw"]
        whole.save()
    (finisher,) = folders()
    with lineal.init(mode="offline", project="p", id="one", group="g") as run:
        run.upsert_artifact(part({"a.txt": "1"}), aliases=["with-one"]).wait()
    session.close()
    assert brought(home, finisher)[0].failures == {}
    before = lineal.Api().artifact("p/parts:best")
    assert brought(home, *folders())[1].failures == {}
    after = lineal.Api().artifact("p/parts:best")
    assert (after.version, after.file_count) == ("v1", 2)
    assert after.aliases == ["best", "latest", "with-one"]
    for version in (before, after):
        said = version.description, version.ttl, version.metadata, version.tags
        assert said == ("whole", timedelta(days=9), {"rows": 3}, ["raw"])
        assert version.history_step == 0


def test_two_that_complete_one_version_at_once_do_it_one_after_the_other(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finisher = contribute("finisher", {"c.txt": "3"}, finish=True)
    one = contribute("one", {"a.txt": "1"})
    two = contribute("two", {"b.txt": "2"})
    brought(home, finisher)
    real = EmbeddedBackend.begin

    def begin(self: EmbeddedBackend, draft: DraftSpec, *segments: Any) -> Begun:
        begun = real(self, draft, *segments)
        if draft.on_latest:  # the other process is faster
            monkeypatch.setattr(EmbeddedBackend, "begin", real)
            assert brought(home, one)[0].failures == {}
        return begun

    monkeypatch.setattr(EmbeddedBackend, "begin", begin)
    assert brought(home, two)[0].failures == {}
    assert contents() == ["a.txt", "b.txt", "c.txt"]
    assert sorted(producers(home)) == ["finisher", "one", "two"]


def test_contributions_follow_what_was_renamed_and_say_of_a_new_one_what_was_said(
    home: Path,
) -> None:
    with lineal.init(project="p", id="first") as run:
        run.log_artifact(part({"old.txt": "o"}))
    one = contribute("one", {"a.txt": "1"})
    finisher = contribute("finisher", {}, finish=True)
    collection = lineal.Api().artifact("p/parts:v0").collection
    collection.name = "pieces"
    collection.save()
    results = brought(home, one, finisher)
    assert [each.failures for each in results] == [{}, {}]
    assert contents("p/pieces:latest") == ["a.txt"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_only_be_read_contributes_too(home: Path) -> None:
    one = contribute("one", {"a.txt": "1"})
    finisher = contribute("finisher", {}, finish=True)
    assert one is not None
    os.chmod(one, 0o500)
    try:
        results = brought(home, one, finisher)
    finally:
        os.chmod(one, 0o700)
    assert [each.failures for each in results] == [{}, {}]
    assert contents() == ["a.txt"]


def test_what_waited_too_long_there_is_contributed_anew(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = contribute("one", {"a.txt": "1"})
    monkeypatch.setenv("LINEAL_DRAFT_TTL_HOURS", "0")
    brought(home, one)
    session.close()
    monkeypatch.delenv("LINEAL_DRAFT_TTL_HOURS")
    finisher = contribute("finisher", {}, finish=True)
    results = brought(home, one, finisher)
    assert [each.failures for each in results] == [{}, {}]
    assert contents() == ["a.txt"]


def test_what_was_contributed_is_kept_in_the_folder_as_long_as_the_run_takes(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINEAL_DRAFT_TTL_HOURS", "0")
    one = contribute("one", {"a.txt": "1"})
    monkeypatch.delenv("LINEAL_DRAFT_TTL_HOURS")
    finisher = contribute("finisher", {}, finish=True)
    results = brought(home, one, finisher)
    assert [each.failures for each in results] == [{}, {}]
    assert contents() == ["a.txt"]


def test_a_run_that_only_finishes_can_use_offline_what_it_made(home: Path) -> None:
    contribute("one", {"a.txt": "1"})
    with lineal.init(mode="offline", project="p", id="f", group="g") as run:
        run.finish_artifact(part({})).wait()
        run.config["data"] = run.use_artifact("parts:v0")
    session.close()
    synced(home)
    shutil.rmtree("lineal")
    config = lineal.Api().run("p/f").config["data"]
    assert (config["sequenceName"], config["version"]) == ("parts", "v0")
    assert contents() == ["a.txt"]


def test_a_sync_killed_at_any_commit_is_completed_by_the_next(home: Path) -> None:
    late = contribute("late", {"b.txt": "2"})
    contribute("finisher", {"c.txt": "3"}, finish=True)
    contribute("one", {"a.txt": "1"})
    first = [folder for folder in folders() if folder != late]
    for number in itertools.count(1, STEP):
        for named in (first, folders()):
            child = os.fork()
            if child == 0:
                die_at_commit(number)
                brought(home, *named)
                os._exit(0)
            _, status = os.waitpid(child, 0)
        results = synced(home)
        assert [each.failures for each in results] == [{}] * 3
        assert contents() == ["a.txt", "b.txt", "c.txt"]
        assert sorted(producers(home)) == ["finisher", "late", "one"]
        backend = session.open_backend(load({"home": str(home)}))
        assert list(verify(backend.instance, backend.actor)) == []
        session.close()
        if status == 0:
            break
        shutil.rmtree(home)
        for folder in folders():
            os.unlink(os.path.join(folder, MARK_FILE))
    assert number > 5 * STEP


def die_at_commit(number: int) -> None:
    left = itertools.count(number, -1)

    def count_down(_connection: sqlalchemy.Connection) -> None:
        if next(left) == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(sqlalchemy.Engine, "commit", count_down)
