"""File systems that lack what others have."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import lineal
from lineal.client import session
from lineal.config import load
from tests.robust import workers


@pytest.fixture
def without_modes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system that refuses to change modes, with the home on it."""
    if os.geteuid() != 0 or shutil.which("bindfs") is None:
        pytest.skip("needs root and bindfs, to mount one")
    folder = tmp_path / "mounted"
    (tmp_path / "behind").mkdir()
    folder.mkdir()
    command = ["bindfs", "--chmod-deny", str(tmp_path / "behind"), str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("this container does not allow bindfs")
    monkeypatch.setenv("LINEAL_HOME", str(folder / "home"))
    yield folder
    session.close()
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_home_needs_no_modes(without_modes: Path, tmp_path: Path) -> None:
    source = workers.many_files(tmp_path / "source")
    before = os.umask(0o022)
    try:
        with workers.start() as run:
            many = lineal.Artifact("many", "dataset")
            many.add_dir(source)
            written = lineal.Artifact("written", "dataset")
            with written.new_file("a.txt") as file:
                file.write("content")
            run.log_artifact(many)
            run.log_artifact(written)
    finally:
        os.umask(before)
    api = lineal.Api({"project": "vision"})
    for name in ("many", "written"):
        artifact = api.artifact(f"{name}:latest")
        artifact.download(tmp_path / name)
        artifact.delete(delete_aliases=True)
    assert (tmp_path / "many" / "77").read_text() == "content 77"
    backend = session.open_backend(load())
    assert list(backend.verify()) == []  # type: ignore[attr-defined]  # of embedded ones only
