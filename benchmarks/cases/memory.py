"""Memory while many small files are logged."""

from __future__ import annotations

import os
from collections.abc import Iterator

from benchmarks import inputs, sdk, timing
from benchmarks.results import Bench, Result

COUNT = 200_000
FULL_COUNT = 1_000_000
SIZE_BYTES = 256
LIMIT_MB = 500


def measure(bench: Bench) -> Iterator[Result]:
    count = FULL_COUNT if bench.is_full else bench.size(COUNT, 1_000)
    folder = bench.folder("memory")
    source = os.path.join(folder, "source")
    inputs.small_files(source, count, SIZE_BYTES, seed=4)
    os.sync()
    taken, _ = timing.child(
        sdk.log_folder, source, folder=folder, home=os.path.join(folder, "home")
    )
    yield Result(
        f"memory while {count:,} small files are logged",
        taken.peak_bytes / 1e6,
        "MB",
        LIMIT_MB,
        taken,
        note="once; the peak of the whole process",
    )
