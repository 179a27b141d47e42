from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lineal.client import spool
from lineal.client.spool import Spool, Writer
from lineal.core.records import RunSpec, Stream


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "spool").mkdir()
    return str(tmp_path / "spool")


@pytest.fixture
def run(backend):
    return backend.start_run(RunSpec("ana", "p", "a")).run


def writer(run, name: str = "w1") -> Writer:
    return Writer("ana", "p", "a", run.key, name)


def row(step: int) -> bytes:
    return json.dumps({"_step": step}).encode()


def stored(backend, run) -> list[int]:
    return [json.loads(line)["_step"] for line in backend.read_lines(run.key, Stream.HISTORY)]


def move(backend, run, lines: Spool) -> None:
    batches = lines.pending()
    backend.append_lines(run.key, batches)
    lines.moved(batches)


def test_lines_are_moved_once_and_the_file_shrinks(backend, run, folder):
    lines = Spool(folder, writer(run))
    for step in range(3):
        lines.append(Stream.HISTORY, row(step))
    (file,) = Path(folder).iterdir()
    before = file.stat().st_size
    move(backend, run, lines)
    assert file.stat().st_size < before
    lines.append(Stream.HISTORY, row(3))
    move(backend, run, lines)
    assert stored(backend, run) == [0, 1, 2, 3]
    lines.remove()
    assert os.listdir(folder) == []


def test_lines_of_a_dead_writer_are_adopted(backend, run, folder):
    lines = Spool(folder, writer(run))
    for step in range(3):
        lines.append(Stream.HISTORY, row(step))
    assert spool.adopt(backend, folder) == 0  # it lives
    lines.disown()
    assert spool.adopt(backend, folder) == 1
    assert stored(backend, run) == [0, 1, 2]
    assert os.listdir(folder) == []


def test_adopting_lines_that_were_moved_already_changes_nothing(backend, run, folder):
    lines = Spool(folder, writer(run))
    lines.append(Stream.HISTORY, row(0))
    lines.append(Stream.HISTORY, row(1))
    backend.append_lines(run.key, lines.pending())  # killed before it could note that
    lines.append(Stream.HISTORY, row(2))
    lines.disown()
    spool.adopt(backend, folder)
    assert stored(backend, run) == [0, 1, 2]


def test_offsets_go_on_after_a_move(backend, run, folder):
    lines = Spool(folder, writer(run))
    lines.append(Stream.HISTORY, row(0))
    move(backend, run, lines)
    lines.append(Stream.HISTORY, row(1))
    lines.disown()
    spool.adopt(backend, folder)
    assert stored(backend, run) == [0, 1]


def test_a_half_written_last_line_is_dropped(backend, run, folder):
    lines = Spool(folder, writer(run))
    lines.append(Stream.HISTORY, row(0))
    lines.disown()
    (file,) = Path(folder).iterdir()
    with file.open("ab") as tail:
        tail.write(b'h{"_step": 1')
    spool.adopt(backend, folder)
    assert stored(backend, run) == [0]


def test_a_row_that_was_still_growing_counts_when_its_writer_died(backend, run, folder):
    lines = Spool(folder, writer(run))
    lines.hold(row(0))
    lines.append(Stream.HISTORY, row(0))
    lines.hold(row(1))
    lines.disown()
    spool.adopt(backend, folder)
    assert stored(backend, run) == [0, 1]


def test_a_file_cut_off_in_its_header_is_removed(backend, folder):
    Path(folder, "1-w.spool").write_bytes(b'{"spool": 1, "ent')
    assert spool.adopt(backend, folder) == 1
    assert os.listdir(folder) == []


def test_lines_of_a_deleted_run_are_dropped(backend, run, folder):
    lines = Spool(folder, writer(run))
    lines.append(Stream.HISTORY, row(0))
    lines.disown()
    backend.delete_run(run.key)
    assert spool.adopt(backend, folder) == 1
    assert os.listdir(folder) == []


def test_a_file_that_somebody_else_removed_is_done_with(backend, run, folder):
    lines = Spool(folder, writer(run))
    lines.append(Stream.HISTORY, row(0))
    (file,) = Path(folder).iterdir()
    file.unlink()
    move(backend, run, lines)
    lines.remove()
    assert stored(backend, run) == [0]


def test_a_disk_that_cannot_be_written_warns_once_and_keeps_the_lines(backend, run, folder, capsys):
    lines = Spool(os.path.join(folder, "missing"), writer(run))
    lines.append(Stream.HISTORY, row(0))
    lines.append(Stream.HISTORY, row(1))
    assert capsys.readouterr().err.count("kept in memory") == 1
    move(backend, run, lines)
    assert stored(backend, run) == [0, 1]


def test_a_long_file_is_written_anew_with_what_is_left(backend, run, folder, monkeypatch):
    monkeypatch.setattr(spool, "REWRITE_BYTES", 1)
    lines = Spool(folder, writer(run))
    lines.append(Stream.HISTORY, row(0))
    batches = lines.pending()
    backend.append_lines(run.key, batches)
    lines.append(Stream.HISTORY, row(1))
    lines.hold(row(2))
    lines.moved(batches)
    lines.disown()
    assert spool.adopt(backend, folder) == 1
    assert stored(backend, run) == [0, 1, 2]
