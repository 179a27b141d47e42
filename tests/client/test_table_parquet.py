"""Large tables are there as Parquet, too, beside the JSON that they are read from (DAT-3)."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import numpy as np
from media_folder import Folder, round_trip
from pyarrow import parquet

import lineal
from lineal.client.media.image import Image
from lineal.client.media.parquet import LARGE_ROWS
from lineal.client.media.table import Table

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


def columns_of(table: Table, root: Path) -> dict[str, tuple[str, Any, Any]]:
    """Return the type, and the first and the last cell, of each column of the Parquet file."""
    folder = Folder(root)
    written = table.write(folder)
    found = parquet.read_table(folder.path(written["parquet"]["path"]))
    assert found.num_rows == len(table)
    return {
        field.name: (str(field.type), found[field.name][0].as_py(), found[field.name][-1].as_py())
        for field in found.schema
    }


def large(first: list[Any], columns: list[str], **settings: Any) -> Table:
    """Return a table with a row, and below it the same one over and over."""
    return Table(columns=columns, data=[first] * LARGE_ROWS, **settings)


def test_a_small_table_is_json_alone(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    rows = [[number] for number in range(LARGE_ROWS - 1)]
    assert "parquet" not in Table(columns=["n"], data=rows).write(folder)
    assert folder.entries == {}


def test_columns_are_what_they_are_in_the_table(tmp_path: Path) -> None:
    cells = {
        "text": "ü",
        "whole": 2**60 + 1,
        "float": 0.5,
        "truth": True,
        "moment": MOMENT,
        "words": ["a", "b"],
        "numbers": [1, 2.5, None],
    }
    table = large(list(cells.values()), list(cells))
    table.add_data(*[None] * len(cells))
    assert columns_of(table, tmp_path) == {
        "text": ("string", "ü", None),
        "whole": ("int64", 2**60 + 1, None),
        "float": ("double", 0.5, None),
        "truth": ("bool", True, None),
        "moment": ("timestamp[ms, tz=UTC]", MOMENT, None),
        "words": ("list<element: string>", ["a", "b"], None),
        "numbers": ("list<element: double>", [1, 2.5, None], None),
    }


def test_vectors_keep_their_numbers_and_larger_arrays_are_left_to_their_own_file(
    tmp_path: Path,
) -> None:
    vector = np.array([0.5, 1.5], dtype="f4")
    found = columns_of(large([vector, np.eye(2)], ["vector", "matrix"]), tmp_path)
    assert found == {"vector": ("list<element: float>", [0.5, 1.5], [0.5, 1.5])}


def test_what_parquet_has_no_type_for_is_the_text_of_its_json(tmp_path: Path) -> None:
    cells = {"dict": {"b": 1}, "surrogate": "\ud800", "huge": 2**70}
    found = columns_of(large(list(cells.values()), list(cells)), tmp_path)
    assert {name: (kind, json.loads(first)) for name, (kind, first, _) in found.items()} == {
        "dict": ("string", {"b": 1}),
        "surrogate": ("string", "\ud800"),
        "huge": ("string", 2**70),
    }


def test_a_picture_is_the_text_of_its_stub(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    rows = [[Image(np.zeros((2, 2)))], *[[None]] * LARGE_ROWS]
    written = Table(columns=["picture"], data=rows).write(folder)
    found = parquet.read_table(folder.path(written["parquet"]["path"]))
    stub = json.loads(found["picture"][0].as_py())
    assert stub == written["data"][0][0]
    assert Path(folder.path(stub["path"])).is_file()


def test_columns_of_mixed_types_and_odd_names_are_written(tmp_path: Path) -> None:
    table = Table(columns=[3, "\ud800", "mixed"], allow_mixed_types=True)
    for number in range(LARGE_ROWS):
        table.add_data(number, number, number if number else "zero")
    found = columns_of(table, tmp_path)
    assert found["mixed"] == ("string", '"zero"', str(LARGE_ROWS - 1))
    assert list(found) == ["3", "\\ud800", "mixed"]


def test_the_table_is_read_from_its_json(tmp_path: Path) -> None:
    table = large(["a", 1], ["text", "number"])
    assert round_trip(table, tmp_path) == table
    assert Folder(tmp_path / "again").add(table, "t") == "t.table.json"


def test_equal_tables_have_equal_parquet(tmp_path: Path) -> None:
    folders = [Folder(tmp_path / name) for name in "ab"]
    written = [large(["a", 1], ["text", "number"]).write(folder) for folder in folders]
    assert written[0] == written[1]


def test_parts_of_a_logged_table_are_asked_together() -> None:
    table = Table(columns=["n"], log_mode="INCREMENTAL")
    with lineal.init(project="p") as run:
        for _ in range(2):
            for _ in range(LARGE_ROWS):
                table.add_data(len(table))
            run.log({"t": table})
    connection = duckdb.connect()
    connection.register_filesystem(fsspec.filesystem("lineal"))
    files = f"lineal://p/run-{run.id}-incr-t:latest/media/parquet/*.parquet"
    [found] = connection.sql(f"select count(*), max(n) from '{files}'").fetchall()
    assert found == (2 * LARGE_ROWS, 2 * LARGE_ROWS - 1)


WITHOUT = """
import sys
sys.modules["pyarrow"] = None  # as where it is not installed
import lineal
table = lineal.Table(columns=["n"], data=[[n] for n in range(int(sys.argv[1]))])
with lineal.init(project="p") as run:
    run.log({"t": table})
[artifact] = lineal.Api().run(f"p/{run.id}").logged_artifacts()
assert list(artifact.manifest.entries) == ["t.table.json"], artifact.manifest.entries
assert artifact.get("t") == table
"""


def test_without_pyarrow_a_large_table_is_json_alone() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT, str(LARGE_ROWS)], check=True)


def test_a_small_table_does_not_load_pyarrow(tmp_path: Path) -> None:
    program = (
        "import lineal, sys\n"
        "with lineal.init(project='p') as run:\n"
        "    run.log({'t': lineal.Table(columns=['n'], data=[[1]])})\n"
        "assert 'pyarrow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
