"""Waiting for a process that holds the write lock: the user is told for which."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lineal.db import lock_holder, write_lock
from lineal.db.engine import Database, sqlite_url
from lineal.errors import Unavailable

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, which holds the lock until it reads a line."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def write(path: Path, **arguments: Any) -> None:
    with (
        closing(Database(sqlite_url(str(path)), **arguments)) as database,
        database.writing() as connection,
    ):
        connection.exec_driver_sql("INSERT INTO rows VALUES (1)")


def test_who_waits_is_told_once_for_which_process(holder, path, monkeypatch):
    monkeypatch.setattr(write_lock, "TOLD_AFTER_SECONDS", 0)
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        print(file=holder.stdin, flush=True)

    write(path, tell=tell)
    assert len(told) == 1
    assert f"held by process {holder.pid} ({sys.executable} -c" in told[0]
    assert str(path) in told[0]


def test_who_is_refused_learns_of_which_process(holder, path):
    with pytest.raises(Unavailable, match=rf"^Process {holder.pid} \(.* held the database"):
        write(path, busy_timeout_seconds=0)


def test_a_process_that_is_stopped_is_said_to_be(holder, path):
    holder.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, holder.pid, os.WSTOPPED)
    with pytest.raises(Unavailable, match=rf"^Process {holder.pid} \(.*, stopped\) held"):
        write(path, busy_timeout_seconds=0)


def test_another_thread_is_no_other_process(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match=r"^Another thread of this process held"):
            write(path, busy_timeout_seconds=0)


def test_where_nobody_can_tell_it_is_another_process(holder, path, monkeypatch, tmp_path):
    monkeypatch.setattr(lock_holder, "LOCKS", str(tmp_path / "missing"))
    with pytest.raises(Unavailable, match=r"^Another process held"):
        write(path, busy_timeout_seconds=0)
    (tmp_path / "missing").write_text("1: FLOCK  ADVISORY  WRITE 1 fe:00:1 0 EOF\n")
    with pytest.raises(Unavailable, match=r"^Another process held"):
        write(path, busy_timeout_seconds=0)
