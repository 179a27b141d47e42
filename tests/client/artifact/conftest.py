"""What the tests of `Artifact` share: a run in one project, a draft, a logged version."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import lineal
from lineal.client import session
from lineal.client.artifact import adding
from lineal.client.artifact.artifact import Artifact
from lineal.config import load


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


def renamed(api: lineal.Api, name: str, other: str) -> None:
    collection = api.artifact_collection("dataset", name)
    collection.name = other
    collection.save()


def paths(artifact: Artifact) -> list[str]:
    return list(artifact.manifest.entries)


def content(folder: str | os.PathLike[str]) -> Files:
    root = Path(folder)
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for path in ("a.txt", "b.log", "sub/c.txt", "sub/deep/d.txt", "skip/e.txt"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode())
    (root / "empty").mkdir()
    return root


ALL_IN_FOLDER = ["a.txt", "b.log", "skip/e.txt", "sub/c.txt", "sub/deep/d.txt"]
