"""The history of a run that `Api` has: rows, samples, keys."""

from __future__ import annotations

import json
import sys
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineal.client.backend import Backend
from lineal.client.public import history as public_history
from lineal.client.public.run import Run
from lineal.client.values import flat
from lineal.core.records import Lines, RunRecord, Stream
from lineal.errors import Invalid


def log_rows(backend: Backend, record: RunRecord, rows: list[dict[str, object]]) -> None:
    lines = [json.dumps(row).encode() for row in rows]
    backend.append_lines(record.key, [Lines(Stream.HISTORY, "writer", 0, lines)])


def rows_of(count: int) -> list[dict[str, object]]:
    return [{"_step": step, "loss": step / 10} for step in range(count)]


def test_scanning_yields_every_row_that_has_all_keys(
    run: Run, record: RunRecord, backend: Backend
) -> None:
    log_rows(backend, record, [{"_step": 0, "a": 1}, {"_step": 1, "a": 2, "b": 3}])
    assert list(run.scan_history()) == [{"_step": 0, "a": 1}, {"_step": 1, "a": 2, "b": 3}]
    assert list(run.scan_history(keys=["a", "b"])) == [{"_step": 1, "a": 2, "b": 3}]
    assert list(run.scan_history(keys="b")) == [{"_step": 1, "b": 3}]
    scan = run.scan_history()
    assert [row["a"] for row in scan] == [1, 2]
    assert [row["_step"] for row in scan] == [0, 1]  # read again
    assert [next(scan)["a"], next(scan)["a"], next(scan, None)] == [1, 2, None]
    assert list(run.beta_scan_history(["b"], 1000, 0, 5)) == [{"_step": 1, "b": 3}]


def test_a_row_with_a_key_that_only_ends_alike_is_left_out(
    run: Run, record: RunRecord, backend: Backend
) -> None:
    log_rows(backend, record, [{"_step": 0, "val_loss": 1}, {"_step": 1, "loss": 2}])
    assert list(run.scan_history(keys=["loss"])) == [{"_step": 1, "loss": 2}]
    assert run.history(keys=["loss"], pandas=False) == [{"_step": 1, "loss": 2}]


def test_scanning_keeps_to_a_range_of_steps(run: Run, record: RunRecord, backend: Backend) -> None:
    log_rows(backend, record, rows_of(10))
    found = run.scan_history(keys=["_step"], min_step=3, max_step=6, use_cache=False)
    assert [row["_step"] for row in found] == [3, 4, 5]


def test_nested_keys_are_joined_with_dots(run: Run, record: RunRecord, backend: Backend) -> None:
    log_rows(backend, record, [{"_step": 0, "eval": {"acc": 0.5}}])
    assert list(run.scan_history(keys=["eval.acc"])) == [{"_step": 0, "eval.acc": 0.5}]


NAMES = st.text(st.sampled_from('ab._/é" \\'), max_size=4)


@given(
    st.dictionaries(NAMES, st.one_of(st.integers(), st.dictionaries(NAMES, st.integers()))),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_a_line_that_has_a_key_is_never_left_out(row: dict[str, object], is_ascii: bool) -> None:
    line = json.dumps(row, ensure_ascii=is_ascii).encode()
    for keys in [flat(row), *([key] for key in flat(row))]:
        assert list(public_history._with_texts(iter([line]), keys)) == [line]


def test_lines_without_a_key_are_not_parsed(run: Run, record: RunRecord, backend: Backend) -> None:
    lines = [b'{"_step":0,"a":1}', b'{"_step":1,"no JSON}', b'{"_step":2,"a":2,"b":{"c":3}}']
    backend.append_lines(record.key, [Lines(Stream.HISTORY, "writer", 0, lines)])
    assert [row["a"] for row in run.scan_history(keys=["a"])] == [1, 2]
    assert list(run.scan_history(keys=["b.c"])) == [{"_step": 2, "b.c": 3}]
    with pytest.raises(ValueError, match="Unterminated"):
        list(run.scan_history())


def test_history_keeps_the_first_and_the_last_row(
    run: Run, record: RunRecord, backend: Backend
) -> None:
    log_rows(backend, record, rows_of(1001))
    steps = [row["_step"] for row in run.history(samples=10, keys=["loss"], pandas=False)]
    assert len(steps) == 10
    assert (steps[0], steps[-1]) == (0, 1000)
    assert steps == sorted(set(steps))


def test_what_is_no_number_of_rows_steps_or_seconds_is_named(run: Run) -> None:
    for samples in ("x", 2.5):
        with pytest.raises(TypeError, match=f"samples={samples!r}"):
            run.history(samples=samples)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(TypeError, match="min_step and max_step are steps"):
        list(run.scan_history(max_step="x"))  # type: ignore[arg-type]  # on purpose
    for read in (run.history, run.scan_history):
        with pytest.raises(TypeError, match="Keys must be a text or a list of texts, without 1"):
            list(read(keys=["loss", 1]))  # type: ignore[list-item]  # on purpose
    with pytest.raises(TypeError, match="timeout='x'"):
        run.wait_until_finished("x")  # type: ignore[arg-type]  # on purpose


def test_only_the_rows_of_a_sample_are_parsed(
    run: Run, record: RunRecord, backend: Backend
) -> None:
    lines = [b'{"_step": 0}', b'{"_step": 1, no JSON}', b'{"_step": 2}']
    backend.append_lines(record.key, [Lines(Stream.HISTORY, "w", 0, lines)])
    for two in (2, 2.0):
        assert run.history(samples=two, pandas=False) == [{"_step": 0}, {"_step": 2}]


def test_history_is_a_frame_where_pandas_is_there(
    run: Run, record: RunRecord, backend: Backend
) -> None:
    pandas = pytest.importorskip("pandas")
    log_rows(backend, record, rows_of(3))
    frame = run.history()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["loss"]) == [0.0, 0.1, 0.2]


def test_history_is_a_list_of_dicts_where_pandas_is_not(
    run: Run, record: RunRecord, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    log_rows(backend, record, rows_of(2))
    assert run.history() == [{"_step": 0, "loss": 0.0}, {"_step": 1, "loss": 0.1}]


def test_alerts_are_in_the_stream_of_events_and_no_metrics(
    run: Run, record: RunRecord, backend: Backend
) -> None:
    lines = [b'{"_type": "alert", "title": "low"}', b'{"system.cpu": 0.5}']
    backend.append_lines(record.key, [Lines(Stream.EVENTS, "w", 0, lines)])
    assert [row.get("title") for row in run.history(stream="events", pandas=False)] == ["low", None]
    assert run.system_metrics == {"system.cpu": 0.5}


def test_an_unknown_stream_is_refused(run: Run) -> None:
    with pytest.raises(Invalid, match="nope"):
        run.history(stream="nope")


@pytest.mark.parametrize("total", [0, 1, 2, 9, 10, 11, 39, 40, 41, 42, 1000, 1234])
@pytest.mark.parametrize("count", [1, 2, 10])
def test_a_sample_is_never_larger_than_asked(total: int, count: int) -> None:
    sampled = public_history.sample(rows_of(total), count)
    steps = [row["_step"] for row in sampled]
    assert len(steps) == min(total, count)
    assert len(set(steps)) == len(steps)
    if total and count > 1:
        assert (steps[0], steps[-1]) == (0, total - 1)


@pytest.mark.parametrize("total", [100, 1000, 1234])
def test_a_sample_has_rows_at_even_distances(total: int) -> None:
    sampled = public_history.sample(range(total), 10)
    assert max(after - before for before, after in pairwise(sampled)) < 2 * total / 10


def test_history_keys_count_types(run: Run, record: RunRecord, backend: Backend) -> None:
    log_rows(backend, record, [{"_step": 0, "a": 1}, {"_step": 1, "a": "x"}])
    keys = run.history_keys
    assert keys["lastStep"] == 1
    assert keys["keys"]["a"]["typeCounts"] == [
        {"type": "number", "count": 1},
        {"type": "string", "count": 1},
    ]


VALUES = st.sampled_from([1, 0.5, True, "x", None, [1], {}, {"_type": "image-file"}, {"deep": 1}])


ROWS = st.lists(st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4), max_size=12)


@settings(deadline=None)
@given(rows=ROWS, at_once=st.integers(1, 3), shapes_most=st.integers(0, 2))
def test_history_keys_are_those_of_each_row(
    rows: list[dict[str, object]], at_once: int, shapes_most: int
) -> None:
    kinds = {bool: "boolean", int: "number", float: "number", str: "string", list: "list"}
    expected: dict[str, Counter[str]] = {}
    for row in rows:
        for key, value in flat(row).items():
            kind = "map" if isinstance(value, dict) else kinds.get(type(value), "nil")
            kind = value.get("_type", kind) if isinstance(value, dict) else kind
            expected.setdefault(key, Counter())[kind] += 1
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(public_history, "ROWS_AT_ONCE", at_once)
        patched.setattr(public_history, "SHAPES_MOST", shapes_most)
        lines = [json.dumps(row).encode() for row in rows]
        found = public_history.keys_of(public_history.parsed(lines))["keys"]
    assert list(found) == list(expected)
    for key, of_key in found.items():
        pairs = [(each["type"], each["count"]) for each in of_key["typeCounts"]]
        assert pairs == list(expected[key].items())


@pytest.mark.parametrize("damaged", [b'{"_step":2,"a":}', b'{"_step":2},{"_step":2}'])
def test_rows_before_a_damaged_line_are_read(damaged: bytes) -> None:
    found = public_history.parsed([b'{"_step":0}', b'{"_step":1}', damaged, b'{"_step":3}'])
    assert [next(found), next(found)] == [{"_step": 0}, {"_step": 1}]
    with pytest.raises(ValueError, match=r"Expecting value|Extra data"):
        next(found)
