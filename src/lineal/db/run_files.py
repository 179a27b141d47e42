"""Plain files of runs: paths that point to blobs; the last write wins (RUN-28)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, Text, bindparam, delete, select

from lineal.core.digest import Digest
from lineal.core.records import Page, PageRequest, RunFileRecord
from lineal.db.blobs import IS_STORED, LOCATED_MOST
from lineal.db.engine import batches, each_text, insert
from lineal.db.fields import text_field
from lineal.db.orders import fetch_page, parse_order
from lineal.db.prepared import Prepared
from lineal.db.schema import blobs, run_files


def put(connection: Connection, run: int, paths: Mapping[str, int], now: datetime) -> None:
    """Point paths to blobs; a path that points there already keeps its moment."""
    statement = insert(connection, run_files)
    statement = statement.on_conflict_do_update(
        index_elements=["run_id", "path"],
        set_={"blob_id": statement.excluded.blob_id, "updated_at": statement.excluded.updated_at},
        where=run_files.c.blob_id != statement.excluded.blob_id,
    )
    rows = [
        {"run_id": run, "path": path, "blob_id": blob_id, "updated_at": now}
        for path, blob_id in paths.items()
    ]
    if rows:
        connection.execute(statement, rows)


def records(connection: Connection, run: int, paths: Sequence[str]) -> dict[str, RunFileRecord]:
    """Return those of the paths that are files of a run, by path."""
    found: dict[str, RunFileRecord] = {}
    for some in batches(paths):
        rows = connection.execute(_rows(run).where(run_files.c.path.in_(some)))
        found.update((row.path, _record(row)) for row in rows)
    return found


def page(
    connection: Connection,
    run: int,
    names: Sequence[str],
    request: PageRequest,
    *,
    pattern: str | None = None,
) -> Page[RunFileRecord]:
    """List files by path; names: only these, if any are given.

    pattern: only what is like it; `%` is any text, `_` any character, a backslash keeps what
    follows as it is, and the case of letters counts nowhere.
    """
    query = _rows(run)
    if names:
        query = query.where(run_files.c.path.in_(names))
    if pattern:
        query = query.where(run_files.c.path.ilike(pattern, escape="\\"))
    order = parse_order("+path", {"path": text_field(run_files.c.path)}, None)
    rows, cursor, total = fetch_page(connection, query, order, request)
    return Page(tuple(_record(row) for row in rows), cursor, total)


def paths(connection: Connection, run: int, limit: int) -> Sequence[str]:
    query = select(run_files.c.path).where(run_files.c.run_id == run)
    return connection.scalars(query.order_by(run_files.c.path).limit(limit)).all()


@Prepared
def _stored(is_sqlite: bool) -> Select[Any]:
    chosen = each_text(is_sqlite, bindparam("digests", type_=Text))
    of_run = select(run_files.c.path).where(
        run_files.c.run_id == bindparam("run"), run_files.c.blob_id == blobs.c.id
    )
    return select(blobs.c.digest, blobs.c.size_bytes, blobs.c.nonce).where(
        blobs.c.digest.in_(chosen), IS_STORED, of_run.exists()
    )


def stored(
    connection: Connection, run: int, digests: Iterable[Digest]
) -> list[tuple[Digest, int, str]]:
    """Return (digest, size_bytes, nonce) of those that are files of a run and stored."""
    found: list[tuple[Digest, int, str]] = []
    for some in batches(digests, LOCATED_MOST):
        rows = _stored.rows(connection, run=run, digests=json.dumps(some))
        found += [(Digest(row[0]), row[1], row[2]) for row in rows]
    return found


def remove(connection: Connection, run: int, path: str) -> bool:
    """Forget a file; its bytes go when nothing else needs them. False if there was none."""
    statement = delete(run_files).where(run_files.c.run_id == run, run_files.c.path == path)
    return connection.execute(statement).rowcount > 0


def _rows(run: int) -> Select[Any]:
    return (
        select(run_files.c.path, run_files.c.updated_at, blobs.c.digest, blobs.c.size_bytes)
        .join(blobs, blobs.c.id == run_files.c.blob_id)
        .where(run_files.c.run_id == run)
    )


def _record(row: Row[Any]) -> RunFileRecord:
    return RunFileRecord(row.path, Digest(row.digest), row.size_bytes, row.updated_at)
