"""`lineal run …`: list runs, show one, read its history, files and console output."""

from __future__ import annotations

import json as json_module
import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineal.cli import describe, folding, output
from lineal.cli.connect import Connection, connect, newest_first
from lineal.cli.groups import new_group
from lineal.cli.options import NUMBER_MAX, Json, MaybeProject, Run, Yes, read_object
from lineal.client.artifact import adding
from lineal.client.backend import Backend
from lineal.client.pages import BULK_PAGE_SIZE, SORTED_PAGE_SIZE, all_of
from lineal.client.public.files import File
from lineal.client.public.history import parsed
from lineal.core import file_paths
from lineal.core.numbers import is_finite
from lineal.core.records import (
    EdgeKind,
    JsonObject,
    Page,
    PageRequest,
    RunFileRecord,
    RunQuery,
    RunRecord,
    Stream,
    VersionRecord,
)
from lineal.errors import Exists, MissingFile, NotFound

if TYPE_CHECKING:
    from lineal.client.public.run import Run as PublicRun

RUNS_SHOWN = 50
DOCUMENTS_AT_ONCE = 100
SPARKLINE_SAMPLES = 500
ARTIFACTS_SHOWN = 50
"""Versions that a run used, and as many that it logged, of which `show` prints as many."""
VALUE_MOST = 60
"""Characters of one value in the table of a history."""

Listed = Callable[[PageRequest], Page[VersionRecord]]

app = new_group("List runs; show what one did, logged and printed")


@app.command()
def ls(
    project: MaybeProject = None,
    filter: Annotated[
        str | None,
        typer.Option(
            metavar="JSON",
            help='Mongo-style, such as \'{"summary_metrics.val_acc": {"$gt": 0.9}}\'',
        ),
    ] = None,
    order: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", help="`+` or `-` and a key, such as `-summary_metrics.val_acc`"
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option(metavar="N", min=0, max=NUMBER_MAX, help="Runs at most; 0: all of them")
    ] = RUNS_SHOWN,
    json: Json = False,
) -> None:
    """List runs, the newest first.

    \b
    Examples:
      lineal run ls vision --order -summary_metrics.val_acc
      lineal run ls vision --filter '{"state": "crashed"}'
    """
    connection = connect()
    filters = read_object("--filter", filter)
    runs = _runs(connection, project, filters, order, limit + 1 if limit else None)
    shown = _with_documents(connection.backend, islice(runs, limit or None), with_config=json)
    if json:
        output.as_json_list(describe.run(run) for run in shown)
    else:
        none = f"No runs {connection.where(project)} yet; `lineal demo` makes some"
        _print_runs(shown, none=f"No run matches {filter}" if filters else none)
    if limit and next(runs, None) is not None:
        output.note(f"Only the first {limit:,}; `--limit 0` lists all")


def _runs(
    connection: Connection,
    project: str | None,
    filters: JsonObject | None,
    order: str | None,
    limit: int | None,
) -> Iterator[RunRecord]:
    backend = connection.backend
    places = connection.places(project)
    for place in places:
        backend.project(*place)  # says so if there is none, rather than listing nothing
    queries = [
        RunQuery(*place, filters=filters, order=order, with_documents=False) for place in places
    ]
    size, size_most = (100, 0) if order is None else (BULK_PAGE_SIZE, SORTED_PAGE_SIZE)
    lists = [
        all_of(partial(backend.runs, query), limit=limit, size=size, size_most=size_most)
        for query in queries
    ]
    if order is None:
        return newest_first(lists)
    if len(lists) > 1:
        output.note("Ordered within each project; name a project to order all of it")
    return chain.from_iterable(lists)


def _with_documents(
    backend: Backend, runs: Iterator[RunRecord], *, with_config: bool
) -> Iterator[RunRecord]:
    """Yield runs that were listed without documents with what is shown of these."""
    while some := list(islice(runs, DOCUMENTS_AT_ONCE)):
        keys = [run.key for run in some]
        summaries = backend.run_documents(keys, "summary")
        configs = backend.run_documents(keys, "config") if with_config else {}
        for run in some:
            yield run._replace(config=configs.get(run.key, {}), summary=summaries.get(run.key, {}))


def _print_runs(runs: Iterable[RunRecord], *, none: str) -> None:
    output.table(
        ("run", "name", "state", "job type", "created", "took", "summary"),
        (
            (
                f"{run.project}/{run.run_id}",
                run.name,
                run.state,
                run.job_type,
                run.created_at,
                output.duration(run.runtime_seconds),
                _first_numbers(run.summary),
            )
            for run in runs
        ),
        right=("took",),
        none=none,
    )


def _first_numbers(summary: JsonObject, count: int = 3) -> str:
    numbers = (
        key
        for key in sorted(summary)
        if isinstance(summary[key], int | float) and not key.startswith("_")
    )
    shown = [f"{key}={output.cell(summary[key])}" for key in islice(numbers, count)]
    return " ".join(shown) + (" …" if next(numbers, None) is not None else "")


@app.command()
def show(run: Run, json: Json = False) -> None:
    """Show one run: configuration, results, metrics as small curves, artifacts in and out."""
    connection = connect()
    record = connection.run(run)
    if json:
        used, logged = (
            [version.path for version in all_of(listed, size=BULK_PAGE_SIZE)]
            for listed in _artifacts(connection, record).values()
        )
        output.as_json(
            describe.run(record)
            | {"metadata": record.metadata, "used_artifacts": used, "logged_artifacts": logged}
        )
        return
    _print_overview(record)
    for title, values in (("config", record.config), ("summary", record.summary)):
        shown = [(k, _never_left_out(v)) for k, v in sorted(values.items()) if k[:1] != "_"]
        if shown:
            output.heading(title)
            output.fields(shown)
    _print_curves(connection.public_run(record))
    for title, listed in _artifacts(connection, record).items():
        _print_artifacts(title, listed)


def _never_left_out(value: Any) -> Any:
    """Return what `fields` shows of a value that is there: of an empty one how JSON writes it."""
    return json_module.dumps(value) if value in (None, "", []) else value


def _artifacts(connection: Connection, record: RunRecord) -> dict[str, Listed]:
    """Return what lists the versions that a run used and logged, by what they are called."""
    versions_of = partial(connection.backend.versions_of, with_metadata=False)
    kinds = {"used artifacts": EdgeKind.USED, "logged artifacts": EdgeKind.LOGGED}
    return {title: partial(versions_of, record.key, kind) for title, kind in kinds.items()}


def _print_artifacts(title: str, listed: Listed) -> None:
    page = listed(PageRequest(ARTIFACTS_SHOWN, with_total=False))
    if not page.items:
        return
    output.heading(title)
    for version in page.items:
        aliases = f"  ({', '.join(output.labels(version.aliases))})" if version.aliases else ""
        output.entry("", f"{version.path}  {version.type}{aliases}")
    if page.cursor is not None:
        left = listed(PageRequest(cursor=page.cursor, only_total=True)).total
        output.entry("", f"… and {left:,} more; `--json` lists them all")


def _print_overview(record: RunRecord) -> None:
    output.fields(
        [
            ("run", record.path),
            ("name", record.name),
            ("state", str(record.state)),
            ("job type", record.job_type),
            ("group", record.group),
            ("sweep", record.sweep_id),
            ("tags", record.tags),
            ("notes", record.notes),
            ("created", record.created_at),
            ("took", output.duration(record.runtime_seconds)),
            ("user", record.user),
            ("host", record.host),
            ("program", record.program),
            ("commit", record.git_commit),
            ("steps", f"{record.history_count:,}"),
        ]
    )


def _print_curves(run: PublicRun) -> None:
    rows = run.history(samples=SPARKLINE_SAMPLES, pandas=False)
    series: dict[str, list[float]] = {}
    for row in rows:
        for key, value in row.items():
            if is_finite(value) and not key.startswith("_"):
                series.setdefault(key, []).append(float(value))
    curves = {key: values for key, values in sorted(series.items()) if len(values) > 1}
    if not curves:
        return
    output.heading("metrics")
    shown = {key: output.cell(key) for key in curves}
    width = max(map(folding.columns_of, shown.values()))
    for key, values in curves.items():
        first, last = output.cell(values[0]), output.cell(values[-1])
        told = f"{first} → {last}"
        curve = output.sparkline(values, output.drawing_width(width + len(told) + 4))
        output.entry(f"{folding.padded(shown[key], width)}  ", f"{curve}  {told}")


@app.command()
def history(
    run: Run,
    keys: Annotated[
        str | None,
        typer.Option(metavar="KEYS", help="Only rows that have these metrics: `loss,val_acc`"),
    ] = None,
    json: Json = False,
) -> None:
    """Print every row that a run logged, unsampled.

    \b
    Example:
      lineal run history vision/abcd1234 --keys loss,val_acc
    """
    connection = connect()
    public = connection.public_run(connection.run(run))
    wanted = [key.strip() for key in keys.split(",") if key.strip()] if keys else None
    rows = iter(public.scan_history(keys=wanted))
    if json:
        output.as_json_list(rows)
        return
    # Read twice: the columns come before the first row, and memory may not hold all rows.
    columns = wanted or _columns(public.scan_history())
    first = next(rows, None)
    if first is None:
        output.note(_nothing_logged(wanted, public.scan_history()))
        return
    cut: set[str] = set()
    rows = chain((first,), rows)
    output.table(columns, (_shortened(row, columns, cut) for row in rows), right=columns)
    if cut:
        output.note(
            f"Cut to {VALUE_MOST} characters: {', '.join(sorted(cut))}; `--json` prints all of it"
        )


def _shortened(row: JsonObject, columns: list[str], cut: set[str]) -> list[str]:
    """Return the cells of a row, noting which columns have longer values than a table shows."""
    cells = [output.cell(row.get(key)) for key in columns]
    if max(map(len, cells), default=0) <= VALUE_MOST:
        return cells
    cut.update(key for key, text in zip(columns, cells, strict=True) if len(text) > VALUE_MOST)
    return [text if len(text) <= VALUE_MOST else f"{text[: VALUE_MOST - 1]}…" for text in cells]


def _nothing_logged(wanted: list[str] | None, rows: Iterable[JsonObject]) -> str:
    there = ", ".join(_columns(rows))
    if not wanted or not there:
        return "This run has logged no metrics"
    return f"No row has {' and '.join(f'`{key}`' for key in wanted)}; this run has: {there}"


def _columns(rows: Iterable[JsonObject]) -> list[str]:
    """Return the keys of all rows: the step first, then by name, without the clock's columns."""
    found = {key for row in rows for key in row}
    shown = sorted(key for key in found if not key.startswith("_"))
    return (["_step"] if "_step" in found else []) + shown


@app.command()
def files(
    run: Run,
    get: Annotated[
        list[str] | None, typer.Option("--get", metavar="NAME", help="Fetch it; repeatable")
    ] = None,
    root: Annotated[str, typer.Option(metavar="FOLDER", help="Folder to fetch into")] = ".",
    replace: Annotated[
        bool, typer.Option("--replace", help="Also over files there that are different")
    ] = False,
    json: Json = False,
) -> None:
    """List the files saved with a run, or fetch some of them.

    \b
    Example:
      lineal run files vision/abcd1234 --get requirements.txt --root files
    """
    connection = connect()
    record = connection.run(run)
    if get:
        public = connection.public_run(record)
        _fetch([_file(public, name) for name in get], root, replace=replace)
        fetched = [os.path.join(root, name) for name in get]
        if json:
            output.as_json_list(fetched)
        else:
            output.data("\n".join(fetched))
        return
    listed = partial(connection.backend.run_files, record.key)
    found: Iterator[RunFileRecord] = all_of(listed, size=BULK_PAGE_SIZE)
    if json:
        output.as_json_list(describe.run_file(file) for file in found)
        return
    output.table(
        ("size", "updated", "file"),
        ((output.size(file.size), file.updated_at, file.path) for file in found),
        right=("size",),
        none=f"No files are saved with {record.path}",
    )


def _file(run: PublicRun, name: str) -> File:
    try:
        return run.file(name)
    except MissingFile as error:
        path = "/".join(run.path)
        raise MissingFile(
            f"{error.message}; `lineal run files {shlex.quote(path)}` lists all"
        ) from error


def pull(
    run: Run,
    root: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Folder to fetch into; default `./RUN_ID`")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also over files there that are different")
    ] = False,
) -> None:
    """Fetch all files saved with a run; prints the folder.

    Files that are there already with the right content are not fetched again; others in the way
    are an error, and nothing is fetched.

    \b
    Example:
      lineal pull vision/abcd1234 --root files
    """
    connection = connect()
    record = connection.run(run)
    folder = root or record.run_id
    public = connection.public_run(record)
    fetched = _fetch(public.files(), folder, replace=replace)
    count, size = len(fetched), sum(file.size for file in fetched)
    output.note(f"{record.path}: {output.plural(count, 'file')}, {output.size(size)}")
    output.data(folder)


def _fetch(files: Iterable[File], folder: str, *, replace: bool) -> list[File]:
    """Fetch the files that are not in the folder already, and return them.

    Raises Exists, before anything is fetched, for another file in the way.
    """
    missing = []
    for file in files:
        target = os.path.join(folder, *file_paths.entry_path(file.name).split("/"))
        if os.path.isfile(target) and adding.digest_of(target) == file.digest:
            continue
        if os.path.lexists(target) and not replace:
            raise Exists(f"{target} is there and different; `--replace` overwrites it")
        missing.append(file)
    for file in missing:
        file.download(root=folder, replace=True).close()
    return missing


@app.command()
def log(run: Run, json: Json = False) -> None:
    """Print what a run wrote to its console."""
    connection = connect()
    record = connection.run(run)
    lines = parsed(connection.backend.read_lines(record.key, Stream.CONSOLE))
    if json:
        output.as_json_list(lines)
        return
    for line in lines:
        output.verbatim(_console_text(line))


def _console_text(line: dict[str, Any]) -> str:
    return str(line.get("content", "")).rstrip("\r\n")


@app.command()
def rm(
    run: Run,
    delete_artifacts: Annotated[
        bool,
        typer.Option("--delete-artifacts", help="Delete the versions it logged first, too"),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Although some of these are linked or protected")
    ] = False,
    yes: Yes = False,
) -> None:
    """Delete a run; its id stays taken, and its artifacts stay unless you say so.

    `lineal run restore` undoes it, with the artifacts that were deleted with it.
    """
    connection = connect()
    record = connection.run(run)
    also = " with the artifacts it logged" if delete_artifacts else ""
    logged = _artifacts(connection, record)["logged artifacts"]
    count = logged(PageRequest(only_total=True)).total
    if count and not delete_artifacts:
        versions = output.plural(count, "version")
        output.note(f"What it logged stays ({versions}); `--delete-artifacts` takes it along")
    output.confirm(f"Delete run {record.path} ({output.cell(record.name)}){also}?", yes=yes)
    connection.backend.delete_run(record.key, delete_artifacts=delete_artifacts, force=force)
    restore = f"`lineal run restore {shlex.quote(record.path)}`"
    output.data(f"Deleted run {record.path}{also}; {restore} undoes it")


@app.command()
def restore(run: Run, json: Json = False) -> None:
    """Bring a deleted run back, with the artifacts that were deleted with it.

    \b
    Example:
      lineal run restore vision/abcd1234
    """
    connection = connect()
    path = connection.run_path(run)
    was_live = _is_live(connection.backend, path)
    record = connection.backend.restore_run(*path)
    if json:
        output.as_json(describe.run(record))
    elif was_live:
        output.note(f"Run {record.path} was not deleted; nothing was changed")
    else:
        output.data(f"Restored run {record.path}")


def _is_live(backend: Backend, path: tuple[str, str, str]) -> bool:
    try:
        backend.run(*path)
    except NotFound:
        return False
    return True
