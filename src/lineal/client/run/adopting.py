"""What processes that died left in the spool: whoever opens or reads the instance next takes it."""

from __future__ import annotations

import fcntl
import glob
import json
import os
import shutil
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from lineal.client import term
from lineal.client.backend import Backend
from lineal.client.run import metrics, rows, spool
from lineal.client.run.summary import Summary, is_number
from lineal.client.values import flat
from lineal.core.records import Lines, RunKey, RunPatch, RunRecord, RunState
from lineal.errors import Gone, IntegrityError, Invalid, LinealError, NotFound, UsageError
from lineal.files.copying import copy_and_hash
from lineal.files.refusals import unreadable
from lineal.files.stamps import is_still_at
from lineal.files.writing import write_whole

REFUSED_SUFFIX = ".refused"
_UNKNOWN_WRITER = (
    "its first line is damaged, so nobody can tell whose they are; delete it to do without them"
)
_STAY = "Lines of an earlier run stay in {path}: {error}"


def adopt(backend: Backend, folder: str) -> int:
    """Move the lines that dead writers left behind; return how many files there were.

    Files of living writers are locked and left alone, and so are those of other users of a shared
    home, and those of a run that was deleted and may be restored. A half-written last line is
    dropped. What cannot be moved now stays and is said once. A run that only dead writers had has
    crashed (RUN-9).
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return 0
    except OSError as error:
        term.warn_once(f"Lines of earlier runs stay in {folder}: {error}")
        return 0
    adopted = 0
    for name in names:
        if name.endswith(spool.SUFFIX):
            adopted += _adopt_file(backend, os.path.join(folder, name))
    return adopted


def copy(folder: str, to: str) -> None:
    """Copy the lines that dead writers left in a folder which may only be read.

    Raises UsageError if a writer lives.
    """
    for path in _files(folder):
        if _is_written(path):
            raise UsageError(f"A run still writes to {path}; sync it once it is over")
        copied = os.path.join(to, os.path.basename(path))
        copy_and_hash(path, copied, mode=0o600)
        media = spool.media_folder(path)
        if os.path.isdir(media):
            shutil.copytree(media, spool.media_folder(copied))


def has_writer(folder: str) -> bool:
    """Tell whether a writer lives, of whatever run; raises Unavailable for what cannot be read."""
    return any(_is_written(path) for path in _files(folder))


def _is_written(path: str) -> bool:
    try:
        return _is_locked(path)
    except OSError as error:
        raise unreadable(path, error) from error


def _files(folder: str) -> list[str]:
    return sorted(glob.glob(os.path.join(glob.escape(folder), f"*{spool.SUFFIX}")))


def summary_removed(folder: str) -> tuple[str, ...]:
    """Return the summary keys that writers took out and had not brought to the database.

    Before they are adopted: the run there may never have had them, as one that goes on elsewhere.
    """
    names: dict[str, None] = {}
    for path in _files(folder):
        try:
            with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                header = spool.read_header(file.readline())
                entries = spool.read(header, file.read()).entries if header else []
        except (LinealError, OSError):  # who adopts it says why
            continue
        for entry in entries:
            if entry.is_change:
                names |= dict.fromkeys(_object(entry.line).get("summary_removed", ()))
    return tuple(names)


def _adopt_file(backend: Backend, path: str) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (FileNotFoundError, PermissionError):
        return False
    except OSError as error:
        term.warn_once(_STAY.format(path=path, error=error))
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not is_still_at(path, descriptor):
            return False
        with open(descriptor, "rb", closefd=False) as file:
            header = spool.read_header(file.readline())
            if header is None and file.read(1):
                raise IntegrityError(_UNKNOWN_WRITER)
            run = None if header is None else _run_of(backend, header.writer)
            if header is not None and run is not None:
                _take_over(backend, run, spool.read(header, file.read()), path)
        spool.remove(path)
    except BlockingIOError:
        return False
    except Gone:
        return False  # until the run is restored, or released
    except (LinealError, OSError) as error:
        term.warn_once(_STAY.format(path=path, error=error))
        return False
    finally:
        os.close(descriptor)
    return True


def _run_of(backend: Backend, writer: spool.Writer) -> RunRecord | None:
    """Return the run that takes a writer's lines; None if there is none any more.

    Raises Gone while it is deleted and may be restored.
    """
    try:
        run = backend.run(writer.entity, writer.project, writer.run_id)
    except NotFound as error:
        if isinstance(error, Gone) and not error.is_final:
            raise
        return None  # its lines went with the run
    return run if run.key == writer.run_key else None  # another database now lives in this home


def _take_over(backend: Backend, run: RunRecord, left: spool.Left, path: str) -> None:
    if left.media:
        from lineal.client.run import media_spool  # few runs log any

        media = media_spool.left(spool.media_folder(path), left.media)
        files = [(medium.path, medium.source) for medium in media]
        backend.put_run_files(run.key, files)
    refused: dict[bytes, Invalid] = {}
    for batch in left.batches:
        refused |= _append(backend, run.key, batch)
    if refused:
        _set_aside(path, left.writer, refused)
    summary = _catch_up(backend, run, left.entries, refused)
    folder, own = os.path.split(path)
    if run.state is RunState.RUNNING and not is_written(folder, run.key, besides=own):
        seconds = summary.get("_runtime")
        backend.mark_crashed(run.key, seconds if is_number(seconds) else 0.0)


def is_written(folder: str, run: RunKey, *, besides: str | None = None) -> bool:
    """Tell whether a file of a run in a spool is locked by its writer, or another user's.

    besides: the name of a file that does not count. A folder that is not there has none.
    """
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    return any(
        _is_held(os.path.join(folder, name))
        for name in names
        if name.startswith(spool.prefix(run)) and name.endswith(spool.SUFFIX) and name != besides
    )


def _is_held(path: str) -> bool:
    try:
        return _is_locked(path)
    except FileNotFoundError:
        return False
    except PermissionError:
        return True  # nobody can tell


def _is_locked(path: str) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _append(backend: Backend, run: RunKey, batch: Lines) -> dict[bytes, Invalid]:
    """Store all lines that can be; a refused one refuses its batch, so halves are tried."""
    try:
        backend.append_lines(run, [batch])
    except Invalid as error:
        if len(batch.lines) == 1:
            return {batch.lines[0]: error}
        middle = len(batch.lines) // 2
        first = batch._replace(lines=batch.lines[:middle])
        second = batch._replace(
            lines=batch.lines[middle:], first_offset=batch.first_offset + middle
        )
        return _append(backend, run, first) | _append(backend, run, second)
    return {}


def _set_aside(path: str, writer: spool.Writer, refused: Mapping[bytes, Invalid]) -> None:
    """Keep the lines that no database takes where somebody may look at them."""
    aside = path.removesuffix(spool.SUFFIX) + REFUSED_SUFFIX
    write_whole(aside, b"".join(line + b"\n" for line in refused), mode=0o600)
    count = "A line" if len(refused) == 1 else f"{len(refused)} lines"
    reason = next(iter(refused.values())).message
    term.warning(
        f"{count} of run {writer.entity}/{writer.project}/{writer.run_id} cannot be stored: "
        f"{reason}. Kept in {aside}; everything else is in the run"
    )


def _catch_up(
    backend: Backend, run: RunRecord, entries: Sequence[spool.Entry], refused: Container[bytes]
) -> Summary:
    """Do to config and summary what their writer had not done yet; return the summary."""
    entries = [entry for entry in entries if entry.line not in refused]
    config: dict[str, Any] = {}
    for entry in entries:
        if entry.is_change:
            config |= _object(entry.line).get("config", {})
    summary = summarised(run._replace(config={**run.config, **config}), entries)
    changed, removed = summary._take_changes()
    if config or changed or removed:
        patch = RunPatch(config=config or None, summary=changed or None, summary_removed=removed)
        backend.update_run(run.key, patch)
    return summary


def summarised(run: RunRecord, entries: Iterable[spool.Entry]) -> Summary:
    """Return the summary of a run after these rows and changes of one more writer (RUN-26).

    What others logged later stays: of a row before the summary's own step and time only what is
    not there yet counts, and its minima and maxima.
    """
    defined = metrics.of_run(run)
    summary = Summary(run.summary)
    for entry in entries:
        values = _object(entry.line)
        if entry.is_change:
            summary._remove(values.get("summary_removed", ()))
            summary._record(values.get("summary", {}))
            continue
        values = flat(values)
        own = {key: values.pop(key) for key in rows.OWN_KEYS if key in values}
        changed = defined.summarised(values, summary)
        if _is_behind(own, run.summary):
            known = summary._as_dict().keys() & values.keys()
            summary._record({key: value for key, value in changed.items() if key not in known})
        else:
            summary._record(changed | own)
    return summary


def _object(line: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except ValueError:
        return {}  # half a line that a failing disk left


def _is_behind(own: Mapping[str, Any], summary: Mapping[str, Any]) -> bool:
    """Tell whether a row belongs before the one that a summary was last made of.

    Only if its step and its time say so: clocks jump, and each writer has steps of its own.
    """
    for key in ("_step", "_timestamp"):
        mark, last = own.get(key), summary.get(key)
        if not is_number(mark) or not is_number(last) or mark > last:
            return False
    return True
