"""Signals that come while the database is used: Ctrl-C in a notebook, a job's end that is near."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from lineal.db.engine import Database, sqlite_url
from lineal.interrupts import deferred, held

STEPS_MOST = 2_000


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(sqlite_url(str(path)), busy_timeout_seconds=1)
    yield database
    database.close()


def add(database: Database, number: int) -> None:
    with database.writing(is_durable=False) as connection:
        connection.exec_driver_sql(f"INSERT INTO rows VALUES ({number})")


def numbers(database: Database) -> list[int]:
    with database.reading() as connection:
        return list(connection.exec_driver_sql("SELECT number FROM rows").scalars())


def interrupted_at(step: int, database: Database) -> bool:
    """Write a row, and press Ctrl-C at the line of Python that is counted; say whether it was."""
    count = 0

    def trace(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        if event == "line" and count == step:
            signal.raise_signal(signal.SIGINT)
        return trace

    sys.settrace(trace)
    try:
        add(database, step)
    finally:
        sys.settrace(None)
    return count >= step


def test_ctrl_c_at_any_step_leaves_nothing_locked(path: Path, database: Database) -> None:
    add(database, 0)
    for step in range(1, STEPS_MOST):
        kept: BaseException | None = None
        try:
            if not interrupted_at(step, database):
                break
        except KeyboardInterrupt as error:
            kept = error  # as a notebook keeps the last one, with all its frames
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other_process:
            other_process.execute("BEGIN IMMEDIATE")
            other_process.execute("ROLLBACK")
        thread = threading.Thread(target=add, args=(database, -step), daemon=True)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
        assert -step in numbers(database)
        del kept
    else:
        pytest.fail("the transaction has no end")
    assert step > 50


def press_ctrl_c_while_writing(database: Database, times: int, done: list[str]) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO rows VALUES (1)")
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)
        done.append("written")
    done.append("gone on")


def test_ctrl_c_takes_effect_once_it_is_written(database: Database) -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        press_ctrl_c_while_writing(database, 1, done)
    assert done == ["written"]
    assert numbers(database) == [1]


def test_who_presses_ctrl_c_again_does_not_wait(database: Database) -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        press_ctrl_c_while_writing(database, 2, done)
    assert done == []
    assert numbers(database) == []
    add(database, 2)


@contextmanager
def signalled_while_waiting(path: Path, number: signal.Signals) -> Iterator[sqlite3.Connection]:
    """Hold the write lock as another process does, and send a signal to who waits for it."""
    with closing(
        sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    ) as other_process:
        other_process.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.3, os.kill, (os.getpid(), number))
        timer.start()
        yield other_process
        timer.join()


def test_ctrl_c_ends_the_wait_for_another_process(path: Path) -> None:
    database = Database(sqlite_url(str(path)), busy_timeout_seconds=600)
    with signalled_while_waiting(path, signal.SIGINT), pytest.raises(KeyboardInterrupt):
        add(database, 1)
    add(database, 2)
    assert numbers(database) == [2]
    database.close()


def test_a_signal_that_is_only_noted_does_not_end_the_wait(path: Path) -> None:
    database = Database(sqlite_url(str(path)), busy_timeout_seconds=600)
    with signalled_while_waiting(path, signal.SIGUSR1) as other_process:
        before = signal.signal(
            signal.SIGUSR1, lambda _number, _frame: other_process.execute("ROLLBACK")
        )
        add(database, 1)
        signal.signal(signal.SIGUSR1, before)
    assert numbers(database) == [1]
    database.close()


def test_a_handler_may_write_itself(database: Database) -> None:
    before = signal.signal(signal.SIGUSR1, lambda _number, _frame: add(database, 2))
    try:
        with database.writing() as connection:
            signal.raise_signal(signal.SIGUSR1)
            connection.exec_driver_sql("INSERT INTO rows VALUES (1)")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert numbers(database) == [1, 2]


def test_an_event_loop_hears_of_a_signal_once(database: Database) -> None:
    heard: list[str] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, heard.append, "signal")
        with database.writing():
            signal.raise_signal(signal.SIGUSR1)
        while "signal" not in heard:
            await asyncio.sleep(0)
        loop.call_soon(heard.append, "next")
        while "next" not in heard:
            await asyncio.sleep(0)
        loop.remove_signal_handler(signal.SIGUSR1)

    asyncio.run(work())
    assert heard == ["signal", "next"]


def test_handlers_are_what_they_were(database: Database) -> None:
    def handler(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with suppress(TimeoutError), database.writing():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGALRM)
    except KeyboardInterrupt:
        pass
    found = signal.signal(signal.SIGALRM, before)
    assert found is handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert numbers(database) == []


def test_a_lock_is_let_go_before_the_handler_runs() -> None:
    lock, found = threading.RLock(), []

    def handler(_number: int, _frame: FrameType | None) -> None:
        with ThreadPoolExecutor(1) as other:
            found.append(other.submit(lock.acquire, timeout=5).result())

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with held(lock):
            signal.raise_signal(signal.SIGUSR1)
            assert found == []
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert found == [True]


def test_ctrl_c_ends_the_wait_for_a_lock() -> None:
    lock, free = threading.RLock(), threading.RLock()
    with ThreadPoolExecutor(1) as other:
        other.submit(lock.acquire).result()
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt), held(free, lock):
            pytest.fail("another thread has it")
        timer.join()
        assert other.submit(free.acquire, timeout=5).result()


def test_a_child_of_another_thread_has_the_handlers_of_the_program() -> None:
    with deferred(), ThreadPoolExecutor(1) as other:
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        assert other.submit(in_child, handles_ctrl_c).result() == 0
        assert in_child(handles_ctrl_c) == 1, "it goes on in this block, too"
    assert handles_ctrl_c()


def handles_ctrl_c() -> bool:
    return signal.getsignal(signal.SIGINT) is signal.default_int_handler


def in_child(is_so: Callable[[], bool]) -> int:
    child = os.fork()
    if child == 0:
        os._exit(0 if is_so() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
