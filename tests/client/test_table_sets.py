"""JoinedTable and PartitionedTable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.client.media_folder import Folder, round_trip

import lineal
from lineal.errors import IntegrityError, Invalid, MissingFile

LEFT = lineal.Table(columns=["id", "x"], data=[[1, "a"], [2, "b"]])
RIGHT = lineal.Table(
    columns=["id", "picture"], data=[[1, lineal.Image(np.zeros((2, 2)))], [2, None]]
)


def test_joined_tables_come_back_with_their_media(tmp_path: Path) -> None:
    joined = lineal.JoinedTable(LEFT, RIGHT, "id")
    found = round_trip(joined, tmp_path)
    assert (found, found.join_key) == (joined, "id")
    assert found.table2.data[0][1] == RIGHT.data[0][1]


def test_tables_of_the_artifact_are_joined_by_their_names(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.add(LEFT, "scores/left")
    folder.add(RIGHT, "right")
    path = folder.add(lineal.JoinedTable("scores/left", "right.table.json", ["x", "id"]), "both")
    found = folder.get(path)
    assert (found.table1, found.table2, found.join_key) == (LEFT, RIGHT, ["x", "id"])


def test_a_table_that_is_joined_by_a_name_nobody_added_is_told() -> None:
    joined = lineal.Artifact("joined", "dataset")
    joined.add(lineal.JoinedTable("left", "right", "id"), "both")
    with lineal.init() as run:
        logged = run.log_artifact(joined).wait()
    said = r"no file 'left.table.json'; did you mean '.*'\. .* a JoinedTable names and nobody added"
    with pytest.raises(MissingFile, match=said):
        logged.get("both")


def test_tables_of_another_artifact_are_joined_by_their_entries() -> None:
    tables = lineal.Artifact("tables", "dataset")
    tables.add(LEFT, "left")
    tables.add(RIGHT, "right")
    tables.add_bytes(b"", "empty.txt")
    with lineal.init() as run:
        logged = run.log_artifact(tables).wait()
        joined = lineal.Artifact("joined", "dataset")
        entries = [logged.get_entry(name) for name in ("left", "right")]
        joined.add(lineal.JoinedTable(*entries, "id"), "both")
        found: Any = run.log_artifact(joined).wait().get("both")
        with pytest.raises(Invalid, match="joins tables"):
            lineal.JoinedTable(logged.get_entry("empty.txt"), LEFT, "id")
    assert (found.table1, found.table2) == (LEFT, RIGHT)


@pytest.mark.parametrize(
    ("tables", "key", "why"),
    [
        ((LEFT, RIGHT), "x", "has no column 'x'"),
        ((LEFT, RIGHT), ["id"], "one column, or of two"),
        ((LEFT, {}), "id", "not dict"),
    ],
)
def test_what_cannot_be_joined_is_refused(tables: Any, key: Any, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        lineal.JoinedTable(*tables, key)


def test_parts_are_one_table_however_often_some_are_added() -> None:
    for number in range(3):
        artifact = lineal.Artifact("numbers", "dataset", incremental=True)
        if number == 0:
            artifact.add(lineal.PartitionedTable("parts"), "all")
        part = lineal.Table(columns=["name", "square"], data=[["n", number**2]])
        artifact.add(part, f"parts/{number}")
        with lineal.init() as run:
            run.log_artifact(artifact)
    found: Any = lineal.Api().artifact("numbers:latest").get("all")
    assert list(found.iterrows()) == [(0, ["n", 0]), (1, ["n", 1]), (2, ["n", 4])]
    assert found.columns == ["name", "square"]


def test_a_part_may_lack_a_column_and_what_is_no_table_is_none(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.add(lineal.Table(columns=["b", "a"], data=[[4, 3]]), "p/2")
    folder.add(lineal.Table(columns=["a"], data=[[1]]), "p/1")
    folder.add(lineal.Html("no table"), "p/0")
    found = folder.get(folder.add(lineal.PartitionedTable("p/"), "all"))
    assert found.columns == ["a", "b"]
    assert list(found.iterrows()) == [(0, [1, None]), (1, [3, 4])]
    assert found == folder.get("all.partitioned-table.json")


def test_before_it_is_logged_there_are_no_parts() -> None:
    assert list(lineal.PartitionedTable("parts").iterrows()) == []
    assert lineal.PartitionedTable("parts") != lineal.PartitionedTable("others")
    with pytest.raises(ValueError, match=r"\.\."):
        lineal.PartitionedTable("../parts")


def test_a_run_logs_joined_tables_as_an_artifact() -> None:
    with lineal.init(project="p") as run:
        run.log({"val/both": lineal.JoinedTable(LEFT, RIGHT, "id")})
    [row] = lineal.Api().run(run.path).scan_history()
    value = row["val/both"]
    [artifact] = lineal.Api().run(run.path).logged_artifacts()
    assert (artifact.type, value["_type"]) == ("run_table", "joined-table")
    folder, _, path = value["artifact_path"].partition(f"{artifact.digest}/")
    assert folder == f"lineal-artifact://{artifact.entity}/p/{artifact.collection.name}:"
    assert artifact.get(path) == lineal.JoinedTable(LEFT, RIGHT, "id")


def test_a_run_does_not_log_a_table_of_what_is_beside_it_in_an_artifact() -> None:
    with lineal.init() as run, pytest.raises(Invalid, match="beside it in an artifact"):
        run.log({"t": lineal.PartitionedTable("p")})


def test_foreign_json_is_refused(tmp_path: Path) -> None:
    for kind in (lineal.PartitionedTable, lineal.JoinedTable):
        with pytest.raises(IntegrityError):
            kind.read({}, Folder(tmp_path))
