"""Take a run back to a step; what it was lives on as another run (RUN-19)."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from lineal.core import access
from lineal.core.access import Action, Actor
from lineal.core.names import OWN_KEY
from lineal.core.records import JsonObject, RunKey, RunRecord, RunState
from lineal.db import history as history_db
from lineal.db import rewinding as rewinding_db
from lineal.db import run_files as run_files_db
from lineal.db import runs as runs_db
from lineal.errors import Invalid
from lineal.service import finding_runs, history, runs
from lineal.service.instance import Instance

if TYPE_CHECKING:
    from lineal.db.rows import RunRow

REWOUND_TAG = "rewound"
CONSOLE_FILE = "output.log"
_ID_BYTES = 4


def rewind(
    instance: Instance, actor: Actor, run: RunKey, step: int, summary: JsonObject
) -> RunRecord:
    """Take a run back to the moment after a step; a copy under a new id keeps it as it was.

    The run keeps its id, config, tags and files, its history up to `step`, what it used, and
    what it logged up to there. The copy has the whole history, console and events, which begin
    anew for the run, and what was logged later. `_lineal.forked_from` in the run's config leads
    to the copy. One transaction; doing it again changes nothing, nor does it when no line of the
    history lies after the step.

    step: the last that stays. summary: what the history up to there makes of it; it takes the
    place of the present one.
    Raises RunNotFoundError, Gone, or Invalid: a step below 0, or one the run never reached.
    """
    access.require(actor, Action.WRITE, f"run {run}")
    checked = runs.as_stored("summary", summary)
    now = instance.clock.now()
    with instance.database.writing() as connection:
        row = finding_runs.require(connection, run, lock=True)
        _check_step(row, step)
        if history_db.has_steps_after(connection, run, step):
            copy = _archived(connection, row, step, now)
            _split(connection, run, copy.id, step)
            _take_back(connection, row, copy.run_id, step, checked)
        return finding_runs.record(instance, connection, finding_runs.require(connection, run))


def _check_step(row: RunRow, step: int) -> None:
    if step < 0:
        raise Invalid(
            f"Cannot rewind run {runs_db.full_name(row)} to step {step}: steps begin at 0"
        )
    if step > row.last_step:
        raise Invalid(
            f"Cannot rewind run {runs_db.full_name(row)} to step {step}: "
            f"its last step is {row.last_step}"
        )


def _archived(connection: Connection, row: RunRow, step: int, now: datetime) -> RunRow:
    """Insert the run that keeps what the rewound one was, without its lines yet."""
    values = rewinding_db.values_to_copy(row)
    own = {**row.config.get(OWN_KEY, {}), "archive_of": f"{row.run_id}?_step={step}"}
    values |= {
        "name": f"{row.name} (before rewind to {step})",
        "state": str(RunState.FINISHED),
        "finished_at": row.finished_at or now,
        "config": {**row.config, OWN_KEY: own},
        "deletion_id": None,
        "sweep_id": None,  # a sweep must not count one of its runs twice
    }
    while True:
        run_id = secrets.token_hex(_ID_BYTES)
        if runs_db.create(connection, values | {"run_id": run_id}):
            break
    copy = runs_db.find(connection, row.entity, row.project, run_id)
    assert copy is not None
    tags = runs_db.tags_of(connection, [row.id])[row.id]
    runs_db.set_tags(connection, copy.id, list(dict.fromkeys([*tags, REWOUND_TAG])))
    return copy


def _split(connection: Connection, run: int, copy: int, step: int) -> None:
    history_db.hand_over_after(connection, run, copy, step)
    for place, chunk in history_db.across(connection, run, step):
        history_db.replace(connection, place, history.cut(chunk, step))
    history_db.recount(connection, run)
    rewinding_db.copy_files(connection, run, copy)
    run_files_db.remove(connection, run, CONSOLE_FILE)
    rewinding_db.copy_used(connection, run, copy)
    # What is logged after the row of a step, and before the next row, notes the next step.
    rewinding_db.move_logged_later(connection, run, copy, step + 1)


def _take_back(
    connection: Connection, row: RunRow, copy_id: str, step: int, summary: JsonObject
) -> None:
    own = {**row.config.get(OWN_KEY, {}), "forked_from": f"{copy_id}?_step={step}"}
    runtime = summary.get("_runtime")
    seconds = float(runtime) if isinstance(runtime, int | float) else 0.0
    changed = {
        "config": {**row.config, OWN_KEY: own},
        "summary": summary,
        "runtime_seconds": seconds,
        # An attempt that goes on counts from here, also when this one never said that it ended.
        "earlier_runtime_seconds": seconds,
    }
    runs_db.change(connection, row.id, changed)
