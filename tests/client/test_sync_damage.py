"""`lineal sync` of folders in which something is damaged, or not what it should be."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.client.syncing import folders, state, synced, target, write_dataset
from tests.test_files import file_size_limit

import lineal
from lineal.client.offline import intents, run_folder
from lineal.client.offline.marks import MARK_FILE
from lineal.config import load
from lineal.core.records import RunPatch
from lineal.errors import NoSpace, NotFound
from lineal.home import home_of


def test_a_broken_artifact_does_not_stop_the_rest(home):
    with lineal.init(mode="offline", project="p", id="a") as run:
        run.log_artifact(write_dataset("broken", "lost"))
        run.log_artifact(write_dataset("fine", "kept"))
    (folder,) = folders()
    for path in Path(folder, "blobs").rglob("*"):
        if path.is_file() and path.read_bytes() == b"lost":
            path.unlink()
    (result,) = synced(home)
    assert list(result.failures) == ["artifact broken:v0"]
    assert [path for path, *_ in state(home, "a")["logged"]] == ["ana/p/fine:v0"]
    (again,) = synced(home)
    assert (again.was_synced, list(again.failures)) == (False, ["artifact broken:v0"])


def test_the_database_of_a_run_that_goes_on_is_left_alone(home):
    """The run may be on another machine, and SQLite serves only one at a time."""
    run = lineal.init(mode="offline", project="p", id="a")
    run.log({"x": 1})
    (folder,) = folders()
    database = Path(home_of(load({"home": folder})).database)
    hidden = database.rename(database.with_suffix(".hidden"))
    (result,) = synced(home)
    assert "still going on" in str(next(iter(result.failures.values())))
    assert not database.exists()
    hidden.rename(database)
    run.finish()


def test_lines_that_cannot_be_read_keep_a_run_from_being_synced(home):
    with lineal.init(mode="offline", project="p", id="a"):
        pass
    (folder,) = folders()
    waiting = Path(home_of(load({"home": folder})).spool, "9-w.spool")
    waiting.write_bytes(b"no header\nno line\n")
    (result,) = synced(home)
    assert "Some lines of the run" in str(result.failures.popitem()[1])
    waiting.unlink()
    assert synced(home)[0].failures == {}


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(NotFound):
        run_folder.read_about(str(tmp_path))


def test_what_cannot_be_noted_for_sync_leaves_no_half_line(tmp_path):
    intents.note(str(tmp_path), use("p/data:v0"))
    path = tmp_path / intents.FILE
    with file_size_limit(path.stat().st_size + 5), pytest.raises(NoSpace, match=str(path)):
        intents.note(str(tmp_path), use("p/data:v1"))
    intents.note(str(tmp_path), use("p/data:v2"))
    assert intents.read(str(tmp_path)) == [use("p/data:v0"), use("p/data:v2")]


def use(version: str) -> intents.Use:
    return intents.Use(version, "sha256:9f", None)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"kind": "use"', "Expecting"),
        ("[]", "it is no JSON object"),
        ('{"kind": "lose"}', "its kind is 'lose'"),
        ('{"kind": "use", "version": 1, "digest": "x", "alias": null}', "`version` is 1, not str"),
        ('{"kind": "relog", "version": "p/data:v0"}', "`digest` is missing"),
        ('{"kind": "alias", "version": "a", "aliases": "prod"}', "`aliases` is 'prod', not tuple"),
        ('{"kind": "link", "version": "a", "target": "b", "aliases": []}', "`target` is 'b'"),
    ],
)
def test_a_damaged_note_is_named(home, line, said):
    with lineal.init(mode="offline", project="p", id="a"):
        pass
    path = Path(folders()[0], intents.FILE)
    path.write_text(f"{line}\n")
    (result,) = synced(home)
    (error,) = result.failures.values()
    assert f"Line 1 of {path.absolute()} is damaged: {said}" in str(error)


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ("{", "Expecting"),
        ("5", "it is no JSON object"),
        ('{"x": null}', "it is no JSON object"),
        ('{"x": {"done": 5}}', "`done` is 5, not tuple"),
        ('{"x": {"done": [], "more": 1}}', "`more` is not known"),
    ],
)
def test_damaged_marks_are_named(home, marks, said):
    with lineal.init(mode="offline", project="p", id="a"):
        pass
    path = Path(folders()[0], MARK_FILE)
    path.write_text(marks)
    (result,) = synced(home)
    (error,) = result.failures.values()
    assert f"{path.absolute()} is damaged: {said}" in str(error)
    path.unlink()
    (result,) = synced(home)
    assert result.failures == {}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE versions SET metadata = '[]'", "versions 1: no JSON object: metadata"),
        ("UPDATE runs SET created_at = 'today'", "runs 1: no moment: created_at"),
    ],
)
def test_a_folder_with_a_database_that_lineal_did_not_write_is_named(home, damage, said):
    with lineal.init(mode="offline", project="p", id="a") as run:
        run.log_artifact(write_dataset())
    database = Path(folders()[0], "lineal.db").absolute()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(damage)
        connection.commit()
    (result,) = synced(home)
    (error,) = result.failures.values()
    assert f"{database} is damaged" in str(error)
    assert said in str(error)


def test_only_what_users_keep_in_the_folder_of_a_run_may_be_no_file(home):
    with lineal.init(mode="offline", project="p", id="a") as run:
        os.mkfifo(Path(run.dir, "pipe"))
    (folder,) = folders()
    os.mkfifo(Path(folder, intents.FILE))
    (result,) = synced(home)
    assert "neither a file nor a folder" in str(result.failures[os.path.abspath(folder)])
    Path(folder, intents.FILE).unlink()
    (result,) = synced(home)
    assert result.failures == {}


@pytest.mark.parametrize("value", [{}, {"id": None}, {"id": "x"}, {"id": "9" * 30}])
def test_what_only_looks_like_a_version_stays_in_the_config(home, value):
    config = {"data": {"_type": "artifactVersion", **value}}
    with lineal.init(mode="offline", project="p", id="a") as run:
        key = run.backend.run("ana", "p", "a").key
        run.backend.update_run(key, RunPatch(config=config))
    (result,) = synced(home)
    assert result.failures == {}
    assert target(home).run("ana", "p", "a").config["data"] == config["data"]


def test_a_link_that_users_keep_in_the_folder_of_a_run_goes_alone(home, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "a.txt").write_text("a")
    lineal.init(mode="offline", project="p", id="a").finish()
    os.symlink(tmp_path / "kept", os.path.join(folders()[0], "linked"))
    (result,) = synced(home, clean=True)
    assert (result.failures, result.is_removed) == ({}, True)
    assert (tmp_path / "kept" / "a.txt").exists()


def test_attempts_of_one_run_are_known_again_when_they_are_synced_again(home):
    for value in (1, 2):
        with lineal.init(mode="offline", project="p", id="a", resume="allow") as run:
            run.log({"x": value})
    synced(home)
    before = state(home, "a")
    metadata = target(home).run("ana", "p", "a").metadata
    assert not any(result.failures for result in synced(home, again=True))
    assert state(home, "a") == before
    assert target(home).run("ana", "p", "a").metadata == metadata
    assert len(metadata[run_folder.METADATA_KEY]) == 2
