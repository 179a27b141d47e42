"""What `checkout` would delete from a folder, and what it never touches (ART-32)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lineal.client.artifact import folder, verifying
from lineal.core.digest import of_bytes
from lineal.core.manifest import Entry
from lineal.errors import IntegrityError, Invalid, Unavailable


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    for path in ("t/keep", "t/old", "t/dir/old", "outside/f"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"")
    return tmp_path


def test_what_is_no_entry_is_surplus(workplace: Path) -> None:
    kept = [Entry("keep", of_bytes(b""), 0)]
    assert folder.surplus(str(workplace / "t"), kept) == ["dir/old", "old"]
    assert folder.surplus(str(workplace / "absent"), kept) == []


@pytest.mark.parametrize("git", ["dir/repo/.git", "dir/repo/.git/config"])
def test_a_git_work_tree_below_is_not_deleted(workplace: Path, git: str) -> None:
    kept = [Entry(git, of_bytes(b""), 0)]
    (workplace / "t" / git).parent.mkdir(parents=True)
    (workplace / "t" / git).write_bytes(b"")
    (workplace / "t" / ".github").write_bytes(b"")
    with pytest.raises(Invalid, match=r"would delete the Git work tree .*/t/dir/repo;"):
        folder.surplus(str(workplace / "t"), [])
    assert ".github" in folder.surplus(str(workplace / "t"), kept)


def test_what_differs_by_its_case_alone_goes_first_where_that_is_one_file(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = [Entry(path, of_bytes(b""), 0) for path in ("keep", "OLD")]
    root = str(workplace / "t")
    assert folder.in_the_way(root, ["old", "dir/old"], kept) == set()
    monkeypatch.setattr(folder, "_ignores_case", lambda _root: True)  # none such is at hand
    assert folder.in_the_way(root, ["old", "dir/old"], kept) == {"old"}


def test_links_out_of_the_folder_are_removed_not_followed(workplace: Path) -> None:
    (workplace / "t" / "link").symlink_to(workplace / "outside" / "f")
    (workplace / "t" / "dirlink").symlink_to(workplace / "outside")
    found = folder.surplus(str(workplace / "t"), [])
    folder.remove(str(workplace / "t"), found)
    assert (workplace / "outside" / "f").exists()
    assert os.listdir(workplace / "t") == []


def test_a_link_to_a_folder_is_surplus_also_where_entries_lie_behind_it(workplace: Path) -> None:
    (workplace / "t" / "dirlink").symlink_to(workplace / "outside")
    kept = [Entry(path, of_bytes(b""), 0) for path in ("keep", "old", "dir/old", "dirlink/f")]
    assert folder.surplus(str(workplace / "t"), kept) == ["dirlink"]
    with pytest.raises(IntegrityError, match=r"dirlink in .* is not part of the artifact"):
        verifying.folder(str(workplace / "t"), kept)


def test_empty_folders_are_surplus(workplace: Path) -> None:
    (workplace / "t" / "empty" / "deep").mkdir(parents=True)
    (workplace / "t" / "dir" / "void").mkdir()
    kept = [Entry("keep", of_bytes(b""), 0), Entry("dir/old", of_bytes(b""), 0)]
    found = folder.surplus(str(workplace / "t"), kept)
    assert found == ["dir/void/", "empty/deep/", "old"]
    folder.remove(str(workplace / "t"), found)
    assert sorted(os.listdir(workplace / "t")) == ["dir", "keep"]
    assert os.listdir(workplace / "t" / "dir") == ["old"]


def test_what_another_process_removed_or_fills_is_left(workplace: Path) -> None:
    folder.remove(str(workplace / "t"), ["dir/gone", "no/such/", "dir/"])
    assert (workplace / "t" / "dir" / "old").exists()


@pytest.mark.skipif(os.getuid() == 0, reason="root may delete everything")
def test_what_may_not_be_deleted_is_named(workplace: Path) -> None:
    (workplace / "t" / "dir").chmod(0o500)
    with pytest.raises(Unavailable, match=r"dir/old: Permission denied"):
        folder.remove(str(workplace / "t"), ["dir/old"])
    (workplace / "t" / "dir").chmod(0o700)


def test_folders_that_become_empty_go_too(workplace: Path) -> None:
    folder.remove(str(workplace / "t"), ["dir/old"])
    assert sorted(os.listdir(workplace / "t")) == ["keep", "old"]
    folder.remove(str(workplace / "t"), ["keep", "old"])
    assert (workplace / "t").is_dir()


def test_the_root_and_the_home_are_never_emptied(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(workplace / "t"))
    (workplace / "alias").symlink_to(workplace / "t")
    for place in ("/", str(workplace), str(workplace / "t"), str(workplace / "alias")):
        with pytest.raises(Invalid, match="Refusing"):
            folder.surplus(place, [])


def test_a_folder_of_any_depth_is_made_verified_and_emptied(tmp_path: Path, deep: str) -> None:
    root = str(tmp_path / "root")
    folder.make_root(f"{root}/{deep}")
    folder.make_root(f"{root}/{deep}")
    Path(root, deep, "a").write_bytes(b"")
    kept = [Entry(f"{deep}a", of_bytes(b""), 0)]
    assert verifying.folder(root, kept) == (1, 0)
    assert folder.surplus(root, kept) == []
    (found,) = folder.surplus(root, [])
    assert found == f"{deep}a"
    folder.remove(root, [found])
    assert os.listdir(root) == []


def test_what_a_download_leaves_that_is_killed_as_it_begins_is_not_held_against_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.txt").write_bytes(b"a")
    entry = Entry("a.txt", of_bytes(b"a"), 1)
    monkeypatch.setattr(folder, "unlink", lambda _path: None)  # it does not come to that
    folder.require_distinct(str(root), [entry])
    assert len(os.listdir(root)) == 2
    assert verifying.folder(str(root), [entry]) == (1, 0)
