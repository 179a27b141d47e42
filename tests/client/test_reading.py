"""Reading files of a version where they are: `Artifact.open` and `lineal://` of fsspec."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import pandas
import pyarrow
import pyarrow.parquet as parquet
import pytest

import lineal
from lineal.client.references.local import LocalRanges
from lineal.errors import Invalid, MissingFile

LARGE = os.urandom(3 << 20)


@pytest.fixture
def artifact(tmp_path: Path) -> Any:
    """One version with stored, packed and referenced files."""
    outside = tmp_path / "outside.bin"
    outside.write_bytes(LARGE)
    many = tmp_path / "many"
    many.mkdir()
    for number in range(120):
        (many / f"{number:03}.txt").write_text(f"line {number}\nend\n")
    made = lineal.Artifact("base", "dataset")
    made.add_bytes(LARGE, "large.bin")
    made.add_bytes("a,b\n1,ü\n".encode(), "deep/er/table.csv")
    made.add_bytes(b"", "empty")
    made.add_dir(str(many), name="many")
    made.add_reference(outside.as_uri(), name="elsewhere.bin")
    with lineal.init(project="p") as run:
        run.log_artifact(made).wait()
    return lineal.Api().artifact("p/base:latest")


@pytest.mark.parametrize("name", ["large.bin", "elsewhere.bin"])
def test_any_part_of_a_file_is_read(artifact: Any, name: str) -> None:
    with artifact.open(name) as file:
        assert file.read(10) == LARGE[:10]
        file.seek(-7, os.SEEK_END)
        assert file.read() == LARGE[-7:]
        file.seek(1 << 20)
        assert file.read(1 << 20) == LARGE[1 << 20 : 2 << 20]
        file.seek(10 << 20)
        assert file.read(1) == b""
        with pytest.raises(ValueError, match="negative"):
            file.seek(-(10 << 20), os.SEEK_END)
    assert file.closed
    with artifact.open(name) as file:
        assert file.read() == LARGE


def test_threads_that_share_a_file_each_seek_for_themselves(artifact: Any) -> None:
    """DuckDB does so: one file, many threads, each seeks and then reads."""
    with artifact.open("large.bin") as file, ThreadPoolExecutor(2) as other:
        file.seek(100)
        other.submit(lambda: (file.seek(2 << 20), file.read(50))).result()
        assert file.tell() == 100
        assert file.read(300_000) == LARGE[100:300_100]
        # A file that is handed over goes on where it was.
        assert other.submit(file.read, 10).result() == LARGE[300_100:300_110]
        assert file.read(10) == LARGE[300_110:300_120]


def test_lines_are_those_of_a_plain_file(artifact: Any) -> None:
    with artifact.open("large.bin") as file:
        assert list(file) == list(io.BytesIO(LARGE))
        with pytest.raises(io.UnsupportedOperation):
            file.write(b"x")


def test_text_small_and_empty_files_are_read(artifact: Any) -> None:
    with artifact.open("deep/er/table.csv", "r") as file:
        assert file.readlines() == ["a,b\n", "1,ü\n"]
    with artifact.open("many/077.txt", "r") as file:
        assert file.read() == "line 77\nend\n"
    with artifact.open("empty") as file:
        assert file.read() == b""


def test_what_is_not_there_is_named(artifact: Any) -> None:
    with pytest.raises(FileNotFoundError, match=r"did you mean 'large\.bin'"):
        artifact.open("larg.bin")
    with pytest.raises(Invalid, match="mode 'w'"):
        artifact.open("large.bin", "w")


def test_a_changed_reference_is_not_read(artifact: Any, tmp_path: Path) -> None:
    (tmp_path / "outside.bin").write_bytes(b"something else")
    with pytest.raises(ValueError, match="changed"):
        artifact.open("elsewhere.bin")


def test_fsspec_lists_globs_and_reads(artifact: Any) -> None:
    fs = fsspec.filesystem("lineal")
    root = "p/base:latest"
    assert fs.ls(f"lineal://{root}", detail=False) == [
        f"{root}/{name}" for name in ("deep", "elsewhere.bin", "empty", "large.bin", "many")
    ]
    assert fs.ls(f"{root}/large.bin", detail=False) == [f"{root}/large.bin"]
    assert [fs.isdir(f"{root}/{each}") for each in ("deep/er", "", "empty")] == [True, True, False]
    assert fs.size(f"{root}/large.bin") == len(LARGE)
    assert len(fs.glob(f"{root}/**/*.txt")) == len(fs.find(f"{root}/many")) == 120
    assert fs.cat_file(f"{root}/elsewhere.bin", start=5, end=9) == LARGE[5:9]
    assert fs.read_block(f"{root}/elsewhere.bin", 5, None) == LARGE[5:]
    assert fs.read_block(f"{root}/many/003.txt", 3, 20, delimiter=b"\n") == b"end\n"
    assert fs.cat(f"lineal://{root}/many/00*.txt")[f"{root}/many/003.txt"] == b"line 3\nend\n"
    assert not fs.exists(f"{root}/nowhere")
    assert fs.ukey(f"{root}/large.bin").startswith("sha256:")
    for missing in (f"{root}/nowhere", "p/other:v0/x", "p/base:v7"):
        with pytest.raises(FileNotFoundError):
            fs.ls(missing)
    with pytest.raises(MissingFile):
        fs.open(f"{root}/deep")


def test_fsspec_writes_nothing(artifact: Any) -> None:
    with pytest.raises(ValueError, match="read only"):
        fsspec.open("lineal://p/base:v0/new", "wb").open()


def test_an_alias_that_moved_leads_to_the_new_version(artifact: Any) -> None:
    fs = fsspec.filesystem("lineal")
    assert len(fs.find("p/base:latest")) == 124
    second = lineal.Artifact("base", "dataset")
    second.add_bytes(b"2", "only")
    with lineal.init(project="p") as run:
        run.log_artifact(second).wait()
    assert fs.find("p/base:latest") == ["p/base:latest/only"]
    assert len(fs.find("p/base:v0")) == 124


# --- what reads through fsspec -------------------------------------------------------------------


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A Parquet file with eight columns of 1.6 MB each, in eight row groups."""
    columns = {f"c{number}": [number + row / 1e6 for row in range(200_000)] for number in range(8)}
    path = tmp_path / "outside" / "table.parquet"
    path.parent.mkdir()
    parquet.write_table(
        pyarrow.table(columns),
        path,
        row_group_size=25_000,
        compression=None,
        use_dictionary=False,
    )
    artifact = lineal.Artifact("table", "dataset")
    artifact.add_file(str(path), "stored.parquet")
    artifact.add_reference(path.as_uri(), name="elsewhere.parquet")
    with lineal.init(project="p") as run:
        run.log_artifact(artifact).wait()
    return path


@pytest.fixture
def bytes_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes of each read that goes to where the file is."""
    counts: list[int] = []
    read = LocalRanges.read

    def counted(ranges: LocalRanges, start: int, stop: int) -> bytes:
        data = read(ranges, start, stop)
        counts.append(len(data))
        return data

    monkeypatch.setattr(LocalRanges, "read", counted)
    return counts


@pytest.mark.parametrize("name", ["stored.parquet", "elsewhere.parquet"])
def test_a_parquet_column_is_read_without_the_others(
    table: Path, bytes_read: list[int], name: str
) -> None:
    fs = fsspec.filesystem("lineal")
    found = parquet.read_table(f"p/table:latest/{name}", columns=["c3"], filesystem=fs)
    assert found["c3"].to_pylist() == [3 + row / 1e6 for row in range(200_000)]
    assert sum(bytes_read) < 0.3 * table.stat().st_size


@pytest.mark.parametrize("name", ["stored.parquet", "elsewhere.parquet"])
def test_duckdb_asks_files_by_their_url(table: Path, bytes_read: list[int], name: str) -> None:
    connection = duckdb.connect(config={"threads": 4})
    connection.register_filesystem(fsspec.filesystem("lineal"))
    for _ in range(5):
        rows = connection.sql(f"select count(*), max(c5) from 'lineal://p/table:v0/{name}'")
        assert rows.fetchall() == [(200_000, 5.199999)]
    every = connection.sql("select count(*) from 'lineal://p/table:v0/*.parquet'")
    assert every.fetchall() == [(400_000,)]
    assert max(bytes_read) < 0.3 * table.stat().st_size


def _size_and_start(url: str) -> tuple[int, bytes]:
    with fsspec.open(url) as file:
        return file.seek(0, os.SEEK_END), file.seek(0) or file.read(4)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_data_loaders_take_the_filesystem_to_their_processes(artifact: Any, method: Any) -> None:
    fs = fsspec.filesystem("lineal")
    assert fs.cat_file("p/base:v0/large.bin", end=4) == LARGE[:4]
    assert pickle.loads(pickle.dumps(fs)).size("p/base:v0/large.bin") == len(LARGE)
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        urls = ["lineal://p/base:v0/large.bin", "lineal://p/base:v0/elsewhere.bin"] * 2
        assert list(pool.map(_size_and_start, urls)) == [(len(LARGE), LARGE[:4])] * 4
        starts = pool.map(fs.cat_file, [url.partition("://")[2] for url in urls])
        assert list(starts) == [LARGE] * 4


def test_pandas_reads_a_table_by_its_url(artifact: Any) -> None:
    table = pandas.read_csv("lineal://p/base:v0/deep/er/table.csv")
    assert table["b"].tolist() == ["ü"]
