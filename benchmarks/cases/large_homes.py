"""Reading in a home of 100,000 runs, a run of 1,000,000 rows and a version of 200,000 files.

The rows are written by the layer of the database and not timed; the bytes of the files are not
there, for nothing here reads them. Each figure is of a fresh process in which the home is open
already; of a command it is all of the command.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from contextlib import redirect_stderr
from datetime import timedelta
from typing import Any

import lineal
from benchmarks import timing
from benchmarks.child import Stopwatch
from benchmarks.results import Bench, Result
from lineal.core.digest import PREFIX, Digest
from lineal.core.manifest import Entry, build_segments, manifest_head

RUNS = 100_000
KEYS = 60
"""In the config of a run, and as many in its summary: 3 KB."""
ROWS = 1_000_000
FILES = 200_000
SAMPLES = 500
END_LIMIT_SECONDS = 0.2
"""Any part of a list is found by index, however long it is."""
PEAK_LIMIT_MB = 250
SIZE_BYTES = 10 << 10
PLACE = "bench/bench"
AT_ONCE = 10_000


def measure(bench: Bench) -> Iterator[Result]:
    runs, rows, files = (
        bench.size(usual, quick) for usual, quick in ((RUNS, 1_000), (ROWS, 2_000), (FILES, 3_000))
    )
    folder, home = bench.folder("large_homes"), bench.new_path("home")
    timing.child(fill, runs, rows, files, folder=folder, home=home)
    listed, version = f"a list of {runs:,} runs", f"a version of {files:,} files"
    for what, work, limit_seconds in (
        (f"{listed}: its first 50", first_page, END_LIMIT_SECONDS),
        (f"{listed}: `[-1]`", last, END_LIMIT_SECONDS),
        (f"{listed}: 10 in its middle", middle, END_LIMIT_SECONDS),
        (f"{listed}: one by its display name", named, END_LIMIT_SECONDS),
        (f"{listed}: the 50 whose heart beat last", latest, END_LIMIT_SECONDS),
        (f"{listed}: the first 50 by a key of the summary", best, None),
        (f"{listed}: all of them", all_runs, None),
        (f"{listed}: all by a key of the summary", all_sorted, None),
        (f"{listed}: all of them, with their summaries", all_summaries, None),
        (f"`files()` of {version}", all_files, None),
        (f"`files()[-1]` of {version}", last_file, END_LIMIT_SECONDS),
        (f"{SAMPLES} samples of {rows:,} rows", samples, None),
        (f"`lineal artifact show` of {version}", show, None),
        (f"`lineal artifact show --json` of {version}", show_json, None),
    ):
        taken = timing.median(
            [timing.child(work, folder=folder, home=home)[0] for _ in range(bench.runs)]
        )
        yield Result(what, taken.wall_seconds, "s", limit_seconds, taken)
        peak_limit = None if work is all_summaries else PEAK_LIMIT_MB  # it keeps what it looked at
        yield Result("the same, memory", taken.peak_bytes / 1e6, "MB", peak_limit)


# --- what is measured ---------------------------------------------------------------------------


def first_page(watch: Stopwatch) -> None:
    api = lineal.Api()
    with watch:
        assert len(api.runs(PLACE)[:50]) == 50


def last(watch: Stopwatch) -> None:
    api = lineal.Api()
    with watch:
        assert api.runs(PLACE)[-1].id == _run_id(1)


def middle(watch: Stopwatch) -> None:
    api = lineal.Api()
    with watch:
        runs = api.runs(PLACE)
        half = len(runs) // 2
        assert len(runs[half : half + 10]) == 10


def named(watch: Stopwatch) -> None:
    api = lineal.Api()
    with watch:
        (run,) = api.runs(PLACE, filters={"display_name": "run 1"})
    assert run.id == _run_id(1)


def latest(watch: Stopwatch) -> None:
    api = lineal.Api()
    with watch:
        assert len(api.runs(PLACE, order="-heartbeat_at")[:50]) == 50


def best(watch: Stopwatch) -> None:
    api = lineal.Api()
    with watch:
        assert len(api.runs(PLACE, order="+summary_metrics.metric_00")[:50]) == 50


def all_runs(watch: Stopwatch) -> None:
    api = lineal.Api()
    with watch:
        runs = api.runs(PLACE)
        assert sum(1 for _ in runs) == len(runs)


def all_sorted(watch: Stopwatch) -> None:
    api = lineal.Api()
    with watch:
        runs = api.runs(PLACE, order="+summary_metrics.metric_00")
        assert sum(1 for _ in runs) == len(runs)


def all_summaries(watch: Stopwatch) -> None:
    api = lineal.Api()
    with watch:
        assert all("metric_00" in run.summary for run in api.runs(PLACE))


def all_files(watch: Stopwatch) -> None:
    api = lineal.Api()
    with watch:
        files = api.artifact(f"{PLACE}/files").files()
        assert sum(1 for _ in files) == len(files)


def last_file(watch: Stopwatch) -> None:
    api = lineal.Api()
    with watch:
        files = api.artifact(f"{PLACE}/files").files()
        assert files[-1].name == _path(len(files) - 1)


def samples(watch: Stopwatch) -> None:
    api = lineal.Api()
    with watch:
        run = api.run(f"{PLACE}/{_run_id(1)}")
        assert len(run.history(samples=SAMPLES, pandas=False)) == SAMPLES


def show(watch: Stopwatch) -> None:
    _command(watch, "artifact", "show", f"{PLACE}/files")


def show_json(watch: Stopwatch) -> None:
    _command(watch, "artifact", "show", f"{PLACE}/files", "--json")


def _command(watch: Stopwatch, *args: str) -> None:
    """Run a command in this process; what it prints goes nowhere."""
    from lineal.cli.app import execute

    with redirect_stderr(io.StringIO()), watch:
        assert execute(args) == 0


# --- the home -----------------------------------------------------------------------------------


def fill(_: Stopwatch, runs: int, rows: int, files: int) -> None:
    """Write the home: its runs, the rows of the first of them, and the version."""
    from sqlalchemy import insert

    from lineal.config import load
    from lineal.core.access import Actor, Role
    from lineal.core.records import Lines, RunKey, Stream
    from lineal.db import schema
    from lineal.service import history
    from lineal.service.instance import open_instance

    instance = open_instance(load())
    now = instance.clock.now()
    with instance.database.writing() as connection:

        def put(table: Any, rows: Iterable[dict[str, Any]]) -> None:
            for portion in _portions(rows):
                connection.execute(insert(table), portion)

        put(schema.entities, [{"id": 1, "name": "bench", "created_at": now}])
        put(schema.projects, [{"id": 1, "entity_id": 1, "name": "bench", "created_at": now}])
        began = now - timedelta(days=365)
        put(schema.runs, (_run(key, began + timedelta(seconds=key)) for key in range(1, runs + 1)))
        put(schema.collections, [_collection(now)])
        heads = []
        for number, segment in enumerate(build_segments(_entries(files)), 1):
            heads.append(segment.head)
            put(schema.segments, [_segment(number, segment)])
        head = manifest_head(heads)
        put(schema.manifests, [_manifest(head)])
        put(
            schema.manifest_segments,
            (
                {"manifest_id": 1, "position": number, "segment_id": number + 1}
                for number in range(len(heads))
            ),
        )
        put(schema.versions, [_version(head, now)])
        member = {"id": 1, "collection_id": 1, "version_id": 1, "number": 0, "created_at": now}
        put(schema.memberships, [member])
        put(schema.edges, [_edge(key, now) for key in range(2, min(runs, 1_000))])
    owner = Actor("bench", Role.OWNER)
    for start in range(0, rows, AT_ONCE):
        lines = [_line(step) for step in range(start, min(start + AT_ONCE, rows))]
        history.append(instance, owner, RunKey(1), [Lines(Stream.HISTORY, "bench", start, lines)])
    instance.close()


def _portions(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    portion: list[dict[str, Any]] = []
    for row in rows:
        portion.append(row)
        if len(portion) == AT_ONCE:
            yield portion
            portion = []
    if portion:
        yield portion


def _run_id(key: int) -> str:
    return f"run{key:08}"


def _run(key: int, began: Any) -> dict[str, Any]:
    config = {f"option_{number:02}": f"value {key % 10}" for number in range(KEYS)}
    summary = {f"metric_{number:02}": key * 7919 % 100_003 / 1e5 for number in range(KEYS)}
    return {
        "id": key, "project_id": 1, "run_id": _run_id(key), "name": f"run {key}",
        "state": "finished", "job_type": "train", "created_by": "bench",
        "config": config, "summary": summary, "metadata": {"program": "train.py"},
        "created_at": began, "heartbeat_at": began,
    }  # fmt: skip


def _line(step: int) -> bytes:
    return b'{"loss":%.6f,"acc":0.5,"_step":%d,"_runtime":%d,"_timestamp":%d}' % (
        1 / (step + 1),
        step,
        step,
        1_700_000_000 + step,
    )


def _path(number: int) -> str:
    return f"train/part-{number // 1000:05}/item-{number:08}.jpg"


def _entries(count: int) -> Iterator[Entry]:
    for number in range(count):
        digest = hashlib.sha256(b"%d" % number).hexdigest()
        yield Entry(_path(number), Digest(PREFIX + digest), SIZE_BYTES)


def _collection(now: Any) -> dict[str, Any]:
    return {
        "id": 1, "project_id": 1, "name": "files", "type": "dataset", "kind": "sequence",
        "next_number": 1, "created_at": now, "updated_at": now,
    }  # fmt: skip


def _segment(number: int, segment: Any) -> dict[str, Any]:
    from lineal.db.compression import compress

    head = segment.head
    return {
        "id": number, "digest": head.digest, "first_path": head.first_path,
        "entry_count": head.entry_count, "size_bytes": head.size_bytes,
        "content": compress(segment.lines),
    }  # fmt: skip


def _manifest(head: Any) -> dict[str, Any]:
    return {
        "id": 1, "digest": head.digest, "entry_count": head.entry_count,
        "size_bytes": head.size_bytes,
    }  # fmt: skip


def _version(head: Any, now: Any) -> dict[str, Any]:
    return {
        "id": 1, "collection_id": 1, "manifest_id": 1, "digest": head.digest,
        "size_bytes": head.size_bytes, "entry_count": head.entry_count, "metadata": {},
        "created_by": "bench", "created_at": now, "updated_at": now,
    }  # fmt: skip


def _edge(run: int, now: Any) -> dict[str, Any]:
    return {
        "run_id": run, "version_id": 1, "kind": "used", "alias": None, "closes_cycle": False,
        "created_at": now,
    }  # fmt: skip
