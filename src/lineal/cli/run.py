"""`lineal run …`: list runs, show one, print its console output, delete and restore it."""

from __future__ import annotations

import json as json_module
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
from lineal.client.backend import Backend
from lineal.client.pages import BULK_PAGE_SIZE, SORTED_PAGE_SIZE, all_of
from lineal.client.public.history import parsed
from lineal.core.numbers import is_finite
from lineal.core.records import (
    EdgeKind,
    JsonObject,
    Page,
    PageRequest,
    RunQuery,
    RunRecord,
    Stream,
    VersionRecord,
)
from lineal.errors import NotFound

if TYPE_CHECKING:
    from lineal.client.public.run import Run as PublicRun

RUNS_SHOWN = 50
DOCUMENTS_AT_ONCE = 100
SPARKLINE_SAMPLES = 500
ARTIFACTS_SHOWN = 50
"""Versions that a run used, and as many that it logged, of which `show` prints as many."""

Listed = Callable[[PageRequest], Page[VersionRecord]]

app = new_group("List runs; show what one did, logged and printed")


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
