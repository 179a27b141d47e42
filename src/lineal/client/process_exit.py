"""Finish runs when the process ends, however it ends short of kill -9 (RUN-9).

A clean end is `finished`, anything else `failed`; `exit_code` tells them apart. After kill -9, as
after any signal that ends the process and that the program does not handle, the run has crashed:
whoever opens or reads the home next sees that nobody writes (see `adopting`), and wherever that
cannot be seen its heartbeats stop. No handlers are set, since those of schedulers and frameworks
would be in the way of ours, and ours of theirs.
"""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from typing import Any, TextIO

from lineal.client import session, term
from lineal.client.exit_code import Ending, child_exit_code, code_of
from lineal.errors import LinealError

LOST = 120
"""With which a process ends that would have ended with 0, had all been stored."""
_FIRST = 100
"""Priority among multiprocessing's finalizers: before it takes down queues and managers."""
_LAST = -1_000_000
_ENDS_LATER = tuple(sys.version_info) >= (3, 13)
"""Whether such a child has its exit code before its finalizers are called, and at its very end."""

_ending = Ending()
_installed_in: list[int] = []
"""The process, and those it was forked from."""


def install() -> None:
    """Set the hooks, once per process; called by every `init`."""
    _ending.begin()
    if _installed_in[-1:] == [os.getpid()]:
        return
    _install_in_multiprocessing_child()
    if not _installed_in:  # else the other hooks were inherited
        atexit.register(finish_at_end)
        _ending.listen()
    _installed_in.append(os.getpid())


def finish_all(exit_code: int | None = None) -> None:
    """Finish every run of this process, the newest first; failures are printed, not raised.

    It takes as long as the uploads do, whatever `finish_timeout` says.
    """
    settled = _ending.settled()
    if exit_code is None:
        child_code = child_exit_code()
        exit_code = settled if child_code is None else child_code
    was_lost = False
    for run in reversed(session.unfinished_runs()):
        run._finish_timeout = None  # what is not stored now never is
        try:
            run.finish(exit_code=exit_code)
        except LinealError as error:
            was_lost = True
            term.error(error.message)
        except Exception as error:  # noqa: BLE001 - the other runs are to be finished all the same
            was_lost = True
            term.error(f"Run {run.path} could not be finished: {error!r}")
    if was_lost and exit_code == 0:
        _fail_at_the_end()
    if _ending.is_interrupted:
        _interrupt_again()


def finish_at_end() -> None:
    """Finish them for the last time: what failed is said once, whoever else calls this.

    It is called by all that must wait for them at the end, such as what removes private copies.
    """
    finish_all()
    for run in session.unfinished_runs():
        session.run_finished(run)


def _fail_at_the_end() -> None:
    """Let this process end with LOST, as Python does if something failed when the program was over.

    Else whatever comes next goes on without what could not be stored (ART-39). By then nobody can
    raise or exit any more, but Python looks whether its last flush fails.
    """
    if sys.stderr is not None and not isinstance(sys.stderr, _FailingAtTheEnd):
        sys.stderr = _FailingAtTheEnd(sys.stderr)
    if _is_multiprocessing_child():
        from multiprocessing import util  # loaded already in such a child

        util.Finalize(None, _fail_child, exitpriority=_LAST)


class _FailingAtTheEnd:
    """Standard error, whose flush fails once Python asks for it by itself; it says nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def flush(self) -> None:
        self._stream.flush()
        if sys.is_finalizing():
            raise OSError


def _interrupt_again() -> None:
    """Remind Python that it is to end by SIGINT, without which the loop of a shell goes on.

    It forgets that when a text is evaluated meanwhile, as each named tuple does once (before 3.14),
    and notes it when what is evaluated is interrupted.
    """
    with suppress(KeyboardInterrupt):
        eval("interrupt()", {"interrupt": _interrupt})  # noqa: S307 - there is no other way


def _interrupt() -> None:
    raise KeyboardInterrupt


def _install_in_multiprocessing_child() -> None:
    """Such a child ends by `os._exit`, which skips atexit (before 3.13), not these finalizers."""
    if not _is_multiprocessing_child():
        return
    from multiprocessing import util  # loaded already in such a child

    def finish_child() -> None:
        kind, value, _ = sys.exc_info()  # of what the target function raised, up to Python 3.12
        child_code = child_exit_code()
        finish_all(code_of(kind, value) if child_code is None else child_code)

    util.Finalize(None, finish_child, exitpriority=_FIRST)


def _is_multiprocessing_child() -> bool:
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def _fail_child() -> None:
    """End a child of multiprocessing with LOST, when everything else at its end is done."""
    if not _ENDS_LATER:
        raise SystemExit(LOST)  # the caller ends with that
    if child_exit_code() is not None:  # else as any other process
        sys.stdout.flush()
        os._exit(LOST)
