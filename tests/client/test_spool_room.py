"""Lines of a run where its file cannot be written, or not all of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.client.spooled import move, row, stored, writer
from tests.conftest import open_below
from tests.test_files import file_size_limit

from lineal.client.run import adopting, spool
from lineal.client.run.spool import Spool
from lineal.core.records import RunSpec, Stream


@pytest.fixture
def folder(backend) -> str:
    found: str = backend.instance.home.spool
    return found


@pytest.fixture
def run(backend):
    return backend.start_run(RunSpec("ana", "p", "a")).run


@pytest.fixture
def lines(run, folder) -> Spool:
    return Spool(folder, writer(run))


def test_a_disk_that_cannot_be_written_warns_once_and_keeps_the_lines(backend, run, folder, capsys):
    lines = Spool(os.path.join(folder, "missing"), writer(run))
    lines.append(Stream.HISTORY, row(0))
    lines.append(Stream.HISTORY, row(1))
    assert capsys.readouterr().err.count("kept in memory") == 1
    move(backend, run, lines)
    assert stored(backend, run) == [0, 1]


def test_of_a_file_whose_first_line_does_not_fit_nothing_is_left(backend, run, lines, folder):
    with file_size_limit(5):
        lines.append(Stream.HISTORY, row(0))
    assert (os.listdir(folder), open_below(folder)) == ([], [])
    move(backend, run, lines)
    assert stored(backend, run) == [0]


def test_a_line_that_found_no_room_leaves_neither_half_of_it_nor_a_gap(backend, run, lines, folder):
    lines.append(Stream.HISTORY, row(0))
    (file,) = Path(folder).iterdir()
    with file_size_limit(file.stat().st_size + 5):
        lines.append(Stream.HISTORY, row(1))
    lines.append(Stream.HISTORY, row(2))
    lines.disown()
    adopting.adopt(backend, folder)
    assert stored(backend, run) == [0]


@pytest.mark.parametrize("room", [0, 5])
def test_lines_that_found_no_room_come_to_the_disk_once_there_is_some(
    backend, run, lines, folder, room
):
    lines.append(Stream.HISTORY, row(0))
    batches = lines.pending()
    (file,) = Path(folder).iterdir()
    with file_size_limit(file.stat().st_size + room):
        lines.append(Stream.HISTORY, row(1))
        lines.append(Stream.HISTORY, row(2))
    backend.append_lines(run.key, batches)
    lines.moved(batches)
    lines.append(Stream.HISTORY, row(3))
    lines.disown()
    adopting.adopt(backend, folder)
    assert stored(backend, run) == [0, 1, 2, 3]


def test_a_long_file_for_whose_rest_there_is_no_room_stays(
    backend, run, lines, folder, monkeypatch
):
    lines.begin()
    (file,) = Path(folder).iterdir()
    header = file.stat().st_size
    lines.append(Stream.HISTORY, row(0))
    batches = lines.pending()
    backend.append_lines(run.key, batches)
    lines.append(Stream.HISTORY, row(1))
    monkeypatch.setattr(spool, "REWRITE_BYTES", 1)
    with file_size_limit(header + 3):
        lines.moved(batches)
    lines.append(Stream.HISTORY, row(2))
    lines.disown()
    assert adopting.adopt(backend, folder) == 1
    assert stored(backend, run) == [0, 1, 2]


@pytest.mark.parametrize("room", [0, 10])
def test_an_empty_file_that_finds_no_room_is_said_and_written_later(
    backend, run, lines, folder, capsys, room
):
    lines.append(Stream.HISTORY, row(0))
    batches = lines.pending()
    backend.append_lines(run.key, batches)
    with file_size_limit(room):
        lines.moved(batches)
    assert "kept in memory" in capsys.readouterr().err
    lines.append(Stream.HISTORY, row(1))
    move(backend, run, lines)
    lines.append(Stream.HISTORY, row(2))
    lines.disown()
    assert adopting.adopt(backend, folder) == 1
    assert stored(backend, run) == [0, 1, 2]


def test_a_folder_that_became_a_file_keeps_nobody_from_finishing(
    backend, run, lines, folder, capsys
):
    lines.append(Stream.HISTORY, row(0))
    shutil.rmtree(folder)
    Path(folder).write_text("not a folder")
    move(backend, run, lines)
    assert adopting.adopt(backend, folder) == 0
    assert f"stay in {folder}" in capsys.readouterr().err
    lines.remove()
    assert stored(backend, run) == [0]
