"""A lineage graph as OpenLineage: what other tools for lineage read."""

from __future__ import annotations

from typing import Any

from lineal.core.lineage import LineageGraph, LineageNode
from lineal.core.records import EdgeKind

_PRODUCER = "urn:lineal"
_RUN_EVENT = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_VERSION_FACET = (
    "https://openlineage.io/spec/facets/1-0-1/DatasetVersionDatasetFacet.json"
    "#/$defs/DatasetVersionDatasetFacet"
)
_EVENT_TYPES = {
    "pending": "START",
    "running": "RUNNING",
    "finished": "COMPLETE",
    "failed": "FAIL",
    "crashed": "FAIL",
    "killed": "ABORT",
}


def run_events(graph: LineageGraph) -> list[dict[str, Any]]:
    """Return one RunEvent per run with what it read and wrote (OpenLineage 2-0-2).

    Namespaces are `lineal://entity/project`; a job is the run's job type; a data set is a
    collection, its version a facet. Edges that no run made are left out.
    """
    nodes = {node.id: node for node in graph.nodes}
    inputs: dict[str, list[dict[str, Any]]] = {}
    outputs: dict[str, list[dict[str, Any]]] = {}
    for edge in graph.edges:
        if edge.kind is EdgeKind.USED:
            inputs.setdefault(edge.target, []).append(_dataset(nodes[edge.source]))
        elif edge.kind is EdgeKind.LOGGED:
            outputs.setdefault(edge.source, []).append(_dataset(nodes[edge.target]))
    return [
        {
            "eventType": _EVENT_TYPES.get(node.state, "OTHER"),
            "eventTime": node.created_at.isoformat(),
            "producer": _PRODUCER,
            "schemaURL": _RUN_EVENT,
            "run": {"runId": _run_uuid(node)},
            "job": {"namespace": _namespace(node), "name": node.type or "run"},
            "inputs": inputs.get(node.id, []),
            "outputs": outputs.get(node.id, []),
        }
        for node in graph.nodes
        if node.kind == "run"
    ]


def _dataset(node: LineageNode) -> dict[str, Any]:
    collection, _, version = node.name.rpartition("/")[2].partition(":")
    facet = {"_producer": _PRODUCER, "_schemaURL": _VERSION_FACET, "datasetVersion": version}
    return {"namespace": _namespace(node), "name": collection, "facets": {"version": facet}}


def _namespace(node: LineageNode) -> str:
    return "lineal://" + node.name.rpartition("/")[0]


def _run_uuid(node: LineageNode) -> str:
    import uuid  # loads slowly, and only this export needs it

    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{_namespace(node)}/runs/{node.name}"))
