"""What the SDK says to the person at the terminal: all of it to stderr, none of it to stdout.

`quiet` keeps warnings and errors, `silent` nothing. Messages bypass the run's own console
capture. Without a terminal there is no progress line and no colour.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from types import TracebackType
from typing import TextIO

from lineal.interrupts import held

PREFIX = "lineal: "
REDRAW_SECONDS = 0.1
"""Between two drawings of a progress line; more often than that nobody can read."""
SHOW_AFTER_SECONDS = 0.5
"""Work shorter than that needs no progress line."""
ERASE_LINE = "\r\x1b[K"


class _Voice:
    """How loud this process is, and what it has said already."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.quiet = False
        self.silent = False
        self.said: dict[str, float] = {}
        self.progress: Progress | None = None


_voice = _Voice()


def _after_fork() -> None:
    """Renew in a child the lock that a thread of the parent may hold."""
    _voice.lock = threading.RLock()
    _voice.progress = None


os.register_at_fork(after_in_child=_after_fork)


def configure(*, quiet: bool, silent: bool) -> None:
    """Set how much is said from now on."""
    _voice.quiet, _voice.silent = quiet, silent


def is_watched() -> bool:
    """Say whether somebody sees what is said, and wants to."""
    return not (_voice.quiet or _voice.silent) and _is_terminal()


def info(text: str, *, prefix: str = PREFIX) -> None:
    if not _voice.quiet and not _voice.silent:
        _say(text, prefix)


def warning(text: str, *, prefix: str = PREFIX) -> None:
    if not _voice.silent:
        _say(f"warning: {text}", prefix)


def error(text: str, *, prefix: str = PREFIX) -> None:
    if not _voice.silent:
        _say(f"error: {text}", prefix)


def warn_once(text: str, *, key: str | None = None, again_seconds: float | None = None) -> None:
    """Warn once per process and key, or again after some seconds."""
    if _is_due(key or text, again_seconds):
        warning(text)


def _is_due(key: str, again_seconds: float | None) -> bool:
    """Tell whether something was not said yet, or long ago; it counts as said now."""
    now = time.monotonic()
    with held(_voice.lock):
        last = _voice.said.get(key)
        if last is not None and (again_seconds is None or now - last < again_seconds):
            return False
        _voice.said[key] = now
        return True


def termlog(
    string: str = "", newline: bool = True, repeat: bool = True, prefix: bool = True
) -> None:
    """Say something as Lineal does.

    repeat: also if it was said before. prefix: say who says it. newline: always made.
    """
    if repeat or _is_due(string, None):
        info(string, prefix=PREFIX if prefix else "")


def termwarn(string: str, newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:
    """Warn as Lineal does; the rest as of `termlog`."""
    if repeat or _is_due(string, None):
        warning(string, prefix=PREFIX if prefix else "")


def termerror(string: str, newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:
    """Report an error as Lineal does; the rest as of `termlog`. Nothing is raised."""
    if repeat or _is_due(string, None):
        error(string, prefix=PREFIX if prefix else "")


def forget_warnings() -> None:
    """Let `warn_once` say everything again, as a new process would: each test begins so."""
    with held(_voice.lock):
        _voice.said.clear()


def progress(label: str, *, files: int | None = None, size: int | None = None) -> Progress:
    """Return a progress line for a `with` block; `advance` may be called from any thread.

    files: how many there are. size: bytes in all. None: not known.
    """
    return Progress(label, files, size)


def harmless(text: str) -> str:
    """Return text as no terminal obeys it, whatever a name in it contains; its lines stay."""
    return "\n".join(map(_visible, text.splitlines()))


def _visible(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)


def size_text(size: float) -> str:
    """Return 1536 as `1.5 KiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


class Progress:
    """Files, bytes, rate and time left of some work, on one line that is erased at the end."""

    def __init__(self, label: str, files: int | None, size: int | None) -> None:
        self._label, self._files, self._size = label, files, size
        self._files_done = 0
        self._size_done = 0
        self._started = time.monotonic()
        self._drawn_at = self._started + SHOW_AFTER_SECONDS - REDRAW_SECONDS
        self._is_shown = is_watched()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with held(_voice.lock):
            if _voice.progress is self:
                _voice.progress = None
                _write(ERASE_LINE)

    def advance(self, *, files: int = 0, size: int = 0) -> None:
        """Count files and bytes done; draws at most ten times a second."""
        if not self._is_shown:
            return  # as wherever nobody watches: called for every file
        with held(_voice.lock):
            self._files_done += files
            self._size_done += size
            now = time.monotonic()
            if now - self._drawn_at >= REDRAW_SECONDS:
                self._drawn_at = now
                _voice.progress = self
                self.draw()

    def expect(self, *, files: int, size: int) -> None:
        """Say how many files and bytes there are, once that is known."""
        self._files, self._size = files, size

    def file(self) -> FileProgress:
        """Return what counts one file, of which bytes may be told before it is done."""
        return FileProgress(self)

    def draw(self) -> None:
        _write(ERASE_LINE + self.text(time.monotonic() - self._started)[: _columns() - 1])

    def text(self, elapsed_seconds: float) -> str:
        """Return the line as it should read after so many seconds."""
        parts = [self._label]
        if self._files is None or self._files > 1:
            of = "" if self._files is None else f"/{self._files:,}"
            parts.append(f"{self._files_done:,}{of} files")
        of = "" if self._size is None else f" of {size_text(self._size)}"
        parts.append(f"{size_text(self._size_done)}{of}")
        if elapsed_seconds > 0:
            rate = self._size_done / elapsed_seconds
            parts.append(f"{size_text(rate)}/s")
            if self._size and rate > 0:
                parts.append(f"{_duration((self._size - self._size_done) / rate)} left")
        return _visible(PREFIX + " · ".join(parts))


class FileProgress:
    """One file of a `Progress`: hears of its bytes, and is counted when it is done."""

    __slots__ = ("_progress", "_told")

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._told = 0

    def __call__(self, size: int) -> None:
        self._told += size
        self._progress.advance(size=size)

    def done(self, size: int) -> None:
        """Count the file, and of its bytes those that were not told."""
        self._progress.advance(files=1, size=size - self._told)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _say(text: str, prefix: str) -> None:
    lines = "".join(f"{prefix}{_visible(line)}\n" for line in text.splitlines() or [""])
    with held(_voice.lock):
        if _voice.progress is None:
            _write(lines)
        else:
            _write(ERASE_LINE + lines)
            _voice.progress.draw()


def _write(text: str) -> None:
    stream: TextIO | None = sys.stderr
    if stream is None:  # a windowed or detached process has none
        return
    # The run's console capture leaves the way around itself on the function it installs.
    write = getattr(stream.write, "lineal_original", stream.write)
    try:
        write(text)
        stream.flush()
    except (OSError, ValueError):
        return  # the terminal went away; there is nobody left to tell


def _is_terminal() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:  # closed
        return False


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
