"""A run taken back to a step, to go on from there under its id (RUN-19)."""

from __future__ import annotations

from typing import Any

from lineal.client import term
from lineal.client.backend import Backend
from lineal.client.public import history as public_history
from lineal.client.run.forking import Fork, summary_of
from lineal.core.names import OWN_KEY
from lineal.core.records import RunRecord, RunState, Stream
from lineal.errors import Invalid, UsageError


def check_id(run_id: str | None, target: Fork) -> None:
    """Raise UsageError if `id` asks for another run than `resume_from`."""
    if run_id not in (None, target.run_id):
        raise UsageError(
            f"id={run_id!r} and resume_from={f'{target.run_id}?_step={target.step}'!r} name "
            "different runs; a rewound run keeps its id, so leave `id` out"
        )


def check_step(run: RunRecord, step: int) -> None:
    """Raise Invalid for a step that the run never reached."""
    if step > run.last_step:
        raise Invalid(
            f"Cannot rewind run {run.path} to step {step}: its last step is {run.last_step}"
        )


def rewind(backend: Backend, entity: str, project: str, target: Fork) -> RunRecord:
    """Take a run back to the step; what it was lives on as another run, which is said.

    Doing it again changes nothing. Raises RunNotFoundError, Gone, or Invalid (the step).
    """
    run = backend.run(entity, project, target.run_id)
    check_step(run, target.step)
    if run.state is RunState.RUNNING:
        term.warning(
            f"Run {entity}/{project}/{run.run_id} counts as running. If another process still "
            "writes to it, its rows are kept after those of the rewound run"
        )
    rewound = backend.rewind_run(run.key, target.step, summary_until(backend, run, target.step))
    if rewound.history_count < run.history_count:
        archive = str(rewound.config[OWN_KEY]["forked_from"]).partition("?")[0]
        term.info(
            f"run {run.name} as it was before is kept as {run.entity}/{run.project}/{archive}"
        )
    return rewound


def summary_until(backend: Backend, run: RunRecord, step: int) -> dict[str, Any]:
    """Return what logging the history up to a step made of the summary (RUN-26)."""
    lines = backend.read_lines(run.key, Stream.HISTORY, max_step=step + 1)
    return summary_of(run, public_history.parsed(lines))
