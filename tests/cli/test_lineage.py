from __future__ import annotations

import os
import subprocess
import sys
from xml.etree import ElementTree

import pytest

import lineal as sdk


@pytest.fixture
def chain(lineal):
    """raw:v0 → train → model:v0 → evaluate."""
    with sdk.init(project="demo", id="make") as run:
        log(run, "raw", "dataset")
    with sdk.init(project="demo", id="train") as run:
        run.use_artifact("raw:latest")
        log(run, "model", "model")
    with sdk.init(project="demo", id="evaluate") as run:
        run.use_artifact("model:latest")


def log(run, name: str, type: str) -> None:
    artifact = sdk.Artifact(name, type)
    with artifact.new_file(f"{name}.txt") as file:
        file.write(name)
    run.log_artifact(artifact).wait()


def node_names(lineal, *words: str) -> set[str]:
    graph = lineal("lineage", *words, "--json").json
    return {node["name"].removeprefix("ana/demo/") for node in graph["nodes"]}


def test_json_and_another_format_contradict_each_other(lineal, photos):
    answer = lineal("lineage", "demo/photos", "--json", "--format", "dot", fails=True)
    assert (answer.code, answer.out) == (2, "")
    assert "contradict" in answer.err


def test_tree_shows_what_it_came_from_and_led_to(lineal, chain):
    tree = lineal("lineage", "demo/model").out
    assert "raw:v0" in tree
    assert "model:v0" in tree


def test_direction_and_depth_limit_the_walk(lineal, chain):
    assert node_names(lineal, "demo/model:v0", "--direction", "down") == {"model:v0", "evaluate"}
    assert node_names(lineal, "demo/model:v0", "--direction", "up", "--depth", "1") == {
        "model:v0",
        "train",
    }


def test_a_run_can_be_the_root(lineal, chain):
    assert node_names(lineal, "demo/make") == {
        "make",
        "raw:v0",
        "train",
        "model:v0",
        "evaluate",
    }


def test_what_was_deleted_still_has_its_lineage(lineal, chain):
    around = node_names(lineal, "demo/raw:v0")
    lineal("artifact", "rm", "demo/raw:v0", "--yes", "--delete-aliases")
    lineal("run", "rm", "demo/train", "--yes")
    for root in ("demo/raw:v0", "demo/train"):
        assert node_names(lineal, root) == around
        assert "deleted" in lineal("lineage", root).out


def test_types_keep_only_those_versions(lineal, chain):
    names = node_names(lineal, "demo/make", "--type", "model")
    assert "raw:v0" not in names
    assert "model:v0" in names


def test_a_type_that_nothing_has_is_said_with_those_that_are_there(lineal, chain):
    answer = lineal("lineage", "demo/make", "--type", "modle")
    assert "No version of type `modle` here; types here: dataset, model" in answer.err
    assert "No version" not in lineal("lineage", "demo/make", "--type", "model").err


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        ("dot", "digraph"),
        ("mermaid", "flowchart"),
        ("svg", "<svg"),
        ("openlineage", '"inputs"'),
        ("json", '"nodes"'),
        ("tree", "model:v0"),
    ],
)
def test_formats(lineal, chain, format, expected):
    assert expected in lineal("lineage", "demo/model", "--format", format).out


@pytest.mark.parametrize("format", ["dot", "mermaid", "openlineage", "tree", "svg"])
def test_a_graph_that_is_cut_says_so_in_every_format(lineal, chain, format):
    words = ("lineage", "demo/model", "--format", format)
    cut = lineal(*words, "--depth", "1")
    assert "there is more: raise the depth" in (cut.out + cut.err).lower()
    assert "there is more" not in (lineal(*words).out + lineal(*words).err).lower()


def test_a_name_that_is_neither_run_nor_artifact_says_so(lineal, chain):
    answer = lineal("lineage", "demo/nothing", fails=True)
    assert answer.code == 4
    assert "nothing is neither a run nor an artifact in ana/demo" in answer.err
    answer = lineal("lineage", "5u3ecmrw", fails=True)
    assert "5u3ecmrw is neither a run nor an artifact in ana/uncategorized" in answer.err
    assert "write `project/run_id`" in answer.err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_picture_can_be_read_whatever_encoding_the_shell_has(lineal, chain, encoding):
    with sdk.init(project="demo", id="wide", name="größer →") as run:
        run.use_artifact("model:latest")
    svg = subprocess.run(
        [sys.executable, "-m", "lineal", "lineage", "demo/model", "--format", "svg"],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    assert "größer →" in [text.text for text in ElementTree.fromstring(svg).iter()]


def test_the_name_of_a_run_leads_to_it(lineal, chain):
    with sdk.init(project="demo", id="k3x9a1bq", name="bold-owl"):
        pass
    for name in ("demo/bold-owl", "bold-owl", "k3x9a1bq"):
        assert "did you mean `ana/demo/k3x9a1bq`?" in lineal("lineage", name, fails=True).err


def test_a_name_that_is_nearly_one_or_was_one_says_so(lineal, chain):
    assert "did you mean `demo/model`?" in lineal("lineage", "demo/modle", fails=True).err
    lineal("artifact", "rm", "demo/model", "--all", "--yes")
    answer = lineal("lineage", "demo/model", fails=True)
    assert (answer.code, "ana/demo/model was deleted" in answer.err) == (4, True)


def test_a_run_is_named_by_its_url_too(lineal, chain):
    url = sdk.Api().run("demo/make").url
    assert lineal("lineage", url).out == lineal("lineage", "demo/make").out
