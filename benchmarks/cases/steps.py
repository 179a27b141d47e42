"""10,000 steps of a run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import lineal
from benchmarks import sdk, timing
from benchmarks.child import Stopwatch
from benchmarks.results import Bench, Result

COUNT = 10_000
LIMIT_SECONDS = 0.3


def log_steps(watch: Stopwatch, count: int) -> None:
    run = lineal.init(project=sdk.PROJECT)
    with watch:
        for step in range(count):
            run.log({"loss": 1 / (step + 1), "accuracy": step / count, "epoch": step // 100})
        run.finish()


def write_lines(watch: Stopwatch, path: str, count: int) -> None:
    """Do the least that keeps the values: one JSON line per step."""
    with watch, open(path, "w", encoding="utf-8") as file:
        for step in range(count):
            values = {"loss": 1 / (step + 1), "accuracy": step / count, "epoch": step // 100}
            file.write(json.dumps(values) + "\n")


def measure(bench: Bench) -> Iterator[Result]:
    count = bench.size(COUNT, 500)
    folder = bench.folder("steps")
    home = os.path.join(folder, "home")
    timing.child(log_steps, 1, folder=folder, home=home)
    wholes = []

    def log(_: int) -> timing.Taken:
        timed, whole = timing.child(log_steps, count, folder=folder, home=home)
        wholes.append(whole)
        return timed

    pairs = timing.paired(
        bench.runs,
        lambda turn: timing.child(
            write_lines, os.path.join(folder, f"{turn}.jsonl"), count, folder=folder
        )[0],
        log,
    )
    yield Result(
        "10,000 log() steps, until finish returns",
        pairs.work.wall_seconds,
        "s",
        LIMIT_SECONDS,
        pairs.work,
        pairs.yardstick,
        "yardstick: json.dumps of each step into one file; three numbers per step",
    )
    whole = timing.median(wholes)
    yield Result("the same, whole process", whole.wall_seconds, "s", None, whole)
