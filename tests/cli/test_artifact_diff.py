"""`lineal artifact diff --content`: what changed inside files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy
import pytest

import lineal as sdk
from lineal.cli import artifact_diff_content


@pytest.fixture
def put(lineal):
    """Log a folder of files, given by their contents, as the next version of demo/data."""

    def log(files):
        folder = Path("data")
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        lineal("artifact", "put", str(folder), "-n", "demo/data")

    return log


@pytest.fixture
def content(lineal):
    """Return what is told of the one file that changed from demo/data:v0 to the latest."""

    def ask(*words):
        answer = lineal("artifact", "diff", "demo/data:v0", "demo/data", *words, "--json").json
        (changed,) = answer["changed"]
        return changed["content"]

    return ask


def test_lines_of_a_text(lineal, put, content):
    put({"train.py": "import os\n\tlr = 0.1\nend\n", "same.txt": "x"})
    put({"train.py": "import os\n\tlr = 0.2\nend"})
    assert content("--content") == {
        "lines": ["@@ -1,3 +1,4 @@", " import os", "-\tlr = 0.1", "+\tlr = 0.2", " end",
                  "+\\ No newline at end of file"]
    }  # fmt: skip
    shown = lineal("artifact", "diff", "demo/data:v0", "demo/data", "--content").lines
    assert shown[1].startswith("~ train.py")
    assert shown[4:6] == ["    -        lr = 0.1", "    +        lr = 0.2"]


def test_without_content_no_file_is_read(lineal, put, home):
    put({"a.txt": "1"})
    put({"a.txt": "2"})
    for blob in (home / "blobs").rglob("*-*"):
        blob.unlink()
    answer = lineal("artifact", "diff", "demo/data:v0", "demo/data", "--json").json
    assert "content" not in answer["changed"][0]
    failed = lineal("artifact", "diff", "demo/data:v0", "demo/data", "--content", fails=True)
    assert "The bytes of a.txt (sha256:6b86" in failed.err
    assert "`lineal verify`" in failed.err


CSV_ROWS = {
    "key": ["id"],
    "added_columns": ["note"],
    "removed_columns": [],
    "added": [{"id": "3", "score": "0.3", "note": ""}],
    "removed": [{"id": "1", "score": "0.1"}],
    "changed": [{"key": {"id": "2"}, "cells": {"score": {"before": "0.2", "after": "0.25"}}}],
    "same_count": 0,
}


@pytest.mark.parametrize(("name", "comma"), [("s.csv", ","), ("s.TSV", "\t"), ("a/b/s.csv", ",")])
def test_rows_of_csv(put, content, name, comma):
    put({name: "id,score\n1,0.1\n2,0.2\n".replace(",", comma)})
    put({name: '\ufeffscore,id,note\r\n0.3,3,""\r\n0.25,2,x\r\n'.replace(",", comma)})
    assert content("--key", "id") == {"rows": CSV_ROWS}


def test_rows_of_a_list_in_json(put, content):
    put({"s.json": '[{"id": 1, "box": [1, 2]}, {"id": 2}]'})
    put({"s.json": '[\n{"id": 2, "box": null},\n{"id": 1, "box": [1, 3]}\n]'})
    rows = content("--key", "id")["rows"]
    assert [each["key"] for each in rows["changed"]] == [{"id": 1}]
    put({"s.json": '{"id": 1}'})
    assert "lines" in content("--key", "id")


def test_rows_of_an_evaluation(lineal):
    for score in (0.5, 0.75):
        with sdk.init(project="demo") as run:
            columns = ["question", "score"]
            table = sdk.EvalTable(columns, [["a", score]], score_columns=["score"])
            artifact = sdk.Artifact("evals", "dataset")
            artifact.add(table, "eval")
            run.log_artifact(artifact)
    shown = lineal("artifact", "diff", "demo/evals:v0", "demo/evals:v1", "--key", "question").out
    assert "~ question=a: score 0.5 → 0.75\n" in shown


def test_rows_of_json_lines(put, content):
    put({"s.jsonl": '{"id": 1, "tags": ["a"]}\n{"id": 2, "tags": {"b": NaN}}\n'})
    put({"s.jsonl": '{"id": 2, "tags": {"b": NaN}}\n\n{"tags": ["a", "c"], "id": 1.0}'})
    rows = content("--key", "id")["rows"]
    assert rows["changed"] == [
        {"key": {"id": 1.0}, "cells": {"tags": {"before": ["a"], "after": ["a", "c"]}}}
    ]
    assert rows["same_count"] == 1


def test_rows_of_parquet(put, content):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    def written(table):
        sink = pyarrow.BufferOutputStream()
        parquet.write_table(pyarrow.table(table), sink)
        return sink.getvalue().to_pybytes()

    put({"s.parquet": written({"id": [1, 2], "v": [0.5, None]})})
    put({"s.parquet": written({"id": [2, 3], "v": [1.5, 2.5]})})
    rows = content("--content", "--key", "id")["rows"]
    assert rows["added"] == [{"id": 3, "v": 2.5}]
    assert rows["changed"] == [{"key": {"id": 2}, "cells": {"v": {"before": None, "after": 1.5}}}]
    put({"s.parquet": b"PAR1 that is none"})
    assert "rows" not in content("--content")


def test_rows_of_a_logged_table_with_pictures_and_arrays(lineal):
    for shade in (0, 200):
        with sdk.init(project="demo") as run:
            picture = sdk.Image(numpy.full((4, 4, 3), shade, "uint8"))
            grid = numpy.full((2, 2), shade)
            table = sdk.Table(
                ["id", "image", "grid"],
                [[1, picture, grid], [2, None, grid], [3 + shade, None, grid]],
            )
            artifact = sdk.Artifact("tables", "dataset")
            artifact.add(table, "eval")
            run.log_artifact(artifact)
    words = ("artifact", "diff", "demo/tables:v0", "demo/tables:v1", "--key", "id")
    (changed,) = lineal(*words, "--json").json["changed"]
    rows = changed["content"]["rows"]
    assert [each["key"] for each in rows["changed"]] == [{"id": 1}]
    assert rows["changed"][0]["cells"]["image"]["after"]["_type"] == "image-file"
    assert rows["added"] == [{"id": 203, "image": None}]
    assert changed["content"]["note"] == "arrays are not compared: grid"
    shown = lineal(*words).out
    assert "+ id=203  image=null\n" in shown
    assert "~ id=1: image image 4 × 4: media/images/" in shown
    assert "rows: 1 added, 1 removed, 1 changed, 1 alike\n" in shown


def test_numbers_that_look_alike_are_told_in_full(lineal, put):
    put({"s.jsonl": '{"id": 1, "v": 0.1}\n'})
    put({"s.jsonl": '{"id": 1, "v": 0.1000000001}\n'})
    shown = lineal("artifact", "diff", "demo/data:v0", "demo/data", "--key", "id").out
    assert "~ id=1: v 0.1 → 0.1000000001\n" in shown


def test_where_the_key_does_not_fit_whole_rows_are_compared(lineal, put, content):
    put({"s.csv": "id,v\n1,2\n1,3\n"})
    put({"s.csv": "id,v\n1,3\n"})
    twice, unknown = content("--key", "id"), content("--key", "name")
    assert twice["note"] == "whole rows are compared: more than one row has id='1'"
    assert unknown["note"] == "whole rows are compared: no column 'name' among 'id', 'v'"
    for found in (twice, unknown):
        assert found["rows"]["removed"] == [{"id": "1", "v": "2"}]
    assert f"    {twice['note']}\n" in lineal(
        "artifact", "diff", "demo/data:v0", "demo/data", "--key", "id"
    ).out  # fmt: skip


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("s.csv", "a,b\n1\n"),
        ("s.csv", "a,a\n1,2\n"),
        ("s.csv", ""),
        ("s.csv", "a,2\n3,4\n"),
        ("s.jsonl", "[1]\n"),
        ("s.jsonl", '{"a": '),
        ("s.jsonl", "[" * 100_000),
        ("s.jsonl", '{"id": ' + '{"a": ' * 900 + "1" + "}" * 901),
        ("s.table.json", "[]"),
        ("s.table.json", '{"columns": ["a"], "data": [1]}'),
        ("s.table.json", '{"columns": 5, "data": []}'),
        ("s.table.json", '{"columns": ["a"], "data": [[1]], "column_types": 3}'),
    ],
)
def test_what_is_no_table_is_compared_as_a_text(put, content, name, broken):
    put({name: '{"id": 1}\n'})
    put({name: broken})
    assert "lines" in content("--key", "id")


@pytest.mark.parametrize("data", [b"\xff\xfe", b"a\0b"])
def test_what_is_no_text_is_not_shown(put, content, data):
    put({"model.bin": "text"})
    put({"model.bin": data})
    assert content("--content") == {"note": "not a text"}


def test_what_is_too_large_is_not_looked_into(put, content, monkeypatch):
    put({"long.txt": "\n" * 30})
    put({"long.txt": "x\n" * 30})
    monkeypatch.setattr(artifact_diff_content, "LINES_MOST", 29)
    assert content("--content") == {"note": "not looked into: more than 29 lines"}
    monkeypatch.setattr(artifact_diff_content, "BYTES_MOST", 59)
    assert content("--content") == {"note": "not looked into: larger than 59 B"}


def test_references_are_read_where_they_are(lineal, monkeypatch):
    for number in (1, 2):
        far = Path(f"far{number}.txt")
        far.write_text(f"{number}\n")
        with sdk.init(project="demo") as run:
            artifact = sdk.Artifact("far", "dataset")
            artifact.add_reference(far.absolute().as_uri(), name="far.txt", checksum=number == 1)
            run.log_artifact(artifact)
    words = ("artifact", "diff", "demo/far:v0", "demo/far:v1", "--content", "--json")
    (changed,) = lineal(*words).json["changed"]
    assert changed["content"]["lines"][1:] == ["-1", "+2"]
    monkeypatch.setattr(artifact_diff_content, "BYTES_MOST", 5)
    Path("far2.txt").write_text("longer than was recorded")
    (changed,) = lineal(*words).json["changed"]
    assert changed["content"] == {"note": "not looked into: larger than 5 B"}
    Path("far1.txt").write_text("3\n")
    (changed,) = lineal(*words).json["changed"]
    assert changed["content"]["note"].startswith("not looked into: ")
    assert "far1.txt" in changed["content"]["note"]


def test_only_some_rows_and_lines_are_shown(lineal, put):
    many = "".join(f"{number},{number}\n" for number in range(25))
    put({"s.csv": "id,v\n" + many, "t.txt": "a\n" * 300, "wide.txt": "y" * 900})
    put({"s.csv": "id,v\n", "t.txt": "b\n" * 300, "wide.txt": "z" * 900})
    shown = lineal("artifact", "diff", "demo/data:v0", "demo/data", "--content")
    assert shown.out.count("    - id=") == 20
    assert (
        "    rows: 0 added, 25 removed, 0 alike; the first 20 of each kind are listed" in shown.out
    )
    assert "    … and 401 more lines; `--json` has all\n" in shown.out
    assert f"    +{'z' * 499}…\n" in shown.out


def test_globs_choose_the_files(lineal, put):
    put({"a.txt": "1", "b.csv": "x\n1\n", "sub/c.csv": "x\n1\n"})
    put({"a.txt": "2", "b.csv": "x\n2\n", "sub/c.csv": "x\n2\n"})
    words = ("artifact", "diff", "demo/data:v0", "demo/data", "--json")
    found = lineal(*words, "--include", "*.csv", "--exclude", "sub/*").json
    assert [pair["after"]["path"] for pair in found["changed"]] == ["b.csv"]


def test_what_a_file_holds_is_harmless_to_a_terminal(lineal, put):
    put({"evil.txt": "a\n", "s.jsonl": '{"id": 1}\n'})
    put({"evil.txt": "\x1b[2J\n", "s.jsonl": json.dumps({"id": "\x1b[2J", "\x1bk": 1}) + "\n"})
    out = lineal("artifact", "diff", "demo/data:v0", "demo/data", "--content").out
    assert "\x1b[2J" not in out
    assert "[2J" in out
