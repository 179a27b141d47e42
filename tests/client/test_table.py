"""Tables: types are inferred and kept, and what is read equals what was written (DAT-1…DAT-5)."""

from __future__ import annotations

import hashlib
import json
import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from media_folder import Folder, round_trip

import lineal
from lineal.client import media
from lineal.client.media.image import Image
from lineal.client.media.table import Table
from lineal.errors import IntegrityError, Invalid, LinealError


def types_of(table: Table) -> dict[Any, str]:
    return {name: str(kind) for name, kind in table.column_types.items()}


# --- types ---


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


def test_none_is_refused_where_a_column_is_not_optional() -> None:
    table = Table(columns=["a", "b"], optional=[False, True])
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


# --- adding and looking ---


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


def test_first_column_may_bring_the_rows() -> None:
    table = Table()
    table.add_column("a", np.arange(3))
    assert table.data == [[0], [1], [2]]
    assert table.get_index() == [0, 1, 2]


def test_column_comes_as_list_or_array() -> None:
    table = Table(columns=["n", "v"], data=[[1, np.zeros((2, 2))], [None, np.ones((2, 2))]])
    assert table.get_column("n") == [1, None]
    as_array = table.get_column("n", convert_to="numpy")
    assert as_array[0] == 1
    assert math.isnan(as_array[1])
    assert table.get_column("v", convert_to="numpy").shape == (2, 2, 2)
    with pytest.raises(Invalid, match="no column `m`; it has `n`, `v`"):
        table.get_column("m")


def test_numpy_scalars_become_pythons_own() -> None:
    table = Table(columns=["a"], data=[[np.int64(1)], [np.float32(0.5)], [np.float64(2)]])
    assert [type(row[0]) for row in table.data] == [int, float, float]


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


def test_frame_of_nullable_numbers_has_none_for_what_is_missing() -> None:
    table = Table(dataframe=pd.DataFrame({"n": pd.array([1, None], dtype="Int64")}))
    assert table.data == [[1], [None]]


# --- equality ---


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


# --- the file ---

CELLS: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(),
    "number": st.integers() | st.floats(),
    "boolean": st.booleans(),
    "moment": st.datetimes(timezones=st.just(UTC)),
    "numbers": st.lists(st.floats() | st.none(), max_size=4),
    "dict": st.dictionaries(
        st.text(max_size=3) | st.just("_type"), st.integers() | st.none(), max_size=3
    ),
    "vector": st.lists(st.floats(width=32), max_size=4).map(lambda v: np.array(v, dtype="f4")),
    "matrix": st.integers(-9, 9).map(lambda n: np.full((2, 3), n, dtype="int16")),
    "words": st.lists(st.text(max_size=3), min_size=2, max_size=2).map(np.array),
}


@st.composite
def tables(draw: st.DrawFn) -> Table:
    columns = draw(st.lists(st.sampled_from(sorted(CELLS)), unique=True))
    optional = draw(st.booleans())
    row = st.tuples(*(CELLS[c] | st.none() if optional else CELLS[c] for c in columns))
    rows = draw(st.lists(row, max_size=5)) if columns else []
    return Table(columns=columns, data=rows, allow_mixed_types=draw(st.booleans()))


@given(table=tables())
@hypothesis_settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150
)
def test_table_read_from_its_file_equals_the_one_written(
    tmp_path_factory: pytest.TempPathFactory, table: Table
) -> None:
    read = round_trip(table, tmp_path_factory.mktemp("t"))
    assert read == table
    assert types_of(read) == types_of(table)


def test_file_has_the_documented_layout(tmp_path: Path) -> None:
    table = Table(
        columns=["s", "t", "m"],
        data=[["a", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), np.eye(2)]],
        log_mode="MUTABLE",
    )
    folder = Folder(tmp_path)
    written = table.write(folder)
    path = next(name for name in folder.entries if name.endswith(".npz"))
    assert written == {
        "_type": "table",
        "columns": ["s", "t", "m"],
        "data": [["a", 1000, None]],
        "ncols": 3,
        "nrows": 1,
        "log_mode": "MUTABLE",
        "column_types": {
            "wb_type": "typedDict",
            "params": {
                "type_map": {
                    "s": {"wb_type": "string"},
                    "t": {"wb_type": "timestamp"},
                    "m": {
                        "wb_type": "ndarray",
                        "params": {
                            "shape": [2, 2],
                            "serialization_path": {"path": path, "key": "2"},
                        },
                    },
                }
            },
        },
    }
    assert np.load(tmp_path / path)["2"].tolist() == [np.eye(2).tolist()]


def test_equal_tables_have_equal_files(tmp_path: Path) -> None:
    def made() -> Table:
        return Table(["m"], [[np.eye(3)], [None]])

    one, two = Folder(tmp_path / "1"), Folder(tmp_path / "2")
    one.add(made(), "t")
    two.add(made(), "t")
    assert one.entries == two.entries


def test_arrays_keep_their_dtype(tmp_path: Path) -> None:
    table = Table(
        ["v", "m"], [[np.arange(2, dtype="uint8"), np.zeros((1, 2), "float16")], [None, None]]
    )
    read = round_trip(table, tmp_path)
    assert read.data[0][0].dtype == np.uint8
    assert read.data[0][1].dtype == np.float16
    assert read.data[1] == [None, None]


def test_a_hundred_thousand_rows_are_all_kept(tmp_path: Path) -> None:
    table = Table(columns=["i", "s"], data=((i, str(i)) for i in range(100_000)))
    read = round_trip(table, tmp_path)
    assert len(read) == 100_000
    assert read.data[-1] == [99_999, "99999"]


def test_numbers_may_name_columns(tmp_path: Path) -> None:
    table = Table(columns=[0, 1], data=[[1, np.eye(2)]])
    assert round_trip(table, tmp_path) == table


def test_read_table_takes_more_rows_of_its_types(tmp_path: Path) -> None:
    read = round_trip(Table(["a"], [[1]]), tmp_path)
    read.add_data(None)
    with pytest.raises(TypeError, match="expected number or none, got text"):
        read.add_data("x")


def test_table_with_images_comes_back_without_fetching_them(tmp_path: Path) -> None:
    table = Table(["i", "img"])
    for number in range(3):
        pixels = np.full((2, 2), number % 2, dtype="uint8")
        table.add_data(number, Image(pixels, caption=str(number)))
    folder = Folder(tmp_path)
    path = folder.add(table, "t")
    assert len([name for name in folder.entries if name.startswith("media/images/")]) == 2
    read = folder.get(path)
    assert folder.fetched == [path]
    assert read == table
    assert types_of(read) == {"i": "number", "img": "image-file"}


def test_images_inside_lists_and_mixed_columns_come_back(tmp_path: Path) -> None:
    image = Image(np.zeros((2, 2), dtype="uint8"))
    lists = Table(["l"], [[[image, image]], [[]]])
    mixed = Table(["x"], [[image], [1]], allow_mixed_types=True)
    assert round_trip(lists, tmp_path / "lists") == lists
    assert round_trip(mixed, tmp_path / "mixed") == mixed


def test_text_in_an_image_column_is_refused() -> None:
    table = Table(["img"], [[Image(np.zeros((2, 2)))]])
    with pytest.raises(TypeError, match="column `img`: expected image-file, got text"):
        table.add_data("cat.png")


def test_images_of_another_artifact_become_references(tmp_path: Path) -> None:
    first = Folder(tmp_path / "first", name="first")
    path = first.add(Table(["img"], [[Image(np.eye(4))]]), "t")
    second = Folder(tmp_path / "second", name="second")
    local = Image(np.eye(4))  # the same bytes, added beside the reference
    table = Table(["img"], [*first.get(path).data, [local]])
    read = second.get(second.add(table, "u"))
    references = [entry for entry in second.entries.values() if entry.ref is not None]
    assert [entry.ref for entry in references] == [
        f"folder://first/{next(n for n in first.entries if n.startswith('media/images/'))}"
    ]
    assert read == table


@pytest.mark.parametrize(
    "broken",
    [
        {"_type": "table"},
        {"_type": "table", "columns": ["a"], "data": [[1, 2]]},
        {"_type": "table", "columns": ["a"], "data": 7},
    ],
)
def test_file_that_is_no_table_is_said_to_be_none(tmp_path: Path, broken: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError):
        media.read(broken, Folder(tmp_path), "x")


def test_table_file_is_valid_json_for_what_json_can_say(tmp_path: Path) -> None:
    written = Table(["a", "b"], [[1, None], [2.5, "x"]]).write(Folder(tmp_path))
    json.dumps(written, allow_nan=False)


# --- logged with a run ---


def logged_rows(run: lineal.Run, key: str) -> list[dict[str, Any]]:
    return [row[key] for row in lineal.Api().run(f"p/{run.id}").scan_history()]


def artifact_and_path(value: dict[str, Any]) -> tuple[Any, str]:
    head, _, rest = value["artifact_path"].removeprefix("lineal-artifact://").rpartition(":")
    if head.endswith(":sha256"):
        head, _, algorithm = head.rpartition(":")
        rest = f"{algorithm}:{rest}"
    ref, _, path = rest.partition("/")
    return lineal.Api().artifact(f"{head}:{ref}"), path


def test_logged_table_is_an_artifact_that_the_row_points_to() -> None:
    table = Table(["i", "img"], [[1, Image(np.zeros((2, 2)))]])
    with lineal.init(project="p") as run:
        run.log({"val/t": table})
    [value] = logged_rows(run, "val/t")
    artifact, path = artifact_and_path(value)
    assert (artifact.type, artifact.name) == ("run_table", f"run-{run.id}-val_t:v0")
    assert (value["_type"], value["ncols"], value["nrows"]) == ("table-file", 2, 1)
    assert artifact.get(path) == table


def test_each_row_points_to_the_table_as_it_was_then() -> None:
    table = Table(["i"], log_mode="MUTABLE")
    with lineal.init(project="p") as run:
        for number in range(3):
            table.add_data(number)
            run.log({"t": table})
    found = [artifact_and_path(value) for value in logged_rows(run, "t")]
    assert [len(artifact.get(path)) for artifact, path in found] == [1, 2, 3]


def test_unchanged_table_logged_again_makes_no_version() -> None:
    table = Table(["i"], [[1]])
    with lineal.init(project="p") as run:
        run.log({"t": table})
        run.log({"t": table})
    assert [artifact.name for artifact in lineal.Api().run(f"p/{run.id}").logged_artifacts()] == [
        f"run-{run.id}-t:v0"
    ]


def test_incremental_table_sends_only_new_rows() -> None:
    table = Table(["i"], log_mode="INCREMENTAL")
    with lineal.init(project="p") as run:
        for number in range(3):
            table.add_data(number)
            run.log({"t": table})
    values = logged_rows(run, "t")
    assert [value["increment_num"] for value in values] == [0, 1, 2]
    parts = [artifact.get(path) for artifact, path in map(artifact_and_path, values)]
    assert [part.data for part in parts] == [[[0]], [[1]], [[2]]]


def test_incremental_table_keeps_the_rows_of_those_before_it_under_its_key() -> None:
    for number in range(2):
        with lineal.init(project="p", id="again", resume="allow") as run:
            for row in range(2):  # a new table each time, and after the run was resumed
                rows = [[f"{number}.{row}"]]
                run.log({"t": Table(["i"], rows, log_mode="INCREMENTAL")})
    artifact = lineal.Api().artifact("p/run-again-incr-t:latest")
    parts = [artifact.get(path) for path in artifact.manifest.entries]
    assert [part.data for part in parts] == [[["0.0"]], [["0.1"]], [["1.0"]], [["1.1"]]]
    assert lineal.Api().run("p/again").summary["t"]["increment_num"] == 3


# --- the registry ---


def test_registry_names_the_types() -> None:
    assert media.suffixes() == [".table.json", ".image-file.json", ".histogram.json"]
    assert media.class_for("table") is Table
    assert media.type_of(Table()) is Table
    assert media.type_of([1]) is None
    with pytest.raises(Invalid, match="No data type is called 'video'"):
        media.class_for("video")


# --- its pictures ---


@pytest.fixture
def pictures() -> Table:
    """A logged table of twenty pictures, of which none is fetched yet."""
    with lineal.init(project="p") as run:
        artifact = lineal.Artifact("album", "dataset")
        album = Table(["img"], [[Image(np.full((2, 2), i, "uint8"))] for i in range(20)])
        artifact.add(album, "t")
        run.log_artifact(artifact)
    table = lineal.Api().artifact("p/album:v0").get("t")
    assert isinstance(table, Table)
    return table


def shade(table: Table, row: int) -> int:
    return int(table.data[row][0].to_numpy()[0, 0])


def fetched() -> list[Path]:
    return sorted(Path("artifacts").rglob("*.png"))


def test_pictures_come_in_larger_and_larger_batches_when_they_are_looked_at_in_order(
    pictures: Table,
) -> None:
    assert fetched() == []
    counts = []
    for row in range(20):
        assert shade(pictures, row) == row
        counts.append(len(fetched()))
    assert counts == [1, *[3] * 2, *[7] * 4, *[15] * 8, *[20] * 5]


def test_of_pictures_looked_at_here_and_there_no_others_come(pictures: Table) -> None:
    for row in (17, 3, 9, 5):
        assert shade(pictures, row) == row
    assert len(fetched()) == 4


def test_a_picture_that_was_fetched_and_changed_is_fetched_again(pictures: Table) -> None:
    assert [shade(pictures, row) for row in range(3)] == [0, 1, 2]
    for path in fetched():
        path.write_bytes(b"changed")
    assert [shade(pictures, row) for row in range(3)] == [0, 1, 2]
    for path in fetched():
        path.unlink()
    assert [shade(pictures, row) for row in range(3)] == [0, 1, 2]


def test_a_picture_that_is_lost_does_not_keep_others_away(pictures: Table, home: Path) -> None:
    lost = pictures.data[2][0]._pixels.file.sha256
    (blob,) = (
        path
        for path in (home / "blobs").rglob("*")
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == lost
    )
    blob.unlink()
    assert [shade(pictures, row) for row in (0, 1, 3)] == [0, 1, 3]
    with pytest.raises(LinealError, match="lost"):
        shade(pictures, 2)
