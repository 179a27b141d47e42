"""Keep what the program prints, while it is printed as before.

Only the `write` function of `sys.stdout` and `sys.stderr` is replaced, so that `isatty`,
`fileno`, `encoding` and the identity of the streams stay as they are. A line that a progress
bar overwrites is kept in its last state (`screen`). IPython replaces these functions for each cell
and puts back what it found: there it is done again when a cell begins.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from lineal.client.capture import notebook
from lineal.client.capture.screen import Screen

_ANSI_MOVES = re.compile(r"\x1b\[[0-9;?]*[A-HJKSTfhlnsu]")
"""Cursor movements of progress bars; colours (`m`) stay."""


class Console:
    """Captures both streams from construction to `close`; `keep` takes one finished JSON line."""

    def __init__(self, keep: Callable[[bytes], None]) -> None:
        self._keep = keep
        self._lock = threading.RLock()
        self._is_open = True
        self._screens = self._new_screens()
        self._taps: dict[str, _Tap] = {}
        """By level, what captures now."""
        self._within = threading.local()
        self._tap_both()
        self._stop_following = notebook.before_each_cell(self._tap_both)

    def write(self, text: str, level: str = "info") -> None:
        """Take text as if it had been printed."""
        with self._lock:
            if "\n" in text:  # on a terminal all moves on: nobody can go back as far as before
                for other, screen in self._screens.items():
                    if other != level:
                        screen.finish_above()
            self._screens[level].write(text)

    def close(self) -> None:
        """Keep what has no line break yet, and put back the streams unless others wrapped them."""
        with self._lock:
            if not self._is_open:
                return
            self._is_open = False
            for screen in self._screens.values():
                screen.close()
        self._stop_following()
        for tap in self._taps.values():
            tap.leave(self)

    def after_fork(self) -> None:
        self._lock = threading.RLock()
        self._screens = self._new_screens()

    def _new_screens(self) -> dict[str, Screen]:
        return {level: Screen(partial(self._line, level)) for level in ("info", "error")}

    def _line(self, level: str, line: str) -> None:
        fields = {"ts": time.time(), "level": level, "content": _ANSI_MOVES.sub("", line)}
        self._keep(json.dumps(fields).encode())

    def _tap_both(self) -> None:
        for stream, level in ((sys.stdout, "info"), (sys.stderr, "error")):
            tap = _Tap.of(stream)
            if tap is not None:
                self._taps[level] = tap
                tap.join(self, level)

    def hears(self) -> bool:
        """Tell whether it takes what this thread prints; not while `hear` was called."""
        return self._is_open and not getattr(self._within, "is_deaf", False)

    def hear(self, text: str, level: str) -> None:
        """Take what is being printed, and nothing more from this thread until `hear_again`.

        What a stream prints may come by another one again.
        """
        try:
            self.write(text, level)
        except Exception as error:
            # Whatever fails here, the program's print must not.
            if not _is_of_capturing(error):
                raise
        self._within.is_deaf = True

    def hear_again(self) -> None:
        self._within.is_deaf = False


def _is_of_capturing(error: Exception) -> bool:
    """Tell a failure of ours, such as Python's limit of nested calls, from what a handler of a
    signal raised meanwhile.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__"))
    top = module.partition(".")[0]
    return top == "lineal" or top in sys.stdlib_module_names


class _Tap:
    """What stands for the `write` of a stream, for all runs at once: many may overlap."""

    def __init__(self, stream: Any, original: Callable[[Any], Any]) -> None:
        self._stream = stream
        self._original = original
        self._was_set = "write" in getattr(stream, "__dict__", {})
        self._listeners: tuple[tuple[Console, str], ...] = ()
        self.lineal_original = getattr(original, "lineal_original", original)
        """By it `term` prints Lineal's own messages past all captures."""

    @classmethod
    def of(cls, stream: Any) -> _Tap | None:
        """Return the tap of a stream, put in if it has none; None where that cannot be."""
        write = getattr(stream, "write", None)
        if write is None or isinstance(write, _Tap):
            return write
        tap = cls(stream, write)
        try:
            stream.write = tap
        except AttributeError:
            return None  # a stream without a dict
        return tap

    def join(self, console: Console, level: str) -> None:
        if (console, level) not in self._listeners:
            self._listeners = (*self._listeners, (console, level))

    def leave(self, console: Console) -> None:
        """Let it hear nothing more; put back the stream after the last, unless others wrapped it.

        To take ours out of theirs would undo theirs.
        """
        self._listeners = tuple(each for each in self._listeners if each[0] is not console)
        if self._listeners or getattr(self._stream, "write", None) is not self:
            return
        if self._was_set:
            self._stream.write = self._original
        else:
            del self._stream.write

    def __call__(self, text: Any) -> Any:
        if not isinstance(text, str):
            return self._original(text)
        heard: list[Console] = []
        try:
            # Kept first: whoever saw a line and kills us must find it kept.
            for console, level in self._listeners:
                if console.hears():
                    heard.append(console)
                    console.hear(text, level)
            return self._original(text)
        finally:
            for console in heard:
                console.hear_again()
