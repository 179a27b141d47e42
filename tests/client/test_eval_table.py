"""Tables that say which of their columns are inputs, outputs and scores."""

from __future__ import annotations

from pathlib import Path

import pytest
from media_folder import Folder, round_trip

import lineal
from lineal.errors import IntegrityError, Invalid


def made() -> lineal.EvalTable:
    return lineal.EvalTable(
        columns=["question", "answer", "exact", "model"],
        data=[["2+2", "4", 1.0, "small"]],
        input_columns=["question"],
        score_columns="exact",
    )


def test_a_column_that_is_nothing_else_is_an_output() -> None:
    table = made()
    table.add_column("length", [1])
    assert table.input_columns == ["question"]
    assert table.output_columns == ["answer", "model", "length"]
    assert table.score_columns == ["exact"]


def test_columns_are_those_that_are_named() -> None:
    table = lineal.EvalTable(
        input_columns=["a", "b"],
        output_columns=["c"],
        score_columns=["c", "d"],
        data=[[1, 2, 3, 4]],
    )
    assert table.columns == ["a", "b", "c", "d"]
    assert table.get_column("d") == [4]


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    read = round_trip(made(), tmp_path)
    assert type(read) is lineal.EvalTable
    assert read == made()
    assert (read.input_columns, read.output_columns) == (["question"], ["answer", "model"])
    assert read.score_columns == ["exact"]


def test_it_is_logged_as_any_table() -> None:
    with lineal.init(project="p") as run:
        run.log({"eval": made()})
    [value] = [row["eval"] for row in lineal.Api().run(f"p/{run.id}").scan_history()]
    assert (value["_type"], value["ncols"], value["nrows"]) == ("table-file", 4, 1)
    [artifact] = lineal.Api().run(f"p/{run.id}").logged_artifacts()
    assert artifact.type == "run_table"
    found = artifact.get("eval")
    assert isinstance(found, lineal.EvalTable)
    assert found == made()


def test_a_name_that_no_column_has_is_said(tmp_path: Path) -> None:
    table = made()
    table.score_columns.append("f1")
    with pytest.raises(Invalid, match=r"score_columns .* \['f1'\], which no column is called"):
        table.write(Folder(tmp_path))
    with pytest.raises(Invalid, match="`IMMUTABLE`, not 'MUTABLE'"):
        lineal.EvalTable(log_mode="MUTABLE")


def test_a_file_without_the_names_is_said_to_be_none(tmp_path: Path) -> None:
    written = made().write(Folder(tmp_path))
    del written["score_columns"]
    with pytest.raises(IntegrityError):
        lineal.EvalTable.read(written, Folder(tmp_path))
