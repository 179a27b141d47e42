"""10,000 files of 10 KiB into an empty folder."""

from __future__ import annotations

import os
from collections.abc import Iterator

from benchmarks import inputs, sdk, timing
from benchmarks.results import Bench, Result, ratio

COUNT = 10_000
SIZE_BYTES = 10 << 10
LIMIT = 1.8


def measure(bench: Bench) -> Iterator[Result]:
    folder = bench.folder("download")
    source = os.path.join(folder, "source")
    home = os.path.join(folder, "home")
    inputs.small_files(source, bench.size(COUNT, 200), SIZE_BYTES, seed=3)
    timing.child(sdk.log_folder, source, folder=folder, home=home)
    pairs = timing.paired(
        bench.runs,
        lambda _: timing.command(["cp", "-r", source, bench.new_path("copy")]),
        lambda _: timing.child(
            sdk.download, bench.new_path("downloaded"), folder=folder, home=home
        )[0],
    )
    yield ratio("download 10,000 x 10 KiB into an empty folder / cp -r", pairs, LIMIT)
