"""A folder of 500 files of 1 MiB, as of pictures: logged, downloaded, and verified."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

import lineal
from benchmarks import inputs, sdk, timing
from benchmarks.child import Stopwatch
from benchmarks.results import Bench, Result, ratio

COUNT = 500
SIZE_BYTES = 1 << 20


def verify(watch: Stopwatch) -> int:
    """Read and hash what is stored of the version; returns how many files that are."""
    artifact = lineal.Api().artifact(f"{sdk.PROJECT}/small:latest")
    with watch:
        return artifact.verify(remote=True)


def read_and_hash(watch: Stopwatch, folder: str) -> int:
    """Read and hash the files below a folder, one after the other; returns how many there are."""
    paths = [os.path.join(below, name) for below, _, names in os.walk(folder) for name in names]
    with watch:
        for path in paths:
            with open(path, "rb", buffering=0) as file:
                hashlib.sha256(file.read()).digest()
    return len(paths)


def measure(bench: Bench) -> Iterator[Result]:
    count = bench.size(COUNT, 20)
    folder = bench.folder("medium")
    source = os.path.join(folder, "source")
    inputs.small_files(source, count, SIZE_BYTES, seed=4)
    home = os.path.join(folder, "home")
    timing.child(sdk.log_folder, source, folder=folder, home=home)

    def copy(_: int) -> timing.Taken:
        return timing.command(["cp", "-r", source, bench.new_path("copy")])

    def log(_: int) -> timing.Taken:
        return timing.child(sdk.log_folder, source, folder=folder, home=bench.new_path("home"))[0]

    def download(_: int) -> timing.Taken:
        target = bench.new_path("downloaded")
        return timing.child(sdk.download, target, folder=folder, home=home)[0]

    def hash_source(_: int) -> timing.Taken:
        return timing.child(read_and_hash, source, folder=folder)[0]

    def verify_stored(_: int) -> timing.Taken:
        return timing.child(verify, folder=folder, home=home)[0]

    yield ratio("log 500 x 1 MiB, first time / cp -r", timing.paired(bench.runs, copy, log), None)
    yield ratio("- download them / cp -r", timing.paired(bench.runs, copy, download), None)
    hashed = timing.paired(bench.runs, hash_source, verify_stored)
    yield ratio("- verify what is stored / hashing on one thread", hashed, None)
