from __future__ import annotations

import os
from pathlib import Path

import lineal as sdk


def log_offline(name: str, text: str) -> str:
    with sdk.init(project="demo", mode="offline", id=name) as run:
        artifact = sdk.Artifact("measured", "dataset")
        with artifact.new_file("values.txt") as file:
            file.write(text)
        run.log_artifact(artifact)
        run.log({"loss": 0.5})
    return name


def test_sync_brings_offline_runs_home_once(lineal):
    log_offline("first", "1")
    log_offline("second", "2")
    said = lineal("sync", "--sync-all").out
    assert "→ ana/demo/first: " in said
    assert said.count("\n  measured:v0 is measured:v1 there\n") == 1
    again = lineal("sync", "--json").json
    assert [result["was_synced"] for result in again] == [True, True]
    lineal("sync", "--again")
    assert {run["id"] for run in lineal("run", "ls", "demo", "--json").json} == {"first", "second"}
    versions = lineal("artifact", "ls", "demo/measured", "--json").json
    assert len(versions) == 2
    assert len(lineal("run", "history", "demo/first", "--json").json) == 1


def test_sync_with_nothing_to_do_says_so(lineal):
    said = lineal("sync").err
    assert f"No offline runs in {os.path.abspath('lineal')}" in said
    assert 'mode="offline"' in said


def test_sync_can_put_a_run_elsewhere_and_remove_its_folder(lineal):
    log_offline("first", "1")
    (folder,) = Path("lineal").iterdir()
    words = ("sync", str(folder), "-p", "other", "-e", "ana", "--id", "renamed")
    assert "removed" not in lineal(*words).out
    assert lineal(*words, "--clean").out == f"{folder}: copied before; the folder is removed\n"
    assert not folder.exists()
    assert lineal("run", "show", "other/renamed", "--json").json["state"] == "finished"


def test_a_folder_that_is_named_twice_is_synced_once(lineal):
    log_offline("first", "1")
    (folder,) = Path("lineal").iterdir()
    Path("lineal", "latest").symlink_to(folder.name)
    words = ("sync", "lineal", str(folder), f"./{folder}", "--id", "other", "--clean", "--json")
    assert [result["run"] for result in lineal(*words).json] == ["ana/demo/other"]
    assert not folder.exists()


def test_the_folder_that_one_is_in_is_not_removed(lineal, monkeypatch):
    log_offline("first", "1")
    (folder,) = Path("lineal").iterdir()
    folder = folder.resolve()
    with monkeypatch.context() as inside:
        inside.chdir(folder / "files" if (folder / "files").is_dir() else folder)
        answer = lineal("sync", str(folder), "--clean", fails=True)
        assert f"You are in {folder}, so it is not deleted" in answer.err
    assert "copied before; the folder is removed" in lineal("sync", "--clean").out


def test_a_folder_inside_of_one_stands_for_it(lineal, monkeypatch):
    """Programs know `run.dir`: wandb-osh has what is above that copied."""
    with sdk.init(project="demo", mode="offline", id="first") as run:
        run.log({"loss": 0.5})
    monkeypatch.chdir(Path(run.dir).parent)
    assert "→ ana/demo/first: 1 line" in lineal("sync", ".").out
    assert "You are in " in lineal("sync", ".", "--clean", fails=True).err


def test_sync_of_a_folder_without_runs_is_an_error(lineal):
    assert lineal("sync", "nowhere", fails=True).code == 4
    Path("empty").mkdir()
    answer = lineal("sync", "empty", fails=True)
    assert answer.code == 4
    assert 'mode="offline"' in answer.err
    Path("file").touch()
    assert "file is a file" in lineal("sync", "file", fails=True).err


def test_sync_that_fails_says_where_and_goes_on(lineal):
    log_offline("first", "1")
    log_offline("second", "2")
    first, _ = sorted(Path("lineal").iterdir(), key=lambda path: path.name.split("-")[-1])
    (first / "lineal.db").write_bytes(b"not a database" * 100)
    answer = lineal("sync", fails=True)
    assert str(first) in answer.err
    assert [run["id"] for run in lineal("run", "ls", "demo", "--json").json] == ["second"]


def test_each_failure_is_named_with_its_folder(lineal):
    for name in ("first", "second"):
        log_offline(name, name)
        sdk.init(project="demo", id=name).finish()
    answer = lineal("sync", fails=True)
    assert "Not copied, 2 things:" in answer.err
    assert answer.err.count(": the run: ") + answer.err.count("--id NEW") >= 2


def test_sync_can_go_without_what_is_gone(lineal):
    log_offline("first", "1")
    lineal("sync")
    with sdk.init(project="demo", mode="offline", id="second") as run:
        run.use_artifact("measured:v0")
    lineal("artifact", "rm", "demo/measured:v0", "--delete-aliases", "--yes")
    answer = lineal("sync", "--clean", fails=True)
    assert "Version ana/demo/measured:v0 was deleted" in answer.err
    (result,) = lineal("sync", "--clean", "--skip-gone", "--json").json
    assert "ana/demo/measured:v0" in result["skipped"][0]
    assert result["renumbered"] == {}
    assert list(Path("lineal").iterdir()) == []
