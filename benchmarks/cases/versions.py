"""1,000 versions of a tiny artifact, each committed before the next is begun."""

from __future__ import annotations

import os
import sqlite3
import statistics
import time
from collections.abc import Iterator

import lineal
from benchmarks import sdk, timing
from benchmarks.child import Stopwatch
from benchmarks.results import Bench, Result

COUNT = 1_000
LIMIT_MS = 4
WARM_UP = 5
AROUND = 10
"""Versions compared at either end: the 6th to 15th with the last ten."""
GROWTH_LIMIT = 1.1
""""No slower", within what two medians of ten differ by."""


def log_versions(watch: Stopwatch, count: int) -> list[float]:
    taken = []
    with sdk.started_run() as run, watch:
        for number in range(count):
            began = time.perf_counter()
            artifact = lineal.Artifact("tiny", type="dataset")
            with artifact.new_file("value.txt") as file:
                file.write(f"version {number}\n")
            run.log_artifact(artifact).wait()
            taken.append(time.perf_counter() - began)
    return taken


def write_durably(watch: Stopwatch, folder: str, count: int) -> None:
    """Do the least that keeps a version: one file on disk, then one row on disk."""
    database = sqlite3.connect(os.path.join(folder, f"{time.time_ns()}.db"), isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE versions (number INTEGER PRIMARY KEY, name TEXT)")
    os.makedirs(target := os.path.join(folder, f"files-{time.time_ns()}"))
    with watch:
        for number in range(count):
            with open(f"{target}/{number}", "wb") as file:
                file.write(b"version %d\n" % number)
                file.flush()
                os.fsync(file.fileno())
            database.execute("INSERT INTO versions VALUES (?, ?)", (number, "tiny"))
    database.close()


def measure(bench: Bench) -> Iterator[Result]:
    count = bench.size(COUNT, 40)
    folder = bench.folder("versions")
    growths = []

    def log(_: int) -> timing.Taken:
        timed, _whole = timing.child(
            log_versions, count, folder=folder, home=bench.new_path("home")
        )
        early = statistics.median(timed.value[WARM_UP : WARM_UP + AROUND])
        growths.append(statistics.median(timed.value[-AROUND:]) / early)
        return timed

    pairs = timing.paired(
        bench.runs, lambda _: timing.child(write_durably, folder, count, folder=folder)[0], log
    )
    yield Result(
        "1,000 versions of a tiny artifact, each",
        pairs.work.wall_seconds / count * 1000,
        "ms",
        LIMIT_MS,
        pairs.work,
        pairs.yardstick,
        "yardstick: a file with fsync and one durable SQLite row, 1,000 times",
    )
    yield Result(
        "the last ten / the 6th to 15th",
        statistics.median(growths),
        "x",
        GROWTH_LIMIT,
        note="no slower, within what two medians of ten differ by",
    )
