"""References: recording a prefix of S3, checking its objects, reading a column of a table there.

The server is a real one on this machine, so that no network hides what Lineal does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from tests.references.servers import OWNER, s3_server

from benchmarks import timing
from benchmarks.child import Stopwatch
from benchmarks.results import Bench, Result, ratio

OBJECTS = 100_000
CHECKED = 10_000
LIST_LIMIT = 1.3
CHECK_LIMIT_MS = 2
ROWS, COLUMNS = 4_000_000, 32
COLUMN_SLACK = 1.1
"""The footer and what is read ahead, over the column itself."""
BUCKET, PREFIX = "bench", "data/"


def listed(watch: Stopwatch) -> int:
    """List the prefix with boto3 alone; returns the number of objects."""
    client = _client()
    with watch:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=PREFIX)
        return sum(len(page.get("Contents", ())) for page in pages)


def added(watch: Stopwatch) -> int:
    """Add the prefix to a draft; returns the number of entries."""
    import lineal

    artifact = lineal.Artifact("bench", "dataset")
    _client()  # loading boto3 is no part of either side
    with watch:
        return len(artifact.add_reference(f"s3://{BUCKET}/{PREFIX}"))


def checked(watch: Stopwatch, count: int) -> dict[str, int]:
    """Log the prefix and check some of it; returns how many objects are in which state."""
    import lineal
    from lineal.client import references
    from lineal.client.references import checking

    artifact = lineal.Artifact("bench", "dataset")
    artifact.add_reference(f"s3://{BUCKET}/{PREFIX}")
    with lineal.init(project="bench") as run:
        run.log_artifact(artifact).wait()
    entries = islice(artifact._contents, count)
    found: dict[str, int] = {}
    with watch:
        for _, freshness in checking.check(references.opened(60.0), entries):
            found[str(freshness.state)] = found.get(str(freshness.state), 0) + 1
    return found


def column(watch: Stopwatch) -> dict[str, int]:
    """Read one column by `lineal://`; returns bytes and requests to the store, and rows read."""
    import fsspec
    from pyarrow import parquet

    import lineal
    from lineal.client.references.objects import ObjectRanges

    artifact = lineal.Artifact("table", "dataset")
    artifact.add_reference(f"s3://{BUCKET}/table.parquet")
    with lineal.init(project="bench") as run:
        run.log_artifact(artifact).wait()
    counted = {"bytes": 0, "requests": 0}
    read = ObjectRanges.read

    def counting(self: ObjectRanges, start: int, stop: int) -> bytes:
        data = read(self, start, stop)
        counted["bytes"] += len(data)
        counted["requests"] += 1
        return data

    ObjectRanges.read = counting  # type: ignore[method-assign]  # only in this process
    with watch:
        table = parquet.read_table(
            "bench/table:latest/table.parquet",
            columns=["c3"],
            filesystem=fsspec.filesystem("lineal"),
        )
    return counted | {"rows": table.num_rows}


def _write_table(path: str, rows: int) -> None:
    import numpy
    import pyarrow
    from pyarrow import parquet

    columns = {f"c{number}": numpy.random.rand(rows) for number in range(COLUMNS)}
    parquet.write_table(pyarrow.table(columns), path, compression=None)


def _client() -> Any:
    import boto3
    from botocore.config import Config

    url = os.environ["AWS_S3_ENDPOINT_URL"]
    return boto3.client("s3", endpoint_url=url, config=Config(max_pool_connections=16))


def _fill(count: int) -> None:
    client = _client()
    client.create_bucket(Bucket=BUCKET)

    def put(number: int) -> None:
        client.put_object(Bucket=BUCKET, Key=f"{PREFIX}{number:07}", Body=b"%d" % number)

    with ThreadPoolExecutor(16) as pool:
        for _ in pool.map(put, range(count)):
            pass


def measure(bench: Bench) -> Iterator[Result]:
    folder = bench.folder("references")
    count = bench.size(OBJECTS, 1_500)
    with s3_server() as url:
        os.environ |= {
            "AWS_S3_ENDPOINT_URL": url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": OWNER[0],
            "AWS_SECRET_ACCESS_KEY": OWNER[1],
        }
        _fill(count)

        def child(work: Any) -> timing.Taken:
            taken, _ = timing.child(work, folder=folder, home=bench.new_path("home"))
            assert taken.value == count, f"{taken.value} objects instead of {count}"
            return taken

        pairs = timing.paired(bench.runs, lambda _: child(listed), lambda _: child(added))
        yield ratio(f"add a prefix of {count:,} S3 objects, over listing it", pairs, LIST_LIMIT)
        yield Result(
            "- memory while it is added",
            pairs.work.peak_bytes / 1e6,
            "MB",
            note=f"boto3 alone: {pairs.yardstick.peak_bytes / 1e6:.0f} MB",
        )
        some = bench.size(CHECKED, 500)
        taken, _ = timing.child(checked, some, folder=folder, home=bench.new_path("home"))
        assert taken.value == {"fresh": some}, taken.value
        yield Result(
            f"ref check, each of {some:,} S3 objects",
            taken.wall_seconds * 1000 / some,
            "ms",
            CHECK_LIMIT_MS,
            taken,
            note=f"{some / taken.wall_seconds:,.0f} objects a second",
        )
        path = os.path.join(folder, "table.parquet")
        rows = bench.size(ROWS, 200_000)
        _write_table(path, rows)
        _client().upload_file(path, BUCKET, "table.parquet")
        size = os.path.getsize(path)
        taken, _ = timing.child(column, folder=folder, home=bench.new_path("home"))
        assert taken.value["rows"] == rows, taken.value
        yield Result(
            f"read one of {COLUMNS} columns of a Parquet file of {size / 2**20:,.0f} MiB in S3",
            taken.value["bytes"] / 2**20,
            "MiB",
            COLUMN_SLACK * size / COLUMNS / 2**20 if not bench.is_quick else None,
            taken,
            note=f"{taken.value['requests']} requests",
        )
