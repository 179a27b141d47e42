"""What was deleted and how it comes back: `lineal deletions`, `lineal project rm|restore`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from lineal.cli import output
from lineal.cli.connect import all_of, connect
from lineal.cli.options import Json, Yes
from lineal.cli.retention import Project, project_of
from lineal.core.retention import Deletion, Restored

app = typer.Typer(
    help="Delete and restore projects; how long their versions live",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("rm")
def project_rm(
    project: Project,
    force: Annotated[
        bool, typer.Option("--force", help="Although other projects link it, or it is protected")
    ] = False,
    yes: Yes = False,
) -> None:
    """Delete a project with its runs and versions; `lineal project restore` undoes it."""
    connection = connect()
    entity, name = project_of(connection, project)
    connection.backend.project(entity, name)
    report = connection.backend.storage(entity=entity, project=name)
    size = output.size(report.own_bytes)
    collections = output.plural(len(report.rows), "collection")
    output.confirm(f"Delete {entity}/{name} with {collections} and {size} of its own?", yes=yes)
    connection.backend.delete_project(entity, name, force=force)
    output.data(f"Deleted {entity}/{name}; `lineal project restore {entity}/{name}` undoes it")


@app.command("restore")
def project_restore(project: Project, json: Json = False) -> None:
    """Bring a deleted project back, with its runs, versions and aliases."""
    connection = connect()
    entity, name = project_of(connection, project)
    restored = connection.backend.restore_project(entity, name)
    print_restored(f"{entity}/{name}", restored, json=json)


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
    record = connection.backend.restore_version(path)
    if json:
        output.as_json({"name": record.path, "aliases": list(record.aliases)})
        return
    output.data(f"Restored {record.path}: {', '.join(record.aliases) or 'no aliases'}")


def deletions(
    undo: Annotated[
        int | None, typer.Option("--restore", metavar="ID", help="Undo this one as a whole")
    ] = None,
    limit: Annotated[int, typer.Option(help="Deletions at most; 0: all of them")] = 50,
    json: Json = False,
) -> None:
    """List what was deleted, by whom and why, and until when it can be restored."""
    connection = connect()
    if undo is not None:
        restored = connection.backend.restore(undo)
        print_restored(f"deletion {undo}", restored, json=json)
        return
    found = all_of(connection.backend.deletions, limit=limit or None)
    if json:
        output.as_json_list(asdict(each) for each in found)
        return
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
        (restored.runs, "run", None),
        (restored.versions, "version", None),
        (restored.aliases, "alias", "aliases"),
    )
    told = [output.plural(count, noun, nouns) for count, noun, nouns in counts if count]
    output.data(f"Restored {what}: {', '.join(told) or 'nothing was deleted'}")
    if restored.released:
        output.note(
            f"{output.plural(restored.released, 'part')} was released, and cannot come back"
        )
    if restored.exempted:
        output.note(
            f"{output.plural(restored.exempted, 'version')} had expired, and never will now; "
            "`lineal artifact ttl` sets another time"
        )
