"""`lineal artifact alias|tag|display-name|link|rm`: what changes once versions are logged."""

from __future__ import annotations

from typing import Annotated

import typer

import lineal
from lineal.cli import describe, output, selection
from lineal.cli.connect import Connection, connect
from lineal.cli.options import Json, Source, Version, Yes
from lineal.cli.retention import place_of
from lineal.core import names
from lineal.core.records import (
    AliasMove,
    CollectionKind,
    CollectionPatch,
    CollectionRecord,
    VersionPatch,
)
from lineal.core.retention import Selection
from lineal.errors import Conflict, Invalid


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
    """Put an alias on a version, take it off, or list where aliases have been."""
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
        output.as_json_list(_move(move) for move in moves)
        return
    output.table(
        ("moved", "alias", "from", "to", "by"),
        (
            (move.moved_at, move.alias, move.before or "-", move.after or "-", move.actor)
            for move in moves
        ),
    )


def _move(move: AliasMove) -> dict[str, object]:
    return {
        "moved_at": move.moved_at,
        "alias": move.alias,
        "before": move.before,
        "after": move.after,
        "actor": move.actor,
    }


def tag(
    name: Version,
    tags: Annotated[list[str], typer.Argument(metavar="TAG", help="Tags to put on it")],
    remove: Annotated[bool, typer.Option("--remove", help="Take the tags off it")] = False,
) -> None:
    """Put tags on a version, or take them off; many versions may share a tag."""
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
        str, typer.Argument(metavar="NAME", help="`[[entity/]project/]name` of a collection")
    ],
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="What people see; empty takes it away")
    ],
) -> None:
    """Give a collection a name for people, in any letters; paths go on using its own."""
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
        str, typer.Argument(metavar="TARGET", help="`[[entity/]project/]name` to show it under")
    ],
    alias: Annotated[
        list[str] | None,
        typer.Option("--alias", "-a", metavar="ALIAS", help="Alias of the link; repeatable"),
    ] = None,
) -> None:
    """Show a version under another name too, such as `models/production`; copies nothing."""
    linked = lineal.Api().artifact(source).link(target, aliases=alias or [])
    output.data(linked.qualified_name)


def rm(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME:REF",
            help="A version, such as `digits:v3`; with conditions a collection or project",
        ),
    ],
    delete_aliases: Annotated[
        bool, typer.Option("--delete-aliases", help="Delete it although it has aliases")
    ] = False,
    all: Annotated[
        bool, typer.Option("--all", help="Delete the collection with all its versions")
    ] = False,
    older_than: selection.OlderThan = None,
    untagged: selection.Untagged = False,
    unaliased: selection.Unaliased = False,
    unused: selection.Unused = False,
    keep_last: selection.KeepLast = None,
    keep_best: selection.KeepBestOf = None,
    by: selection.By = None,
    minimize: selection.Minimize = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be deleted; change nothing")
    ] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Delete a version, or all those for which every condition holds.

    A link is only unlinked. The place in the lineage stays, and `lineal artifact restore` undoes
    it until the bytes are freed. Conditions never choose linked or protected versions; what they
    choose is shown first, with the bytes that only these versions need.
    """
    chosen = selection.read(
        older_than=older_than,
        untagged=untagged,
        unaliased=unaliased,
        unused=unused,
        keep_last=keep_last,
        keep_best=keep_best,
        by=by,
        minimize=minimize,
    )
    if chosen is not None:
        if all:
            raise Invalid("`--all` leaves nothing to choose; leave it out, or the conditions")
        _rm_selected(name, chosen, dry_run=dry_run, yes=yes, json=json)
        return
    if json:
        raise Invalid("`--json` needs conditions, such as `--keep-last 5`")
    if all:
        _rm_collection(name, dry_run=dry_run, yes=yes)
    else:
        _rm_version(name, delete_aliases=delete_aliases, dry_run=dry_run, yes=yes)


def _rm_selected(name: str, chosen: Selection, *, dry_run: bool, yes: bool, json: bool) -> None:
    if ":" in name:
        raise Invalid(f"Conditions choose among the versions of a name; leave out `:` in {name}")
    connection = connect()
    place = place_of(connection, name)
    preview = connection.backend.preview(*place, chosen, with_metadata=False)
    shown = selection.preview_as_json(preview, chosen)
    if not json:
        selection.print_preview(preview)
    if not dry_run and preview.count:
        output.confirm(f"Delete {output.plural(preview.count, 'version')}?", yes=yes)
        act = connection.backend.delete_selected(*place, chosen)
        if act is not None:
            shown |= {"count": act.version_count, "deletion": act.id}
            output.note(
                f"Deleted {output.plural(act.version_count, 'version')}; "
                f"`lineal deletions --restore {act.id}` undoes it"
            )
    if json:
        output.as_json(shown)


def _rm_collection(name: str, *, dry_run: bool, yes: bool) -> None:
    connection = connect()
    path = connection.collection_path(name, instead=f"`lineal artifact rm {name}` deletes that one")
    collection = connection.backend.collection(path.entity, path.project, path.name)
    full = f"{path.entity}/{path.project}/{path.name}"
    count = output.plural(collection.version_count, "version")
    if dry_run:
        _preview_collection(connection, collection)
        return
    told = f"{count} unlinked" if collection.kind is CollectionKind.PORTFOLIO else count
    output.confirm(f"Delete {full} with {count}?", yes=yes)
    connection.backend.delete_collection(collection.id)
    output.data(f"Deleted {full}: {told}")


def _preview_collection(connection: Connection, collection: CollectionRecord) -> None:
    if collection.kind is CollectionKind.PORTFOLIO:
        links = output.plural(collection.version_count, "version")
        output.data(f"Would unlink {links} from {collection.path}; each stays where it was logged")
        return
    everything = Selection(keep_last=0)
    found = connection.backend.preview(
        collection.entity,
        collection.project,
        collection.name,
        everything,
        with_metadata=False,
    )
    selection.print_preview(found)
    if found.count < collection.version_count:
        kept = output.plural(collection.version_count - found.count, "more version")
        output.note(
            f"Nothing would be deleted: {collection.path} has {kept}, linked or with a protected "
            "alias; unlink these or take the alias off first"
        )


def _rm_version(name: str, *, delete_aliases: bool, dry_run: bool, yes: bool) -> None:
    if ":" not in name:
        raise Invalid(f"Say which version of {name} to delete, such as `{name}:v0`, or `--all`")
    connection = connect()
    record = connection.version(name)
    if record.is_link:
        if dry_run:
            output.data(f"Would unlink {record.path}; the version stays where it was logged")
            return
        output.confirm(f"Unlink {record.path}?", yes=yes)
        connection.backend.unlink_version(record.membership_id)
        output.data(f"Unlinked {record.path}")
        return
    size = output.size(record.size_bytes)
    if record.aliases and not delete_aliases:
        raise Conflict(
            f"Version {record.path} has aliases ({', '.join(record.aliases)}); "
            "`--delete-aliases` deletes it with them"
        )
    if dry_run:
        output.data(f"Would delete {record.path} ({size})")
        return
    output.confirm(f"Delete {record.path} ({size})?", yes=yes)
    connection.backend.delete_version(record.membership_id, delete_aliases=delete_aliases)
    output.data(f"Deleted {record.path}")
