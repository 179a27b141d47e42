"""Runs: started, resumed, changed, finished (RUN-1…RUN-38)."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from lineal.core import access, limits, names
from lineal.core.access import Action, Actor
from lineal.core.names import OWN_KEY
from lineal.core.records import (
    JsonObject,
    Page,
    PageRequest,
    RunDocument,
    RunKey,
    RunPatch,
    RunQuery,
    RunRecord,
    RunSpec,
    RunState,
    StartedRun,
)
from lineal.db import projects as projects_db
from lineal.db import runs as runs_db
from lineal.db.json_values import json_text, json_value
from lineal.errors import Conflict, Invalid, RunNotFoundError, UsageError
from lineal.service import finding_runs
from lineal.service.instance import Instance
from lineal.service.run_names import random_name

if TYPE_CHECKING:
    from lineal.db.rows import RunRow

RESUME = (None, "allow", "must", "never")
_ENDED = (RunState.FINISHED, RunState.FAILED, RunState.KILLED, RunState.PREEMPTED)


# --- start --------------------------------------------------------------------------------------


def start(instance: Instance, actor: Actor, spec: RunSpec) -> StartedRun:
    """Start a run, or resume the one of that id, as `spec.resume` says (RUN-11).

    A run that is pending is in nobody's way (RUN-17); one that ran before, and failed, is
    resumed. A run that is running may be joined by any number of writers (RUN-16). On resume,
    config is merged with the new values winning, tags given replace the old ones (RUN-10), what
    is None is kept. Makes the project if there is none.
    Raises UsageError (exists already), RunNotFoundError (`must`, and there is none), Gone
    (deleted: an id is never used again, RUN-4), Invalid.
    """
    what = f"{spec.entity}/{spec.project}/{spec.run_id}"
    access.require(actor, Action.WRITE, f"run {what}")
    values = _checked(spec)
    with instance.database.writing() as connection:
        now = instance.clock.now()
        project_id = projects_db.ensure(connection, spec.entity, spec.project, now)
        row = runs_db.find(connection, spec.entity, spec.project, spec.run_id, lock=True)
        if row is None and spec.resume != "must":
            created = _new(spec, values, project_id, actor, now)
            if runs_db.create(connection, created):
                return _started(instance, connection, spec, project_id, is_resumed=False)
            row = runs_db.find(connection, spec.entity, spec.project, spec.run_id, lock=True)
        if row is not None and row.deleted_at is not None:
            raise finding_runs.gone(row)
        _check_resume(connection, actor, spec, project_id, row)
        assert row is not None
        runs_db.change(connection, row.id, _resumed(instance, row, values, now))
        return _started(instance, connection, spec, project_id, is_resumed=_has_run(row))


def _checked(spec: RunSpec) -> dict[str, Any]:
    """Validate a spec; return the columns that it says something about."""
    names.entity_name(spec.entity)
    names.project_name(spec.project)
    names.run_id(spec.run_id)
    if spec.tags is not None:
        names.run_tags(spec.tags)
    if spec.resume not in RESUME:
        raise Invalid(f"`resume` cannot be {spec.resume!r}; use allow, must or never")
    values = {
        "name": _text("name", spec.name) or None,
        "notes": _text("notes", spec.notes),
        "group_name": _text("group", spec.group),
        "job_type": _text("job_type", spec.job_type),
        "sweep_id": _text("sweep_id", spec.sweep_id),
        "host": _text("host", spec.host),
        "program": _text("program", spec.program),
        "config": _document("config", spec.config),
        "metadata": _document("metadata", spec.metadata),
    }
    return {column: value for column, value in values.items() if value is not None}


def _new(
    spec: RunSpec, values: dict[str, Any], project_id: int, actor: Actor, now: datetime
) -> dict[str, Any]:
    fixed = {
        "project_id": project_id,
        "run_id": spec.run_id,
        "state": str(RunState.RUNNING),
        "created_by": actor.name,
        "created_at": now,
        "heartbeat_at": now,
    }
    by_default = {"name": random_name(), "config": {}, "summary": {}, "metadata": {}}
    return by_default | values | fixed


def _resumed(
    instance: Instance, row: RunRow, values: dict[str, Any], now: datetime
) -> dict[str, Any]:
    changed = values | {
        "state": str(RunState.RUNNING),
        "heartbeat_at": now,
        "finished_at": None,
        "exit_code": None,
    }
    for document in ("config", "metadata"):
        if document in values:
            changed[document] = getattr(row, document) | values[document]
    state = runs_db.state_at(row.state, row.heartbeat_at, instance.crashed_before())
    if state is not RunState.RUNNING:
        # Whoever joins a living run does not begin a new attempt: its time counts once.
        changed["earlier_runtime_seconds"] = row.runtime_seconds
    return changed


def _has_run(row: RunRow) -> bool:
    """Tell whether a run ever ran; one that was made in advance did not, whatever its state."""
    return bool(row.state != RunState.PENDING or row.history_count or row.runtime_seconds)


def _check_resume(
    connection: Connection, actor: Actor, spec: RunSpec, project_id: int, row: RunRow | None
) -> None:
    """Apply the table of RUN-11 to a run that is in the way, or is not there."""
    name = f"{spec.entity}/{spec.project}/{spec.run_id}"
    exists = row is not None and row.state != RunState.PENDING
    present = name if row is None else runs_db.full_name(row)
    moved = "" if present == name else f" (it was moved, and is {present} now)"
    if exists and spec.resume == "never":
        raise UsageError(
            f"Run {name} exists already{moved} and `resume` is `never`; use another id"
        )
    if exists and spec.resume is None:
        raise UsageError(
            f'Run {name} exists already{moved}. To go on with it, say `resume="allow"` (or '
            "`must`, or `--resume` on the command line); to start a new run, use another id"
        )
    if spec.resume != "must" or (row is not None and _has_run(row)):
        return
    if row is not None:
        raise RunNotFoundError(
            f"`resume` is `must`, but run {name} is pending and was never started; "
            '`resume="allow"` starts it'
        )
    near, meant = finding_runs.near_runs(connection, spec.run_id, project_id)
    raise RunNotFoundError(
        f"`resume` is `must`, but there is no run {name} (you are {actor.name}){near}", meant=meant
    )


def _started(
    instance: Instance, connection: Connection, spec: RunSpec, project_id: int, *, is_resumed: bool
) -> StartedRun:
    row = runs_db.find(connection, spec.entity, spec.project, spec.run_id)
    assert row is not None
    if spec.tags is not None:
        runs_db.set_tags(connection, row.id, names.run_tags(spec.tags))
    elsewhere = None
    if spec.resume == "allow" and not is_resumed:
        elsewhere = runs_db.elsewhere(connection, spec.run_id, project_id)
    return StartedRun(finding_runs.record(instance, connection, row), is_resumed, elsewhere)


# --- read ---------------------------------------------------------------------------------------


def run(
    instance: Instance,
    actor: Actor,
    entity: str,
    project: str,
    run_id: str,
    *,
    with_deleted: bool = False,
) -> RunRecord:
    """Return a run. Raises RunNotFoundError, naming near misses, or Gone unless `with_deleted`."""
    access.require(actor, Action.READ, f"run {entity}/{project}/{run_id}")
    with instance.database.reading() as connection:
        row = finding_runs.require_named(
            connection, actor, entity, project, run_id, with_deleted=with_deleted
        )
        return finding_runs.record(instance, connection, row)


def run_by_key(instance: Instance, actor: Actor, run: RunKey) -> RunRecord:
    """Return a run. Raises RunNotFoundError or Gone."""
    access.require(actor, Action.READ, f"run {run}")
    with instance.database.reading() as connection:
        return finding_runs.record(instance, connection, finding_runs.require(connection, run))


def runs(instance: Instance, actor: Actor, query: RunQuery, page: PageRequest) -> Page[RunRecord]:
    """List runs of a project, newest first unless ordered otherwise (API-8, X-3).

    Raises NotFound for an unknown project, Invalid for a filter, order or cursor that is wrong.
    """
    access.require(actor, Action.READ, f"project {query.entity}/{query.project}")
    with instance.database.reading() as connection:
        project_id = projects_db.require(connection, query.entity, query.project, actor.name)
        return runs_db.page(connection, project_id, query, page, instance.crashed_before())


def documents(
    instance: Instance, actor: Actor, keys: Collection[RunKey], name: RunDocument
) -> dict[RunKey, JsonObject]:
    """Return one document of each of those runs that there are, deleted ones too."""
    access.require(actor, Action.READ, f"{len(keys)} runs")
    with instance.database.reading() as connection:
        found = runs_db.documents(connection, keys, name)
    return {RunKey(key): document for key, document in found.items()}


# --- change -------------------------------------------------------------------------------------


def update(instance: Instance, actor: Actor, run: RunKey, patch: RunPatch) -> RunRecord:
    """Change a run; dictionaries are merged by top-level key, so that two writers both count.

    What Lineal itself keeps in the config, such as defined metrics, is merged by its parts.
    Raises RunNotFoundError, Gone, Invalid (a tag, a value that JSON cannot hold; `crashed`, which
    is never set but follows from silence, RUN-9), or Conflict (to stop what is over, to start
    again what did not fail).
    """
    access.require(actor, Action.WRITE, f"run {run}")
    values = {
        "name": _text("name", patch.name) or None,
        "notes": _text("notes", patch.notes),
        "group_name": _text("group", patch.group),
        "job_type": _text("job_type", patch.job_type),
        "git_commit": _text("git_commit", patch.git_commit),
        "git_remote": _text("git_remote", patch.git_remote),
    }
    changed: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
    documents = {
        "config": (_document("config", patch.config), patch.config_removed),
        "summary": (_document("summary", patch.summary), patch.summary_removed),
        "metadata": (_document("metadata", patch.metadata), ()),
    }
    tags = None if patch.tags is None else names.run_tags(patch.tags)
    with instance.database.writing() as connection:
        row = finding_runs.require(connection, run, lock=True)
        for column, (added, removed) in documents.items():
            if added is not None or removed:
                changed[column] = _merged(column, getattr(row, column), added or {}, removed)
        if patch.state is not None:
            _require_may_become(row, patch.state)
            changed |= _state_change(patch.state, instance.clock.now())
        runs_db.change(connection, run, changed)
        if tags is not None:
            current = runs_db.tags_of(connection, [run])[run]
            after = names.tags_after(current, patch.tags_before, tags)
            runs_db.set_tags(connection, run, after)
        return finding_runs.record(instance, connection, finding_runs.require(connection, run))


def heartbeat(instance: Instance, actor: Actor, run: RunKey, runtime_seconds: float) -> None:
    """Say that a run is alive; runtime_seconds: of this attempt. Raises RunNotFoundError, Gone."""
    access.require(actor, Action.WRITE, f"run {run}")
    with instance.database.writing() as connection:
        if not runs_db.beat(connection, run, instance.clock.now(), runtime_seconds):
            finding_runs.require(connection, run)


def mark_crashed(instance: Instance, actor: Actor, run: RunKey, runtime_seconds: float) -> None:
    """Say that nobody writes to a running run any more; a later heartbeat says otherwise.

    runtime_seconds: of all attempts, as far as is known. Raises RunNotFoundError, Gone.
    """
    access.require(actor, Action.WRITE, f"run {run}")
    with instance.database.writing() as connection:
        row = finding_runs.require(connection, run, lock=True)
        if row.state == RunState.RUNNING:
            known = max(row.runtime_seconds, runtime_seconds)
            values = {"state": str(RunState.CRASHED), "runtime_seconds": known}
            runs_db.change(connection, run, values)


def finish(
    instance: Instance, actor: Actor, run: RunKey, exit_code: int, runtime_seconds: float
) -> RunState:
    """End a run: `finished` on exit code 0, else `failed`, or `preempted` if that was announced.

    Returns which of them. runtime_seconds: of this attempt. A run that was killed stays so, and one
    that failed does until it is resumed: another writer ended well (RUN-16). Raises
    RunNotFoundError, Gone, Invalid (of a code beyond 32 bits).
    """
    access.require(actor, Action.WRITE, f"run {run}")
    limits.check_exit_code(exit_code)
    with instance.database.writing() as connection:
        row = finding_runs.require(connection, run, lock=True)
        now = instance.clock.now()
        code = exit_code or row.exit_code if row.state == RunState.FAILED else exit_code
        state = RunState.FINISHED if code == 0 else RunState.FAILED
        if row.state in (RunState.PREEMPTING, RunState.PREEMPTED) and code != 0:
            state = RunState.PREEMPTED
        if row.state == RunState.KILLED:
            state = RunState.KILLED
        is_repeated = (row.state, row.exit_code) == (state, code) and row.finished_at
        finished_at = row.finished_at if is_repeated else now
        changed = {"state": str(state), "exit_code": code, "finished_at": finished_at}
        runs_db.beat(connection, run, now, runtime_seconds, changed)
        return state


# --- states and values --------------------------------------------------------------------------


def _require_may_become(row: RunRow, state: RunState) -> None:
    if state is RunState.KILLED and row.state in _ENDED and row.state != state:
        raise Conflict(f"Run {row.run_id} is {row.state}, so there is nothing to stop")
    if state is RunState.PENDING and row.state in _ENDED and row.state != RunState.FAILED:
        raise Conflict(
            f"Run {row.run_id} is {row.state}; only a failed or crashed run can be `pending` again"
        )


def _state_change(state: RunState, now: datetime) -> dict[str, Any]:
    if state is RunState.CRASHED:
        raise Invalid("A run becomes `crashed` by its silence; set `failed` or `killed`")
    ended = {"finished_at": now} if state in _ENDED else {"finished_at": None, "exit_code": None}
    return {"state": str(state), **ended}


def _merged(
    column: str, before: JsonObject, added: JsonObject, removed: Collection[str]
) -> JsonObject:
    kept = {key: value for key, value in before.items() if key not in removed}
    merged = kept | added
    if column == "config" and OWN_KEY in kept:
        merged[OWN_KEY] = _own_merged(kept[OWN_KEY], merged[OWN_KEY])
    return merged


def _own_merged(before: Any, after: Any) -> Any:
    """Merge what several writers note under Lineal's own key: parts, and what each of them names.

    Each sends all that it knows of, which lacks what others noted since it started.
    """
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    merged = before | after
    for part, known in before.items():
        if isinstance(known, dict) and isinstance(after.get(part), dict):
            merged[part] = known | after[part]
    return merged


def _text(what: str, value: str | None) -> str | None:
    if value is not None and not _is_storable(value):
        raise Invalid(f"`{what}` must be text in valid Unicode and without NUL, not {value!r}")
    return value


def _document(what: str, value: JsonObject | None) -> JsonObject | None:
    return None if value is None else as_stored(what, value)


def as_stored(what: str, value: JsonObject) -> JsonObject:
    """Return a dictionary as it will be read back; raises Invalid for what JSON cannot hold."""
    try:
        text = json_text(value)
        text.encode()
        read: JsonObject = json_value(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"`{what}` holds something that JSON cannot: {error}") from error
    return read


def _is_storable(value: object) -> bool:
    return isinstance(value, str) and not re.search("[\0\ud800-\udfff]", value)
