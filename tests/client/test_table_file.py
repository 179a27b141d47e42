"""Tables: what is read from their file equals what was written (DAT-1…DAT-5)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from media_folder import Folder, round_trip, types_of

from lineal.client import media
from lineal.client.media.image import Image
from lineal.client.media.table import Table
from lineal.errors import IntegrityError, Invalid

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


@pytest.mark.parametrize("shape", [(1,), (1, 1)])
def test_arrays_of_several_dtypes_round_no_whole_number(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    whole = np.full(shape, 1 << 60, dtype="int64")
    other = np.full(shape, 0.5)
    assert round_trip(Table(["a"], [[whole], [other]]), tmp_path / "exact").data[0][0] == 1 << 60
    with pytest.raises(Invalid, match=f"int64 in the table has {(1 << 60) + 1}, which float64"):
        round_trip(Table(["a"], [[whole + 1], [other]]), tmp_path / "rounded")
    unsigned = np.full(shape, (1 << 63) + 1, dtype="uint64")
    with pytest.raises(Invalid, match="uint64 in the table"):
        round_trip(Table(["a"], [[unsigned], [-whole]]), tmp_path / "unsigned")


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
