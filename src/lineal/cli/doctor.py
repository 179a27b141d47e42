"""`lineal doctor`: whether Lineal can work here, and what to do if not (CLI-5)."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import lineal
from lineal.cli import output
from lineal.cli.connect import connect
from lineal.cli.options import Json
from lineal.cli.status import installed_version
from lineal.cli.verify import Verifiable
from lineal.config import load
from lineal.core.ids import new_id
from lineal.errors import Unavailable
from lineal.files.refusals import refusal
from lineal.home import Home, home_of

PYTHON_LEAST = (3, 11)
SQLITE_LEAST = (3, 35)
"""The first with RETURNING."""
SPACE_LEAST_BYTES = 1 << 30
INODES_LEAST = 10_000
"""Each file that is not in a pack takes one, and each run some."""
CLOCK_MOST_SECONDS = 5.0
"""How far the clocks of this machine and of the home's file system may differ."""


class Check(NamedTuple):
    name: str
    is_good: bool
    told: str


def doctor(json: Json = False) -> None:
    """Check that Lineal can work here: versions, home, space, clock, database, a whole round.

    The round logs, fetches and verifies an artifact in a home of its own, which is deleted.
    Exit code 8 if anything is wrong. Stored bytes are a matter of `lineal verify`.
    """
    checks = list(_checks(home_of(load())))
    if json:
        output.as_json_list(
            {"check": each.name, "good": each.is_good, "told": each.told} for each in checks
        )
    else:
        output.table(
            ("check", "", "what was found"),
            ((each.name, "ok" if each.is_good else "BAD", each.told) for each in checks),
        )
    bad = [each.name for each in checks if not each.is_good]
    if bad:
        raise Unavailable(f"Something is wrong with: {', '.join(bad)}")


def _checks(home: Home) -> Iterator[Check]:
    python = platform.python_version()
    is_new = sys.version_info >= PYTHON_LEAST
    yield Check("versions", is_new, f"Lineal {installed_version()}, Python {python}")
    yield Check(
        "SQLite",
        sqlite3.sqlite_version_info >= SQLITE_LEAST,
        f"{sqlite3.sqlite_version}; {'.'.join(map(str, SQLITE_LEAST))} or newer is needed",
    )
    writable = _done("home", lambda: _home(home))
    yield writable
    if writable.is_good:  # else these would only say so again
        yield _space(home)
        yield _done("clock", lambda: _clock(home))
        yield _done("database", lambda: _database(home))
    yield _done("a whole round", _round)


def _done(name: str, work: Callable[[], str]) -> Check:
    """Carry out a check that returns what it found, and raises where that is not good."""
    try:
        return Check(name, True, work())
    except Exception as error:  # noqa: BLE001 - whatever it was is what is wrong
        return Check(name, False, str(error).partition("\n")[0])


def _home(home: Home) -> str:
    home.create()
    folders = home.root, home.blobs, home.staging, home.spool, home.cache
    for folder in filter(os.path.isdir, folders):
        try:
            with tempfile.NamedTemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise refusal(folder, error) or error from error
    return f"{home.root} can be written"


def _space(home: Home) -> Check:
    """Look at each disk that the home is on: `blobs` may be a link, `data_dir` elsewhere."""
    disks: dict[int, str] = {}
    for folder in (home.root, home.blobs, home.staging):
        place = folder
        while not os.path.isdir(place):
            place = os.path.dirname(place)
        disks.setdefault(os.stat(place).st_dev, place)
    is_enough, told = True, []
    for folder in disks.values():
        disk = os.statvfs(folder)
        free = disk.f_bavail * disk.f_frsize
        has_inodes = disk.f_files == 0 or disk.f_favail >= INODES_LEAST  # 0: made as needed
        is_enough &= free >= SPACE_LEAST_BYTES and has_inodes
        where = f" for {folder}" if len(disks) > 1 else ""
        inodes = "" if has_inodes else f", and only {disk.f_favail:,} inodes (`df -i`)"
        told.append(f"{output.size(free)} free{where}{inodes}")
    advice = "" if is_enough else "; `lineal gc` frees what nothing needs"
    return Check("space", is_enough, f"{', '.join(told)}{advice}")


def _clock(home: Home) -> str:
    with tempfile.NamedTemporaryFile(dir=home.root) as file:
        apart = abs(os.fstat(file.fileno()).st_mtime - time.time())
    if apart > CLOCK_MOST_SECONDS:
        raise Unavailable(f"{home.root} is on a file system whose clock is {apart:.0f} s off")
    return f"{output.moment(datetime.now(UTC))}, as the home's file system has it"


def _database(home: Home) -> str:
    backend = connect().backend  # makes one where there is none
    damage = backend.damage() if isinstance(backend, Verifiable) else []
    if damage:
        told = damage[0].what.replace("\n", ": ")
        raise Unavailable(f"{home.database} is damaged: {told}; bring it back from a backup")
    counts = backend.status().counts
    listed = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
    return f"sound; {listed or 'empty'}"


def _round() -> str:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lineal-doctor-") as folder:
        home = os.path.join(folder, "home")
        settings = {"home": home, "console": "off", "quiet": True, "mode": "online"}
        # whatever run the environment may ask for: it is in another home
        with lineal.init(project="doctor", id=new_id(), resume="never", settings=settings) as run:
            artifact = lineal.Artifact("round", "dataset")
            artifact.add_bytes(b"it works\n", "file.txt")
            run.log({"checked": 1})
            name = run.log_artifact(artifact).wait().qualified_name
        found = lineal.Api({"base_url": f"file://{home}"}).artifact(name)
        found.verify(found.download(os.path.join(folder, "out")))
    return f"logged, fetched and verified in {time.monotonic() - began:.1f} s"
