"""Work in threads, for what lets go of the interpreter: copying, hashing, requests.

Small pieces gain nothing: to hand one over takes as long as to hash ten kilobytes.
"""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from types import TracebackType
from typing import Any, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
Job = Callable[[], R]

LOCAL_THREADS_MOST = 4
"""For files of this machine: a hash takes a processor, and more files at once make disks seek."""
LARGE_BYTES = 128 << 10
"""Files from here on are worth handing over: 0.1 ms to hash."""

_here = threading.local()
"""`threads`: those of which the present thread is one."""


class Abandoned(BaseException):
    """Raised in a job whose result nobody waits for any more."""


class Threads(Generic[R]):
    """Does jobs in threads; their results come in the order in which the jobs were given.

    Where no thread can be had, by a limit or since the process is ending, whoever gives a job does
    it. (`ThreadPoolExecutor` raises then, and may do the job nevertheless.) Leaving the `with`
    block waits for the jobs under way; those that ask `require_wanted` end early.
    """

    def __init__(self, count: int, name: str, drop: Callable[[R], None] | None = None) -> None:
        """count: of threads, each made when a job comes for it; name: what they are called.

        drop: called at the end with each result that nobody took.
        """
        self._count = count
        self._name = name
        self._drop = drop
        self._threads: list[threading.Thread] = []
        self._jobs: queue.SimpleQueue[tuple[Job[R], Future[R]] | None] = queue.SimpleQueue()
        self._pending: deque[Future[R]] = deque()
        self.is_abandoned = False

    def __enter__(self) -> Threads[R]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def begin(self, job: Job[R]) -> None:
        """Have a job done; what it raises comes with its result, or at once if it is done here."""
        if len(self._threads) < self._count:
            self._start()
        future: Future[R] = Future()
        if self._threads:
            self._pending.append(future)  # first: Ctrl-C may come between the two
            self._jobs.put((job, future))
        else:
            future.set_result(job())
            self._pending.append(future)

    def results(self, most_pending: int = 0) -> Iterator[R]:
        """Yield results, the oldest first, until no more than so many are awaited."""
        while len(self._pending) > most_pending:
            result = self._pending[0].result()  # it stays to be dropped if Ctrl-C comes
            self._pending.popleft()
            yield result

    def wait(self, most_pending: int = 0) -> None:
        """Return when no more than so many results are awaited; raises what a job raised."""
        for _ in self.results(most_pending):
            continue

    def end(self) -> None:
        """Give up the jobs that have not begun, and return when the others have ended."""
        self.is_abandoned = True
        for future in self._pending:
            future.cancel()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        while self._pending:
            future = self._pending.popleft()
            if self._drop is not None and not future.cancelled() and future.exception() is None:
                self._drop(future.result())

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._count = len(self._threads)  # with these, or none
        else:
            self._threads.append(thread)

    def _work(self) -> None:
        _here.threads = self
        while (given := self._jobs.get()) is not None:
            job, future = given
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = job()
            except BaseException as error:  # noqa: BLE001 - whoever waits for it decides
                future.set_exception(error)
            else:
                future.set_result(result)
            del job, future, given  # or this frame keeps what they hold until the next one comes


def in_parallel(
    work: Callable[[T], R], items: Iterable[T], *, threads: int
) -> Iterator[tuple[T, R]]:
    """Yield (item, what the work made of it) in the order of the items.

    At most four times as many items as threads are taken ahead. The first error ends it, once what
    is under way has ended.
    """
    with Threads[tuple[T, R]](threads, "lineal-items") as pool:
        for item in items:
            pool.begin(partial(_done, work, item))
            yield from pool.results(4 * threads - 1)
        yield from pool.results()


def large_in_parallel(
    work: Callable[[T], R], items: Iterable[T], size_of: Callable[[T], int]
) -> Iterator[tuple[T, R]]:
    """Yield (item, what the work made of it), for files of this machine, in no certain order.

    size_of: returns how many bytes an item has; large ones are worked on in threads.
    """
    count = local_threads()
    with Threads[tuple[T, R]](count, "lineal-files") as pool:
        for item in items:
            if size_of(item) < LARGE_BYTES:
                yield _done(work, item)
            else:
                pool.begin(partial(_done, work, item))
                yield from pool.results(4 * count)
        yield from pool.results()


def _done(work: Callable[[T], R], item: T) -> tuple[T, R]:
    return item, work(item)


def require_wanted() -> None:
    """End the job that asks, by Abandoned, if its result is not waited for any more."""
    threads: Threads[Any] | None = getattr(_here, "threads", None)
    if threads is not None and threads.is_abandoned:
        raise Abandoned


def local_threads() -> int:
    """Return how many threads files of this machine are worth."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(usable or 1, LOCAL_THREADS_MOST)
