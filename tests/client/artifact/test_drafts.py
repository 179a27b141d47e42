"""Drafts of versions: derived, changed, incremental (ART-41…ART-43)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.client.artifact.conftest import (
    content,
    draft,
    paths,
    renamed,
)

import lineal
from lineal.client.artifact.artifact import Artifact


def test_a_new_draft_is_derived_from_its_version(run: lineal.Run, logged: Artifact) -> None:
    changed = logged.new_draft()
    changed.add_bytes(b"more", "more")
    changed = run.log_artifact(changed).wait()
    (edge,) = [
        edge
        for edge in changed.lineage("upstream", depth=1, derived=True).edges
        if edge.kind == "derived"
    ]
    assert edge.source == f"version:{logged._record.id}"
    assert all(edge.kind != "derived" for edge in changed.upstream().edges)


def test_a_new_draft_is_saved_where_its_version_is(run: lineal.Run, logged: Artifact) -> None:
    lineal.finish()
    changed = logged.new_draft()
    changed.add_bytes(b"new", "new.txt")
    changed.save()
    assert changed.wait().qualified_name == "ana/vision/data:v1"


def test_a_new_draft_has_the_content_but_not_the_aliases(run: lineal.Run, logged: Artifact) -> None:
    logged.aliases.append("prod")
    logged.tags.append("good")
    logged.save()
    changed = logged.new_draft()
    assert changed.is_draft()
    assert (changed.name, changed.type) == ("data", "dataset")
    assert (changed.description, changed.metadata) == ("all of it", {"rows": 3})
    assert (paths(changed), changed.digest) == (paths(logged), logged.digest)
    changed.metadata["rows"] = 4
    assert logged.metadata == {"rows": 3}
    changed.remove("a")
    changed.add_bytes(b"new", "new.txt")
    run.log_artifact(changed).wait()
    assert (changed.version, changed.tags) == ("v1", [])
    assert changed.aliases == ["latest"]
    assert content(changed.download()) == {
        "a.txt": b"a",
        "ab.txt": b"ab",
        "b/c/d.txt": b"bcd",
        "new.txt": b"new",
    }
    assert "a/x.txt" in paths(logged)


def test_a_removed_file_can_be_added_again(run: lineal.Run, logged: Artifact) -> None:
    changed = logged.new_draft()
    changed.remove("a.txt")
    changed.add_bytes(b"other", "a.txt")
    assert len(changed.manifest) == 4
    run.log_artifact(changed).wait()
    assert content(changed.download())["a.txt"] == b"other"


def test_a_removed_folder_makes_room_for_a_file_of_its_name(
    run: lineal.Run, logged: Artifact
) -> None:
    changed = logged.new_draft()
    changed.remove("b")
    changed.add_bytes(b"file", "b")
    run.log_artifact(changed).wait()
    assert paths(changed) == ["a.txt", "a/x.txt", "ab.txt", "b"]


def test_a_draft_changed_back_is_the_version_it_came_from(
    run: lineal.Run, logged: Artifact
) -> None:
    changed = logged.new_draft()
    changed.remove("a.txt")
    changed.add_bytes(b"a", "a.txt")
    assert changed.digest == logged.digest
    assert run.log_artifact(changed).wait().version == "v0"


def test_a_draft_keeps_to_the_rules_of_adding(logged: Artifact) -> None:
    changed = logged.new_draft()
    changed.add_bytes(b"a", "a.txt")
    with pytest.raises(ValueError, match="twice with different content"):
        changed.add_bytes(b"z", "a.txt")
    with pytest.raises(FileNotFoundError):
        changed.remove("zzz")


def test_a_draft_of_a_link_is_one_of_its_source(run: lineal.Run, logged: Artifact) -> None:
    changed = logged.link("released").new_draft()
    assert changed.name == "data"
    changed.add_bytes(b"n", "n")
    assert run.log_artifact(changed).wait().name == "data:v1"


def test_a_draft_of_a_link_is_logged_in_a_home_that_has_only_its_source(
    logged: Artifact, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    changed = logged.link("registry/released").new_draft()
    changed.add_bytes(b"n", "n")
    same = content(logged.download())
    lineal.finish()
    monkeypatch.setenv("LINEAL_HOME", str(tmp_path / "other"))
    with lineal.init() as run:
        run.log_artifact(draft(same)).wait()
        assert run.log_artifact(changed).wait().qualified_name == "ana/vision/data:v1"


def test_a_draft_is_logged_more_than_once_in_another_home(
    logged: Artifact, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    changed = logged.new_draft()
    changed.remove("a")
    same = content(logged.download())
    lineal.finish()
    monkeypatch.setenv("LINEAL_HOME", str(tmp_path / "other"))
    with lineal.init() as run:
        run.log_artifact(draft(name="another")).wait()  # has the number that `logged` has at home
        run.log_artifact(draft(same)).wait()
        run.upsert_artifact(changed, distributed_id="both").wait()
        assert run.finish_artifact(changed, distributed_id="both").wait().name == "data:v1"


def test_a_draft_follows_its_collection_to_another_name(
    run: lineal.Run, logged: Artifact, api: lineal.Api
) -> None:
    before = logged.new_draft()
    renamed(api, "data", "pictures")
    after = logged.new_draft()
    assert after.name == "pictures"
    for changed, version in ((before, "v1"), (after, "v2")):
        changed.add_bytes(version.encode(), "new.txt")
        assert run.log_artifact(changed).wait().name == f"pictures:{version}"
    assert [each.name for each in api.artifact_type("dataset").collections()] == ["pictures"]


def test_a_draft_can_only_be_logged_where_it_came_from(logged: Artifact) -> None:
    changed = logged.new_draft()
    lineal.finish()
    with (
        lineal.init(project="elsewhere") as other,
        pytest.raises(ValueError, match="can only be logged to ana/vision"),
    ):
        other.log_artifact(changed)


def test_incremental_adds_to_the_latest_version(run: lineal.Run, logged: Artifact) -> None:
    more = Artifact("data", "dataset", incremental=True)
    more.add_bytes(b"more", "more.txt")
    more.add_bytes(b"AB", "ab.txt")
    run.log_artifact(more).wait()
    assert more.version == "v1"
    found = content(more.download())
    assert len(found) == 5
    assert (found["more.txt"], found["ab.txt"], found["a.txt"]) == (b"more", b"AB", b"a")


def test_incremental_begins_with_nothing_where_nothing_is(run: lineal.Run) -> None:
    first = Artifact("fresh", "dataset", incremental=True)
    first.add_bytes(b"x", "x")
    assert paths(run.log_artifact(first).wait()) == ["x"]
