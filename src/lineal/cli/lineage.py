"""`lineal lineage`: which data made this, and what was made from it (section 10)."""

from __future__ import annotations

import json as json_module
from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from lineal.cli import completing, output
from lineal.cli.connect import Connection, connect
from lineal.client.pages import all_of
from lineal.client.public.graph import Graph, without_types
from lineal.core.full_names import ArtifactPath
from lineal.core.lineage import Direction, LineageQuery, run_node, version_node
from lineal.core.lineage_text import cut_words
from lineal.core.records import CollectionQuery
from lineal.errors import Gone, NotFound, RunNotFoundError
from lineal.nearest import nearest

DEPTH = 100


class Way(StrEnum):
    UP = "up"
    DOWN = "down"
    BOTH = "both"


class Format(StrEnum):
    TREE = "tree"
    JSON = "json"
    DOT = "dot"
    MERMAID = "mermaid"
    SVG = "svg"
    OPENLINEAGE = "openlineage"


_DIRECTIONS = {
    Way.UP: Direction.UPSTREAM,
    Way.DOWN: Direction.DOWNSTREAM,
    Way.BOTH: Direction.BOTH,
}


def lineage(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|RUN",
            autocompletion=completing.nodes,
            help="A version (`digits:v3`), a run, or a name",
        ),
    ],
    direction: Annotated[
        Way,
        typer.Option(
            metavar="up|down|both", help="`up`: what it was made from; `down`: what was made of it"
        ),
    ] = Way.BOTH,
    depth: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="Steps to walk; a run and a version are one step each"
        ),
    ] = DEPTH,
    type: Annotated[
        list[str] | None,
        typer.Option(
            "--type", "-t", metavar="TYPE", help="Only versions of this type; may be repeated"
        ),
    ] = None,
    derived: Annotated[
        bool,
        typer.Option(
            "--derived",
            help="Also what took files over from what: drafts of a version, lineal:// references",
        ),
    ] = False,
    format: Annotated[
        Format,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help="`tree`, `svg` (a picture), `json`, `dot`, `mermaid` or `openlineage`",
        ),
    ] = Format.TREE,
    json: Annotated[bool, typer.Option("--json", help="Short for `--format json`")] = False,
) -> None:
    """Show what a version or run came from and led to.

    \b
    Examples:
      lineal lineage vision/net:production --direction up
      lineal lineage vision/photos --direction down --type model --format mermaid
    """
    if json and format not in (Format.TREE, Format.JSON):
        raise typer.BadParameter(f"`--json` and `--format {format}` contradict each other; say one")
    wanted = Format.JSON if json else format
    connection = connect()
    query = LineageQuery(
        direction=_DIRECTIONS[direction], depth=depth, types=tuple(type or ()), derived=derived
    )
    root = _root(connection, name)
    found = connection.backend.lineage(root, query)
    graph = Graph(found)
    if (lacking := without_types(connection.backend, root, query, graph)) is not None:
        output.note(lacking)
    if graph.is_cut and wanted in (Format.DOT, Format.MERMAID, Format.OPENLINEAGE):
        output.note(cut_words(found).capitalize())
    if wanted is Format.JSON:
        output.as_json(json_module.loads(graph.to_json()))
    elif wanted is Format.DOT:
        output.data(graph.to_dot())
    elif wanted is Format.MERMAID:
        output.data(graph.to_mermaid())
    elif wanted is Format.SVG:
        output.as_xml(graph.to_svg())
    elif wanted is Format.OPENLINEAGE:
        output.as_json(graph.to_openlineage())
    else:
        output.tree(str(graph))


def _root(connection: Connection, name: str) -> str:
    """Return the node that a name means: with `:` a version, else a run, else `name:latest`.

    What was deleted still has its lineage (LIN-9).
    """
    name = connection.path(name)
    backend = connection.backend
    run_meant = None
    if ":" not in name:
        try:
            return run_node(backend.run(*connection.run_path(name), with_deleted=True).key)
        except RunNotFoundError as error:  # then it names an artifact; if not, the error says both
            run_meant = error.meant
    path = connection.artifact_path(name)
    try:
        return version_node(backend.version(path, with_deleted=True).id)
    except NotFound as error:
        if ":" in name:
            raise
        try:
            backend.collection(path.entity, path.project, path.name)
        except Gone:
            raise
        except NotFound:
            raise _neither(connection, path, run_meant) from error
        raise  # it is there, but has no such version


def _neither(connection: Connection, path: ArtifactPath, run_meant: str | None) -> NotFound:
    near = nearest(path.name, _artifact_names(connection, path))
    meant = run_meant or (f"{path.project}/{near[0]}" if near else None)
    return NotFound(
        f"{path.name} is neither a run nor an artifact in {path.entity}/{path.project}; "
        f"{f'did you mean `{meant}`? ' if meant else ''}`lineal run ls` and "
        "`lineal artifact ls` list both. Of another project write `project/run_id` or "
        "`project/name`"
    )


def _artifact_names(connection: Connection, path: ArtifactPath) -> list[str]:
    """Return the names of the artifacts beside one, none if there is no such project."""
    query = CollectionQuery(path.entity, path.project)
    try:
        return [each.name for each in all_of(partial(connection.backend.collections, query))]
    except NotFound:
        return []
