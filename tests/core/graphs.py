"""Small lineage graphs for the tests of what draws them."""

from __future__ import annotations

from datetime import UTC, datetime

from lineal.core.lineage import LineageEdge, LineageGraph, LineageNode
from lineal.core.records import EdgeKind

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
HOSTILE = 'a"];\n\\" --> <b>|`#\x1b[2J'


def run(
    number: int, name: str = "", *, job_type: str = "train", is_deleted: bool = False
) -> LineageNode:
    run_id = f"run{number}"
    return LineageNode(
        id=f"run:{number}",
        kind="run",
        name=f"ana/vision/{run_id}",
        label=name or run_id,
        type=job_type,
        state="finished",
        depth=0,
        is_deleted=is_deleted,
        created_at=MOMENT,
    )


def version(number: int, name: str = "", *, type: str = "dataset") -> LineageNode:
    label = f"{name or f'data{number}'}:v0"
    return LineageNode(
        id=f"version:{number}",
        kind="artifact",
        name=f"ana/vision/{label}",
        label=label,
        type=type,
        state="COMMITTED",
        depth=0,
        is_deleted=False,
        created_at=MOMENT,
        digest="sha256:" + "0" * 64,
        aliases=("latest",),
    )


def used(version: int, run: int, *, alias: str | None = None, again: bool = False) -> LineageEdge:
    return LineageEdge(f"version:{version}", f"run:{run}", EdgeKind.USED, alias, again)


def logged(run: int, version: int, *, again: bool = False) -> LineageEdge:
    return LineageEdge(f"run:{run}", f"version:{version}", EdgeKind.LOGGED, None, again)


def graph(root: str, nodes: list[LineageNode], edges: list[LineageEdge]) -> LineageGraph:
    return LineageGraph(root, tuple(nodes), tuple(edges), is_cut=False)
