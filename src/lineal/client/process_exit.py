"""Finish runs when the process ends, however it ends short of kill -9 (RUN-9).

A clean end is `finished`; an uncaught exception, Ctrl-C, or `sys.exit`, `exit` or `quit` with a
code that the program does not catch is `failed`. Python tells nobody of a `raise SystemExit(3)`;
outside of `with` it looks clean. So is a session whose user made errors at its prompt and went on.
After kill -9, as after any signal that ends the process and that the program does not handle, the
run has crashed: whoever opens or reads the home next sees that nobody writes (see `adopting`), and
wherever that cannot be seen its heartbeats stop. No handlers are set, since those of schedulers and
frameworks would be in the way of ours, and ours of theirs.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import traceback
from contextlib import suppress
from opcode import opname
from types import FrameType, TracebackType
from typing import Any, TextIO

from lineal.client import session, term
from lineal.core.records import EXIT_CODE_MAX
from lineal.errors import LinealError, TrialStopped
from lineal.startup import exits

INTERRUPTED = 255
LOST = 120
"""With which a process ends that would have ended with 0, had all been stored."""
_FIRST = 100
"""Priority among multiprocessing's finalizers: before it takes down queues and managers."""
_LAST = -1_000_000
_ENDS_LATER = tuple(sys.version_info) >= (3, 13)
"""Whether such a child has its exit code before its finalizers are called, and at its very end."""
_FORKING = ("multiprocessing.popen_fork", "multiprocessing.forkserver")


class _Ending:
    """What is known of how this process ends."""

    def __init__(self) -> None:
        self.installed_in: int | None = None
        self.program: FrameType | None = None
        """The outermost frame of the main thread; None as long as only others made runs."""
        self.is_interrupted = False
        """Ctrl-C ended it: Python itself is about to end by SIGINT."""
        self.set(0)

    def set(self, exit_code: int, left_from: FrameType | None = None) -> None:
        """left_from: the outermost frame when a `sys.exit` was on its way, that may be caught."""
        self._exit_code, self._left_from = exit_code, left_from

    def settled(self) -> int:
        """Return the exit code, and let go of frames.

        Else what the program holds would be freed after the modules that it needs for that.
        """
        was_caught = self._left_from is not None and _was_caught(self._left_from)
        code = 0 if was_caught else self._exit_code or _code_behind_our_back(self.program)
        self.program = None
        self.set(code)
        return code


_ending = _Ending()


def install() -> None:
    """Set the hooks, once per process; called by every `init`."""
    _ending.set(0)  # whatever `sys.exit` said before, the program went on
    if _is_main_thread():
        _ending.program = _outermost_frame()
    if _ending.installed_in == os.getpid():
        return
    is_fork_of_installed = _ending.installed_in is not None
    _ending.installed_in = os.getpid()
    _install_in_multiprocessing_child()
    if is_fork_of_installed:
        return  # the other hooks were inherited
    atexit.register(finish_at_end)
    _wrap_excepthook()
    _wrap_exit()


def finish_all(exit_code: int | None = None) -> None:
    """Finish every run of this process, the newest first; failures are printed, not raised.

    It takes as long as the uploads do, whatever `finish_timeout` says.
    """
    settled = _ending.settled()
    if exit_code is None:
        child_code = _child_exit_code()
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


def code_of(kind: type[BaseException] | None, value: BaseException | None) -> int:
    """Return the exit code that an exception gives a process."""
    if kind is None or issubclass(kind, (TrialStopped, GeneratorExit)):
        return 0  # neither a trial that was stopped failed, nor a generator that is not asked again
    if issubclass(kind, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(value, SystemExit):
        return _exit_code(value.code)
    return 1


def words_of(
    kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
) -> str:
    """Return what Python prints of an exception with which a process fails, nothing of others."""
    if kind is None or code_of(kind, value) == 0:
        return ""
    if isinstance(value, SystemExit):
        return "" if isinstance(value.code, int) else f"{value.code}\n"
    return "".join(traceback.format_exception(kind, value, trace))


def _exit_code(code: Any) -> int:
    """Read what `sys.exit` was given: None is 0, a number is itself, anything else is 1.

    A number that no process can end with is 255, as Python makes it of the largest ones.
    """
    if code is None:
        return 0
    if not isinstance(code, int):
        return 1
    return code if abs(code) <= EXIT_CODE_MAX else 255


def _wrap_excepthook() -> None:
    before = sys.excepthook

    def hook(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        if not _goes_on(trace):
            _ending.set(code_of(kind, value))
            _ending.is_interrupted = issubclass(kind, KeyboardInterrupt)
        if issubclass(kind, TrialStopped):
            term.info(str(value))  # no mistake of the program's, so nobody wants its place
        else:
            before(kind, value, trace)

    sys.excepthook = hook


def _goes_on(trace: TracebackType | None) -> bool:
    """Tell whether an exception that is printed ends no more than what was typed at a prompt.

    `code.interact` and what builds on it are called by the program, which still runs.
    """
    return _ending.program is _outermost_frame() or _was_typed(trace)


def _was_typed(trace: TracebackType | None) -> bool:
    """Tell whether an exception is of Python's own prompt, which no function calls.

    What is typed there is of the file `<stdin>`, from Python 3.14 on `<stdin-3>`.
    """
    is_of_input = trace is not None and trace.tb_frame.f_code.co_filename.startswith("<stdin")
    return is_of_input and hasattr(sys, "ps1")  # else a program is read from a pipe


def _wrap_exit() -> None:
    """Note the code of `sys.exit`, `exit` and `quit`: once Python exits, it tells it to nobody.

    `sys.exit(main())` takes the function before the run begins, see `startup.exits`. In any thread
    but the main one they end that thread alone.
    """
    exits.tell(_note)
    if sys.exit is not exits.leave:  # somebody put another in its place since
        before = sys.exit

        def leave(code: Any = None, /) -> Any:
            _note(code)
            before(code)

        sys.exit = leave
    if "_sitebuiltins" not in sys.modules:  # as with `python -S`
        return
    from _sitebuiltins import Quitter  # both `exit` and `quit` are one

    call = Quitter.__call__

    def leave_by_name(self: Any, code: Any = None) -> Any:
        _note(code)
        call(self, code)

    Quitter.__call__ = leave_by_name  # type: ignore[method-assign] # it has no hook


def _note(code: Any) -> None:
    if _is_main_thread():
        _ending.set(_exit_code(code), _outermost_frame())


def _code_behind_our_back(program: FrameType | None) -> int:
    """Return the code of an exception that ended the program while its hook was not ours any more.

    Such as that of `rich.traceback`. What Python printed last may be of a notebook's cell.
    """
    value: BaseException | None = getattr(sys, "last_value", None)
    if value is None or value.__traceback__ is None or program is None or _has_returned(program):
        return 0
    if _was_typed(value.__traceback__):
        return 0
    return code_of(type(value), value) if value.__traceback__.tb_frame is program else 0


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _outermost_frame() -> FrameType:
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
    return frame


def _was_caught(program: FrameType) -> bool:
    """Tell whether the program caught its own `sys.exit`."""
    if program is _outermost_frame():  # it still runs, and calls `teardown`
        return sys.exception() is None
    return _has_returned(program)


def _has_returned(frame: FrameType) -> bool:
    """Tell whether a frame that is over, that of the whole program, ended without an exception."""
    last = frame.f_code.co_code[frame.f_lasti]
    return opname[last].startswith("RETURN_")


def _install_in_multiprocessing_child() -> None:
    """Such a child ends by `os._exit`, which skips atexit (before 3.13), not these finalizers."""
    if not _is_multiprocessing_child():
        return
    from multiprocessing import util  # loaded already in such a child

    def finish_child() -> None:
        kind, value, _ = sys.exc_info()  # of what the target function raised, up to Python 3.12
        child_code = _child_exit_code()
        finish_all(code_of(kind, value) if child_code is None else child_code)

    util.Finalize(None, finish_child, exitpriority=_FIRST)


def _is_multiprocessing_child() -> bool:
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def _fail_child() -> None:
    """End a child of multiprocessing with LOST, when everything else at its end is done."""
    if not _ENDS_LATER:
        raise SystemExit(LOST)  # the caller ends with that
    if _child_exit_code() is not None:  # else as any other process
        sys.stdout.flush()
        os._exit(LOST)


def _child_exit_code() -> int | None:
    """Return with what a forked child of multiprocessing is about to end; None anywhere else.

    From Python 3.13 on, all that is called at its end is called when the exception of its target
    function was printed and forgotten. What is left of it is a variable of the caller.
    """
    frame = sys._getframe()
    while (outer := frame.f_back) is not None and frame.f_code.co_name != "_bootstrap":
        if outer.f_globals.get("__name__") in _FORKING:
            code = outer.f_locals.get("code")
            return code if isinstance(code, int) else None
        frame = outer
    return None
