"""Runs: rows, tags, and lists with filters and orders (API-8, API-9)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from sys import intern
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast, get_args

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    case,
    delete,
    insert,
    literal,
    null,
    select,
    update,
)

from lineal.core.records import (
    JsonObject,
    Page,
    PageRequest,
    RunDocument,
    RunKey,
    RunQuery,
    RunRecord,
    RunState,
)
from lineal.db import engine, redirects
from lineal.db.engine import batches, on_sqlite
from lineal.db.fields import (
    FieldSpec,
    document_field,
    label_field,
    moment_field,
    number_field,
    text_field,
)
from lineal.db.filters import compile_filter
from lineal.db.orders import fetch_page, parse_order
from lineal.db.schema import entities, projects, run_tags, runs

if TYPE_CHECKING:
    from lineal.db.rows import RunRow

NEWEST_FIRST = "-created_at"
"""X-3."""

_HELD = select(runs.c.id).where(runs.c.id == bindparam("run")).with_for_update(key_share=True)
"""Lock a run, but not against rows that only refer to it.

Who deletes or moves a run locks it before its collections, and who logs to a collection has
locked that when the edge to the run is added: one would wait for the other.
"""

# --- one run ------------------------------------------------------------------------------------


def find(
    connection: Connection, entity: str, project: str, run_id: str, *, lock: bool = False
) -> RunRow | None:
    """Return the row of a run, deleted ones too, moved ones also by their old name (RUN-38).

    lock: until the transaction ends.
    """
    query = _rows().where(
        entities.c.name == entity, projects.c.name == project, runs.c.run_id == run_id
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        moved = redirects.target_of_path(connection, redirects.RUN, entity, project, run_id)
        return None if moved is None else find_by_key(connection, moved, lock=lock)
    if lock and not on_sqlite(connection):
        return find_by_key(connection, row.id, lock=True)
    return cast("RunRow", row)


def find_by_key(connection: Connection, key: int, *, lock: bool = False) -> RunRow | None:
    """Return the row of a run, deleted ones too; lock: until the transaction ends."""
    if lock and not on_sqlite(connection):
        # on its own: joined to the project that it had, a run that was moved meanwhile is not found
        connection.execute(_HELD, {"run": key})
    row = connection.execute(_rows().where(runs.c.id == key)).one_or_none()
    return cast("RunRow | None", row)


def full_name(row: RunRow) -> str:
    return f"{row.entity}/{row.project}/{row.run_id}"


def elsewhere(connection: Connection, run_id: str, project_id: int | None) -> str | None:
    """Return the full name of the newest started run with this id in another project (SEED-1).

    project_id: the one that is meant; None if there is no such project.
    """
    query = _rows().where(
        runs.c.run_id == run_id,
        runs.c.deleted_at.is_(None),
        runs.c.state != RunState.PENDING,
    )
    if project_id is not None:
        query = query.where(runs.c.project_id != project_id)
    row = connection.execute(query.order_by(runs.c.id.desc()).limit(1)).first()
    return None if row is None else full_name(cast("RunRow", row))


def called(connection: Connection, name: str, project_id: int | None, among: int) -> str | None:
    """Return the full name of the newest run whose label this is; no index finds labels.

    project_id: where to look, None for everywhere. among: the newest runs that are looked at.
    """
    newest = select(runs.c.id).where(runs.c.deleted_at.is_(None))
    if project_id is not None:
        newest = newest.where(runs.c.project_id == project_id)
    newest = newest.order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(among)
    query = _rows().where(runs.c.id.in_(newest), runs.c.name == name)
    row = connection.execute(query.order_by(runs.c.id.desc()).limit(1)).first()
    return None if row is None else full_name(cast("RunRow", row))


def ids(connection: Connection, project_id: int, limit: int) -> Sequence[str]:
    """Return run ids of a project, newest first; for near misses."""
    query = select(runs.c.run_id).where(
        runs.c.project_id == project_id, runs.c.deleted_at.is_(None)
    )
    newest_first = runs.c.created_at.desc(), runs.c.id.desc()
    return connection.scalars(query.order_by(*newest_first).limit(limit)).all()


def create(connection: Connection, values: Mapping[str, Any]) -> bool:
    """Insert a run; False if somebody made one with this id meanwhile."""
    statement = (
        engine.insert(connection, runs)
        .values(**values)
        .on_conflict_do_nothing(index_elements=["project_id", "run_id"])
        .returning(runs.c.id)
    )
    return connection.execute(statement).scalar() is not None


def change(connection: Connection, key: int, values: Mapping[str, Any]) -> None:
    if values:
        connection.execute(update(runs).where(runs.c.id == key).values(**values))


def beat(
    connection: Connection,
    key: int,
    now: datetime,
    runtime_seconds: float,
    changed: Mapping[str, Any] = MappingProxyType({}),
) -> bool:
    """Record a heartbeat and the runtime so far; False if there is no such live run.

    What was taken for crashed is running.

    runtime_seconds: of the present attempt. Of several writers the one that ran longest counts.
    changed: other columns. Who changes a run twice locks its project the second time (PostgreSQL
    looks again at what a row leads to that this transaction wrote), and so after the run.
    """
    total = runs.c.earlier_runtime_seconds + runtime_seconds
    longest = case((runs.c.runtime_seconds < total, total), else_=runs.c.runtime_seconds)
    statement = update(runs).where(runs.c.id == key, runs.c.deleted_at.is_(None))
    crashed, running = (literal(str(s)) for s in (RunState.CRASHED, RunState.RUNNING))
    state = case((runs.c.state == crashed, running), else_=runs.c.state)
    values = {"heartbeat_at": now, "runtime_seconds": longest, "state": state, **changed}
    return connection.execute(statement.values(**values)).rowcount > 0


def set_tags(connection: Connection, key: int, tags: Sequence[str]) -> None:
    """Replace all tags of a run; their order is kept."""
    connection.execute(delete(run_tags).where(run_tags.c.run_id == key))
    if tags:
        rows = [{"run_id": key, "tag": tag, "position": i} for i, tag in enumerate(tags)]
        connection.execute(insert(run_tags), rows)


# --- many runs ----------------------------------------------------------------------------------


def page(
    connection: Connection,
    project_id: int,
    query: RunQuery,
    request: PageRequest,
    crashed_before: datetime,
) -> Page[RunRecord]:
    """List the live runs of a project that match; `crashed_before` as in `state_at`."""
    columns = filter_columns(crashed_before)
    # Of the key alone: where rows are sorted, each that may be on the page is read as a whole.
    wanted = select(runs.c.id).where(runs.c.project_id == project_id, runs.c.deleted_at.is_(None))
    if query.filters:
        wanted = wanted.where(compile_filter(query.filters, columns))
    order = parse_order(query.order or NEWEST_FIRST, columns, runs.c.id)
    rows, cursor, total = fetch_page(connection, wanted, order, request)
    keys = [row.id for row in rows]
    found = by_keys(connection, keys, crashed_before, with_documents=query.with_documents)
    return Page(tuple(found[key] for key in keys), cursor, total)


def by_keys(
    connection: Connection,
    keys: Iterable[int],
    crashed_before: datetime,
    *,
    with_documents: bool = True,
) -> dict[int, RunRecord]:
    """Return those of the runs that are not deleted, by key; with_documents: as in RunQuery."""
    found: dict[int, RunRecord] = {}
    for some in batches(keys):
        wanted = _rows(with_documents=with_documents)
        rows = connection.execute(
            wanted.where(runs.c.id.in_(some), runs.c.deleted_at.is_(None))
        ).all()
        found.update((run.key, run) for run in records(connection, rows, crashed_before))
    return found


def documents(
    connection: Connection, keys: Iterable[int], name: RunDocument
) -> dict[int, JsonObject]:
    """Return one document of each of those runs that there are, deleted ones too, by key."""
    query = select(runs.c.id, runs.c[name])
    return {
        key: document
        for some in batches(keys)
        for key, document in connection.execute(query.where(runs.c.id.in_(some))).all()
    }


def records(
    connection: Connection, rows: Sequence[Row[Any]] | Sequence[RunRow], crashed_before: datetime
) -> list[RunRecord]:
    """Turn rows of this module into records, in their order; one more query for all tags."""
    tags = tags_of(connection, [row.id for row in rows])
    return [_record(row, tuple(tags[row.id]), crashed_before) for row in rows]


def tags_of(connection: Connection, keys: Iterable[int]) -> dict[int, list[str]]:
    """Return the tags of runs, in their order; of one that has none an empty list."""
    tags: dict[int, list[str]] = {key: [] for key in keys}
    for some in batches(tags):
        query = select(run_tags.c.run_id, run_tags.c.tag).where(run_tags.c.run_id.in_(some))
        for key, tag in connection.execute(query.order_by(run_tags.c.position)):
            tags[key].append(tag)
    return tags


def filter_columns(crashed_before: datetime) -> dict[str, FieldSpec]:
    """What filters and orders of runs may name: W&B's spellings, and ours where they differ."""
    created, heartbeat = moment_field(runs.c.created_at), moment_field(runs.c.heartbeat_at)
    label, job_type = text_field(runs.c.name), text_field(runs.c.job_type)
    user = text_field(runs.c.created_by)
    return {
        "config": document_field(runs.c.config, wrapper="value"),
        "summary_metrics": document_field(runs.c.summary),
        "metadata": document_field(runs.c.metadata),
        "createdAt": created,
        "created_at": created,
        "heartbeatAt": heartbeat,
        "heartbeat_at": heartbeat,
        "displayName": label,
        "display_name": label,
        "name": text_field(runs.c.run_id),
        "duration": number_field(runs.c.runtime_seconds),
        "group": text_field(runs.c.group_name),
        "host": text_field(runs.c.host),
        "jobType": job_type,
        "job_type": job_type,
        "notes": text_field(runs.c.notes),
        "state": text_field(_state_column(crashed_before)),
        "sweep": text_field(runs.c.sweep_id),
        "tags": label_field(run_tags.c.tag, run_tags.c.run_id == runs.c.id),
        "user": user,
        "username": user,
    }


_MAY_CRASH = (RunState.RUNNING, RunState.PREEMPTING)


def state_at(state: str, heartbeat_at: datetime, crashed_before: datetime) -> RunState:
    """Return a run's state; whose last heartbeat is before `crashed_before` has crashed (RUN-9)."""
    if state in _MAY_CRASH and heartbeat_at < crashed_before:
        return RunState.CRASHED
    return RunState(state)


def _state_column(crashed_before: datetime) -> ColumnElement[str]:
    is_crashed = and_(runs.c.state.in_(_MAY_CRASH), runs.c.heartbeat_at < crashed_before)
    return case((is_crashed, literal(str(RunState.CRASHED))), else_=runs.c.state)


_BUT_DOCUMENTS = [
    null().label(column.name) if column.name in get_args(RunDocument) else column
    for column in runs.c
]


def _rows(*, with_documents: bool = True) -> Select[Any]:
    own = runs.c if with_documents else _BUT_DOCUMENTS
    return (
        select(*own, projects.c.name.label("project"), entities.c.name.label("entity"))
        .select_from(runs)
        .join(projects, runs.c.project_id == projects.c.id)
        .join(entities, projects.c.entity_id == entities.c.id)
    )


def _record(row: Row[Any] | RunRow, tags: tuple[str, ...], crashed_before: datetime) -> RunRecord:
    return RunRecord(
        key=RunKey(row.id),
        entity=intern(row.entity),
        project=intern(row.project),
        run_id=row.run_id,
        name=row.name,
        state=state_at(row.state, row.heartbeat_at, crashed_before),
        notes=row.notes,
        group=row.group_name,
        job_type=row.job_type,
        tags=tags,
        config=row.config or {},
        summary=row.summary or {},
        metadata=row.metadata or {},
        sweep_id=row.sweep_id,
        user=intern(row.created_by),
        git_commit=row.git_commit,
        git_remote=row.git_remote,
        host=row.host,
        program=row.program,
        created_at=row.created_at,
        heartbeat_at=row.heartbeat_at,
        finished_at=row.finished_at,
        exit_code=row.exit_code,
        runtime_seconds=row.runtime_seconds,
        last_step=row.last_step,
        history_count=row.history_count,
    )
