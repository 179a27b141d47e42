"""`lineal artifact export` and `import`: carry versions where no network reaches (CLI-2)."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineal.cli import completing, output
from lineal.cli.connect import Connection, connect, place_of
from lineal.cli.options import IntoEntity, IntoProject, Json
from lineal.client.pages import all_of
from lineal.core.records import CollectionQuery, VersionQuery, VersionRecord
from lineal.errors import NotFound

if TYPE_CHECKING:
    from lineal.client.offline.bundle_copy import Carried


def export(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME…",
            autocompletion=completing.places,
            help="`[[entity/]project/]name[:alias]`; without alias the latest",
        ),
    ],
    to: Annotated[
        str,
        typer.Option("--to", metavar="FOLDER", help="The bundle; it is made, or gets them as well"),
    ],
    every: Annotated[
        bool, typer.Option("--all", help="Every version of the artifacts, or of a project's")
    ] = False,
    upstream: Annotated[
        bool, typer.Option("--upstream", help="Also all versions that they were made from")
    ] = False,
    json: Json = False,
) -> None:
    """Copy versions into a folder that can be carried to another machine.

    Names, numbers, aliases, metadata and the runs that logged them go along, and the link where
    one is named. Doing it again copies what is missing.

    \b
    Examples:
      lineal artifact export vision/net:best vision/faces --to bundle
      lineal artifact export vision/net:best --upstream --to /media/usb/net
      lineal artifact export vision --all --to vision-bundle
    """
    from lineal.client.offline import bundles  # loads SQLAlchemy: 0.2 s that `--help` need not wait

    connection = connect()
    chosen = [version for name in names for version in _versions(connection, name, every=every)]
    folder = os.path.expanduser(to)
    carried = bundles.export(
        connection.backend, chosen, folder, settings=connection.settings, upstream=upstream
    )
    _show(carried, json=json)
    output.note(f"`lineal artifact import {shlex.quote(to)}` brings them into another home")


def import_(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="What `export` made")],
    entity: IntoEntity = None,
    project: IntoProject = None,
    json: Json = False,
) -> None:
    """Copy the versions of a bundle into this home; every byte is checked.

    A version keeps its number unless another one here has had it. An alias that is on another
    version here stays there. Doing it again changes nothing.

    \b
    Examples:
      lineal artifact import bundle
      lineal artifact import bundle --project vision-2
    """
    from lineal.client.offline import bundles  # see above

    connection = connect()
    carried = bundles.import_(
        os.path.expanduser(folder),
        connection.backend,
        settings=connection.settings,
        entity=entity,
        project=project,
    )
    _show(carried, json=json)


def _versions(connection: Connection, name: str, *, every: bool) -> list[VersionRecord]:
    if not every:
        return [connection.version(name)]
    path = connection.collection_path(name, instead="`--all` exports all of them")
    try:
        connection.backend.collection(path.entity, path.project, path.name)
    except NotFound:
        entity, project, collection = place_of(connection, name)
        if collection is None:
            return _versions_of_project(connection, entity, project)
    return _all_versions(connection, VersionQuery(path.entity, path.project, path.name))


def _versions_of_project(connection: Connection, entity: str, project: str) -> list[VersionRecord]:
    """Return all that was logged in a project or linked into it."""
    query = CollectionQuery(entity, project)
    found = [
        version
        for each in all_of(lambda page: connection.backend.collections(query, page))
        for version in _all_versions(connection, VersionQuery(entity, project, each.name))
    ]
    if not found:
        raise NotFound(f"Project {entity}/{project} has no versions to export")
    return found


def _all_versions(connection: Connection, query: VersionQuery) -> list[VersionRecord]:
    return list(all_of(lambda page: connection.backend.versions(query, page)))


def _show(carried: list[Carried], *, json: bool) -> None:
    if json:
        output.as_json_list(_as_fields(each) for each in carried)
        return
    output.table(
        ("version", "files", "size", ""),
        (
            (
                each.target.path,
                f"{each.target.entry_count:,}",
                output.size(each.target.size_bytes),
                _differences(each),
            )
            for each in carried
        ),
        right=("files", "size"),
    )


def _differences(carried: Carried) -> str:
    told = []
    if carried.source.number != carried.target.number:
        told.append(f"was v{carried.source.number}")
    if carried.aliases_elsewhere:
        aliases = ", ".join(carried.aliases_elsewhere)
        told.append(f"{aliases}: on another version there")
    return "; ".join(told)


def _as_fields(carried: Carried) -> dict[str, Any]:
    return {
        "version": carried.target.path,
        "source": carried.source.path,
        "digest": carried.target.digest,
        "files": carried.target.entry_count,
        "size_bytes": carried.target.size_bytes,
        "aliases_elsewhere": list(carried.aliases_elsewhere),
    }
