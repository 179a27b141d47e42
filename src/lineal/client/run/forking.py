"""Runs that go on from a step of an earlier one: what was asked for, and forks (RUN-19)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from lineal.client.backend import Backend
from lineal.client.public import history as public_history
from lineal.client.run import metrics, rows
from lineal.client.run.summary import Summary
from lineal.core.names import OWN_KEY
from lineal.core.records import Lines, RunPatch, RunRecord, StartedRun, Stream
from lineal.errors import Invalid, UsageError

WRITER = "fork"
LINES_AT_ONCE = 10_000
_MOMENT = re.compile(r"(?P<run_id>[^?]+)\?_step=(?P<step>\d+)")


@dataclass(frozen=True)
class Fork:
    run_id: str
    step: int
    """The last step that is shared."""
    is_rewind: bool = False
    """The run itself is taken back and keeps its id, instead of a new one being made."""


def parse(fork_from: str | None, resume_from: str | None, resume: str | None) -> Fork | None:
    """Read `id?_step=N`. Raises UsageError for arguments that exclude each other, Invalid."""
    given = [value for value in (fork_from, resume_from, resume) if value is not None]
    if (fork_from or resume_from) and len(given) > 1:
        raise UsageError("fork_from, resume_from and resume exclude each other; give one")
    moment = fork_from if resume_from is None else resume_from
    if moment is None:
        return None
    found = _MOMENT.fullmatch(moment)
    if found is None:
        name = "fork_from" if resume_from is None else "resume_from"
        raise Invalid(f"Cannot read {name}={moment!r} as `id?_step=N`")
    return Fork(found["run_id"], int(found["step"]), is_rewind=resume_from is not None)


def parent_of(backend: Backend, entity: str, project: str, fork: Fork) -> RunRecord:
    """Return the run to be forked.

    Raises RunNotFoundError, Gone, or Invalid when it never came so far.
    """
    parent = backend.run(entity, project, fork.run_id)
    if fork.step > parent.last_step:
        raise Invalid(
            f"Cannot fork {entity}/{project}/{fork.run_id} at step {fork.step}: its last "
            f"step is {parent.last_step}"
        )
    return parent


def copy(
    backend: Backend, started: StartedRun, parent: RunRecord, fork: Fork, config: dict[str, Any]
) -> StartedRun:
    """Give a new run the parent's config, and its history and summary up to the step."""
    run = started.run

    def copied() -> Iterator[bytes]:
        lines = backend.read_lines(parent.key, Stream.HISTORY, max_step=fork.step + 1)
        offset = 0
        for batch in _batches(lines):
            backend.append_lines(run.key, [Lines(Stream.HISTORY, WRITER, offset, batch)])
            offset += len(batch)
            yield from batch

    summary = summary_of(parent, public_history.parsed(copied()))
    patch = RunPatch(config=_forked_config(parent, fork, config), summary=summary)
    backend.update_run(run.key, patch)
    return started._replace(run=backend.run_by_key(run.key))


def summary_of(run: RunRecord, logged: Iterable[public_history.Row]) -> dict[str, Any]:
    """Return what logging some rows makes of the summary of a run with its metrics (RUN-26)."""
    defined = metrics.of_run(run)
    if not defined:
        last: dict[str, Any] = {}
        for row in logged:
            last.update(row)
        return last
    summary = Summary()
    for row in logged:
        own = {key: row.pop(key) for key in rows.OWN_KEYS if key in row}
        summary._record({**defined.summarised(row, summary), **own})
    return summary._as_dict()


def _forked_config(parent: RunRecord, fork: Fork, config: dict[str, Any]) -> dict[str, Any]:
    own = {**parent.config.get(OWN_KEY, {}), "forked_from": f"{fork.run_id}?_step={fork.step}"}
    return {**parent.config, **config, OWN_KEY: own}


def _batches(lines: Iterator[bytes]) -> Iterator[tuple[bytes, ...]]:
    while batch := tuple(itertools.islice(lines, LINES_AT_ONCE)):
        yield batch
