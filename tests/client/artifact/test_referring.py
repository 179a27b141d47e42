"""Entries that refer to what is elsewhere: files, folders, other artifacts (ART-22)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.client.artifact.conftest import ALL_IN_FOLDER, content, draft, paths

import lineal
from lineal.client.artifact.artifact import Artifact
from lineal.core.digest import of_bytes
from lineal.errors import Invalid, MissingFile, UsageError


def test_a_reference_to_a_file_records_where_it_is(run: lineal.Run, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"far")
    artifact = Artifact("data", "dataset")
    (entry,) = artifact.add_reference(f"file://{tmp_path}/f")
    assert (entry.path, entry.size, entry.digest) == ("f", 3, of_bytes(b"far"))
    assert entry.ref == f"file://{tmp_path}/f"
    assert (entry.extra, entry.etag, entry.version_id) == ({}, None, None)
    run.log_artifact(artifact).wait()
    assert content(artifact.download()) == {"f": b"far"}
    (file,) = artifact.files()
    assert file.url == entry.ref
    with pytest.raises(UsageError, match=r"data:v0/f is a reference to .*not kept here"):
        _ = file.md5


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
    assert paths(artifact) == [f"far/{path}" for path in ALL_IN_FOLDER]
    assert artifact.manifest.entries["far/sub/c.txt"].ref == f"file://{folder}/sub/c.txt"


def test_what_is_left_out_of_a_folder_is_not_even_read(folder: Path) -> None:
    (folder / "later.pipe").symlink_to("nothing is here yet")
    os.mkfifo(folder / "sub" / "pipe")
    data = Artifact("data", "dataset")
    entries = data.add_reference(f"file://{folder}", name="most", exclude=["*.pipe", "sub/"])
    assert [entry.path for entry in entries] == ["most/a.txt", "most/b.log", "most/skip/e.txt"]
    entries = data.add_reference(f"file://{folder}", include=["c.*", "*.log"])
    assert [entry.path for entry in entries] == ["b.log", "sub/c.txt"]


def test_what_is_taken_back_below_a_folder_left_out_is_referred_to(folder: Path) -> None:
    entries = draft().add_reference(f"file://{folder}", exclude=["*", "!c.txt"])
    assert [entry.path for entry in entries] == ["sub/c.txt"]


@pytest.mark.parametrize(
    ("text", "suggested"),
    [
        ("/data/f", "file:///data/f"),
        ("data/f", "file:///.*/data/f"),
        ("file:/data/f", "file:///data/f"),
        (str(Path("s3://bucket/key")), "s3://bucket/key"),
    ],
)
def test_what_is_no_uri_is_refused_and_one_is_suggested(text: str, suggested: str) -> None:
    with pytest.raises(ValueError, match=f"write {suggested}"):
        draft().add_reference(text)


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


@pytest.mark.parametrize("scheme", ["file", "http", "lineal"])
def test_what_is_no_unicode_is_no_uri(scheme: str) -> None:
    with pytest.raises(Invalid, match="is not valid Unicode, and so no URI"):
        draft().add_reference(f"{scheme}:///data/\udcff")


def test_a_reference_to_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        draft().add_reference(f"file://{tmp_path}/gone")


def test_max_objects_is_a_number(folder: Path) -> None:
    with pytest.raises(Invalid, match="number of files"):
        Artifact("data", "dataset").add_reference(f"file://{folder}", max_objects="3")  # type: ignore[arg-type]  # the test


def test_more_than_max_objects_is_an_error_not_a_truncation(folder: Path) -> None:
    artifact = Artifact("data", "dataset")
    with pytest.raises(ValueError, match="max_objects=4"):
        artifact.add_reference(f"file://{folder}", max_objects=4)
    assert paths(artifact) == []


def test_without_checksum_a_version_depends_on_the_uri_only(
    run: lineal.Run, tmp_path: Path
) -> None:
    (tmp_path / "f").write_bytes(b"one")
    for data in (b"one", b"more than that"):
        (tmp_path / "f").write_bytes(data)
        artifact = Artifact("data", "dataset")
        artifact.add_reference(f"file://{tmp_path}/f", checksum=False)
        assert run.log_artifact(artifact).wait().version == "v0"
    assert content(artifact.download()) == {"f": b"more than that"}


def test_a_reference_whose_target_changed_is_refused(run: lineal.Run, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"one")
    artifact = Artifact("data", "dataset")
    artifact.add_reference(f"file://{tmp_path}/f")
    run.log_artifact(artifact).wait()
    (tmp_path / "f").write_bytes(b"two")
    with pytest.raises(ValueError, match="changed since it was logged"):
        artifact.download()


def test_a_reference_in_a_draft_is_replaced_after_it_is_removed(
    run: lineal.Run, tmp_path: Path
) -> None:
    (tmp_path / "f").write_bytes(b"before")
    artifact = Artifact("data", "dataset")
    artifact.add_reference(f"file://{tmp_path}/f")
    run.log_artifact(artifact).wait()
    (tmp_path / "f").write_bytes(b"after")
    new = artifact.new_draft()
    with pytest.raises(Invalid, match=r"'f' twice .* to refer to file://.*, remove what is there"):
        new.add_reference(f"file://{tmp_path}/f")
    new.remove("f")
    new.add_reference(f"file://{tmp_path}/f")
    assert content(run.log_artifact(new).wait().download()) == {"f": b"after"}


def test_a_missing_reference_is_an_error_or_on_request_a_warning(
    run: lineal.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "f").write_bytes(b"x")
    artifact = draft({"here": b"h"})
    artifact.add_reference(f"file://{tmp_path}/f")
    run.log_artifact(artifact).wait()
    (tmp_path / "f").unlink()
    with pytest.raises(FileNotFoundError, match=r"does not exist any more; .*references=True"):
        artifact.download()
    assert content(artifact.download(allow_missing_references=True)) == {"here": b"h"}
    said = capsys.readouterr().err
    assert "does not exist any more; skipped" in said


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
    with pytest.raises(ValueError, match=r"f was not fetched: .* installed here knows gopher"):
        artifact.download()
    assert "what is there now is downloaded" not in capsys.readouterr().err
    assert content(artifact.download(allow_missing_references=True)) == {}
    assert "Reference f was not fetched: gopher://host/f cannot be read" in capsys.readouterr().err


def test_an_entry_of_another_artifact_shares_its_bytes(run: lineal.Run, logged: Artifact) -> None:
    artifact = Artifact("other", "dataset")
    artifact.add_reference(logged.get_entry("a.txt"))
    artifact.add_reference(logged.get_entry("b/c/d.txt").ref_url(), name="renamed")
    run.log_artifact(artifact).wait()
    assert content(artifact.download()) == {"a.txt": b"a", "renamed": b"bcd"}


def test_a_missing_file_is_both_ours_and_pythons(tmp_path: Path) -> None:
    with pytest.raises(MissingFile) as raised:
        draft().add_reference(f"file://{tmp_path}/gone")
    assert isinstance(raised.value, FileNotFoundError)
