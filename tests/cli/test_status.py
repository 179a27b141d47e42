from __future__ import annotations

import hashlib
import os
import re
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

import lineal as sdk
from lineal.blobs.local import LocalStore
from lineal.cli import doctor
from lineal.client import session
from lineal.errors import Unavailable


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


def test_status_names_variables_that_nothing_reads(lineal, monkeypatch):
    monkeypatch.setenv("LINEAL_DEBUG", "0")
    assert "warning" not in lineal("status").err
    monkeypatch.setenv("LINEAL_PROJCT", "vision")
    monkeypatch.setenv("LINEAL_COLOUR", "blue")
    err = lineal("status").err
    assert "LINEAL_PROJCT is no variable of Lineal's and changes nothing; did you mean" in err
    assert "`LINEAL_PROJECT`?" in err
    assert "LINEAL_COLOUR is no variable of Lineal's and changes nothing\n" in err
    told = lineal("status", "--json").json["unknown_variables"]
    assert told == ["LINEAL_COLOUR", "LINEAL_PROJCT"]


def test_the_doctor_finds_nothing_wrong_where_all_is_well(lineal, photos, home):
    checks = {each["check"]: each for each in lineal("doctor", "--json").json}
    assert all(each["good"] for each in checks.values())
    assert {"versions", "home", "space", "clock", "database", "a whole round"} < set(checks)
    assert len(lineal("project", "ls", "--json").json) == 1  # the round was made elsewhere


def test_the_doctor_makes_a_run_of_its_own(lineal, monkeypatch):
    monkeypatch.setenv("LINEAL_RUN_ID", "train")
    monkeypatch.setenv("LINEAL_RESUME", "must")
    assert all(each["good"] for each in lineal("doctor", "--json").json)


def test_the_doctor_names_what_is_wrong(lineal, photos, home):
    database = home / "lineal.db"
    session.close()
    content = bytearray(database.read_bytes())
    content[4096:12288] = b"?" * 8192
    database.write_bytes(content)
    answer = lineal("doctor", fails=True)
    assert answer.code == 8
    assert "Something is wrong with: database" in answer.err
    assert "a whole round" in answer.out


def test_the_doctor_looks_at_each_disk_of_the_home(lineal, photos, home):
    shm = Path("/dev/shm")
    if not os.access(shm, os.W_OK) or shm.stat().st_dev == home.stat().st_dev:
        pytest.skip("needs a second file system")
    session.close()
    with tempfile.TemporaryDirectory(dir=shm) as other:
        shutil.move(home / "blobs", other)
        (home / "blobs").symlink_to(Path(other, "blobs"))
        checks = {each["check"]: each["told"] for each in lineal("doctor", "--json").json}
        session.close()
    assert re.fullmatch(rf".* free for {home}, .* free for {home}/blobs", checks["space"])


def test_the_doctor_says_where_inodes_are_scarce(lineal, photos, home, monkeypatch):
    if os.statvfs(home).f_files == 0:
        pytest.skip("this file system makes inodes as they are needed")
    monkeypatch.setattr(doctor, "INODES_LEAST", 1 << 60)
    answer = lineal("doctor", fails=True)
    assert "Something is wrong with: space" in answer.err
    assert re.search(r"and only [\d,]+ inodes \(`df -i`\); `lineal gc` frees", answer.out)


def test_the_doctor_names_a_home_that_cannot_be_written(lineal, monkeypatch):
    Path("file").write_text("")
    monkeypatch.setenv("LINEAL_HOME", "file/home")
    answer = lineal("doctor", fails=True)
    assert answer.err.endswith("error: Something is wrong with: home\n")
    assert "LINEAL_HOME" in answer.out
    assert "gc" not in answer.out


def test_verify_of_a_healthy_instance_finds_nothing(lineal, photos):
    assert lineal("verify", "--json").json == []
    assert "as it should be" in lineal("verify").err


def test_verify_reads_a_part_of_the_bytes_or_none_and_says_so(lineal, photos):
    assert "no stored bytes were read" in lineal("verify", "--quick").err
    assert "with the bytes of part 2 of 7" in lineal("verify", "--part", "2/7").err
    for part in ("8/7", "0/7", "2", "a/b", "/", "2/0", f"1/{'7' * 5000}"):
        assert f"`--part {part}` is no part" in lineal("verify", "--part", part, fails=True).err
    assert "give one of them" in lineal("verify", "--quick", "--part", "1/2", fails=True).err


def test_verify_calls_no_empty_folder_sound(lineal, monkeypatch, tmp_path):
    monkeypatch.setenv("LINEAL_HOME", str(tmp_path / "bakcup"))
    answer = lineal("verify", fails=True)
    assert answer.code == 4
    assert "Nothing was ever logged in" in answer.err
    assert not (tmp_path / "bakcup").exists()


def test_verify_says_which_bytes_are_wrong_and_fails(lineal, photos, damage):
    damage(b"first\n")
    answer = lineal("verify", fails=True)
    assert answer.code == 7
    assert hashlib.sha256(b"first\n").hexdigest() in answer.out
    assert "photos" in answer.out
    told = "the bytes do not have the digest: they were changed on disk"
    assert answer.out.endswith(f"): {told} (not so: stored blob has its bytes)\n")
    assert "1 problem found; put lost bytes back from a backup, or let `lineal verify --rep" in (
        answer.err
    )
    assert len(lineal("verify", "--json", fails=True).json) == 1


def test_verify_names_a_lost_pack_and_prints_the_first_of_its_files(lineal, home, monkeypatch):
    for name, count in (("many", 120), ("few", 2)):
        Path(name).mkdir()
        for number in range(count):
            Path(name, f"{number}.txt").write_text(f"{name} {number}")
        lineal("artifact", "put", name, "-n", f"p/{name}")
    (pack,) = (home / "blobs" / "packs").rglob("*.pack")
    for blob in (home / "blobs" / "sha256").rglob("*-*"):
        blob.unlink()  # of `few`
    pack.chmod(0o600)
    pack.write_bytes(pack.read_bytes()[:-1])
    answer = lineal("verify", fails=True)
    lines = answer.out.splitlines()
    of_many = [line for line in lines if " in ana/p/many:v0): the bytes are missing; " in line]
    damaged = f"the bytes are missing; damaged: {pack.relative_to(home)}"
    assert len(of_many) == 5
    assert all(f"{damaged} (not so" in line for line in of_many)
    told = "… and 115 more that were stored with the last of them"
    assert f"{told}: {damaged}; `--json` lists them" in lines
    blob = hashlib.sha256(b"few 1").hexdigest()
    where = f"{home}/blobs/sha256/{blob[:2]}/{blob}-"
    (of_few,) = (line for line in lines if line.startswith(where))
    assert " (1.txt in ana/p/few:v0): the bytes are missing (not so: " in of_few
    found = lineal("verify", "--json", fails=True).json
    names = {f"{number}.txt in ana/p/many:v0" for number in range(120)}
    assert {name for each in found for name in each["files"] if "many" in name} == names
    assert f"{len(found)} problems found" in answer.err


def test_verify_calls_nothing_lost_that_only_cannot_be_read_now(lineal, photos, monkeypatch):
    def refuse(self, key):
        raise Unavailable(f"Cannot read {key}: Permission denied")

    monkeypatch.setattr(LocalStore, "open", refuse)
    answer = lineal("verify", fails=True)
    assert answer.code == 7
    assert "cannot be read now may well be there" in answer.err
    assert "backup" not in answer.err


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
        database.execute("DELETE FROM aliases WHERE alias = 'raw'")
    findings = lineal("verify", "--json", fails=True).json
    assert [finding["invariant"] for finding in findings] == [
        "every move of an alias is recorded",
        "every move of an alias is recorded",
        "a run has its whole history",
        "segment matches its digest",
        "lines of a run can be read",
        "lines of a run can be read",
    ]
    assert findings[1]["what"] == "alias raw went without a record"
    assert "instead of 77" in findings[-1]["what"]
    answer = lineal("artifact", "get", "demo/photos", "--root", "out", fails=True)
    assert answer.code == 7
    assert "manifest segment sha256:" in answer.err


def test_after_a_repair_logging_the_same_again_stores_what_was_lost(lineal, photos, home, damage):
    damage(b"first\n")
    lineal("artifact", "put", str(photos), "-n", "demo/other")  # it counts as stored
    assert lineal("artifact", "get", "demo/other", "--root", "out", fails=True).code == 7
    answer = lineal("verify", "--repair", fails=True)
    assert "log the same content again" in answer.out
    assert answer.err == "error: 1 problem found\n"
    lineal("artifact", "put", str(photos), "-n", "demo/photos")  # the same version, whole again
    assert lineal("verify", "--json").json == []
    for name in ("demo/photos:v0", "demo/other:v0"):
        lineal("artifact", "get", name, "--root", name.replace("/", "-"))
        assert Path(name.replace("/", "-"), "a.txt").read_text() == "first\n"


def test_verify_names_bytes_whose_place_something_else_took(lineal, photos, home):
    for path in [path for path in (home / "blobs").rglob("*") if path.is_file()]:
        is_first = path.read_bytes() == b"first\n"
        path.unlink()
        if is_first:
            path.symlink_to(path)
        else:
            path.mkdir()
    findings = lineal("verify", "--json", fails=True).json
    assert {finding["invariant"] for finding in findings} == {"stored blob has its bytes"}
    assert "the bytes are missing" in [finding["what"] for finding in findings]


def test_bytes_without_their_database_are_left_alone(lineal, photos, home):
    session.close()
    stored = [path for path in (home / "blobs").rglob("*") if path.is_file()]
    database = home / "lineal.db"
    saved = database.read_bytes()
    for damaged in (None, b""):
        database.unlink(missing_ok=True)
        if damaged is not None:
            database.write_bytes(damaged)
        for command in (["verify"], ["gc", "--yes"], ["artifact", "ls", "demo"]):
            answer = lineal(*command, fails=True)
            assert "but no database" in answer.err
            assert "backup" in answer.err
    database.write_bytes(saved)
    assert lineal("verify", "--json").json == []
    assert all(path.exists() for path in stored)


@pytest.mark.parametrize("damage", [b"garbage" * 1000, None])
def test_a_damaged_database_is_named_with_what_to_do(lineal, photos, home, damage):
    session.close()
    with open(home / "lineal.db", "r+b") as database:
        if damage is None:
            database.truncate(50_000)
        else:
            database.write(damage)
    for command in (["verify"], ["status"], ["artifact", "ls", "demo"], ["gc", "--dry-run"]):
        answer = lineal(*command, fails=True)
        assert answer.code == 7
        assert f"{home}/lineal.db is damaged" in answer.err or "problem" in answer.err
        assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    "lost",
    [
        "segments",
        "manifest_segments",
        "manifests",
        "memberships",
        "blobs",
        "runs",
        "projects",
        "collections",
    ],
)
def test_lost_rows_are_found_and_nothing_is_read_as_if_it_were_whole(lineal, photos, home, lost):
    with closing(sqlite3.connect(home / "lineal.db")) as database, database:
        database.execute(f"DELETE FROM {lost}")
    assert lineal("verify", "--json", fails=True).json != []
    if lost != "runs":  # of which an artifact needs nothing
        answer = lineal("artifact", "get", "demo/photos:v0", "--root", "out", fails=True)
        assert answer.code in (4, 7)


def test_status_says_so_where_every_setting_is_at_its_default(lineal, monkeypatch):
    for variable in [name for name in os.environ if name.startswith(("LINEAL_", "WANDB_"))]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("HOME", os.getcwd())
    answer = lineal("status")
    assert re.search(r"^All \d+ settings are at their default", answer.err, re.MULTILINE)
    assert "settings" not in answer.out


def test_a_type_without_name_is_no_empty_home(lineal, photos):
    told = lineal("artifact", "ls", "demo", "--type", "").err
    assert "No artifacts of type `` here; types here: dataset" in told
