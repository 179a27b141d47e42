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


def test_in_a_work_tree_names_without_a_project_are_of_its_project(lineal):
    Path(".git").mkdir()
    Path("data.csv").write_text("1\n")
    assert "ana/work/data.csv:v0" in lineal("artifact", "put", "data.csv").out
    assert lineal("artifact", "show", "data.csv", "--json").json["name"] == "ana/work/data.csv:v0"
    (run,) = lineal("run", "ls", "work", "--json").json
    assert lineal("run", "show", run["id"]).code == 0


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


def test_verify_lists_all_that_is_wrong_in_a_folder(lineal, photos):
    lineal("artifact", "get", "demo/photos", "--root", "copy")
    assert lineal("artifact", "verify", "demo/photos", "--root", "copy", "--json").json == []
    Path("copy/a.txt").write_text("FIRST\n")
    Path("copy/cats/b.txt").unlink()
    Path("copy/extra.txt").touch()
    answer = lineal("artifact", "verify", "demo/photos", "--root", "copy", fails=True)
    assert answer.code == 7
    assert [line.split() for line in answer.out.splitlines()] == [
        ["what", "file"], ["changed", "a.txt"], ["missing", "cats/b.txt"], ["extra", "extra.txt"],
    ]  # fmt: skip
    assert "a.txt in " in answer.err
    assert "; 3 files are wrong in all\n" in answer.err
    found = lineal("artifact", "verify", "demo/photos", "--root", "copy", "--json", fails=True)
    assert found.json[1] == {"path": "cats/b.txt", "what": "missing"}


def test_verify_lists_the_first_of_many(lineal, photos):
    Path("wrong").mkdir()
    for number in range(30):
        Path("wrong", f"{number:02}").touch()
    answer = lineal("artifact", "verify", "demo/photos", "--root", "wrong", fails=True)
    assert len(answer.out.splitlines()) == 21
    assert "… and 12 more; `--json` lists them all" in answer.err


def test_verify_names_each_file_whose_stored_bytes_are_lost(lineal, photos, home):
    for blob in (home / "blobs" / "sha256").rglob("*-*"):
        blob.unlink()
    answer = lineal("artifact", "verify", "demo/photos", fails=True)
    assert [line.split()[1] for line in answer.out.splitlines()] == ["file", "a.txt", "cats/b.txt"]
    assert "error: The bytes of a.txt in ana/demo/photos:v0 are not stored; 2 files" in answer.err


def test_sizes_that_nobody_told_are_shown_as_not_known(lineal):
    Path("empty").touch()
    with sdk.init(project="demo") as run:
        artifact = sdk.Artifact("links", "dataset")
        artifact.add_reference(Path("empty").absolute().as_uri(), name="empty")
        artifact.add_reference(Path("empty").absolute().as_uri(), name="unread", checksum=False)
        artifact.add_reference("tape://17/4", name="tape")
        run.log_artifact(artifact).wait()
        run.log_artifact(sdk.Artifact("none", "dataset")).wait()
    shown = lineal("artifact", "show", "demo/links").out
    assert [line.split()[:3] for line in shown.splitlines() if "->" in line] == [
        ["0", "B", "empty"],
        ["?", "tape", "->"],
        ["?", "unread", "->"],
    ]
    entries = lineal("artifact", "show", "demo/links", "--json").json["entries"]
    assert [entry["size"] for entry in entries] == [0, None, None]
    answer = lineal("artifact", "diff", "demo/none:v0", "demo/links:v0").out
    assert "+ tape  ?\n" in answer


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
    assert "2 references not checked; `lineal ref check demo/mixed` does that" in answer.err
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


def test_diff_of_many_files_lists_some_of_each_kind(lineal, photos):
    for number in range(30):
        (photos / f"old{number:02}.txt").write_text(str(number))
    lineal("artifact", "put", str(photos), "-n", "demo/photos")
    for number in range(30):
        (photos / f"old{number:02}.txt").rename(photos / f"new{number:02}.txt")
        (photos / f"more{number:02}.txt").write_text(f"more {number}")
    lineal("artifact", "put", str(photos), "-n", "demo/photos")
    words = ("artifact", "diff", "demo/photos:v1", "demo/photos:v2")
    some, everything = lineal(*words), lineal(*words, "--files")
    assert some.out.count("\n") == 1 + 20 + 20 + 1
    assert some.out.endswith("30 added, 0 removed, 0 changed, 30 renamed\n")
    note = "Only the first 20 of each kind are listed; `--files` lists them all\n"
    assert some.err == note + everything.err
    assert everything.out.count("\n") == 1 + 30 + 30 + 1
    assert everything.err.startswith("Different runs logged them: `lineal run diff ana/demo/")
    assert lineal(*everything.err.split("`")[1].split()[1:]).out.endswith(
        "same: run, config, summary, machine, used, packages\n"
    )


def test_diff_of_equal_versions_says_same(lineal, photos):
    assert "same files" in lineal("artifact", "diff", "demo/photos:v0", "demo/photos:raw").out


def test_commands_share_one_backend_with_the_sdk(lineal, photos):
    assert session.open_backend(load()) is session.open_backend(load())
