"""What an `Artifact` is and says of itself, as a draft and as a version (ART-1…ART-15)."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.client.artifact.conftest import draft, uploads_held

import lineal
from lineal.client import session
from lineal.client.artifact.artifact import Artifact
from lineal.client.embedded.backend import EmbeddedBackend
from lineal.core.transfers import Upload
from lineal.errors import (
    ArtifactFinalizedError,
    ArtifactNotLoggedError,
    ArtifactsFailed,
    ArtifactStatusError,
    CommError,
    Unavailable,
)

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


def test_an_unknown_argument_is_said_of_the_class_that_was_called() -> None:
    with pytest.raises(TypeError, match=r"^Artifact\.__init__\(\) got an unexpected .* 'naem'"):
        Artifact(naem="a", type="b")  # type: ignore[call-arg]  # the point


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


@pytest.mark.parametrize("algorithm", ["MD5", "XXH128", None])
def test_the_digest_is_the_same_whatever_algorithm_is_asked_for(algorithm: str | None) -> None:
    asked = Artifact("data", "dataset", digest_algorithm=algorithm)
    assert asked.digest == Artifact("data", "dataset").digest
    assert asked.digest_algorithm == "SHA256"


def test_an_algorithm_that_nobody_has_is_refused() -> None:
    with pytest.raises(ValueError, match="is `MD5` or `XXH128`, not 'CRC32'"):
        Artifact("data", "dataset", digest_algorithm="CRC32")


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


def test_most_of_what_was_sent_before_a_failure_is_not_sent_again(
    api: lineal.Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for number in range(4):
        with open(files / f"{number}", "wb") as file:
            file.write(b"%d" % number)
            file.truncate(128 << 20)
    send = EmbeddedBackend.send
    sent: list[str] = []

    def failing(backend: EmbeddedBackend, upload: Upload, *how: Any) -> None:
        sent.append(upload.digest)
        if len(sent) == 4:
            raise Unavailable("the disk went away")
        send(backend, upload, *how)

    monkeypatch.setattr(EmbeddedBackend, "send", failing)
    for _ in range(2):
        artifact = Artifact("data", "dataset")
        artifact.add_dir(files, policy="immutable")
        with suppress(ArtifactsFailed), lineal.init() as run:
            run.log_artifact(artifact)
    assert len(sent) == 4 + 2  # 256 MiB were there
    assert api.artifact("data:v0").size == 512 << 20


def test_of_equal_content_it_tells_what_was_there_before(run: lineal.Run) -> None:
    run.log_artifact(draft(description="first", metadata={"epoch": 1}))
    again = run.log_artifact(draft(description="second", metadata={"epoch": 2}))
    session.worker().submit(lambda: None).result()
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
    assert artifact.use_as is None
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
        "linked_at",
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


def test_metadata_that_two_programs_change_is_merged(run: lineal.Run, api: lineal.Api) -> None:
    run.log_artifact(draft(metadata={"kept": 1, "old": 2, "changed": 3})).wait()
    mine, theirs = (lineal.Api().artifact("data:v0") for _ in range(2))
    theirs.metadata |= {"theirs": [1], "changed": 4}
    del theirs.metadata["old"]
    theirs.save()
    mine.metadata["mine"] = True
    mine.save()
    merged = {"kept": 1, "changed": 4, "theirs": [1], "mine": True}
    assert mine.metadata == api.artifact("data:v0").metadata == merged


def test_metadata_must_not_grow_too_large_by_two_programs(run: lineal.Run, api: lineal.Api) -> None:
    run.log_artifact(draft()).wait()
    mine, theirs = (lineal.Api().artifact("data:v0") for _ in range(2))
    theirs.metadata["theirs"] = "x" * 600_000
    theirs.save()
    mine.metadata["mine"] = "x" * 600_000
    with pytest.raises(ValueError, match="at most 1048576"):
        mine.save()
    assert list(api.artifact("data:v0").metadata) == ["theirs"]


def test_metadata_is_compared_as_the_json_it_becomes(run: lineal.Run, api: lineal.Api) -> None:
    numpy = pytest.importorskip("numpy")
    artifact = draft()
    artifact.metadata = {"flag": 1, "sizes": [1, 2]}
    run.log_artifact(artifact).wait()
    before = api.artifact("data:v0").updated_at
    artifact.metadata["sizes"] = numpy.array([1, 2])
    artifact.save()
    assert api.artifact("data:v0").updated_at == before
    artifact.metadata["flag"] = True
    artifact.save()
    assert api.artifact("data:v0").metadata["flag"] is True


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
    assert found._contents.base._head is None
