"""Walking the graph of runs and versions: what came from what, as far as was asked for."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from sqlalchemy import Connection

from lineal.collector import seldom_collected
from lineal.core import access
from lineal.core.access import Action, Actor
from lineal.core.lineage import Direction, LineageEdge, LineageGraph, LineageNode, LineageQuery
from lineal.core.records import EdgeKind
from lineal.db import lineage as lineage_db
from lineal.db import lineage_nodes
from lineal.errors import Invalid, NotFound
from lineal.service.instance import Instance


@seldom_collected()
def graph(instance: Instance, actor: Actor, root: str, query: LineageQuery) -> LineageGraph:
    """Walk from `run:KEY` or `version:ID`; nodes nearest first, the root at the head.

    Deleted runs and versions stay, marked as such (LIN-9); marked edges are shown but not
    followed (LIN-10). `query.types` hides versions of other types, not what lies behind them: an
    edge leads there past them.
    Raises NotFound for an unknown root and Invalid for one that cannot be read.
    """
    access.require(actor, Action.READ, root)
    start = _node(root)
    if query.depth < 0 or query.limit < 1:
        raise Invalid("A lineage graph needs a depth of at least 0 and a limit of at least 1")
    with instance.database.reading() as connection:
        walk = _walked(connection, start, query)
        nodes = lineage_nodes.nodes(connection, walk.depths, instance.crashed_before())
    if start not in nodes:
        raise NotFound(f"No {root} (you are {actor.name})")
    shown, through = nodes, list[LineageEdge]()
    if query.types:
        shown = {
            node: each
            for node, each in nodes.items()
            if node > 0 or node == start or each.type in query.types
        }
        hidden = nodes.keys() - shown.keys()
        through = list(islice(_through(walk, shown, hidden), query.limit + 1))
    is_cut = walk.is_cut or len(through) > query.limit
    shown_edges = (
        *_shown(walk.edges, shown),
        *_shown_derived(walk.derived, shown),
        *through[: query.limit],
    )
    return LineageGraph(root, tuple(shown.values()), shown_edges, is_cut)


def _node(root: str) -> int:
    kind, _, number = root.partition(":")
    if kind not in ("run", "version") or not number.isdecimal():
        raise Invalid(f"Cannot read {root!r} as the root of a graph; use `run:12` or `version:34`")
    return int(number) if kind == "run" else -int(number)


class _Walk(NamedTuple):
    """What was found around a node; nodes are the integers of `db.lineage`."""

    depths: dict[int, int]
    """Of each node to show, the steps from the root; the nearest first."""
    edges: list[lineage_db.Edge]
    """Between runs and versions, also of nodes that are not shown."""
    derived: list[tuple[int, int]]
    """(source, target) of edges between versions (LIN-11), also of those that are not shown."""
    is_cut: bool
    """More can be reached than is shown."""


def _walked(connection: Connection, start: int, query: LineageQuery) -> _Walk:
    ways = [
        downstream
        for downstream, way in ((False, Direction.UPSTREAM), (True, Direction.DOWNSTREAM))
        if query.direction in (way, Direction.BOTH)
    ]
    within: set[int] = set()
    reachable = lineage_db.reachable_derived if query.derived else lineage_db.reachable
    for downstream in ways:
        within |= reachable(
            connection, start, downstream=downstream, depth=query.depth, limit=query.limit
        )
    found = lineage_db.edges_among(connection, within)
    derived = lineage_db.derived(connection, within, downstream=True) if query.derived else []
    depths = {start: 0}
    is_cut = False
    for downstream in ways:
        steps = [*_steps(found, downstream), *_turned(derived, downstream)]
        reached = _depths(steps, start)
        is_cut = is_cut or _goes_on(connection, steps, reached, query, downstream=downstream)
        for node, depth in reached.items():
            depths.setdefault(node, depth)
    nearest = sorted(depths.items(), key=lambda pair: pair[1])  # stable: oldest edge first
    shown = dict([pair for pair in nearest if pair[1] <= query.depth][: query.limit])
    return _Walk(shown, found, derived, is_cut or len(shown) < len(depths))


def _goes_on(
    connection: Connection,
    steps: Iterable[tuple[int, int]],
    reached: Mapping[int, int],
    query: LineageQuery,
    *,
    downstream: bool,
) -> bool:
    """Say whether edges lead from the last level to nodes that were not reached."""
    last = {node for node, depth in reached.items() if depth == query.depth}
    if not last:
        return False
    inside = sum(source in last and target in reached for source, target in steps)
    onward = lineage_db.count_onward(connection, last, downstream=downstream)
    if query.derived:
        onward += len(lineage_db.derived(connection, last, downstream=downstream))
    return onward > inside


def _depths(steps: Iterable[tuple[int, int]], start: int) -> dict[int, int]:
    """Return the steps from the start to each node that can be reached, in the order found."""
    onward: dict[int, list[int]] = {}
    for source, target in steps:
        onward.setdefault(source, []).append(target)
    depths = {start: 0}
    queue = [start]
    for node in queue:
        for neighbour in onward.get(node, ()):
            if neighbour not in depths:
                depths[neighbour] = depths[node] + 1
                queue.append(neighbour)
    return depths


def _steps(found: Iterable[lineage_db.Edge], downstream: bool) -> Iterable[tuple[int, int]]:
    """Yield (from, to) for each edge that a walk may follow."""
    for _, run, version, kind, _, closes_cycle in found:
        if not closes_cycle:
            flows_to_run = kind == EdgeKind.USED
            yield (-version, run) if flows_to_run == downstream else (run, -version)


def _turned(derived: Iterable[tuple[int, int]], downstream: bool) -> Iterable[tuple[int, int]]:
    for source, target in derived:
        yield (source, target) if downstream else (target, source)


def _shown_derived(
    derived: Iterable[tuple[int, int]], nodes: Mapping[int, LineageNode]
) -> Iterable[LineageEdge]:
    for source, target in derived:
        if source in nodes and target in nodes:
            yield LineageEdge(nodes[source].id, nodes[target].id, EdgeKind.DERIVED)


def _through(
    walk: _Walk, shown: Mapping[int, LineageNode], hidden: Container[int]
) -> Iterator[LineageEdge]:
    """Yield an edge for each pair of shown nodes that only hidden ones join."""
    onward: dict[int, list[int]] = {}
    for source, target in (*_steps(walk.edges, downstream=True), *walk.derived):
        onward.setdefault(source, []).append(target)
    for source in shown:
        seen = {source, *(target for target in onward.get(source, ()) if target not in hidden)}
        queue = [source]
        for place in queue:
            for target in onward.get(place, ()):
                if target in seen:
                    continue
                seen.add(target)
                if target in hidden:
                    queue.append(target)
                elif target in shown:
                    yield LineageEdge(shown[source].id, shown[target].id, EdgeKind.THROUGH)


def _shown(
    found: Iterable[lineage_db.Edge], nodes: Mapping[int, LineageNode]
) -> Iterable[LineageEdge]:
    for _, run, version, kind, alias, closes_cycle in found:
        if run in nodes and -version in nodes:
            ends = nodes[run].id, nodes[-version].id
            if kind == EdgeKind.USED:
                yield LineageEdge(ends[1], ends[0], EdgeKind.USED, alias, closes_cycle)
            else:
                yield LineageEdge(ends[0], ends[1], EdgeKind.LOGGED, alias, closes_cycle)
