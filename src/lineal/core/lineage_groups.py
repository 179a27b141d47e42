"""A lineage graph folded: its runs by job type, its artifacts by type (LIN-6)."""

from __future__ import annotations

from dataclasses import dataclass

from lineal.core.lineage import LineageGraph, LineageNode

FOLD_FROM = 5
"""A group of this many nodes folds into one (LIN-7)."""


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes of one kind and type: artifacts by type, runs by job type (LIN-6)."""

    id: str
    kind: str
    type: str
    nodes: tuple[str, ...]
    """Ids, in the order of the graph."""
    is_folded: bool
    """Drawn as one node, because there are FOLD_FROM or more (LIN-7)."""


@dataclass(frozen=True, slots=True)
class GroupEdge:
    source: str
    target: str
    count: int
    """Edges of the graph that this one stands for."""


@dataclass(frozen=True, slots=True)
class CollapsedGraph:
    groups: tuple[Group, ...]
    edges: tuple[GroupEdge, ...]


def collapsed(graph: LineageGraph) -> CollapsedGraph:
    """Group the nodes by kind and type, and count the edges between groups.

    Groups come in the order in which their first node does. Edges that would close a cycle are
    left out; groups may form cycles all the same (a model fine-tuned into a model).
    """
    members: dict[str, list[LineageNode]] = {}
    for node in graph.nodes:
        members.setdefault(_group_id(node), []).append(node)
    group_of = {node.id: _group_id(node) for node in graph.nodes}
    counts: dict[tuple[str, str], int] = {}
    for edge in graph.edges:
        if not edge.is_relogged:
            ends = group_of[edge.source], group_of[edge.target]
            counts[ends] = counts.get(ends, 0) + 1
    groups = [
        Group(
            id=group_id,
            kind=nodes[0].kind,
            type=nodes[0].type,
            nodes=tuple(node.id for node in nodes),
            is_folded=len(nodes) >= FOLD_FROM,
        )
        for group_id, nodes in members.items()
    ]
    edges = [GroupEdge(source, target, count) for (source, target), count in counts.items()]
    return CollapsedGraph(tuple(groups), tuple(edges))


def _group_id(node: LineageNode) -> str:
    return f"{node.kind}/{node.type}"
