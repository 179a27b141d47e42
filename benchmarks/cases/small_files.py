"""10,000 files of 10 KiB: first time, unchanged, one in a hundred changed."""

from __future__ import annotations

import os
from collections.abc import Iterator

from benchmarks import inputs, sdk, timing
from benchmarks.child import Stopwatch
from benchmarks.results import Bench, Result, ratio

COUNT = 10_000
SIZE_BYTES = 10 << 10
FIRST_LIMIT = 1.8
WALKS_ALLOWED = 2
UNCHANGED_EXTRA_SECONDS = 0.2
CHANGED_EXTRA_SECONDS = 0.3


def walk(watch: Stopwatch, folder: str) -> int:
    """Look at every file below a folder as cheaply as Python can."""
    with watch:
        count = 0
        pending = [folder]
        while pending:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        count += entry.stat().st_size > 0
    return count


def measure(bench: Bench) -> Iterator[Result]:
    count = bench.size(COUNT, 200)
    folder = bench.folder("small")
    source = os.path.join(folder, "source")
    paths = inputs.small_files(source, count, SIZE_BYTES)
    homes: list[str] = []

    def log_first(_: int) -> timing.Taken:
        homes.append(bench.new_path("home"))
        return timing.child(sdk.log_folder, source, folder=folder, home=homes[-1])[0]

    def log_again(turn: int) -> timing.Taken:
        return timing.child(sdk.log_folder, source, folder=folder, home=homes[turn])[0]

    def walk_source(_: int) -> timing.Taken:
        return timing.child(walk, source, folder=folder)[0]

    first = timing.paired(
        bench.runs,
        lambda _: timing.command(["cp", "-r", source, bench.new_path("copy")]),
        log_first,
    )
    yield ratio("log 10,000 x 10 KiB, first time / cp -r", first, FIRST_LIMIT)

    again = timing.paired(bench.runs, walk_source, log_again)
    limit = WALKS_ALLOWED * again.yardstick.wall_seconds + UNCHANGED_EXTRA_SECONDS
    yield Result(
        "log the same again, unchanged",
        again.work.wall_seconds,
        "s",
        limit,
        again.work,
        again.yardstick,
        f"limit: {WALKS_ALLOWED} x the walk (scandir, stat) + {UNCHANGED_EXTRA_SECONDS} s",
    )

    def change_and_log(turn: int) -> timing.Taken:
        # each home knows the files as the turn before left them, so 1 % differ every time
        log_again(turn)
        inputs.rewrite(paths[turn::100], SIZE_BYTES, seed=1000 + turn)
        os.sync()
        return log_again(turn)

    changed = timing.paired(bench.runs, walk_source, change_and_log)
    yield Result(
        "1 % of the files changed",
        changed.work.wall_seconds,
        "s",
        limit + CHANGED_EXTRA_SECONDS,
        changed.work,
        changed.yardstick,
        f"limit: the line above + {CHANGED_EXTRA_SECONDS} s",
    )
