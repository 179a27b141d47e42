"""The SDK's `Artifact`, attribute by attribute and error by error (sections 2 to 5)."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import lineal
from lineal.client import adding, session
from lineal.client.artifact import Artifact
from lineal.client.manifest import ManifestEntry
from lineal.config import load
from lineal.core.digest import of_bytes
from lineal.errors import (
    ArtifactFinalizedError,
    ArtifactNotLoggedError,
    ArtifactsFailed,
    ArtifactStatusError,
    CommError,
    Conflict,
    Gone,
    HostilePath,
    IntegrityError,
    Invalid,
    MissingFile,
    NotFound,
    UsageError,
    WaitTimeoutError,
)


@pytest.fixture(autouse=True)
def quiet_captures(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LINEAL_PROJECT", "vision")
    for capture in ("GIT", "REQUIREMENTS", "MACHINE_INFO", "META"):
        monkeypatch.setenv(f"LINEAL_DISABLE_{capture}", "true")
    monkeypatch.setenv("LINEAL_CONSOLE", "off")
    yield
    adding.adder(load()).unlogged.clear()  # drafts of tests need no warning at exit


@pytest.fixture
def run() -> Iterator[lineal.Run]:
    with lineal.init(id="train", group="night") as started:
        yield started


@pytest.fixture
def api() -> lineal.Api:
    return lineal.Api({"project": "vision"})


Files = dict[str, bytes]


def draft(files: Files | None = None, name: str = "data", **arguments: Any) -> Artifact:
    artifact = Artifact(name, "dataset", **arguments)
    for path, data in (files or {"a.txt": b"a"}).items():
        artifact.add_bytes(data, path)
    return artifact


@pytest.fixture
def logged(run: lineal.Run) -> Artifact:
    files = {"a.txt": b"a", "ab.txt": b"ab", "a/x.txt": b"ax", "b/c/d.txt": b"bcd"}
    return run.log_artifact(draft(files, description="all of it", metadata={"rows": 3})).wait()


@contextmanager
def uploads_held() -> Iterator[None]:
    """Let no upload begin that is asked for in the block, until it is left."""
    held = threading.Event()
    session.worker().submit(held.wait)
    try:
        yield
    finally:
        held.set()


def paths(artifact: Artifact) -> list[str]:
    return list(artifact.manifest.entries)


def content(folder: str | os.PathLike[str]) -> Files:
    root = Path(folder)
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


# --- construction and state (ART-1…ART-7) -------------------------------------------------------


def test_name_and_type_may_be_positional() -> None:
    artifact = Artifact("data", "dataset")
    assert (artifact.name, artifact.type) == ("data", "dataset")


def test_construction_touches_nothing(home: Path) -> None:
    Artifact("data", "dataset", description="d", metadata={"k": 1})
    assert not home.exists()


def test_a_type_is_required() -> None:
    with pytest.raises(TypeError, match="needs a type"):
        Artifact("data")


def test_a_name_may_be_left_out_and_is_provisional_until_logged(run: lineal.Run) -> None:
    artifact = Artifact(type="dataset")
    assert artifact.name == "run-<run id>-dataset"
    artifact.add_bytes(b"x", "x")
    assert run.log_artifact(artifact).wait().name == "run-train-dataset:v0"


@pytest.mark.parametrize("name", ["a b", "a/b", "a:b", "é", "", "x" * 129])
def test_a_bad_name_is_a_value_error(name: str) -> None:
    with pytest.raises(ValueError, match="Artifact name"):
        Artifact(name, "dataset")


@pytest.mark.parametrize("type", ["a/b", "a:b", "", "x" * 129])
def test_a_bad_type_is_a_value_error(type: str) -> None:
    with pytest.raises(ValueError, match="Artifact type"):
        Artifact("data", type)


@pytest.mark.parametrize(
    ("name", "type"),
    [("x", "job"), ("x", "wandb-history"), ("source-x", "code"), ("run-x", "run_table")],
)
def test_what_lineal_makes_itself_cannot_be_made_by_users(name: str, type: str) -> None:
    with pytest.raises(ValueError, match="reserved"):
        Artifact(name, type)


def test_a_storage_region_is_ignored_aloud(capsys: pytest.CaptureFixture[str]) -> None:
    Artifact("data", "dataset", storage_region="eu")
    assert "storage_region='eu' is ignored" in capsys.readouterr().err


def test_states_go_from_pending_to_committed_to_deleted(run: lineal.Run) -> None:
    artifact = draft()
    assert (artifact.state, artifact.is_draft()) == ("PENDING", True)
    run.log_artifact(artifact).wait()
    assert (artifact.state, artifact.is_draft()) == ("COMMITTED", False)
    artifact.delete(delete_aliases=True)
    assert artifact.state == "DELETED"


def identity(artifact: Artifact) -> tuple[object, ...]:
    return artifact.is_draft(), artifact.state, artifact.name, artifact.source_name


def test_it_is_committed_once_its_run_is_finished(api: lineal.Api) -> None:
    with lineal.init() as run, uploads_held():
        artifact = run.log_artifact(draft())
        assert identity(artifact) == (True, "PENDING", "data", "data")
        assert artifact.id is None
    assert identity(artifact) == (False, "COMMITTED", "data:v0", "data:v0")
    assert artifact.id == api.artifact("data:v0").id


def test_logged_without_a_run_it_is_committed() -> None:
    artifact = lineal.log_artifact(draft())
    assert identity(artifact) == (False, "COMMITTED", "data:v0", "data:v0")


def test_it_stays_a_draft_if_it_was_not_stored() -> None:
    run = lineal.init()
    artifact = run.log_artifact(draft({"a": b"1", "a/b": b"2"}))
    with pytest.raises(ArtifactsFailed):
        run.finish()
    assert identity(artifact) == (True, "PENDING", "data", "data")


def test_of_equal_content_it_tells_what_was_there_before(run: lineal.Run) -> None:
    run.log_artifact(draft(description="first", metadata={"epoch": 1}))
    again = run.log_artifact(draft(description="second", metadata={"epoch": 2}))
    session.worker().drain()
    assert (again.description, again.metadata) == ("first", {"epoch": 1})


CHANGES: dict[str, Callable[[Artifact], object]] = {
    "add_file": lambda artifact: artifact.add_file("a.txt"),
    "add_dir": lambda artifact: artifact.add_dir("."),
    "add_bytes": lambda artifact: artifact.add_bytes(b"x", "x"),
    "add_reference": lambda artifact: artifact.add_reference("file:///etc/hostname"),
    "add": lambda artifact: artifact.add(lineal.Table(columns=["a"]), "t"),
    "setitem": lambda artifact: artifact.__setitem__("t", lineal.Table(columns=["a"])),
    "new_file": lambda artifact: artifact.new_file("x").__enter__(),
    "remove": lambda artifact: artifact.remove("a.txt"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_finalized_draft_cannot_change(change: str) -> None:
    artifact = draft()
    artifact.finalize()
    with pytest.raises(ArtifactFinalizedError, match=r"was finalized and cannot change; log it"):
        CHANGES[change](artifact)


@pytest.mark.parametrize("change", CHANGES)
def test_a_logged_artifact_cannot_change(run: lineal.Run, change: str) -> None:
    artifact = run.log_artifact(draft())
    with pytest.raises(ArtifactFinalizedError):
        CHANGES[change](artifact)


def test_status_errors_are_attribute_errors() -> None:
    assert issubclass(ArtifactStatusError, AttributeError)
    assert issubclass(ArtifactNotLoggedError, ArtifactStatusError)
    assert issubclass(ArtifactFinalizedError, ArtifactStatusError)


def test_what_a_draft_can_tell() -> None:
    artifact = draft(description="d", metadata={"k": 1}, incremental=True)
    assert artifact.id is None
    assert (artifact.name, artifact.source_name, artifact.type) == ("data", "data", "dataset")
    assert (artifact.description, artifact.metadata) == ("d", {"k": 1})
    assert (artifact.distributed_id, artifact.incremental) == (None, True)
    assert (artifact.state, artifact.is_link) == ("PENDING", False)
    assert (len(artifact.manifest), artifact.size) == (1, 1)
    assert artifact.digest.startswith("sha256:")


@pytest.mark.parametrize(
    "attribute",
    [
        "entity",
        "project",
        "qualified_name",
        "version",
        "collection",
        "source_entity",
        "source_project",
        "source_qualified_name",
        "source_version",
        "source_collection",
        "aliases",
        "tags",
        "commit_hash",
        "file_count",
        "created_at",
        "updated_at",
        "history_step",
        "url",
        "linked_artifacts",
        "source_artifact",
    ],
)
def test_what_a_draft_cannot_tell_yet(attribute: str) -> None:
    with pytest.raises(ArtifactNotLoggedError, match="not logged yet"):
        getattr(draft(), attribute)


@pytest.mark.parametrize("attribute", ["aliases", "tags"])
def test_aliases_and_tags_cannot_be_set_on_a_draft(attribute: str) -> None:
    with pytest.raises(ArtifactNotLoggedError):
        setattr(draft(), attribute, ["x"])


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("get_entry", ["a.txt"]),
        ("get_path", ["a.txt"]),
        ("get", ["a.txt"]),
        ("download", []),
        ("checkout", []),
        ("verify", []),
        ("file", []),
        ("files", []),
        ("delete", []),
        ("unlink", []),
        ("used_by", []),
        ("logged_by", []),
        ("json_encode", []),
        ("new_draft", []),
        ("wait", []),
    ],
)
def test_what_cannot_be_done_with_a_draft(method: str, arguments: list[str]) -> None:
    with pytest.raises(ArtifactNotLoggedError):
        getattr(draft(), method)(*arguments)


@pytest.mark.parametrize(("name", "meant"), [("metdata", "metadata"), ("ttl_duration", "ttl")])
def test_an_unknown_attribute_names_the_nearest(name: str, meant: str) -> None:
    with pytest.raises(AttributeError, match=f"did you mean `{meant}`"):
        getattr(draft(), name)


# --- attributes (ART-8…ART-15) ------------------------------------------------------------------


def test_names_of_a_logged_artifact(logged: Artifact) -> None:
    assert (logged.name, logged.version) == ("data:v0", "v0")
    assert (logged.entity, logged.project) == ("ana", "vision")
    assert logged.qualified_name == "ana/vision/data:v0"
    assert logged.source_name == "data:v0"
    assert logged.source_qualified_name == "ana/vision/data:v0"
    assert (logged.source_entity, logged.source_project) == ("ana", "vision")
    assert logged.source_version == "v0"


def test_a_link_has_a_name_and_a_number_of_its_own(run: lineal.Run, logged: Artifact) -> None:
    second = run.log_artifact(draft({"n": b"2"})).wait()
    link = second.link("released")
    assert (link.name, link.version) == ("released:v0", "v0")
    assert (link.source_name, link.source_version) == ("data:v1", "v1")
    assert link.is_link
    assert not second.is_link


def test_size_and_count_include_references(run: lineal.Run, tmp_path: Path) -> None:
    (tmp_path / "far").write_bytes(b"12345")
    artifact = draft({"near": b"123"})
    artifact.add_reference(f"file://{tmp_path}/far")
    assert artifact.size == 8
    run.log_artifact(artifact).wait()
    assert (artifact.size, artifact.file_count) == (8, 2)


def test_moments_are_iso_texts_and_updated_follows_changes(logged: Artifact) -> None:
    assert datetime.fromisoformat(logged.created_at).tzinfo is not None
    assert logged.updated_at >= logged.created_at
    before = logged.updated_at
    logged.description = "better"
    logged.save()
    assert logged.updated_at > before


def test_commit_hash_is_the_digest_with_its_algorithm(logged: Artifact) -> None:
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", logged.commit_hash)


def test_history_step_is_the_last_finished_one(run: lineal.Run) -> None:
    before = run.log_artifact(draft({"n": b"0"})).wait()
    for _ in range(3):
        run.log({"loss": 1})
    after = run.log_artifact(draft({"n": b"1"})).wait()
    assert before.history_step is None
    assert after.history_step in (1, 2)


def test_description_and_metadata_can_be_set_before_and_after(
    run: lineal.Run, api: lineal.Api
) -> None:
    artifact = draft()
    artifact.description, artifact.metadata = "before", {"k": 1}
    run.log_artifact(artifact).wait()
    artifact.description = "after"
    artifact.metadata["k"] = 2
    artifact.metadata["new"] = [1, {"deep": None}]
    artifact.save()
    found = api.artifact("data:v0")
    assert (found.description, found.metadata) == ("after", {"k": 2, "new": [1, {"deep": None}]})


def test_what_is_changed_while_the_upload_runs_is_kept_for_save(
    run: lineal.Run, api: lineal.Api
) -> None:
    with uploads_held():
        artifact = run.log_artifact(draft(description="now", metadata={"epoch": 1}))
        artifact.description = "later"
        artifact.metadata["accuracy"] = 0.5
    artifact.wait()
    stored = api.artifact("data:v0")
    assert (stored.description, stored.metadata) == ("now", {"epoch": 1})
    artifact.save()
    stored = api.artifact("data:v0")
    assert (stored.description, stored.metadata) == ("later", {"epoch": 1, "accuracy": 0.5})


def test_what_equal_content_had_before_is_no_change_to_save(
    run: lineal.Run, api: lineal.Api
) -> None:
    run.log_artifact(draft(description="first", metadata={"epoch": 1}))
    again = run.log_artifact(draft(description="second", metadata={"epoch": 2})).wait()
    assert (again.description, again.metadata) == ("first", {"epoch": 1})
    again.save()
    assert api.artifact("data:v0").description == "first"


def test_setting_the_description_of_a_link_warns(
    logged: Artifact, capsys: pytest.CaptureFixture[str]
) -> None:
    link = logged.link("released")
    link.description = "seen everywhere"
    assert "its source's" in capsys.readouterr().err
    link.save()
    assert link.source_artifact.description == "seen everywhere"


def test_aliases_are_edited_in_place_and_saved(logged: Artifact, api: lineal.Api) -> None:
    logged.aliases.append("prod")
    logged.save()
    assert api.artifact("data:prod").version == "v0"
    logged.aliases.remove("prod")
    logged.save()
    with pytest.raises(CommError):
        api.artifact("data:prod")


def test_tags_are_edited_in_place_and_saved(logged: Artifact, api: lineal.Api) -> None:
    logged.tags = "one tag"
    logged.tags.append("two")
    logged.save()
    assert sorted(api.artifact("data:v0").tags) == ["one tag", "two"]
    logged.tags.remove("two")
    logged.save()
    assert api.artifact("data:v0").tags == ["one tag"]


def test_saving_without_a_change_changes_nothing(logged: Artifact) -> None:
    before = logged.updated_at
    logged.save()
    assert logged.updated_at == before


def test_a_bad_alias_added_in_place_is_refused_when_saved(logged: Artifact) -> None:
    logged.aliases.append("v7")
    with pytest.raises(ValueError, match="reserved"):
        logged.save()


def test_url_is_empty_where_nothing_shows_pages(logged: Artifact) -> None:
    assert logged.url == ""


def test_links_and_their_source_lead_to_each_other(logged: Artifact) -> None:
    link = logged.link("released", aliases="prod")
    assert [each.name for each in logged.linked_artifacts] == ["released:v0"]
    assert link.linked_artifacts == []
    assert link.source_artifact.name == "data:v0"
    assert logged.source_artifact is logged
    assert sorted(link.aliases) == ["latest", "prod"]
    assert "prod" not in logged.aliases


def test_collections_are_objects(logged: Artifact) -> None:
    link = logged.link("released")
    assert logged.collection.name == "data"
    assert (link.collection.name, link.source_collection.name) == ("released", "data")


def test_digest_and_size_need_no_manifest(logged: Artifact, api: lineal.Api) -> None:
    found = api.artifact("data:v0")
    assert (found.digest, found.size) == (logged.digest, logged.size)
    assert "head" not in vars(found._contents.base)


# --- adding files (ART-16…ART-19) ---------------------------------------------------------------


def test_a_file_is_named_by_its_basename(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "f.bin").write_bytes(b"data")
    artifact = Artifact("data", "dataset")
    entry = artifact.add_file(tmp_path / "deep" / "f.bin")
    assert isinstance(entry, ManifestEntry)
    assert (entry.path, entry.size, entry.digest) == ("f.bin", 4, of_bytes(b"data"))


def test_a_file_may_be_given_a_name(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    artifact = Artifact("data", "dataset")
    artifact.add_file(str(tmp_path / "f"), name="sub/./g")
    assert paths(artifact) == ["sub/g"]


@pytest.mark.parametrize("what", [".", "missing"])
def test_what_is_no_file_is_a_value_error(what: str) -> None:
    with pytest.raises(ValueError, match=r"is a folder|does not exist"):
        Artifact("data", "dataset").add_file(what)


def test_an_unknown_policy_is_a_value_error(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    with pytest.raises(ValueError, match="use `mutable` or `immutable`"):
        Artifact("data", "dataset").add_file(tmp_path / "f", policy="fast")
    with pytest.raises(ValueError, match="use `mutable` or `immutable`"):
        Artifact("data", "dataset").add_dir(tmp_path, policy="fast")


@pytest.mark.parametrize("policy", ["mutable", "immutable"])
def test_both_policies_store_the_same_version(run: lineal.Run, tmp_path: Path, policy: str) -> None:
    (tmp_path / "f").write_bytes(b"same")
    for each in ("mutable", policy):
        artifact = Artifact("data", "dataset")
        artifact.add_file(tmp_path / "f", policy=each)
        assert run.log_artifact(artifact).wait().version == "v0"


def test_adding_the_same_content_again_changes_nothing() -> None:
    artifact = draft({"f": b"x"})
    before = artifact.digest
    artifact.add_bytes(b"x", "f")
    assert (artifact.digest, len(artifact.manifest)) == (before, 1)


def test_adding_other_content_under_the_same_path_needs_overwrite(tmp_path: Path) -> None:
    artifact = draft({"f": b"x"})
    (tmp_path / "f").write_bytes(b"y")
    with pytest.raises(ValueError, match="Cannot add 'f' twice with different content"):
        artifact.add_file(tmp_path / "f")
    artifact.add_file(tmp_path / "f", overwrite=True)
    assert artifact.manifest.entries["f"].digest == of_bytes(b"y")


def test_overwritten_content_is_what_is_stored(run: lineal.Run) -> None:
    artifact = draft({"f": b"before"})
    artifact.add_bytes(b"after", "f", overwrite=True)
    run.log_artifact(artifact).wait()
    assert content(artifact.download()) == {"f": b"after"}


def test_a_temporary_file_is_named_by_its_digest(tmp_path: Path) -> None:
    (tmp_path / "f.png").write_bytes(b"x")
    entry = Artifact("data", "dataset").add_file(tmp_path / "f.png", "media/f.png", is_tmp=True)
    assert entry.path == f"media/{of_bytes(b'x').partition(':')[2][:20]}.png"


def test_empty_files_are_kept(run: lineal.Run) -> None:
    artifact = run.log_artifact(draft({"empty": b""})).wait()
    assert content(artifact.download()) == {"empty": b""}


def test_an_added_file_knows_its_name_inside(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    artifact = Artifact("data", "dataset")
    artifact.add_file(tmp_path / "f", "inside")
    assert artifact.get_added_local_path_name(str(tmp_path / "f")) == "inside"
    assert artifact.get_added_local_path_name("elsewhere") is None


def test_an_entry_of_a_draft_knows_where_it_came_from(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    artifact = Artifact("data", "dataset")
    assert artifact.add_file(tmp_path / "f").local_path == str(tmp_path / "f")


# --- adding folders (ART-20) --------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for path in ("a.txt", "b.log", "sub/c.txt", "sub/deep/d.txt", "skip/e.txt"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode())
    (root / "empty").mkdir()
    return root


ALL = ["a.txt", "b.log", "skip/e.txt", "sub/c.txt", "sub/deep/d.txt"]


def test_a_folder_keeps_its_structure_without_empty_folders(folder: Path) -> None:
    artifact = Artifact("data", "dataset")
    artifact.add_dir(folder)
    assert paths(artifact) == ALL


def test_a_folder_may_go_under_a_prefix(folder: Path) -> None:
    artifact = Artifact("data", "dataset")
    artifact.add_dir(str(folder), name="root/")
    assert paths(artifact) == [f"root/{path}" for path in ALL]


def test_symbolic_links_are_followed(folder: Path) -> None:
    (folder / "link").symlink_to("sub")
    artifact = Artifact("data", "dataset")
    artifact.add_dir(folder)
    assert "link/deep/d.txt" in paths(artifact)


def test_what_is_no_folder_is_a_value_error(folder: Path) -> None:
    (folder / "link").symlink_to("gone")
    for path, what in (
        ("a.txt", "is not a folder; use add_file"),
        ("gone", r"Folder /.*/gone does not exist"),
        ("link", "leads nowhere"),
    ):
        with pytest.raises(ValueError, match=what):
            Artifact("data", "dataset").add_dir(folder / path)


def test_changed_files_need_merge_and_nothing_is_ever_removed(folder: Path) -> None:
    artifact = Artifact("data", "dataset")
    artifact.add_dir(folder)
    (folder / "a.txt").write_bytes(b"changed")
    (folder / "b.log").unlink()
    with pytest.raises(ValueError, match="merge=True"):
        artifact.add_dir(folder)
    artifact.add_dir(folder, merge=True)
    assert artifact.manifest.entries["a.txt"].digest == of_bytes(b"changed")
    assert paths(artifact) == ALL


def test_a_refused_folder_adds_nothing(folder: Path) -> None:
    artifact = draft({"sub/c.txt": b"other"})
    with pytest.raises(ValueError, match=r"sub/c.txt"):
        artifact.add_dir(folder)
    assert paths(artifact) == ["sub/c.txt"]


@pytest.mark.parametrize(
    ("include", "exclude", "left"),
    [
        ("*.txt", (), ["a.txt", "skip/e.txt", "sub/c.txt", "sub/deep/d.txt"]),
        ((), "*.txt", ["b.log"]),
        ((), ["skip/", "*.log"], ["a.txt", "sub/c.txt", "sub/deep/d.txt"]),
        (["/*.txt", "deep/"], (), ["a.txt", "sub/deep/d.txt"]),
        ("sub/", "deep/", ["sub/c.txt"]),
    ],
)
def test_globs_choose_files(folder: Path, include: Any, exclude: Any, left: list[str]) -> None:
    artifact = Artifact("data", "dataset")
    artifact.add_dir(folder, include=include, exclude=exclude)
    assert paths(artifact) == left


def test_an_ignore_file_is_honoured_and_not_stored(folder: Path) -> None:
    (folder / ".linealignore").write_text("# secrets\n*.log\nskip/\n")
    artifact = Artifact("data", "dataset")
    artifact.add_dir(folder)
    assert paths(artifact) == ["a.txt", "sub/c.txt", "sub/deep/d.txt"]


# --- new_file, references, objects, remove (ART-21…ART-25) --------------------------------------


def test_a_new_file_is_added_when_its_block_ends(run: lineal.Run) -> None:
    artifact = Artifact("data", "dataset")
    with artifact.new_file("sub/notes.txt", encoding="utf-8") as file:
        file.write("héllo")
        assert paths(artifact) == []
    with artifact.new_file("raw", mode="xb") as file:
        file.write(b"\0")
    run.log_artifact(artifact).wait()
    assert content(artifact.download()) == {"sub/notes.txt": "héllo".encode(), "raw": b"\0"}


def test_a_new_file_refuses_a_taken_name_unless_it_overwrites() -> None:
    artifact = draft({"f": b"x"})
    with pytest.raises(ValueError, match="added already"), artifact.new_file("f"):
        pass
    with artifact.new_file("f", mode="w") as file:
        file.write("y")
    assert artifact.manifest.entries["f"].digest == of_bytes(b"y")


def test_a_new_file_whose_block_fails_is_not_added() -> None:
    artifact = Artifact("data", "dataset")
    with pytest.raises(ZeroDivisionError), artifact.new_file("f") as file:
        file.write(str(1 / 0))
    assert paths(artifact) == []


def test_text_that_cannot_be_encoded_is_raised_and_not_added() -> None:
    artifact = Artifact("data", "dataset")
    with pytest.raises(UnicodeEncodeError), artifact.new_file("f", encoding="ascii") as file:
        file.write("é")
    assert paths(artifact) == []


def test_a_new_file_cannot_be_opened_for_reading() -> None:
    with pytest.raises(ValueError, match="does not write"), draft().new_file("f", mode="r"):
        pass


def test_a_reference_to_a_file_records_where_it_is(run: lineal.Run, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"far")
    artifact = Artifact("data", "dataset")
    (entry,) = artifact.add_reference(f"file://{tmp_path}/f")
    assert (entry.path, entry.size, entry.digest) == ("f", 3, of_bytes(b"far"))
    assert entry.ref == f"file://{tmp_path}/f"
    assert (entry.extra, entry.etag, entry.version_id) == ({}, None, None)
    run.log_artifact(artifact).wait()
    assert content(artifact.download()) == {"f": b"far"}


def test_a_reference_stores_no_bytes(run: lineal.Run, tmp_path: Path, home: Path) -> None:
    (tmp_path / "f").write_bytes(b"only referenced")
    artifact = Artifact("data", "dataset")
    artifact.add_reference(f"file://{tmp_path}/f")
    run.log_artifact(artifact).wait()
    assert of_bytes(b"only referenced").partition(":")[2] not in "".join(
        path.name for path in (home / "blobs").rglob("*")
    )


def test_a_reference_to_a_folder_refers_to_every_file_below(folder: Path) -> None:
    artifact = Artifact("data", "dataset")
    entries = artifact.add_reference(f"file://{folder}", name="far")
    assert [entry.path for entry in entries] == paths(artifact)
    assert paths(artifact) == [f"far/{path}" for path in ALL]
    assert artifact.manifest.entries["far/sub/c.txt"].ref == f"file://{folder}/sub/c.txt"


def test_a_reference_without_scheme_suggests_one() -> None:
    with pytest.raises(ValueError, match="file:///data/f"):
        draft().add_reference("/data/f")


def test_a_scheme_may_be_written_in_capitals(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"far")
    (entry,) = Artifact("data", "dataset").add_reference(f"FILE://{tmp_path}/f")
    assert entry.ref == f"file://{tmp_path}/f"


def test_what_is_no_uri_is_not_referred_to(tmp_path: Path) -> None:
    for nothing in (None, 7):
        with pytest.raises(TypeError, match=f"takes a URI such as .*, not {nothing}"):
            draft().add_reference(nothing)
    with pytest.raises(TypeError, match=r"not PosixPath.*`path.absolute\(\).as_uri\(\)`"):
        draft().add_reference(tmp_path / "f")


def test_a_reference_to_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        draft().add_reference(f"file://{tmp_path}/gone")


def test_more_than_max_objects_is_an_error_not_a_truncation(folder: Path) -> None:
    artifact = Artifact("data", "dataset")
    with pytest.raises(ValueError, match="max_objects=4"):
        artifact.add_reference(f"file://{folder}", max_objects=4)
    assert paths(artifact) == []


def test_without_checksum_a_version_depends_on_the_uri_only(
    run: lineal.Run, tmp_path: Path
) -> None:
    (tmp_path / "f").write_bytes(b"one")
    for data in (b"one", b"two"):
        (tmp_path / "f").write_bytes(data)
        artifact = Artifact("data", "dataset")
        artifact.add_reference(f"file://{tmp_path}/f", checksum=False)
        assert run.log_artifact(artifact).wait().version == "v0"
    assert content(artifact.download()) == {"f": b"two"}


def test_a_reference_whose_target_changed_is_refused(run: lineal.Run, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"one")
    artifact = Artifact("data", "dataset")
    artifact.add_reference(f"file://{tmp_path}/f")
    run.log_artifact(artifact).wait()
    (tmp_path / "f").write_bytes(b"two")
    with pytest.raises(ValueError, match="changed since it was logged"):
        artifact.download()


def test_a_missing_reference_is_an_error_or_on_request_a_warning(
    run: lineal.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "f").write_bytes(b"x")
    artifact = draft({"here": b"h"})
    artifact.add_reference(f"file://{tmp_path}/f")
    run.log_artifact(artifact).wait()
    (tmp_path / "f").unlink()
    with pytest.raises(FileNotFoundError, match="does not exist any more"):
        artifact.download()
    assert content(artifact.download(allow_missing_references=True)) == {"here": b"h"}
    assert "skipped" in capsys.readouterr().err


def test_an_unknown_scheme_needs_a_name_and_cannot_be_fetched(
    run: lineal.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = Artifact("data", "dataset")
    with pytest.raises(ValueError, match="needs a name"):
        artifact.add_reference("gopher://host/f")
    (entry,) = artifact.add_reference("gopher://host/f", name="f")
    assert entry.digest == "gopher://host/f"
    assert "nothing can be checked" in capsys.readouterr().err
    run.log_artifact(artifact).wait()
    with pytest.raises(ValueError, match="nothing installed here knows gopher"):
        artifact.download()


def test_an_entry_of_another_artifact_shares_its_bytes(run: lineal.Run, logged: Artifact) -> None:
    artifact = Artifact("other", "dataset")
    artifact.add_reference(logged.get_entry("a.txt"))
    artifact.add_reference(logged.get_entry("b/c/d.txt").ref_url(), name="renamed")
    run.log_artifact(artifact).wait()
    assert content(artifact.download()) == {"a.txt": b"a", "renamed": b"bcd"}


def test_a_table_is_stored_under_its_name_and_type(run: lineal.Run) -> None:
    artifact = Artifact("data", "dataset")
    table = lineal.Table(columns=["n"], data=[[1], [2]])
    entry = artifact.add(table, "results")
    assert entry.path == "results.table.json"
    assert artifact.add(table, "results") == entry
    artifact["again"] = table
    run.log_artifact(artifact).wait()
    assert artifact.get("results") == table
    assert artifact["again"] == table
    assert artifact.get_entry("results").path == "results.table.json"


def test_what_is_no_data_type_cannot_be_added() -> None:
    with pytest.raises(TypeError, match="Cannot add a dict"):
        draft().add({"a": 1}, "x")


@pytest.mark.parametrize(
    ("item", "left"),
    [
        ("a.txt", ["a/x.txt", "ab.txt"]),
        ("a", ["a.txt", "ab.txt"]),
        ("a/", ["a.txt", "ab.txt"]),
        (Path("a/x.txt"), ["a.txt", "ab.txt"]),
    ],
)
def test_a_file_or_a_folder_is_removed(item: Any, left: list[str]) -> None:
    artifact = draft({"a.txt": b"1", "ab.txt": b"2", "a/x.txt": b"3"})
    artifact.remove(item)
    assert paths(artifact) == left


def test_an_entry_is_removed() -> None:
    artifact = draft({"a": b"1", "b": b"2"})
    artifact.remove(artifact.manifest.entries["a"])
    assert paths(artifact) == ["b"]


def test_removing_what_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError, match="No such file or folder in artifact data: gone"):
        draft().remove("gone")


def test_names_inside_may_be_paths(run: lineal.Run, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f.txt").write_bytes(b"f")
    artifact = Artifact("data", "dataset")
    artifact.add_file(tmp_path / "d" / "f.txt", name=Path("q/f.txt"))
    artifact.add_dir(tmp_path / "d", name=Path("all"))
    artifact.add_bytes(b"x", Path("b"))
    with artifact.new_file(Path("n/new")) as file:
        file.write("x")
    artifact[Path("t")] = lineal.Table(columns=["a"])
    assert paths(artifact) == ["all/f.txt", "b", "n/new", "q/f.txt", "t.table.json"]
    artifact.remove(Path("b"))
    run.log_artifact(artifact).wait()
    assert isinstance(artifact[Path("t")], lineal.Table)
    assert [file.name for file in artifact.files(names=[Path("q/f.txt")])] == ["q/f.txt"]
    inside = artifact.manifest.get_entries_in_directory(Path("q"))
    assert [entry.path for entry in inside] == ["q/f.txt"]


@pytest.mark.parametrize("name", [5, b"f"])
def test_a_name_inside_that_is_no_text_is_refused_as_that(name: Any) -> None:
    with pytest.raises(HostilePath, match=r"must be a text or a path, not a (int|bytes)"):
        draft().add_bytes(b"x", name)


@pytest.mark.parametrize("path", ["/abs", "../up", "a/../../b", "C:\\x", "C:/x", "..\\up", "a\0"])
def test_paths_that_leave_the_artifact_are_refused(path: str) -> None:
    with pytest.raises(HostilePath):
        draft().add_bytes(b"x", path)


# --- reading (ART-28…ART-37) --------------------------------------------------------------------


def test_a_download_goes_to_a_folder_of_name_and_version(logged: Artifact) -> None:
    assert logged.download() == "./artifacts/data:v0"
    assert content("artifacts/data:v0") == {
        "a.txt": b"a",
        "ab.txt": b"ab",
        "a/x.txt": b"ax",
        "b/c/d.txt": b"bcd",
    }


def test_the_parent_of_downloads_can_be_set(
    logged: Artifact, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, api: lineal.Api
) -> None:
    lineal.finish()
    monkeypatch.setenv("WANDB_ARTIFACT_DIR", str(tmp_path / "fetched"))
    assert api.artifact("data:v0").download() == str(tmp_path / "fetched" / "data:v0")


def test_a_download_leaves_other_files_alone_and_repairs_its_own(
    logged: Artifact, tmp_path: Path
) -> None:
    logged.download(tmp_path / "t")
    (tmp_path / "t" / "mine").write_bytes(b"mine")
    (tmp_path / "t" / "ab.txt").write_bytes(b"xx")
    (tmp_path / "t" / "a.txt").unlink()
    logged.download(tmp_path / "t")
    found = content(tmp_path / "t")
    assert (found["mine"], found["ab.txt"], found["a.txt"]) == (b"mine", b"ab", b"a")


@pytest.mark.parametrize(
    ("prefix", "left"),
    [
        ("a", ["a.txt", "a/x.txt", "ab.txt"]),
        ("a/", ["a/x.txt"]),
        ("b/c", ["b/c/d.txt"]),
        ("", ["a.txt", "a/x.txt", "ab.txt", "b/c/d.txt"]),
        ("z", []),
    ],
)
def test_a_prefix_of_paths_can_be_downloaded(
    logged: Artifact, tmp_path: Path, prefix: str, left: list[str]
) -> None:
    logged.download(tmp_path / "t", path_prefix=prefix)
    assert sorted(content(tmp_path / "t")) == left


def test_globs_choose_what_is_downloaded(logged: Artifact, tmp_path: Path) -> None:
    logged.download(tmp_path / "t", include=["*.txt"], exclude="a/")
    assert sorted(content(tmp_path / "t")) == ["a.txt", "ab.txt", "b/c/d.txt"]


def test_a_checkout_deletes_what_is_not_in_the_artifact(
    logged: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "t"
    (target / "old").mkdir(parents=True)
    (target / "old" / "f").write_bytes(b"x")
    logged.checkout(str(target), dry_run=True)
    assert "would delete" in capsys.readouterr().err
    assert sorted(content(target)) == ["old/f"]
    logged.checkout(str(target))
    assert sorted(content(target)) == ["a.txt", "a/x.txt", "ab.txt", "b/c/d.txt"]
    assert not (target / "old").exists()


def test_a_checkout_goes_by_default_to_a_folder_without_version(logged: Artifact) -> None:
    assert os.path.normpath(logged.checkout()) == "artifacts/data"


def test_a_checkout_refuses_folders_that_nobody_wants_emptied(
    logged: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "tree" / ".git").mkdir(parents=True)
    for target in ("/", str(tmp_path), str(tmp_path / "tree")):
        with pytest.raises(Invalid, match="Refusing to check out"):
            logged.checkout(target)


def test_a_downloaded_folder_is_verified(logged: Artifact, tmp_path: Path) -> None:
    logged.download(tmp_path / "t")
    logged.verify(str(tmp_path / "t"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / "extra").write_bytes(b""), "extra .* is not part"),
        (lambda root: (root / "a.txt").write_bytes(b"z"), "a.txt .* has other content"),
        (lambda root: (root / "a.txt").unlink(), "a.txt is missing"),
    ],
)
def test_a_damaged_folder_is_a_value_error(
    logged: Artifact, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    logged.download(tmp_path / "t")
    damage(tmp_path / "t")
    with pytest.raises(ValueError, match=message) as raised:
        logged.verify(str(tmp_path / "t"))
    assert isinstance(raised.value, IntegrityError)


def test_references_are_counted_not_verified(
    run: lineal.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "f").write_bytes(b"x")
    artifact = draft()
    artifact.add_reference(f"file://{tmp_path}/f")
    run.log_artifact(artifact).wait()
    artifact.download(tmp_path / "t")
    artifact.verify(str(tmp_path / "t"))
    assert "1 references were not checked" in capsys.readouterr().err


def test_the_only_file_is_returned_as_a_path(run: lineal.Run, logged: Artifact) -> None:
    single = run.log_artifact(draft({"sub/f": b"x"}, "single")).wait()
    assert Path(single.file()).read_bytes() == b"x"
    with pytest.raises(ValueError, match="has 4 files"):
        logged.file()


def test_files_are_listed_lazily_and_completely(logged: Artifact) -> None:
    files = logged.files(per_page=1)
    assert len(files) == 4
    assert [file.name for file in files] == ["a.txt", "a/x.txt", "ab.txt", "b/c/d.txt"]
    assert [file.size for file in logged.files(names=["ab.txt"])] == [2]


def test_an_entry_is_found_by_path_or_not_at_all(logged: Artifact) -> None:
    assert logged.get_entry("a/x.txt").size == 2
    assert logged.get_path("a.txt").path == "a.txt"
    assert logged.get_entry("./a//x.txt").path == "a/x.txt"
    with logged.open("./a.txt") as file:
        assert file.read() == b"a"
    with pytest.raises(KeyError, match=r"did you mean 'ab.txt'"):
        logged.get_entry("abb.txt")
    with pytest.raises(KeyError, match=r"'b/c' is a folder; download\(path_prefix='b/c/'\)"):
        logged.get_entry("b/c/")
    with pytest.raises(MissingFile, match="'a' is a folder"):
        logged.open("a")
    assert logged.get("gone") is None


def test_an_entry_is_downloaded_alone(logged: Artifact, tmp_path: Path) -> None:
    path = logged.get_entry("b/c/d.txt").download(str(tmp_path / "t"))
    assert content(tmp_path / "t") == {"b/c/d.txt": b"bcd"}
    assert Path(path).read_bytes() == b"bcd"


def test_an_entry_knows_its_artifact_and_its_target(
    run: lineal.Run, logged: Artifact, tmp_path: Path
) -> None:
    entry = logged.get_entry("a.txt")
    assert entry.parent_artifact() is logged
    with pytest.raises(ValueError, match="not a reference"):
        entry.ref_target()
    (tmp_path / "f").write_bytes(b"x")
    artifact = Artifact("other", "dataset")
    (reference,) = artifact.add_reference(f"file://{tmp_path}/f")
    assert reference.ref_target() == f"file://{tmp_path}/f"
    with pytest.raises(ValueError, match="no logged artifact"):
        reference.parent_artifact()


# --- logging, waiting, saving (ART-38…ART-40) ---------------------------------------------------


def test_logging_returns_the_artifact_at_once(run: lineal.Run) -> None:
    artifact = draft()
    assert run.log_artifact(artifact) is artifact
    assert artifact.wait() is artifact
    assert artifact.wait(timeout=1).version == "v0"


@pytest.mark.parametrize(
    ("path", "entries", "name"),
    [
        ("tree", ALL, "run-train-tree:v0"),
        ("tree/a.txt", ["a.txt"], "run-train-a.txt:v0"),
        ("file://{}/a.txt", ["a.txt"], "run-train-a.txt:v0"),
    ],
)
def test_a_path_is_logged_as_file_folder_or_reference(
    run: lineal.Run, folder: Path, path: str, entries: list[str], name: str
) -> None:
    target = path.format(folder) if "://" in path else str(folder.parent / path)
    artifact = run.log_artifact(target).wait()
    assert (artifact.name, artifact.type) == (name, "unspecified")
    assert paths(artifact) == entries


def test_a_path_may_be_given_a_name_and_a_type(run: lineal.Run, folder: Path) -> None:
    artifact = run.log_artifact(folder, name="data", type="dataset", aliases="prod").wait()
    assert (artifact.name, artifact.type) == ("data:v0", "dataset")
    assert sorted(artifact.aliases) == ["latest", "prod"]


def test_a_path_to_nothing_is_a_value_error(run: lineal.Run) -> None:
    with pytest.raises(ValueError, match="no file, folder or reference"):
        run.log_artifact("gone")


@pytest.mark.parametrize("what", [None, 3, {"a": 1}])
def test_what_is_no_artifact_is_a_type_error(run: lineal.Run, what: Any) -> None:
    with pytest.raises(TypeError, match="log_artifact takes an Artifact or a path"):
        run.log_artifact(what)


@pytest.mark.parametrize("what", ["aliases", "tags"])
def test_what_is_no_list_of_names_is_a_type_error(run: lineal.Run, what: str) -> None:
    with pytest.raises(TypeError, match=rf"(?i){what} must be a text or a list of texts, not 5"):
        run.log_artifact(draft(), **{what: 5})


def test_an_unknown_rule_for_unchanged_content_is_refused_at_once(run: lineal.Run) -> None:
    artifact = draft()
    with pytest.raises(Invalid, match="cannot be 'zz'; use reuse, update_metadata, new_version"):
        run.log_artifact(artifact, on_unchanged="zz")  # type: ignore[arg-type]  # the test
    assert run.log_artifact(artifact).wait().version == "v0"


def test_waiting_has_a_time_limit(run: lineal.Run) -> None:
    with uploads_held():
        artifact = run.log_artifact(draft())
        with pytest.raises(WaitTimeoutError, match=r"not stored within 0\.01 s") as raised:
            artifact.wait(timeout=0.01)
    assert isinstance(raised.value, TimeoutError)
    assert artifact.wait().version == "v0"


def test_a_failed_upload_is_raised_by_wait_and_by_finish() -> None:
    run = lineal.init()
    artifact = run.log_artifact(draft({"a": b"1", "a/b": b"2"}))
    with pytest.raises(ValueError, match="file and a folder"):
        artifact.wait()
    with pytest.raises(ArtifactsFailed, match="data"):
        run.finish()


def test_saving_a_draft_in_a_run_logs_it(run: lineal.Run) -> None:
    artifact = draft()
    artifact.save()
    logged_by = artifact.wait().logged_by()
    assert logged_by is not None
    assert logged_by.id == "train"


def test_saving_a_draft_without_a_run_makes_one(api: lineal.Api) -> None:
    artifact = draft()
    artifact.save()
    maker = artifact.logged_by()
    assert maker is not None
    assert (maker.job_type, maker.state) == ("auto", "finished")


def test_saving_elsewhere_makes_a_run_there() -> None:
    artifact = draft()
    artifact.save(project="elsewhere")
    assert artifact.qualified_name == "ana/elsewhere/data:v0"


# --- drafts of versions (ART-41…ART-43) ---------------------------------------------------------


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


# --- distributed versions (ART-44) --------------------------------------------------------------


def test_several_runs_write_one_version(run: lineal.Run) -> None:
    part = run.upsert_artifact(draft({"one": b"1"}))
    rest = run.finish_artifact(draft({"two": b"2"})).wait()
    assert part.is_draft()
    assert (rest.version, paths(rest)) == ("v0", ["one", "two"])
    assert content(rest.download()) == {"one": b"1", "two": b"2"}


def test_after_finishing_the_same_id_begins_a_new_version(run: lineal.Run) -> None:
    run.upsert_artifact(draft({"one": b"1"}))
    run.finish_artifact(draft({"two": b"2"})).wait()
    run.upsert_artifact(draft({"three": b"3"}), distributed_id="night")
    second = run.finish_artifact(draft({"four": b"4"}), distributed_id="night").wait()
    assert (second.version, paths(second)) == ("v1", ["four", "three"])


def test_contributions_are_not_visible_until_finished(run: lineal.Run, api: lineal.Api) -> None:
    run.upsert_artifact(draft({"one": b"1"}))._failure()
    assert not api.artifact_exists("data:latest")


def test_different_content_for_one_path_is_an_error() -> None:
    run = lineal.init(id="writer", group="g")
    run.upsert_artifact(draft({"same": b"1"}))
    with pytest.raises(CommError, match="'same' was contributed with different content"):
        run.finish_artifact(draft({"same": b"2"})).wait()
    with pytest.raises(ArtifactsFailed):
        run.finish()


def test_a_distributed_version_needs_an_id_or_a_group() -> None:
    with lineal.init() as run, pytest.raises(TypeError, match="distributed_id"):
        run.upsert_artifact(draft())


def test_the_stub_for_a_config_names_id_and_version(logged: Artifact) -> None:
    stub = logged.json_encode()
    assert json.loads(json.dumps(stub)) == stub
    assert (stub["_type"], stub["version"]) == ("artifactVersion", "v0")
    assert (stub["id"], stub["sequenceName"]) == (logged.id, "data")


# --- models (ART-46) ----------------------------------------------------------------------------


def test_a_model_is_logged_and_used(run: lineal.Run, folder: Path) -> None:
    model = run.log_model(folder / "a.txt", name="net", aliases=["best"]).wait()
    assert (model.type, model.name) == ("model", "net:v0")
    assert Path(run.use_model("net:best")).read_bytes() == b"a.txt"
    run.log_model(folder, name="tree").wait()
    assert Path(run.use_model("tree")).is_dir()


def test_what_is_no_model_is_refused_as_one(run: lineal.Run, logged: Artifact) -> None:
    with pytest.raises(AssertionError, match="'dataset'"):
        run.use_model("data")


def test_a_model_is_linked_to_a_registered_one(run: lineal.Run, folder: Path) -> None:
    link = run.link_model(folder / "a.txt", "detector", name="net", aliases=["prod"])
    assert link is not None
    assert (link.name, link.source_name) == ("detector:v0", "net:v0")
    assert "prod" in link.aliases


# --- names and types (NAM) ----------------------------------------------------------------------


def test_a_name_has_one_type_in_a_project(run: lineal.Run, logged: Artifact) -> None:
    other = Artifact("data", "model")
    other.add_bytes(b"x", "x")
    with pytest.raises(ValueError, match=r"`dataset`, not `model`"):
        run.log_artifact(other).wait()
    run._artifacts.clear()  # its failure was looked at


@pytest.mark.parametrize(
    "name", ["data", "data:latest", "data:v0", "vision/data:v0", "ana/vision/data:latest"]
)
def test_every_form_of_a_name_leads_to_the_version(
    run: lineal.Run, logged: Artifact, name: str
) -> None:
    assert run.use_artifact(name).qualified_name == "ana/vision/data:v0"


def test_a_digest_leads_to_the_version(run: lineal.Run, logged: Artifact) -> None:
    assert run.use_artifact(f"data:{logged.digest}").version == "v0"


@pytest.mark.parametrize("name", ["a/b/c/d:v0", "data:", "", "//data"])
def test_what_is_no_artifact_name_is_a_value_error(run: lineal.Run, name: str) -> None:
    with pytest.raises(ValueError, match=r"artifact|Cannot read"):
        run.use_artifact(name)


def test_an_absent_version_names_what_is_there(run: lineal.Run, logged: Artifact) -> None:
    with pytest.raises(NotFound, match=r"`prod` in ana/vision/data .*Aliases there: latest"):
        run.use_artifact("data:prod")
    with pytest.raises(NotFound, match="did you mean data"):
        run.use_artifact("dat:latest")


# --- aliases (ALI) ------------------------------------------------------------------------------


def test_latest_always_moves_to_the_new_version(run: lineal.Run) -> None:
    first = run.log_artifact(draft({"n": b"1"})).wait()
    second = run.log_artifact(draft({"n": b"2"}), aliases=["prod"]).wait()
    assert first.aliases == ["latest"]
    assert sorted(second.aliases) == ["latest", "prod"]
    assert run.use_artifact("data:v0").aliases == []


def test_an_alias_is_on_one_version_of_a_collection(run: lineal.Run, api: lineal.Api) -> None:
    run.log_artifact(draft({"n": b"1"}), aliases="prod")
    run.log_artifact(draft({"n": b"2"}), aliases="prod").wait()
    assert [("prod" in each.aliases) for each in api.artifacts(name="data")] == [True, False]


@pytest.mark.parametrize("alias", ["a/b", "a:b", "", "v3", "v0", "x" * 129])
def test_a_bad_alias_is_a_value_error_at_once(run: lineal.Run, alias: str) -> None:
    artifact = draft()
    with pytest.raises(ValueError, match=r"[Aa]lias"):
        run.log_artifact(artifact, aliases=[alias])
    assert artifact.is_draft()
    assert run.log_artifact(artifact).wait().version == "v0"


def test_latest_falls_back_when_its_version_is_deleted(run: lineal.Run) -> None:
    first = run.log_artifact(draft({"n": b"1"})).wait()
    second = run.log_artifact(draft({"n": b"2"})).wait()
    second.delete(delete_aliases=True)
    assert run.use_artifact("data:latest").version == first.version


def test_latest_taken_away_by_hand_falls_back_to_the_newest(
    run: lineal.Run, logged: Artifact
) -> None:
    logged.aliases.remove("latest")
    logged.save()
    assert run.use_artifact("data:latest").version == "v0"


def test_compare_and_swap_moves_an_alias_only_from_where_it_was(run: lineal.Run) -> None:
    first = run.log_artifact(draft({"n": b"1"})).wait()
    second = run.log_artifact(draft({"n": b"2"})).wait()
    first.move_alias("best", expected_version=None)
    with pytest.raises(Conflict, match=r"`best` of ana/vision/data is on v0, not on none"):
        second.move_alias("best", expected_version=None)
    second.move_alias("best", expected_version="v0")
    assert run.use_artifact("data:best").version == "v1"


def test_every_move_of_an_alias_is_kept(run: lineal.Run) -> None:
    for number in range(3):
        run.log_artifact(draft({"n": bytes([number])}), aliases=["prod"]).wait()
    history = run.use_artifact("data").alias_history("prod")
    assert [(move.before, move.after) for move in history] == [
        (None, "v0"),
        ("v0", "v1"),
        ("v1", "v2"),
    ]


# --- tags and metadata (TAG, MET) ---------------------------------------------------------------


def test_tags_are_given_when_logging_without_doubles(run: lineal.Run) -> None:
    artifact = run.log_artifact(draft(), tags=["one", "two words", "one"]).wait()
    assert sorted(artifact.tags) == ["one", "two words"]


@pytest.mark.parametrize("tag", ["", " x", "x ", "a,b", "a/b", "é!"])
def test_a_bad_tag_is_a_value_error(run: lineal.Run, tag: str) -> None:
    with pytest.raises(ValueError, match="Tag"):
        run.log_artifact(draft(), tags=[tag])


def test_metadata_is_copied_as_json() -> None:
    numpy = pytest.importorskip("numpy")
    original = {"n": numpy.float32(0.5), "a": numpy.array([1, 2]), "nan": float("nan"), "t": (1,)}
    artifact = draft(metadata=original)
    assert artifact.metadata == {"n": 0.5, "a": [1, 2], "nan": None, "t": [1]}
    original["n"] = 7
    assert artifact.metadata["n"] == 0.5


@pytest.mark.parametrize("value", [float("inf"), -float("inf")])
def test_infinities_are_refused_in_metadata(value: float) -> None:
    with pytest.raises(ValueError, match="infinities"):
        draft(metadata={"deep": [{"x": value}]})
    with pytest.raises(ValueError, match="infinities"):
        draft().metadata = {"x": value}


@pytest.mark.parametrize("metadata", [[1], "text", 3])
def test_metadata_is_an_object(metadata: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="metadata"):
        draft(metadata=metadata)


def test_metadata_may_have_many_keys_but_not_many_megabytes(run: lineal.Run) -> None:
    many = {f"key{number}": number for number in range(1_000)}
    assert run.log_artifact(draft(metadata=many)).wait().metadata == many
    large = run.log_artifact(draft({"x": b"x"}, metadata={"text": "x" * (1 << 20)}))
    with pytest.raises(ValueError, match="at most 1048576"):
        large.wait()
    run._artifacts.clear()  # its failure was looked at


# --- log and use (SEM) --------------------------------------------------------------------------


def test_content_of_any_earlier_version_makes_no_new_one(
    run: lineal.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (b"1", b"2"):
        run.log_artifact(draft({"n": number})).wait()
    capsys.readouterr()
    again = run.log_artifact(draft({"n": b"1"}), aliases=["prod"]).wait()
    assert again.version == "v0"
    assert sorted(again.aliases) == ["latest", "prod"]
    assert "data is unchanged, still v0" in capsys.readouterr().err


def test_another_run_that_logs_the_same_becomes_a_producer(api: lineal.Api) -> None:
    for name in ("first", "second"):
        with lineal.init(id=name) as run:
            run.log_artifact(draft())
    assert [each.name for each in api.run("second").logged_artifacts()] == ["data:v0"]
    maker = api.artifact("data:v0").logged_by()
    assert maker is not None
    assert maker.id == "first"


def test_a_change_of_metadata_alone_makes_no_version_and_says_so(
    run: lineal.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run.log_artifact(draft(metadata={"k": 1})).wait()
    again = run.log_artifact(draft(metadata={"k": 2})).wait()
    assert (again.version, again.metadata) == ("v0", {"k": 1})
    assert "on_unchanged='update_metadata'" in capsys.readouterr().err


def test_unchanged_content_may_update_metadata_or_make_a_version(run: lineal.Run) -> None:
    run.log_artifact(draft(metadata={"k": 1})).wait()
    updated = run.log_artifact(draft(metadata={"k": 2}), on_unchanged="update_metadata").wait()
    assert (updated.version, updated.metadata) == ("v0", {"k": 2})
    forced = run.log_artifact(draft(metadata={"k": 3}), on_unchanged="new_version").wait()
    assert (forced.version, forced.metadata) == ("v1", {"k": 3})


def test_using_records_an_input_once(run: lineal.Run, logged: Artifact) -> None:
    lineal.finish()
    with lineal.init(id="eval") as consumer:
        consumer.use_artifact("data:v0")
        used = consumer.use_artifact("data:latest", type="dataset")
    assert [each.id for each in used.used_by()] == ["eval"]


def test_using_as_another_type_is_a_value_error(run: lineal.Run, logged: Artifact) -> None:
    with pytest.raises(ValueError, match="'dataset', not 'model'"):
        run.use_artifact("data:v0", type="model")


def test_a_draft_is_used_as_made_by_no_run(run: lineal.Run) -> None:
    artifact = draft()
    run.use_artifact(artifact, aliases=["given"])
    assert not artifact.is_draft()
    assert artifact.logged_by() is None
    assert [each.id for each in artifact.used_by()] == ["train"]
    assert "given" in artifact.aliases


def test_an_artifact_of_another_project_may_be_used(logged: Artifact) -> None:
    lineal.finish()
    with lineal.init(project="elsewhere", id="reader") as reader:
        used = reader.use_artifact("vision/data:v0")
    assert [(each.project, each.id) for each in used.used_by()] == [("elsewhere", "reader")]


def test_the_edge_keeps_the_version_when_the_alias_moves(run: lineal.Run) -> None:
    run.log_artifact(draft({"n": b"1"})).wait()
    lineal.finish()
    with lineal.init(id="reader") as reader:
        reader.use_artifact("data:latest")
    with lineal.init(id="writer") as writer:
        writer.log_artifact(draft({"n": b"2"}))
    used = lineal.Api({"project": "vision"}).run("reader").used_artifacts()
    assert [each.name for each in used] == ["data:v0"]


# --- deleting and linking -----------------------------------------------------------------------


def test_a_version_with_aliases_is_deleted_only_on_request(logged: Artifact) -> None:
    with pytest.raises(CommError, match=r"has aliases \(latest\)"):
        logged.delete()
    logged.delete(delete_aliases=True)
    assert logged.state == "DELETED"


def test_a_deleted_version_is_gone_by_name_and_its_number_stays_taken(
    run: lineal.Run, logged: Artifact
) -> None:
    logged.delete(delete_aliases=True)
    with pytest.raises(Gone, match="was deleted by ana"):
        run.use_artifact("data:v0")
    assert run.log_artifact(draft({"a.txt": b"a"})).wait().version == "v1"


def test_deleting_a_link_only_unlinks(
    logged: Artifact, run: lineal.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    link = logged.link("released")
    link.delete()
    assert "only the link is removed" in capsys.readouterr().err
    assert run.use_artifact("data:v0").state == "COMMITTED"
    assert logged.linked_artifacts == []


def test_a_linked_version_cannot_be_deleted(logged: Artifact) -> None:
    logged.link("released")
    with pytest.raises(CommError, match="is linked as ana/vision/released:v0"):
        logged.delete(delete_aliases=True)


def test_only_links_can_be_unlinked(logged: Artifact) -> None:
    with pytest.raises(ValueError, match="is not a link; use delete"):
        logged.unlink()
    logged.link("released").unlink()
    assert logged.linked_artifacts == []


def test_a_link_leads_to_a_collection_not_to_a_version(logged: Artifact) -> None:
    with pytest.raises(ValueError, match="not to a version"):
        logged.link("released:v1")


def test_linking_a_draft_logs_it_first(run: lineal.Run) -> None:
    artifact = draft()
    assert artifact.link("elsewhere/released").qualified_name == "ana/elsewhere/released:v0"
    assert artifact.version == "v0"


def test_logging_a_version_of_another_project_is_refused(logged: Artifact) -> None:
    lineal.finish()
    with (
        lineal.init(project="elsewhere") as other,
        pytest.raises(UsageError, match="another project"),
    ):
        other.log_artifact(logged)


# --- manifest (MAN) -----------------------------------------------------------------------------


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
    assert (entry.ref, entry.extra, entry.extra.get("etag")) == (None, {}, None)
    assert entry.to_json() == {
        "digest": of_bytes(b"ab"),
        "size": 2,
        "birthArtifactID": logged.id,
    }


def test_an_entry_remembers_the_version_that_brought_its_bytes(
    run: lineal.Run, logged: Artifact, tmp_path: Path
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
    (tmp_path / "f").write_bytes(b"a")
    reference = draft(name="refs").add_reference(f"file://{tmp_path}/f")[0]
    assert reference.birth_artifact_id is None


def test_a_manifest_is_one_json_object(logged: Artifact) -> None:
    shown = logged.manifest.to_manifest_json()
    assert (shown["version"], shown["storagePolicy"]) == (1, "lineal-v1")
    assert shown["storagePolicyConfig"] == {"storageLayout": "sha256"}
    assert list(shown["contents"]) == paths(logged)
    assert shown["contents"]["ab.txt"]["size"] == 2


def test_the_digest_depends_on_paths_and_contents_only(run: lineal.Run) -> None:
    one = draft({"a": b"1", "b": b"2"}, "one", metadata={"k": 1})
    two = draft({"b": b"2", "a": b"1"}, "two", description="other")
    three = draft({"a": b"2", "b": b"1"}, "three")
    assert one.digest == two.digest != three.digest
    before = one.digest
    assert run.log_artifact(one).wait().digest == before


def test_an_empty_artifact_is_a_version(run: lineal.Run) -> None:
    artifact = run.log_artifact(Artifact("empty", "dataset")).wait()
    assert (artifact.version, artifact.file_count, artifact.size) == ("v0", 0, 0)
    assert content(artifact.download()) == {}


def test_a_missing_file_is_both_ours_and_pythons(tmp_path: Path) -> None:
    with pytest.raises(MissingFile) as raised:
        draft().add_reference(f"file://{tmp_path}/gone")
    assert isinstance(raised.value, FileNotFoundError)


# --- lineage from an artifact -------------------------------------------------------------------


def test_the_run_that_logged_it_is_known(logged: Artifact) -> None:
    maker = logged.logged_by()
    assert maker is not None
    assert maker.id == "train"
    assert logged.used_by() == []


def test_upstream_and_downstream_are_graphs(run: lineal.Run, logged: Artifact) -> None:
    lineal.finish()
    with lineal.init(id="next") as consumer:
        consumer.use_artifact("data:v0")
        made = consumer.log_artifact(draft({"m": b"m"}, "made")).wait()
    assert "ana/vision/data:v0" in {node.name for node in made.upstream().nodes}
    assert "ana/vision/made:v0" in {node.name for node in logged.downstream().nodes}
