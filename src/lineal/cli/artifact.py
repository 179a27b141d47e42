"""`lineal artifact …`: put and get, list and show, check (CLI-1, CLI-2)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from typing import Annotated

import typer

import lineal
from lineal.cli import describe, output
from lineal.cli.connect import (
    Connection,
    connect,
    project_or_collection,
    read_entries,
)
from lineal.cli.options import Exclude, Include, Json, Type, Version, read_object
from lineal.cli.retention import ttl_words
from lineal.client.artifact import adding, stored
from lineal.client.backend import BULK_PAGE_SIZE, Backend, all_of
from lineal.core import names
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
from lineal.errors import Invalid, MissingFile, NotFound

FILES_SHOWN = 20
"""Files that `show` lists unless told to list all."""
USERS_SHOWN = 20
"""Runs that used a version, of which `show` names as many."""

app = typer.Typer(
    help="Log, fetch, list, compare and label versions of files",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def put(
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH",
            help="File or folder to log, or the URI of what stays where it is, such as "
            "`s3://BUCKET/PREFIX`, `gs://…`, `https://…` or `file://…`",
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option("--name", "-n", help="`[[entity/]project/]name`; default: the path's name"),
    ] = None,
    type: Annotated[str, typer.Option("--type", "-t", help="Type of the artifact")] = "dataset",
    alias: Annotated[
        list[str] | None,
        typer.Option("--alias", "-a", metavar="ALIAS", help="Alias beside `latest`; repeatable"),
    ] = None,
    description: Annotated[
        str | None, typer.Option("--description", "-d", help="What it is, as Markdown")
    ] = None,
    metadata: Annotated[
        str | None, typer.Option("--metadata", metavar="JSON", help="A JSON object")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="Tag; repeatable")
    ] = None,
    include: Include = None,
    exclude: Exclude = None,
    empty_dirs: Annotated[
        bool,
        typer.Option("--empty-dirs", help="Keep empty folders, each by a file `.linealkeep` in it"),
    ] = False,
    policy: Annotated[
        str,
        typer.Option(
            metavar="mutable|immutable",
            help="`immutable`: the files will not change, so link rather than copy",
        ),
    ] = "mutable",
    _skip_cache: Annotated[
        bool, typer.Option("--skip_cache", help="W&B's; changes nothing, content is stored once")
    ] = False,
    inside: Annotated[
        str | None,
        typer.Option("--as", metavar="PATH", help="Name of the file or folder in the artifact"),
    ] = None,
    id: Annotated[str | None, typer.Option("--id", help="Id of the run that logs it")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run `--id` if it exists")
    ] = False,
) -> None:
    """Log a file or folder as the next version of an artifact.

    Prints the line that uses it in a script. What a `.linealignore` in the folder names stays
    out, and so does what `--include` and `--exclude` leave of a folder, or of all that is below
    a URI. Content that is a version already makes no new one.
    """
    if resume and not id:
        raise typer.BadParameter("`--resume` needs the run to resume: `--id RUN`")
    source = path if "://" in path else os.path.expanduser(path)
    if "://" not in source and not os.path.exists(source):
        raise MissingFile(
            f"Nothing is at {source}; name a file, a folder or a URI such as s3://BUCKET/PREFIX"
        )
    aliases, tags = names.aliases(alias), names.tags(tag)  # before anything is read
    default = names.generated(os.path.basename(os.path.abspath(source)))
    connection = connect()
    target = connection.collection_path(
        name or default, instead="`--alias` sets an alias, and versions are numbered as they come"
    )
    artifact = lineal.Artifact(
        target.display_name or target.name,
        type,
        description=description,
        metadata=read_object("--metadata", metadata),
    )
    _add(
        artifact,
        source,
        inside,
        include=include,
        exclude=exclude,
        empty_dirs=empty_dirs,
        policy=policy,
    )
    with lineal.init(
        entity=target.entity,
        project=target.project,
        job_type="cli_put",
        id=id,
        resume="allow" if resume else None,
        settings={"console": "off", "quiet": True},
    ) as run:
        logged = run.log_artifact(artifact, aliases=aliases, tags=tags).wait()
        if run.disabled:
            output.note("Nothing was stored: the mode here is `disabled`; see `lineal enabled`")
            return
        files = output.plural(logged.file_count, "file")
        output.note(f"{logged.qualified_name}: {files}, {output.size(logged.size)}")
        if (logged.logged_by() or run).id != run.id:
            output.note(
                "That version has this content already, so there is no new one; its description "
                "and metadata stay as they are"
            )
        output.data(f'artifact = run.use_artifact("{logged.qualified_name}")')
        if run.offline:
            output.note(f"It is kept in {run.sync_dir} until `lineal sync` brings it home")


def _add(
    artifact: lineal.Artifact,
    source: str,
    inside: str | None,
    *,
    include: list[str] | None,
    exclude: list[str] | None,
    empty_dirs: bool,
    policy: str,
) -> None:
    if policy not in ("mutable", "immutable"):
        raise Invalid(f"Policy `{policy}` is neither `mutable` nor `immutable`")
    if empty_dirs and not os.path.isdir(source):
        raise Invalid(f"`--empty-dirs` is for folders, and {source} is none; leave it out")
    if "://" in source:
        if policy != "mutable":
            raise Invalid(
                f"`--policy {policy}` says how files are stored, and a reference stores none; "
                "leave it out"
            )
        artifact.add_reference(source, inside, include=include or [], exclude=exclude or [])
    elif os.path.isdir(source):
        artifact.add_dir(
            source,
            inside,
            include=include or [],
            exclude=exclude or [],
            empty_dirs=empty_dirs,
            policy=policy,
        )
        if (include or exclude) and not artifact.manifest.entries:
            raise Invalid(
                f"{_filter_words(include, exclude)} leaves no file of {source}; nothing was logged"
            )
    elif include or exclude:
        raise Invalid(
            f"`--include` and `--exclude` choose from a folder, and {source} is one file; leave "
            "them out"
        )
    else:
        artifact.add_file(source, inside, policy=policy)


def _filter_words(include: list[str] | None, exclude: list[str] | None) -> str:
    words = [f"--include '{glob}'" for glob in include or ()]
    return " ".join(words + [f"--exclude '{glob}'" for glob in exclude or ()])


@app.command()
def get(
    path: Version,
    root: Annotated[
        str | None, typer.Option(help="Folder to fetch into; default `./artifacts/NAME:vN`")
    ] = None,
    type: Type = None,
    include: Include = None,
    exclude: Exclude = None,
    link: Annotated[
        str | None,
        typer.Option(
            metavar="hard|symbolic",
            help="Link stored files instead of copying them; they must not be written to",
        ),
    ] = None,
) -> None:
    """Fetch a version's files; prints the folder.

    Files that are there already with the right content are not fetched again. Nothing is
    recorded in the lineage: only a run does that, with `use_artifact`.
    """
    connection = connect()
    record = connection.version(path, type=type)
    count, size = record.entry_count, record.size_bytes
    if include or exclude:
        chosen = adding.matches(include or [], exclude or [])
        count, size = _amount(_entries(connection, record), chosen)
        if not count:
            raise NotFound(
                f"{_filter_words(include, exclude)} leaves no file of {record.path}; "
                f"`lineal artifact show {record.path} --files` lists them"
            )
    folder = connection.artifact(record).download(
        root=root, include=include or [], exclude=exclude or [], link=link
    )
    output.note(f"{record.path}: {output.plural(count, 'file')}, {output.size(size)}")
    output.data(folder)


def _amount(entries: Iterable[Entry], chosen: Callable[[str], bool]) -> tuple[int, int]:
    """Return how many files are chosen, and their bytes."""
    count = size = 0
    for entry in entries:
        if chosen(entry.path):
            count, size = count + 1, size + entry.size
    return count, size


@app.command()
def checkout(
    name: Version,
    root: Annotated[
        str | None, typer.Option(help="Folder to make equal; default `./artifacts/NAME`")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be deleted; change nothing")
    ] = False,
) -> None:
    """Make a folder exactly a version: delete what is not in it, fetch the rest."""
    connection = connect()
    artifact = connection.artifact(connection.version(name))
    output.data(artifact.checkout(root, dry_run=dry_run))


@app.command()
def verify(
    name: Version,
    root: Annotated[
        str | None,
        typer.Option(help="Check this folder against the version; default: the stored bytes"),
    ] = None,
) -> None:
    """Check every byte of a version against its digest."""
    connection = connect()
    record = connection.version(name)
    if root is None:
        checked = stored.verify(connection.backend, record)
        if checked < record.entry_count:
            references = output.plural(record.entry_count - checked, "reference")
            output.note(f"{references} not checked; `lineal ref check {name}` does that")
    else:
        checked = connection.artifact(record).verify(root)
    output.data(f"{record.path}: {output.plural(checked, 'file')} correct")


@app.command()
def ls(
    path: Annotated[
        str | None,
        typer.Argument(metavar="PROJECT|NAME", help="A project, or an artifact's name"),
    ] = None,
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
        typer.Option(help="`+` or `-` and a key, such as `-metadata.accuracy` or `-size`"),
    ] = None,
    json: Json = False,
) -> None:
    """List the collections of a project, or the versions of one name.

    Without an argument: the collections of the project that the settings name, or of all projects
    if they name none.
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
    queries = [
        CollectionQuery(*project, type=type, filters=filters, order=order)
        for project in _projects(connection, found)
    ]
    _list_collections(connection, queries, matching, path, json=json)


def _projects(connection: Connection, named: tuple[str, str] | None) -> list[tuple[str, str]]:
    if named is not None:
        return [named]
    if connection.project:
        return [(connection.backend.entity, connection.project)]
    return [(project.entity, project.name) for project in connection.projects()]


def _list_versions(
    backend: Backend, query: VersionQuery, matching: str | None, *, json: bool
) -> None:
    """matching: the filter as it was written, None if there is none."""
    size = 100 if query.order is None else BULK_PAGE_SIZE
    versions = all_of(partial(backend.versions, query), size=size)
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
    found = chain.from_iterable(all_of(partial(backend.collections, each)) for each in queries)
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
    projects = [(each.entity, each.project) for each in queries if each.type]
    return ", ".join(sorted({type for each in projects for type in backend.artifact_types(*each)}))


def _print_versions(versions: Iterable[VersionRecord], *, none: str) -> None:
    output.table(
        ("version", "aliases", "size", "files", "created", "tags"),
        (
            (
                f"v{record.number}",
                record.aliases,
                output.size(record.size_bytes),
                f"{record.entry_count:,}",
                record.created_at,
                record.tags,
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


@app.command()
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
    users = partial(connection.backend.runs_of, record.id, EdgeKind.USED)
    place = record.entity, record.project, record.collection
    display_name = connection.backend.collection(*place).display_name
    if json:
        shown = describe.version(record) | {
            "display_name": display_name,
            "logged_by": made_by,
            "used_by": [run.path for run in all_of(users)],
        }
        entries = (describe.entry(entry) for entry in _entries(connection, record))
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
    _print_entries(_entries(connection, record), record.entry_count if files else FILES_SHOWN)
    if not files and record.entry_count > FILES_SHOWN:
        output.note(f"… and {record.entry_count - FILES_SHOWN:,} more; `--files` lists them all")


def _some_users(users: Callable[[PageRequest], Page[RunRecord]]) -> list[str]:
    page = users(PageRequest(USERS_SHOWN))
    left = (page.total or 0) - len(page.items)
    more = [f"and {left:,} more; `--json` lists them all"] if left > 0 else []
    return [run.path for run in page.items] + more


def _entries(connection: Connection, record: VersionRecord) -> Iterator[Entry]:
    heads = connection.backend.manifest(record.id).segments
    return read_entries(connection.backend, record, heads)


def _print_entries(entries: Iterator[Entry], limit: int) -> None:
    for entry in islice(entries, limit):
        where = f"  -> {output.cell(entry.ref)}" if entry.ref else ""
        output.data(f"{output.size(entry.size):>10}  {output.cell(entry.path)}{where}")
