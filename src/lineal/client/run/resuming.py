"""Which run `init` means: a new one, the one named, or with `resume="auto"` the one that crashed.

For `auto` the run is remembered in a small file per folder (RUN-14).
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lineal.client import term
from lineal.client.backend import Backend
from lineal.client.run import adopting
from lineal.config import Settings
from lineal.core.ids import new_id
from lineal.core.records import RunKey, RunRecord, RunState, Stream
from lineal.errors import NotFound, Unavailable, UsageError
from lineal.files.writing import write_whole

FILE = "resume.json"
DEFAULT_FOLDER = "lineal"


class Remembered(NamedTuple):
    entity: str
    project: str
    run_id: str
    key: int = 0
    spool: str = ""
    """Where its lines wait; there it is seen whether a process still writes to it."""


def remembered(run: RunRecord, spool: str) -> Remembered:
    return Remembered(run.entity, run.project, run.run_id, run.key, os.path.abspath(spool))


def rows_so_far(backend: Backend, run: RunRecord) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a run, in no order; an offline one also has those that it goes on from."""
    from lineal.client.offline.backend import OfflineBackend  # few runs go on with a mean
    from lineal.client.public import history

    yield from history.parsed(backend.read_lines(run.key, Stream.HISTORY))
    if isinstance(backend, OfflineBackend):
        for there, before, _ in backend.earlier_attempts():
            lines = there.read_lines(before.key, Stream.HISTORY, max_step=before.last_step + 1)
            yield from history.parsed(lines)


class Identity(NamedTuple):
    """The run to start: its id, and `resume` as the backend knows it."""

    run_id: str
    resume: str | None
    is_auto: bool = False


def identify(settings: Settings, entity: str, project: str, backend: Backend | None) -> Identity:
    """Settle the id of the run, and what `auto` means here; backend: None while offline.

    Raises UsageError for `must` without an id, Unavailable where `auto` cannot note the run.
    """
    if settings.resume == "must" and settings.run_id is None:
        raise UsageError(
            'resume="must" goes on with a run, and none was named; pass its id, as in '
            'init(id="…", resume="must"), or set LINEAL_RUN_ID. `lineal run ls` lists the runs'
        )
    if settings.resume != "auto":
        return Identity(settings.run_id or new_id(), settings.resume)
    _prepare(note_path(settings))
    remembered = read(note_path(settings))
    if settings.run_id is not None:
        if remembered is not None and remembered.run_id != settings.run_id:
            term.warning(
                f"Resuming run {settings.run_id} as asked, not {remembered.run_id}, "
                "which was remembered in this folder"
            )
        return Identity(settings.run_id, "allow", is_auto=True)
    if remembered is not None and _is_resumable(remembered, entity, project, backend):
        return Identity(remembered.run_id, "allow", is_auto=True)
    return Identity(new_id(), None, is_auto=True)


def _is_resumable(
    remembered: Remembered, entity: str, project: str, backend: Backend | None
) -> bool:
    if (remembered.entity, remembered.project) != (entity, project):
        return False
    if adopting.is_written(remembered.spool, RunKey(remembered.key)):
        term.info(
            f"run {remembered.run_id}, which was remembered in this folder, still goes on; "
            "this is a new one"
        )
        return False
    if backend is None:
        return True
    try:
        run = backend.run(entity, project, remembered.run_id)
    except NotFound:
        return False
    return run.state is not RunState.FINISHED


def note_path(settings: Settings) -> str:
    """Return where the run of this folder is remembered."""
    return os.path.abspath(os.path.join(settings.dir or DEFAULT_FOLDER, FILE))


def read(path: str) -> Remembered | None:
    """Return what was remembered; None without a file, or with one that nobody can read."""
    try:
        with open(path, encoding="utf-8") as file:
            return Remembered(**json.load(file))
    except (OSError, ValueError, TypeError):
        return None


def _prepare(path: str) -> None:
    """Make the folder of the note, before there is a run: later the error would leave one behind.

    Raises Unavailable naming the variable to set.
    """
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unwritable(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder))


def write(path: str, run: Remembered) -> None:
    """Remember a run; raises Unavailable naming the variable to set."""
    try:
        write_whole(path, json.dumps(run._asdict()).encode())
    except (OSError, Unavailable) as error:
        raise _unwritable(path, error) from error


def _unwritable(path: str, error: OSError | Unavailable) -> Unavailable:
    why = error.message if isinstance(error, Unavailable) else error.strerror
    return Unavailable(
        f"Cannot remember the run in {path}: {why}. Set LINEAL_DIR to a folder you may write to"
    )


def forget(path: str, run: Remembered | None = None) -> None:
    """Remove the note; run: only if it is the one of this run, whose project may have changed.

    Where it cannot be removed that is said: the run has begun, or is over, and goes on or stays so.
    """
    noted = None if run is None else read(path)
    if noted is not None and run is not None and (noted.key, noted.spool) != (run.key, run.spool):
        return
    try:
        os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        return  # there is none, or another process was first
    except OSError as error:
        term.warning(
            f"The run that was remembered in {path} stays so: {error.strerror}. Delete that file, "
            'or else a later resume="auto" may go on with that run'
        )
