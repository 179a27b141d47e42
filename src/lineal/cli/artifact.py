"""`lineal artifact …`: put and get, check out and check (CLI-1, CLI-2)."""

from __future__ import annotations

import json as json_module
import os
import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

import typer

import lineal
from lineal.cli import completing, output
from lineal.cli.connect import Connection, connect
from lineal.cli.groups import new_group
from lineal.cli.options import Exclude, Include, Json, Type, Version, read_object
from lineal.client.artifact import patterns, verifying
from lineal.core import file_paths, names
from lineal.core.full_names import ArtifactPath
from lineal.core.manifest import Entry
from lineal.core.records import RunState
from lineal.errors import IntegrityError, Invalid, MissingFile, NotFound, UsageError

WRONG_SHOWN = 20
"""Files that `verify` lists."""

app = new_group("Log, fetch, list, compare and label versions of files")


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
        typer.Option(
            "--name",
            "-n",
            metavar="NAME",
            autocompletion=completing.artifacts,
            help="`[[entity/]project/]name`; default: the path's name",
        ),
    ] = None,
    type: Annotated[
        str, typer.Option("--type", "-t", metavar="TYPE", help="Type of the artifact")
    ] = "dataset",
    alias: Annotated[
        list[str] | None,
        typer.Option("--alias", "-a", metavar="ALIAS", help="Alias beside `latest`; repeatable"),
    ] = None,
    description: Annotated[
        str | None,
        typer.Option("--description", "-d", metavar="TEXT", help="What it is, as Markdown"),
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
    no_checksum: Annotated[
        bool,
        typer.Option("--no-checksum", help="Of what a URI leads to, record the URI alone"),
    ] = False,
    inside: Annotated[
        str | None,
        typer.Option("--as", metavar="PATH", help="Name of the file or folder in the artifact"),
    ] = None,
    id: Annotated[
        str | None, typer.Option("--id", metavar="RUN_ID", help="Id of the run that logs it")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run `--id` if it exists")
    ] = False,
) -> None:
    """Log a file or folder as the next version of an artifact.

    Prints the line that uses it in a script. What a `.linealignore` in the folder names stays
    out, and so does what `--include` and `--exclude` leave of a folder, or of all that is below
    a URI. Content that is a version already makes no new one.

    \b
    Example:
      lineal artifact put my_data/ -n vision/photos -a raw --exclude '*.tmp'
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
    names.project_name(target.project)
    if id is not None:
        names.run_id(id)
    if id is not None and not resume and connection.settings.mode == "online":
        _require_new(connection, target, id)
    _require_type(connection, target, type)
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
        checksum=not no_checksum,
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
        name_in_code = json_module.dumps(logged.qualified_name, ensure_ascii=False)
        output.data(f"artifact = run.use_artifact({name_in_code})")
        if run.offline:
            output.note(f"It is kept in {run.sync_dir} until `lineal sync` brings it home")


def _require_new(connection: Connection, target: ArtifactPath, run_id: str) -> None:
    """Raise UsageError for the id of a run that began already: before gigabytes are read."""
    try:
        run = connection.backend.run(target.entity, target.project, run_id)
    except NotFound:
        return
    if run.state is RunState.PENDING:
        return
    raise UsageError(
        f"Run {run.path} exists already; `--resume` goes on with it. Leave out `--id` for a new run"
    )


def _require_type(connection: Connection, target: ArtifactPath, type: str) -> None:
    """Raise Invalid for a name that belongs to another type: before gigabytes are read, too."""
    try:
        there = connection.backend.collection(target.entity, target.project, target.name).type
    except NotFound:
        return
    names.require_type(
        f"Artifact {target.without_ref}",
        there,
        type,
        f"; say `--type {shlex.quote(there)}`, or use another name",
    )


def _add(
    artifact: lineal.Artifact,
    source: str,
    inside: str | None,
    *,
    include: list[str] | None,
    exclude: list[str] | None,
    empty_dirs: bool,
    policy: str,
    checksum: bool,
) -> None:
    if policy not in ("mutable", "immutable"):
        raise Invalid(f"Policy `{policy}` is neither `mutable` nor `immutable`")
    if empty_dirs and not os.path.isdir(source):
        raise Invalid(f"`--empty-dirs` is for folders, and {source} is none; leave it out")
    if not checksum and "://" not in source:
        raise Invalid(f"`--no-checksum` is for URIs, and {source} is a path; leave it out")
    if "://" in source:
        if policy != "mutable":
            raise Invalid(
                f"`--policy {policy}` says how files are stored, and a reference stores none; "
                "leave it out"
            )
        artifact.add_reference(
            source, inside, checksum=checksum, include=include or [], exclude=exclude or []
        )
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
    words = [f"--include {shlex.quote(glob)}" for glob in include or ()]
    return " ".join(words + [f"--exclude {shlex.quote(glob)}" for glob in exclude or ()])


@app.command()
def get(
    path: Version,
    root: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Folder to fetch into; default `./artifacts/NAME:vN`"),
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
    allow_missing_references: Annotated[
        bool,
        typer.Option(
            "--allow-missing-references",
            help="Warn of references that lead nowhere, and fetch the rest",
        ),
    ] = False,
) -> None:
    """Fetch a version's files; prints the folder.

    Files that are there already with the right content are not fetched again. Nothing is
    recorded in the lineage: only a run does that, with `use_artifact`.

    \b
    Example:
      lineal artifact get vision/photos:raw --root data --include 'cats/**'
    """
    connection = connect()
    record = connection.version(path, type=type)
    count, size = record.entry_count, record.size_bytes
    chosen = patterns.matches(include or [], exclude or [])
    if include or exclude:
        count, size = _amount(connection.entries(record), chosen)
        if not count:
            raise NotFound(
                f"{_filter_words(include, exclude)} leaves no file of {record.path}; "
                f"`lineal artifact show {shlex.quote(record.path)} --files` lists them"
            )
    folder = connection.artifact(record).download(
        root=root,
        allow_missing_references=allow_missing_references,
        include=include or [],
        exclude=exclude or [],
        link=link,
    )
    told = output.plural(count, "file")
    if allow_missing_references:

        def is_there(path: str) -> bool:
            return chosen(path) and os.path.lexists(os.path.join(folder, path))

        there, size = _amount(connection.entries(record), is_there)
        told = told if there == count else f"{there:,} of {told}"
    output.note(f"{record.path}: {told}, {output.size(size)}")
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
        str | None,
        typer.Option(metavar="FOLDER", help="Folder to make equal; default `./artifacts/NAME`"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be deleted; change nothing")
    ] = False,
) -> None:
    """Make a folder exactly a version: fetch what it lacks, delete what is not in it.

    \b
    Example:
      lineal artifact checkout vision/photos --root data --dry-run
    """
    connection = connect()
    artifact = connection.artifact(connection.version(name))
    output.data(artifact.checkout(root, dry_run=dry_run))


@app.command()
def verify(
    name: Version,
    root: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Check this folder against the version; default: the stored bytes",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Check every byte of a version against its digest, and name all that is wrong.

    Exit code 7 if anything is: files that are missing, changed, or extra in the folder.
    """
    connection = connect()
    record = connection.version(name)
    counted = verifying.Counted()
    if root is None:
        found = verifying.wrong_in_store(connection.backend, record, counted)
    else:
        folder = file_paths.local_path(root)
        found = verifying.wrong_in_folder(folder, connection.entries(record), counted)
    wrong = sorted(found)
    if json:
        output.as_json_list({"path": each.path, "what": each.kind} for each in wrong)
    else:
        _show_wrong(wrong)
    skipped = record.entry_count - counted.files
    if skipped:
        output.note(
            f"{output.plural(skipped, 'reference')} not checked; "
            f"`lineal ref check {shlex.quote(name)}` does that"
        )
    if wrong:
        first = wrong[0].told
        more = "" if len(wrong) == 1 else f"; {len(wrong):,} files are wrong in all"
        raise IntegrityError(f"{first}{more}")
    if not json:
        output.data(f"{record.path}: {output.plural(counted.files, 'file')} correct")


def _show_wrong(wrong: Sequence[verifying.Wrong]) -> None:
    if wrong:
        output.table(("what", "file"), ((each.kind, each.path) for each in wrong[:WRONG_SHOWN]))
    if len(wrong) > WRONG_SHOWN:
        output.note(f"… and {len(wrong) - WRONG_SHOWN:,} more; `--json` lists them all")
