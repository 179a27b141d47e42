"""Fetching what a version has: download, checkout, verify, entries (ART-28…ART-37)."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, event
from tests.client.artifact.conftest import content, draft

import lineal
from lineal.client.artifact import download
from lineal.client.artifact.artifact import Artifact
from lineal.client.artifact.contents import Added
from lineal.client.public import lists
from lineal.core.digest import of_bytes
from lineal.core.manifest import Segment, SegmentHead, starts_segment
from lineal.core.records import VersionId
from lineal.errors import IntegrityError, Invalid, LinealError, MissingFile


def test_a_download_goes_to_a_folder_of_name_and_version(logged: Artifact) -> None:
    folder = logged.download()
    assert folder == os.path.abspath("artifacts/data:v0")
    assert logged.download(root=os.path.dirname("model.pt")) == folder
    assert logged.download(root="here") == "here"
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


def test_a_folder_of_a_large_version_is_listed_without_reading_the_rest(
    run: lineal.Run, api: lineal.Api
) -> None:
    large = Artifact("large", "dataset")
    with large.new_file("sent") as file:
        file.write("x")
    entry = next(iter(large._contents))
    added = (
        Added(entry._replace(path=f"f{number // 10:04}/{number}"), None) for number in range(9_000)
    )
    large._contents.add(added)
    run.log_artifact(large).wait()
    read: list[str] = []

    def note(*executed: Any) -> None:
        if "segments.content" in executed[2]:
            read.extend(executed[3])

    version = api.artifact("large")
    event.listen(Engine, "before_cursor_execute", note)
    try:
        inside = version.manifest.get_entries_in_directory("f0007/")
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert [entry.path for entry in inside] == [f"f0007/{number}" for number in range(70, 80)]
    assert len(read) <= 2 < len(version._contents.base.head.segments)


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
    logged: Artifact,
    tmp_path: Path,
    prefix: str,
    left: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    logged.download(tmp_path / "t", path_prefix=prefix)
    assert sorted(content(tmp_path / "t")) == left
    assert ("leave no file of" in capsys.readouterr().err) == (not left)


@pytest.mark.parametrize(
    ("paths", "left"),
    [
        (["a.txt", Path("b/c/d.txt"), "./a.txt"], ["a.txt", "b/c/d.txt"]),
        ("a.txt", ["a.txt"]),
        ([], []),
    ],
)
def test_a_list_of_paths_is_downloaded_and_nothing_else(
    logged: Artifact, tmp_path: Path, paths: Any, left: list[str]
) -> None:
    logged.download(tmp_path / "t", paths=paths)
    assert sorted(content(tmp_path / "t")) == left


def test_a_listed_path_is_no_pattern_and_must_be_there(run: lineal.Run, tmp_path: Path) -> None:
    artifact = run.log_artifact(draft({"a[1]": b"1", "a1": b"2", "sub/a[1]": b"3"})).wait()
    artifact.download(tmp_path / "t", paths=["a[1]", "sub/a[1]"], exclude="sub/")
    assert content(tmp_path / "t") == {"a[1]": b"1"}
    with pytest.raises(FileNotFoundError, match=r"has no file 'a\[2\]'; did you mean 'a\[1\]'"):
        artifact.download(tmp_path / "u", paths=["a1", "a[2]"])
    assert not (tmp_path / "u").exists()


def test_globs_choose_what_is_downloaded(logged: Artifact, tmp_path: Path) -> None:
    logged.download(tmp_path / "t", include=["*.txt"], exclude="a/")
    assert sorted(content(tmp_path / "t")) == ["a.txt", "ab.txt", "b/c/d.txt"]


@pytest.mark.parametrize("link", ["hard", "symbolic"])
def test_a_download_may_link_to_what_is_stored(
    run: lineal.Run, logged: Artifact, tmp_path: Path, link: str
) -> None:
    root = Path(logged.download(root=tmp_path / "out", link=link))
    assert content(root) == content(Path(logged.download(root=tmp_path / "copies")))
    stored = {path.stat().st_ino for path in Path(os.environ["LINEAL_HOME"], "blobs").rglob("*")}
    assert (root / "a.txt").stat().st_ino in stored
    assert (root / "a.txt").is_symlink() == (link == "symbolic")
    logged.verify(root)
    newer = run.log_artifact(draft({"a.txt": b"newer"})).wait()
    newer.download(root=root)  # replaces the link, and not what it leads to
    assert (root / "a.txt").read_bytes() == b"newer"
    assert Path(logged.download(root=tmp_path / "again"), "a.txt").read_bytes() == b"a"


def test_where_nothing_can_be_linked_files_are_copied_and_it_is_said(
    logged: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    def other_disk(_source: str, _target: str) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setitem(download.LINKS, "hard", other_disk)
    root = Path(logged.download(root=tmp_path / "out", link="hard"))
    assert content(root) == content(Path(logged.download(root=tmp_path / "copies")))
    assert capsys.readouterr().err.count("cannot be linked here") == 1


def test_a_damaged_stored_file_is_not_linked(logged: Artifact, tmp_path: Path) -> None:
    for path in Path(os.environ["LINEAL_HOME"], "blobs").rglob("*"):
        if path.is_file() and path.read_bytes() == b"bcd":
            path.chmod(0o644)
            path.write_bytes(b"bad")
    with pytest.raises(IntegrityError):
        logged.download(root=tmp_path / "out", link="hard")
    assert not (tmp_path / "out" / "b" / "c" / "d.txt").exists()


def test_an_unknown_kind_of_link_is_a_value_error(logged: Artifact) -> None:
    with pytest.raises(ValueError, match="hard or symbolic"):
        logged.download(link="soft")


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


def test_a_checkout_that_fails_deletes_nothing(logged: Artifact, tmp_path: Path) -> None:
    target = tmp_path / "t"
    target.mkdir()
    (target / "before").write_bytes(b"x")
    for path in Path(os.environ["LINEAL_HOME"], "blobs").rglob("*"):
        if path.is_file() and path.read_bytes() == b"bcd":
            path.unlink()
    with pytest.raises(IntegrityError, match="lost"):
        logged.checkout(str(target))
    assert content(target)["before"] == b"x"


def test_a_checkout_replaces_folders_by_files_and_files_by_folders(
    logged: Artifact, tmp_path: Path
) -> None:
    target = tmp_path / "t"
    (target / "a.txt" / "deep").mkdir(parents=True)
    (target / "ab.txt").mkdir()
    (target / "ab.txt" / "file").write_bytes(b"x")
    (target / "a").write_bytes(b"x")
    (tmp_path / "outside").mkdir()
    (target / "b").symlink_to(tmp_path / "outside")
    (target / "other").write_bytes(b"x")
    assert logged.checkout(str(target)) == str(target)
    assert sorted(content(target)) == ["a.txt", "a/x.txt", "ab.txt", "b/c/d.txt"]
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_checkout_fills_a_folder_that_is_empty(logged: Artifact, tmp_path: Path) -> None:
    target = tmp_path / "t"
    target.mkdir()
    logged.checkout(str(target))
    assert sorted(content(target)) == ["a.txt", "a/x.txt", "ab.txt", "b/c/d.txt"]


def test_a_checkout_goes_by_default_to_a_folder_without_version(logged: Artifact) -> None:
    assert logged.checkout() == os.path.abspath("artifacts/data")


def test_a_checkout_refuses_folders_that_nobody_wants_emptied(
    logged: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "tree" / ".git").mkdir(parents=True)
    for target in ("/", str(tmp_path), str(tmp_path / "tree")):
        with pytest.raises(Invalid, match="Refusing to check out"):
            logged.checkout(target)


@pytest.mark.parametrize("method", ["download", "checkout", "verify", "file"])
@pytest.mark.parametrize(
    ("root", "message"), [("a\0b", "contains a NUL"), ("x/" * 3000, "is too long")]
)
def test_what_no_folder_can_be_called_is_refused(
    run: lineal.Run, method: str, root: str, message: str
) -> None:
    one = run.log_artifact(draft({"a.txt": b"a"})).wait()
    with pytest.raises(Invalid, match=message):
        getattr(one, method)(root)
    with pytest.raises(TypeError, match="must be a text or a path, not 5"):
        getattr(one, method)(5)


@pytest.mark.parametrize("what", [None, 5, b"a.txt"])
def test_what_is_no_path_is_not_looked_for(logged: Artifact, what: Any) -> None:
    manifest = logged.manifest
    for look in (logged.get_entry, logged.get, logged.open, manifest.get_entry_by_path):
        with pytest.raises(TypeError, match="must be a text or a path, not"):
            look(what)


def test_a_checkout_refuses_to_delete_the_data_of_lineal(logged: Artifact, tmp_path: Path) -> None:
    with lineal.init(
        project="other", mode="offline", dir=tmp_path / "work", reinit="create_new"
    ) as run:
        run.log({"loss": 1})
    with pytest.raises(Invalid, match=r"Refusing .* would delete the data that Lineal keeps in"):
        logged.checkout(str(tmp_path / "work"))
    home = os.environ["LINEAL_HOME"]
    with pytest.raises(Invalid, match=home):
        logged.checkout(home)
    logged.download(tmp_path / "t")
    assert Path(run.sync_dir).is_dir()


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


def test_bytes_that_are_not_stored_any_more_are_named(
    logged: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = logged._home
    assert backend is not None
    locate, lost = backend.locate, of_bytes(b"bcd")
    monkeypatch.setattr(
        backend, "locate", lambda *asked: {k: v for k, v in locate(*asked).items() if k != lost}
    )
    with pytest.raises(IntegrityError, match=r"bytes of b/c/d.txt in .*/data:v0 are not stored"):
        logged.verify(remote=True)


def test_bytes_that_somebody_deleted_from_the_store_are_named(logged: Artifact) -> None:
    for path in Path(os.environ["LINEAL_HOME"], "blobs").rglob("*"):
        if path.is_file() and path.read_bytes() == b"bcd":
            path.unlink()
    with pytest.raises(IntegrityError, match=r"bytes of b/c/d.txt in .*/data:v0 are not stored"):
        logged.verify(remote=True)
    with pytest.raises(
        MissingFile, match=r"bytes of b/c/d.txt .* are not stored any more: .*/blobs"
    ):
        logged.open("b/c/d.txt")


def test_stored_bytes_are_verified_without_a_download(logged: Artifact, tmp_path: Path) -> None:
    logged.verify(remote=True)
    with pytest.raises(Invalid, match="is not a folder"):
        logged.verify(str(tmp_path / "t"), remote=True)
    for path in Path(os.environ["LINEAL_HOME"], "blobs").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"?" * path.stat().st_size)
    with pytest.raises(IntegrityError, match=r"stored bytes of a.txt in .*/data:v0 are damaged"):
        logged.verify(remote=True)


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
    (tmp_path / "f").unlink()
    assert artifact.verify(remote=True) == 1


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


def test_files_are_listed_from_both_ends_and_in_the_segments_that_hold_them(
    run: lineal.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = [name for name in map("{:05}".format, range(10_000)) if starts_segment(name)][:4]
    names = sorted({*cut, *(name + end for name in ["-", *cut] for end in "abc")})
    many = run.log_artifact(draft(dict.fromkeys(names, b"x"), "many")).wait()
    assert len(many._contents.base.head.segments) == 5
    read: list[int] = []
    backend, before = many._home, many._home.read_segments

    def counted(version: VersionId, heads: Sequence[SegmentHead]) -> Iterator[Segment]:
        for segment in before(version, heads):
            read.append(1)
            yield segment

    monkeypatch.setattr(backend, "read_segments", counted)
    files = many.files(per_page=2)
    assert (files[-1].name, len(read)) == (names[-1], 1)
    assert ([file.name for file in files[-6:]], len(read)) == (names[-6:], 2)
    assert (len(files), files[0].name, len(read)) == (len(names), names[0], 5)
    assert [file.name for file in files] == names
    assert len(read) < 10
    assert [file.name for file in reversed(many.files(per_page=3))] == names[::-1]
    chosen = many.files(names=[names[1], names[-2]], per_page=1)
    assert (chosen[-1].name, chosen[-2].name, len(chosen)) == (names[-2], names[1], 2)
    resumed = many.files(per_page=2, start=names[4])
    assert (resumed[-1].name, len(resumed)) == (names[-1], len(names) - 5)
    monkeypatch.setattr(lists, "FAR", 2)
    read.clear()
    assert (many.files(per_page=2)[len(names) - 3].name, len(read)) == (names[-3], 4)
    far = many.files(per_page=2)
    assert [file.name for file in (far[9], far[5], *far[6:8], far[-1], *far)] == [
        *(names[at] for at in (9, 5, 6, 7, -1)),
        *names,
    ]


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


@pytest.mark.parametrize("text", ["{", "[]", '{"_type": "table"}', '{"_type": "none"}', "null"])
def test_a_broken_data_object_is_named(run: lineal.Run, text: str) -> None:
    logged = run.log_artifact(draft({"x.table.json": text.encode()})).wait()
    with pytest.raises(LinealError, match="table"):
        logged.get("x")


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


def test_an_empty_artifact_is_a_version(run: lineal.Run) -> None:
    artifact = run.log_artifact(Artifact("empty", "dataset")).wait()
    assert (artifact.version, artifact.file_count, artifact.size) == ("v0", 0, 0)
    assert content(artifact.download()) == {}


def test_an_object_whose_files_are_gone_names_them(run: lineal.Run) -> None:
    artifact = Artifact("objects", "dataset")
    picture = lineal.Image([[0, 1], [1, 0]])
    artifact.add(picture, "one")
    artifact.add(lineal.Table(["grid"], [[np.zeros((2, 2))]]), "table")
    version = run.log_artifact(artifact).wait()
    stripped = version.new_draft()
    stripped.remove("media")
    version = run.log_artifact(stripped).wait()
    image = version.get("one")
    assert isinstance(image, lineal.Image)
    with pytest.raises(FileNotFoundError, match=r"objects:v1 has no file 'media/images/.*removed"):
        _ = image.image
    with pytest.raises(MissingFile, match=r"no file 'media/serialized_data/.*\.npz'"):
        version.get("table")
