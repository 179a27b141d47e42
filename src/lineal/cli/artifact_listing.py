"""What artifacts there are, and what is in one: `lineal artifact ls`, `lineal artifact show`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from typing import Annotated

import typer

from lineal.cli import describe, output
from lineal.cli.connect import Connection, connect, project_or_collection
from lineal.cli.options import Json, MaybePlace, Type, Version, read_object
from lineal.cli.retention import ttl_fields, ttl_words
from lineal.client.backend import Backend
from lineal.client.pages import BULK_PAGE_SIZE, SORTED_PAGE_SIZE, all_of
from lineal.client.references import known_size
from lineal.core.manifest import Entry
from lineal.core.records import (
    CollectionQuery,
    CollectionRecord,
    EdgeKind,
    Page,
    PageRequest,
    RunRecord,
    VersionQuery,
    VersionRecord,
)

FILES_SHOWN = 20
"""Files that `show` lists unless told to list all."""
USERS_SHOWN = 20
"""Runs that used a version, of which `show` names as many."""


def ls(
    path: MaybePlace = None,
    type: Type = None,
    filter: Annotated[
        str | None,
        typer.Option(
            metavar="JSON",
            help='Mongo-style, of versions such as \'{"metadata.accuracy": {"$gt": 0.9}}\', of '
            'collections such as \'{"tags": "audited"}\'',
        ),
    ] = None,
    order: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", help="`+` or `-` and a key, such as `-metadata.accuracy` or `-size`"
        ),
    ] = None,
    json: Json = False,
) -> None:
    """List the collections of a project, or the versions of one name.

    Without an argument: the collections of the project that the settings name, or of all projects
    if they name none.

    \b
    Examples:
      lineal artifact ls vision
      lineal artifact ls vision/photos --json
      lineal artifact ls vision/net --filter '{"metadata.accuracy": {"$gt": 0.9}}'
    """
    connection = connect()
    filters = read_object("--filter", filter)
    found = project_or_collection(connection, path) if path else None
    matching = filter if filters else None
    if isinstance(found, CollectionRecord):
        query = VersionQuery(
            found.entity,
            found.project,
            found.name,
            type=type,
            filters=filters,
            order=order,
            with_metadata=json,
        )
        _list_versions(connection.backend, query, matching, json=json)
        return
    places = [found] if found is not None else connection.places(None)
    queries = [CollectionQuery(*place, type=type, filters=filters, order=order) for place in places]
    _list_collections(connection, queries, matching, path, json=json)


def _list_versions(
    backend: Backend, query: VersionQuery, matching: str | None, *, json: bool
) -> None:
    """matching: the filter as it was written, None if there is none."""
    size = 100 if json and query.order is None else BULK_PAGE_SIZE  # their metadata may be large
    size_most = 0 if json or query.order is None else SORTED_PAGE_SIZE
    versions = all_of(partial(backend.versions, query), size=size, size_most=size_most)
    if json:
        output.as_json_list(describe.version(record) for record in versions)
    else:
        that_matches = f" that matches {matching}" if matching else ""
        _print_versions(versions, none=f"{query.collection} has no version{that_matches}")


def _list_collections(
    connection: Connection,
    queries: list[CollectionQuery],
    matching: str | None,
    named: str | None,
    *,
    json: bool,
) -> None:
    """queries: one for each project. matching: as in `_list_versions`. named: as it was typed."""
    backend = connection.backend
    if len(queries) > 1 and queries[0].order is not None:
        output.note("Ordered within each project; name a project to order all of it")
    found = chain.from_iterable(
        all_of(
            partial(backend.collections, each),
            size=BULK_PAGE_SIZE,
            size_most=0 if each.order is None else SORTED_PAGE_SIZE,
        )
        for each in queries
    )
    if json:
        output.as_json_list(describe.collection(record) for record in found)
    elif shown := list(found):
        _print_collections(shown, with_project=not (named or connection.project))
    elif matching:
        output.note(f"No collection here matches {matching}")
    elif there := _types_beside(backend, queries):
        output.note(f"No artifacts of type `{queries[0].type}` here; types here: {there}")
    else:
        where = connection.where(named)
        output.note(f"No artifacts {where} yet; `lineal artifact put PATH` logs one")


def _types_beside(backend: Backend, queries: list[CollectionQuery]) -> str:
    """Name the types that there are, where only one was asked for."""
    projects = [(each.entity, each.project) for each in queries if each.type is not None]
    return ", ".join(sorted({type for each in projects for type in backend.artifact_types(*each)}))


def _print_versions(versions: Iterable[VersionRecord], *, none: str) -> None:
    output.table(
        ("version", "aliases", "size", "files", "created", "tags"),
        (
            (
                f"v{record.number}",
                output.labels(record.aliases),
                output.size(record.size_bytes),
                f"{record.entry_count:,}",
                record.created_at,
                output.labels(record.tags),
            )
            for record in versions
        ),
        right=("size", "files"),
        none=none,
    )


def _print_collections(collections: list[CollectionRecord], *, with_project: bool) -> None:
    is_named = any(record.display_name for record in collections)
    output.table(
        ("type", "updated", "size", "versions", "latest", *(["display name"] if is_named else [])),
        (
            (
                record.type,
                record.updated_at,
                output.size(record.size_bytes),
                f"{record.version_count:,}",
                (f"{record.project}/" if with_project else "")
                + (f"{record.name}:{record.latest}" if record.latest else f"{record.name} (empty)"),
                *([record.display_name or ""] if is_named else []),
            )
            for record in collections
        ),
        right=("size", "versions"),
    )


def show(
    name: Version,
    files: Annotated[
        bool, typer.Option("--files", help=f"List all files, not only the first {FILES_SHOWN}")
    ] = False,
    json: Json = False,
) -> None:
    """Show one version: who made it, what is in it, what it is called."""
    connection = connect()
    record = connection.version(name)
    artifact = connection.artifact(record)
    producer = artifact.logged_by()
    made_by = "/".join(producer.path) if producer else None
    users = partial(connection.backend.runs_of, record.id, EdgeKind.USED, with_documents=False)
    place = record.entity, record.project, record.collection
    display_name = connection.backend.collection(*place).display_name
    if json:
        shown = describe.version(record) | {
            "display_name": display_name,
            "ttl": ttl_fields(artifact.effective_ttl),
            "logged_by": made_by,
            "used_by": [run.path for run in all_of(users, size=BULK_PAGE_SIZE)],
        }
        entries = (describe.entry(entry) for entry in connection.entries(record))
        output.as_json_ending(shown, "entries", entries)
        return
    output.fields(
        [
            ("name", record.path),
            ("display name", display_name),
            ("source", record.source_path if record.is_link else None),
            ("type", record.type),
            ("aliases", record.aliases),
            ("tags", record.tags),
            ("created", record.created_at),
            ("size", output.exact_size(record.size_bytes)),
            ("digest", record.digest),
            ("lives", ttl_words(artifact.effective_ttl)),
            ("logged by", made_by or "no run (user-created, or its run was deleted)"),
            ("used by", _some_users(users)),
            ("description", record.description),
            ("metadata", record.metadata or None),
        ]
    )
    output.heading(output.plural(record.entry_count, "file"))
    _print_entries(connection.entries(record), record.entry_count if files else FILES_SHOWN)
    if not files and record.entry_count > FILES_SHOWN:
        output.note(f"… and {record.entry_count - FILES_SHOWN:,} more; `--files` lists them all")


def _some_users(users: Callable[[PageRequest], Page[RunRecord]]) -> list[str]:
    page = users(PageRequest(USERS_SHOWN))
    left = (page.total or 0) - len(page.items)
    more = [f"and {left:,} more; `--json` lists them all"] if left > 0 else []
    return [run.path for run in page.items] + more


def _print_entries(entries: Iterator[Entry], limit: int) -> None:
    for entry in islice(entries, limit):
        where = f"  -> {output.cell(entry.ref)}" if entry.ref else ""
        output.data(f"{output.size(known_size(entry)):>10}  {output.cell(entry.path)}{where}")
