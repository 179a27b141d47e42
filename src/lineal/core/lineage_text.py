"""A lineage graph as text: JSON, DOT, Mermaid, and a tree for the terminal.

Pure and deterministic: the same graph gives the same text. Names come from users, so that every
writer escapes them for its format.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lineal.core.lineage import NODES_MOST, LineageEdge, LineageGraph, LineageNode
from lineal.core.names import version_number
from lineal.core.records import EdgeKind


def cut_words(graph: LineageGraph) -> str:
    """Say of a graph that is cut what to do about it."""
    nearer = "start nearer to what you look for"
    if len(graph.nodes) >= NODES_MOST:
        return f"there is more than the nearest {NODES_MOST:,}: {nearer}"
    return f"there is more: raise the depth, or {nearer}"


# --- data ---------------------------------------------------------------------------------------


def to_data(graph: LineageGraph) -> dict[str, Any]:
    """Return the graph as plain dicts and lists; moments become ISO-8601 text."""
    return {
        "root": graph.root,
        "is_cut": graph.is_cut,
        "nodes": [
            {
                **node._asdict(),
                "created_at": node.created_at.isoformat(),
                "aliases": list(node.aliases),
            }
            for node in graph.nodes
        ],
        "edges": [{**edge._asdict(), "kind": edge.kind.value} for edge in graph.edges],
    }


def to_json(graph: LineageGraph) -> str:
    return json.dumps(to_data(graph), indent=2, ensure_ascii=False)


# --- pictures -----------------------------------------------------------------------------------


def to_dot(graph: LineageGraph) -> str:
    """Write the graph for Graphviz: runs as boxes, artifacts as ellipses, tombstones dashed."""
    lines = ["digraph lineage {", "  rankdir=LR;", '  node [fontname="sans-serif"];']
    for node in graph.nodes:
        attributes = {
            "label": f"{node.label}\n{_type_of(node)}",
            "tooltip": node.name,
            "shape": "box" if node.kind == "run" else "ellipse",
        }
        if node.is_deleted:
            attributes["style"] = "dashed"
        elif node.id == graph.root:
            attributes["style"] = "bold"
        lines.append(f"  {_dot(node.id)} [{_dot_attributes(attributes)}];")
    for edge in graph.edges:
        attributes = {"label": asked_for(edge)} if asked_for(edge) else {}
        if edge.is_relogged:
            attributes |= {"label": cycle_words(edge), "style": "dashed", "constraint": "false"}
        elif edge.kind is EdgeKind.DERIVED:
            attributes |= {"label": "derived", "style": "dashed"}
        elif edge.kind is EdgeKind.THROUGH:
            attributes |= {"style": "dashed"}
        tail = f" [{_dot_attributes(attributes)}]" if attributes else ""
        lines.append(f"  {_dot(edge.source)} -> {_dot(edge.target)}{tail};")
    return "\n".join([*lines, "}", ""])


def _dot_attributes(attributes: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={_dot(value)}" for name, value in attributes.items())


def _dot(text: str) -> str:
    """Quote text for DOT; a backslash in a name stays one, a line break becomes `\\n`.

    Graphviz reads `&lt;` and the like as one character, so that `&` is written as `&amp;`.
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    escaped = escaped.replace("&", "&amp;")
    return f'"{printable(escaped)}"'


def to_mermaid(graph: LineageGraph) -> str:
    """Write the graph as a Mermaid flowchart; nodes are numbered `n0`, `n1`, … in order."""
    short = {node.id: f"n{position}" for position, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for node in graph.nodes:
        label = f"{_mermaid(node.label)}<br/>{_mermaid(_type_of(node))}"
        opening, closing = ("[", "]") if node.kind == "run" else ("([", "])")
        lines.append(f'  {short[node.id]}{opening}"{label}"{closing}')
    for edge in graph.edges:
        text = asked_for(edge)
        if edge.is_relogged:
            text = cycle_words(edge)
        elif edge.kind is EdgeKind.DERIVED:
            text = "derived"
        arrow = "-.->" if is_dashed(edge) else "-->"
        label = f'|"{_mermaid(text)}"|' if text else ""
        lines.append(f"  {short[edge.source]} {arrow}{label} {short[edge.target]}")
    deleted = [short[node.id] for node in graph.nodes if node.is_deleted]
    if deleted:
        lines.append("  classDef deleted stroke-dasharray: 5 5,opacity:0.6")
        lines.append(f"  class {','.join(deleted)} deleted")
    return "\n".join([*lines, ""])


_MERMAID_UNSAFE = re.compile(r"^[\d*+-]|[^\w ./:,+=-]", re.ASCII)


def _mermaid(text: str) -> str:
    """Write text inside quotes: all that Mermaid or HTML might read as markup as a number.

    So is a first character that would start a Markdown list.
    """
    return _MERMAID_UNSAFE.sub(lambda match: f"#{ord(match[0])};", printable(text))


def asked_for(edge: LineageEdge) -> str:
    """Return the alias that a picture has beside a use; a number only repeats the version's own."""
    return "" if edge.alias is None or version_number(edge.alias) is not None else edge.alias


def is_dashed(edge: LineageEdge) -> bool:
    """Say whether a picture dashes an edge: no run simply used or logged something there."""
    return edge.is_relogged or edge.kind in (EdgeKind.DERIVED, EdgeKind.THROUGH)


def cycle_words(edge: LineageEdge) -> str:
    """Say why an edge is not followed: a run wrote what it had read, or read what it had made."""
    return "used later" if edge.kind is EdgeKind.USED else "logged again"


def _type_of(node: LineageNode) -> str:
    named = node.type or node.kind
    return f"{named}, deleted" if node.is_deleted else named


def printable(text: str) -> str:
    """Replace control characters: a name must not move the cursor or end a line."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


# --- the terminal -------------------------------------------------------------------------------


def tree(graph: LineageGraph) -> str:
    """Draw the graph as lines: the root, what lies upstream of it, what lies downstream.

    What hangs below several nodes is drawn in full once and named again elsewhere; deleted nodes
    and edges that would close a cycle are marked. Nodes are in the order of their edges.
    """
    nodes = {node.id: node for node in graph.nodes}
    lines = [_line(nodes[graph.root])]
    sections = [
        (name, drawn)
        for name, downstream in (("upstream", False), ("downstream", True))
        if (drawn := _branches(graph, nodes, downstream=downstream))
    ]
    for position, (name, drawn) in enumerate(sections):
        is_last = position == len(sections) - 1
        lines.append(("└─ " if is_last else "├─ ") + name)
        lines += [("   " if is_last else "│  ") + line for line in drawn]
    if graph.is_cut:
        lines.append(f"… {cut_words(graph)}")
    return "\n".join(lines)


def _branches(
    graph: LineageGraph, nodes: Mapping[str, LineageNode], *, downstream: bool
) -> list[str]:
    below: dict[str, list[tuple[str, LineageEdge]]] = {}
    for edge in graph.edges:
        upper, lower = (edge.source, edge.target) if downstream else (edge.target, edge.source)
        below.setdefault(upper, []).append((lower, edge))
    lines: list[str] = []
    drawn = {graph.root}
    pending = list(_pending(below, graph.root, ""))  # a stack: a chain may be thousands long
    while pending:
        node_id, edge, is_last, indent = pending.pop()
        mark = ""
        expands = not edge.is_relogged and node_id not in drawn and node_id in below
        if edge.is_relogged:
            mark = f" ↺ {cycle_words(edge)}"
        elif node_id in drawn and node_id in below:
            mark = " ↑ drawn above"
        if edge.kind is EdgeKind.DERIVED:
            mark = f" ⇠ derived{mark}"
        elif edge.kind is EdgeKind.THROUGH:
            mark = f" ⇠ through other types{mark}"
        lines.append(f"{indent}{'└─' if is_last else '├─'} {_line(nodes[node_id])}{mark}")
        if expands:
            pending += _pending(below, node_id, indent + ("   " if is_last else "│  "))
        if not edge.is_relogged:
            drawn.add(node_id)
    return lines


def _pending(
    below: Mapping[str, list[tuple[str, LineageEdge]]], node_id: str, indent: str
) -> Iterator[tuple[str, LineageEdge, bool, str]]:
    """Yield what to draw below a node, the last first: it goes on a stack."""
    for position, (child, edge) in enumerate(reversed(below.get(node_id, []))):
        yield child, edge, position == 0, indent


def _line(node: LineageNode) -> str:
    if node.kind == "run":
        run_id = node.name.rpartition("/")[2]
        shown = node.label if node.label == run_id else f"{node.label} ({run_id})"
        parts = [shown, f"{node.type} run" if node.type else "run", node.state]
    else:
        parts = [node.label, node.type, ", ".join(node.aliases)]
    text = printable(" · ".join(part for part in parts if part))
    return f"✗ {text} · deleted" if node.is_deleted else text
