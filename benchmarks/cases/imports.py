"""`import lineal`, over what a bare interpreter takes."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import timing
from benchmarks.results import Bench, Result

LIMIT_MS = 50
RUNS_LEAST = 11
"""So cheap, and so small beside the noise of starting a process."""


def measure(bench: Bench) -> Iterator[Result]:
    runs = bench.size(max(bench.runs, RUNS_LEAST), 1)
    cwd = bench.folder("imports")
    timing.python("import lineal", cwd=cwd)  # writes the byte code
    pairs = timing.paired(
        runs,
        lambda _: timing.python("pass", cwd=cwd),
        lambda _: timing.python("import lineal", cwd=cwd),
    )
    yield Result(
        "import lineal, over bare Python",
        pairs.difference_seconds * 1000,
        "ms",
        LIMIT_MS,
        pairs.work,
        pairs.yardstick,
    )
