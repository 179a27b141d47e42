"""The manifest of an artifact: entries sorted by path, and what each knows (MAN)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.client.artifact.conftest import draft, paths

import lineal
from lineal.client.artifact.artifact import Artifact
from lineal.core.digest import of_bytes
from lineal.core.full_names import ArtifactPath
from lineal.errors import ArtifactsFailed, Gone


def test_the_manifest_is_a_mapping_sorted_by_path(logged: Artifact) -> None:
    entries = logged.manifest.entries
    assert list(entries) == ["a.txt", "a/x.txt", "ab.txt", "b/c/d.txt"]
    assert len(entries) == len(logged.manifest) == 4
    assert entries["ab.txt"].size == 2
    assert not [key for key in ("zzz", 5, None, ("a.txt",)) if key in entries]
    with pytest.raises(KeyError):
        entries["zzz"]


def test_entries_can_be_walked_again_and_again(logged: Artifact) -> None:
    values = logged.manifest.entries.values()
    assert [entry.path for entry in values] == [entry.path for entry in values]
    assert next((path, entry.path) for path, entry in logged.manifest.entries.items()) == (
        "a.txt",
        "a.txt",
    )
    assert len(values) == 4


def test_an_entry_has_the_documented_fields(logged: Artifact) -> None:
    entry = logged.manifest.entries["ab.txt"]
    assert (entry.path, entry.digest, entry.size) == ("ab.txt", of_bytes(b"ab"), 2)
    assert entry.name == entry.path
    assert (entry.ref, entry.extra, entry.extra.get("etag")) == (None, {}, None)
    assert entry.to_json() == {
        "digest": of_bytes(b"ab"),
        "size": 2,
        "birthArtifactID": logged.id,
    }


def test_an_entry_remembers_the_version_that_brought_its_bytes(
    run: lineal.Run, logged: Artifact
) -> None:
    changed = logged.new_draft()
    assert changed.add_bytes(b"new", "new.txt").birth_artifact_id is None
    assert changed.manifest.entries["a.txt"].birth_artifact_id == logged.id
    run.log_artifact(changed).wait()
    births = {path: entry.birth_artifact_id for path, entry in changed.manifest.entries.items()}
    assert births == dict.fromkeys(paths(logged), logged.id) | {"new.txt": changed.id}
    assert changed.manifest.to_manifest_json()["contents"] == {
        path: entry.to_json() for path, entry in changed.manifest.entries.items()
    }
    elsewhere = run.log_artifact(draft({"b": b"a"}, "other")).wait()
    assert elsewhere.get_entry("b").birth_artifact_id == logged.id


def test_a_reference_to_bytes_that_are_stored_too_was_brought_by_no_version(
    run: lineal.Run, tmp_path: Path
) -> None:
    (tmp_path / "f").write_bytes(b"a")
    both = draft({"a.txt": b"a"})
    both.add_reference(f"file://{tmp_path}/f")
    run.log_artifact(both).wait()
    assert both.get_entry("f").digest == both.get_entry("a.txt").digest
    assert both.get_entry("f").birth_artifact_id is None
    shown = both.manifest.to_manifest_json()["contents"]
    assert "birthArtifactID" in shown["a.txt"]
    assert "birthArtifactID" not in shown["f"]


def test_entries_are_equal_if_they_have_the_same_path_and_content(logged: Artifact) -> None:
    entry, entries = logged.get_entry("a.txt"), logged.manifest.entries
    assert entry == entries["a.txt"] != entries["ab.txt"]
    assert entry != "a.txt"
    assert len({entry, entries["a.txt"], entries["ab.txt"]}) == 2


@pytest.mark.parametrize("is_changed", [False, True])
def test_a_draft_of_a_version_that_was_purged_meanwhile_says_so(
    run: lineal.Run, logged: Artifact, is_changed: bool
) -> None:
    changed = logged.new_draft()
    assert len(changed.manifest) == 4
    if is_changed:
        changed.add_bytes(b"new", "new.txt")
    logged._home.purge(ArtifactPath("ana", "vision", "data", "v0"))
    with pytest.raises(Gone, match="The content of ana/vision/data:v0 was released"):
        run.log_artifact(changed).wait()
    with pytest.raises(ArtifactsFailed):
        run.finish()


def test_an_entry_has_all_fields_before_and_after_it_is_logged(
    run: lineal.Run, tmp_path: Path
) -> None:
    (tmp_path / "f").write_bytes(b"ab")
    artifact = draft()
    entry = artifact.add_file(str(tmp_path / "f"), skip_cache=True)
    fields = [
        "path",
        "digest",
        "size",
        "ref",
        "birth_artifact_id",
        "extra",
        "local_path",
        "skip_cache",
    ]
    content = ["f", of_bytes(b"ab"), 2, None]
    assert [getattr(entry, field) for field in fields] == [
        *content,
        None,
        {},
        str(tmp_path / "f"),
        False,
    ]
    version = run.log_artifact(artifact).wait()
    fetched = version.get_entry("f")
    assert [getattr(fetched, field) for field in fields] == [*content, version.id, {}, None, False]


def test_a_manifest_is_one_json_object(logged: Artifact) -> None:
    shown = logged.manifest.to_manifest_json()
    assert (shown["version"], shown["storagePolicy"]) == (1, "lineal-v1")
    assert shown["storagePolicyConfig"] == {"storageLayout": "sha256"}
    assert list(shown["contents"]) == paths(logged)
    assert shown["contents"]["ab.txt"]["size"] == 2
    assert (logged.manifest.digest(), logged.manifest.size()) == (logged.digest, logged.size)


def test_the_digest_depends_on_paths_and_contents_only(run: lineal.Run) -> None:
    one = draft({"a": b"1", "b": b"2"}, "one", metadata={"k": 1})
    two = draft({"b": b"2", "a": b"1"}, "two", description="other")
    three = draft({"a": b"2", "b": b"1"}, "three")
    assert one.digest == two.digest != three.digest
    before = one.digest
    assert run.log_artifact(one).wait().digest == before
