"""A lineage graph as one picture: an SVG that needs nothing beside it, data flowing to the right.

Pure and deterministic, as the other forms in `lineage_text.py`. Each node stands one column after
the last of what it was made from. What would make a column too long becomes one box (LIN-7).
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lineal.core.drawn_text import cut
from lineal.core.lineage import LineageEdge, LineageGraph, LineageNode
from lineal.core.lineage_text import asked_for, cut_words, cycle_words, is_dashed, printable
from lineal.core.moments import in_utc
from lineal.core.records import EdgeKind

SHOWN_MOST = 12
"""Nodes of one kind and type in a column; more of them become one box."""
TOOLTIP_MOST = 30
"""Names that the tooltip of such a box lists."""
BOX_WIDTH, BOX_HEIGHT = 200, 40
GAP_ACROSS, GAP_DOWN, MARGIN = 80, 18, 16
LABEL_MOST, NOTE_MOST = 28, 32
"""Ordinary letters that fit into a box: first line, second line."""
LANE_HEIGHT = 0.4
"""Of a box's: what a line takes where it passes a column."""
DIP = 20
"""How far below the boxes the ends of a line back are bent; it hangs three quarters as low."""
PASSES = 4
"""Times that boxes are moved towards what they are joined to, each time from both ends."""

_STYLE = """
text{font:12px system-ui,sans-serif;fill:#1a1a1a}
.note{font-size:10px;fill:#555}
.said{font-size:10px;fill:#555;text-anchor:middle;stroke:#fff;stroke-width:3px;paint-order:stroke}
rect{stroke-width:1.2}
.artifact rect{fill:#e3eefb;stroke:#4a7fc1}
.run rect{fill:#e4f4e4;stroke:#4d9a53}
.deleted rect{fill:#f3f3f3;stroke:#999;stroke-dasharray:4 3}
.deleted text{fill:#777}
.root rect{stroke-width:3}
path{fill:none;stroke:#888;stroke-width:1.2}
.dashed{stroke-dasharray:5 4}
marker path{fill:#888;stroke:none}
""".strip().replace("\n", "")


@dataclass(slots=True)
class _Box:
    """One node, many of one kind and type that are drawn as one, or none: a lane for lines."""

    nodes: list[LineageNode]
    column: int
    row: float = 0.0
    """Of its middle, in boxes from the top."""
    left: list[_Box] = field(default_factory=list)
    right: list[_Box] = field(default_factory=list)

    @property
    def height(self) -> float:
        """In boxes."""
        return 1.0 if self.nodes else LANE_HEIGHT

    @property
    def x(self) -> float:
        return MARGIN + self.column * (BOX_WIDTH + GAP_ACROSS)

    @property
    def y(self) -> float:
        return MARGIN + self.row * (BOX_HEIGHT + GAP_DOWN)


class _Line(NamedTuple):
    """What leads from one box, or lane, to the next."""

    source: _Box
    target: _Box
    said: str
    is_dashed: bool


def to_svg(graph: LineageGraph) -> str:
    """Draw the graph: artifacts blue, runs green, tombstones dashed, the root with a bold frame."""
    columns = _columns(graph)
    boxes = _boxes(graph, columns)
    box_of = {node.id: box for box in boxes for node in box.nodes}
    joins: dict[tuple[int, int], list[LineageEdge]] = {}
    for edge in graph.edges:
        source, target = box_of[edge.source], box_of[edge.target]
        if source is not target:
            joins.setdefault((id(source), id(target)), []).append(edge)
    lanes: dict[tuple[int, bool, int], _Box] = {}
    lines = [
        line
        for edges in joins.values()
        for line in _lines(box_of[edges[0].source], box_of[edges[0].target], edges, lanes)
    ]
    for line in lines:
        if line.target.column > line.source.column:
            line.source.right.append(line.target)
            line.target.left.append(line.source)
    _arrange([*boxes, *lanes.values()])
    width = max(box.x for box in boxes) + BOX_WIDTH + MARGIN
    height = max(box.y for box in boxes) + BOX_HEIGHT + MARGIN
    drawn = [_drawn(line) for line in lines]
    drawn += [_box(box, graph.root) for box in boxes]
    if graph.is_cut:
        height += MARGIN
        y, text = height - MARGIN / 2, cut_words(graph)
        drawn.append(f'<text class="note" x="{MARGIN}" y="{y:g}">{text}</text>')
    name = html.escape(printable(next(node.name for node in graph.nodes if node.id == graph.root)))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="Lineage of {name}" '
        f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}">'
        f"<style>{_STYLE}</style>"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>\n'
        + "\n".join(drawn)
        + "\n</svg>\n"
    )


# --- where things stand -------------------------------------------------------------------------


def _columns(graph: LineageGraph) -> dict[str, int]:
    """Return the column of each node: after all it was made from, a source just before its use."""
    after: dict[str, list[str]] = {node.id: [] for node in graph.nodes}
    waiting = dict.fromkeys(after, 0)
    for edge in graph.edges:
        if not edge.is_relogged:
            after[edge.source].append(edge.target)
            waiting[edge.target] += 1
    sources = [node_id for node_id, count in waiting.items() if count == 0]
    columns = dict.fromkeys(after, 0)
    ready = list(sources)
    while ready:
        node_id = ready.pop()
        for target in after[node_id]:
            columns[target] = max(columns[target], columns[node_id] + 1)
            waiting[target] -= 1
            if waiting[target] == 0:
                ready.append(target)
    for node_id in sources:
        if after[node_id]:
            columns[node_id] = min(columns[target] for target in after[node_id]) - 1
    first = min(columns.values())
    return {node_id: column - first for node_id, column in columns.items()}


def _boxes(graph: LineageGraph, columns: Mapping[str, int]) -> list[_Box]:
    """Return a box for each node, or for all of a kind that are too many for their column."""
    groups: dict[tuple[int, str, str], list[LineageNode]] = {}
    boxes = []
    for node in graph.nodes:
        if node.id == graph.root:
            boxes.append(_Box([node], columns[node.id]))
        else:
            groups.setdefault((columns[node.id], node.kind, node.type), []).append(node)
    for (column, _, _), nodes in groups.items():
        parts = [nodes] if len(nodes) > SHOWN_MOST else [[node] for node in nodes]
        boxes += [_Box(part, column) for part in parts]
    return boxes


def _lines(
    source: _Box,
    target: _Box,
    edges: Sequence[LineageEdge],
    lanes: dict[tuple[int, bool, int], _Box],
) -> Iterator[_Line]:
    """Yield the lines from one box to another, beside the boxes of the columns between.

    What leads on from one box shares a lane in each column: `lanes` has those drawn before.
    """
    dashed = all(is_dashed(edge) for edge in edges)
    last = source
    for column in range(source.column + 1, target.column):
        place = id(source), dashed, column
        lane = lanes.get(place)
        if lane is None:
            lane = lanes[place] = _Box([], column)
            yield _Line(last, lane, "", dashed)
        last = lane
    yield _Line(last, target, _said(edges), dashed)


def _arrange(boxes: Sequence[_Box]) -> None:
    """Give each box a row, near what it is joined to, so that few lines cross.

    What leads on counts, and where data begins or ends does not: long chains run straight.
    """
    columns: list[list[_Box]] = [[] for _ in range(max(box.column for box in boxes) + 1)]
    for box in boxes:
        columns[box.column].append(box)
    for column in columns:
        _place(column, [float(row) for row in range(len(column))])
    for _ in range(PASSES):
        for column in columns:
            _place(column, [_middle(box.left, box.row) for box in column])
        for column in reversed(columns):
            _place(column, [_middle(box.right, box.row) for box in column])
    top = min(box.row for box in boxes)
    for box in boxes:
        box.row -= top


def _middle(joined: Sequence[_Box], otherwise: float) -> float:
    leading_on = [box.row for box in joined if box.left and box.right]
    rows = leading_on or [box.row for box in joined]
    return sum(rows) / len(rows) if rows else otherwise


def _place(column: list[_Box], wanted: Sequence[float]) -> None:
    """Put boxes of a column as near to the wanted rows as they go without covering each other."""
    order = sorted(range(len(column)), key=lambda position: (wanted[position], position))
    end = float("-inf")
    for position in order:
        box = column[position]
        box.row = max(end + box.height / 2, wanted[position])
        end = box.row + box.height / 2
    off = [(want - box.row, box) for want, box in zip(wanted, column, strict=True)]
    leading_on = [way for way, box in off if box.left and box.right] or [way for way, _ in off]
    for box in column:
        box.row += sum(leading_on) / len(leading_on)


# --- what is drawn ------------------------------------------------------------------------------


def _box(box: _Box, root: str) -> str:
    node = box.nodes[0]
    classes = [node.kind]
    if all(one.is_deleted for one in box.nodes):
        classes.append("deleted")
    if node.id == root:
        classes.append("root")
    if len(box.nodes) > 1:
        label, note, title = _many(box.nodes)
        behind = _rectangle(box.x + 5, box.y + 5)
    else:
        label, note, title = node.label, _note(node), _title(node)
        behind = ""
    return (
        f'<g class="{" ".join(classes)}"><title>{_text(title)}</title>'
        f"{behind}{_rectangle(box.x, box.y)}"
        f'<text x="{box.x + 10:g}" y="{box.y + 17:g}">{_text(cut(label, LABEL_MOST))}</text>'
        f'<text class="note" x="{box.x + 10:g}" y="{box.y + 31:g}">'
        f"{_text(cut(note, NOTE_MOST))}</text></g>"
    )


def _rectangle(x: float, y: float) -> str:
    return f'<rect x="{x:g}" y="{y:g}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6"/>'


def _many(nodes: Sequence[LineageNode]) -> tuple[str, str, str]:
    first = nodes[0]
    what = f"{first.type} {'runs' if first.kind == 'run' else 'versions'}".strip()
    if first.kind == "run":
        states = Counter("deleted" if node.is_deleted else node.state for node in nodes)
        note = ", ".join(f"{count:,} {state}" for state, count in states.most_common())
    else:
        note = ", ".join(sorted({alias for node in nodes for alias in node.aliases}))
    names = [node.name for node in nodes[:TOOLTIP_MOST]]
    if len(nodes) > TOOLTIP_MOST:
        names.append(f"and {len(nodes) - TOOLTIP_MOST:,} more")
    return f"{len(nodes):,} {what}", note, "\n".join(names)


def _note(node: LineageNode) -> str:
    named = f"{node.type} run" if node.kind == "run" and node.type else node.type or node.kind
    said = "deleted" if node.is_deleted else node.state if node.kind == "run" else ""
    return " · ".join(part for part in (named, said, ", ".join(node.aliases)) if part)


def _title(node: LineageNode) -> str:
    made = in_utc(node.created_at)
    return "\n".join(part for part in (node.name, _note(node), made, node.digest) if part)


def _drawn(line: _Line) -> str:
    source, target = line.source, line.target
    shape, x, y = _back(source, target) if target.column <= source.column else _on(source, target)
    said = _text(line.said)
    words = f'<text class="said" x="{x:g}" y="{y:g}">{said}</text>' if said else ""
    kind = ' class="dashed"' if line.is_dashed else ""
    tip = ' marker-end="url(#tip)"' if target.nodes else ""
    return f'<path{kind}{tip} d="{shape}"/>{words}'


def _on(source: _Box, target: _Box) -> tuple[str, float, float]:
    """Return the shape of a line to the right, and where its words stand."""
    x1, y1 = source.x + BOX_WIDTH, source.y + BOX_HEIGHT / 2
    x2, y2 = target.x, target.y + BOX_HEIGHT / 2
    bend = (x2 - x1) / 2
    start = f"M{x1:g} {y1:g}" if source.nodes else f"M{source.x:g} {y1:g}H{x1:g}"
    shape = f"{start}C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}"
    return shape, (x1 + x2) / 2, (y1 + y2) / 2 - 4


def _back(source: _Box, target: _Box) -> tuple[str, float, float]:
    """Return the same of what would close a cycle: below the boxes, and below the way there."""
    x1, y1 = source.x + BOX_WIDTH / 2, source.y + BOX_HEIGHT
    x2, y2 = target.x + BOX_WIDTH / 2, target.y + BOX_HEIGHT
    shape = f"M{x1:g} {y1:g}C{x1:g} {y1 + DIP:g} {x2:g} {y2 + DIP:g} {x2:g} {y2:g}"
    return shape, (x1 + x2) / 2, (y1 + y2) / 2 + DIP * 3 / 4 - 4


def _said(edges: Sequence[LineageEdge]) -> str:
    edge = edges[0]
    if len(edges) > 1:
        return f"× {len(edges):,}"
    if edge.is_relogged:
        return cycle_words(edge)
    return "derived" if edge.kind is EdgeKind.DERIVED else cut(asked_for(edge), 12)


def _text(text: str) -> str:
    return html.escape("\n".join(printable(line) for line in text.split("\n")))
