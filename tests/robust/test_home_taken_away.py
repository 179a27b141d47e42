"""A home, or a part of it, that is removed, moved or replaced while a process works in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import lineal
from lineal.client import session
from lineal.config import load
from lineal.errors import ArtifactsFailed, MissingFile, Unavailable
from tests.robust import workers
from tests.test_files import file_size_limit


@pytest.fixture
def home() -> Path:
    return Path(os.environ["LINEAL_HOME"])


def losses() -> list[float]:
    session.close()
    return [
        row["loss"] for row in lineal.Api({"project": "vision"}).run("run1").scan_history(["loss"])
    ]


def test_a_home_that_is_moved_away_is_missed_and_nothing_is_lost_once_it_is_back(
    home: Path, tmp_path: Path
) -> None:
    run = workers.start(id="run1")
    run.log({"loss": 1.0})
    artifact = workers.draft("content")
    home.rename(tmp_path / "away")
    run.log({"loss": 0.5})
    with pytest.raises(Unavailable, match=r"lineal\.db was removed or moved away .* repeat"):
        run.log_artifact(artifact).wait()
    with pytest.raises(Unavailable, match=r"was removed or moved away .* put it back"):
        workers.draft("more")
    with pytest.raises(Unavailable, match="was removed or moved away"):
        run.finish()
    assert not home.exists(), "a new home would be in the way of the old"

    (tmp_path / "away").rename(home)
    assert run.log_artifact(artifact).wait().version == "v0"
    run.finish()
    assert losses() == [1.0, 0.5]


def test_a_database_that_takes_the_place_of_another_is_not_taken_for_it(
    home: Path, tmp_path: Path
) -> None:
    run = workers.start(id="run1")
    run.log({"loss": 1.0})
    run.flush()
    home.rename(tmp_path / "away")
    shutil.copytree(tmp_path / "away", home)
    run.log({"loss": 0.5})
    with pytest.raises(Unavailable, match=r"lineal\.db was replaced since this process opened"):
        lineal.Api({"project": "vision"}).run("run1").load()
    with pytest.raises(Unavailable, match="was replaced"):
        run.finish()
    shutil.rmtree(home)
    (tmp_path / "away").rename(home)
    run.finish()
    assert losses() == [1.0, 0.5]


def test_a_staging_folder_that_was_tidied_away_is_made_again(home: Path, tmp_path: Path) -> None:
    """As programs do that remove what is old in `/tmp`."""
    source = workers.many_files(tmp_path / "source")
    with workers.start() as run:
        folder = lineal.Artifact("folder", "dataset")
        folder.add_dir(source)
        file = lineal.Artifact("file", "dataset")
        file.add_file(source / "0")
        shutil.rmtree(home / "staging")
        assert run.log_artifact(workers.draft("content")).wait().version == "v0"
        shutil.rmtree(home / "staging")
        run.save(source / "1", base_path=tmp_path)
        for artifact in (folder, file):  # the files are still what was copied
            run.log_artifact(artifact).wait()
    assert len(lineal.Api({"project": "vision"}).artifact("folder:latest").manifest) == 120
    backend = session.open_backend(load())
    assert list(backend.verify()) == []  # type: ignore[attr-defined]  # of embedded ones only


def test_a_private_copy_that_was_tidied_away_is_missed(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("content")
    run = workers.start()
    artifact = lineal.Artifact("data", "dataset")
    artifact.add_file(path)
    shutil.rmtree(home / "staging")
    path.unlink()
    with pytest.raises(MissingFile, match="add the file again and log data once more"):
        run.log_artifact(artifact).wait()
    with suppress(ArtifactsFailed):
        run.finish()


def test_a_file_system_that_fails_the_database_says_where_to_look(home: Path) -> None:
    """A limit on the size of files is a failure that needs no broken disk, as a quota is."""
    with workers.start() as run:
        backend = run.backend
    with (
        file_size_limit(1 << 10),
        pytest.raises(Unavailable, match=r"disk I/O error .*quota is full") as raised,
    ):
        backend.project("local", "new", create=True)
    assert str(home / "lineal.db") in str(raised.value)
    assert backend.project("local", "new", create=True).name == "new"


def empty(blobs: Path, *, stays: bool) -> None:
    """Take the stored bytes away, as if a disk were not mounted any more; or with its folder."""
    blobs.rename(blobs.parent / "disk")
    if stays:
        blobs.mkdir()


def put_back(blobs: Path) -> None:
    if blobs.exists():
        blobs.rmdir()  # it must be as empty as it was
    (blobs.parent / "disk").rename(blobs)


@pytest.mark.parametrize("stays", [True, False])
@pytest.mark.parametrize("is_packed", [True, False])
def test_a_home_without_its_blobs_is_refused_and_left_as_it_is(
    home: Path, tmp_path: Path, stays: bool, is_packed: bool
) -> None:
    with workers.start() as run:
        artifact = workers.draft("content")
        if is_packed:
            artifact.add_dir(workers.many_files(tmp_path / "source"))
        run.log_artifact(artifact).wait()
    session.close()
    empty(home / "blobs", stays=stays)
    with pytest.raises(Unavailable, match=r"knows of stored files.* a disk not mounted") as raised:
        lineal.Api().artifact("vision/data:latest")
    with pytest.raises(Unavailable, match="knows of stored files"):
        workers.start()
    put_back(home / "blobs")
    artifact = lineal.Api().artifact("vision/data:latest")
    assert Path(artifact.download(), "data.txt").read_text() == "content"

    session.close()
    shutil.rmtree(home / "blobs")
    (home / "blobs" / "sha256").mkdir(parents=True)  # as the error says, if they are lost
    assert str(home / "blobs" / "sha256") in str(raised.value)
    backend = session.open_backend(load())
    assert len(list(backend.verify(repair=True))) == len(artifact.manifest)  # type: ignore[attr-defined]  # of embedded ones only
    session.close()
    shutil.rmtree(home / "blobs")
    with workers.start() as run:  # since nothing is stored any more
        run.log_artifact(workers.draft("content")).wait()


@pytest.mark.parametrize("stays", [True, False])
def test_nothing_is_stored_where_the_blobs_were(home: Path, tmp_path: Path, stays: bool) -> None:
    with workers.start() as run:
        run.log_artifact(workers.draft("content")).wait()
        empty(home / "blobs", stays=stays)
        folder = lineal.Artifact("folder", "dataset")
        folder.add_dir(workers.many_files(tmp_path / "source"))
        linked = lineal.Artifact("linked", "dataset")
        linked.add_file(tmp_path / "source" / "0", policy="immutable")
        drafts = workers.draft("more"), folder, linked
        for artifact in drafts:
            with pytest.raises(Unavailable, match="is gone since this process stored there"):
                run.log_artifact(artifact).wait()
        put_back(home / "blobs")
        for artifact in drafts:
            run.log_artifact(artifact).wait()


def test_a_home_that_stored_nothing_needs_no_blobs(home: Path) -> None:
    workers.start().finish()
    session.close()
    (home / "blobs").rmdir()
    with workers.start() as run:
        run.log_artifact(workers.draft("content")).wait()


def test_a_run_keeps_its_home_where_the_program_changes_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINEAL_HOME", "relative")
    with workers.start(id="run1") as run:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        path = tmp_path / "file"
        path.write_text("content")
        artifact = lineal.Artifact("data", "dataset")
        artifact.add_file(path)
        run.log_artifact(artifact).wait()
        run.save(path, base_path=tmp_path)
        run.log({"loss": 1.0})
        run.use_artifact("data:latest").download("target")
    assert os.listdir(tmp_path / "elsewhere") == ["target"]
    assert losses() == [1.0]


READ = "import lineal; print(lineal.Api().artifact('vision/data:latest').version)"


def test_runs_and_programs_begun_after_a_change_of_folder_have_the_same_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINEAL_HOME", "relative")
    (tmp_path / "elsewhere").mkdir()
    for folder, text in (("work", "first"), ("elsewhere", "second")):
        monkeypatch.chdir(tmp_path / folder)
        with workers.start() as run:
            run.log_artifact(workers.draft(text)).wait()
    assert os.listdir(tmp_path / "elsewhere") == []
    answer = subprocess.run([sys.executable, "-c", READ], stdout=subprocess.PIPE, check=True)
    assert answer.stdout == b"v1\n"


@contextmanager
def without_entry(home: Path) -> Iterator[None]:
    home.chmod(0)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        home.chmod(0o700)


def test_a_home_that_may_not_be_entered_any_more_is_not_taken_for_a_missing_one(
    home: Path,
) -> None:
    run = workers.start(id="run1")
    backend = run.backend
    with without_entry(home):
        with pytest.raises(Unavailable, match=r"Cannot read .*/lineal\.db: Permission denied"):
            backend.project("local", "new", create=True)
        run.log({"loss": 1.0})
    run.finish()
    assert losses() == [1.0]
