"""The lines of a stream as a terminal shows them: rewritten, and gone back to."""

from __future__ import annotations

import re
from collections.abc import Callable

LINE_MAX_CHARACTERS = 100_000
"""A longer line is cut into several, so that output without line breaks stays bounded."""
ROWS_MOST = 100
"""Lines that wait; whoever goes back further meets lines that are finished."""
_STEP = re.compile(r"(\n|\x1b\[\d{0,9}A)")
"""A line break, or the cursor going up; Python reads no number of more than 4,300 digits."""


class Screen:
    """Gives a line to `finished` at its line break, as `last_state` reads it.

    Nested progress bars go back up to lines that they wrote. From the first time on, as many of
    the last lines wait as they went up, unless the last one was never written anew.
    """

    def __init__(self, finished: Callable[[str], None]) -> None:
        self._finished = finished
        self._rows = [""]
        self._at = 0
        """The row that is written to."""
        self._reach = 0

    def write(self, text: str) -> None:
        has_steps = "\n" in text or "\x1b" in text  # most of what `print` writes has none
        first, *rest = _STEP.split(text) if has_steps else (text,)
        self._put(first)
        for step, more in zip(rest[::2], rest[1::2], strict=True):
            if step == "\n":
                self._go_down()
            else:
                self._go_up(int(step[2:-1] or 1))
            if more:
                self._put(more)
        if len(self._rows[self._at]) > LINE_MAX_CHARACTERS:
            self.close()

    def finish_above(self) -> None:
        """Finish the lines above the one that is written to."""
        if self._at == 0:
            return
        rows, done = self._rows, self._at
        self._at = 0
        self._rows = rows[done:]
        for row in rows[:done]:
            self._finished(last_state(row))

    def close(self) -> None:
        """Finish all lines; of the last ones those that show something."""
        rows, self._at, self._rows = self._rows, 0, [""]
        while rows and not last_state(rows[-1]).strip():
            rows.pop()
        for row in rows:
            self._finished(last_state(row))

    def _put(self, text: str) -> None:
        row = self._rows[self._at] + text
        if "\r" in row[1:-1]:
            row = "\r" + last_state(row) + "\r" * row.endswith("\r")
        self._rows[self._at] = row

    def _go_down(self) -> None:
        if self._at + 1 < len(self._rows):
            self._at += 1
            self._begin_anew()
            return
        left = self._rows[-1]
        waiting = self._reach if "\r" in left or not left else 0
        done = max(len(self._rows) - waiting, 0)
        # `_at` names a row at every moment: a handler of a signal may print in between.
        rows = self._rows = [*self._rows, ""]
        self._at = len(rows) - 1 - done
        self._rows = rows[done:]
        for row in rows[:done]:
            self._finished(last_state(row))

    def _go_up(self, count: int) -> None:
        bottom = len(self._rows) - 1
        self._reach = min(max(self._reach, bottom - self._at + count), ROWS_MOST)
        self._at = max(self._at - count, 0)
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Let what comes now replace the row."""
        if last_state(self._rows[self._at]).strip():
            self._put("\r")
        else:
            self._rows[self._at] = ""


def last_state(line: str) -> str:
    """Return what a terminal would show of a line with carriage returns.

    As bars do, a rewrite is taken to replace the whole line.
    """
    if "\r" not in line:
        return line
    states = [state for state in line.split("\r") if state]
    return states[-1] if states else ""
