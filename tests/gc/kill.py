"""Sweep a home and die by SIGKILL at the N-th step, for every N there is; then sweep again.

Run as a program: `python -m tests.gc.kill FOLDER` prints one JSON line per N. A step is a file
removed, a writing SQL statement or a commit; it is counted before it happens. Every attempt starts
from a copy of one prepared home, in a forked child; the second sweep must end where one that was
never killed ends: the same rows in every table, the same files.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import event

from lineal.config import load
from lineal.core.access import Actor, Role
from lineal.core.records import MembershipId, RunSpec
from lineal.core.retention import Selection
from lineal.service import artifacts, deletion, gc, retention, run_files, runs, ttl
from lineal.service.instance import Instance, open_instance
from lineal.service.verify import verify
from tests.gc.crashes import WRITES
from tests.service.drafts import draft, log, send

OWNER = Actor("ana", Role.OWNER)
BEGINNING = datetime.now(UTC)
MOST_STEPS = 500


class StillClock:
    """Says the same moment to every sweep, so that their traces can be compared."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment

    def now(self) -> datetime:
        return self._moment


def main(folder: str) -> None:
    root = Path(folder)
    in_child(lambda: prepare(root / "prepared"))
    shutil.copytree(root / "prepared", root / "whole")
    in_child(lambda: sweep(root / "whole"))
    wanted = state(root / "whole")
    for step in count():
        assert step < MOST_STEPS
        home = root / f"home{step}"
        shutil.copytree(root / "prepared", home)
        status = in_child(lambda step=step, home=home: sweep(home, die_at=step))
        is_killed = os.WIFSIGNALED(status)
        finished = in_child(lambda home=home: sweep(home))
        found = state(home)
        at = (home / "died").read_text() if is_killed else ""
        problem = "" if found == wanted and finished == 0 else difference(wanted, found)
        if not is_killed and status:
            problem = f"the sweep failed by itself; {problem}"
        print(json.dumps({"step": step, "at": at, "is_killed": is_killed, "problem": problem}))
        shutil.rmtree(home)
        if not is_killed:
            return


def prepare(home: Path) -> None:
    """Leave work for every step: what expires, what is released, what was never finished."""
    instance = opened(home, BEGINNING)
    work = home.parent / "work"
    work.mkdir()
    shared = {"shared": b"s" * 10}
    old = [
        log(
            instance,
            OWNER,
            work,
            shared | {"own": bytes([n]) * 20},
            in_pack=n in (0, 2),
            collection=f"c{n}",
        )
        for n in range(4)
    ]
    for version in old[:2]:
        deletion.delete_version(instance, OWNER, version.membership_id, delete_aliases=True)
    ttl.set_version_ttl(instance, OWNER, MembershipId(old[2].membership_id), 3600)
    log(instance, OWNER, work, {"new": b"n"}, collection="c3")
    retention.set_policy(instance, OWNER, "ana", "vision", "c3", Selection(keep_last=1))
    spec, segments = draft({"never": b"finished", "nor": b"this"}, collection="c4")
    begun = artifacts.begin(instance, OWNER, spec, segments)
    send(instance, OWNER, begun.draft, {"never": b"finished", "nor": b"this"}, work)
    run = runs.start(instance, OWNER, RunSpec("ana", "vision", "r1")).run
    (work / "out").write_bytes(b"of a run")
    run_files.put(instance, OWNER, run.key, [("out", str(work / "out"))])
    deletion.delete_run(instance, OWNER, run.key)
    instance.close()


def sweep(home: Path, die_at: int | None = None) -> None:
    instance = opened(home, BEGINNING + timedelta(days=8))
    if die_at is not None:
        die_in(instance, home, die_at)
    gc.sweep(instance, OWNER)
    if die_at is None:
        assert list(verify(instance, OWNER)) == []
        stored = {row for row in state(home) if row.startswith('INSERT INTO "blobs"')}
        assert len(list(instance.store.walk())) == len(stored)
    instance.close()


def opened(home: Path, moment: datetime) -> Instance:
    return open_instance(load({"home": str(home)}), clock=StillClock(moment))


def die_in(instance: Instance, home: Path, die_at: int) -> None:
    steps = count()

    def step(what: str) -> None:
        if next(steps) == die_at:
            descriptor = os.open(home / "died", os.O_WRONLY | os.O_CREAT)
            os.write(descriptor, what.encode())
            os.kill(os.getpid(), signal.SIGKILL)

    @event.listens_for(instance.database.engine, "before_cursor_execute")
    def statement(_c: Any, _cursor: Any, text: str, *_: object) -> None:
        if text.startswith(WRITES):
            step(" ".join(text.split()[:3]))

    @event.listens_for(instance.database.engine, "commit")
    def commit(_connection: Any) -> None:
        step("COMMIT")

    def audit(name: str, arguments: tuple[Any, ...]) -> None:
        if name == "os.remove" and "blobs" in str(arguments[0]):
            step("unlink")

    sys.addaudithook(audit)


def state(home: Path) -> list[str]:
    """Return every row of every table, and every file of the store."""
    with sqlite3.connect(home / "lineal.db") as connection:
        rows = sorted(connection.iterdump())
    connection.close()
    files = [
        str(path.relative_to(home))
        for path in sorted((home / "blobs").rglob("*"))
        if path.is_file()
    ]
    return rows + files


def difference(wanted: list[str], found: list[str]) -> str:
    less = [f"-{line[:200]}" for line in wanted if line not in found]
    more = [f"+{line[:200]}" for line in found if line not in wanted]
    return "\n".join(less + more) or "the second sweep failed"


def in_child(work: Callable[[], None]) -> int:
    """Do it in a process of its own; returns its wait status."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    try:
        work()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
