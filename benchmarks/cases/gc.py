"""Garbage collection: a plan over 1,000,000 blobs, their purge, and a sweep beside `rm -r`.

The plan reads an instance of 10,000 versions with 100 blobs each, half of them live, a quarter in
the undo period, a quarter past it; its memory is that of a process of its own. The purge then
takes all of them. The sweep frees 100,000 files of 1 KiB; the yardstick removes as many of the
same size in as many folders. Usage by hand: `python -m benchmarks.cases.gc plan HOME`, or
`purge HOME`, prints the seconds and the peak memory.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert

from benchmarks.results import Bench, Result
from benchmarks.timing import Taken
from lineal.config import load
from lineal.core.access import Actor, Role
from lineal.core.digest import Digest, storage_key
from lineal.core.full_names import ArtifactPath
from lineal.db import schema
from lineal.service import gc, purge
from lineal.service.instance import Instance, open_instance

VERSIONS, BLOBS_EACH = 10_000, 100
QUICK_VERSIONS = 100
SWEPT = 100_000
QUICK_SWEPT = 1_000
FILE_BYTES = 1024
PLAN_SECONDS, PLAN_MEGABYTES, SWEEP_RATIO = 10, 300, 2
OWNER = Actor("bench", Role.OWNER)
NONCE = "bench"


def measure(bench: Bench) -> Iterator[Result]:
    yield from _plan_and_purge(bench)
    yield _sweep(bench)


# --- plan and purge -----------------------------------------------------------------------------


def _plan_and_purge(bench: Bench) -> Iterator[Result]:
    home = bench.folder("gc-plan")
    count = bench.size(VERSIONS, QUICK_VERSIONS)
    instance = open_instance(load({"home": home}))
    fill(instance, count, BLOBS_EACH)
    instance.close()
    runs = [_measured("plan", home) for _ in range(bench.runs)]
    seconds = min(run["seconds"] for run in runs)
    what = f"plan over {count * BLOBS_EACH:,} blobs, {count:,} versions"
    yield Result(what, seconds, "s", PLAN_SECONDS)
    yield Result(f"{what}: memory", max(run["megabytes"] for run in runs), "MB", PLAN_MEGABYTES)
    purged = _measured("purge", home)
    what = f"purge of {count * BLOBS_EACH:,} files, whose bytes are not there"
    yield Result(what, purged["seconds"], "s")
    yield Result(f"{what}: memory", purged["megabytes"], "MB", PLAN_MEGABYTES)


def _measured(work: str, home: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.cases.gc", work, home]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main(work: str, home: str) -> None:
    """Make one plan, or purge everything, and print what it took."""
    instance = open_instance(load({"home": home}))
    began = time.perf_counter()
    if work == "plan":
        assert gc.plan(instance, OWNER).condemn.count
    else:
        path = ArtifactPath("bench", "bench", "data")
        assert purge.purge(instance, OWNER, path, all_versions=True).is_complete
    seconds = time.perf_counter() - began
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "megabytes": megabytes}))


def fill(instance: Instance, count: int, each: int) -> None:
    """Write rows of versions with blobs of their own; no bytes."""
    now = instance.clock.now()
    os.makedirs(os.path.join(instance.home.blobs, "sha256"))  # else they would seem to be gone
    with instance.database.writing() as connection:
        connection.execute(insert(schema.entities).values(id=1, name="bench", created_at=now))
        connection.execute(
            insert(schema.projects).values(id=1, entity_id=1, name="bench", created_at=now)
        )
        connection.execute(
            insert(schema.collections).values(
                id=1, project_id=1, name="data", type="dataset", kind="sequence",
                next_number=count, created_at=now, updated_at=now,
            )
        )  # fmt: skip
    for first in range(1, count + 1, 500):
        _fill_some(instance, range(first, min(first + 500, count + 1)), each, now)


def _fill_some(instance: Instance, ids: range, each: int, now: datetime) -> None:
    blobs = [
        {"id": (id - 1) * each + n + 1, "digest": _digest(id, n), "size_bytes": FILE_BYTES,
         "state": "stored", "nonce": NONCE, "stored_at": now}
        for id in ids for n in range(each)
    ]  # fmt: skip
    digests = {id: f"sha256:{id:064x}" for id in ids}
    size = each * FILE_BYTES
    rows: dict[Any, list[dict[str, Any]]] = {
        schema.blobs: blobs,
        schema.segments: [
            {"id": id, "digest": digests[id], "first_path": "0", "entry_count": each,
             "size_bytes": size, "content": b"x" * 4000} for id in ids
        ],
        schema.segment_blobs: [
            {"segment_id": id, "blob_id": (id - 1) * each + n + 1}
            for id in ids for n in range(each)
        ],
        schema.manifests: [
            {"id": id, "digest": digests[id], "entry_count": each, "size_bytes": size}
            for id in ids
        ],
        schema.manifest_segments: [
            {"manifest_id": id, "position": 0, "segment_id": id} for id in ids
        ],
        schema.versions: [_version(id, digests[id], size, each, now) for id in ids],
        schema.memberships: [
            {"id": id, "collection_id": 1, "version_id": id, "number": id - 1, "created_at": now}
            for id in ids
        ],
    }  # fmt: skip
    with instance.database.writing() as connection:
        for table, some in rows.items():
            connection.execute(insert(table), some)


def _digest(id: int, n: int) -> str:
    return f"sha256:{(id * 0x9E3779B97F4A7C15 + n * 0xC2B2AE3D27D4EB4F) % 2**256:064x}"


def _version(id: int, digest: str, size: int, each: int, now: datetime) -> dict[str, Any]:
    ago = {0: timedelta(days=8), 1: timedelta(days=1)}.get(id % 4)
    return {
        "id": id, "collection_id": 1, "manifest_id": id, "digest": digest, "size_bytes": size,
        "entry_count": each, "metadata": {}, "created_by": "bench", "created_at": now,
        "updated_at": now, "deleted_at": None if ago is None else now - ago,
    }  # fmt: skip


# --- sweep --------------------------------------------------------------------------------------


def _sweep(bench: Bench) -> Result:
    count = bench.size(SWEPT, QUICK_SWEPT)
    pairs = [_swept_and_removed(bench, count) for _ in range(min(bench.runs, 3))]
    work, yardstick = (min(pair[side] for pair in pairs) for side in (0, 1))
    return Result(
        f"sweep that frees {count:,} files of {FILE_BYTES} bytes, beside rm -r",
        work / yardstick,
        "x",
        SWEEP_RATIO,
        Taken(work, 0, peak_bytes=0),
        Taken(yardstick, 0, peak_bytes=0),
    )


def _swept_and_removed(bench: Bench, count: int) -> tuple[float, float]:
    home = bench.new_path("gc-sweep")
    instance = open_instance(load({"home": home, "undo_days": 0}))
    fill(instance, count // BLOBS_EACH, BLOBS_EACH)
    with instance.database.writing() as connection:
        connection.execute(schema.versions.update().values(deleted_at=instance.clock.now()))
    for id in range(1, count // BLOBS_EACH + 1):
        keys = [storage_key(Digest(_digest(id, n)), NONCE) for n in range(BLOBS_EACH)]
        for place in instance.store.places(keys):
            assert place is not None  # the store is a folder
            _write(place.path)
    beside = shutil.copytree(instance.home.blobs, home + "-rm")
    os.sync()
    began = time.perf_counter()
    subprocess.run(["rm", "-r", beside], check=True)
    removed = time.perf_counter() - began
    os.sync()
    began = time.perf_counter()
    swept = gc.sweep(instance, OWNER)
    taken = time.perf_counter() - began
    assert swept.deleted.count == count
    instance.close()
    return taken, removed


def _write(path: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(b"x" * FILE_BYTES)


if __name__ == "__main__":
    main(*sys.argv[1:])
