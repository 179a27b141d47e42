"""Filters and orders, held against a plain evaluator that knows nothing of SQL (API-8)."""

from __future__ import annotations

import itertools
import math
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, select

from lineal.core.records import PageRequest
from lineal.db import schema
from lineal.db.engine import Database
from lineal.db.filters import MAX_CONDITIONS, MAX_DEPTH, MAX_LISTED, compile_filter
from lineal.db.json_values import json_text, json_value
from lineal.db.orders import Order, fetch_page, parse_order
from lineal.db.runs import filter_columns
from lineal.errors import Invalid

NOW = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = filter_columns(NOW - timedelta(seconds=300))
MISSING = object()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path_factory.mktemp('filters') / 'test.db'}")
    with opened.writing() as connection:
        schema.metadata.create_all(connection)
        connection.execute(insert(schema.entities).values(id=1, name="ana", created_at=NOW))
        project = {"id": 1, "entity_id": 1, "name": "p", "created_at": NOW}
        connection.execute(insert(schema.projects).values(**project))
    yield opened
    opened.close()


@contextmanager
def undone(database: Database) -> Iterator[Connection]:
    """A transaction that leaves nothing behind."""
    with database.writing() as connection, connection.begin_nested() as savepoint:
        yield connection
        savepoint.rollback()


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with undone(database) as opened:
        yield opened


def add_run(connection: Connection, number: int, **values: Any) -> None:
    row = {
        "id": number,
        "project_id": 1,
        "run_id": f"r{number}",
        "name": f"run {number}",
        "state": "running",
        "config": {},
        "summary": {},
        "metadata": {},
        "created_by": "ana",
        "created_at": NOW + timedelta(seconds=number),
        "heartbeat_at": NOW,
    }
    connection.execute(insert(schema.runs).values(row | values))


def add_configs(connection: Connection, configs: Sequence[Mapping[str, Any]]) -> None:
    for number, config in enumerate(configs):
        add_run(connection, number, config=config)


def matches(connection: Connection, document: Mapping[str, Any]) -> set[int]:
    condition = compile_filter(document, COLUMNS)
    return set(connection.scalars(select(schema.runs.c.id).where(condition)))


# --- what filters mean, without SQL -------------------------------------------------------------


def look_up(config: Mapping[str, Any], key: str) -> Any:
    spellings = [key, key.removesuffix(".value"), re.sub(r"^([^.]*)\.value\.", r"\1.", key)]
    for spelling in dict.fromkeys(spellings):
        if spelling in config:
            return config[spelling]
        value: Any = config
        for part in spelling.split("."):
            value = value.get(part, MISSING) if isinstance(value, Mapping) else MISSING
        if value is not MISSING:
            return value
    return MISSING


def kind(value: Any) -> type | None:
    if isinstance(value, bool):
        return bool
    if isinstance(value, (int, float)):
        return None if math.isnan(value) else float
    return str if isinstance(value, str) else None


def is_blank(value: Any) -> bool:
    return value is MISSING or value is None or (isinstance(value, float) and math.isnan(value))


def compares(name: str, value: Any, argument: Any) -> bool:
    if argument is None:
        return name == "$eq" and is_blank(value)
    if kind(value) is None or kind(value) is not kind(argument):
        return False
    return bool(
        getattr(operator, {"$gte": "ge", "$lte": "le"}.get(name, name[1:]))(value, argument)
    )


def holds(value: Any, test: Any) -> bool:
    if not isinstance(test, Mapping):
        return compares("$eq", value, test)
    return all(operation_holds(name, value, argument) for name, argument in test.items())


def operation_holds(name: str, value: Any, argument: Any) -> bool:
    if name == "$not":
        return not holds(value, argument)
    if name == "$ne":
        return not compares("$eq", value, argument)
    if name == "$in":
        return any(compares("$eq", value, one) for one in argument)
    if name == "$nin":
        return not any(compares("$eq", value, one) for one in argument)
    if name == "$exists":
        return (value is not MISSING) is argument
    if name == "$regex":
        return isinstance(value, str) and re.search(argument, value) is not None
    return compares(name, value, argument)


def evaluate(document: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    results = []
    for key, test in document.items():
        if key == "$and":
            results.append(all(evaluate(part, config) for part in test))
        elif key == "$or":
            results.append(any(evaluate(part, config) for part in test))
        elif key == "$nor":
            results.append(not any(evaluate(part, config) for part in test))
        elif key == "$not":
            results.append(not evaluate(test, config))
        else:
            results.append(holds(look_up(config, key.removeprefix("config.")), test))
    return all(results)


# --- any filter, any configuration --------------------------------------------------------------

KEYS = ("a", "b", "a.b", "a.b.a", "value", "a.value", "a.value.b", "é x", "0", "$float")
texts = st.text(alphabet="aAé𝒳 1.'\"\\%_[", max_size=3)
floats = st.one_of(st.floats(), st.sampled_from([0.0, -0.0, 0.1, 1.0, math.nan, math.inf]))
integers = st.one_of(st.integers(-2, 2), st.sampled_from([2**53 + 1, 2**63, -(2**70)]))
scalars = st.one_of(st.none(), st.booleans(), integers, floats, texts)
# `$float` inside a document is how NaN is stored; users cannot have it there (see json_values)
names = st.sampled_from([name for name in KEYS if name != "$float"])
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(names, inner, max_size=3)),
    max_leaves=6,
)
configs = st.lists(st.dictionaries(names, documents, max_size=4), min_size=1, max_size=6)

small_numbers = st.one_of(st.integers(-2, 2), floats, st.just(2**70))
arguments = st.one_of(st.none(), st.booleans(), small_numbers, texts)
operations = st.recursive(
    st.one_of(
        st.tuples(st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]), arguments),
        st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(arguments, max_size=3)),
        st.tuples(st.just("$exists"), st.booleans()),
        st.tuples(st.just("$regex"), st.sampled_from(["a", "^A", "1$", "é", "[.]", "(?i)a", ""])),
    ),
    lambda inner: st.tuples(st.just("$not"), st.lists(inner, min_size=1, max_size=2).map(dict)),
    max_leaves=3,
)
tests = st.one_of(arguments, st.lists(operations, min_size=1, max_size=2).map(dict))
fields = st.dictionaries(
    st.sampled_from([f"config.{key}" for key in KEYS]), tests, min_size=1, max_size=2
)
filters = st.recursive(
    fields,
    lambda inner: st.one_of(
        st.dictionaries(
            st.sampled_from(["$and", "$or", "$nor"]),
            st.lists(inner, min_size=1, max_size=3),
            min_size=1,
            max_size=2,
        ),
        st.fixed_dictionaries({"$not": inner}),
    ),
    max_leaves=5,
)


@settings(deadline=None)
@given(configs=configs, document=filters)
def test_sql_agrees_with_the_plain_evaluator(
    database: Database, configs: list[dict[str, Any]], document: dict[str, Any]
) -> None:
    with undone(database) as connection:
        add_configs(connection, configs)
        expected = {i for i, config in enumerate(configs) if evaluate(document, config)}
        assert matches(connection, document) == expected


def sort_key(value: Any) -> tuple[int, float, str]:
    if isinstance(value, (bool, int, float)) and not is_blank(value):
        return 0, value, ""
    return (1, 0, value) if isinstance(value, str) else (2, 0, "")


@settings(deadline=None)
@given(
    configs=st.lists(st.dictionaries(names, documents, max_size=3), min_size=1, max_size=9),
    key=st.sampled_from(KEYS[:6]),
    descending=st.booleans(),
    size=st.integers(1, 4),
)
def test_pages_are_the_whole_list_in_order_with_what_is_missing_last(
    database: Database, configs: list[dict[str, Any]], key: str, descending: bool, size: int
) -> None:
    def place(number: int) -> tuple[Any, ...]:
        rank, value, text = sort_key(look_up(configs[number], key))
        sign = -1 if descending else 1
        points = [sign * ord(character) for character in text]
        # a text is before those it begins; descending it is after them
        return rank, sign * value, [*points, math.inf if descending else -math.inf], sign * number

    order = parse_order(f"{'-' if descending else '+'}config.{key}", COLUMNS, schema.runs.c.id)
    with undone(database) as connection:
        add_configs(connection, configs)
        seen: list[int] = []
        cursor = None
        while True:
            request = PageRequest(size, cursor)
            rows, cursor, total = fetch_page(connection, select(schema.runs.c.id), order, request)
            assert total == (len(configs) if not seen else None)
            seen += [row.id for row in rows]
            if cursor is None:
                break
        met = _from_both_ends(connection, order, size)
    assert seen == met == sorted(range(len(configs)), key=place)


def _from_both_ends(connection: Connection, order: Order, size: int) -> list[int]:
    """Read pages from the beginning and the end in turn, until they meet."""
    sides: tuple[list[int], list[int]] = ([], [])
    cursors: list[str | None] = [None, None]
    for turn in itertools.cycle((0, 1)):
        request = PageRequest(size, cursors[turn], backwards=turn == 1, until=cursors[1 - turn])
        query = select(schema.runs.c.id)
        rows, cursors[turn], _ = fetch_page(connection, query, order, request)
        sides[turn].extend(row.id for row in rows)
        if cursors[turn] is None:
            break
    return [*sides[0], *reversed(sides[1])]


# --- single facts -------------------------------------------------------------------------------


def test_a_value_without_operator_means_equality(connection: Connection) -> None:
    add_configs(connection, [{"lr": 0.1}, {"lr": 0.2}, {}])
    assert matches(connection, {"config.lr": 0.1}) == {0}


def test_a_flat_key_wins_over_a_nested_one(connection: Connection) -> None:
    add_run(connection, 1, summary={"val.acc": 0.9, "val": {"acc": 0.1}})
    add_run(connection, 2, summary={"val": {"acc": 0.9}})
    assert matches(connection, {"summary_metrics.val.acc": {"$gt": 0.5}}) == {1, 2}


def test_kinds_never_compare_with_each_other(connection: Connection) -> None:
    add_configs(connection, [{"x": 1}, {"x": "1"}, {"x": True}, {"x": None}, {}])
    assert matches(connection, {"config.x": 1}) == {0}
    assert matches(connection, {"config.x": "1"}) == {1}
    assert matches(connection, {"config.x": True}) == {2}
    assert matches(connection, {"config.x": {"$ne": 1}}) == {1, 2, 3, 4}


def test_integers_larger_than_any_float_are_large_numbers(connection: Connection) -> None:
    add_configs(connection, [{"x": 10**400}, {"x": -(10**400)}, {"x": 1}])
    assert matches(connection, {"config.x": {"$gt": 1e300}}) == {0}
    assert matches(connection, {"config.x": {"$lt": -(10**300)}}) == {1}
    assert matches(connection, {"config.x": {"$lt": 10**401, "$gt": -(10**300)}}) >= {2}


def test_nan_counts_as_missing(connection: Connection) -> None:
    add_configs(connection, [{"x": math.nan}, {"x": 1.0}, {}])
    assert matches(connection, {"config.x": {"$lt": 9}}) == {1}
    assert matches(connection, {"config.x": None}) == {0, 2}
    assert matches(connection, {"config.x": {"$exists": True}}) == {0, 1}


def test_silent_runs_are_found_as_crashed(connection: Connection) -> None:
    add_run(connection, 1, heartbeat_at=NOW)
    add_run(connection, 2, heartbeat_at=NOW - timedelta(seconds=301))
    add_run(connection, 3, heartbeat_at=NOW - timedelta(seconds=301), state="finished")
    assert matches(connection, {"state": "crashed"}) == {2}
    assert matches(connection, {"state": "running"}) == {1}
    assert matches(connection, {"state": {"$in": ["crashed", "finished"]}}) == {2, 3}


def test_tags_match_if_one_of_them_does(connection: Connection) -> None:
    for number in (1, 2, 3):
        add_run(connection, number)
    tags = [(1, "a"), (1, "b"), (2, "b")]
    for position, (run, tag) in enumerate(tags):
        row = {"run_id": run, "tag": tag, "position": position}
        connection.execute(insert(schema.run_tags).values(row))
    assert matches(connection, {"tags": "b"}) == {1, 2}
    assert matches(connection, {"tags": {"$in": ["a", "z"]}}) == {1}
    assert matches(connection, {"tags": {"$nin": ["a"]}}) == {2, 3}
    assert matches(connection, {"tags": {"$exists": False}}) == {3}
    assert matches(connection, {"$and": [{"tags": "a"}, {"tags": "b"}]}) == {1}


def test_columns_answer_to_both_spellings(connection: Connection) -> None:
    add_run(connection, 1, name="brisk-otter-1", job_type="train", runtime_seconds=60.0)
    add_run(connection, 2, name="calm-fox-2", group_name="g")
    for document in (
        {"displayName": "brisk-otter-1"},
        {"display_name": {"$regex": "^brisk"}},
        {"name": "r1"},
        {"jobType": "train"},
        {"job_type": {"$exists": True}},
        {"group": None},
        {"duration": {"$gte": 60}},
        {"createdAt": {"$lt": "2026-01-01T00:00:02Z"}},
        {"created_at": {"$lte": (NOW + timedelta(seconds=1)).isoformat()}},
    ):
        assert matches(connection, document) == {1}, document
    assert matches(connection, {"username": "ana", "heartbeatAt": {"$gt": "2025-12-31"}}) == {1, 2}


def test_text_that_looks_like_sql_is_only_text(connection: Connection) -> None:
    evil = "x') OR 1=1; DROP TABLE runs; --"
    add_configs(connection, [{evil: "y"}, {"x": evil}])
    assert matches(connection, {f"config.{evil}": "y"}) == {0}
    assert matches(connection, {"config.x": evil}) == {1}
    assert matches(connection, {"name": evil}) == set()


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"confg.lr": 1}, "did you mean `config.lr`"),
        ({"stat": "finished"}, "did you mean `state`"),
        ({"user.username": "ana"}, "did you mean `user`"),
        ({"config.lr": {"$gtt": 1}}, "did you mean `$gt`"),
        ({"$orr": [{"state": "x"}]}, "did you mean `$or`"),
        ({"$or": []}, "at least one"),
        ({"$or": {"state": "x"}}, "takes a list"),
        ({"config": {"lr": 1}}, "config.lr"),
        ({"config.lr": {}}, "is empty"),
        ({"config.lr": [1, 2]}, "compares with"),
        ({"config.lr": {"a": 1}}, "No operator `a`"),
        ({"config.opt": {"lr": 1}}, "to filter by what is inside, write `config.opt.lr`"),
        ({"config.lr": {"gt": 1}}, "No operator `gt` for `config.lr`; did you mean `$gt`"),
        ({"state": {"a": 1}}, "No operator `a` for `state`. Known: $eq"),
        ({"config.lr": {"$in": 3}}, "takes a list"),
        ({"config.lr": {"$exists": "yes"}}, "true or false"),
        ({"state": {"$regex": "("}}, "is wrong"),
        ({"state": {"$regex": 3}}, "is a string"),
        ({"createdAt": {"$gt": "yesterday"}}, "ISO"),
        ({"createdAt": 3}, "ISO"),
        ({'config."': 3}, "cannot be looked up"),
        ({"state": "\ud800"}, "Unicode"),
        ([], "dictionary"),
        ({"config.x": {"$in": list(range(MAX_LISTED + 1))}}, "more than 10,000"),
        ({"$or": [{"config.x": i} for i in range(MAX_CONDITIONS + 1)]}, "conditions"),
    ],
)
def test_what_cannot_be_asked_is_explained(document: Any, message: str) -> None:
    with pytest.raises(Invalid, match=re.escape(message)):
        compile_filter(document, COLUMNS)


def test_a_filter_nested_without_end_is_refused() -> None:
    document: dict[str, Any] = {"state": "x"}
    for _ in range(5_000):
        document = {"$not": document}
    with pytest.raises(Invalid, match="deeper"):
        compile_filter(document, COLUMNS)


def test_a_list_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    for document in ({"config.a": endless}, {"$and": endless}):
        with pytest.raises(Invalid, match="deeper"):
            compile_filter(document, COLUMNS)


WRAPPERS = (
    lambda inner: {"$nor": [{"$not": inner}]},
    lambda inner: {"$or": [{"state": "x"}, {"$and": [inner, {"state": "running"}]}]},
    lambda inner: {"$and": [{"state": "running"}, {"$or": [{"state": "x"}, inner]}]},
    lambda inner: {"$not": {"$nor": [{"tags": {"$ne": None}}, inner]}},
)


def test_the_largest_filters_still_run(connection: Connection) -> None:
    add_configs(connection, [{"a": {"b": 1}}])
    wide = {"$nor": [{"config.a.b.value": {"$lt": i}} for i in range(-MAX_CONDITIONS, 0)]}
    assert matches(connection, wide) == {0}
    many = {f"config.k{i}.b.value": {"$ne": i} for i in range(MAX_CONDITIONS)}
    assert matches(connection, many) == {0}
    for wrap in WRAPPERS:
        deep: dict[str, Any] = {"config.a.b.value": {"$ne": 2}}
        for _ in range((MAX_DEPTH - 1) // 2):
            deep = wrap(deep)
        assert matches(connection, deep) == {0}
    assert matches(connection, {"config.a.b": {"$in": list(range(MAX_LISTED))}}) == {0}


def test_cursors_survive_inserts_and_refuse_other_orders(connection: Connection) -> None:
    for number in range(1, 5):
        add_run(connection, number)
    newest = parse_order("-created_at", COLUMNS, schema.runs.c.id)
    query = select(schema.runs.c.id)
    rows, cursor, total = fetch_page(connection, query, newest, PageRequest(2))
    assert ([row.id for row in rows], total) == ([4, 3], 4)
    add_run(connection, 9)
    rows, end, total = fetch_page(connection, query, newest, PageRequest(2, cursor))
    assert ([row.id for row in rows], end, total) == ([2, 1], None, None)
    oldest = parse_order("+created_at", COLUMNS, schema.runs.c.id)
    for foreign in (cursor, "", "x", "bm9wZQ=="):
        with pytest.raises(Invalid, match="no cursor of this list"):
            fetch_page(connection, query, oldest, PageRequest(2, foreign))


@pytest.mark.parametrize("order", ["tags", "+nothing", "config", ""])
def test_orders_that_make_no_sense_are_refused(order: str) -> None:
    with pytest.raises(Invalid):
        parse_order(order, COLUMNS, schema.runs.c.id)


@pytest.mark.parametrize(
    "name", sorted(COLUMNS.keys() - {"tags", "config", "summary_metrics", "metadata"})
)
def test_every_column_can_be_ordered_by(connection: Connection, name: str) -> None:
    add_run(connection, 1)
    add_run(connection, 2, notes="n", host="h", group_name="g", sweep_id="s", job_type="j")
    query = select(schema.runs.c.id)
    for sign in "+-":
        order = parse_order(sign + name, COLUMNS, schema.runs.c.id)
        rows, cursor, _ = fetch_page(connection, query, order, PageRequest(1))
        more, _, _ = fetch_page(connection, query, order, PageRequest(1, cursor))
        assert {row.id for row in (*rows, *more)} == {1, 2}


def test_special_floats_are_stored_as_filters_expect() -> None:
    assert json_text({"x": math.nan}) == '{"x":{"$float":"nan"}}'
    assert json_value(json_text({"x": -math.inf})) == {"x": -math.inf}


def test_documents_share_their_keys() -> None:
    one, other = (json_value(json_text({"learning rate": value})) for value in (0.1, math.nan))
    assert next(iter(one)) is next(iter(other))
