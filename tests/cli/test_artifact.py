from __future__ import annotations

import os
from pathlib import Path

import pytest

import lineal as sdk
from lineal.client import session
from lineal.config import load


def names(folder: Path | str) -> list[str]:
    found = [
        os.path.relpath(os.path.join(where, name), folder)
        for where, _, files in os.walk(folder)
        for name in files
    ]
    return sorted(found)


def test_put_prints_the_line_that_uses_it(lineal):
    Path("data.csv").write_text("1\n")
    answer = lineal("artifact", "put", "data.csv", "-n", "demo/data")
    assert answer.out == 'artifact = run.use_artifact("ana/demo/data:v0")\n'
    assert "ana/demo/data:v0: 1 file" in answer.err


def test_put_names_the_artifact_after_the_path(lineal):
    Path("my data.csv").write_text("1\n")
    assert "ana/uncategorized/my_data.csv:v0" in lineal("artifact", "put", "my data.csv").out
    assert lineal("artifact", "show", "my_data.csv").code == 0


def test_in_a_work_tree_names_without_a_project_are_of_its_project(lineal):
    Path(".git").mkdir()
    Path("data.csv").write_text("1\n")
    assert "ana/work/data.csv:v0" in lineal("artifact", "put", "data.csv").out
    assert lineal("artifact", "show", "data.csv", "--json").json["name"] == "ana/work/data.csv:v0"
    (run,) = lineal("run", "ls", "work", "--json").json
    assert lineal("run", "show", run["id"]).code == 0


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


@pytest.mark.parametrize(("option", "value"), [("-a", ""), ("-a", "v3"), ("--tag", "a/b")])
def test_put_refuses_labels_that_cannot_be_before_it_reads_anything(lineal, option, value):
    Path("data.csv").write_text("1\n")
    words = ("artifact", "put", "data.csv", "-n", "demo/data", option, value)
    answer = lineal(*words, fails=True)
    assert len(answer.err.splitlines()) == 1
    assert lineal("project", "ls", "--json").json == []


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


def test_put_leaves_out_what_linealignore_names(lineal, photos):
    (photos / ".linealignore").write_text("cats/\n")
    lineal("artifact", "put", str(photos), "-n", "demo/some")
    entries = lineal("artifact", "show", "demo/some", "--json").json["entries"]
    assert "cats/b.txt" not in [entry["path"] for entry in entries]
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


@pytest.mark.parametrize("metadata", ["{", "[1]"])
def test_put_refuses_metadata_that_is_no_json_object(lineal, metadata):
    Path("x").write_text("x")
    answer = lineal("artifact", "put", "x", "--metadata", metadata, fails=True)
    assert answer.code == 2
    assert "--metadata" in answer.err


def test_get_fetches_into_a_folder_and_prints_it(lineal, photos):
    answer = lineal("artifact", "get", "demo/photos:v0", "--root", "copy")
    assert Path(answer.out.strip()).samefile("copy")
    assert names("copy") == ["a.txt", "cats/b.txt"]


def test_get_takes_globs(lineal, photos):
    lineal("artifact", "get", "demo/photos", "--root", "copy", "--exclude", "a.*")
    lineal("artifact", "get", "demo/photos", "--root", "cats", "--include", "cats/*")
    assert names("cats") == ["cats/b.txt"]
    assert names("copy") == ["cats/b.txt"]


def test_get_can_go_without_references_that_lead_nowhere(lineal, photos):
    lineal("artifact", "put", photos.absolute().as_uri(), "-n", "demo/far")
    (photos / "a.txt").unlink()
    assert lineal("artifact", "get", "demo/far", "--root", "copy", fails=True).code == 4
    answer = lineal("artifact", "get", "demo/far", "--root", "rest", "--allow-missing-references")
    assert (names("rest"), "a.txt" in answer.err) == (["cats/b.txt"], True)
    assert answer.err.endswith("demo/far:v0: 1 of 2 files, 7 B\n")


def test_get_says_how_much_of_the_version_it_fetched(lineal, photos):
    answer = lineal("artifact", "get", "demo/photos", "--root", "out", "--include", "cats/**")
    assert answer.err.strip().endswith("demo/photos:v0: 1 file, 7 B")


@pytest.mark.parametrize("words", [("--include", "nope*"), ("--exclude", "*")])
def test_globs_that_leave_nothing_are_an_error_and_leave_nothing_behind(lineal, photos, words):
    answer = lineal("artifact", "get", "demo/photos", "--root", "out", *words, fails=True)
    assert answer.code == 4
    assert f"{words[0]} '{words[1]}'" in answer.err
    assert not os.path.exists("out")
    answer = lineal("artifact", "put", str(photos), "-n", "demo/none", *words, fails=True)
    assert answer.code == 2
    assert f"{words[0]} '{words[1]}'" in answer.err
    lineal("artifact", "ls", "demo/none", fails=True)


def test_get_of_the_wrong_type_is_refused(lineal, photos):
    answer = lineal("artifact", "get", "demo/photos", "-t", "model", fails=True)
    assert "dataset" in answer.err


def test_get_of_an_unknown_alias_names_those_there(lineal, photos):
    answer = lineal("artifact", "get", "demo/photos:rav", fails=True)
    assert answer.code == 4
    assert "ana/demo/photos" in answer.err
    assert "raw" in answer.err


def test_get_records_no_use(lineal, photos):
    lineal("artifact", "get", "demo/photos", "--root", "copy")
    assert lineal("artifact", "show", "demo/photos", "--json").json["used_by"] == []


def test_checkout_deletes_what_is_not_in_the_version(lineal, photos):
    lineal("artifact", "get", "demo/photos", "--root", "copy")
    Path("copy/extra.txt").write_text("x")
    lineal("artifact", "checkout", "demo/photos", "--root", "copy", "--dry-run")
    assert "extra.txt" in names("copy")
    lineal("artifact", "checkout", "demo/photos", "--root", "copy")
    assert names("copy") == ["a.txt", "cats/b.txt"]


def test_verify_finds_a_changed_file(lineal, photos):
    lineal("artifact", "get", "demo/photos", "--root", "copy")
    assert "2 files correct" in lineal("artifact", "verify", "demo/photos", "--root", "copy").out
    Path("copy/a.txt").write_text("FIRST\n")
    answer = lineal("artifact", "verify", "demo/photos", "--root", "copy", fails=True)
    assert answer.code == 7
    assert "a.txt" in answer.err


def test_verify_does_not_count_references_as_correct(lineal, photos):
    Path("mixed").mkdir()
    (Path("mixed") / "kept.txt").write_text("1")
    with sdk.init(project="demo") as run:
        mixed = sdk.Artifact("mixed", "dataset")
        mixed.add_dir("mixed")
        mixed.add_reference(photos.absolute().as_uri(), name="photos")
        run.log_artifact(mixed).wait()
    lineal("artifact", "get", "demo/mixed", "--root", "copy")
    answer = lineal("artifact", "verify", "demo/mixed", "--root", "copy")
    assert ": 1 file correct" in answer.out
    assert "2 references were not checked" in answer.err
    answer = lineal("artifact", "verify", "demo/mixed")
    assert ": 1 file correct" in answer.out
    assert "2 references not checked" in answer.err


def test_verify_of_a_folder_that_is_not_there_is_no_damage(lineal, photos):
    answer = lineal("artifact", "verify", "demo/photos", "--root", "nowhere", fails=True)
    assert answer.code == 2
    assert "nowhere is not a folder" in answer.err


def test_verify_without_root_checks_the_stored_bytes(lineal, photos, damage):
    assert "2 files correct" in lineal("artifact", "verify", "demo/photos").out
    damage(b"second\n")
    assert lineal("artifact", "verify", "demo/photos", fails=True).code == 7


def test_put_keeps_empty_folders_if_it_is_told_to(lineal, photos):
    (photos / "dogs").mkdir()
    lineal("artifact", "put", str(photos), "-n", "demo/kept", "--empty-dirs")
    root = Path(lineal("artifact", "get", "demo/kept", "--root", "out").out.strip())
    assert [path.name for path in (root / "dogs").iterdir()] == [".linealkeep"]
    refused = lineal("artifact", "put", str(photos / "a.txt"), "--empty-dirs", fails=True)
    assert "`--empty-dirs` is for folders" in refused.err


def test_diff_tells_added_removed_changed_and_renamed_apart(lineal, photos):
    (photos / "a.txt").rename(photos / "renamed.txt")
    (photos / "cats" / "b.txt").write_text("changed\n")
    (photos / "new.txt").write_text("new\n")
    lineal("artifact", "put", str(photos), "-n", "demo/photos", "--metadata", '{"rows": 2}')
    answer = lineal("artifact", "diff", "demo/photos:v0", "demo/photos:v1")
    assert "+ new.txt" in answer.out
    assert "~ cats/b.txt" in answer.out
    assert "> a.txt → renamed.txt" in answer.out
    assert "1 added, 0 removed, 1 changed, 1 renamed" in answer.out
    assert "+ metadata.rows = 2" in answer.out
    as_json = lineal("artifact", "diff", "demo/photos:v1", "demo/photos:v0", "--json").json
    assert [entry["path"] for entry in as_json["removed"]] == ["new.txt"]
    assert as_json["metadata"]["removed"] == {"rows": 2}


def test_diff_of_equal_versions_says_same(lineal, photos):
    assert "same files" in lineal("artifact", "diff", "demo/photos:v0", "demo/photos:raw").out


def test_commands_share_one_backend_with_the_sdk(lineal, photos):
    assert session.open_backend(load()) is session.open_backend(load())
