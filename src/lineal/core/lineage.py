"""What a walk through the lineage is asked, and the graph of runs and versions that it answers."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from lineal.core.records import EdgeKind, RunKey, VersionId


def run_node(run: RunKey) -> str:
    """Return the id of a run's node in a graph."""
    return f"run:{run}"


def version_node(version: VersionId) -> str:
    """Return the id of a version's node in a graph."""
    return f"version:{version}"


def number_of(node: str) -> int:
    """Return the key of the run, or the id of the version, that a node stands for."""
    return int(node.partition(":")[2])


class Direction(StrEnum):
    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"
    BOTH = "both"


class LineageNode(NamedTuple):
    """A run or a version in a graph. Tombstones stay: `is_deleted` says so (LIN-9)."""

    id: str
    """`run:12` or `version:34`; stable for ever."""
    kind: str
    """`run` or `artifact`."""
    name: str
    """`entity/project/run_id` or `entity/project/collection:vN`."""
    label: str
    """The run's display name, or `collection:vN`."""
    type: str
    """The artifact's type, or the run's job type (empty if none)."""
    state: str
    depth: int
    """Steps from the root; a run and a version are each one step."""
    is_deleted: bool
    created_at: datetime
    digest: str | None = None
    aliases: tuple[str, ...] = ()


class LineageEdge(NamedTuple):
    """Points the way data flowed: version → run (used), run → version (logged), or another kind."""

    source: str
    target: str
    kind: EdgeKind
    alias: str | None = None
    """The alias that was asked for (SEM-9)."""
    is_relogged: bool = False
    """Would close a cycle; shown, never followed (LIN-10)."""


class RunEdge(NamedTuple):
    """What a run used or logged, as seen from the run."""

    version: VersionId
    alias: str | None
    """The alias that was asked for (SEM-9)."""
    is_relogged: bool
    """As in LineageEdge."""


class LineageGraph(NamedTuple):
    root: str
    nodes: tuple[LineageNode, ...]
    edges: tuple[LineageEdge, ...]
    is_cut: bool
    """True when `limit` or `depth` left out a node, or `limit` an edge."""


NODES_MOST = 10_000


class LineageQuery(NamedTuple):
    direction: Direction = Direction.BOTH
    depth: int = 100
    types: tuple[str, ...] = ()
    """Only versions of these types; the runs stay, joined by `through` edges past the others."""
    limit: int = NODES_MOST
    """Nodes at most, and `through` edges at most."""
    derived: bool = False
    """Whether derived-from edges are followed and shown as well (LIN-11)."""
