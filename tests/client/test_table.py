"""Tables: types are inferred, kept and compared (DAT-1…DAT-5)."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_folder import round_trip, types_of

from lineal.client import media
from lineal.client.media.table import Table
from lineal.errors import Invalid

# --- types --------------------------------------------------------------------------------------


def test_first_value_decides_the_type_of_a_column() -> None:
    table = Table(columns=["a", "b", "c", "d", "e"])
    table.add_data("x", 1, True, [1, 2], {"k": "v"})
    assert types_of(table) == {
        "a": "text",
        "b": "number",
        "c": "boolean",
        "d": "list of number",
        "e": "dict with `k`: text",
    }


def test_none_before_the_first_value_leaves_the_type_open() -> None:
    table = Table(columns=["a"], data=[[None], [3], [None]])
    assert types_of(table) == {"a": "number or none"}


@pytest.mark.parametrize(
    ("first", "wrong", "expected", "got"),
    [
        (1, "one", "number", "text"),
        ("one", 1, "text", "number"),
        (1, True, "number", "boolean"),
        (True, 1, "boolean", "number"),
        ([1], ["a"], "list of number", "list of text"),
        ([1], 1, "list of number", "number"),
        ({"k": 1}, {"k": "v"}, "dict with `k`: number", "dict with `k`: text"),
        (np.zeros((2, 2)), np.zeros((3, 3)), "ndarray of shape (2, 2)", "ndarray of shape (3, 3)"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026", "timestamp", "text"),
    ],
)
def test_wrong_type_names_row_column_and_what_was_expected(
    first: Any, wrong: Any, expected: str, got: str
) -> None:
    table = Table(columns=["id", "score"], data=[["a", first], ["b", None]])
    with pytest.raises(TypeError) as raised:
        table.add_data("c", wrong)
    message = str(raised.value)
    assert message.startswith("Row 2, column `score`: expected ")
    assert expected in message
    assert f"got {got}" in message


def test_refused_row_leaves_the_table_as_it_was() -> None:
    table = Table(columns=["a", "b"], data=[[1, "x"]])
    with pytest.raises(TypeError):
        table.add_data(None, 2)
    assert table.data == [[1, "x"]]
    assert types_of(table) == {"a": "number", "b": "text"}


def test_given_types_are_checked_from_the_first_row() -> None:
    table = Table(columns=["a", "b"], dtype=[int, str | None])
    with pytest.raises(TypeError, match="column `a`: expected number, got text"):
        table.add_data("x", "y")
    table.add_data(1, None)
    assert len(table) == 1


def test_a_column_that_is_cast_takes_what_was_said() -> None:
    table = Table(["a", "b"], [[1, None], [2, None]])
    assert str(table.cast("a", int)) == "number"
    with pytest.raises(TypeError, match="Row 2, column `a`: None is not allowed"):
        table.add_data(None, None)
    table.cast("a", int, optional=True)
    table.cast("b", str, optional=True)
    table.add_data(None, "x")
    with pytest.raises(TypeError, match="Row 3, column `b`: expected"):
        table.add_data(3, 4)
    assert table.data == [[1, None], [2, None], [None, "x"]]


@pytest.mark.parametrize(("dtype", "optional"), [(str, True), (int, False), (bool, True)])
def test_a_cast_that_a_cell_does_not_fit_changes_nothing(dtype: type, optional: bool) -> None:
    table = Table(["a"], [[1], [None]])
    before = table.column_types
    with pytest.raises(TypeError, match=r"Row [01], column `a`"):
        table.cast("a", dtype, optional)
    assert table.column_types == before
    table.add_data(None)
    with pytest.raises(ValueError, match="no column `zz`"):
        table.cast("zz", int)


def test_nan_among_texts_is_a_missing_one() -> None:
    table = Table(columns=["name", "score"], data=[["a", 1.0]])
    table.add_data(math.nan, math.nan)
    assert table.data[1][0] is None
    assert math.isnan(table.data[1][1])
    required = Table(columns=["name"], data=[["a"]], optional=False)
    with pytest.raises(TypeError, match="None is not allowed; expected text"):
        required.add_data(math.nan)


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (Decimal("1.5"), 1.5),
        ({"b", "a", "c"}, ["a", "b", "c"]),
        (frozenset({2, 1}), [1, 2]),
        ({"a", None}, [None, "a"]),
        ("ä".encode(), "ä"),
        (bytearray(b"a"), "a"),
        (np.bytes_(b"a"), "a"),
        ([{Decimal(1)}], [[1.0]]),
    ],
)
def test_more_of_pythons_values_are_kept(value: Any, cell: Any, tmp_path: Path) -> None:
    table = Table(columns=["a"], data=[[value]], allow_mixed_types=isinstance(value, set))
    assert table.data == [[cell]]
    assert round_trip(table, tmp_path).data == [[cell]]


def test_a_decimal_that_is_no_number_is_nan() -> None:
    assert math.isnan(Table(columns=["a"], data=[[Decimal("sNaN")]]).data[0][0])


def test_bytes_that_are_no_text_are_refused_by_place() -> None:
    with pytest.raises(TypeError, match=r"Row 0, column `a`: bytes that are not text in UTF-8"):
        Table(columns=["a"], data=[[b"\xff"]])


@pytest.mark.parametrize("later", ["x", True, [1, "a"], datetime(2026, 1, 1, tzinfo=UTC)])
def test_a_column_that_begins_with_nan_is_what_comes_then(later: Any) -> None:
    table = Table(columns=["a"], data=[[math.nan], [None], [np.float32("nan")], [later], [None]])
    assert table.data == [[None], [None], [None], [later], [None]]
    added = Table(columns=["b"], data=[[0]] * 4)
    added.add_column("a", [math.nan, None, later, None])
    assert added.get_column("a") == [None, None, later, None]
    assert added.column_types["a"] == table.column_types["a"]


def test_a_column_of_nan_alone_is_one_of_numbers() -> None:
    table = Table(columns=["a", "b"], data=[[math.nan, math.nan], [math.nan, math.nan]])
    with pytest.raises(TypeError, match="column `b`"):
        table.add_data("x", object())
    assert all(math.isnan(cell) for row in table.data for cell in row)
    assert str(table.column_types["a"]) == "number"
    table.add_data(1, 2)
    with pytest.raises(TypeError, match="column `a`: expected number, got text"):
        table.add_data("x", 3)


def test_nan_does_not_stand_for_none_where_numbers_or_values_are_asked_for() -> None:
    for how in ({"dtype": float}, {"optional": False}):
        with pytest.raises(TypeError, match="expected number, got text"):
            Table(columns=["a"], data=[[math.nan], ["x"]], **how)


@pytest.mark.parametrize("allow_mixed_types", [False, True])
def test_none_is_refused_where_a_column_is_not_optional(allow_mixed_types: bool) -> None:
    names, optional = ["a", "b"], [False, True]
    table = Table(columns=names, optional=optional, allow_mixed_types=allow_mixed_types)
    with pytest.raises(TypeError, match="column `a`: None is not allowed"):
        table.add_data(None, None)


def test_mixed_types_are_kept_when_allowed(tmp_path: Path) -> None:
    moment = datetime(2026, 1, 1, 12, tzinfo=UTC)
    values = [1, "x", None, True, [1, "y"], {"_type": "image-file"}, moment, np.arange(3)]
    table = Table(columns=["a"], data=[[value] for value in values], allow_mixed_types=True)
    assert types_of(table) == {"a": "any"}
    assert round_trip(table, tmp_path) == table


def test_dicts_may_have_different_keys() -> None:
    table = Table(columns=["a"], data=[[{"x": 1}], [{"y": "b"}], [{"x": 2, "y": "c"}]])
    assert types_of(table) == {"a": "dict with `x`: number or none, `y`: text or none"}


def test_unknown_dtype_says_what_can_be_used() -> None:
    with pytest.raises(TypeError, match="use str, int, float"):
        Table(columns=["a"], dtype=complex)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1: 2},
        {1, 2j},
        b"\xff",
        1j,
        np.array([1j]),
        np.complex64(1),
        np.bytes_(b"\xff"),
        np.array([1], "m8[s]"),
        np.zeros(2, [("a", "i4")]),
        np.datetime64("20000-01-01"),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
    ],
)
def test_what_no_table_can_hold_is_refused_by_name(value: Any) -> None:
    with pytest.raises(TypeError, match="Row 0, column `a`"):
        Table(columns=["a"], data=[[value]])


# --- equality -----------------------------------------------------------------------------------


def test_nan_equals_nan() -> None:
    assert Table(["a"], [[float("nan")]]) == Table(["a"], [[float("nan")]])
    assert Table(["a"], [[np.array([np.nan])]]) == Table(["a"], [[np.array([np.nan])]])


@pytest.mark.parametrize(
    "other",
    [
        Table(["b"], [[1]]),
        Table(["a"], [[2]]),
        Table(["a"], [[1], [1]]),
        Table(["a"], [[True]]),
        Table(["a"], [[1]], allow_mixed_types=True),
        Table(["a"], [[None]]),
    ],
)
def test_tables_differ_by_columns_types_and_cells(other: Table) -> None:
    assert Table(["a"], [[1]]) != other


# --- the registry -------------------------------------------------------------------------------


def test_registry_names_the_types() -> None:
    assert media.suffixes() == [
        ".table.json",
        ".eval-table.json",
        ".joined-table.json",
        ".partitioned-table.json",
        ".image-file.json",
        ".classes.json",
        ".boxes2D.json",
        ".mask.json",
        ".histogram.json",
        ".html-file.json",
        ".audio-file.json",
        ".video-file.json",
        ".object3D-file.json",
        ".molecule-file.json",
        ".bokeh-file.json",
        ".graph-file.json",
        ".plotly-file.json",
    ]
    assert media.class_for("table") is Table
    assert media.type_of(Table()) is Table
    assert media.type_of([1]) is None
    with pytest.raises(Invalid, match="No data type is called 'video'"):
        media.class_for("video")


def test_what_are_no_columns_is_named() -> None:
    assert Table(columns="loss", data=[[1]]).columns == ["loss"]
    with pytest.raises(TypeError, match="Columns must be a text or a list of texts, not 5"):
        Table(columns=5)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(TypeError, match="`loss` takes one value for each row, not None"):
        Table().add_column("loss", None)  # type: ignore[arg-type]  # on purpose
