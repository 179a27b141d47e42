"""`lineal storage`: where the bytes are, and what would free them (DEL-8)."""

from __future__ import annotations

from dataclasses import asdict

from lineal.cli import output
from lineal.cli.connect import connect, place_of
from lineal.cli.options import Json, MaybePlace
from lineal.core.gc import StorageReport


def storage(
    path: MaybePlace = None,
    json: Json = False,
) -> None:
    """Show the bytes of projects, of a project's collections, or of a collection's versions.

    `own` is needed by nothing else, `shared` by something else too, `pending` only by what was
    deleted and can still be restored. The sums below the table count each byte once.

    \b
    Examples:
      lineal storage vision
      lineal storage vision/photos --json
    """
    connection = connect()
    entity, project, collection = place_of(connection, path) if path else (None, None, None)
    report = connection.backend.storage(entity=entity, project=project, collection=collection)
    if json:
        output.as_json(asdict(report))
    else:
        _print(report)


def _print(report: StorageReport) -> None:
    output.table(
        ("own", "shared", "pending", "name"),
        (
            (
                output.size(row.own_bytes),
                output.size(row.shared_bytes),
                output.size(row.pending_bytes),
                row.name,
            )
            for row in report.rows
        ),
        right=("own", "shared", "pending"),
    )
    whole = report.total + report.fresh_strays + report.strays
    output.data()
    output.fields(
        [
            ("own", output.size(report.own_bytes)),
            ("shared", output.size(report.shared_bytes)),
            ("pending deletion", output.size(report.pending_bytes)),
            (
                "unfinished uploads",
                output.size(report.draft_bytes + report.fresh_strays.size_bytes),
            ),
            ("orphaned", output.size(report.orphaned_bytes + report.strays.size_bytes)),
            ("elsewhere", output.size(report.elsewhere_bytes) if report.elsewhere_bytes else None),
            ("total", output.size(whole.size_bytes)),
        ]
    )
    if report.orphaned_bytes or report.strays.count or report.condemned.count:
        output.note("`lineal gc` frees what is orphaned")
