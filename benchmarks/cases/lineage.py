"""Lineage, depth 5, in a graph of 100,000 runs and 200,000 versions.

Every run uses two earlier versions and logs two; twenty versions are hubs used by 1,000 runs
each. Several starting points; the last reaches as many nodes as a graph may have (10,000) and
has no limit. `python -m benchmarks.cases.lineage` prints how the database runs each statement.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, event, insert

from benchmarks.results import Bench, Result
from benchmarks.timing import Taken
from lineal.config import load
from lineal.core.access import Actor, Role
from lineal.core.lineage import Direction, LineageQuery
from lineal.db import schema
from lineal.service import lineage_graph
from lineal.service.instance import Instance, open_instance

RUNS = 100_000
QUICK_RUNS = 5_000
HUBS = 20
USES_PER_HUB = 1_000
DEPTH = 5
REPEATS_LEAST = 9
LIMIT_MILLISECONDS = 100
OWNER = Actor("bench", Role.OWNER)


def measure(bench: Bench) -> Iterator[Result]:
    runs = bench.size(RUNS, QUICK_RUNS)
    instance = open_instance(load({"home": bench.folder("lineage")}))
    try:
        hubs = fill(instance, runs)
        for what, root, direction in _cases(hubs, runs):
            yield _result(instance, what, root, direction, max(bench.runs, REPEATS_LEAST))
    finally:
        instance.close()


def _cases(hubs: list[int], runs: int) -> Iterator[tuple[str, str, Direction]]:
    yield "both ways from a version in the middle", f"version:{runs}", Direction.BOTH
    yield "upstream from the newest version", f"version:{2 * runs}", Direction.UPSTREAM
    yield "downstream from the oldest run", "run:1", Direction.DOWNSTREAM
    yield "both ways from a run in the middle", f"run:{runs // 2}", Direction.BOTH
    yield "downstream from a late hub", f"version:{hubs[-1]}", Direction.DOWNSTREAM
    yield "downstream from an early hub", f"version:{hubs[0]}", Direction.DOWNSTREAM


def _result(instance: Instance, what: str, root: str, direction: Direction, repeats: int) -> Result:
    query = LineageQuery(direction=direction, depth=DEPTH)
    graph = lineage_graph.graph(instance, OWNER, root, query)
    taken = _median(lambda: lineage_graph.graph(instance, OWNER, root, query), repeats)
    return Result(
        f"{what}: {len(graph.nodes)} nodes",
        taken.wall_seconds * 1000,
        "ms",
        None if len(graph.nodes) >= query.limit else LIMIT_MILLISECONDS,
        taken,
    )


def _median(work: Callable[[], object], repeats: int) -> Taken:
    wall, cpu = [], []
    for _ in range(repeats):
        wall_began, cpu_began = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - wall_began)
        cpu.append(time.process_time() - cpu_began)
    return Taken(statistics.median(wall), statistics.median(cpu), peak_bytes=0)


def fill(instance: Instance, runs: int) -> list[int]:
    """Write the graph; returns the ids of the hubs, the earliest first."""
    chance = random.Random(7)
    now = instance.clock.now()
    with instance.database.writing() as connection:
        connection.execute(insert(schema.entities).values(id=1, name="bench", created_at=now))
        connection.execute(
            insert(schema.projects).values(id=1, entity_id=1, name="bench", created_at=now)
        )
        for id_, type_ in ((1, "dataset"), (2, "model")):
            connection.execute(
                insert(schema.collections).values(
                    id=id_,
                    project_id=1,
                    name=f"{type_}s",
                    type=type_,
                    kind="sequence",
                    next_number=runs,
                    created_at=now,
                    updated_at=now,
                )
            )
        _insert(connection, schema.runs, (_run(key, now) for key in range(1, runs + 1)))
        versions = range(1, 2 * runs + 1)
        _insert(connection, schema.versions, (_version(id_, now) for id_ in versions))
        _insert(connection, schema.memberships, (_membership(id_, now) for id_ in versions))
        hubs = sorted(chance.sample(range(2, runs), HUBS))
        _insert(connection, schema.edges, _edges(chance, hubs, runs, now))
    return hubs


def _insert(connection: Connection, table: Any, rows: Iterator[dict[str, Any]]) -> None:
    portion: list[dict[str, Any]] = []
    for row in rows:
        portion.append(row)
        if len(portion) == 20_000:
            connection.execute(insert(table), portion)
            portion = []
    if portion:
        connection.execute(insert(table), portion)


def _run(key: int, now: Any) -> dict[str, Any]:
    return {
        "id": key, "project_id": 1, "run_id": f"run{key:08}", "name": f"run {key}",
        "state": "finished", "job_type": "train", "created_by": "bench",
        "config": {"lr": 0.001, "layers": [64, 64], "name": "resnet", "seed": key},
        "summary": {"loss": 0.25, "val_acc": 0.75, "_step": 1000}, "metadata": {},
        "created_at": now, "heartbeat_at": now,
    }  # fmt: skip


def _version(id_: int, now: Any) -> dict[str, Any]:
    return {
        "id": id_, "collection_id": 1 + id_ % 2, "digest": f"sha256:{id_:064x}",
        "size_bytes": 1024, "entry_count": 1, "metadata": {"accuracy": 0.5},
        "created_by": "bench", "created_at": now, "updated_at": now,
    }  # fmt: skip


def _membership(id_: int, now: Any) -> dict[str, Any]:
    return {
        "id": id_, "collection_id": 1 + id_ % 2, "version_id": id_, "number": id_ // 2,
        "created_at": now,
    }  # fmt: skip


def _edges(chance: random.Random, hubs: list[int], runs: int, now: Any) -> Iterator[dict[str, Any]]:
    """Yield edges run by run, as they would have been written; run k logs 2k - 1 and 2k."""

    def edge(run: int, version: int, kind: str) -> dict[str, Any]:
        return {
            "run_id": run, "version_id": version, "kind": kind, "alias": None,
            "closes_cycle": False, "created_at": now,
        }  # fmt: skip

    hub_users: dict[int, list[int]] = {}
    for hub in hubs:
        later = range(hub // 2 + 2, runs + 1)
        for run in chance.sample(later, min(USES_PER_HUB, len(later))):
            hub_users.setdefault(run, []).append(hub)
    for run in range(1, runs + 1):
        earlier = 2 * (run - 1)
        inputs = hub_users.get(run, [])[:2]
        while earlier > 2 and len(inputs) < 2:
            choice = chance.randint(1, earlier)
            if choice not in inputs:
                inputs.append(choice)
        yield from (edge(run, version, "used") for version in inputs)
        yield edge(run, 2 * run - 1, "logged")
        yield edge(run, 2 * run, "logged")


def _print_plans(instance: Instance) -> None:
    """Ask the database how it runs each statement of one walk."""
    seen: set[str] = set()

    @event.listens_for(instance.database.engine, "before_cursor_execute")
    def explain(
        connection: Connection, cursor: Any, statement: str, parameters: Any, *_: object
    ) -> None:
        if statement.startswith(("SELECT", "WITH")) and statement not in seen:
            seen.add(statement)
            print(statement[:1200])
            raw = cursor.connection.execute("EXPLAIN QUERY PLAN " + statement, parameters)
            for row in raw:
                print("   ", row[3])

    query = LineageQuery(direction=Direction.DOWNSTREAM, depth=DEPTH)
    lineage_graph.graph(instance, OWNER, "version:2", query)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        instance = open_instance(load({"home": folder}))
        fill(instance, QUICK_RUNS)
        _print_plans(instance)
        instance.close()


if __name__ == "__main__":
    main()
