"""A home, or a part of it, that is removed, moved or replaced while a process works in it."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
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
