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
        self._ours: dict[str, tuple[Any, Callable[[], None]]] = {}
        """Level → the function that captures now, and what takes it out again."""
        self._within = threading.local()
        self._wrap_both()
        self._stop_following = notebook.before_each_cell(self._wrap_both)

    def write(self, text: str, level: str = "info") -> None:
        """Take text as if it had been printed."""
        with self._lock:
            if "\n" in text:  # on a terminal all moves on: nobody can go back as far as before
                for other in self._screens.keys() - {level}:
                    self._screens[other].finish_above()
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
        for _, restore in self._ours.values():
            restore()

    def after_fork(self) -> None:
        self._lock = threading.RLock()
        self._screens = self._new_screens()

    def _new_screens(self) -> dict[str, Screen]:
        return {level: Screen(partial(self._line, level)) for level in ("info", "error")}

    def _line(self, level: str, line: str) -> None:
        fields = {"ts": time.time(), "level": level, "content": _ANSI_MOVES.sub("", line)}
        self._keep(json.dumps(fields).encode())

    def _wrap_both(self) -> None:
        for stream, level in ((sys.stdout, "info"), (sys.stderr, "error")):
            original = getattr(stream, "write", None)
            if original is not None and original is not self._ours.get(level, (None,))[0]:
                self._wrap(stream, level, original)

    def _wrap(self, stream: Any, level: str, original: Callable[[Any], Any]) -> None:
        was_set = "write" in getattr(stream, "__dict__", {})

        def write(text: Any) -> Any:
            # Kept first: whoever saw a line and kills us must find it kept.
            if not self._is_open or not isinstance(text, str) or hasattr(self._within, "write"):
                return original(text)
            self._capture(text, level)
            self._within.write = True  # `original` may lead to a function of ours again
            try:
                return original(text)
            finally:
                del self._within.write

        # `term` prints Lineal's own messages past all captures.
        write.lineal_original = getattr(original, "lineal_original", original)  # type: ignore[attr-defined]  # a function takes any attribute
        try:
            stream.write = write
        except AttributeError:
            return  # a stream without a dict cannot be captured

        def restore() -> None:
            if getattr(stream, "write", None) is not write:
                return  # somebody wrapped it after us; taking ours out would undo theirs
            if was_set:
                stream.write = original
            else:
                del stream.write

        self._ours[level] = write, restore

    def _capture(self, text: str, level: str) -> None:
        try:
            self.write(text, level)
        except Exception:  # noqa: BLE001 - whatever fails here, the program's print must not
            self._is_open = False
