"""What was deleted and how it comes back: `lineal deletions`, `lineal artifact restore`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from itertools import islice
from typing import Annotated

import typer

from lineal.cli import output
from lineal.cli.connect import connect
from lineal.cli.options import NUMBER_MAX, Json
from lineal.cli.retention import ttl_words
from lineal.client.backend import all_of
from lineal.core.retention import Deletion, Level, Restored


def restore(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A version (`digits:v3`), or a collection: its last deletion"
        ),
    ],
    json: Json = False,
) -> None:
    """Bring a deleted version back, with the aliases that nobody set since."""
    connection = connect()
    path = connection.artifact_path(name)
    if ":" not in name:
        restored = connection.backend.restore_collection(path.entity, path.project, path.name)
        print_restored(f"{path.entity}/{path.project}/{path.name}", restored, json=json)
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
        int, typer.Option(min=0, max=NUMBER_MAX, help="Deletions at most; 0: all of them")
    ] = 50,
    json: Json = False,
) -> None:
    """List what was deleted, by whom and why, and until when it can be restored."""
    connection = connect()
    if undo is not None:
        restored = connection.backend.restore(undo)
        print_restored(f"deletion {undo}", restored, json=json)
        return
    listed = all_of(connection.backend.deletions)
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
                each.what,
            )
            for each in found
        ),
        right=("id",),
    )


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
