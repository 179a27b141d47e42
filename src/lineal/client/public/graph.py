"""What `upstream`, `downstream`, `lineage`, `logged_by` and `used_by` return (section 10)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, SupportsIndex

from lineal.client import term
from lineal.client.backend import Backend
from lineal.client.known_attributes import KnownAttributes
from lineal.client.pages import BULK_PAGE_SIZE, all_of
from lineal.client.public.lists import NamedList
from lineal.core import lineage_groups, lineage_picture, lineage_text, openlineage
from lineal.core.lineage import (
    Direction,
    LineageEdge,
    LineageGraph,
    LineageNode,
    LineageQuery,
    number_of,
    version_node,
)
from lineal.core.names import strings
from lineal.core.records import EdgeKind, RunKey, VersionId
from lineal.errors import Invalid

if TYPE_CHECKING:
    from lineal.client.public.run import Run

DEPTH = LineageQuery().depth


class Graph(KnownAttributes):
    """Runs and artifact versions, and the edges between them; `print` draws a tree."""

    def __init__(self, graph: LineageGraph) -> None:
        self._graph = graph

    @property
    def root(self) -> LineageNode:
        return next(node for node in self.nodes if node.id == self._graph.root)

    @property
    def nodes(self) -> list[LineageNode]:
        """The nearest first; deleted ones stay and say so (LIN-9)."""
        return list(self._graph.nodes)

    @property
    def edges(self) -> list[LineageEdge]:
        """The oldest first; they point the way the data flowed."""
        return list(self._graph.edges)

    @property
    def runs(self) -> list[LineageNode]:
        return [node for node in self._graph.nodes if node.kind == "run"]

    @property
    def artifacts(self) -> list[LineageNode]:
        return [node for node in self._graph.nodes if node.kind == "artifact"]

    @property
    def is_cut(self) -> bool:
        """True when depth or size left something out."""
        return self._graph.is_cut

    def to_json(self) -> str:
        return lineage_text.to_json(self._graph)

    def to_dot(self) -> str:
        return lineage_text.to_dot(self._graph)

    def to_mermaid(self) -> str:
        return lineage_text.to_mermaid(self._graph)

    def to_svg(self) -> str:
        """Return a picture of its own, which any browser shows; what is too much is one box."""
        return lineage_picture.to_svg(self._graph)

    def to_openlineage(self) -> list[dict[str, Any]]:
        """Return one OpenLineage RunEvent, as a dict, per run."""
        return openlineage.run_events(self._graph)

    def collapsed(self) -> lineage_groups.CollapsedGraph:
        """Return runs grouped by job type and artifacts by type (LIN-6)."""
        return lineage_groups.collapsed(self._graph)

    def __len__(self) -> int:
        return len(self._graph.nodes)

    def __str__(self) -> str:
        return lineage_text.tree(self._graph)

    def _repr_mimebundle_(self, **_asked: object) -> dict[str, str]:
        """Draw itself in a notebook, or as a tree where pictures are not shown."""
        return {"text/plain": str(self), "image/svg+xml": self.to_svg()}

    def __repr__(self) -> str:
        counts = f"{len(self.runs)} runs, {len(self.artifacts)} artifacts"
        return f"<Graph of {self.root.name}: {counts}{', cut' if self.is_cut else ''}>"


def graph(
    backend: Backend,
    root: str,
    direction: str = "both",
    depth: int | None = None,
    types: str | Sequence[str] | None = None,
    derived: bool = False,
) -> Graph:
    """Walk from `run:KEY` or `version:ID` in one request.

    direction: `upstream`, `downstream` or `both`. depth: steps, a run and a version being one
    each. types: only artifacts of these types, with a warning if there are none; one string counts
    as a list of one. derived: also follow and show what took entries over from what (LIN-11). Of
    a large graph the nearest 10,000 nodes are shown: `is_cut` says so.
    """
    try:
        way = Direction(direction)
    except ValueError:
        raise Invalid(
            f"Unknown direction {direction!r}; use `upstream`, `downstream` or `both`"
        ) from None
    if isinstance(depth, bool) or not isinstance(depth, SupportsIndex | None):
        raise TypeError(f"depth is a number of steps, not {depth!r}")
    wanted = tuple(strings(types, "Types"))
    query = LineageQuery(
        direction=way, depth=DEPTH if depth is None else depth, types=wanted, derived=derived
    )
    found = Graph(backend.lineage(root, query))
    if (lacking := without_types(backend, root, query, found)) is not None:
        term.warning(lacking)
    return found


def without_types(backend: Backend, root: str, query: LineageQuery, found: Graph) -> str | None:
    """Say that nothing is of the types that were asked for, and which types there are."""
    if not query.types or any(each.type in query.types for each in found.artifacts):
        return None
    everything = Graph(backend.lineage(root, query._replace(types=())))
    there = ", ".join(sorted({each.type for each in everything.artifacts})) or "none"
    return f"No version of type `{'`, `'.join(query.types)}` here; types here: {there}"


def logged_by(backend: Backend, version_id: VersionId) -> Run | None:
    """Return the run of `producer_of`, None if there is none."""
    from lineal.client.public.run import Run  # it loads artifacts, which load this

    producer = producer_of(backend, version_id)
    return None if producer is None else Run(backend, backend.run_by_key(producer))


def producer_of(backend: Backend, version_id: VersionId) -> RunKey | None:
    """Return the run that first logged a version (LIN-3).

    None when that run was deleted (DEL-4), or when no run did (SEM-7): another run that logged
    the same content later does not take its place.
    """
    root = version_node(version_id)
    near = backend.lineage(root, LineageQuery(direction=Direction.UPSTREAM, depth=1))
    for edge in near.edges:  # the oldest first
        if edge.kind is EdgeKind.LOGGED and edge.target == root and not edge.is_relogged:
            producer = next(node for node in near.nodes if node.id == edge.source)
            return None if producer.is_deleted else RunKey(number_of(producer.id))
    return None


def used_by(backend: Backend, version_id: VersionId) -> list[Run]:
    """Return all runs that used a version, also through links (LIN-4); the first user first."""
    from lineal.client.public.listed import ListedRuns  # it loads artifacts, which load this

    used = partial(backend.runs_of, version_id, EdgeKind.USED, with_documents=False)
    users = list(map(ListedRuns(backend).run, all_of(used, size=BULK_PAGE_SIZE)))
    name = "" if users else backend.version_by_id(version_id).path
    return NamedList(users, f"no run has used {name}")
