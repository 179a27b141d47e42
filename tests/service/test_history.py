"""Lines of runs: appended by any number of writers, read back merged (RUN-16)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from lineal.core.access import Actor, Role
from lineal.core.records import Lines, RunKey, RunRecord, RunSpec, Stream
from lineal.db import schema
from lineal.db.history import SMALL_CHUNK_LINES, SMALL_CHUNKS_MOST
from lineal.errors import Denied, Gone, Invalid, NotFound, RunNotFoundError
from lineal.service import deletion, history, runs
from lineal.service.instance import Instance


@pytest.fixture
def run(instance: Instance, owner: Actor) -> RunRecord:
    return runs.start(instance, owner, RunSpec("ana", "p", "r1")).run


def row(step: int | None, time: float = 0.0, **values: Any) -> bytes:
    steps = {} if step is None else {"_step": step}
    return json.dumps(values | steps | {"_timestamp": time}).encode()


def rows(steps: Iterable[int], **values: Any) -> tuple[bytes, ...]:
    return tuple(row(step, float(step), **values) for step in steps)


def batch(
    first_offset: int,
    lines: Iterable[bytes],
    *,
    writer: str = "w",
    stream: Stream = Stream.HISTORY,
) -> Lines:
    return Lines(stream, writer, first_offset, tuple(lines))


class Log:
    """What one run wrote."""

    def __init__(self, instance: Instance, actor: Actor, run: RunRecord) -> None:
        self.instance, self.actor, self.key = instance, actor, run.key

    def append(self, *batches: Lines) -> None:
        history.append(self.instance, self.actor, self.key, batches)

    def lines(self, stream: Stream = Stream.HISTORY, **limits: int) -> list[bytes]:
        return list(history.read(self.instance, self.actor, self.key, stream, **limits))

    def steps(self, **limits: int) -> list[int]:
        return [json.loads(line)["_step"] for line in self.lines(**limits)]

    def chunk_count(self) -> int:
        with self.instance.database.reading() as connection:
            return connection.execute(
                select(func.count()).select_from(schema.line_chunks)
            ).scalar_one()

    @property
    def record(self) -> RunRecord:
        return runs.run_by_key(self.instance, self.actor, self.key)


@pytest.fixture
def log(instance: Instance, owner: Actor, run: RunRecord) -> Log:
    return Log(instance, owner, run)


# --- append -------------------------------------------------------------------------------------


def test_a_batch_is_one_row_and_reads_back_as_it_was(log: Log) -> None:
    lines = rows(range(5_000), loss=0.5, text='quotes " and "_step": 3')
    log.append(batch(0, lines))
    assert log.lines() == list(lines)
    assert log.chunk_count() == 1
    assert (log.record.last_step, log.record.history_count) == (4_999, 5_000)


def test_sending_again_changes_nothing(log: Log) -> None:
    log.append(batch(0, rows(range(10))))
    log.append(batch(0, rows(range(10))))
    log.append(batch(3, rows(range(3, 6))))
    assert log.steps() == list(range(10))
    assert (log.chunk_count(), log.record.history_count) == (1, 10)


def test_of_an_overlapping_batch_only_the_new_tail_is_stored(log: Log) -> None:
    log.append(batch(0, rows(range(10))))
    log.append(batch(5, rows(range(5, 15), again=True)))
    assert log.steps() == list(range(15))
    assert [b"again" in line for line in log.lines()] == [False] * 10 + [True] * 5
    assert log.record.history_count == 15


def test_gaps_are_accepted_and_may_be_filled_later(log: Log) -> None:
    log.append(batch(0, rows(range(2))), batch(8, rows(range(8, 10))))
    assert log.steps() == [0, 1, 8, 9]
    log.append(batch(1, rows(range(1, 9))))
    assert log.steps() == list(range(10))


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pieces=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)), max_size=25))
def test_any_order_of_any_pieces_stores_each_line_once(
    instance: Instance, owner: Actor, pieces: list[tuple[int, int]]
) -> None:
    with instance.database.reading() as connection:
        taken = connection.execute(select(func.count()).select_from(schema.runs)).scalar()
    log = Log(instance, owner, runs.start(instance, owner, RunSpec("ana", "p", f"x{taken}")).run)
    for first, count in pieces:
        log.append(batch(first, rows(range(first, first + count))))
    wanted = sorted({step for first, count in pieces for step in range(first, first + count)})
    assert log.steps() == wanted
    assert log.record.history_count == len(wanted)
    assert log.record.last_step == max(wanted, default=-1)


def test_streams_and_writers_count_offsets_for_themselves(log: Log) -> None:
    console = [json.dumps({"ts": i, "level": "info", "content": f"{i}"}).encode() for i in (0, 1)]
    log.append(
        batch(0, rows([1])),
        batch(0, rows([2]), writer="v"),
        batch(0, console, stream=Stream.CONSOLE),
    )
    assert log.steps() == [1, 2]
    assert log.lines(Stream.CONSOLE) == console
    assert log.lines(Stream.EVENTS) == []
    assert log.record.history_count == 2


def test_many_small_batches_become_few_rows(log: Log) -> None:
    count = 2 * SMALL_CHUNK_LINES
    for offset in range(0, count, 4):
        log.append(batch(offset, rows(range(offset, offset + 4))))
    assert log.chunk_count() <= 2 * SMALL_CHUNKS_MOST
    assert log.steps() == list(range(count))
    assert log.steps(min_step=777, max_step=780) == [777, 778, 779]
    log.append(batch(0, rows(range(count))))
    assert log.record.history_count == count


def test_rows_are_not_merged_over_a_gap(log: Log) -> None:
    for offset in range(0, 4 * SMALL_CHUNKS_MOST, 2):
        log.append(batch(offset, rows([offset])))
    assert log.steps() == list(range(0, 4 * SMALL_CHUNKS_MOST, 2))
    log.append(batch(0, rows(range(4 * SMALL_CHUNKS_MOST))))
    assert log.steps() == list(range(4 * SMALL_CHUNKS_MOST))


def test_a_huge_batch_is_cut_into_rows_of_bounded_size(log: Log) -> None:
    log.append(batch(0, rows(range(history.CHUNK_LINES + 1))))
    assert log.chunk_count() == 2
    large = rows(range(history.CHUNK_LINES + 1, history.CHUNK_LINES + 5), blob="x" * (3 << 20))
    log.append(batch(history.CHUNK_LINES + 1, large))
    assert log.chunk_count() == 6
    assert log.steps() == list(range(history.CHUNK_LINES + 5))


@pytest.mark.parametrize(
    "line", [b"", b"3", b"1}", b"[1]", b'{"a": 1}\n{"b": 2}', b'{"a": ', b'{"_step": x}']
)
def test_a_line_that_is_no_object_is_refused_and_nothing_stored(log: Log, line: bytes) -> None:
    with pytest.raises(Invalid):
        log.append(batch(0, rows([1])), batch(1, [line]))
    assert log.lines() == []


@pytest.mark.parametrize(
    ("line", "step"),
    [
        (b'{"_step":7}', 7),
        (b'{"a": {"_step": 3}, "_step": 7}', 7),
        (b'{"a": {"_step": 3}}', -1),
        (b'{"_step": 7.0}', 7),
        (b'{"_step": "7"}', -1),
        (b'{"_step": true}', -1),
        (b'{"text": "\\"_step\\": 3", "_step": 7}', 7),
        (b'{"x": NaN, "_step" : 7 }', 7),
    ],
)
def test_the_step_of_a_line_is_its_own(log: Log, line: bytes, step: int) -> None:
    log.append(batch(0, [line]))
    assert log.record.last_step == step


def test_the_last_step_never_goes_back(log: Log) -> None:
    log.append(batch(0, rows([5])))
    log.append(batch(0, rows([3]), writer="v"))
    assert log.record.last_step == 5


def test_writers_at_once_lose_nothing(log: Log) -> None:
    def write(writer: str) -> None:
        for offset in range(0, 100, 5):
            log.append(batch(offset, rows(range(offset, offset + 5)), writer=writer))

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.steps() == sorted(list(range(100)) * 4)
    assert log.record.history_count == 400


def test_a_deleted_or_unknown_run_takes_no_lines(
    instance: Instance, owner: Actor, log: Log
) -> None:
    with pytest.raises(RunNotFoundError):
        history.append(instance, owner, RunKey(99), [batch(0, rows([1]))])
    deletion.delete_run(instance, owner, log.key)
    with pytest.raises(Gone):
        log.append(batch(0, rows([1])))
    with pytest.raises(Gone):
        log.lines()


def test_rights_are_asked_for_before_the_first_line(
    instance: Instance, stranger: Actor, log: Log
) -> None:
    with pytest.raises(NotFound):
        history.append(instance, stranger, log.key, [])
    with pytest.raises(NotFound):
        history.read(instance, stranger, log.key, Stream.HISTORY)
    with pytest.raises(Denied):
        history.append(instance, Actor("vic", Role.VIEWER), log.key, [])


# --- read ---------------------------------------------------------------------------------------


def test_writers_are_merged_by_step_then_by_time(log: Log) -> None:
    log.append(
        batch(0, [row(0, 10.0, w=1), row(2, 30.0, w=1), row(3, 31.5, w=1)], writer="one"),
        batch(0, [row(1, 5.0, w=2), row(2, 20.0, w=2), row(3, 1e30, w=2)], writer="two"),
    )
    read = [(json.loads(line)["_step"], json.loads(line)["w"]) for line in log.lines()]
    assert read == [(0, 1), (1, 2), (2, 2), (2, 1), (3, 1), (3, 2)]


def test_a_line_without_a_step_stays_behind_the_one_before_it(log: Log) -> None:
    log.append(
        batch(0, [row(0), row(None, note=1), row(5)], writer="one"),
        batch(0, [row(1), row(4)], writer="two"),
    )
    assert [json.loads(line).get("_step") for line in log.lines()] == [0, None, 1, 4, 5]


def test_console_lines_of_all_writers_are_in_the_order_of_time(log: Log) -> None:
    def line(ts: Any) -> bytes:
        return json.dumps({"ts": ts, "content": "x"}).encode()

    one = [line("2026-01-01T00:00:00Z"), line("2026-01-01T00:00:02.5Z")]
    two = [line(1767225601.0), line("2026-01-01T00:00:03+00:00")]
    log.append(
        batch(0, one, writer="one", stream=Stream.CONSOLE),
        batch(0, two, writer="two", stream=Stream.CONSOLE),
    )
    assert log.lines(Stream.CONSOLE) == [one[0], two[0], one[1], two[1]]


@pytest.mark.parametrize(
    ("limits", "steps"),
    [
        ({"min_step": 3}, [3, 4, 5, 6, 7]),
        ({"max_step": 3}, [0, 1, 2]),
        ({"min_step": 2, "max_step": 6}, [2, 3, 4, 5]),
        ({"min_step": 6, "max_step": 2}, []),
        ({"min_step": 8}, []),
    ],
)
def test_the_lower_step_is_included_and_the_upper_is_not(
    log: Log, limits: dict[str, int], steps: list[int]
) -> None:
    log.append(batch(0, rows(range(3))))
    log.append(batch(3, rows(range(3, 6))))
    log.append(batch(0, rows(range(6, 8)), writer="v"))
    assert log.steps(**limits) == steps


def test_a_line_without_a_step_is_not_between_two(log: Log) -> None:
    log.append(batch(0, [row(1), row(None), row(2)]))
    assert log.steps(min_step=1, max_step=3) == [1, 2]


def test_steps_do_not_limit_the_console(log: Log) -> None:
    line = b'{"ts": 1, "content": "x"}'
    log.append(batch(0, [line], stream=Stream.CONSOLE))
    assert log.lines(Stream.CONSOLE, min_step=5, max_step=6) == [line]


def test_reading_holds_no_transaction_and_follows_what_is_merged_meanwhile(log: Log) -> None:
    for offset in range(SMALL_CHUNKS_MOST):
        log.append(batch(offset, rows([offset])))
    reader: Iterator[bytes] = history.read(log.instance, log.actor, log.key, Stream.HISTORY)
    read = [next(reader) for _ in range(10)]
    before = log.chunk_count()
    log.append(batch(SMALL_CHUNKS_MOST, rows([SMALL_CHUNKS_MOST])))
    assert log.chunk_count() < before
    read += list(reader)
    assert [json.loads(line)["_step"] for line in read] == list(range(SMALL_CHUNKS_MOST + 1))
