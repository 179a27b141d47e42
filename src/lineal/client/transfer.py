"""The threads that a process keeps: what uploads in the background, and what ticks.

One worker per process. It runs jobs one after the other in the order they were given (X-5:
versions of one name are numbered in call order), and beside them calls about once a second
whoever has lines or a heartbeat to send, however long a job takes. Both threads are daemons,
started when first needed and again after a fork. Threads of a single call: `lineal.parallel`.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from lineal.errors import Unavailable
from lineal.interrupts import held

T = TypeVar("T")

TICK_SECONDS = 1.0


class Lost(Exception):
    """The process that does the job is the parent of this one, which it never tells."""


class Job(Future[T]):
    """What a job leads to. In a child that was forked before the job ended it has failed."""

    def __init__(self) -> None:
        super().__init__()
        self._owner = os.getpid()
        self.has_ended = False
        """Set last: whoever sees it in a child knows that no lock was held at the fork."""

    def done(self) -> bool:
        return self._is_lost() or super().done()

    def result(self, timeout: float | None = None) -> T:
        if self._is_lost():
            raise Lost
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        return Lost() if self._is_lost() else super().exception(timeout)

    def _is_lost(self) -> bool:
        return not self.has_ended and self._owner != os.getpid()


class Worker:
    def __init__(self) -> None:
        self._reset()

    def submit(self, job: Callable[[], T]) -> Job[T]:
        """Run a job after all jobs given before; errors are kept in the future.

        Raises Unavailable if no thread can be started for it; then it is not run.
        """
        self._renew()
        self._start("lineal-jobs", self._work)
        future: Job[T] = Job()
        self._jobs.put((job, future))
        return future

    def every_tick(self, call: Callable[[], None]) -> Callable[[], None]:
        """Call about once a second until the returned function is called; must not raise.

        Raises Unavailable if no thread can be started for it.
        """
        self._renew()
        self._start("lineal-ticks", self._tick)
        calls = self._calls
        calls.append(call)
        return lambda: calls.remove(call) if call in calls else None

    def _reset(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._threads: dict[str, threading.Thread] = {}
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Job[Any]]] = queue.SimpleQueue()
        self._calls: list[Callable[[], None]] = []

    def _renew(self) -> None:
        """Begin anew in a forked child: threads do not survive a fork, nor do held locks."""
        if self._owner != os.getpid():
            self._reset()

    def _start(self, name: str, work: Callable[[], None]) -> None:
        if name in self._threads:  # else each job would cost a look at the handlers of signals
            return
        with held(self._lock):
            if name in self._threads:
                return
            thread = threading.Thread(target=work, name=name, daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                raise Unavailable(
                    f"The thread `{name}` cannot be started: {error}. See `ulimit -u`, the most "
                    "that your user may have, and the limit of the container"
                ) from error
            self._threads[name] = thread

    def _work(self) -> None:
        while True:
            job, future = self._jobs.get()
            try:
                result = job()
            except BaseException as error:  # noqa: BLE001 - whoever waits for the future decides
                future.set_exception(error)
            else:
                future.set_result(result)
                del result
            future.has_ended = True
            del job, future  # or this frame would keep the last artifact until the next one comes

    def _tick(self) -> None:
        while True:
            time.sleep(TICK_SECONDS)
            for call in list(self._calls):
                call()
