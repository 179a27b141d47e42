"""Offline runs: one folder each, begun, refused, killed."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import event
from tests.client.syncing import folders, state, synced, target, write_dataset

import lineal
from lineal.client.offline import run_folder, sync
from lineal.config import load
from lineal.errors import Invalid, NotFound, RunNotFoundError


def test_an_offline_run_is_kept_in_one_folder_and_touches_nothing_else(home, capsys):
    with lineal.init(mode="offline", project="p", id="a") as run:
        run.log({"x": 1})
        run.log_artifact(write_dataset())
        assert (run.url, run.project_url, run.sweep_url) == (None, None, None)
    (folder,) = folders()
    assert os.path.samefile(run.sync_dir, folder)
    assert folder in capsys.readouterr().err
    assert os.path.basename(folder).startswith("offline-run-")
    assert folder.endswith("-a")
    assert not (home / "lineal.db").exists()


def test_folders_of_one_second_are_in_the_order_of_making():
    now = datetime.now(UTC)
    made = [run_folder.new_folder(load({"dir": "runs"}), "a", now) for _ in range(12)]
    assert made == sorted(set(made))


def test_a_version_that_is_nowhere_is_an_error_of_whole_sentences():
    with lineal.init(mode="offline", project="p") as run:
        run.log_artifact(write_dataset()).wait()
        for name in ("data:v7", "other:v0", "dat:v0"):
            with pytest.raises(NotFound, match=r"[^.?][.?] While offline, only .* import` here"):
                run.use_artifact(name)


def test_a_version_in_a_config_that_is_nowhere_is_not_found_where_there_is_no_home():
    config = {"data": {"_type": "artifactVersion", "id": "7"}}
    with pytest.raises(NotFound, match="No version 7"):
        lineal.init(mode="offline", project="p", config=config)


def test_an_offline_run_goes_on_beside_a_home_that_is_damaged(home, capsys):
    home.mkdir()
    (home / "lineal.db").write_bytes(b"no database" * 1000)
    with lineal.init(mode="offline", project="p", id="a") as run:
        assert run.log_artifact(write_dataset()).wait().version == "v0"
    said = capsys.readouterr().err
    assert said.count("the instance here could not be asked about data: The database") == 1


@pytest.mark.parametrize("bad", [{"id": "x/../../escaped"}, {"id": "a", "tags": ["bad\ntag"]}])
def test_an_init_that_is_refused_leaves_no_folder(home, bad):
    with pytest.raises(ValueError, match=r"bad\\ntag|escaped"):
        lineal.init(mode="offline", project="p", **bad)
    assert not os.path.exists("escaped")
    assert not os.path.exists("lineal") or folders() == os.listdir("lineal") == []


def test_a_folder_of_an_init_that_was_killed_is_no_failure_and_can_be_cleaned(home):
    os.makedirs("lineal/offline-run-x")
    about = run_folder.About("uid", "ana", is_default_entity=True)
    Path("lineal/offline-run-x", run_folder.ABOUT_FILE).write_text(json.dumps(asdict(about)))
    (result,) = synced(home)
    assert (result.is_empty, result.failures) == (True, {})
    synced(home, clean=True)
    assert os.listdir("lineal") == []


def test_a_run_of_the_home_is_forked_offline(home):
    with lineal.init(id="parent", config={"lr": 1}) as parent:
        for value in range(5):
            parent.log({"x": value})
        Path("a.txt").write_text("a")
        parent.save("a.txt")
    with lineal.init(id="fork", fork_from="parent?_step=2", mode="offline") as fork:
        assert (fork.step, fork.config.lr, fork.summary["x"]) == (3, 1, 2)
        with fork.restore("a.txt", run_path="parent", root="restored") as file:
            assert file.read() == "a"
        fork.log({"x": 10})
    with pytest.raises(RunNotFoundError, match="Runs there: parent"):
        lineal.init(fork_from="nobody?_step=2", mode="offline")
    (result,) = synced(home)
    assert result.failures == {}
    assert [row["x"] for row in lineal.Api().run("fork").scan_history()] == [0, 1, 2, 10]


@pytest.mark.parametrize("is_killed", [False, True])
def test_an_offline_run_goes_on_where_the_one_beside_it_ended(home, is_killed):
    child = os.fork()
    if child == 0:
        run = lineal.init(id="a", mode="offline", project="p", config={"lr": 1}, tags=["t"])
        run.define_metric("loss", summary="min")
        for loss in (3, 1, 2):
            run.log({"loss": loss})
        if not is_killed:
            run.finish()
        os._exit(0)
    os.waitpid(child, 0)
    with lineal.init(id="a", mode="offline", project="p", resume="must") as run:
        assert (run.resumed, run.step, run.config.lr, run.tags) == (True, 3, 1, ("t",))
        run.log({"loss": 2})
        assert run.summary["loss"]["min"] == 1
        run.notes = "second"
        run.tags += ("u",)
        assert (run.notes, run.tags, run.step) == ("second", ("t", "u"), 4)
    with lineal.init(id="a", mode="offline", project="p", resume="allow") as run:
        assert run.step == 4
        run.log({"loss": 4})
    assert not any(result.failures for result in synced(home))
    read = lineal.Api().run("p/a")
    assert [row["_step"] for row in read.scan_history()] == [0, 1, 2, 3, 4]
    assert (read.summary["loss"]["min"], read.tags) == (1, ["t", "u"])
    with lineal.init(id="a", mode="offline", project="p", resume="must") as run:
        assert run.step == 5
        run.log({"loss": 4})
    assert lineal.init(id="a", mode="offline", project="p", resume="must").step == 6


def test_a_mean_goes_on_with_all_rows_of_earlier_attempts(home):
    with lineal.init(id="a", project="p") as run:
        run.log({"loss": 1})
        run.log({"other": 1})
        run.log({"loss": 2})
    for value in (3, 4):
        with lineal.init(id="a", project="p", mode="offline", resume="must") as run:
            run.define_metric("loss", summary="mean")
            run.log({"loss": value})
            assert run.summary["loss.mean"] == sum(range(value + 1)) / value
    assert not any(result.failures for result in synced(home))
    assert lineal.Api().run("p/a").summary["loss.mean"] == 2.5


def test_keys_that_a_run_going_on_offline_takes_out_are_gone_at_home_too(home):
    with lineal.init(id="a", project="p") as run:
        run.log({"loss": 1})
        run.summary.update({"gone": 1, "back": 1})
    with lineal.init(id="a", project="p", mode="offline", resume="must") as run:
        run.define_metric("loss", summary="min")
        run.log({"loss": 2})
        del run.summary["gone"], run.summary["back"]
        run.summary["back"] = 2
    with lineal.init(id="a", project="p", mode="offline", resume="must") as run:
        assert sorted(key for key in run.summary if key[0] != "_") == ["back", "loss.min"]
    assert not any(result.failures for result in synced(home))
    summary = lineal.Api().run("p/a").summary
    assert {key: summary[key] for key in summary if key[0] != "_"} == {"back": 2, "loss.min": 1}


@pytest.mark.parametrize("is_read_only", [False, True])
def test_what_a_killed_run_took_out_is_gone_here_and_at_home(home, is_read_only, monkeypatch):
    with lineal.init(id="a", project="p") as run:
        run.summary.update({"gone": 1, "back": 1, "kept": 1})
    child = os.fork()
    if child == 0:
        run = lineal.init(id="a", project="p", mode="offline", resume="must")
        monkeypatch.setattr(type(run), "_push_values", lambda run: None)  # killed before it could
        del run.summary["gone"], run.summary["back"]
        run.summary["back"] = 2
        os._exit(0)
    os.waitpid(child, 0)
    with lineal.init(id="a", project="p", mode="offline", resume="must") as run:
        assert sorted(run.summary) == ["back", "kept"]
    if is_read_only:
        monkeypatch.setattr(sync, "_opened_in_place", lambda settings: None)
    assert not any(result.failures for result in synced(home))
    assert lineal.Api().run("p/a").summary == {"back": 2, "kept": 1}
    noted = os.path.exists(f"{folders()[0]}/intents.jsonl")  # else killed now, it would be lost
    assert noted is not is_read_only


def test_a_name_given_to_a_run_that_goes_on_offline_comes_home(home):
    lineal.init(id="a", project="p", name="first").finish()
    for name, expected in ((None, "first"), ("second", "second"), (None, "second")):
        lineal.init(id="a", project="p", mode="offline", resume="must", name=name).finish()
        assert not any(result.failures for result in synced(home))
        assert lineal.Api().run("p/a").name == expected
    with lineal.init(id="a", project="p", mode="offline", resume="must") as run:
        run.name = "third"
    assert not any(result.failures for result in synced(home))
    assert lineal.Api().run("p/a").name == "third"


def test_a_run_that_goes_on_offline_restores_what_earlier_attempts_saved(home):
    def save(**files: str) -> None:
        for name, text in files.items():
            Path(name).write_text(text)
            lineal.save(name, policy="now")

    def restored(name: str) -> str:
        with lineal.restore(name, root="restored", replace=True) as file:
            return file.read()

    with lineal.init(id="a", project="p"):
        save(x="at home", y="at home", z="at home")
    for number in (1, 2):
        with lineal.init(id="a", project="p", mode="offline", resume="must"):
            save(x=f"offline {number}", y=f"offline {number}" if number == 1 else "own")
            save(**{f"only_{number}": "here"})
    with lineal.init(id="a", project="p", mode="offline", resume="allow"):
        save(y="own")
        read = [restored(name) for name in ("x", "y", "z", "only_1", "only_2")]
        assert read == ["offline 2", "own", "at home", "here", "here"]
        with pytest.raises(ValueError, match=r"no file 'w'.* only_2, .*x, only_1, z"):
            restored("w")
    with lineal.init(id="b", project="p", mode="offline"), pytest.raises(ValueError, match="none"):
        restored("x")
    assert not any(result.failures for result in synced(home))
    with lineal.init(id="a", project="p", mode="offline", resume="must"):
        assert restored("x") == "offline 2"


def test_an_offline_run_goes_on_without_a_folder_that_is_damaged(capsys):
    with lineal.init(id="a", mode="offline", project="p") as run:
        run.log({"x": 1})
    Path(run.sync_dir, "lineal.db").write_bytes(b"no database at all")
    with lineal.init(id="a", mode="offline", project="p", resume="allow") as run:
        assert run.step == 0
    assert "goes on without what is there" in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_key_of_a_run_that_goes_on_offline_is_not_changed_unasked(mode):
    lineal.init(id="a", mode=mode, config={"lr": 1}).finish()
    before = folders() if mode == "offline" else []
    with pytest.raises(Invalid, match="Config `lr` is 1 and would become 2"):
        lineal.init(id="a", resume="must", mode="offline", config={"lr": 2})
    assert folders() == before
    with lineal.init(id="a", resume="must", mode="offline", config={"lr": 1, "n": 2}) as run:
        assert run.config.as_dict() == {"lr": 1, "n": 2}


@pytest.mark.parametrize("step", ["sqlite3.connect", "spool"])
def test_a_run_that_is_being_started_is_not_taken_for_one_that_was_killed(home, step):
    target(home)
    at_step, go_on = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(go_on[1])
        pause_once(step, lambda: (os.write(at_step[1], b"x"), os.read(go_on[0], 1)))
        with lineal.init(mode="offline", project="p", id="a") as run:
            run.log({"x": 1})
        os._exit(0)
    os.read(at_step[0], 1)
    command = [sys.executable, "-m", "lineal", "sync", "--clean"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as other:
        assert other.stderr is not None
        said = other.stderr.readline()
        os.close(go_on[1])
        _, status = os.waitpid(child, 0)
        other.stderr.read()
    assert "waiting for another process" in said
    assert status == 0
    assert [result.failures for result in synced(home, clean=True)] in ([], [{}])
    assert len(state(home, "a")["history"]) == 1


def pause_once(step: str, pause: Callable[[], object]) -> None:
    """Call `pause` when this process opens the database of an offline run, or makes its spool."""
    steps = itertools.count()

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        is_spool = event == "open" and str(arguments[0]).endswith(".spool.new")
        is_database = event == "sqlite3.connect" and run_folder.FOLDER_PREFIX in str(arguments[0])
        if (is_spool if step == "spool" else is_database) and next(steps) == 0:
            pause()

    sys.addaudithook(hook)


@pytest.mark.parametrize("step", ["sqlite3.connect", "INSERT INTO projects"])
def test_an_init_that_is_killed_leaves_a_folder_that_can_be_cleaned(home, step):
    target(home)
    child = os.fork()
    if child == 0:
        if step == "sqlite3.connect":
            pause_once(step, lambda: os._exit(0))
        event.listen(
            sqlalchemy.Engine,
            "before_cursor_execute",
            lambda *arguments: os._exit(0) if arguments[2].startswith(step) else None,
        )
        lineal.init(mode="offline", project="p", id="a")
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert [result.failures for result in synced(home, clean=True)] == [{}]
    assert os.listdir("lineal") == []
