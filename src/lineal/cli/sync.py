"""`lineal sync`: copy offline runs into the instance, any number of times (CLI-4)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineal.cli import output
from lineal.cli.connect import connect
from lineal.cli.options import IntoEntity, IntoProject, Json
from lineal.config import Settings
from lineal.errors import MissingFile, NotFound, SyncFailed

if TYPE_CHECKING:
    from lineal.client.offline.sync_job import Synced

TOLD_MOST = 10
"""Versions of a run named with their other number."""
_MAKES_THEM = '`lineal.init(mode="offline")` makes them'


def sync(
    folders: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FOLDER",
            help="Folders of offline runs, of such, or inside of one; default: `./lineal`",
        ),
    ] = None,
    _sync_all: Annotated[
        bool,
        typer.Option(
            "--sync-all", "--include-offline", help="W&B's; the same as to name no folder"
        ),
    ] = False,
    entity: IntoEntity = None,
    project: IntoProject = None,
    id: Annotated[
        str | None, typer.Option("--id", metavar="RUN_ID", help="Give the one run this id")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also folders that are marked as copied")
    ] = False,
    clean: Annotated[
        bool, typer.Option("--clean", help="Delete each folder once all of it is copied")
    ] = False,
    skip_gone: Annotated[
        bool,
        typer.Option("--skip-gone", help="Go without versions that are not there any more"),
    ] = False,
    json: Json = False,
) -> None:
    """Copy offline runs into the instance.

    History, files, artifacts and lineage all go along. Doing it again changes nothing; a run
    that fails does not keep the others from being copied.

    \b
    Example:
      lineal sync lineal/offline-run-20260101_120000-abcd1234 --clean
    """
    from lineal.client.offline import (
        sync as syncing,  # loads SQLAlchemy: 0.2 s that `--help` need not wait
    )

    connection = connect()
    found = _folders(folders or [], connection.settings)
    if id and len(found) > 1:
        raise typer.BadParameter(
            f"`--id` names one run, and these are {len(found)}; name one folder"
        )
    results = syncing.sync(
        found,
        connection.backend,
        settings=connection.settings,
        entity=entity,
        project=project,
        run_id=id,
        again=again,
        clean=clean,
        skip_gone=skip_gone,
    )
    if json:
        output.as_json_list(_as_fields(result) for result in results)
    else:
        for result in results:
            output.data(_as_text(result))
    if not results:
        looked = ", ".join(map(os.path.abspath, _parents(folders or [], connection.settings)))
        output.note(f"No offline runs in {looked}; {_MAKES_THEM}; `lineal sync FOLDER` looks there")
    failed = [line for result in results for line in _failures(result)]
    if failed:
        count = output.plural(len(failed), "thing")
        raise SyncFailed("\n  ".join([f"Not copied, {count}:", *failed]))


def _folders(named: list[str], settings: Settings) -> list[str]:
    from lineal.client.offline import sync  # see above

    for folder in named:
        if not os.path.isdir(folder):
            there = (
                "is a file; name the folder of a run"
                if os.path.exists(folder)
                else "is not there; `lineal sync` alone looks where those of this folder are"
            )
            raise MissingFile(f"The folder {folder} {there}")
        if not sync.find_folders(folder):
            raise NotFound(f"No offline runs in {folder}; {_MAKES_THEM}")
    existing = [parent for parent in _parents(named, settings) if os.path.isdir(parent)]
    found: dict[str, str] = {}
    for folder in (each for parent in existing for each in sync.find_folders(parent)):
        own = os.path.realpath(folder)
        if own not in found or not os.path.islink(folder):  # a link to it is the same run
            found[own] = folder
    return list(found.values())


def _parents(named: list[str], settings: Settings) -> list[str]:
    from lineal.client.offline import run_folder  # see above

    return named or [settings.dir or run_folder.DEFAULT_PARENT]


def _as_text(result: Synced) -> str:
    folder = os.path.relpath(result.folder)
    removed = "; the folder is removed" if result.is_removed else ""
    if result.was_synced:
        return f"{folder}: copied before{removed}"
    if result.is_empty:
        undone = removed or "; `--clean` removes it"
        return f"{folder}: holds no run, since it was killed at its start{undone}"
    if result.run is None:
        return f"{folder}: failed"
    lines = output.plural(result.line_count, "line")
    files = output.plural(result.file_count, "file")
    versions = output.plural(result.version_count, "version")
    failed = f", {len(result.failures)} failed" if result.failures else ""
    text = f"{folder} → {result.run}: {lines}, {files}, {versions}{failed}{removed}"
    return "\n  ".join([text, *_renumbered(result)])


def _renumbered(result: Synced) -> list[str]:
    """Say what versions are called where they came to, if that is not what the run called them."""
    pairs = [f"{here} is {there} there" for here, there in result.renumbered.items()]
    left = len(pairs) - TOLD_MOST
    return pairs if left <= 0 else [*pairs[:TOLD_MOST], f"and {left} more; `--json` lists them"]


def _failures(result: Synced) -> Iterator[str]:
    folder = os.path.relpath(result.folder)
    for name, cause in result.failures.items():
        yield f"{folder}: {'the run' if name == result.folder else name}: {cause}"


def _as_fields(result: Synced) -> dict[str, Any]:
    return {
        "folder": result.folder,
        "run": result.run,
        "was_synced": result.was_synced,
        "is_empty": result.is_empty,
        "is_removed": result.is_removed,
        "lines": result.line_count,
        "files": result.file_count,
        "versions": result.version_count,
        "renumbered": result.renumbered,
        "skipped": result.skipped,
        "failures": {name: str(cause) for name, cause in result.failures.items()},
    }
