"""`lineal run mv`: move a run to another project."""

from __future__ import annotations

from typing import Annotated

import typer

from lineal.cli import completing, output
from lineal.cli.connect import connect
from lineal.cli.options import Run
from lineal.core import full_names


def mv(
    run: Run,
    project: Annotated[
        str,
        typer.Argument(
            metavar="PROJECT", autocompletion=completing.projects, help="`[entity/]project`"
        ),
    ],
    artifacts: Annotated[
        bool,
        typer.Option("--artifacts", help="Move the collections that it alone logged, too"),
    ] = False,
) -> None:
    """Move a run to another project; its old name goes on leading to it.

    \b
    Example:
      lineal run mv vision/abcd1234 vision-archive --artifacts
    """
    connection = connect()
    record = connection.run(run)
    before = record.path
    entity, name = full_names.named_project(connection.path(project), record.entity)
    if (entity, name) == (record.entity, record.project):
        output.note(f"Run {before} is there already; nothing was changed")
        return
    result = connection.backend.move_run(record.key, entity, name, with_artifacts=artifacts)
    output.data(f"Moved run {before} to {entity}/{name}/{record.run_id}")
    for collection in result.moved:
        output.data(f"Moved artifact {collection}")
    for reason in result.kept:
        output.note(f"Stays where it is: {reason}")
