"""Tables: what is added by row and column, and what comes of the values."""

from __future__ import annotations

import math
import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from media_folder import round_trip, types_of

from lineal.client.media.table import Table
from lineal.errors import Invalid


def object_array(inner: Any, *shape: int) -> Any:
    array = np.empty(shape, dtype=object)
    array[(0,) * len(shape)] = inner
    return array


@pytest.mark.parametrize(
    "wrap",
    [
        lambda inner: [inner],
        lambda inner: {"a": inner},
        object_array,
        lambda inner: object_array(inner, 1),
    ],
)
def test_what_is_nested_too_deeply_is_refused_by_place(wrap: Any) -> None:
    deep: Any = 1
    for _ in range(2_000):
        deep = wrap(deep)
    table = Table(columns=["a"], data=[[None]])
    with pytest.raises(TypeError, match="Row 1, column `a`: a value nested deeper than 64 levels"):
        table.add_data(deep)
    with pytest.raises(TypeError, match="Row 0, column `b`: a value nested deeper than 64 levels"):
        table.add_column("b", [deep])
    assert (table.columns, table.data) == (["a"], [[None]])


def test_row_of_the_wrong_length_is_refused() -> None:
    table = Table(columns=["a", "b"])
    with pytest.raises(Invalid, match=r"2 columns .* row 0 has 3 values"):
        table.add_data(1, 2, 3)


def test_what_is_no_rows_is_refused_as_that() -> None:
    with pytest.raises(TypeError, match="Table data must be a list of rows, or a frame, not 5"):
        Table(columns=["a"], data=5)


@pytest.mark.parametrize("row", [{"a": 1}, {1}, 1, None])
def test_what_is_no_row_is_refused_as_that(row: Any) -> None:
    with pytest.raises(TypeError, match="Row 1 must be a list with a value for each column"):
        Table(columns=["a"], data=[[1], row])
    with pytest.raises(TypeError, match="Table data must be a list of rows"):
        Table(columns=["a"], data={"a": [1]})


def test_same_column_name_twice_is_refused() -> None:
    with pytest.raises(Invalid, match="called `a`"):
        Table(columns=["a", "b", "a"])


def test_three_unnamed_values_get_the_usual_names() -> None:
    assert Table(data=[["q", "a", "b"]]).columns == ["Input", "Output", "Expected"]


def test_rows_are_the_old_name_of_data() -> None:
    assert Table(columns=["a"], rows=[[1]]) == Table(columns=["a"], data=[[1]])


def test_column_is_added_with_one_value_for_each_row() -> None:
    table = Table(columns=["a"], data=[[1], [2]])
    table.add_column("b", ["x", "y"])
    assert list(table.iterrows()) == [(0, [1, "x"]), (1, [2, "y"])]
    with pytest.raises(Invalid, match="`c` has 1 values for 2 rows"):
        table.add_column("c", [1])


def test_columns_are_computed_from_the_rows() -> None:
    table = Table(columns=["x", "y"], data=[[3, 1], [4, 6]])
    table.add_computed_columns(lambda row, cells: {"row": row, "diff": cells["x"] - cells["y"]})
    assert table == Table(columns=["x", "y", "row", "diff"], data=[[3, 1, 0, 2], [4, 6, 1, -2]])
    with pytest.raises(Invalid, match="`odd` has 1 values for 2 rows"):
        table.add_computed_columns(
            lambda row, _: {"row 2": row} | ({"odd": row} if row % 2 else {})
        )
    with pytest.raises(Invalid, match="`y` is there already"):
        table.add_computed_columns(lambda row, _: {"row 2": row, "y": row})
    assert table.columns == ["x", "y", "row", "diff"]


def test_refused_column_leaves_the_table_as_it_was() -> None:
    table = Table(columns=["a"], data=[[1], [2]])
    with pytest.raises(TypeError, match="Row 1, column `b`"):
        table.add_column("b", ["x", 2])
    assert table == Table(columns=["a"], data=[[1], [2]])
    table.add_data(3)


class Unreadable:
    """As an array of a device that was lost."""

    shape = (1,)

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        raise RuntimeError("lost")


def test_a_value_that_cannot_be_read_leaves_the_table_as_it_was() -> None:
    table = Table(columns=["a"], data=[[1], [2]])
    with pytest.raises(RuntimeError, match="lost"):
        table.add_column("b", [np.float32(1), Unreadable()])
    with pytest.raises(RuntimeError, match="lost"):
        table.add_computed_columns(lambda row, _: {"c": row, "b": Unreadable()})
    with pytest.raises(TypeError, match="Row 1, column `b`"):
        table.add_computed_columns(lambda row, _: {"c": row, "b": "x" if row else 1})
    assert table == Table(columns=["a"], data=[[1], [2]])
    table.add_data(3)


def test_first_column_may_bring_the_rows() -> None:
    table = Table()
    table.add_column("a", np.arange(3))
    assert table.data == [[0], [1], [2]]
    assert table.get_index() == [0, 1, 2]


def test_the_number_of_a_row_leads_to_it() -> None:
    table = Table(columns=["a", "b"], data=[[1, "x"], [2, "y"]])
    for index in (table.index_ref(1), table.get_index()[1], list(table.iterrows())[1][0]):
        assert (index, index.get_row()) == (1, {"a": 2, "b": "y"})
        assert type(pickle.loads(pickle.dumps(index))) is int
    other = Table(columns=["of"], data=[[table.index_ref(0)]])
    assert (str(other.column_types["of"]), type(other.data[0][0])) == ("number", int)
    for wrong in (2, -1):
        with pytest.raises(Invalid, match=f"2 rows, from 0 on, and no row {wrong}"):
            table.index_ref(wrong)


def test_column_comes_as_list_or_array() -> None:
    table = Table(columns=["n", "v"], data=[[1, np.zeros((2, 2))], [None, np.ones((2, 2))]])
    assert table.get_column("n") == [1, None]
    as_array = table.get_column("n", convert_to="numpy")
    assert as_array[0] == 1
    assert math.isnan(as_array[1])
    assert table.get_column("v", convert_to="numpy").shape == (2, 2, 2)
    with pytest.raises(Invalid, match="no column `m`; it has `n`, `v`"):
        table.get_column("m")


def test_lists_of_one_length_come_as_the_rows_of_an_array() -> None:
    rows = [[[1, 2.5], ["a", "b"], [1]], [[3, 4], ["c", "d"], [2, 3]]]
    table = Table(columns=["embedding", "words", "ragged"], data=rows)
    embedding = table.get_column("embedding", convert_to="numpy")
    assert embedding.dtype == "float64"
    assert embedding.tolist() == [[1, 2.5], [3, 4]]
    assert table.get_column("words", convert_to="numpy").tolist() == [["a", "b"], ["c", "d"]]
    assert table.get_column("ragged", convert_to="numpy").tolist() == [[1], [2, 3]]


def test_a_list_is_an_array_in_a_column_of_such_arrays() -> None:
    table = Table(columns=["a", "v"], data=[[np.zeros((2, 2)), np.zeros(3)]])
    table.add_data([[1, 2], [3, 4]], [5, 6])
    assert [type(cell) for cell in table.data[1]] == [np.ndarray, np.ndarray]
    assert table.data[1][0].tolist() == [[1, 2], [3, 4]]
    for wrong in ([[1, 2]], [[1, 2], [3]], [["a", "b"], ["c", "d"]]):
        with pytest.raises(TypeError, match="column `a`: expected ndarray"):
            table.add_data(wrong, np.zeros(3))


def test_as_many_rows_as_scripts_of_wandb_ask_for_are_kept() -> None:
    rows = [[number] for number in range(10)]
    assert len(Table(columns=["n"], data=rows[: Table.MAX_ROWS]).data) == 10
    assert Table.MAX_ARTIFACT_ROWS >= 200_000


def test_numpy_scalars_become_pythons_own() -> None:
    numbers = np.int64(1), np.float32(0.5), np.float64(2), np.longdouble(0.25)
    table = Table(columns=["a"], data=[[number] for number in numbers])
    assert [type(row[0]) for row in table.data] == [int, float, float, float]
    assert table.data == [[1], [0.5], [2.0], [0.25]]


def test_durations_are_their_seconds_and_paths_their_text(tmp_path: Path) -> None:
    durations = [timedelta(minutes=1), np.timedelta64(1_500, "ms"), pd.Timedelta("2s"), pd.NaT]
    table = Table(columns=["d", "p"], data=[[each, Path("a/b")] for each in durations])
    assert table.data == [[60.0, "a/b"], [1.5, "a/b"], [2.0, "a/b"], [None, "a/b"]]
    assert types_of(table) == {"d": "number or none", "p": "text"}
    assert round_trip(table, tmp_path) == table


def test_members_of_an_enum_are_their_values() -> None:
    text, number = Enum("text", {"t": "t", "A": "a"}, type=str), Enum("number", {"A": 1})
    table = Table(columns=[text.t, "n", "d"], data=[[text.A, number.A, {text.A: text.A}]])
    assert table.data == [["a", 1, {"a": "a"}]]
    assert table.columns == ["t", "n", "d"]
    assert types_of(table) == {"t": "text", "n": "number", "d": "dict with `a`: text"}


def test_what_an_array_masks_is_none(tmp_path: Path) -> None:
    whole, holed = np.ma.array([1, 2]), np.ma.array([[1, 2], [3, 4]], mask=[[0, 1], [0, 0]])
    table = Table(columns=["a", "b", "c"], data=[[whole, holed, np.ma.masked]])
    assert table.data[0][1:] == [[[1, None], [3, 4]], None]
    assert round_trip(table, tmp_path) == table


def test_arrays_are_copied_so_that_a_buffer_can_be_used_again() -> None:
    buffer = np.zeros(3)
    table = Table(columns=["a"], data=[[buffer]])
    buffer[:] = 7
    assert table.data[0][0].tolist() == [0, 0, 0]


def test_moments_are_utc_in_milliseconds() -> None:
    east = timezone(timedelta(hours=2))
    table = Table(
        columns=["t"],
        data=[
            [datetime(2026, 1, 1, 12, 0, 0, 123_999)],  # noqa: DTZ001 - no zone counts as UTC
            [datetime(2026, 1, 1, 14, tzinfo=east)],
            [date(2026, 1, 1)],
            [np.datetime64("2026-01-01T12:00")],
            [pd.Timestamp("2026-01-01T12:00Z")],
            [pd.NaT],
        ],
    )
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert table.get_column("t") == [
        noon.replace(microsecond=123_000),
        noon,
        noon.replace(hour=0),
        noon,
        noon,
        None,
    ]


def test_frame_goes_in_and_comes_out() -> None:
    frame = pd.DataFrame(
        {
            "n": [1, 2],
            "x": [0.5, float("nan")],
            "s": ["a", None],
            "t": pd.to_datetime(["2026-01-01", None]),
        }
    )
    table = Table(dataframe=frame)
    assert table == Table(data=frame)
    assert types_of(table) == {
        "n": "number",
        "x": "number",
        "s": "text or none",
        "t": "timestamp or none",
    }
    assert table.get_dataframe()["n"].tolist() == [1, 2]


def test_frame_in_the_place_of_the_columns_is_refused() -> None:
    """Its names alone would be a table without any of its rows."""
    frame = pd.DataFrame({"a": [1, 2]})
    with pytest.raises(Invalid, match="Table\\(dataframe=…\\)"):
        Table(frame)  # type: ignore[arg-type]  # what is refused here
    assert Table(columns=frame.columns, data=frame.values).data == [[1], [2]]


def test_frame_of_nullable_numbers_has_none_for_what_is_missing() -> None:
    table = Table(dataframe=pd.DataFrame({"n": pd.array([1, None], dtype="Int64")}))
    assert table.data == [[1], [None]]
