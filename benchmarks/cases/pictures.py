"""5,000 small media files logged by a run, one a step: how long, and how many files they become."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import lineal
from benchmarks import sdk, timing
from benchmarks.child import Stopwatch
from benchmarks.results import Bench, Result, ratio

COUNT = 5_000
SIZE_BYTES = 3_000
FILES_MOST = 100
"""A second or so of media is one file in a folder of its own."""


def _pages(count: int) -> Iterator[bytes]:
    source = random.Random(1)
    for _ in range(count):
        yield source.randbytes(SIZE_BYTES // 2).hex().encode()


def log(watch: Stopwatch, count: int) -> None:
    """Log pages, which need no library to be made, as pictures would; then finish the run."""
    with watch, sdk.started_run() as run:
        for page in _pages(count):
            run.log({"page": lineal.Html(page.decode(), inject=False), "loss": 0.5})


def write(watch: Stopwatch, folder: str, count: int) -> None:
    with watch:
        os.makedirs(folder)
        for number, page in enumerate(_pages(count)):
            with open(os.path.join(folder, str(number)), "wb") as file:
                file.write(page)


def measure(bench: Bench) -> Iterator[Result]:
    count = bench.size(COUNT, 200)
    homes: list[str] = []

    def write_files(_: int) -> timing.Taken:
        return timing.child(write, bench.new_path("written"), count, folder=bench.root)[0]

    def log_them(_: int) -> timing.Taken:
        homes.append(bench.new_path("home"))
        return timing.child(log, count, folder=bench.root, home=homes[-1])[0]

    pairs = timing.paired(bench.runs, write_files, log_them)
    yield ratio(f"log {count:,} pages of HTML, one a step / write each to a file", pairs, None)
    most = max(sum(len(names) for _, _, names in os.walk(home)) for home in homes)
    yield Result("- files in the home afterwards", most, "files", FILES_MOST)
