"""Adding folders to a draft (ART-20)."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any

import pytest
from tests.client.artifact.conftest import ALL_IN_FOLDER, draft, paths

import lineal
from lineal.client.artifact.artifact import Artifact
from lineal.core.digest import of_bytes
from lineal.errors import Invalid
from lineal.files.reading import CHUNK_BYTES


def test_a_folder_keeps_its_structure_without_empty_folders(folder: Path) -> None:
    artifact = Artifact("data", "dataset")
    artifact.add_dir(folder)
    assert paths(artifact) == ALL_IN_FOLDER


def test_empty_folders_come_back_if_they_are_asked_for(run: lineal.Run, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("train/cats", "train/dogs", "test", "raw"):
        (source / name).mkdir(parents=True)
    (source / "train" / "cats" / "a.jpg").write_bytes(b"cat")
    (source / "raw" / "big.tmp").write_bytes(b"left out")
    artifact = Artifact("data", "dataset")
    artifact.add_dir(source, "d", exclude=["*.tmp"], empty_dirs=True)
    markers = ["d/raw/.linealkeep", "d/test/.linealkeep", "d/train/dogs/.linealkeep"]
    assert paths(artifact) == sorted([*markers, "d/train/cats/a.jpg"])
    root = Path(run.log_artifact(artifact).wait().download(root=str(tmp_path / "out")))
    assert sorted(path.name for path in (root / "d").iterdir()) == ["raw", "test", "train"]
    again = Artifact("data", "dataset")
    again.add_dir(root, empty_dirs=True)
    assert run.log_artifact(again).wait().version == "v0"


def test_an_empty_folder_is_not_kept_where_other_files_are_wanted(folder: Path) -> None:
    artifact = Artifact("data", "dataset")
    artifact.add_dir(folder, include=["*.txt"], empty_dirs=True)
    assert not [path for path in paths(artifact) if path.endswith(".linealkeep")]
    artifact.add_dir(folder, include=["*.txt", ".linealkeep"], empty_dirs=True)
    assert [path for path in paths(artifact) if path.endswith(".linealkeep")]


def test_a_folder_may_go_under_a_prefix(folder: Path) -> None:
    artifact = Artifact("data", "dataset")
    artifact.add_dir(str(folder), name="root/")
    assert paths(artifact) == [f"root/{path}" for path in ALL_IN_FOLDER]


@pytest.mark.parametrize("name", ["", ".", "./", Path(".")])
def test_a_folder_may_go_to_the_top(folder: Path, name: str | Path) -> None:
    artifact = Artifact("data", "dataset")
    artifact.add_dir(folder, name=name)
    assert paths(artifact) == ALL_IN_FOLDER
    references = Artifact("data", "dataset")
    references.add_reference(folder.as_uri(), name=name)
    assert paths(references) == ALL_IN_FOLDER


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
    assert paths(artifact) == ALL_IN_FOLDER


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


def test_a_linealignore_may_begin_with_a_byte_order_mark(folder: Path) -> None:
    (folder / ".linealignore").write_bytes(b"\xef\xbb\xbf*.txt\n")
    artifact = Artifact("data", "dataset")
    artifact.add_dir(folder)
    assert not [path for path in paths(artifact) if path.endswith(".txt")]


def test_what_exclude_or_a_linealignore_excludes_the_other_does_not_bring_back(
    folder: Path,
) -> None:
    (folder / ".linealignore").write_text("*\n!*/\n!*.txt\n")
    artifact = Artifact("data", "dataset")
    artifact.add_dir(folder, exclude=["sub/c.txt", "!b.log"])
    assert paths(artifact) == ["a.txt", "skip/e.txt", "sub/deep/d.txt"]


def test_a_linealignore_that_is_no_text_is_named(folder: Path) -> None:
    (folder / ".linealignore").write_bytes(b"caf\xe9\n")
    with pytest.raises(Invalid, match=r"\.linealignore is not text in UTF-8"):
        draft().add_dir(folder)


def test_a_pattern_that_is_none_is_shown(folder: Path) -> None:
    for how in ({"include": "a\\"}, {"exclude": "a\\"}):
        with pytest.raises(Invalid, match="pattern"):
            draft().add_dir(folder, **how)
        with pytest.raises(Invalid, match="pattern"):
            draft().add_reference(folder.as_uri(), **how)
    (folder / ".linealignore").write_text("a\\\n")
    with pytest.raises(Invalid, match="pattern"):
        draft().add_dir(folder)


def test_an_ignore_file_is_honoured_and_not_stored(folder: Path) -> None:
    (folder / ".linealignore").write_text("# secrets\n*.log\nskip/\n")
    artifact = Artifact("data", "dataset")
    artifact.add_dir(folder)
    assert paths(artifact) == ["a.txt", "sub/c.txt", "sub/deep/d.txt"]


def test_the_size_of_bytes_is_that_in_bytes(run: lineal.Run) -> None:
    numbers = array("d", [1.0, 2.0])
    artifact = Artifact("data", "dataset")
    assert artifact.add_bytes(memoryview(numbers), "numbers").size == 16
    run.log_artifact(artifact).wait()
    assert artifact.open("numbers").read() == numbers.tobytes()


@pytest.mark.parametrize(
    "view",
    [
        memoryview(array("d", range(2 * CHUNK_BYTES))),
        memoryview(array("d")),
        memoryview(b"abcd")[::2],
        memoryview(b"abcd").cast("B", (2, 2)),
    ],
    ids=["many", "none", "gaps", "rows"],
)
def test_bytes_may_be_an_array_of_any_form(run: lineal.Run, view: memoryview) -> None:
    artifact = Artifact("data", "dataset")
    artifact.add_bytes(view, "numbers")
    run.log_artifact(artifact).wait()
    assert artifact.open("numbers").read() == view.tobytes()
