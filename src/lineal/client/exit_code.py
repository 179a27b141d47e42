"""With which code this process ends: what an exception says, and what Python tells nobody.

| it ends by | we hear of it from | code |
|---|---|---|
| its last line | nobody | 0 |
| an uncaught exception, Ctrl-C | `sys.excepthook`; `sys.last_value` if that was replaced | 1, 255 |
| `sys.exit`, `exit`, `quit`, and nobody catches it | these functions | what they are given |
| `raise SystemExit(3)` outside of `with` | nobody | 0: it looks clean |
| the end of a child of multiprocessing | the frames around it | what its caller made of it |

An error at a prompt ends nothing: the session goes on.
"""

from __future__ import annotations

import sys
import threading
import traceback
from opcode import opname
from types import FrameType, TracebackType
from typing import Any

from lineal.client import term
from lineal.core.records import EXIT_CODE_MAX
from lineal.errors import TrialStopped
from lineal.startup import exits

INTERRUPTED = 255
_FORKING = ("multiprocessing.popen_fork", "multiprocessing.forkserver")


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


class Ending:
    """What is known of how this process ends."""

    def __init__(self) -> None:
        self.is_interrupted = False
        """Ctrl-C ended it: Python itself is about to end by SIGINT."""
        self._program: FrameType | None = None
        """The outermost frame of the main thread; None as long as only others made runs."""
        self._set(0)

    def begin(self) -> None:
        """Forget what a `sys.exit` said before: the program went on."""
        self._set(0)
        if _is_main_thread():
            self._program = _outermost_frame()

    def listen(self) -> None:
        """Hear of exceptions that nobody catches, and of `sys.exit`, from now on."""
        self._wrap_excepthook()
        self._wrap_exit()

    def settled(self) -> int:
        """Return the exit code, and let go of frames.

        Else what the program holds would be freed after the modules that it needs for that.
        """
        was_caught = self._left_from is not None and _was_caught(self._left_from)
        code = 0 if was_caught else self._exit_code or _code_behind_our_back(self._program)
        self._program = None
        self._set(code)
        return code

    def _set(self, exit_code: int, left_from: FrameType | None = None) -> None:
        """left_from: the outermost frame when a `sys.exit` was on its way, that may be caught."""
        self._exit_code, self._left_from = exit_code, left_from

    def _wrap_excepthook(self) -> None:
        before = sys.excepthook

        def hook(
            kind: type[BaseException], value: BaseException, trace: TracebackType | None
        ) -> None:
            if not self._goes_on(trace):
                self._set(code_of(kind, value))
                self.is_interrupted = issubclass(kind, KeyboardInterrupt)
            if issubclass(kind, TrialStopped):
                term.info(str(value))  # no mistake of the program's, so nobody wants its place
            else:
                before(kind, value, trace)

        sys.excepthook = hook

    def _goes_on(self, trace: TracebackType | None) -> bool:
        """Tell whether an exception that is printed ends no more than what was typed at a prompt.

        `code.interact` and what builds on it are called by the program, which still runs.
        """
        return self._program is _outermost_frame() or _was_typed(trace)

    def _wrap_exit(self) -> None:
        """Note the code of `sys.exit`, `exit` and `quit`: once Python exits, it tells it to nobody.

        `sys.exit(main())` takes the function before the run begins, see `startup.exits`. In any
        thread but the main one they end that thread alone.
        """
        exits.tell(self._note)
        if sys.exit is not exits.leave:  # somebody put another in its place since
            before = sys.exit

            def leave(code: Any = None, /) -> Any:
                self._note(code)
                before(code)

            sys.exit = leave
        if "_sitebuiltins" not in sys.modules:  # as with `python -S`
            return
        from _sitebuiltins import Quitter  # both `exit` and `quit` are one

        call = Quitter.__call__

        def leave_by_name(quitter: Any, code: Any = None) -> Any:
            self._note(code)
            call(quitter, code)

        Quitter.__call__ = leave_by_name  # type: ignore[method-assign, assignment]  # no hook

    def _note(self, code: Any) -> None:
        if _is_main_thread():
            self._set(_exit_code(code), _outermost_frame())


def _was_typed(trace: TracebackType | None) -> bool:
    """Tell whether an exception is of Python's own prompt, which no function calls.

    What is typed there is of the file `<stdin>`, from Python 3.14 on `<stdin-3>`.
    """
    is_of_input = trace is not None and trace.tb_frame.f_code.co_filename.startswith("<stdin")
    return is_of_input and hasattr(sys, "ps1")  # else a program is read from a pipe


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


def child_exit_code() -> int | None:
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
