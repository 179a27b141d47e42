from __future__ import annotations

import json
import os
import tracemalloc
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.client.spooled import move, row, stored, writer
from tests.conftest import open_below

from lineal.client.run import adopting, spool
from lineal.client.run.spool import Spool, Writer
from lineal.core.records import PageRequest, RunPatch, RunSpec, Stream
from lineal.errors import UsageError


@pytest.fixture
def folder(backend) -> str:
    found: str = backend.instance.home.spool
    return found


@pytest.fixture
def run(backend):
    return backend.start_run(RunSpec("ana", "p", "a")).run


def die(backend, folder: str, lines: Spool) -> None:
    """End a writer as `kill -9` does; somebody else takes over what it left."""
    lines.disown()
    adopting.adopt(backend, folder)


def test_lines_are_moved_once_and_the_file_shrinks(backend, run, folder):
    lines = Spool(folder, writer(run))
    for step in range(3):
        lines.append(Stream.HISTORY, row(step))
    (file,) = Path(folder).iterdir()
    before = file.stat().st_size
    move(backend, run, lines)
    assert file.stat().st_size < before
    for step in (3, 4):
        lines.append(Stream.HISTORY, row(step))
        move(backend, run, lines)
    assert stored(backend, run) == [0, 1, 2, 3, 4]
    lines.remove()
    lines.remove()  # does nothing
    assert (os.listdir(folder), open_below(folder)) == ([], [])


def test_lines_of_a_dead_writer_are_adopted(backend, run, folder):
    lines = Spool(folder, writer(run))
    for step in range(3):
        lines.append(Stream.HISTORY, row(step))
    assert adopting.adopt(backend, folder) == 0  # it lives
    lines.disown()
    assert adopting.adopt(backend, folder) == 1
    assert stored(backend, run) == [0, 1, 2]
    assert os.listdir(folder) == []


def test_adopting_lines_that_were_moved_already_changes_nothing(backend, run, folder):
    lines = Spool(folder, writer(run))
    lines.append(Stream.HISTORY, row(0))
    lines.append(Stream.HISTORY, row(1))
    backend.append_lines(run.key, lines.pending())  # killed before it could note that
    lines.append(Stream.HISTORY, row(2))
    die(backend, folder, lines)
    assert stored(backend, run) == [0, 1, 2]


def test_offsets_go_on_after_a_move(backend, run, folder):
    lines = Spool(folder, writer(run))
    lines.append(Stream.HISTORY, row(0))
    move(backend, run, lines)
    lines.append(Stream.HISTORY, row(1))
    die(backend, folder, lines)
    assert stored(backend, run) == [0, 1]


def test_a_half_written_last_line_is_dropped(backend, run, folder):
    lines = Spool(folder, writer(run))
    lines.append(Stream.HISTORY, row(0))
    lines.disown()
    (file,) = Path(folder).iterdir()
    with file.open("ab") as tail:
        tail.write(b'h{"_step": 1')
    adopting.adopt(backend, folder)
    assert stored(backend, run) == [0]


def test_a_row_that_was_still_growing_counts_when_its_writer_died(backend, run, folder):
    lines = Spool(folder, writer(run))
    lines.hold(row(0))
    lines.append(Stream.HISTORY, row(0))
    lines.hold(row(1))
    die(backend, folder, lines)
    assert stored(backend, run) == [0, 1]
    assert summary(backend, run) == {"_step": 1}


@pytest.mark.parametrize("other", [{"run_key": 10_000}, {"run_id": "elsewhere"}])
def test_lines_of_a_run_that_is_not_here_are_dropped(backend, run, folder, other):
    lines = Spool(folder, replace(writer(run), **other))
    lines.append(Stream.HISTORY, row(0))
    lines.disown()
    assert adopting.adopt(backend, folder) == 1
    assert (stored(backend, run), os.listdir(folder)) == ([], [])


def test_a_file_cut_off_in_its_header_is_removed(backend, folder):
    Path(folder, "1-w.spool").write_bytes(b'{"spool": 1, "ent')
    assert adopting.adopt(backend, folder) == 1
    assert os.listdir(folder) == []


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (b"\0" * 200, "its first line is damaged"),
        (b"null", "its first line is damaged"),
        (b'{"spool": 1, "entity": "ana"}', "its first line is damaged"),
        (b'{"spool": 2}', "written by a newer Lineal"),
    ],
)
def test_lines_of_nobody_known_stay_and_keep_nobody_from_working(
    backend, run, folder, capsys, first, said
):
    lines = Spool(folder, writer(run))
    lines.append(Stream.HISTORY, row(0))
    lines.disown()
    path = Path(folder, "1-x.spool")
    path.write_bytes(first + b'\nh{"_step": 1}\n')
    assert adopting.adopt(backend, folder) == 1
    assert stored(backend, run) == [0]
    assert path.exists()
    told = capsys.readouterr().err
    assert str(path) in told
    assert said in told


def test_lines_of_a_deleted_run_wait_for_it_to_be_restored(backend, run, folder, capsys):
    lines = Spool(folder, writer(run))
    lines.append(Stream.HISTORY, row(0))
    lines.disown()
    backend.delete_run(run.key)
    assert adopting.adopt(backend, folder) == 0
    assert capsys.readouterr().err == ""
    restored = backend.restore_run(run.entity, run.project, run.run_id)
    assert (restored.state, restored.history_count) == ("crashed", 1)
    assert os.listdir(folder) == []
    assert stored(backend, run) == [0]
    assert backend.run_by_key(run.key).state == "crashed"


@pytest.mark.parametrize("way", ["run", "project"])
def test_lines_that_waited_come_with_all_that_is_restored(backend, run, folder, way):
    lines = Spool(folder, writer(run))
    lines.append(Stream.HISTORY, row(0))
    lines.disown()
    if way == "run":
        backend.delete_run(run.key)
        (deletion,) = backend.deletions(PageRequest()).items
        backend.restore(deletion.id)
    else:
        backend.delete_project(run.entity, run.project, force=True)
        backend.restore_project(run.entity, run.project)
    assert stored(backend, run) == [0]


def test_lines_of_a_deleted_run_are_not_read_each_time_while_they_wait(backend, run, folder):
    lines = Spool(folder, writer(run))
    lines.append(Stream.CONSOLE, b"x" * 20_000_000)
    lines.disown()
    backend.delete_run(run.key)
    tracemalloc.start()
    try:
        assert adopting.adopt(backend, folder) == 0
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_lines_of_a_deleted_run_are_dropped_once_it_cannot_be_restored(backend, run, folder):
    lines = Spool(folder, writer(run))
    lines.append(Stream.HISTORY, row(0))
    lines.disown()
    backend.delete_run(run.key)
    backend.instance = replace(backend.instance, undo_period=timedelta(0))
    backend.gc_sweep()
    assert adopting.adopt(backend, folder) == 1
    assert os.listdir(folder) == []


def test_a_file_that_somebody_else_removed_is_done_with(backend, run, folder):
    lines = Spool(folder, writer(run))
    lines.append(Stream.HISTORY, row(0))
    (file,) = Path(folder).iterdir()
    file.unlink()
    move(backend, run, lines)
    lines.remove()
    assert stored(backend, run) == [0]


def test_a_long_file_is_written_anew_with_what_is_left(backend, run, folder, monkeypatch):
    monkeypatch.setattr(spool, "REWRITE_BYTES", 1_000)
    lines = Spool(folder, writer(run))
    for step in range(100):
        lines.append(Stream.HISTORY, row(step))
    batches = lines.pending()
    backend.append_lines(run.key, batches)
    lines.append(Stream.HISTORY, row(100))
    lines.hold(row(101))
    lines.moved(batches)
    (file,) = Path(folder).iterdir()
    assert file.stat().st_size < 1_000
    assert open_below(folder) == [str(file)]
    lines.disown()
    assert adopting.adopt(backend, folder) == 1
    assert stored(backend, run) == list(range(102))


def test_a_row_that_grows_stays_in_the_file_while_other_lines_are_moved(backend, run, folder):
    lines = Spool(folder, writer(run))
    lines.append(Stream.HISTORY, row(0))
    lines.hold(row(1))
    lines.append(Stream.CONSOLE, b"{}")
    move(backend, run, lines)
    die(backend, folder, lines)
    assert stored(backend, run) == [0, 1]


def test_a_row_that_was_moved_does_not_come_again(backend, run, folder, monkeypatch):
    monkeypatch.setattr(spool, "REWRITE_BYTES", 1)
    lines = Spool(folder, writer(run))
    lines.hold(row(0))
    lines.append(Stream.HISTORY, row(0))
    move(backend, run, lines)
    die(backend, folder, lines)
    assert stored(backend, run) == [0]


def test_a_row_that_stopped_growing_counts_once_in_a_file_written_anew(
    backend, run, folder, monkeypatch
):
    monkeypatch.setattr(spool, "REWRITE_BYTES", 1)
    lines = Spool(folder, writer(run))
    lines.append(Stream.HISTORY, row(0))
    batches = lines.pending()
    backend.append_lines(run.key, batches)
    lines.hold(row(1))
    lines.append(Stream.HISTORY, row(1))
    lines.moved(batches)
    lines.disown()
    assert adopting.adopt(backend, folder) == 1
    assert stored(backend, run) == [0, 1]


# --- the summary --------------------------------------------------------------------------------


def logged(step: int, **values: object) -> bytes:
    return json.dumps({**values, "_step": step, "_timestamp": 1000.0 + step}).encode()


def summary(backend, run) -> dict:
    return {
        key: value
        for key, value in backend.run_by_key(run.key).summary.items()
        if key != "_timestamp"
    }


def left(backend, run, folder, *lines: bytes, name: str = "w1") -> None:
    """Adopt lines that a writer logged before it died."""
    dead = Spool(folder, writer(run, name))
    for line in lines:
        dead.append(Stream.HISTORY, line)
    die(backend, folder, dead)


def test_the_summary_follows_what_a_dead_writer_had_logged(backend, run, folder):
    patch = RunPatch(summary={"loss": 3, "mine": 7, "_step": 0, "_timestamp": 1000.0})
    backend.update_run(run.key, patch)
    left(backend, run, folder, logged(1, loss=2), logged(2, loss=1, late=5))
    assert summary(backend, run) == {"loss": 1, "mine": 7, "late": 5, "_step": 2}


def test_adopted_lines_are_summarised_as_their_metric_is_defined(backend, run, folder):
    metrics = {"acc": {"name": "acc", "summary": ["max", "mean"]}}
    backend.update_run(run.key, RunPatch(config={"_lineal": {"metrics": metrics}}))
    left(backend, run, folder, logged(0, acc=0.5), logged(1, acc=1.0), logged(2, acc=0.0))
    assert summary(backend, run) == {"acc.max": 1.0, "acc.mean": 0.5, "_step": 2}


def test_adopted_lines_do_not_take_the_summary_back(backend, run, folder):
    metrics = {"acc": {"name": "acc", "summary": ["max"]}}
    before = {"loss": 1, "acc.max": 0.5, "_step": 9, "_timestamp": 1009.0}
    backend.update_run(run.key, RunPatch(config={"_lineal": {"metrics": metrics}}, summary=before))
    left(backend, run, folder, logged(3, loss=4, acc=0.9, child=1))
    assert summary(backend, run) == {"loss": 1, "acc.max": 0.9, "child": 1, "_step": 9}


@pytest.mark.parametrize(("step", "moment"), [(3, 2000.0), (12, 5.0)])
def test_a_row_is_older_only_if_its_step_and_its_time_are(backend, run, folder, step, moment):
    patch = RunPatch(summary={"loss": 1, "_step": 9, "_timestamp": 1009.0})
    backend.update_run(run.key, patch)
    left(
        backend, run, folder, json.dumps({"loss": 4, "_step": step, "_timestamp": moment}).encode()
    )
    assert summary(backend, run) == {"loss": 4, "_step": step}


def test_half_a_row_in_the_middle_does_not_keep_the_rest_from_the_summary(backend, run, folder):
    left(backend, run, folder, b'{"_step":0,"loss":}', logged(1, loss=2))
    assert summary(backend, run) == {"loss": 2, "_step": 1}


# --- what the database refuses ------------------------------------------------------------------


def test_a_line_that_no_run_can_have_is_set_aside_alone(backend, run, folder, capsys):
    too_large = 2**63
    lines = [logged(step, x=step) for step in (0, 1, too_large, 3)]
    lines[2] = logged(too_large, x=2, only_there=2)
    left(backend, run, folder, *lines)
    assert stored(backend, run) == [0, 1, 3]
    assert summary(backend, run) == {"x": 3, "_step": 3}
    (aside,) = Path(folder).iterdir()
    assert aside.read_bytes() == lines[2] + b"\n"
    said = capsys.readouterr().err
    assert f"A line of run ana/p/a cannot be stored: Step {too_large}" in said
    assert str(aside) in said
    assert adopting.adopt(backend, folder) == 0


def test_many_lines_that_no_run_can_have_are_kept_in_their_order(backend, run, folder, capsys):
    refused = [logged(2**64 + number) for number in range(5)]
    console = json.dumps({"ts": 1, "level": "info", "content": "hello"}).encode()
    dead = Spool(folder, writer(run))
    for number, line in enumerate(refused):
        dead.append(Stream.HISTORY, line)
        dead.append(Stream.HISTORY, row(number))
    dead.append(Stream.CONSOLE, console)
    die(backend, folder, dead)
    assert stored(backend, run) == [0, 1, 2, 3, 4]
    assert list(backend.read_lines(run.key, Stream.CONSOLE)) == [console]
    (aside,) = Path(folder).iterdir()
    assert aside.read_bytes().splitlines() == refused
    assert "5 lines of run ana/p/a cannot be stored" in capsys.readouterr().err


# --- the state ----------------------------------------------------------------------------------


def test_a_run_that_only_a_dead_writer_had_has_crashed(backend, run, folder):
    other = backend.start_run(RunSpec("ana", "p", "b")).run
    living = Spool(folder, replace(writer(other, "w2"), run_id="b"))
    living.begin()
    dead = Spool(folder, writer(run))
    dead.begin()
    assert adopting.adopt(backend, folder) == 0
    assert backend.run_by_key(run.key).state == "running"
    die(backend, folder, dead)
    assert backend.run_by_key(run.key).state == "crashed"
    living.remove()
    assert os.listdir(folder) == []


def test_a_run_goes_on_while_one_of_its_writers_lives(backend, run, folder):
    living = Spool(folder, writer(run, "w2"))
    living.begin()
    left(backend, run, folder, logged(0))
    assert backend.run_by_key(run.key).state == "running"
    living.remove()


def test_a_crashed_run_lasted_as_long_as_its_rows_say(backend, run, folder):
    left(backend, run, folder, json.dumps({"_step": 0, "_runtime": 7.5}).encode())
    assert backend.run_by_key(run.key).runtime_seconds == 7.5


def test_what_is_left_of_a_finished_run_does_not_crash_it(backend, run, folder):
    backend.finish_run(run.key, 0, 1.0)
    left(backend, run, folder, logged(0))
    assert backend.run_by_key(run.key).state == "finished"


# --- changes of config and summary --------------------------------------------------------------


def changes(**values: object) -> bytes:
    return json.dumps(values).encode()


def test_changes_of_config_and_summary_outlive_their_writer(backend, run, folder):
    backend.update_run(run.key, RunPatch(config={"a": 1, "b": 1}, summary={"old": 1}))
    dead = Spool(folder, writer(run))
    dead.append(Stream.HISTORY, logged(0, loss=3, config={"c": 3}))
    dead.change(changes(config={"b": 2}))
    dead.change(changes(summary={"loss": 1, "mine": 7}))
    dead.change(changes(summary_removed=["old", "absent"]))
    dead.append(Stream.HISTORY, logged(1, other=5))
    die(backend, folder, dead)
    assert backend.run_by_key(run.key).config == {"a": 1, "b": 2}
    assert summary(backend, run) == {"loss": 1, "mine": 7, "config.c": 3, "other": 5, "_step": 1}


def test_what_a_writer_only_took_out_before_it_died_is_gone(backend, run, folder):
    backend.update_run(run.key, RunPatch(summary={"a": 1, "b": 1}))
    dead = Spool(folder, writer(run))
    dead.change(changes(summary_removed=["a"]))
    dead.disown()
    adopting.adopt(backend, folder)
    assert summary(backend, run) == {"b": 1}


def test_a_metric_that_was_only_just_defined_counts(backend, run, folder):
    dead = Spool(folder, writer(run))
    metrics = {"acc": {"name": "acc", "summary": ["max"]}}
    dead.change(changes(config={"_lineal": {"metrics": metrics}}))
    for step, acc in enumerate((0.5, 1.0, 0.0)):
        dead.append(Stream.HISTORY, logged(step, acc=acc))
    die(backend, folder, dead)
    assert summary(backend, run) == {"acc.max": 1.0, "_step": 2}


def test_a_mean_goes_on_with_what_a_dead_writer_left(backend, run, folder):
    metrics = {"loss": {"name": "loss", "summary": ["mean"]}}
    patch = RunPatch(config={"_lineal": {"metrics": metrics}}, summary={"loss.mean": 2.0})
    backend.update_run(run.key, patch)
    lines = Spool(folder, writer(run))
    for step, loss in enumerate((1.0, 3.0)):
        lines.append(Stream.HISTORY, logged(step, loss=loss))
    move(backend, run, lines)
    lines.append(Stream.HISTORY, logged(2, loss=5.0))
    lines.disown()
    adopting.adopt(backend, folder)
    assert summary(backend, run) == {"loss.mean": 3.0, "_step": 2}


def test_changes_are_forgotten_once_the_database_has_them(backend, run, folder, monkeypatch):
    lines = Spool(folder, writer(run))
    lines.change(changes(summary={"a": 1}))
    count = lines.change_count()
    lines.change(changes(summary={"b": 2}))
    monkeypatch.setattr(spool, "REWRITE_BYTES", 1)
    lines.moved([], count)
    die(backend, folder, lines)
    assert summary(backend, run) == {"b": 2}


def test_lines_of_a_living_writer_are_not_copied(run, folder, tmp_path):
    lines = Spool(folder, writer(run))
    lines.append(Stream.HISTORY, row(0))
    with pytest.raises(UsageError, match=r"A run still writes to .*w1.spool; sync it once it is"):
        adopting.copy(folder, str(tmp_path))
    lines.disown()
    adopting.copy(folder, str(tmp_path))
    assert (tmp_path / f"{run.key}-w1.spool").exists()


def test_a_run_has_crashed_whoever_writes_to_another_one(backend, run, folder):
    other = backend.start_run(RunSpec("ana", "p", "b")).run
    living = Spool(folder, Writer("ana", "p", "b", other.key, "w2"))
    living.begin()
    left(backend, run, folder, logged(0))
    assert backend.run_by_key(run.key).state == "crashed"
    living.remove()
