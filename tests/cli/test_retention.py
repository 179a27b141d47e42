"""`lineal artifact ttl`, `lineal retention …`, and deleting by conditions."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

import lineal as wandb


def put(lineal, photos, *texts: str) -> None:
    for text in texts:
        (photos / "a.txt").write_text(text)
        lineal("artifact", "put", str(photos), "-n", "demo/photos")


def test_ttl_of_a_version_is_shown_and_set(lineal, photos):
    assert "never expires" in lineal("artifact", "ttl", "demo/photos:v0").out
    assert "30 days (version), expires" in lineal("artifact", "ttl", "demo/photos:v0", "30d").out
    assert "lives" in lineal("artifact", "show", "demo/photos").out
    shown = lineal("artifact", "ttl", "demo/photos:v0", "12h", "--json").json
    assert (shown["ttl_seconds"], shown["level"]) == (43_200, "version")
    assert "never expires (version)" in lineal("artifact", "ttl", "demo/photos:v0", "none").out
    shown = lineal("artifact", "ttl", "demo/photos:v0", "inherit", "--json").json
    assert (shown["ttl_seconds"], shown["level"], shown["expires_at"]) == (None, "none", None)


def test_the_ttl_of_your_own_entity_can_be_set_before_anything_is_logged(lineal):
    assert "Nothing expires" in lineal("retention", "expiring").err
    assert lineal("retention", "default").out == "ana: inherits\n"
    assert "40 days" in lineal("retention", "default", "40d").out
    assert lineal("retention", "default").out == "ana: 40 days\n"
    assert lineal("retention", "default", "40d", "--entity", "eve", fails=True).code == 4


def test_ttl_is_inherited_from_collection_project_and_entity(lineal, photos):
    assert "40 days" in lineal("retention", "default", "40").out
    assert "(entity)" in lineal("artifact", "ttl", "demo/photos:v0").out
    assert lineal("project", "ttl", "demo", "P30D", "--json").json["ttl_seconds"] == 2_592_000
    assert "(project)" in lineal("artifact", "ttl", "demo/photos:v0").out
    assert "20 days" in lineal("artifact", "ttl", "demo/photos", "20d").out
    assert "(collection)" in lineal("artifact", "ttl", "demo/photos:v0").out
    assert "inherits" in lineal("artifact", "ttl", "demo/photos", "inherit").out
    assert lineal("project", "ttl", "demo").out == "ana/demo: 30 days\n"


@pytest.mark.parametrize("text", ["0", "soon", "-3d", "P1M", "99999999999999d", "²"])
def test_ttl_refuses_what_is_no_duration(lineal, photos, text):
    assert lineal("artifact", "ttl", "demo/photos:v0", "--", text, fails=True).code == 2


def test_protected_aliases_suspend_the_ttl(lineal, photos):
    lineal("artifact", "ttl", "demo/photos:v0", "1d")
    assert lineal("project", "protect", "demo", "raw", "--json").json["protected"] == ["raw"]
    assert (
        "suspended by alias ana/demo/photos:raw" in lineal("artifact", "ttl", "demo/photos:v0").out
    )
    refused = lineal("artifact", "rm", "demo/photos:v0", "--delete-aliases", "--yes", fails=True)
    assert "protected alias ana/demo/photos:raw" in refused.err
    assert "none protected" in lineal("project", "protect", "demo", "--clear").out


def test_what_expires_soon_is_listed(lineal, photos):
    assert "Nothing expires" in lineal("retention", "expiring").err
    lineal("artifact", "ttl", "demo/photos:v0", "5d")
    (listed,) = lineal("retention", "expiring", "demo", "--json").json
    assert (listed["name"], listed["size"]) == ("ana/demo/photos:v0", 13)
    shown = lineal("artifact", "show", "demo/photos", "--json").json["ttl"]
    assert (shown["level"], shown["expires_at"]) == ("version", listed["expires_at"])
    assert lineal("retention", "expiring", "--within", "4d", "--json").json == []
    assert lineal("retention", "expiring", "--within", "4", "--json").json == []
    assert lineal("retention", "expiring", "--within", "30", "--json").json == [listed]
    assert "ana/demo/photos:v0" in lineal("retention", "expiring").out


def test_versions_are_deleted_by_conditions_after_a_preview(lineal, photos):
    put(lineal, photos, "1\n", "22\n", "333\n")
    words = ("artifact", "rm", "demo/photos", "--keep-last", "2", "--unaliased")
    preview = lineal(*words, "--dry-run", "--json").json
    assert preview["selection"] == {"keep_last": 2, "unaliased": True}
    assert [each["name"] for each in preview["versions"]] == ["ana/demo/photos:v1"]
    assert (preview["bytes_freed"], preview["bytes_shared"]) == (2, len("second\n"))
    shown = lineal(*words, "--dry-run").out
    assert "demo/photos:v1" in shown
    assert "1 version: 2 B to be freed, 7 B shared with what stays" in shown
    assert "--yes" in lineal(*words, fails=True).err
    done = lineal(*words, "--yes")
    assert "lineal deletions --restore 1" in done.err
    listed = lineal("artifact", "ls", "demo/photos", "--json").json
    assert [version["version"] for version in listed] == ["v3", "v2", "v0"]
    assert lineal(*words, "--yes", "--json").json["count"] == 0
    (deletion,) = lineal("deletions", "--json").json
    assert deletion["versions"] == ["ana/demo/photos:v1"]
    told = "in ana/demo/photos what was unaliased, not among the last 2: ana/demo/photos:v1\n"
    assert lineal("deletions").out.endswith(f"  {told}")
    lineal("deletions", "--restore", "1")
    assert lineal("deletions", "--json").json[0]["versions"] == []
    assert len(lineal("artifact", "ls", "demo/photos", "--json").json) == 4


def test_a_project_is_cleaned_by_conditions(lineal, photos, home):
    put(lineal, photos, "1\n")
    with closing(sqlite3.connect(home / "lineal.db")) as database:
        database.execute("UPDATE versions SET created_at = created_at - 2000000")  # microseconds
        database.commit()
    words = ("artifact", "rm", "demo", "--older-than", "1s", "--keep-last", "0", "--dry-run")
    assert "2 versions" in lineal(*words).out
    answer = lineal("artifact", "rm", "demo", "--older-than", "9w", "--dry-run")
    assert answer.out.splitlines() == ["0 versions: 0 B to be freed, 0 B shared with what stays"]
    words = ("artifact", "rm", "demo", "--keep-best", "1", "--by", "metadata.acc", "--dry-run")
    kept = lineal(*words, "--json").json
    assert (kept["count"], kept["is_rated"]) == (1, False)
    assert "No version has the number that `--by` names" in lineal(*words).err


@pytest.mark.parametrize(
    "words",
    [
        ("demo/photos", "--keep-best", "1"),
        ("demo/photos", "--by", "summary.acc"),
        ("demo/photos", "--keep-best", "1", "--by", "acc"),
        ("demo/photos", "--keep-last", "1", "--minimize"),
        ("demo/photos", "--keep-last", "-1"),
        ("demo/photos", "--older-than", "soon"),
        ("demo", "--type", "dataset"),
        ("demo/photos:v0", "--untagged"),
        ("demo/photos:v0", "--json"),
    ],
    ids=lambda words: " ".join(words),
)
def test_conditions_that_make_no_sense_are_refused(lineal, photos, words):
    assert lineal("artifact", "rm", *words, fails=True).code == 2
    assert lineal("artifact", "show", "demo/photos:v0").code == 0


def test_a_policy_is_set_shown_and_cleared(lineal, photos):
    put(lineal, photos, "1\n", "2\n")
    assert "no policy" in lineal("retention", "show", "demo").out
    assert lineal("retention", "set", "demo", fails=True).code == 2
    words = ("retention", "set", "demo", "--keep-last", "1", "--unaliased", "--unused")
    asked = lineal(*words, fails=True)
    assert "1 version" in asked.out
    assert "--yes" in asked.err
    assert lineal(*words, "--json", fails=True).out == ""
    assert "unaliased, unused, not among the last 1" in lineal(*words, "--yes").out
    shown = lineal("retention", "show", "demo/photos", "--json").json
    assert shown["policy"] == {"unaliased": True, "unused": True, "keep_last": 1}
    assert shown["level"] == "project"
    own = ("--keep-best", "2", "--by", "summary.loss", "--minimize", "--older-than", "30d", "--yes")
    assert "lowest summary.loss" in lineal("retention", "set", "demo/photos", *own).out
    cleared = lineal("retention", "clear", "demo/photos", "--json").json
    assert cleared["level"] == "project"
    assert lineal("gc", "--json").json["expired"] == 1
    listed = lineal("artifact", "ls", "demo/photos", "--json").json
    assert [version["version"] for version in listed] == ["v2", "v0"]
    assert "every version stays" in lineal("retention", "clear", "demo").out


def test_a_projects_policy_may_be_for_one_type(lineal, photos):
    put(lineal, photos, "1\n", "2\n")
    with wandb.init(project="demo", id="a") as run:
        for step in range(3):
            run.log({"seen": wandb.Table(columns=["step"], data=[[step]])})
    words = ("--type", "run_table", "--keep-last", "1")
    preview = lineal("artifact", "rm", "demo", *words, "--dry-run", "--json").json
    tables = ["ana/demo/run-a-seen:v0", "ana/demo/run-a-seen:v1"]
    assert [version["name"] for version in preview["versions"]] == tables
    told = lineal("retention", "set", "demo", *words, "--yes").out
    assert told.endswith("not among the last 1, of type run_table\n")
    lineal("gc", "--yes")
    assert len(lineal("artifact", "ls", "demo/run-a-seen", "--json").json) == 1
    assert len(lineal("artifact", "ls", "demo/photos", "--json").json) == 3


def test_what_is_restored_no_policy_takes_again(lineal, photos):
    put(lineal, photos, "two", "three", "four")
    policy = ("retention", "set", "demo/photos", "--keep-last", "1")
    lineal(*policy, "--yes")
    lineal("gc", "--yes")
    said = "lets 1 version go: restored, no policy takes that again"
    assert said in lineal("artifact", "restore", "demo/photos:v0").err
    shown = lineal("deletions", "--restore", "1", "--json").json
    assert (shown["versions"], shown["let_go"]) == (2, 2)
    assert "would delete 0 versions" in lineal(*policy, fails=True).err
    assert lineal("gc", "--dry-run", "--json").json["expire"]["total"]["count"] == 0
    assert lineal("gc", "--json").json["expired"] == 0
    listed = lineal("artifact", "ls", "demo/photos", "--json").json
    assert [version["version"] for version in listed] == ["v3", "v2", "v1", "v0"]
    by_hand = ("artifact", "rm", "demo/photos", "--keep-last", "3", "--yes", "--json")
    assert lineal(*by_hand).json["count"] == 1
    lineal("deletions", "--restore", "2")
    lineal("retention", "clear", "demo/photos")
    lineal("artifact", "rm", "demo/photos:v0", "--delete-aliases", "--yes")
    assert "policy" not in lineal("artifact", "restore", "demo/photos:v0").err


def test_a_policy_is_said_of_what_is_restored_however_much_else_it_lets_go(lineal, photos):
    with wandb.init(project="demo") as run:
        for number in range(102):
            artifact = wandb.Artifact("many", "dataset")
            artifact.add_bytes(b"%d" % number, "a.txt")
            run.log_artifact(artifact)
    lineal("artifact", "rm", "demo/many:v100", "--yes")
    lineal("retention", "set", "demo/many", "--keep-last", "1", "--yes")
    said = "lets 1 version go: restored, no policy takes that again"
    assert said in lineal("artifact", "restore", "demo/many:v100").err
    assert "was not deleted" in lineal("artifact", "restore", "demo/many:v100").err


def test_restoring_says_how_long_a_version_lives(lineal, photos):
    put(lineal, photos, "two", "three")
    lineal("artifact", "ttl", "demo/photos:v0", "1s")
    lineal("artifact", "ttl", "demo/photos:v1", "30d")
    while not lineal("gc", "--json").json["expired"]:
        continue  # a second is the smallest TTL there is
    assert "v0: never expires (version)" in lineal("artifact", "restore", "demo/photos:v0").err
    lineal("artifact", "rm", "demo/photos:v1", "--yes")
    said = lineal("artifact", "restore", "demo/photos:v1").err
    assert "v1: 30 days (version), expires 20" in said
