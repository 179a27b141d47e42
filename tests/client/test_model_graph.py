"""Graphs of models are files of runs and of artifacts (DAT-1)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from media_folder import round_trip

import lineal
from lineal.client.media.model_graph import Graph, Node
from lineal.errors import IntegrityError, Invalid


def made() -> Graph:
    graph = Graph()
    first = graph.add_node(id="a", name="A", size=(4,), class_name="Dense", output_shape=(None, 4))
    graph.add_edge(first, graph.add_node(Node("b", "B", num_parameters=20)))
    return graph


def test_a_graph_is_a_file_of_the_run() -> None:
    graph = made()
    with lineal.init() as run:
        run.log({"model": graph})
        run.summary["later"] = graph
    found = lineal.Api().run(run.path)
    stub = found.summary["model"]
    assert (stub["_type"], stub["sha256"]) == ("graph-file", found.summary["later"]["sha256"])
    with found.file(stub["path"]).download(root="fetched") as file:
        assert json.load(file) == {
            "format": "keras",
            "nodes": [
                {
                    "id": "a",
                    "name": "A",
                    "class_name": "Dense",
                    "size": [4],
                    "output_shape": [None, 4],
                },
                {"id": "b", "name": "B", "num_parameters": 20},
            ],
            "edges": [["a", "b"]],
        }


def test_it_comes_back_from_an_artifact(tmp_path: Path) -> None:
    found = round_trip(made(), tmp_path)
    assert found == made()
    assert (found["a"].class_name, found.edges[0].to_node) == ("Dense", found["b"])


def test_a_node_has_an_id_of_its_own_and_may_be_changed() -> None:
    graph = made()
    node = graph.add_node(name="C")
    assert graph[node.id] is node
    before = repr(graph), Graph() == graph
    graph["a"].name = "changed"
    assert before == ("<Graph 3 nodes, 1 edges>", False)
    assert graph != made()
    with pytest.raises(Invalid, match=r"not both: \['id'\]"):
        graph.add_node(node, id="x")


def test_a_shape_may_be_an_array() -> None:
    graph = Graph()
    graph.add_node(id="a", output_shape=np.array([8, 3]))
    (node,) = json.loads(graph._file().read())["nodes"]
    assert node == {"id": "a", "output_shape": [8, 3]}


def test_foreign_json_is_no_graph() -> None:
    with pytest.raises(IntegrityError, match="no graph that Lineal can read"):
        Graph.read({"_type": "graph-file"}, SimpleNamespace())


KERAS = """
import keras, lineal

start = keras.Input((4,), name="start")
left, right = (keras.layers.Dense(2, name=name)(start) for name in ("left", "right"))
model = keras.Model(start, keras.layers.Add(name="sum")([left, right]))
for graph in (lineal.Graph.from_keras(model), lineal.Graph(model)):
    edges = {(edge.from_node.name, edge.to_node.name) for edge in graph.edges}
    assert edges == {
        ("start", "left"), ("start", "right"), ("left", "sum"), ("right", "sum")
    }, edges
    assert (graph["left"].class_name, graph["left"].num_parameters) == ("Dense", 10)
    assert graph["left"].output_shape == (None, 2)
unbuilt = keras.Sequential([keras.layers.Dense(2, name="one"), keras.layers.Dense(2, name="two")])
(edge,) = lineal.Graph(unbuilt).edges
assert (edge.from_node.id, edge.to_node.id) == ("one", "two")
"""


@pytest.mark.skipif(find_spec("keras") is None, reason="Keras is not installed")
def test_of_keras_it_has_the_layers_and_what_feeds_them() -> None:
    # in a process of its own: once loaded, jax warns at every fork
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", KERAS], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
