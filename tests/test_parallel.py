"""Threads of one call: order, errors, and what happens where none can be had."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import pytest

from lineal.parallel import Abandoned, Threads, in_parallel, local_threads, require_wanted

BEYOND_MEMORY = 1 << 60
"""Bytes of a stack that no machine has room for: then no thread can be started."""


@pytest.fixture
def no_threads() -> Iterator[None]:
    before = threading.stack_size(BEYOND_MEMORY)
    yield
    threading.stack_size(before)


def test_results_come_in_the_order_of_the_jobs() -> None:
    first_may_end = threading.Event()

    def first() -> int:
        assert first_may_end.wait(30)
        return 0

    with Threads[int](2, "test") as threads:
        threads.begin(first)
        for number in range(1, 5):  # the other thread does all of these meanwhile
            threads.begin(partial(int, number))
        threads.begin(first_may_end.set)  # type: ignore[arg-type] # its None is a result, too
        assert list(threads.results(4)) == [0, 1]
        assert list(threads.results()) == [2, 3, 4, None]


def test_no_more_threads_than_asked_for() -> None:
    names = set()
    for _, name in in_parallel(lambda _: threading.current_thread().ident, range(100), threads=3):
        names.add(name)
    assert len(names) <= 3
    assert threading.get_ident() not in names


def test_the_first_error_ends_it_and_no_thread_is_left() -> None:
    done = []

    def work(number: int) -> None:
        if number == 3:
            raise KeyError(number)
        done.append(number)

    with pytest.raises(KeyError):
        list(in_parallel(work, range(1000), threads=2))
    assert len(done) < 100
    assert not [each for each in threading.enumerate() if each.name == "lineal-items"]


def test_a_long_job_ends_early_when_nobody_waits_for_it() -> None:
    begun, ended = threading.Event(), threading.Event()

    def long() -> None:
        begun.set()
        try:
            while True:
                require_wanted()
        except Abandoned:
            ended.set()
            raise

    def fails() -> None:
        with Threads[None](1, "test") as threads:
            threads.begin(long)
            assert begun.wait(30)
            raise RuntimeError("of the caller")

    with pytest.raises(RuntimeError, match="of the caller"):
        fails()
    assert ended.is_set()


def test_results_that_nobody_took_are_dropped_one_by_one() -> None:
    dropped: list[int] = []
    done = threading.Event()
    with Threads[int](1, "test", drop=dropped.append) as threads:
        for job in (partial(int, 1), partial(int, 2), partial(int, "none"), partial(int, 3)):
            threads.begin(job)
        threads.begin(lambda: int(done.set() is None))
        assert next(threads.results()) == 1
        assert done.wait(30)
    assert dropped == [2, 3, 1]


@pytest.mark.usefixtures("no_threads")
def test_where_no_thread_can_be_had_the_caller_does_the_jobs() -> None:
    with pytest.raises(RuntimeError):
        threading.Thread(target=int).start()
    done = list(in_parallel(lambda number: (number, threading.get_ident()), range(9), threads=3))
    assert done == [(number, (number, threading.get_ident())) for number in range(9)]


def test_files_get_as_many_threads_as_there_are_processors_and_not_too_many() -> None:
    assert 1 <= local_threads() <= 4
