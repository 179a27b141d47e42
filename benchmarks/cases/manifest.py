"""A manifest of 1,000,000 entries whose bytes are stored already; then a draft from it.

The rows of the blobs are written by SQL beforehand and not timed: what storing the files costs
is measured elsewhere, here it is what the manifest costs.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

import lineal
from benchmarks import sdk, timing
from benchmarks.child import Stopwatch
from benchmarks.results import Bench, Result
from lineal.client.artifact.contents import Added
from lineal.core.digest import PREFIX, Digest
from lineal.core.manifest import Entry

COUNT = 1_000_000
CHANGES = 10
SIZE_BYTES = 10 << 10
BUILD_LIMIT_SECONDS = 60
PEAK_LIMIT_MB = 800
DRAFT_LIMIT_SECONDS = 2
NEW_SEGMENTS_LIMIT = 10
BUILDS_MOST = 3
"""A minute each; fewer than the other cases take."""


def _digest(number: int) -> Digest:
    return Digest(PREFIX + hashlib.sha256(b"%d" % number).hexdigest())


def _path(number: int) -> str:
    return f"train/part-{number // 1000:05}/item-{number:08}.jpg"


def store_blobs(_: Stopwatch, count: int) -> None:
    """Write blob rows as if the files had been stored."""
    from sqlalchemy import insert

    from lineal.config import load
    from lineal.db import schema
    from lineal.service.instance import open_instance

    instance = open_instance(load())
    os.makedirs(os.path.join(instance.home.blobs, "sha256"))  # else they would seem to be gone
    now = instance.clock.now()
    for start in range(0, count, 50_000):
        rows = [
            {
                "digest": _digest(number),
                "size_bytes": SIZE_BYTES,
                "state": "stored",
                "nonce": "bench",
                "stored_at": now,
            }
            for number in range(start, min(start + 50_000, count))
        ]
        with instance.database.writing() as connection:
            connection.execute(insert(schema.blobs), rows)
    instance.close()


def build(watch: Stopwatch, count: int) -> int:
    """Log a version of entries already hashed; returns how many segments it has."""
    with sdk.started_run() as run, watch:
        artifact = lineal.Artifact("million", type="dataset")
        artifact._contents.add(
            Added(Entry(_path(number), _digest(number), SIZE_BYTES), None)
            for number in range(count)
        )
        run.log_artifact(artifact).wait()
    return len(artifact._contents.base.head.segments)


def change(watch: Stopwatch, count: int, turn: int) -> int:
    """Log a draft with ten changes; returns how many segments its base has not."""
    base = lineal.Api().artifact(f"{sdk.PROJECT}/million:latest")
    known = {head.digest for head in base._contents.base.head.segments}
    step = count // CHANGES
    with sdk.started_run() as run, watch:
        draft = base.new_draft()
        draft._contents.add(
            (
                Added(Entry(_path(number + turn), _digest(count + turn + number), SIZE_BYTES), None)
                for number in range(0, count, step)
            ),
            overwrite=True,
        )
        logged = run.log_artifact(draft).wait()
    return len({head.digest for head in logged._contents.base.head.segments} - known)


def measure(bench: Bench) -> Iterator[Result]:
    count = bench.size(COUNT, 5_000)
    folder = bench.folder("manifest")
    homes: list[str] = []
    builds: list[timing.Taken] = []
    for _ in range(min(bench.runs, BUILDS_MOST)):
        homes.append(bench.new_path("home"))
        timing.child(store_blobs, 2 * count, folder=folder, home=homes[-1])
        os.sync()
        builds.append(timing.child(build, count, folder=folder, home=homes[-1])[0])
    built = timing.median(builds)
    yield Result(
        "manifest of 1,000,000 entries: build and commit",
        built.wall_seconds,
        "s",
        BUILD_LIMIT_SECONDS,
        built,
        note=f"{builds[0].value} segments; the rows of the blobs were there already, untimed",
    )
    yield Result("the same, memory", built.peak_bytes / 1e6, "MB", PEAK_LIMIT_MB)
    drafts = [
        timing.child(change, count, turn, folder=folder, home=homes[-1])[0]
        for turn in range(bench.runs)
    ]
    changed = timing.median(drafts)
    yield Result(
        "a draft from it with 10 changes: commit",
        changed.wall_seconds,
        "s",
        DRAFT_LIMIT_SECONDS,
        changed,
    )
    yield Result(
        "the same, new segments",
        max(draft.value for draft in drafts),
        "",
        NEW_SEGMENTS_LIMIT,
    )
