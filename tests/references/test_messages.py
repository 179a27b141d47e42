"""What is said where a store cannot be read: which reference, why, and what to do."""

from __future__ import annotations

import ftplib
from pathlib import Path
from typing import Any

import fsspec
import pytest

import lineal
from lineal.errors import Denied, Invalid, LinealError, Unavailable
from tests.references.looking import logged


class Failing(fsspec.AbstractFileSystem):
    """A store that fails as it is told to."""

    protocol = "failing"
    error: BaseException | None = None

    def info(self, path: str, **_options: Any) -> dict[str, Any]:
        if Failing.error is not None:
            raise Failing.error
        return {"name": path, "size": 1, "type": "file", "etag": "e"}


class Tree(fsspec.AbstractFileSystem):
    """A folder with a file, and a folder in it that fails as it is told to."""

    protocol = "tree"
    error: Exception

    def ls(self, path: str, detail: bool = True, **_options: Any) -> list[dict[str, Any]]:
        if path.endswith("inner"):
            raise Tree.error
        file = {"name": "top/a.txt", "size": 1, "type": "file", "etag": "a"}
        return [file, {"name": "top/inner", "size": 0, "type": "directory"}]

    def info(self, path: str, **_options: Any) -> dict[str, Any]:
        return {"name": path, "size": 0, "type": "directory"}


class HttpError(Exception):
    """As those of aiohttp and gcsfs."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


@pytest.fixture(autouse=True)
def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Failing, "error", None)
    fsspec.register_implementation("failing", Failing, clobber=True)
    fsspec.register_implementation("tree", Tree, clobber=True)


@pytest.mark.parametrize(
    ("uri", "kind", "said"),
    [
        ("ftp://no-such-host.invalid/x", Unavailable, "its host is not known here"),
        ("http://no-such-host.invalid/x", Unavailable, "its host is not known here"),
        ("ftp://127.0.0.1:1/x", Unavailable, "nothing answers there; look at the address"),
        ("http://127.0.0.1:1/x", Unavailable, "nothing answers there; look at the address"),
        ("smb://host/share/x", Unavailable, r"fsspec, which lacks a package .*smbprotocol"),
        ("s3a://bucket/x", Unavailable, "s3fs.* Or write s3://bucket/x, which needs none"),
        ("reference://x", Invalid, "no address that fsspec can read: .*'fo'"),
    ],
)
def test_what_cannot_be_read_is_named_with_the_cause(
    uri: str, kind: type[LinealError], said: str
) -> None:
    with pytest.raises(kind, match=f"^{uri} .*{said}"):
        lineal.Artifact("refs", "dataset").add_reference(uri)


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (HttpError(403), Denied, r"may not be read \(HttpError\); fsspec takes logins from"),
        (ftplib.error_perm("530 Login incorrect"), Denied, "530 Login incorrect"),
        (HttpError(500), Unavailable, "cannot be read: HttpError"),
        (Exception("<x.Connection object at 0x7f>: why\nand more"), Unavailable, "read: why[.]"),
        (TimeoutError(), Unavailable, "does not answer in time"),
    ],
)
def test_a_reference_that_cannot_be_fetched_is_named_as_it_is_called(
    error: Exception, kind: type[LinealError], said: str, tmp_path: Path
) -> None:
    artifact = logged("failing://some/x", name="mine")
    Failing.error = error
    with pytest.raises(kind, match=f"^Reference mine was not fetched: failing://some/x .*{said}"):
        artifact.download(root=str(tmp_path / "out"))


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (PermissionError("inner"), Denied, r"may not be read \(inner\)"),
        (TimeoutError(), Unavailable, "does not answer in time"),
    ],
)
def test_a_folder_that_cannot_be_listed_is_not_left_out_of_a_reference(
    error: Exception, kind: type[LinealError], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tree, "error", error, raising=False)
    with pytest.raises(kind, match=f"^tree://top .*{said}"):
        lineal.Artifact("refs", "dataset").add_reference("tree://top")


def test_a_folder_that_is_empty_or_gone_by_now_is_left_out_of_a_reference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Tree, "error", FileNotFoundError("inner"), raising=False)
    made = lineal.Artifact("refs", "dataset").add_reference("tree://top")
    assert [entry.path for entry in made] == ["a.txt"]
