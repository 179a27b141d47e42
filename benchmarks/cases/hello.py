"""The smallest useful program: init, log one metric, log one 1 KiB artifact, finish."""

from __future__ import annotations

import os
from collections.abc import Iterator

from benchmarks import timing
from benchmarks.results import Bench, Result

LIMIT_SECONDS = 0.35
ARTIFACT_BYTES = 1024
RUNS_LEAST = 9
PROGRAM = """
import sys
import lineal
run = lineal.init(project="hello")
run.log({"loss": 0.5})
artifact = lineal.Artifact("small", type="dataset")
artifact.add_file(sys.argv[1])
run.log_artifact(artifact)
run.finish()
"""


def measure(bench: Bench) -> Iterator[Result]:
    folder = bench.folder("hello")
    home = os.path.join(folder, "home")

    def hello(number: int) -> timing.Taken:
        path = os.path.join(folder, f"{number}.bin")
        with open(path, "wb") as file:
            file.write(os.urandom(ARTIFACT_BYTES))  # new content: every run makes a version
        return timing.python(PROGRAM, path, home=home, cwd=folder)

    hello(-1)  # makes the home and the byte code
    pairs = timing.paired(
        bench.size(max(bench.runs, RUNS_LEAST), 1),
        lambda _: timing.python("pass", cwd=folder),
        hello,
    )
    yield Result(
        "a whole process: init, metric, 1 KiB artifact, finish",
        pairs.work.wall_seconds,
        "s",
        LIMIT_SECONDS,
        pairs.work,
        pairs.yardstick,
        "yardstick: a bare interpreter",
    )
