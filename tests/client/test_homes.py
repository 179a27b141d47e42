"""Opening a home: where it is, who waits for whom, and which settings hold for it."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import subprocess
import sys
import threading
from datetime import timedelta

import pytest

import lineal
from lineal.client import session
from lineal.config import load
from lineal.core.records import PageRequest
from lineal.errors import Unavailable
from lineal.service import instance, lock_files


def test_a_home_that_cannot_be_written_names_the_variable(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LINEAL_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(Unavailable, match="LINEAL_HOME"):
        lineal.init()


def test_init_gives_up_on_a_busy_instance_after_its_timeout(home):
    lineal.init().finish()
    session.close()
    blocker = sqlite3.connect(home / "lineal.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(Unavailable, match="held the database"):
            lineal.init(settings={"init_timeout": 0.1})
    finally:
        blocker.close()


@pytest.mark.parametrize(
    "impatient",
    [
        lambda: lineal.init(settings={"init_timeout": 0.1}),
        lambda: (lineal.Api(timeout=0.1), lineal.init())[1],
    ],
    ids=["init_timeout", "the timeout of an Api"],
)
def test_what_is_logged_waits_for_a_busy_instance_longer_than(impatient, home):
    run = impatient()
    artifact = lineal.Artifact("data", "dataset")
    artifact.add_bytes(b"x", "a")
    blocker = sqlite3.connect(home / "lineal.db", isolation_level=None, check_same_thread=False)
    blocker.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.6, blocker.close)
    release.start()
    try:
        assert run.log_artifact(artifact).wait().version == "v0"
    finally:
        release.join()


def test_a_raised_busy_timeout_holds_for_more_than_the_patience_of_init():
    with lineal.init(settings={"busy_timeout": 600, "init_timeout": 0.1}) as run:
        database = run.backend.instance.database
        with database.reading() as connection:
            waits = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
    assert waits == 600_000


def test_an_undo_period_holds_also_where_the_instance_is_open_with_another():
    lineal.Api()
    with lineal.init(project="p", id="a", settings={"undo_days": 1}) as run:
        backend = run.backend
    lineal.Api().run("p/a").delete()
    (deletion,) = backend.deletions(PageRequest()).items
    assert deletion.restorable_until == deletion.deleted_at + timedelta(days=1)


@pytest.mark.parametrize(
    ("setting", "kept", "value"),
    [
        ("crashed_after_seconds", "crashed_after", timedelta(seconds=9)),
        ("draft_ttl_hours", "draft_ttl", timedelta(hours=9)),
        ("trial_lease_seconds", "trial_lease", timedelta(seconds=9)),
        ("undo_days", "undo_period", timedelta(days=9)),
    ],
)
def test_what_an_instance_keeps_of_the_settings_is_that_of_who_opens_it(setting, kept, value):
    lineal.Api()
    with lineal.init(settings={setting: 9}) as run:
        assert getattr(run.backend.instance, kept) == value
    with lineal.init() as run:
        assert getattr(run.backend.instance, kept) != value


@pytest.mark.parametrize("name", ["a?b", "50%41", "a b#c:@", "ü'\"", "new\nline"])
def test_a_home_is_where_its_name_says_whatever_that_is(name, tmp_path, monkeypatch):
    monkeypatch.setenv("LINEAL_HOME", str(tmp_path / "homes" / name))
    with lineal.init() as run:
        artifact = lineal.Artifact("data", "dataset")
        artifact.add_bytes(b"x", "a")
        run.log_artifact(artifact).wait().download(root=str(tmp_path / "out"))
    assert os.listdir(tmp_path / "homes") == [name]
    assert (tmp_path / "homes" / name / "lineal.db").stat().st_size > 0
    assert (tmp_path / "out" / "a").read_bytes() == b"x"


def test_init_gives_up_on_a_home_that_another_process_never_finishes_making(home):
    home.mkdir()
    with open(home / "migrate.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match=r"migrate\.lock for 0\.2 seconds"):
            lineal.init(settings={"init_timeout": 0.2})


def test_who_waits_for_a_home_to_be_made_is_told_once_for_which_process(home, monkeypatch):
    monkeypatch.setattr(lock_files, "TOLD_AFTER_SECONDS", 0)
    home.mkdir()
    program = (
        "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True); sys.stdin.readline()"
    )
    command = [sys.executable, "-c", program, str(home / "migrate.lock")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    told = []
    with subprocess.Popen(command, **pipes) as holder:
        holder.stdout.readline()

        def tell(text):
            told.append(text)
            print(file=holder.stdin, flush=True)

        instance.open_instance(load(), tell=tell).close()
    (said,) = told
    assert said.startswith(f"process {holder.pid} ({sys.executable} -c")
    assert f"makes or migrates the database (it holds {home / 'migrate.lock'}); waiting" in said


@pytest.mark.parametrize(
    ("mode", "umask", "is_told"),
    [(0o2770, 0o077, True), (0o2775, 0o022, True), (0o2770, 0o002, False), (0o770, 0o077, False)],
)
def test_a_umask_that_keeps_others_out_of_a_shared_home_is_told(home, mode, umask, is_told):
    home.mkdir()
    home.chmod(mode)
    told = []
    before = os.umask(umask)
    try:
        instance.open_instance(load(), tell=told.append).close()
    finally:
        os.umask(before)
    assert [
        f"the umask {umask:03o} of this process the group of {home}" in each for each in told
    ] == ([True] if is_told else [])


def test_a_home_on_a_file_system_without_locks_is_refused(monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(Unavailable, match=r"Cannot lock .*migrate.lock: .* set LINEAL_HOME"):
        lineal.init()
