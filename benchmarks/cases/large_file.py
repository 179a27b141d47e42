"""One file of 2 GiB, first time: copied, and as a hard link."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

from benchmarks import inputs, sdk, timing
from benchmarks.child import Stopwatch
from benchmarks.results import Bench, Result, ratio

SIZE_BYTES = 2 << 30
COPIED_LIMIT = 1.2
LINKED_LIMIT = 1.3


def read_and_hash(watch: Stopwatch, path: str) -> str:
    running = hashlib.sha256()
    buffer = memoryview(bytearray(1 << 20))
    with watch, open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            running.update(buffer[:count])
    return running.hexdigest()


def measure(bench: Bench) -> Iterator[Result]:
    folder = bench.folder("large")
    path = os.path.join(folder, "large.bin")
    inputs.large_file(path, bench.size(SIZE_BYTES, 16 << 20))

    def copy(_: int) -> timing.Taken:
        target = bench.new_path("copy.bin")
        taken = timing.command(["cp", path, target])
        os.unlink(target)  # one file, however large, is no mass deletion
        return taken

    def durable_copy(_: int) -> timing.Taken:
        target = bench.new_path("copy.bin")
        taken = timing.command(["sh", "-c", 'cp "$0" "$1" && sync "$1"', path, target])
        os.unlink(target)
        return taken

    def log(policy: str) -> timing.Taken:
        home = bench.new_path("home")
        taken = timing.child(sdk.log_file, path, policy, folder=folder, home=home)[0]
        for below, _, names in os.walk(os.path.join(home, "blobs", "sha256")):
            for name in names:
                os.unlink(os.path.join(below, name))
        return taken

    copied = timing.paired(bench.runs, copy, lambda _: log("mutable"))
    yield ratio("log one 2 GiB file, first time / cp", copied, COPIED_LIMIT)
    durable = timing.paired(
        bench.size(min(bench.runs, 3), 1), durable_copy, lambda _: log("mutable")
    )
    yield ratio("the same / cp that is on disk when it returns (cp, sync)", durable, None)
    linked = timing.paired(
        bench.runs,
        lambda _: timing.child(read_and_hash, path, folder=folder)[0],
        lambda _: log("immutable"),
    )
    yield ratio("policy=immutable / reading it through hashlib.sha256", linked, LINKED_LIMIT)
