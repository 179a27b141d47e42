"""What is being added when Ctrl-C comes (at each line: tests/robust/broken_off.py)."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.client.artifact.conftest import paths
from tests.robust.workers import many_files

import lineal
from lineal.client.artifact.artifact import Artifact


@contextmanager
def broken_off_at(artifact: Artifact, statement: str) -> Iterator[None]:
    """Press Ctrl-C when the list of the draft's files comes to a statement."""

    def press(given: str) -> None:
        if given == statement:
            signal.raise_signal(signal.SIGINT)

    artifact._contents._scratch.change("PRAGMA user_version")  # so that it is there
    database = artifact._contents._scratch._database
    assert database is not None
    database.set_trace_callback(press)
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        database.set_trace_callback(None)


def test_a_draft_can_be_added_to_after_ctrl_c_as_that_began() -> None:
    artifact = Artifact("data", "dataset")
    with broken_off_at(artifact, "BEGIN"):
        artifact.add_bytes(b"first", "first")
    assert paths(artifact) == []
    artifact.add_bytes(b"second", "second")
    assert paths(artifact) == ["second"]


def test_what_had_just_been_added_when_ctrl_c_came_has_its_copy(
    run: lineal.Run, tmp_path: Path
) -> None:
    folder = many_files(tmp_path / "folder")
    artifact = Artifact("data", "dataset")
    with broken_off_at(artifact, "COMMIT"):
        artifact.add_bytes(b"made", "made")
    with broken_off_at(artifact, "COMMIT"):
        artifact.add_file(folder / "0", "own")
    with broken_off_at(artifact, "COMMIT"):
        artifact.add_dir(folder)
    for path in folder.iterdir():
        path.write_text("changed since")
    run.log_artifact(artifact).wait()
    with artifact.open("made") as made, artifact.open("own") as own, artifact.open("7") as seventh:
        assert (made.read(), own.read(), seventh.read()) == (b"made", b"content 0", b"content 7")
