"""Options and arguments that several commands share, so that they read and mean the same."""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated

import typer

from lineal.cli import completing
from lineal.core.records import JsonObject
from lineal.errors import Invalid

Json = Annotated[bool, typer.Option("--json", help="Print JSON to stdout")]
NUMBER_MAX = 10**9
"""Of things that somebody wants to see; a larger number is mistyped."""
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first")]
_VERSION = "`[[entity/]project/]name[:alias]`; without alias the latest"
_artifact = partial(typer.Argument, autocompletion=completing.artifacts)
Version = Annotated[str, _artifact(metavar="NAME", help=_VERSION)]
Source = Annotated[str, _artifact(metavar="SOURCE", help=_VERSION)]
Before = Annotated[str, _artifact(metavar="BEFORE", help=_VERSION)]
After = Annotated[str, _artifact(metavar="AFTER", help="The same, of what to compare it with")]
Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="`[[entity/]project/]run_id`", autocompletion=completing.runs
    ),
]
Project = Annotated[
    str,
    typer.Argument(
        metavar="PROJECT", help="`[entity/]project`", autocompletion=completing.projects
    ),
]
MaybeProject = Annotated[
    str | None,
    typer.Argument(
        metavar="PROJECT",
        autocompletion=completing.projects,
        help="`[entity/]project`; default: all projects",
    ),
]
MaybePlace = Annotated[
    str | None,
    typer.Argument(
        metavar="PROJECT|NAME",
        autocompletion=completing.places,
        help="A project, or an artifact's name",
    ),
]
Type = Annotated[
    str | None,
    typer.Option(
        "--type", "-t", metavar="TYPE", help="Artifact type, such as `dataset` or `model`"
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option("--include", metavar="GLOB", help="Only these files; may be repeated"),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="GLOB", help="Not these files; may be repeated"),
]
IntoEntity = Annotated[
    str | None,
    typer.Option(
        "--entity", "-e", metavar="ENTITY", help="Put them into this entity, not where they say"
    ),
]
IntoProject = Annotated[
    str | None,
    typer.Option(
        "--project", "-p", metavar="PROJECT", help="Put them into this project, not where they say"
    ),
]


def read_object(option: str, text: str | None) -> JsonObject | None:
    """Read what an option was given; raises Invalid if it is no JSON object."""
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:  # also of a number of 5,000 digits
        raise Invalid(f"`{option}` is not JSON that can be read: {error}") from error
    if not isinstance(value, dict):
        raise Invalid(f"`{option}` must be a JSON object, such as '{{\"key\": 10}}'")
    return value
