"""Graphs of models: layers, and which feeds which, as a file of the run (DAT-1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from lineal.client.media.files import HASH_DIGITS, MediaFile, json_file, read_json, stored
from lineal.client.media.logged import RunFiles, safe_key
from lineal.client.media.types import DataObject, MediaSource, MediaTarget
from lineal.client.values import plain
from lineal.core.ids import new_id
from lineal.errors import IntegrityError, Invalid

if TYPE_CHECKING:
    from typing import Self

GRAPH_FOLDER = "media/graph"


@dataclass(eq=False)
class Node:
    """A layer; what is None is not kept. id: by default one of its own. size: of its kernel."""

    id: Any = None
    name: Any = None
    class_name: Any = None
    size: Any = None
    parameters: Sequence[Any] = field(default_factory=list)
    output_shape: Any = None
    is_output: bool | None = None
    num_parameters: int | None = None

    def __post_init__(self) -> None:
        self.id = new_id() if self.id is None else self.id

    @classmethod
    def from_keras(cls, layer: Any) -> Self:
        """Describe a layer of a model of Keras."""
        output = getattr(layer, "output", None)
        return cls(
            id=layer.name,
            name=layer.name,
            class_name=type(layer).__name__,
            output_shape=getattr(output, "shape", None),
            num_parameters=layer.count_params() if layer.built else None,
        )

    def _json(self) -> dict[str, Any]:
        said = {
            name: value
            for name, value in vars(self).items()
            if value is not None and not (isinstance(value, list) and not value)
        }
        kept: dict[str, Any] = plain(said, "node", otherwise=lambda given, _: str(given))
        return kept


@dataclass(eq=False)
class Edge:
    """What of one layer goes into another."""

    from_node: Node
    to_node: Node
    name: Any = None


class Graph(DataObject):
    """Layers and the edges between them, logged as one JSON file.

    format: what it is the graph of; a model of Keras is the graph of that model.
    """

    type_name: ClassVar[str] = "graph-file"

    def __init__(self, format: Any = "keras") -> None:
        self.format = format if isinstance(format, str) else "keras"
        self.nodes: list[Node] = []
        self.nodes_by_id: dict[Any, Node] = {}
        self.edges: list[Edge] = []
        if hasattr(format, "layers"):
            self._add_keras(format)

    def add_node(self, node: Node | None = None, **values: Any) -> Node:
        """Add a layer, or one with these values, see `Node`; raises Invalid for both at once."""
        if node is not None and values:
            raise Invalid(f"add_node takes a Node or the values of one, not both: {sorted(values)}")
        added = Node(**values) if node is None else node
        self.nodes.append(added)
        self.nodes_by_id[added.id] = added
        return added

    def add_edge(self, from_node: Node, to_node: Node) -> Edge:
        """Say that what comes out of one layer goes into another."""
        self.edges.append(Edge(from_node, to_node))
        return self.edges[-1]

    @classmethod
    def from_keras(cls, model: Any) -> Self:
        """Return the graph of a model of Keras: each of its layers, and what they are fed by."""
        graph = cls()
        graph._add_keras(model)
        return graph

    def __getitem__(self, node_id: Any) -> Node:
        return self.nodes_by_id[node_id]

    def __repr__(self) -> str:
        return f"<Graph {len(self.nodes)} nodes, {len(self.edges)} edges>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Graph):
            return NotImplemented
        return self._file().same_as(other._file())

    __hash__ = None  # type: ignore[assignment]  # more may be added to it

    def _add_keras(self, model: Any) -> None:
        for layer in model.layers:
            self.add_node(Node.from_keras(layer))
        for before, layer in _keras_edges(model.layers):
            if before in self.nodes_by_id:
                self.add_edge(self[before], self[layer])

    def _file(self) -> MediaFile:
        edges = [[edge.from_node.id, edge.to_node.id] for edge in self.edges]
        nodes = [node._json() for node in self.nodes]
        graph = {"format": self.format, "nodes": nodes, "edges": plain(edges, "edges")}
        return json_file(graph, ".graph.json")

    def write(self, target: MediaTarget) -> dict[str, Any]:
        return {"_type": self.type_name, **self._file().write(target, GRAPH_FOLDER)}

    @classmethod
    def read(cls, json_obj: dict[str, Any], source: MediaSource) -> Self:
        """Rebuild the graph; raises IntegrityError for foreign JSON."""
        try:
            found = read_json(stored(json_obj, source))
            graph = cls(str(found["format"]))
            for node in found["nodes"]:
                graph.add_node(**node)
            for before, after in found["edges"]:
                graph.add_edge(graph[before], graph[after])
        except (KeyError, TypeError, ValueError) as error:
            raise IntegrityError(f"This is no graph that Lineal can read: {error!r}") from error
        return graph

    def _log(self, run: Any, key: str, step: int) -> dict[str, Any]:
        """Save the graph as `media/graph/<key>_<step>_<hash>.graph.json` of the run."""
        file = self._file()
        name = f"{GRAPH_FOLDER}/{safe_key(key)}_{step}_{file.sha256[:HASH_DIGITS]}{file.suffix}"
        return {"_type": self.type_name, **RunFiles(run).add(file, name)}


def _keras_edges(layers: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Yield names of layers, the one that feeds first; of a sequence each feeds the next."""
    is_known = False
    for layer in layers:
        for node in getattr(layer, "_inbound_nodes", ()):
            for parent in getattr(node, "parent_nodes", ()):
                is_known = True
                yield parent.operation.name, layer.name
    if not is_known:
        yield from zip(*([one.name for one in part] for part in (layers, layers[1:])), strict=False)
