from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import lineal as sdk


def test_status_shows_paths_sizes_and_counts(lineal, photos, home):
    answer = lineal("status")
    assert str(home / "lineal.db") in answer.out
    assert str(home / "blobs") in answer.out
    found = lineal("status", "--json").json
    assert found["entity"] == "ana"
    assert found["sizes"]["database"] > 0
    assert found["counts"]["versions"] == 1
    assert found["versions_bytes"] == len("first\nsecond\n")
    assert found["blob_bytes"] >= found["versions_bytes"]


def test_status_says_where_each_setting_came_from(lineal, home, monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "vision")
    home.mkdir(exist_ok=True)
    (home / "settings").write_text("[default]\nquiet = true\nstrict = true\n")
    Path(".lineal").write_text("[default]\nstrict = false\n")
    settings = lineal("status", "--json").json["settings"]
    assert settings["project"] == {"value": "vision", "source": "$WANDB_PROJECT"}
    assert settings["quiet"] == {"value": True, "source": str(home / "settings")}
    assert settings["strict"]["source"] == str(Path(".lineal").absolute())
    assert settings["mode"] == {"value": "online", "source": "default"}
    assert "$WANDB_PROJECT" in lineal("status").out


def test_verify_of_a_healthy_instance_finds_nothing(lineal, photos):
    assert lineal("verify", "--json").json == []
    assert "as it should be" in lineal("verify").err


def test_verify_says_which_bytes_are_wrong_and_fails(lineal, photos, damage):
    damage(b"first\n")
    answer = lineal("verify", fails=True)
    assert answer.code == 7
    assert hashlib.sha256(b"first\n").hexdigest() in answer.out
    assert "photos" in answer.out
    assert "1 problem found" in answer.err
    assert len(lineal("verify", "--json", fails=True).json) == 1


def test_version_is_printed(lineal):
    assert lineal("version").out == lineal("--version").out
    assert lineal("version").out.startswith("lineal ")
    assert "python" in lineal("version", "--json").json


def test_verify_goes_on_after_damage_in_the_database_and_names_all_of_it(lineal, photos, home):
    with sdk.init(project="demo", settings={"console": "off"}) as run:
        for _ in range(2):
            run.log({"loss": 0.5})
            run.flush()
    with closing(sqlite3.connect(home / "lineal.db")) as database, database:
        database.execute("UPDATE segments SET content = zeroblob(20)")
        database.execute("UPDATE line_chunks SET content = zeroblob(20) WHERE id = 1")
        database.execute("UPDATE line_chunks SET line_count = 77 WHERE id = 2")
        database.execute("UPDATE alias_moves SET after_number = 9 WHERE alias = 'latest'")
    findings = lineal("verify", "--json", fails=True).json
    assert [finding["invariant"] for finding in findings] == [
        "every move of an alias is recorded",
        "segment matches its digest",
        "lines of a run can be read",
        "lines of a run can be read",
    ]
    assert "instead of 77" in findings[-1]["what"]
    answer = lineal("artifact", "get", "demo/photos", "--root", "out", fails=True)
    assert answer.code == 7
    assert "manifest segment sha256:" in answer.err
