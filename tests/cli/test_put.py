from __future__ import annotations

import os
from pathlib import Path

import pytest


def test_put_prints_the_line_that_uses_it(lineal):
    Path("data.csv").write_text("1\n")
    answer = lineal("artifact", "put", "data.csv", "-n", "demo/data")
    assert answer.out == 'artifact = run.use_artifact("ana/demo/data:v0")\n'
    assert "ana/demo/data:v0: 1 file" in answer.err


def test_put_names_the_artifact_after_the_path(lineal):
    Path("my data.csv").write_text("1\n")
    assert "ana/uncategorized/my_data.csv:v0" in lineal("artifact", "put", "my data.csv").out
    assert lineal("artifact", "show", "my_data.csv").code == 0


def test_put_records_everything_it_is_told(lineal):
    Path("model.txt").write_text("weights")
    lineal(
        *("artifact", "put", "model.txt", "-n", "demo/net", "-t", "model", "-a", "good"),
        *("-a", "prod", "-d", "a net", "--metadata", '{"layers": 3}', "--tag", "small"),
    )
    shown = lineal("artifact", "show", "demo/net:prod", "--json").json
    assert shown["type"] == "model"
    assert sorted(shown["aliases"]) == ["good", "latest", "prod"]
    assert shown["description"] == "a net"
    assert shown["metadata"] == {"layers": 3}
    assert shown["tags"] == ["small"]
    assert [entry["path"] for entry in shown["entries"]] == ["model.txt"]


@pytest.mark.parametrize(
    ("option", "value"),
    [("-a", ""), ("-a", "v3"), ("--tag", "a/b"), ("--id", "a/b"), ("-n", "a?b/data")],
)
def test_put_refuses_names_that_cannot_be_before_it_reads_anything(lineal, option, value):
    os.mkfifo("data.csv")  # which is refused when it is read
    words = ("artifact", "put", "data.csv", "-n", "demo/data", option, value)
    answer = lineal(*words, fails=True)
    assert len(answer.err.splitlines()) == 1
    assert "data.csv" not in answer.err
    assert lineal("project", "ls", "--json").json == []


def test_put_refuses_another_type_before_it_reads_anything(lineal, photos):
    os.mkfifo("other")  # which is refused when it is read
    answer = lineal("artifact", "put", "other", "-n", "demo/photos", "-t", "model", fails=True)
    assert answer.err == (
        "error: Artifact ana/demo/photos has type `dataset`, not `model`; say `--type dataset`, "
        "or use another name\n"
    )


def test_put_refuses_a_run_that_began_before_it_reads_anything(lineal, photos):
    os.mkfifo("other")  # which is refused when it is read
    run = lineal("run", "ls", "demo", "--json").json[0]["id"]
    answer = lineal("artifact", "put", "other", "-n", "demo/more", "--id", run, fails=True)
    assert answer.err == (
        f"error: Run ana/demo/{run} exists already; `--resume` goes on with it. Leave out `--id` "
        "for a new run\n"
    )


def test_put_makes_no_other_name_of_words(lineal):
    Path("data.csv").write_text("1\n")
    answer = lineal("artifact", "put", "data.csv", "-n", "demo/My Data", fails=True)
    assert "'My Data'" in answer.err
    assert lineal("project", "ls", "--json").json == []


def test_put_runs_under_the_job_type_cli_put(lineal, photos):
    runs = lineal("run", "ls", "demo", "--json").json
    assert [run["job_type"] for run in runs] == ["cli_put"]


def test_put_again_makes_no_new_version(lineal, photos):
    answer = lineal("artifact", "put", str(photos), "-n", "demo/photos")
    assert "photos:v0" in answer.out
    assert "has this content already, so there is no new one" in answer.err
    assert "already" not in lineal("artifact", "put", str(photos), "-n", "demo/other").err


@pytest.mark.parametrize("source", [str, Path.as_uri])
def test_put_leaves_out_what_linealignore_names(lineal, photos, source):
    (photos / ".linealignore").write_text("cats/\n")
    lineal("artifact", "put", source(photos.absolute()), "-n", "demo/some")
    entries = lineal("artifact", "show", "demo/some", "--json").json["entries"]
    assert "cats/b.txt" not in [entry["path"] for entry in entries]
    assert ".linealignore" not in [entry["path"] for entry in entries]
    assert "a.txt" in [entry["path"] for entry in entries]


def test_put_takes_globs(lineal, photos):
    lineal("artifact", "put", str(photos), "-n", "demo/in", "--include", "cats/**")
    lineal("artifact", "put", str(photos), "-n", "demo/out", "--exclude", "cats/**")
    paths = {
        name: [each["path"] for each in lineal("artifact", "show", name, "--json").json["entries"]]
        for name in ("demo/in", "demo/out")
    }
    assert paths == {"demo/in": ["cats/b.txt"], "demo/out": ["a.txt"]}


def test_put_of_a_reference_takes_globs(lineal, photos):
    (photos / "junk.tmp").write_text("junk")
    uri = photos.absolute().as_uri()
    lineal("artifact", "put", uri, "-n", "demo/out", "--exclude", "*.tmp")
    lineal("artifact", "put", uri, "-n", "demo/in", "--include", "cats/**")
    paths = {
        name: [each["path"] for each in lineal("artifact", "show", name, "--json").json["entries"]]
        for name in ("demo/out", "demo/in")
    }
    assert paths == {"demo/out": ["a.txt", "cats/b.txt"], "demo/in": ["cats/b.txt"]}
    none = lineal("artifact", "put", uri, "-n", "demo/none", "--include", "*.jpg", fails=True)
    assert (none.code, "no files that `include` and" in none.err) == (2, True)


def test_put_refuses_options_that_would_change_nothing(lineal, photos):
    uri = photos.absolute().as_uri()
    answer = lineal("artifact", "put", uri, "-n", "demo/x", "--policy", "immutable", fails=True)
    assert (answer.code, "`--policy immutable`" in answer.err) == (2, True)
    for option in ("--include", "--exclude"):
        one = str(photos / "a.txt")
        answer = lineal("artifact", "put", one, "-n", "demo/x", option, "*.txt", fails=True)
        assert (answer.code, f"{one} is one file" in answer.err) == (2, True)


def test_put_of_a_reference_can_do_without_a_checksum(lineal, photos):
    uri = (photos / "a.txt").absolute().as_uri()
    lineal("artifact", "put", uri, "-n", "demo/far", "--no-checksum")
    (photos / "a.txt").write_text("changed\n")
    again = lineal("artifact", "put", uri, "-n", "demo/far", "--no-checksum")
    assert "demo/far:v0" in again.out
    path = str(photos / "a.txt")
    answer = lineal("artifact", "put", path, "-n", "demo/near", "--no-checksum", fails=True)
    assert (answer.code, f"{path} is a path" in answer.err) == (2, True)


def test_put_names_what_it_adds(lineal, photos):
    def paths(name: str) -> list[str]:
        return [each["path"] for each in lineal("artifact", "show", name, "--json").json["entries"]]

    answer = lineal("artifact", "put", "foo://x/y", "-n", "demo/far", fails=True)
    assert "--as NAME" in answer.err
    lineal("artifact", "put", "foo://x/y", "-n", "demo/far", "--as", "y")
    assert paths("demo/far") == ["y"]
    lineal("artifact", "put", str(photos / "a.txt"), "-n", "demo/one", "--as", "in/b.txt")
    assert paths("demo/one") == ["in/b.txt"]
    lineal("artifact", "put", str(photos), "-n", "demo/all", "--as", "in")
    assert paths("demo/all") == ["in/a.txt", "in/cats/b.txt"]


@pytest.mark.parametrize("ref", ["v1", "foo"])
def test_put_and_ls_refuse_a_version_where_a_name_belongs(lineal, photos, ref):
    answer = lineal("artifact", "put", str(photos), "-n", f"demo/photos:{ref}", fails=True)
    assert answer.code == 2
    assert "--alias" in answer.err
    answer = lineal("artifact", "ls", f"demo/photos:{ref}", fails=True)
    assert answer.code == 2
    assert f"lineal artifact show demo/photos:{ref}" in answer.err


def test_put_says_where_the_mode_keeps_it_from_the_instance(lineal, photos, monkeypatch):
    monkeypatch.setenv("LINEAL_MODE", "disabled")
    answer = lineal("artifact", "put", str(photos))
    assert answer.out == ""
    assert "Nothing was stored: the mode here is `disabled`" in answer.err
    monkeypatch.setenv("LINEAL_MODE", "offline")
    answer = lineal("artifact", "put", str(photos))
    assert "offline-run-" in answer.err
    assert "until `lineal sync` brings it home" in answer.err


def test_put_can_continue_a_run(lineal, photos):
    run = lineal("run", "ls", "demo", "--json").json[0]
    Path("more.txt").write_text("more")
    lineal("artifact", "put", "more.txt", "-n", "demo/more", "--id", run["id"], "--resume")
    logged = lineal("run", "show", f"demo/{run['id']}", "--json").json["logged_artifacts"]
    assert logged == ["ana/demo/photos:v0", "ana/demo/more:v0"]


def test_put_of_nothing_says_so(lineal):
    answer = lineal("artifact", "put", "nowhere", fails=True)
    assert answer.code == 4
    assert answer.err.startswith("error: Nothing is at nowhere")


@pytest.mark.parametrize(
    "metadata",
    ["{", "[1]", f'{{"a": {"9" * 5000}}}', '{"a":' * 9000 + "1" + "}" * 9000],
    ids=["half", "list", "digits", "deep"],
)
def test_put_refuses_metadata_that_is_no_json_object(lineal, metadata):
    Path("x").write_text("x")
    answer = lineal("artifact", "put", "x", "--metadata", metadata, fails=True)
    assert answer.code == 2
    assert "metadata" in answer.err  # what of it is too deep, where Python reads it at all


def test_put_keeps_empty_folders_if_it_is_told_to(lineal, photos):
    (photos / "dogs").mkdir()
    lineal("artifact", "put", str(photos), "-n", "demo/kept", "--empty-dirs")
    root = Path(lineal("artifact", "get", "demo/kept", "--root", "out").out.strip())
    assert [path.name for path in (root / "dogs").iterdir()] == [".linealkeep"]
    refused = lineal("artifact", "put", str(photos / "a.txt"), "--empty-dirs", fails=True)
    assert "`--empty-dirs` is for folders" in refused.err
