"""`lineal artifact alias|tag|display-name|link`: what versions and collections are called."""

from __future__ import annotations

from typing import Annotated

import typer

from lineal.cli import completing, describe, output
from lineal.cli.connect import connect
from lineal.cli.options import Json, Source, Version
from lineal.core import names
from lineal.core.records import CollectionPatch, VersionPatch
from lineal.errors import Invalid


def alias(
    name: Version,
    alias: Annotated[
        str | None, typer.Argument(metavar="ALIAS", help="The alias to put on it")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the alias off it")] = False,
    expect: Annotated[
        str | None,
        typer.Option(
            metavar="vN|none", help="Move it only if it is there now; exit code 5 otherwise"
        ),
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="List who moved which alias, and when")
    ] = False,
    json: Json = False,
) -> None:
    """Put an alias on a version, take it off, or list where aliases have been.

    \b
    Examples:
      lineal artifact alias vision/net:v7 production --expect v6
      lineal artifact alias vision/net --history
    """
    if history:
        if remove or expect is not None:
            raise typer.BadParameter("`--history` only lists; leave out `--remove` and `--expect`")
        _print_history(name, alias, json=json)
        return
    if not alias:
        raise typer.BadParameter("Say which alias, or `--history` to see all moves")
    connection = connect()
    record = connection.version(name)
    change = (names.alias(alias),)
    if remove and alias not in record.aliases:
        output.note(f"{record.path} has no alias `{alias}`; nothing to take off")
    patch = VersionPatch(
        aliases_added=() if remove else change,
        aliases_removed=change if remove else (),
        expected_version=None if expect is None else {alias: _expected(expect)},
    )
    changed = connection.backend.update_version(record.membership_id, patch)
    if json:
        output.as_json(describe.version(changed))
    else:
        output.data(f"{changed.path}: {', '.join(changed.aliases) or 'no aliases'}")


def _expected(text: str) -> str | None:
    if text.lower() == "none":
        return None
    if names.version_number(text) is None:
        raise Invalid(f"`--expect {text}` must be a version such as `v3`, or `none`")
    return text


def _print_history(name: str, alias: str | None, *, json: bool) -> None:
    connection = connect()
    path = connection.artifact_path(name)
    collection = connection.backend.collection(path.entity, path.project, path.name)
    moves = connection.backend.alias_history(collection.id, alias)
    if json:
        output.as_json_list(describe.alias_move(move) for move in moves)
        return
    output.table(
        ("moved", "alias", "from", "to", "by"),
        (
            (move.moved_at, move.alias, move.before or "-", move.after or "-", move.actor)
            for move in moves
        ),
        none=f"{collection.path} never had an alias{'' if alias is None else f' `{alias}`'}",
    )


def tag(
    name: Version,
    tags: Annotated[list[str], typer.Argument(metavar="TAG", help="Tags to put on it")],
    remove: Annotated[bool, typer.Option("--remove", help="Take the tags off it")] = False,
) -> None:
    """Put tags on a version, or take them off; many versions may share a tag.

    \b
    Example:
      lineal artifact tag vision/net:v7 checked "by hand"
    """
    connection = connect()
    record = connection.version(name)
    changes = tuple(names.tags(tags))
    absent = [each for each in changes if each not in record.tags] if remove else []
    if absent:
        output.note(f"{record.path} has no tag `{'`, `'.join(absent)}`; nothing to take off")
    patch = VersionPatch(
        tags_added=() if remove else changes, tags_removed=changes if remove else ()
    )
    changed = connection.backend.update_version(record.membership_id, patch)
    output.data(f"{changed.path}: {', '.join(changed.tags) or 'no tags'}")


def display_name(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            autocompletion=completing.artifacts,
            help="`[[entity/]project/]name` of a collection",
        ),
    ],
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="What people see; empty takes it away")
    ],
) -> None:
    """Give a collection a name for people, in any letters; paths go on using its own.

    \b
    Example:
      lineal artifact display-name vision/photos "Fotos für Größe, 写真"
    """
    connection = connect()
    path = connection.collection_path(
        name, instead="versions have no display name, only their collection has"
    )
    found = connection.backend.collection(path.entity, path.project, path.name)
    patch = CollectionPatch(display_name=text)
    changed = connection.backend.update_collection(found.id, patch)
    output.data(f"{changed.path}: {output.cell(changed.display_name or 'no display name')}")


def link(
    source: Source,
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            autocompletion=completing.artifacts,
            help="`[[entity/]project/]name` to show it under",
        ),
    ],
    alias: Annotated[
        list[str] | None,
        typer.Option("--alias", "-a", metavar="ALIAS", help="Alias of the link; repeatable"),
    ] = None,
) -> None:
    """Show a version under another name too, such as `models/production`; copies nothing.

    \b
    Example:
      lineal artifact link vision/net:v7 models/production
    """
    connection = connect()
    artifact = connection.artifact(connection.version(source))
    linked = artifact.link(target, aliases=alias or [])
    output.data(linked.qualified_name)
