"""Pipes, sockets and devices where files should be: to open one may never end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import lineal
from lineal.client import session
from lineal.client.artifact import adding
from lineal.client.embedded.backend import EmbeddedBackend
from lineal.config import load
from lineal.errors import IntegrityError, Invalid, MissingFile
from tests.robust import workers

LARGE = b"large" * 300_000


def log(tmp_path: Path, *, is_packed: bool) -> Path:
    """Log a small and a large file; returns where the store keeps what is to be replaced."""
    artifact = lineal.Artifact("data", "dataset")
    if is_packed:
        artifact.add_dir(workers.many_files(tmp_path / "source"))
    artifact.add_bytes(b"small", "small")
    artifact.add_bytes(LARGE, "large")
    with workers.start() as run:
        run.log_artifact(artifact).wait()
    session.close()
    return Path(os.environ["LINEAL_HOME"], "blobs", "packs" if is_packed else "sha256")


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_pipe_in_place_of_stored_bytes_is_named_as_damage(
    tmp_path: Path, is_packed: bool
) -> None:
    kept = log(tmp_path, is_packed=is_packed)
    damaged = [path for path in kept.rglob("*") if path.is_file()]
    for path in damaged:
        path.unlink()
        os.mkfifo(path)
    artifact = lineal.Api().artifact("vision/data:latest")
    with pytest.raises(IntegrityError, match="lineal verify"):
        artifact.download(root="target")
    with pytest.raises(IntegrityError, match="lineal verify"):
        artifact.download(root="target", link="hard")
    with pytest.raises(MissingFile):
        artifact.open("0" if is_packed else "small")
    backend = session.open_backend(load())
    assert isinstance(backend, EmbeddedBackend)
    found = list(backend.verify())
    assert len(found) == (120 if is_packed else 2)
    assert {finding.what for finding in found} == {"the bytes are missing"}
    backend.gc_sweep()
    assert len(list(backend.verify(repair=True))) == len(found)
    log(tmp_path, is_packed=is_packed)
    assert lineal.Api().artifact("vision/data:latest").download(root="target")


def test_a_pipe_in_place_of_a_downloaded_file_is_replaced(tmp_path: Path) -> None:
    with workers.start() as run:
        artifact = lineal.Artifact("data", "dataset")
        artifact.add_bytes(b"", "empty")  # of the size that a pipe has
        run.log_artifact(artifact).wait()
    Path("target").mkdir()
    os.mkfifo("target/empty")
    artifact.download(root="target")
    assert Path("target/empty").is_file()


def test_a_source_that_becomes_a_pipe_before_it_is_read_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    os.mkfifo(source)
    staging = adding.adder(load()).staging
    with pytest.raises(MissingFile, match="a pipe, a socket or a device, not a file"):
        staging.copy(str(source))
    assert [
        name for name in os.listdir(os.path.dirname(staging.new_path())) if name != "lock"
    ] == []


def by_reference(artifact: lineal.Artifact, path: Path) -> None:
    artifact.add_reference(path.as_uri())


def by_reference_to_folder(artifact: lineal.Artifact, path: Path) -> None:
    artifact.add_reference(path.parent.as_uri())


def by_folder(artifact: lineal.Artifact, path: Path) -> None:
    artifact.add_dir(path.parent)


@pytest.mark.parametrize(
    "add", [lineal.Artifact.add_file, by_folder, by_reference, by_reference_to_folder]
)
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_not_added(
    run: lineal.Run,
    tmp_path: Path,
    add: Callable[[lineal.Artifact, Path], object],
    make: Callable[[Path], None],
) -> None:
    (tmp_path / "folder").mkdir()
    make(tmp_path / "folder" / "special")
    artifact = lineal.Artifact("data", "dataset")
    with pytest.raises((Invalid, MissingFile)):
        add(artifact, tmp_path / "folder" / "special")
    assert len(artifact.manifest) == 0


def test_a_pipe_among_the_files_of_a_home_keeps_nobody_waiting() -> None:
    with workers.start() as run:
        run.log({"x": 1})
    session.close()
    home = Path(os.environ["LINEAL_HOME"])
    (home / "gc.last").unlink()
    for name in ("spool/a.spool", "gc.last"):
        os.mkfifo(home / name)
    workers.start().finish()
    assert (home / "gc.last").is_file()
    assert os.listdir(home / "spool") == []
