"""A disk that fails while a folder is listed, or the mode of a file is set."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lineal
from lineal.client import session
from lineal.client.embedded.backend import EmbeddedBackend
from lineal.config import load
from lineal.errors import Unavailable
from tests.robust import workers

CALLS = ("scandir", "listdir", "chmod")


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Let calls fail for what is at a path, or for descriptors of it, as a broken disk does."""

    def fail(place: Path) -> None:
        for name in CALLS:
            real = getattr(os, name)

            def call(path: Any = ".", *args: Any, real: Any = real) -> Any:
                where = f"/proc/self/fd/{path}" if isinstance(path, int) else path
                if os.path.realpath(where).startswith(str(place)):
                    raise OSError(5, os.strerror(5), path)
                return real(path, *args)

            monkeypatch.setattr(os, name, call)

    return fail


@pytest.fixture
def home() -> Path:
    return Path(os.environ["LINEAL_HOME"])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source" / "inner").mkdir(parents=True)
    return tmp_path / "source"


def embedded() -> EmbeddedBackend:
    backend = session.open_backend(load())
    assert isinstance(backend, EmbeddedBackend)
    return backend


def failing(path: Path) -> str:
    return rf"{path}\S*: Input/output error\. Its disk fails or is gone; see to that, and repeat"


def test_an_added_folder_that_cannot_be_listed_is_named(
    source: Path, broken: Callable[[Path], None]
) -> None:
    broken(source / "inner")
    artifact = lineal.Artifact("data", "dataset")
    with pytest.raises(Unavailable, match=f"Cannot read {failing(source / 'inner')}"):
        artifact.add_dir(source)
    with pytest.raises(Unavailable, match=f"Cannot read {failing(source / 'inner')}"):
        artifact.add_reference(f"file://{source}")


def test_a_folder_that_cannot_be_held_against_its_version_is_named(
    run: lineal.Run, tmp_path: Path, broken: Callable[[Path], None]
) -> None:
    artifact = run.log_artifact(workers.draft("content")).wait()
    target = tmp_path / "target"
    artifact.download(target)
    broken(target)
    for hold in (artifact.verify, artifact.checkout):
        with pytest.raises(Unavailable, match=f"Cannot read {failing(target)}"):
            hold(str(target))
    assert artifact.download(target) == str(target), "no file of it needs the listing"


@pytest.mark.parametrize("folder", ["blobs", "blobs/packs"])
def test_a_folder_of_the_store_that_cannot_be_listed_is_named_by_gc(
    home: Path, source: Path, folder: str, broken: Callable[[Path], None]
) -> None:
    with workers.start() as run:
        artifact = lineal.Artifact("many", "dataset")
        artifact.add_dir(workers.many_files(source))
        run.log_artifact(artifact)
    backend = embedded()
    broken(home / folder)
    for clean in (backend.gc_plan, backend.gc_sweep):
        with pytest.raises(Unavailable, match=f"Cannot read {failing(home / folder)}"):
            clean()


def test_copies_of_dead_processes_stay_where_they_cannot_be_listed(
    home: Path, broken: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "staging").mkdir(parents=True)
    broken(home / "staging")
    with lineal.init(settings=workers.QUIET | {"silent": False}) as run:
        assert run.log_artifact(workers.draft("content")).wait().version == "v0"
    said = capsys.readouterr().err
    assert said.count(f"Copies of earlier processes stay in {home / 'staging'}: Cannot read") == 1


def test_a_private_copy_whose_mode_cannot_be_set_is_named(
    home: Path, source: Path, broken: Callable[[Path], None]
) -> None:
    embedded()
    broken(home / "staging")
    artifact = lineal.Artifact("data", "dataset")
    with (
        pytest.raises(Unavailable, match=f"Cannot write {failing(home / 'staging')}"),
        artifact.new_file("written.txt") as file,
    ):
        file.write("content")
    with pytest.raises(Unavailable, match=f"Cannot write {failing(home / 'staging')}"):
        artifact.add_dir(workers.many_files(source))
    assert len(artifact.manifest) == 0


def test_folders_that_cannot_be_listed_are_told_where_the_rest_is_kept(
    source: Path, broken: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    (source / "a.py").write_text("x = 1\n")
    with lineal.init(settings=workers.QUIET | {"silent": False}) as run:
        shutil.copytree(source, run.dir, dirs_exist_ok=True)
        broken(source / "inner")
        broken(Path(run.dir) / "inner")
        with pytest.raises(Unavailable, match=f"Cannot read {failing(source / 'inner')}"):
            run.save(source)
        code = run.log_code(str(source))
        assert code is not None
        assert list(code.wait().manifest.entries) == ["a.py"]
    assert [file.name for file in lineal.Api().run(run.path).files()] == ["a.py"]
    said = capsys.readouterr().err
    assert f"log_code left out a folder: Cannot read {source / 'inner'}" in said
    assert said.count(f"Cannot read {Path(run.dir) / 'inner'}") == 1
