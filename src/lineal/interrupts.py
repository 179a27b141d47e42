"""What a signal must not cut short: whatever would stay locked or half-done for the whole process.

Python runs handlers of signals in the main thread, between any two steps of it. One that raises,
as that of Ctrl-C does, may so leave a lock held or a transaction open, which everybody else then
waits for; and one that comes back here waits for the very thread that it has interrupted.
"""

from __future__ import annotations

import os
import signal
import threading

# Those of `signal` itself make enums of what they take and return: 20 µs for each block.
from _signal import getsignal as _handler_of  # type: ignore[import-not-found] # it has no stub
from _signal import signal as _handle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import ClassVar, Protocol

_NUMBERS = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGALRM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
"""Those that programs handle: to end, to stop what takes too long, to save before they end."""

LOOK_SECONDS = 0.2
"""Who waits for a lock looks so often whether a signal came: SQLite itself hears of none."""

_Handler = Callable[[int, FrameType | None], object]


class Lock(Protocol):
    def acquire(self, blocking: bool = ..., timeout: float = ...) -> bool: ...
    def release(self) -> None: ...


@contextmanager
def deferred() -> Iterator[Late]:
    """Let handlers of signals run once the block is left; one that comes again runs at once.

    It does nothing within such a block, nor in other threads than the main one: they run none.
    """
    late = Late()
    if _runs_no_handler():
        yield late
        return
    try:
        late.take()
        yield late
    finally:
        try:
            late.give_back()
        finally:
            late.run()


@contextmanager
def held(*locks: Lock) -> Iterator[None]:
    """Hold locks, and let handlers of signals run once they are let go, as `deferred` does.

    Otherwise a handler that waits for a thread which wants one of them would wait for ever. While
    other threads have a lock, handlers run. For short work: Ctrl-C waits for it.
    """
    if _runs_no_handler():
        for lock in locks:
            lock.acquire()
        try:
            yield
        finally:
            for lock in reversed(locks):
                lock.release()
        return
    while True:
        with deferred() as late:
            if not _acquired(locks, late):
                continue  # once the handlers have run
            try:
                yield
                return
            finally:
                for lock in reversed(locks):
                    lock.release()


def _runs_no_handler() -> bool:
    """Tell whether no handler can run in this thread now: only the main one runs them.

    Nor does that within a block of `deferred`.
    """
    return Late.in_place is not None or threading.get_ident() != threading.main_thread().ident


def _acquired(locks: tuple[Lock, ...], late: Late) -> bool:
    """Acquire all locks, or none if a signal comes before."""
    for number, lock in enumerate(locks):
        while not lock.acquire(timeout=LOOK_SECONDS):
            if late.has_come:
                for before in reversed(locks[:number]):
                    before.release()
                return False
    return True


class Late:
    """Stands in for handlers, and remembers for which of them a signal came."""

    in_place: ClassVar[Late | None] = None
    """The one that does so now."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._handlers: dict[int, _Handler] = {}
        self._came: dict[int, FrameType | None] = {}

    @property
    def is_of_this_thread(self) -> bool:
        return self._thread == threading.get_ident()

    @property
    def has_come(self) -> bool:
        return bool(self._came)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if number in self._came:
            self._handlers[number](number, frame)
        else:
            self._came[number] = frame

    def take(self) -> None:
        for number in _NUMBERS:
            handler = _handler_of(number)
            if callable(handler) and not isinstance(handler, Late):
                self._handlers[number] = handler
                _handle(number, self)
        Late.in_place = self

    def give_back(self) -> None:
        Late.in_place = None
        try:
            for number, handler in self._handlers.items():
                _handle(number, handler)
        except BaseException:  # from one that was given back already
            self.give_back()
            raise

    def run(self) -> None:
        """Call the handlers, and send no signal anew: an event loop has heard of the first."""
        if self._came:
            number = next(iter(self._came))
            frame = self._came.pop(number)
            try:
                self._handlers[number](number, frame)
            finally:
                self.run()


def _after_fork() -> None:
    """Put back the handlers that were put off by a thread which the child does not have."""
    late = Late.in_place
    if late is not None and not late.is_of_this_thread:
        late.give_back()


os.register_at_fork(after_in_child=_after_fork)
