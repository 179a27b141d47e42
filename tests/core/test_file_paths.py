"""Paths in an artifact: what is accepted stays in its folder on every system (ART-25)."""

from __future__ import annotations

import ntpath
import posixpath
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lineal.core import file_paths
from lineal.errors import HostilePath, Invalid

PATH_TEXT = (
    st.text(st.sampled_from("aZ9.._- /\\:\n\r\0é\u2028\ud800\x1f*"), max_size=12) | st.text()
)


@given(text=PATH_TEXT)
@example(text="./C:/x")
@example(text=".//\\\\server\\share")
@example(text="a/.. /../x")
@example(text="a\\..\\..\\x")
def test_accepted_path_stays_in_its_folder_on_every_system(text: str) -> None:
    try:
        path = file_paths.entry_path(text)
    except HostilePath:
        return
    assert posixpath.normpath(posixpath.join("/root", path)) == f"/root/{path}"
    assert ntpath.normpath(ntpath.join("c:\\root", path)).startswith("c:\\root\\")
    assert not any(part.rstrip(". ") == "" and ".." in part for part in path.split("/"))


@given(text=PATH_TEXT)
def test_normalising_a_path_twice_changes_nothing(text: str) -> None:
    try:
        path = file_paths.entry_path(text)
    except HostilePath:
        return
    assert file_paths.entry_path(path) == path
    path.encode()


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a.txt", "a.txt"),
        ("./a//b/./c", "a/b/c"),
        ("a/", "a"),
        (".hidden/..data", ".hidden/..data"),
        ("mit Leerzeichen/ä.txt", "mit Leerzeichen/ä.txt"),
        ("a\\b", "a\\b"),
        ("x" * 255, "x" * 255),
    ],
)
def test_path_is_normalised(text: str, path: str) -> None:
    assert file_paths.entry_path(text) == path


@pytest.mark.parametrize(
    ("text", "path"), [(None, ""), ("", ""), (".", ""), ("././", ""), ("./a//b/", "a/b")]
)
def test_a_folder_may_be_the_top_one(text: str | None, path: str) -> None:
    assert file_paths.folder_path(text) == path


@pytest.mark.parametrize("text", ["/", "/.", "..", "./..", "/abs", 7])
def test_a_hostile_folder_is_refused(text: Any) -> None:
    with pytest.raises(HostilePath):
        file_paths.folder_path(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "./",
        "/etc/passwd",
        "\\\\server\\share",
        "C:\\x",
        "c:x",
        "9:x",
        "..",
        "../x",
        "a/../../x",
        "a/..",
        "a\0b",
        "a\nb",
        "a\rb",
        "\ud800",
        "x" * 256,
        "ä" * 128,
        "/".join(["x" * 250] * 17),
        None,
        7,
    ],
)
def test_hostile_path_is_refused(text: Any) -> None:
    with pytest.raises(HostilePath):
        file_paths.entry_path(text)


@pytest.mark.parametrize("text", ["", "a\0b", "x" * 4097, "é" * 2049, "\ud800"])
def test_what_no_file_can_be_called_is_no_local_path(text: str) -> None:
    with pytest.raises(Invalid, match=r"^Path .* (is empty|is not valid|is too long)"):
        file_paths.local_path(text)


@pytest.mark.parametrize("path", ["a", "/a/../b", "\udcff", "x" * 4096, Path("a") / "b"])
def test_any_other_path_of_this_machine_is_left_as_it_is(path: str | Path) -> None:
    assert file_paths.local_path(path) == str(path)


@pytest.mark.parametrize("path", [None, 5, True, b"a", ["a"]])
def test_what_is_no_path_is_a_type_error(path: Any) -> None:
    for read in (file_paths.local_path, file_paths.path_text):
        with pytest.raises(TypeError, match="A path must be a text or a path, not"):
            read(path)


def test_a_name_like_a_drive_is_refused_as_that() -> None:
    with pytest.raises(HostilePath, match="drive of Windows"):
        file_paths.entry_path("1:2.txt")
