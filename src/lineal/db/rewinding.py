"""What a rewound run gives to the copy that keeps it as it was (RUN-19)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, insert, literal, select, update

from lineal.core.records import EdgeKind
from lineal.db.lineage import FIRST_LOGGED
from lineal.db.schema import edges, run_files, runs, versions

if TYPE_CHECKING:
    from lineal.db.rows import RunRow


def values_to_copy(row: RunRow) -> dict[str, Any]:
    """Return what a run's row says of it, by the names of the columns; its key is left out."""
    values = row._asdict()
    return {column.name: values[column.name] for column in runs.c if column.name != "id"}


def copy_files(connection: Connection, run: int, copy: int) -> None:
    """Let another run have the same files; rows of its history refer to them by path."""
    kept = [column for column in run_files.c if column.name != "run_id"]
    query = select(literal(copy), *kept).where(run_files.c.run_id == run)
    names = ["run_id", *(column.name for column in kept)]
    connection.execute(insert(run_files).from_select(names, query))


def copy_used(connection: Connection, run: int, copy: int) -> None:
    """Let another run have used what this one used.

    Marks of closed cycles are copied: the copy stands where the run stood, so nothing new closes.
    """
    kept = [column for column in edges.c if column.name not in ("id", "run_id")]
    query = select(literal(copy), *kept).where(edges.c.run_id == run, edges.c.kind == EdgeKind.USED)
    names = ["run_id", *(column.name for column in kept)]
    connection.execute(insert(edges).from_select(names, query.order_by(edges.c.id)))


def move_logged_later(connection: Connection, run: int, copy: int, history_step: int) -> None:
    """Make another run the producer of what this one was the first to log, and logged later.

    history_step: as versions note it, of the last that stays (ART-11).
    """
    later = (
        select(edges.c.version_id)
        .join(versions, versions.c.id == edges.c.version_id)
        .where(
            edges.c.run_id == run,
            edges.c.kind == EdgeKind.LOGGED,
            versions.c.history_step > history_step,
        )
    )
    first = FIRST_LOGGED.where(edges.c.version_id.in_(later)).group_by(edges.c.version_id)
    connection.execute(
        update(edges).where(edges.c.run_id == run, edges.c.id.in_(first)).values(run_id=copy)
    )
