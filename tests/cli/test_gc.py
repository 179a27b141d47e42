"""`lineal gc`, `storage`, `deletions`, and what brings deleted things back."""

from __future__ import annotations

import json
import os

import pytest

import lineal as sdk
from lineal.blobs.local import LocalStore
from lineal.client import session
from lineal.core.retention import Restored


@pytest.fixture(autouse=True)
def nothing_can_be_undone_for_long(monkeypatch):
    monkeypatch.setenv("LINEAL_UNDO_DAYS", "0")


def put(lineal, photos, text: str) -> None:
    (photos / "a.txt").write_text(text)
    lineal("artifact", "put", str(photos), "-n", "demo/photos")


def stored(home) -> list[bytes]:
    return sorted(path.read_bytes() for path in (home / "blobs").rglob("*") if path.is_file())


def test_gc_frees_what_was_deleted_and_nothing_else(lineal, photos, home):
    put(lineal, photos, "other\n")
    lineal("artifact", "rm", "demo/photos:v0", "--delete-aliases", "--yes")
    planned = lineal("gc", "--dry-run", "--json").json
    assert b"first\n" in stored(home)
    assert planned["release"]["versions"][0]["name"] == "ana/demo/photos:v0"
    assert planned["release"]["versions"][0]["freed_bytes"] == len("first\n")
    assert planned["release"]["versions"][0]["shared_bytes"] == len("second\n")
    assert planned["freed_bytes"] == len("first\n")
    assert "ana/demo/photos:v0: frees 6 B, 7 B stay" in lineal("gc", "--dry-run").out
    swept = lineal("gc", "--json").json
    assert (swept["released"], swept["freed_bytes"]) == (1, planned["freed_bytes"])
    assert b"first\n" not in stored(home)
    assert {b"other\n", b"second\n"} <= set(stored(home))
    assert lineal("artifact", "verify", "demo/photos:v1").code == 0
    assert "Freed 0 B" in lineal("gc").out
    gone = lineal("artifact", "restore", "demo/photos:v0", fails=True)
    assert gone.code == 4
    assert "cannot come back" in gone.err


def test_the_plan_says_whether_what_expires_can_be_restored(lineal, photos, monkeypatch):
    put(lineal, photos, "other\n")
    lineal("retention", "set", "demo/photos", "--keep-last", "1", "--yes")
    planned = lineal("gc", "--dry-run").out
    assert "1 version to expire, losing all content at once" in planned
    assert "restorable" not in planned
    assert lineal("gc", "--dry-run", "--json").json["is_final"] is True
    monkeypatch.setenv("LINEAL_UNDO_DAYS", "7")
    session.close()
    planned = lineal("gc", "--dry-run").out
    assert "1 version to expire, restorable until the undo period ends" in planned
    swept = lineal("gc", "--yes")
    assert "Freed 0 B" in swept.out
    assert "keeps its bytes as long as it can be restored" in swept.err
    assert lineal("gc", "--yes").err == swept.err
    lineal("deletions", "--restore", "1")
    assert lineal("gc", "--yes").err == ""


def test_purge_removes_content_at_once_and_proves_it(lineal, photos, home, monkeypatch):
    monkeypatch.setenv("LINEAL_UNDO_DAYS", "7")
    session.close()
    put(lineal, photos, "other\n")
    asked = lineal("gc", "--purge", "demo/photos:v0", fails=True)
    assert "--yes" in asked.err
    proof = lineal("gc", "--purge", "demo/photos:v0", "--yes", "--json").json
    assert len(proof["removed"]) == 1
    assert proof["removed_bytes"] == len("first\n")
    assert proof["versions"] == ["ana/demo/photos:v0"]
    assert proof["kept"][0]["needed_by"]
    assert b"first\n" not in stored(home)
    assert lineal("artifact", "get", "demo/photos:v1").code == 0
    whole = lineal("gc", "--purge", "demo/photos", "--yes").out
    assert "Purged ana/demo/photos: 2 keys" in whole
    assert not {b"first\n", b"second\n", b"other\n"} & set(stored(home))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("photos:v0", "ana/demo/photos:v0"),
        ("photos", "ana/demo/photos"),
        ("lineal-artifact://demo/photos:v0", "ana/demo/photos:v0"),
        ("wandb-artifact://ana/demo/photos", "ana/demo/photos"),
    ],
)
def test_a_name_to_purge_is_read_as_by_every_other_command(
    lineal, photos, home, monkeypatch, name, what
):
    monkeypatch.setenv("LINEAL_PROJECT", "demo")
    put(lineal, photos, "other\n")
    proof = lineal("gc", "--purge", name, "--yes", "--json").json
    assert proof["what"] == what
    assert (b"other\n" in stored(home)) == what.endswith(":v0")
    assert b"first\n" not in stored(home)


@pytest.mark.parametrize(
    "words", [("--force",), ("--purge", "demo/photos", "--dry-run")], ids=["force", "dry run"]
)
def test_gc_refuses_what_makes_no_sense(lineal, photos, words):
    assert lineal("gc", *words, fails=True).code == 2


@pytest.mark.parametrize("name", ["demo/nope", "demo/photos:v9"])
def test_purge_looks_for_the_name_before_it_asks(lineal, photos, name):
    answer = lineal("gc", "--purge", name, fails=True)
    assert answer.code == 4
    assert "--yes" not in answer.err


def test_purge_of_a_linked_version_needs_force(lineal, photos, home):
    lineal("artifact", "link", "demo/photos:v0", "registry/photos")
    assert lineal("gc", "--purge", "demo/photos:v0", "--yes", fails=True).code == 5
    assert b"first\n" in stored(home)
    lineal("gc", "--purge", "demo/photos:v0", "--yes", "--force")
    assert not {b"first\n", b"second\n"} & set(stored(home))


def test_storage_says_what_is_own_shared_and_pending(lineal, photos, monkeypatch):
    monkeypatch.setenv("LINEAL_UNDO_DAYS", "7")
    session.close()
    put(lineal, photos, "other\n")
    whole = lineal("storage", "--json").json
    assert whole["rows"][0]["name"] == "ana/demo"
    rows = {row["name"]: row for row in lineal("storage", "demo/photos", "--json").json["rows"]}
    assert rows["ana/demo/photos:v0"]["own_bytes"] == len("first\n")
    assert rows["ana/demo/photos:v0"]["shared_bytes"] == len("second\n")
    lineal("artifact", "rm", "demo/photos:v0", "--delete-aliases", "--yes")
    assert lineal("storage", "demo", "--json").json["pending_bytes"] == len("first\n")
    assert "pending deletion" in lineal("storage", "demo").out


def test_storage_counts_what_belongs_to_nothing(lineal, photos, home):
    lost = home / "blobs" / "parts" / "lost"
    lost.parent.mkdir(exist_ok=True)
    lost.write_bytes(b"x" * 5000)
    assert "unfinished uploads  4.9 KiB" in lineal("storage").out
    os.utime(lost, (0, 0))
    said = lineal("storage")
    assert "orphaned            4.9 KiB" in said.out
    assert "`lineal gc` frees what is orphaned" in said.err
    lineal("gc")
    assert "orphaned            0 B" in lineal("storage").out


def test_deletions_are_listed_and_undone(lineal, photos, monkeypatch):
    monkeypatch.setenv("LINEAL_UNDO_DAYS", "7")
    session.close()
    lineal("artifact", "rm", "demo/photos:v0", "--delete-aliases", "--yes")
    (listed,) = lineal("deletions", "--json").json
    assert (listed["what"], listed["deleted_by"]) == ("ana/demo/photos:v0", "ana")
    assert "1 version" in lineal("deletions").out
    restored = lineal("deletions", "--restore", str(listed["id"]), "--json").json
    assert (restored["versions"], restored["aliases"]) == (1, 2)
    assert "restored" in lineal("deletions").out
    assert lineal("artifact", "show", "demo/photos:raw").code == 0
    assert lineal("deletions", "--restore", "99", fails=True).code == 4


def test_a_version_and_a_collection_come_back(lineal, photos, monkeypatch):
    monkeypatch.setenv("LINEAL_UNDO_DAYS", "7")
    session.close()
    lineal("artifact", "rm", "demo/photos:v0", "--delete-aliases", "--yes")
    said = lineal("artifact", "show", "demo/photos:v0", fails=True)
    assert "lineal artifact restore ana/demo/photos:v0" in said.err
    restored = lineal("artifact", "restore", "demo/photos:v0", "--json").json
    assert restored == {
        "name": "ana/demo/photos:v0",
        "aliases": ["latest", "raw"],
        "versions": 1,
        "expires_at": None,
    }
    put(lineal, photos, "other\n")
    lineal("artifact", "rm", "demo/photos", "--all", "--yes")
    assert "2 versions, 2 aliases" in lineal("artifact", "restore", "demo/photos").out


def test_what_was_not_deleted_is_not_restored(lineal, photos):
    answer = lineal("artifact", "restore", "demo/photos:v0")
    assert answer.out == ""
    assert "was not deleted" in answer.err
    assert lineal("artifact", "restore", "demo/photos:v0", "--json").json["versions"] == 0
    assert sdk.Api().restore("demo/photos:v0") == Restored()


@pytest.mark.parametrize(
    "words",
    [
        ("deletions", "--restore", "99"),
        ("artifact", "restore", "demo/photos:v9"),
        ("artifact", "restore", "demo/photos"),
        ("run", "restore", "demo/nothing"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_restored_says_where_to_look(lineal, photos, words):
    answer = lineal(*words, fails=True)
    assert answer.code == 4
    assert "`lineal deletions` lists" in answer.err


def test_runs_and_projects_come_back(lineal, photos, monkeypatch):
    monkeypatch.setenv("LINEAL_UNDO_DAYS", "7")
    session.close()
    (run,) = lineal("run", "ls", "demo", "--json").json
    lineal("run", "rm", run["path"], "--delete-artifacts", "--yes")
    assert "lineal run restore" in lineal("run", "show", run["path"], fails=True).err
    assert lineal("run", "restore", run["path"], "--json").json["id"] == run["id"]
    assert lineal("artifact", "show", "demo/photos:v0").code == 0
    assert "--yes" in lineal("project", "rm", "demo", fails=True).err
    lineal("project", "rm", "demo", "--yes")
    gone = lineal("artifact", "ls", "demo", fails=True)
    assert "lineal project restore ana/demo" in gone.err
    restored = lineal("project", "restore", "demo")
    assert "1 project, 1 run, 1 version, 2 aliases" in restored.out
    assert "Nothing of ana/demo is deleted" in lineal("project", "restore", "demo").err


def test_a_run_with_linked_artifacts_needs_force(lineal, photos):
    (run,) = lineal("run", "ls", "demo", "--json").json
    lineal("artifact", "link", "demo/photos:v0", "registry/photos")
    words = ("run", "rm", run["path"], "--delete-artifacts", "--yes")
    assert lineal(*words, fails=True).code == 5
    lineal(*words, "--force")


def test_a_run_frees_space_at_its_end_once_a_day(lineal, photos, home, capsys):
    put(lineal, photos, "other\n")
    lineal("artifact", "rm", "demo/photos:v0", "--delete-aliases", "--yes")
    session.close()

    def finish(**settings: object) -> str:
        with sdk.init(project="demo", settings={"console": "off", **settings}):
            pass
        return capsys.readouterr().err

    (home / "gc.last").write_text("2020-01-01T00:00:00+00:00")
    assert "freed" not in finish(auto_gc=False)
    assert b"first\n" in stored(home)
    assert "freed 6 B of deleted content" in finish()
    assert b"first\n" not in stored(home)
    assert "freed" not in finish()
    (home / "gc.last").write_text("nonsense")
    finish()
    (home / "gc.last").unlink()
    (home / "gc.last").mkdir()
    assert "space could not be freed" in finish()


def test_a_plan_is_json_all_the_way(lineal, photos):
    lineal("artifact", "rm", "demo/photos:v0", "--delete-aliases", "--yes")
    assert json.loads(lineal("gc", "--dry-run", "--json").out)["made_at"]


def test_files_that_stay_for_one_reason_are_told_in_one_line(lineal, photos, monkeypatch):
    monkeypatch.setattr(
        LocalStore, "delete", lambda self, keys: [(k, OSError("busy")) for k in keys]
    )
    lineal("artifact", "rm", "demo/photos:v0", "--delete-aliases", "--yes")
    answer = lineal("gc", "--yes", fails=True)
    (line,) = (line for line in answer.err.splitlines() if line.endswith("busy"))
    assert " and others: " in line
    assert "2 files could not be deleted" in answer.err
