"""What a folder says to the runs started in it: `lineal init`, `online`, `offline`, `disabled`.

Written into the file `.lineal` of the working directory, which `load` reads (CLI-3).
"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from lineal.cli import output
from lineal.config import environment_variables, save
from lineal.core import names
from lineal.errors import UsageError
from lineal.setting_values import MODE_SPELLINGS


def init(
    project: Annotated[
        str | None,
        typer.Option(
            "--project", "-p", metavar="PROJECT", help="Project of what is made in this folder"
        ),
    ] = None,
    entity: Annotated[
        str | None,
        typer.Option("--entity", "-e", metavar="ENTITY", help="Who owns it; default: you"),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option("--mode", "-m", metavar="online|offline|disabled", help="Where its runs go"),
    ] = None,
) -> None:
    """Write down project, entity or mode of a folder, in its file `.lineal`.

    Nothing must be written for Lineal to work; a variable or an argument still wins.

    \b
    Example:
      lineal init --project vision
    """
    values = {}
    if project is not None:
        values["project"] = names.project_name(project)
    if entity is not None:
        values["entity"] = names.entity_name(entity)
    if mode is not None:
        if mode not in MODE_SPELLINGS:
            raise typer.BadParameter(
                f"Unknown mode `{mode}`; use `online`, `offline` or `disabled`"
            )
        values["mode"] = MODE_SPELLINGS[mode]
    if not values:
        raise UsageError("Say what holds for this folder, such as `--project vision`")
    _write(values)


def online() -> None:
    """Let runs of this folder go into the instance as they happen, which is the default."""
    _write({"mode": "online"})


def offline() -> None:
    """Let runs of this folder stay in folders of their own, for `lineal sync` later."""
    _write({"mode": "offline"})


def enabled() -> None:
    """Undo `lineal disabled`: same as `lineal online`."""
    _write({"mode": "online"})


def disabled() -> None:
    """Let runs of this folder record nothing; their code goes on."""
    _write({"mode": "disabled"})


def _write(values: dict[str, str]) -> None:
    path = save(values)
    told = ", ".join(f"{name} = {value}" for name, value in values.items())
    output.data(f"{path}: {told}")
    for name in values:
        stronger = [each for each in environment_variables(name) if os.environ.get(each)]
        if stronger:
            output.note(f"${stronger[0]} is set, and wins as long as it is")
