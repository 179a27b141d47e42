"""The picture of a lineage graph: what stands where, and that names stay names."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
from tests.core.graphs import HOSTILE, graph, logged, run, used, version

from lineal.core.lineage import LineageEdge, LineageGraph
from lineal.core.lineage_picture import BOX_HEIGHT, BOX_WIDTH, GAP_ACROSS, SHOWN_MOST, to_svg
from lineal.core.records import EdgeKind

SVG = "{http://www.w3.org/2000/svg}"


class Drawn:
    """A picture, read back."""

    def __init__(self, graph: LineageGraph) -> None:
        self.text = to_svg(graph)
        self.tree = ElementTree.fromstring(self.text)
        self.boxes: dict[str, tuple[float, float]] = {}
        self.titles: dict[str, str] = {}
        self.classes: dict[str, str] = {}
        for group in self.tree.iter(f"{SVG}g"):
            front = group.findall(f"{SVG}rect")[-1]
            label = group.findtext(f"{SVG}text") or ""
            self.boxes[label] = float(front.attrib["x"]), float(front.attrib["y"])
            self.titles[label] = group.findtext(f"{SVG}title") or ""
            self.classes[label] = group.attrib["class"]
        self.said = [
            text.text for text in self.tree.iter(f"{SVG}text") if "said" in str(text.attrib)
        ]

    def column(self, label: str) -> int:
        columns = sorted({x for x, _ in self.boxes.values()})
        return columns.index(self.boxes[label][0])


def test_data_flows_to_the_right_through_boxes_that_say_what_they_are() -> None:
    drawn = Drawn(
        graph(
            "version:2",
            [version(2, "model", type="model"), run(1, "bold owl"), version(1)],
            [used(1, 1, alias="prod"), logged(1, 2)],
        )
    )
    assert [drawn.column(label) for label in ("data1:v0", "bold owl", "model:v0")] == [0, 1, 2]
    assert len({y for _, y in drawn.boxes.values()}) == 1
    assert drawn.classes == {"model:v0": "artifact root", "bold owl": "run", "data1:v0": "artifact"}
    assert "model · latest" in drawn.titles["model:v0"]
    assert "sha256:000" in drawn.titles["model:v0"]
    assert drawn.said == ["prod"]


def test_a_source_stands_just_before_its_first_use() -> None:
    drawn = Drawn(
        graph(
            "version:3",
            [version(1), run(1), version(2), run(2), version(3), version(9, "late")],
            [used(1, 1), logged(1, 2), used(2, 2), used(9, 2), logged(2, 3)],
        )
    )
    assert drawn.column("late:v0") == drawn.column("run2") - 1


def test_a_long_chain_runs_straight_beside_what_nobody_used() -> None:
    nodes = [version(0)]
    edges = []
    for step in range(1, 8):
        data, report, stats = 10 * step, 10 * step + 1, 10 * step + 2
        before = 10 * (step - 1)
        nodes += [run(step, f"step {step}"), version(data), version(report), version(stats)]
        edges += [used(before, step), *(logged(step, made) for made in (data, report, stats))]
    drawn = Drawn(graph("version:0", nodes, edges))
    chain = {y for label, (_, y) in drawn.boxes.items() if label.startswith("step")}
    assert len(chain) == 1


def test_too_many_of_one_kind_in_a_column_become_one_box_but_never_the_root() -> None:
    count = SHOWN_MOST + 2
    runs = [run(number) for number in range(1, count)]
    drawn = Drawn(
        graph(
            "run:0",
            [run(0), version(1), *runs, run(99, job_type="test")],
            [used(1, number) for number in (*range(count), 99)],
        )
    )
    assert set(drawn.boxes) == {"data1:v0", "run0", f"{count - 1} train runs", "run99"}
    assert "ana/vision/run7" in drawn.titles[f"{count - 1} train runs"]
    assert f"× {count - 1}" in drawn.said


def test_tombstones_and_edges_that_nobody_follows_are_dashed() -> None:
    derived = LineageEdge("version:1", "version:2", EdgeKind.DERIVED)
    drawn = Drawn(
        graph(
            "version:1",
            [version(1), version(2), run(1, is_deleted=True)],
            [used(1, 1), logged(1, 1, again=True), used(2, 1, again=True), derived],
        )
    )
    assert drawn.classes["run1"] == "run deleted"
    assert sorted(filter(None, drawn.said)) == ["derived", "logged again", "used later"]
    assert len(re.findall('class="dashed"', drawn.text)) == 3


def test_what_leads_back_runs_below_the_boxes() -> None:
    drawn = Drawn(graph("version:1", [version(1), run(1)], [logged(1, 1), used(1, 1, again=True)]))
    below = drawn.boxes["run1"][1] + BOX_HEIGHT
    (path,) = re.findall(
        r'class="dashed" marker-end="url\(#tip\)" d="M\S+ ([\d.]+)C[^"]* ([\d.]+)"', drawn.text
    )
    assert [float(y) for y in path] == [below, below]
    (said,) = (text for text in drawn.tree.iter(f"{SVG}text") if text.text == "used later")
    assert float(said.attrib["y"]) > below


def test_a_graph_that_was_cut_says_so() -> None:
    whole = graph("version:1", [version(1)], [])
    assert "there is more" not in to_svg(whole)
    assert "there is more" in to_svg(whole._replace(is_cut=True))


@given(name=st.one_of(st.just(HOSTILE), st.text(max_size=60)))
def test_a_name_is_text_and_nothing_else(name: str) -> None:
    drawn = Drawn(graph("run:1", [run(1, name)._replace(name=f"ana/{name}")], []))
    assert [element.tag for element in drawn.tree.iter(f"{SVG}g")] == [f"{SVG}g"]
    assert len(list(drawn.tree)) == 3  # style, defs and the one box


def test_wide_letters_are_cut_sooner_so_that_they_stay_in_their_box() -> None:
    def label(name: str) -> str:
        (shown,) = Drawn(graph("run:1", [run(1, name)], [])).boxes
        return shown

    assert label("n" * 28) == "n" * 28
    assert label("n" * 29) == "n" * 27 + "…"
    assert label("名" * 14) == "名" * 14
    assert label("名" * 28) == "名" * 14 + "…"
    assert len(label("W" * 40)) < 18
    assert len(label("E" * 40)) < 24
    assert label("n" + "\N{COMBINING ACUTE ACCENT}" * 40).endswith("\N{COMBINING ACUTE ACCENT}")


@st.composite
def graphs(draw: st.DrawFn) -> LineageGraph:
    """Any graph of runs and versions whose edges lead from lower to higher numbers."""
    size = draw(st.integers(1, 40))
    nodes = [run(n) if draw(st.booleans()) else version(n) for n in range(size)]
    pairs = st.tuples(st.integers(0, size - 1), st.integers(0, size - 1))
    edges = [
        LineageEdge(nodes[min(pair)].id, nodes[max(pair)].id, EdgeKind.USED)
        for pair in draw(st.sets(pairs, max_size=80))
        if pair[0] != pair[1]
    ]
    return graph(draw(st.sampled_from(nodes)).id, nodes, edges)


@given(graphs())
def test_boxes_never_cover_each_other_and_stay_inside(drawable: LineageGraph) -> None:
    drawn = Drawn(drawable)
    width, height = float(drawn.tree.attrib["width"]), float(drawn.tree.attrib["height"])
    places = sorted(drawn.boxes.values())
    for (x, y), (next_x, next_y) in pairwise(places):
        assert next_x >= x + BOX_WIDTH or next_y >= y + BOX_HEIGHT
    assert all(0 <= x <= width - BOX_WIDTH for x, _ in places)
    assert all(0 <= y <= height - BOX_HEIGHT for _, y in places)
    assert to_svg(drawable) == drawn.text


def read(path: ElementTree.Element, shape: str) -> tuple[str, ...]:
    """Return the numbers of a line that has this shape, as it must."""
    found = re.fullmatch(shape, path.attrib["d"])
    assert found is not None
    return found.groups("")


@given(graphs())
def test_every_edge_leads_to_a_later_column(drawable: LineageGraph) -> None:
    for path in Drawn(drawable).tree.findall(f"{SVG}path"):
        start, end = read(path, r"M([\d.e+-]+) .* ([\d.e+-]+) \S+")
        assert float(start) < float(end)


@given(graphs())
def test_no_line_passes_below_a_box(drawable: LineageGraph) -> None:
    drawn = Drawn(drawable)
    for path in drawn.tree.findall(f"{SVG}path"):
        numbers = r"M(\S+) (\S+?)(?:H(\S+?))?C\S+ \S+ \S+ \S+ (\S+) \S+"
        x, y, passed, end = read(path, numbers)
        assert float(end) - float(passed or x) == GAP_ACROSS
        if passed:  # a column, along its lane
            assert float(passed) - float(x) == BOX_WIDTH
            tops = [box_y for box_x, box_y in drawn.boxes.values() if box_x == float(x)]
            assert not any(top <= float(y) <= top + BOX_HEIGHT for top in tops)
