"""Tables logged with runs, and their pictures, fetched when they are looked at."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.client.syncing import synced

import lineal
from lineal.client.media.image import Image
from lineal.client.media.table import Table
from lineal.errors import LinealError

# --- logged with a run --------------------------------------------------------------------------


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
    assert (artifact.type, artifact.version) == ("run_table", "v0")
    assert (value["_type"], value["ncols"], value["nrows"]) == ("table-file", 2, 1)
    assert artifact.get(path) == table


def test_each_key_has_a_collection_of_its_own() -> None:
    with lineal.init(project="p") as run:
        for number in range(2):
            for key in ("val/t", "val_t"):
                run.log({key: Table(["key", "number"], [[key, number]])})
    logged = lineal.Api().run(f"p/{run.id}").logged_artifacts()
    by_collection = {each.collection.name: each for each in logged}
    assert sorted(each.version for each in logged) == ["v0", "v0", "v1", "v1"]
    assert len(by_collection) == 2
    assert f"run-{run.id}-val_t" in by_collection


def test_a_table_is_logged_to_runs_of_one_id_in_several_projects() -> None:
    table = Table(["i"], [[1]])
    for project in ("p", "q"):
        with lineal.init(project=project, id="same") as run:
            run.log({"t": table})
        (logged,) = lineal.Api().run(f"{project}/same").logged_artifacts()
        assert logged.project == project
        assert f"/{project}/run-same-t:" in run.summary["t"]["artifact_path"]


def test_a_list_of_tables_is_a_list_of_logged_tables() -> None:
    tables = [Table(["i"], [[number]]) for number in range(2)]
    with lineal.init(project="p") as run:
        run.log({"t": tables})
    [values] = logged_rows(run, "t")
    found = [artifact_and_path(value) for value in values]
    assert [artifact.get(path) for artifact, path in found] == tables


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
    assert [(value["increment_num"], value["nrows"]) for value in values] == [
        (0, 1),
        (1, 2),
        (2, 3),
    ]
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


def test_incremental_table_is_whole_where_an_offline_run_goes_on(home: Path) -> None:
    table = Table(["i"], log_mode="INCREMENTAL")
    for number in range(2):
        with lineal.init(project="p", id="off", resume="allow", mode="offline") as run:
            table.add_data(number)
            run.log({"t": table})
    assert [result.failures for result in synced(home)] == [{}, {}]
    artifact = lineal.Api().artifact("p/run-off-incr-t:latest")
    parts = [artifact.get(path) for path in artifact.manifest.entries]
    assert [row for part in parts for row in part.data] == [[0], [1]]


# --- its pictures -------------------------------------------------------------------------------


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
