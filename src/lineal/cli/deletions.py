"""`lineal artifact rm`, and how it comes back: `lineal artifact restore`, `lineal deletions`."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from itertools import islice
from json import loads
from typing import Annotated

import typer

from lineal.cli import completing, output, selection
from lineal.cli.connect import Connection, connect, place_of
from lineal.cli.options import NUMBER_MAX, Json, Yes
from lineal.cli.retention import ttl_words
from lineal.client.pages import BULK_PAGE_SIZE, all_of
from lineal.core import full_names
from lineal.core.records import CollectionKind, CollectionRecord
from lineal.core.retention import Deletion, Level, Restored, Selection, selection_from_json
from lineal.errors import Conflict, Invalid


def rm(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME:REF",
            autocompletion=completing.places,
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
    type: selection.OfType = None,
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

    \b
    Examples:
      lineal artifact rm vision/net:v3 --delete-aliases
      lineal artifact rm vision/net --keep-last 5 --keep-best 3 --by summary.val_acc
      lineal artifact rm vision --older-than 90d --unused --untagged
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
        type=type,
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
    if full_names.names_version(name):
        raise Invalid(f"Conditions choose among the versions of a name; leave out `:` in {name}")
    connection = connect()
    place = place_of(connection, name)
    preview = connection.backend.preview(*place, chosen, with_metadata=False)
    shown = selection.preview_as_json(preview, chosen)
    if not json:
        selection.print_preview(preview)
    if not dry_run and preview.count:
        output.confirm(f"Delete {output.plural(preview.count, 'version')}?", yes=yes)
        deletion = connection.backend.delete_selected(*place, chosen)
        if deletion is not None:
            shown |= {"count": deletion.version_count, "deletion": deletion.id}
            output.note(
                f"Deleted {output.plural(deletion.version_count, 'version')}; "
                f"`lineal deletions --restore {deletion.id}` undoes it"
            )
    if json:
        output.as_json(shown)


def _rm_collection(name: str, *, dry_run: bool, yes: bool) -> None:
    connection = connect()
    path = connection.collection_path(
        name, instead=f"`lineal artifact rm {shlex.quote(name)}` deletes that one"
    )
    collection = connection.backend.collection(path.entity, path.project, path.name)
    count = output.plural(collection.version_count, "version")
    if dry_run:
        _preview_collection(connection, collection)
        return
    undo = f"`lineal artifact restore {shlex.quote(collection.path)}` undoes it"
    is_portfolio = collection.kind is CollectionKind.PORTFOLIO
    told = f"{count} unlinked" if is_portfolio else f"{count}; {undo}"
    output.confirm(f"Delete {collection.path} with {count}?", yes=yes)
    connection.backend.delete_collection(collection.id)
    output.data(f"Deleted {collection.path}: {told}")


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
        raise Conflict(
            f"Nothing would be deleted: {collection.path} has {kept}, linked or with a protected "
            "alias; unlink these or take the alias off first"
        )


def _rm_version(name: str, *, delete_aliases: bool, dry_run: bool, yes: bool) -> None:
    if not full_names.names_version(name):
        raise Invalid(f"Say which version of {name} to delete, such as `{name}:v0`, or `--all`")
    connection = connect()
    record = connection.version(name)
    delete = partial(
        connection.backend.delete_version, record.membership_id, delete_aliases=delete_aliases
    )
    delete(dry_run=True)  # what is in the way is said before anybody is asked
    if record.is_link:
        if dry_run:
            output.data(f"Would unlink {record.path}; the version stays where it was logged")
            return
        output.confirm(f"Unlink {record.path}?", yes=yes)
        delete()
        output.data(f"Unlinked {record.path}")
        return
    size = output.size(record.size_bytes)
    if dry_run:
        output.data(f"Would delete {record.path} ({size})")
        return
    output.confirm(f"Delete {record.path} ({size})?", yes=yes)
    delete()
    restore = f"`lineal artifact restore {shlex.quote(record.path)}`"
    output.data(f"Deleted {record.path}; {restore} undoes it")


def restore(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            autocompletion=completing.artifacts,
            help="A version (`digits:v3`), or a collection: its last deletion",
        ),
    ],
    json: Json = False,
) -> None:
    """Bring a deleted version back, with the aliases that nobody set since.

    \b
    Example:
      lineal artifact restore vision/net:v3
    """
    connection = connect()
    path = connection.artifact_path(name)
    if not full_names.names_version(name):
        restored = connection.backend.restore_collection(path.entity, path.project, path.name)
        print_restored(path.without_ref, restored, json=json)
        return
    record, restored = connection.backend.restore_version(path)
    lives = connection.backend.effective_ttl(record.id)
    if json:
        output.as_json(
            {
                "name": record.path,
                "aliases": list(record.aliases),
                "versions": restored.versions,
                "expires_at": lives.expires_at,
            }
        )
        return
    if not restored.versions:
        output.note(f"{record.path} was not deleted; nothing was changed")
        return
    output.data(f"Restored {record.path}: {', '.join(record.aliases) or 'no aliases'}")
    if lives.level is not Level.NONE:
        output.note(f"{record.path}: {ttl_words(lives)}; `lineal artifact ttl` sets another time")
    _note_let_go(restored.let_go)


def deletions(
    undo: Annotated[
        int | None, typer.Option("--restore", metavar="ID", help="Undo this one as a whole")
    ] = None,
    limit: Annotated[
        int,
        typer.Option(metavar="N", min=0, max=NUMBER_MAX, help="Deletions at most; 0: all of them"),
    ] = 50,
    json: Json = False,
) -> None:
    """List what was deleted, by whom and why, and until when it can be restored.

    Of what expired or was chosen by conditions, the first versions are named.

    \b
    Examples:
      lineal deletions
      lineal deletions --restore 12
    """
    connection = connect()
    if undo is not None:
        restored = connection.backend.restore(undo)
        print_restored(f"deletion {undo}", restored, json=json)
        return
    size = min(limit + 1, BULK_PAGE_SIZE) if limit else BULK_PAGE_SIZE
    listed = all_of(connection.backend.deletions, size=size)
    found = islice(listed, limit or None)
    if json:
        output.as_json_list(asdict(each) for each in found)
    else:
        _print(found)
    if next(listed, None) is not None:
        output.note(f"Only the first {limit:,}; `--limit 0` lists all")


def _print(found: Iterable[Deletion]) -> None:
    output.table(
        ("id", "deleted", "by", "why", "hidden", "restorable until", "what"),
        (
            (
                each.id,
                each.deleted_at,
                each.deleted_by,
                each.reason,
                _hidden(each),
                each.restorable_until or ("restored" if each.restored_at else "gone"),
                _what(each),
            )
            for each in found
        ),
        right=("id",),
        none="Nothing was deleted here",
    )


def _what(each: Deletion) -> str:
    """Say what a deletion hid, with names where it is told as a number only."""
    if not each.versions or each.versions[0].startswith(each.what):
        return _in_words(each.what)
    more = " …" if each.version_count > len(each.versions) else ""
    return f"{_in_words(each.what)}: {', '.join(each.versions)}{more}"


def _in_words(what: str) -> str:
    """Say conditions as people do; what else was deleted is a name already."""
    if not what.startswith("{"):  # of no name
        return what
    try:
        said = loads(what)
        return f"in {said.pop('in')} what was {selection.words(selection_from_json(said))}"
    except (ValueError, KeyError):  # of a version to come, with conditions that nobody knows yet
        return what


def _hidden(each: Deletion) -> str:
    counts = (
        (each.project_count, "project"),
        (each.run_count, "run"),
        (each.version_count, "version"),
    )
    return ", ".join(output.plural(count, noun) for count, noun in counts if count)


def print_restored(what: str, restored: Restored, *, json: bool) -> None:
    if json:
        output.as_json(asdict(restored))
        return
    counts = (
        (restored.projects, "project", None),
        (restored.collections, "collection", None),
        (restored.runs, "run", None),
        (restored.versions, "version", None),
        (restored.aliases, "alias", "aliases"),
    )
    told = [output.plural(count, noun, nouns) for count, noun, nouns in counts if count]
    if told:
        output.data(f"Restored {what}: {', '.join(told)}")
    else:
        output.note(f"Nothing of {what} is deleted; nothing was changed")
    if restored.released:
        output.note(
            f"{output.plural(restored.released, 'part')} cannot come back: released already"
        )
    if restored.exempted:
        output.note(
            f"{output.plural(restored.exempted, 'version')} had expired, and never will now; "
            "`lineal artifact ttl` sets another time"
        )
    _note_let_go(restored.let_go)


def _note_let_go(count: int) -> None:
    if count:
        output.note(
            f"A retention policy lets {output.plural(count, 'version')} go: restored, no policy "
            "takes that again, and it stays until you delete it"
        )
