"""Damage: what a database holds that it cannot, whatever its rows say of each other."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    LargeBinary,
    Select,
    Text,
    select,
)

from lineal.core import names
from lineal.core.records import CollectionKind, EdgeKind, RunState, Stream
from lineal.core.trials import SweepState, TrialState
from lineal.db.blobs import AWAITED, CONDEMNED, STORED
from lineal.db.column_types import EPOCH, Json, Moment
from lineal.db.deletion import EXPIRED, PURGE, RETENTION, USER
from lineal.db.drafts import COMMITTED, CONTRIBUTED, OPEN
from lineal.db.engine import on_sqlite
from lineal.db.redirects import COLLECTION, RUN
from lineal.db.schema import (
    aliases,
    blobs,
    collections,
    deletions,
    drafts,
    edges,
    entities,
    line_chunks,
    metadata,
    projects,
    redirects,
    runs,
    sweeps,
    trials,
    version_tags,
)
from lineal.errors import Invalid

_ENUMERATIONS = {
    runs.c.state: RunState,
    line_chunks.c.stream: Stream,
    collections.c.kind: CollectionKind,
    edges.c.kind: EdgeKind,
    blobs.c.state: (AWAITED, STORED, CONDEMNED),
    drafts.c.state: (OPEN, CONTRIBUTED, COMMITTED),
    sweeps.c.state: SweepState,
    trials.c.state: TrialState,
    deletions.c.reason: (USER, EXPIRED, RETENTION, PURGE),
    redirects.c.kind: (RUN, COLLECTION),
}
"""All that a column can say."""
_LISTS = {projects.c.protected_aliases, sweeps.c.points_ahead}
"""The documents that are lists; all others are objects."""
_NAMES: dict[Column[Any], Callable[[str], str]] = {
    entities.c.name: names.entity_name,
    projects.c.name: names.project_name,
    collections.c.name: names.artifact_name,
    collections.c.type: names.type_name,
    runs.c.run_id: names.run_id,
    aliases.c.alias: names.alias,
    version_tags.c.tag: names.tag,
}
_STORED_AS = (
    ((Json, Text), "text"),
    ((Moment, Integer, Boolean), "integer"),
    (Float, "real"),
    (LargeBinary, "blob"),
)
"""What SQLite says of the values of each type of column, the first that fits."""
_MOMENTS = (
    (datetime.min.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1),
    (datetime.max.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1),
)
"""Beyond them there is no year."""
_SHOWN_MOST = 20
"""Complaints of SQLite about one file."""
_SHOWN_BYTES = 40
"""Of a text that is not UTF-8."""
_NOT_ASCII = "*[^\x01-\x7f]*"
"""A pattern of GLOB; what it leaves is UTF-8 for sure, and most of all texts."""


def of_values(connection: Connection) -> Iterator[tuple[str, str, str]]:
    """Yield (invariant, where, what) for values that are not what their column is for.

    SQLite holds anything in any column; whoever made the file may have left out the constraints.
    """
    if on_sqlite(connection):
        yield from _no_tables(connection)
        yield from _wrong_values(connection)
        yield from _lost_rows(connection)
    yield from _unknown_values(connection)
    yield from _no_names(connection)


def of_file(connection: Connection, *, quick: bool = False) -> Iterator[tuple[str, str, str]]:
    """Yield what SQLite finds in its file: pages and indexes that contradict each other.

    quick: leave out what takes longer than reading the file once. PostgreSQL looks after itself.
    """
    if not on_sqlite(connection):
        return
    for check in ("quick_check", "integrity_check"):  # damage may stop the second half-way
        found = connection.exec_driver_sql(f"PRAGMA {check}({_SHOWN_MOST})").scalars().all()
        for text in found:
            if text != "ok":
                yield "the database is whole", "lineal.db", text
        if quick or found != ["ok"]:
            return


def of_texts(connection: Connection) -> Iterator[tuple[str, str, str]]:
    """Yield the texts of SQLite that are not UTF-8, which nobody can be given, nor their rows."""
    if not on_sqlite(connection):
        return
    for table, key_count, names_of_texts, query in _queries_for_texts():
        parameters = (_NOT_ASCII,) * len(names_of_texts)
        for row in connection.exec_driver_sql(query, parameters):
            where = " ".join(map(str, (table, *row[:key_count])))
            for name, text in zip(names_of_texts, row[key_count:], strict=True):
                try:
                    (text or b"").decode()
                except UnicodeDecodeError:
                    shown = text[:_SHOWN_BYTES]
                    yield "records can be read", where, f"{name} is no UTF-8: {shown!r}"


@functools.cache
def _queries_for_texts() -> list[tuple[str, int, list[str], str]]:
    """Return each table, how many numbers its key has, its texts, and the query of both.

    It has a parameter for each text.
    """
    found = []
    for table in metadata.sorted_tables:
        texts = [each.name for each in table.columns if isinstance(each.type, (Json, Text))]
        keys = [each.name for each in table.primary_key.columns if each.name not in texts]
        asked = ", ".join([*keys, *(f"CAST({name} AS BLOB)" for name in texts)])
        wanted = " OR ".join(f"{name} GLOB ?" for name in texts)
        if texts:
            query = f"SELECT {asked} FROM {table.name} WHERE {wanted}"  # noqa: S608 - our own names
            found.append((table.name, len(keys), texts, query))
    return found


def _no_tables(connection: Connection) -> Iterator[tuple[str, str, str]]:
    """Yield what computes in place of holding rows; it may never end."""
    computes = "type IN ('view', 'trigger') OR sql LIKE 'CREATE VIRTUAL%'"
    query = f"SELECT name, type FROM sqlite_master WHERE {computes}"  # noqa: S608 - constants
    for name, type in connection.exec_driver_sql(query):
        kind = "virtual table" if type == "table" else type
        yield "records can be read", name, f"it is a {kind}, and Lineal has none"


def _wrong_values(connection: Connection) -> Iterator[tuple[str, str, str]]:
    """Yield rows of SQLite with a value that is not of its column's type."""
    for table, key_count, query in _queries_for_wrong_values():
        for row in connection.exec_driver_sql(query):
            where = " ".join(map(str, (table, *row[:key_count])))
            for what in row[key_count:]:
                if what is not None:
                    yield "records can be read", where, what


@functools.cache
def _queries_for_wrong_values() -> list[tuple[str, int, str]]:
    """Return each table, how many columns its key has, and the query of keys and complaints."""
    found = []
    for table in metadata.sorted_tables:
        keys = [column.name for column in table.primary_key.columns]
        said = ", ".join(map(_complaint, table.columns))
        # as text: building sixty of them takes SQLAlchemy longer than a small database does
        query = (
            f"SELECT {', '.join(keys)}, {said} FROM {table.name} "  # noqa: S608 - our own names
            f"WHERE coalesce({said}, NULL) IS NOT NULL"
        )
        found.append((table.name, len(keys), query))
    return found


def _complaint(column: Column[Any]) -> str:
    """Return SQL for what is wrong with the value of a column, NULL if nothing is."""
    name = column.name
    type = next(text for kinds, text in _STORED_AS if isinstance(column.type, kinds))
    wrong = f"'{name} is ' || typeof({name}) || ', not {type}'"
    cases = [f"WHEN {name} IS NULL THEN {'NULL' if column.nullable else wrong}"]
    if isinstance(column.type, Moment):
        wrong = f"'no moment: {name}'"
    allowed = "'real', 'integer'" if type == "real" else f"'{type}'"
    cases.append(f"WHEN typeof({name}) NOT IN ({allowed}) THEN {wrong}")
    if isinstance(column.type, Moment):
        cases.append(f"WHEN {name} NOT BETWEEN {_MOMENTS[0]} AND {_MOMENTS[1]} THEN {wrong}")
    if isinstance(column.type, Json):
        kind = "array" if column in _LISTS else "object"
        wrong = f"'no JSON {kind}: {name}'"
        cases.append(f"WHEN NOT json_valid({name}) THEN {wrong}")
        cases.append(f"WHEN json_type({name}) <> '{kind}' THEN {wrong}")
    return f"CASE {' '.join(cases)} END"


def _lost_rows(connection: Connection) -> Iterator[tuple[str, str, str]]:
    """Yield the tables of SQLite with rows that lead to none, whatever constraints are declared."""
    for table, parent, query in _queries_for_lost_rows():
        count = connection.exec_driver_sql(query).scalar()
        if count:
            yield "rows lead to rows that exist", table, f"{count} lead to {parent} that are lost"


@functools.cache
def _queries_for_lost_rows() -> list[tuple[str, str, str]]:
    """Return each table, one that it leads to, and the query of how many of its rows do not."""
    found = []
    for table in metadata.sorted_tables:
        for column in table.columns:
            for key in column.foreign_keys:
                parent = key.column.table.name
                query = (
                    f"SELECT count(*) FROM {table.name} AS child "  # noqa: S608 - our own names
                    f"WHERE {column.name} IS NOT NULL AND NOT EXISTS "
                    f"(SELECT 1 FROM {parent} AS parent WHERE parent.id = child.{column.name})"
                )
                found.append((table.name, parent, query))
    return found


def _no_names(connection: Connection) -> Iterator[tuple[str, str, str]]:
    """Yield names that nothing can have, and that nobody could ask for."""
    for column, check in _NAMES.items():
        for name in connection.execute(select(column).distinct()).scalars():
            try:
                check(name)
            except Invalid as error:
                yield "names can be given", column.table.name, error.message


def _unknown_values(connection: Connection) -> Iterator[tuple[str, str, str]]:
    """Yield rows that say something that is in no enumeration."""
    for column, query in _queries_for_unknown_values():
        for row_id, value in connection.execute(query):
            what = f"{column.name} is {value!r}"
            yield "records can be read", f"{column.table.name} {row_id}", what


@functools.cache
def _queries_for_unknown_values() -> list[tuple[Column[Any], Select[Any]]]:
    return [
        (column, select(column.table.c.id, column).where(column.not_in(values)))
        for column, values in _ENUMERATIONS.items()
    ]
