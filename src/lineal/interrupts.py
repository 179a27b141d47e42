"""What a signal must not cut short: whatever would stay locked or half-done for the whole process.

Python runs handlers of signals in the main thread, between any two steps of it. One that raises,
as that of Ctrl-C does, may so leave a lock held or a transaction open, which everybody else then
waits for; and one that comes back here waits for the very thread that it has interrupted.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_NUMBERS = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGALRM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
"""Those that programs handle: to end, to stop what takes too long, to save before they end."""

_Handler = Callable[[int, FrameType | None], object]


@contextmanager
def deferred() -> Iterator[Late]:
    """Let handlers of signals run once the block is left; one that comes again runs at once.

    In other threads than the main one, where no handlers run, it does nothing.
    """
    late = Late()
    if threading.get_ident() != threading.main_thread().ident:
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


class Late:
    """Stands in for handlers, and remembers for which of them a signal came."""

    def __init__(self) -> None:
        self._handlers: dict[int, _Handler] = {}
        self._came: dict[int, FrameType | None] = {}

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
            handler = signal.getsignal(number)
            if callable(handler) and not isinstance(handler, Late):
                self._handlers[number] = handler
                signal.signal(number, self)

    def give_back(self) -> None:
        try:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
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
