"""Several users of one machine share a home: docs/guides/operating.md, "Share"."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lineal
from lineal.config import Settings
from lineal.service.instance import open_instance

SOURCE = Path(lineal.__file__).parents[1]
TEAM = 60_000
USERS = {"ana": 60_001, "ben": 60_002}

CODE = """
import os, sys
import lineal
from lineal.client import session

def log(id):
    with lineal.init(project="vision", id=id) as run:
        run.log({"loss": 1.0})
        artifact = lineal.Artifact("data", "dataset")
        artifact.add_bytes(id.encode(), "a.txt")
        run.log_artifact(artifact).wait()
        print("ready", flush=True)
        sys.stdin.readline()

def read():
    artifact = lineal.Api().artifact("vision/data:v0")
    run = artifact.logged_by()
    print(open(artifact.file()).read(), run.entity, run.user)

def log_many():
    artifact = lineal.Artifact("many", "dataset")
    for number in range(120):
        artifact.add_bytes(str(number).encode(), f"{number}.txt")
    with lineal.init(project="vision") as run:
        run.log_artifact(artifact)

def why_it_stays():
    for run in lineal.Api().runs("vision"):
        run.delete(delete_artifacts=True)
    swept = lineal.Api()._backend.gc_sweep()
    print(swept.failed, {failure.why for failure in swept.failures})

def sweep():
    for run in lineal.Api().runs("vision"):
        run.delete(delete_artifacts=True)
    backend = lineal.Api()._backend
    swept = backend.gc_sweep()
    print(swept.failures, backend.status().blob_bytes, backend.sweep_if_due())

uid, team, home, work, action, *arguments = sys.argv[1:]
log("rehearsal"), read(), sweep()  # loads all modules, which the user may not be allowed to read
session.close()
os.setgroups([])
os.setgid(int(team))
os.setuid(int(uid))
os.umask(0o002)
os.chdir(work)
os.environ["LINEAL_HOME"] = home
print("acting", flush=True)
globals()[action](*arguments)
"""

Act = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def act(tmp_path: Path) -> Iterator[Act]:
    """Start an action of `CODE` as a user, in a home that was set up as the guide says."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to act as several users")
    folder = Path(tempfile.mkdtemp())  # others may not enter the folders that pytest makes
    folder.chmod(0o755)
    home = folder / "home"
    home.mkdir()
    os.chown(home, -1, TEAM)
    home.chmod(0o2770)
    umask = os.umask(0o002)
    open_instance(Settings(home=str(home))).close()  # not by a user: it may not read the migrations
    os.umask(umask)
    for path in (home, *home.rglob("*")):
        os.chown(path, USERS["ana"], -1)

    rehearsal = tmp_path / "rehearsal"
    rehearsal.mkdir()
    started: list[subprocess.Popen[str]] = []

    def start(user: str, *action: str) -> subprocess.Popen[str]:
        work = tempfile.mkdtemp(dir=folder)
        os.chown(work, USERS[user], TEAM)
        environment = {
            **os.environ,
            "HOME": work,
            "USER": user,
            "PYTHONPATH": str(SOURCE),
            "LINEAL_HOME": str(rehearsal / str(len(started))),
            "LINEAL_UNDO_DAYS": "0",
            "LINEAL_ENTITY": "team",
            "LINEAL_USERNAME": user,
        }
        process = subprocess.Popen(
            [sys.executable, "-c", CODE, str(USERS[user]), str(TEAM), str(home), work, *action],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=rehearsal,
            env=environment,
        )
        started.append(process)
        assert process.stdin is not None
        assert process.stdout is not None
        print("", file=process.stdin, flush=True)
        for line in process.stdout:
            if line == "acting\n":
                break
        return process

    yield start
    for process in started:
        process.kill()  # one that is over is left alone
        process.communicate()
    shutil.rmtree(folder)


def answer(process: subprocess.Popen[str]) -> str:
    """Return what an action prints; one that waits goes on."""
    out, _ = process.communicate("\n", timeout=120)
    assert process.returncode == 0
    return out.strip()


def test_one_user_works_while_the_run_of_another_is_live(act: Act) -> None:
    live = act("ana", "log", "one")
    assert live.stdout is not None
    assert live.stdout.readline() == "ready\n"
    assert answer(act("ben", "read")) == "one team ana"
    assert answer(act("ben", "log", "two")) == "ready"
    answer(live)
    assert answer(act("ana", "log", "three")) == "ready"


def test_one_user_deletes_what_another_logged(act: Act) -> None:
    answer(act("ana", "log", "one"))
    assert answer(act("ben", "sweep")) == "() 0 None"


def test_a_pack_that_another_user_has_to_free_is_named_with_that_user(act: Act) -> None:
    answer(act("ana", "log_many"))
    failed, reason = answer(act("ben", "why_it_stays")).split(" ", 1)
    assert failed == "120"
    assert ".pack belongs to " in reason
    assert f"user {USERS['ana']}, whose `lineal gc` frees it" in reason
