"""The end of a run: everything stored, then the state (RUN-29, ART-39)."""

from __future__ import annotations

import json
import re
import shlex
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from lineal.client import session, term
from lineal.client.run import adopting, resuming, surroundings
from lineal.core.records import RunState, Stream
from lineal.errors import ArtifactsFailed, LinealError, WaitTimeoutError
from lineal.interrupts import held

if TYPE_CHECKING:
    from lineal.client.run.run import Run

NAMED = 10
"""Of artifacts that are on their way, so many are named."""
CONFIG_FILE = "config.yaml"
_TEXT_OR_EXPONENT = re.compile(r'("(?:[^"\\]|\\.)*")|(?<![\d.])(\d+)(e[-+]\d+)')
SUMMARY_FILE = "wandb-summary.json"
CONSOLE_FILE = "output.log"


class _End(NamedTuple):
    """How a run ended."""

    state: RunState
    code: int
    failures: dict[str, BaseException]
    """Names of artifacts that were not stored → why."""


def finish(run: Run, exit_code: int, *, quiet: bool) -> None:
    """See `Run.finish`; an exit code that a first call had is that of the next one, too."""
    is_begun = False
    try:
        with held(run._lock):
            if run._is_finished:
                return
            run._is_finished = is_begun = True
        run._exit_code = exit_code or run._exit_code
        if run._watched is not None:
            run._watched.remove()
        end = _finish(run, run._exit_code)
    except BaseException as error:
        if is_begun:
            run._is_finished = False
        if not isinstance(error, WaitTimeoutError) or run.settings.finish_timeout_raises:
            raise
        term.error(error.message)
        return
    if end is not None:
        _conclude(run, end, quiet=quiet)


def _finish(run: Run, exit_code: int) -> _End | None:
    """Store all that waits, then mark the run; None in a forked child, where it goes on.

    If that fails, the failed artifacts are named, the error is raised, and all stays as it is, to
    be done again: by the next call, when this process ends, or, as far as the spool has it, by
    the next process that opens the instance.
    """
    run._rows.flush()
    if run._console is not None and not run._is_forked:
        run._console.close()
    failures: dict[str, BaseException] = {}
    try:
        if run._is_forked:
            run._stop_ticks()
            run.flush()
            run._files.store({})
            run._rows.spool.remove()
            session.run_finished(run)
            return None
        failures = _wait_for_artifacts(run)
        _store(run)
        run._stop_ticks()
        code = exit_code or (1 if failures else 0)
        state = run.backend.finish_run(run.record.key, code, run._runtime_seconds())
        run._rows.spool.remove()
        if run.offline:
            run.backend.close()  # folds the log of the database into it: the folder may be copied
    except BaseException as error:
        if not isinstance(error, WaitTimeoutError):
            run._stop_ticks()
        session.run_end_failed(run)
        if failures:
            term.error(ArtifactsFailed(failures).message)
        raise
    session.run_finished(run)
    return _End(state, code, failures)


def _conclude(run: Run, end: _End, *, quiet: bool) -> None:
    """Do what is left when a run is over; raises ArtifactsFailed."""
    if end.code == 0 and run.place.resume_file is not None:
        note = resuming.remembered(run.record, run.place.spool)
        resuming.forget(run.place.resume_file, note)
    if not quiet:
        _say_end(run, end)
    if run.settings.auto_gc and not run.offline:
        _free_space(run)
    if end.failures:
        failed = ArtifactsFailed(end.failures)
        if run.settings.raise_on_failed_artifacts:
            raise failed
        term.warning(failed.message)


def _free_space(run: Run) -> None:
    """Sweep for a moment, once a day; whatever goes wrong here is no failure of the run.

    `lineal gc` does the same, and says what is wrong.
    """
    try:
        swept = run.backend.sweep_if_due()
    except (LinealError, OSError) as error:
        term.warning(f"space could not be freed: {error}; see `lineal gc`")
        return
    if swept is not None and swept.freed_bytes:
        more = "" if swept.is_complete else "; `lineal gc` frees the rest"
        term.info(f"freed {term.size_text(swept.freed_bytes)} of deleted content{more}")


def _wait_for_artifacts(run: Run) -> dict[str, BaseException]:
    """Wait for every artifact; return name → cause of those that were not stored.

    Raises WaitTimeoutError where they take longer than the run is to wait.
    """
    failures: dict[str, BaseException] = {}
    began, limit = time.monotonic(), run._finish_timeout
    for artifact in run._artifacts.all():
        left = None if limit is None else max(0.0, began + limit - time.monotonic())
        if not artifact._is_over(left):
            run.flush()  # what it logged can be read meanwhile
            raise _timed_out(run)
        failure = artifact._failure()
        if failure is not None:
            failures[artifact.name] = failure
    return failures


def _timed_out(run: Run) -> WaitTimeoutError:
    names = [artifact.name for artifact in run._artifacts.all() if not artifact._is_over(0.0)]
    named, more = names[:NAMED], len(names) - NAMED
    what = ", ".join(named) + (f" and {more:,} more" if more > 0 else "")
    be = "was" if len(names) == 1 else "were"
    return WaitTimeoutError(
        f"Run {run.path} is not finished: {len(names):,} of its artifacts {be} not stored within "
        f"`finish_timeout`, {run.settings.finish_timeout:g} s: {what}. They go on; call `finish` "
        "again, or else they are waited for when the process ends"
    )


def _store(run: Run) -> None:
    captured = run._surroundings(wait=True)
    adopting.adopt(run.backend, run.place.spool)  # of forked children that ended
    run.flush()
    contents = dict(captured.contents) if captured else {}
    config = run.config.as_dict()
    if config:
        contents[CONFIG_FILE] = _yaml(config)
    summary = run.summary._as_dict()
    if summary:
        contents[SUMMARY_FILE] = json.dumps(summary, indent=1).encode()
    console = _console_output(run)
    if console:
        contents[CONSOLE_FILE] = console
    cells, notebook = surroundings.of_notebook(run.settings)
    copies = captured.copies if captured else ()
    run._files.store_all(contents | cells, (*copies, *notebook))
    run._forget_surroundings()


def _console_output(run: Run) -> bytes:
    """Return the console lines of all writers and attempts as one text."""
    if run._console is None:
        return b""
    lines = run.backend.read_lines(run.record.key, Stream.CONSOLE)
    return "".join(f"{json.loads(line)['content']}\n" for line in lines).encode(
        errors="surrogatepass"
    )


def _yaml(config: dict[str, Any]) -> bytes:
    """Write W&B's form of the config; JSON is YAML, and needs no library to load.

    All but `1e-05`, which many YAML libraries take for a text: it becomes `1.0e-05`.
    """
    lines = [f"{json.dumps(key)}:\n  value: {json.dumps(value)}\n" for key, value in config.items()]
    return _TEXT_OR_EXPONENT.sub(
        lambda found: found[1] or f"{found[2]}.0{found[3]}", "".join(lines)
    ).encode()


def _say_end(run: Run, end: _End) -> None:
    by_code = ""
    if end.state is RunState.FAILED and end.code:
        by_code = f" with exit code {end.code}"
    hint = f"`lineal run show {shlex.quote(run.path)}`"
    if run.place.offline_folder is not None:
        hint = f"`lineal sync {shlex.quote(run.place.offline_folder)}`"
    term.info(f"run {run.name} {end.state}{by_code}; see {hint}")
