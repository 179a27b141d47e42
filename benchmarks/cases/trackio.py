"""The same programs with trackio and with Lineal, in turn.

Both speak W&B's Python API, so each function here is one program for both. trackio lives in an
environment of its own, which `make bench` makes. It hashes with SHA-256 and keeps a copy, too.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import inputs, timing
from benchmarks.child import Stopwatch
from benchmarks.results import Bench, Result, ratio

INTERPRETER = str(timing.ROOT / ".venv-trackio" / "bin" / "python")
PROJECT = "bench"
LIMIT = 1.0
"""Of what trackio takes."""
VERSIONS = 1_000
STEPS = 10_000
FILES = 10_000
FILE_BYTES = 10 << 10


def log_little(_: Stopwatch, api: str, path: str) -> None:
    """A short program; its whole process is measured."""
    sdk = importlib.import_module(api)
    run = sdk.init(project=PROJECT)
    run.log({"loss": 0.5})
    _log_files(sdk, run, "small", path)
    run.finish()


def log_versions(watch: Stopwatch, api: str, path: str, count: int) -> None:
    sdk = importlib.import_module(api)
    run = sdk.init(project=PROJECT)
    with watch:
        for number in range(count):
            with open(path, "w", encoding="utf-8") as file:
                file.write(f"version {number}\n")
            _log_files(sdk, run, "tiny", path)
    run.finish()


def log_folder(watch: Stopwatch, api: str, folder: str) -> None:
    sdk = importlib.import_module(api)
    run = sdk.init(project=PROJECT)
    with watch:
        _log_files(sdk, run, "many", folder)
    run.finish()


def download(watch: Stopwatch, api: str, target: str) -> None:
    sdk = importlib.import_module(api)
    run = sdk.init(project=PROJECT)
    artifact = run.use_artifact("many:latest")
    with watch:
        artifact.download(root=target)
    run.finish()


def log_steps(watch: Stopwatch, api: str, count: int) -> None:
    sdk = importlib.import_module(api)
    run = sdk.init(project=PROJECT)
    with watch:
        for step in range(count):
            run.log({"loss": 1 / (step + 1), "accuracy": step / count, "epoch": step // 100})
        run.finish()


def _log_files(sdk: Any, run: Any, name: str, path: str) -> None:
    artifact = sdk.Artifact(name, type="dataset")
    if os.path.isdir(path):
        artifact.add_dir(path)
    else:
        artifact.add_file(path)
    run.log_artifact(artifact).wait()


def measure(bench: Bench) -> Iterator[Result]:
    if not os.path.exists(INTERPRETER):
        raise FileNotFoundError(f"trackio is not at {INTERPRETER}; `make bench` puts it there")
    folder = bench.folder("trackio")
    source = os.path.join(folder, "source")
    inputs.small_files(source, bench.size(FILES, 200), FILE_BYTES, seed=5)
    one = os.path.join(folder, "one.bin")
    homes: dict[str, str] = {}

    def compare(
        what: str,
        work: Callable[..., None],
        arguments: Callable[[], tuple[Any, ...]],
        *,
        fresh: bool = False,
        whole: bool = False,
    ) -> Result:
        """Take the work in turn.

        fresh: in new homes, else in those that the work before left. whole: with starting and
        ending Python.
        """

        def one_side(api: str, interpreter: str) -> timing.Taken:
            if fresh:
                homes[api] = bench.new_path(api)
                os.mkdir(homes[api])
            timed, process = timing.child(
                work, api, *arguments(), folder=folder, home=homes[api], interpreter=interpreter
            )
            return process if whole else timed

        pairs = timing.paired(
            bench.runs,
            lambda _: one_side("trackio", INTERPRETER),
            lambda _: one_side("lineal", sys.executable),
        )
        return ratio(f"{what} / the same with trackio", pairs, LIMIT)

    def new_file() -> tuple[str]:
        inputs.rewrite([one], 1 << 10, seed=time.time_ns())  # every run makes a version
        return (one,)

    yield compare(
        f"{VERSIONS:,} versions of a tiny artifact",
        log_versions,
        lambda: (one, bench.size(VERSIONS, 40)),
        fresh=True,
    )
    yield compare(
        "a whole process: init, metric, 1 KiB artifact, finish", log_little, new_file, whole=True
    )
    yield compare(f"{STEPS:,} log() steps", log_steps, lambda: (bench.size(STEPS, 500),))
    yield compare(f"log {FILES:,} x 10 KiB, first time", log_folder, lambda: (source,), fresh=True)
    yield compare("log the same again, unchanged", log_folder, lambda: (source,))
    yield compare("download them", download, lambda: (bench.new_path("downloaded"),))
