"""`lineal project`: what projects there are, and how one goes and comes back."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from lineal.cli import describe, output
from lineal.cli.connect import connect
from lineal.cli.deletions import print_restored
from lineal.cli.groups import new_group
from lineal.cli.options import Json, Project, Yes
from lineal.client.pages import all_of
from lineal.core.records import CollectionQuery, PageRequest

app = new_group("List, delete and restore projects; how long their versions live")


@app.command("ls")
def project_ls(
    entity: Annotated[
        str | None, typer.Argument(metavar="ENTITY", help="Whose projects; default: yours")
    ] = None,
    json: Json = False,
) -> None:
    """List projects by name; what is in one, `lineal artifact ls` and `lineal run ls` say."""
    connection = connect()
    backend = connection.backend
    whose = entity or backend.entity
    found = all_of(lambda page: backend.projects(whose, page))
    if json:
        output.as_json_list(map(describe.project, found))
    else:
        output.table(
            ("created", "protected aliases", "name"),
            (
                (each.created_at, ", ".join(each.protected_aliases), f"{each.entity}/{each.name}")
                for each in found
            ),
            none=f"No projects {connection.in_home(whose)} yet; `lineal demo` makes one",
        )


@app.command("rm")
def project_rm(
    project: Project,
    force: Annotated[
        bool,
        typer.Option("--force", help="Although other projects use or link it, or it is protected"),
    ] = False,
    yes: Yes = False,
) -> None:
    """Delete a project with its runs and versions; `lineal project restore` undoes it."""
    connection = connect()
    entity, name = connection.named_project(project)
    connection.backend.project(entity, name)
    found = connection.backend.collections(
        CollectionQuery(entity, name), PageRequest(only_total=True)
    )
    collections = output.plural(found.total or 0, "collection")
    size = output.size(connection.backend.storage(entity=entity, project=name).own_bytes)
    output.confirm(f"Delete {entity}/{name} with {collections} and {size} of its own?", yes=yes)
    connection.backend.delete_project(entity, name, force=force)
    path = f"{entity}/{name}"
    output.data(f"Deleted {path}; `lineal project restore {shlex.quote(path)}` undoes it")


@app.command("restore")
def project_restore(project: Project, json: Json = False) -> None:
    """Bring a deleted project back, with its runs, versions and aliases."""
    connection = connect()
    entity, name = connection.named_project(project)
    restored = connection.backend.restore_project(entity, name)
    print_restored(f"{entity}/{name}", restored, json=json)
