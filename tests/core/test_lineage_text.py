from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.graphs import HOSTILE, graph, logged, run, used, version

from lineal.core import lineage_groups, lineage_text, openlineage
from lineal.core.lineage import NODES_MOST, LineageEdge, LineageGraph
from lineal.core.lineage_picture import to_svg
from lineal.core.records import EdgeKind

PIPELINE = graph(
    "version:2",
    [version(2, "model", type="model"), run(1, "bold owl"), version(1)],
    [used(1, 1, alias="prod"), logged(1, 2)],
)


# --- tree ---------------------------------------------------------------------------------------


def test_a_tree_shows_both_directions_from_the_root() -> None:
    both = graph(
        "run:1",
        [run(1, "bold owl"), version(1), version(2, "model", type="model"), run(2)],
        [used(1, 1), logged(1, 2), used(2, 2)],
    )
    assert lineage_text.tree(both).splitlines() == [
        "bold owl (run1) · train run · finished",
        "├─ upstream",
        "│  └─ data1:v0 · dataset · latest",
        "└─ downstream",
        "   └─ model:v0 · model · latest",
        "      └─ run2 · train run · finished",
    ]


def test_a_tree_draws_what_is_shared_once() -> None:
    shared = graph(
        "run:3",
        [run(3), version(1), version(2), run(2), version(0), run(0)],
        [used(1, 3), used(2, 3), logged(2, 1), logged(2, 2), used(0, 2), logged(0, 0)],
    )
    assert lineage_text.tree(shared).splitlines()[2:] == [
        "   ├─ data1:v0 · dataset · latest",
        "   │  └─ run2 · train run · finished",
        "   │     └─ data0:v0 · dataset · latest",
        "   │        └─ run0 · train run · finished",
        "   └─ data2:v0 · dataset · latest",
        "      └─ run2 · train run · finished ↑ drawn above",
    ]


def test_a_tree_marks_what_was_deleted_or_logged_again() -> None:
    circle = graph(
        "version:1",
        [version(1), run(1, is_deleted=True)],
        [used(1, 1), logged(1, 1, again=True)],
    )
    assert lineage_text.tree(circle).splitlines() == [
        "data1:v0 · dataset · latest",
        "├─ upstream",
        "│  └─ ✗ run1 · train run · finished · deleted ↺ logged again",
        "└─ downstream",
        "   └─ ✗ run1 · train run · finished · deleted",
        "      └─ data1:v0 · dataset · latest ↺ logged again",
    ]


def test_a_tree_marks_what_a_run_made_and_then_used() -> None:
    circle = graph("version:1", [version(1), run(1)], [logged(1, 1), used(1, 1, again=True)])
    assert lineage_text.tree(circle).splitlines() == [
        "data1:v0 · dataset · latest",
        "├─ upstream",
        "│  └─ run1 · train run · finished",
        "│     └─ data1:v0 · dataset · latest ↺ used later",
        "└─ downstream",
        "   └─ run1 · train run · finished ↺ used later",
    ]


def test_a_tree_of_one_node_is_one_line() -> None:
    assert lineage_text.tree(graph("run:1", [run(1)], [])) == "run1 · train run · finished"


def test_a_tree_says_that_it_was_cut() -> None:
    cut = LineageGraph("run:1", (run(1),), (), is_cut=True)
    assert "there is more: raise the depth" in lineage_text.tree(cut).splitlines()[-1]
    large = cut._replace(nodes=(run(1),) * NODES_MOST)
    last = lineage_text.tree(large).splitlines()[-1]
    assert last == "… there is more than the nearest 10,000: start nearer to what you look for"


def test_a_tree_of_a_long_chain_is_drawn() -> None:
    length = 2_000
    chain = graph(
        "version:0",
        [version(n) for n in range(length)] + [run(n) for n in range(length - 1)],
        [edge for n in range(length - 1) for edge in (used(n, n), logged(n, n + 1))],
    )
    assert len(lineage_text.tree(chain).splitlines()) == 2 * length


def test_a_hostile_name_neither_breaks_a_line_nor_moves_the_cursor() -> None:
    drawn = lineage_text.tree(graph("run:1", [run(1, HOSTILE)], []))
    assert len(drawn.splitlines()) == 1
    assert drawn.isprintable()


# --- text formats -------------------------------------------------------------------------------


def test_json_holds_every_node_and_edge() -> None:
    data = json.loads(lineage_text.to_json(PIPELINE))
    assert data["root"] == "version:2"
    assert [node["name"] for node in data["nodes"]] == [
        "ana/vision/model:v0",
        "ana/vision/run1",
        "ana/vision/data1:v0",
    ]
    assert data["nodes"][0]["created_at"] == "2026-01-01T00:00:00+00:00"
    assert data["edges"][0] == {
        "source": "version:1",
        "target": "run:1",
        "kind": "used",
        "alias": "prod",
        "is_relogged": False,
    }


def test_dot_draws_runs_as_boxes_and_edges_with_their_alias() -> None:
    lines = lineage_text.to_dot(PIPELINE).splitlines()
    assert lines[0] == "digraph lineage {"
    assert '  "run:1" [label="bold owl\\ntrain", tooltip="ana/vision/run1", shape="box"];' in lines
    assert '  "version:1" -> "run:1" [label="prod"];' in lines
    assert lines[-1] == "}"


_DOT_STRING = r'"(?:[^"\\\n]|\\.)*"'
_DOT_LINE = re.compile(
    rf"  {_DOT_STRING}(?: -> {_DOT_STRING})?"
    rf"(?: \[\w+={_DOT_STRING}(?:, \w+={_DOT_STRING})*\])?;"
)


@given(name=st.one_of(st.just(HOSTILE), st.text(max_size=20)))
def test_no_name_breaks_out_of_its_dot_string(name: str) -> None:
    text = lineage_text.to_dot(graph("run:1", [run(1, name), version(1)], [used(1, 1, alias=name)]))
    for line in text.rstrip("\n").split("\n")[3:-1]:
        assert _DOT_LINE.fullmatch(line), line


def test_dot_draws_an_ampersand_as_it_is() -> None:
    lines = lineage_text.to_dot(graph("run:1", [run(1, "R&D &lt; &amp;")], [])).splitlines()
    assert 'label="R&amp;D &amp;lt; &amp;amp;\\ntrain"' in lines[3]


def test_mermaid_draws_runs_as_boxes_and_artifacts_rounded() -> None:
    assert lineage_text.to_mermaid(PIPELINE).splitlines() == [
        "flowchart LR",
        '  n0(["model:v0<br/>model"])',
        '  n1["bold owl<br/>train"]',
        '  n2(["data1:v0<br/>dataset"])',
        '  n2 -->|"prod"| n1',
        "  n1 --> n0",
    ]


@given(name=st.one_of(st.just(HOSTILE), st.text(max_size=20)))
def test_no_name_breaks_out_of_its_mermaid_label(name: str) -> None:
    lines = lineage_text.to_mermaid(graph("run:1", [run(1, name)], [])).split("\n")
    assert len(lines) == 3
    label = re.fullmatch(r'  n0\["(.*)<br/>train"\]', lines[1])
    assert label is not None
    assert not re.search(r'["<>`|\[\]{}]', label[1])


@pytest.mark.parametrize("writer", [lineage_text.to_dot, lineage_text.to_mermaid])
def test_pictures_show_edges_that_would_close_a_cycle_dashed(writer) -> None:  # type: ignore[no-untyped-def]  # the two writers
    both = [logged(1, 1, again=True), used(2, 1, again=True)]
    text = writer(graph("version:1", [version(1), version(2), run(1)], both))
    assert "logged again" in text
    assert "used later" in text
    assert "dashed" in text or "-.->" in text


@pytest.mark.parametrize("writer", [lineage_text.to_dot, lineage_text.to_mermaid, to_svg])
def test_pictures_show_the_alias_of_a_use_unless_it_is_the_number(writer) -> None:  # type: ignore[no-untyped-def]  # the writers
    uses = [used(1, 1, alias="prod"), used(1, 2, alias="v0")]
    text = writer(graph("version:1", [version(1), run(1), run(2)], uses))
    assert "prod" in text
    assert text.count("v0") == writer(graph("version:1", [version(1)], [])).count("v0")


# --- OpenLineage --------------------------------------------------------------------------------


def test_openlineage_has_one_event_per_run_with_versions_as_facets() -> None:
    (event,) = openlineage.run_events(PIPELINE)
    assert event["eventType"] == "COMPLETE"
    assert event["job"] == {"namespace": "lineal://ana/vision", "name": "train"}
    (read,), (written,) = event["inputs"], event["outputs"]
    assert (read["namespace"], read["name"]) == ("lineal://ana/vision", "data1")
    assert written["facets"]["version"]["datasetVersion"] == "v0"


def test_openlineage_gives_a_run_the_same_uuid_every_time() -> None:
    ids = {openlineage.run_events(PIPELINE)[0]["run"]["runId"] for _ in range(2)}
    assert len(ids) == 1
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", ids.pop())


# --- folded -------------------------------------------------------------------------------------


def test_collapsing_groups_runs_by_job_type_and_artifacts_by_type() -> None:
    nodes = [version(0), *(run(n) for n in range(5)), run(9, job_type="evaluate")]
    edges = [*(used(0, n) for n in range(5)), used(0, 9)]
    folded = lineage_groups.collapsed(graph("version:0", nodes, edges))
    assert [(group.id, len(group.nodes), group.is_folded) for group in folded.groups] == [
        ("artifact/dataset", 1, False),
        ("run/train", 5, True),
        ("run/evaluate", 1, False),
    ]
    assert [(edge.source, edge.target, edge.count) for edge in folded.edges] == [
        ("artifact/dataset", "run/train", 5),
        ("artifact/dataset", "run/evaluate", 1),
    ]


# --- derived from -------------------------------------------------------------------------------


def test_what_is_derived_is_dashed_in_pictures_and_marked_in_the_tree() -> None:
    edge = LineageEdge("version:1", "version:2", EdgeKind.DERIVED)
    taken_over = graph("version:2", [version(2, "copy"), version(1)], [edge])
    assert '"version:1" -> "version:2" [label="derived", style="dashed"];' in lineage_text.to_dot(
        taken_over
    )
    assert 'n1 -.->|"derived"| n0' in lineage_text.to_mermaid(taken_over)
    assert lineage_text.tree(taken_over).splitlines()[-1].endswith("⇠ derived")
    assert json.loads(lineage_text.to_json(taken_over))["edges"][0]["kind"] == "derived"
    assert openlineage.run_events(taken_over) == []


def test_what_leads_past_other_types_is_dashed_in_pictures_and_marked_in_the_tree() -> None:
    edge = LineageEdge("run:1", "run:2", EdgeKind.THROUGH)
    joined = graph("run:1", [run(1), run(2)], [edge])
    assert '"run:1" -> "run:2" [style="dashed"];' in lineage_text.to_dot(joined)
    assert "n0 -.-> n1" in lineage_text.to_mermaid(joined)
    assert 'class="dashed"' in to_svg(joined)
    assert lineage_text.tree(joined).splitlines()[-1].endswith("⇠ through other types")
    assert json.loads(lineage_text.to_json(joined))["edges"][0]["kind"] == "through"
    assert [event["inputs"] for event in openlineage.run_events(joined)] == [[], []]
