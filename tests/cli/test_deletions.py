"""`lineal artifact rm`; how what is deleted comes back is tested with `lineal gc`."""

from __future__ import annotations

import re

import pytest

import lineal as wandb


def put_again(lineal, photos, text: str) -> None:
    (photos / "a.txt").write_text(text)
    lineal("artifact", "put", str(photos), "-n", "demo/photos")


def test_rm_hides_the_version_and_never_gives_its_number_again(lineal, photos):
    put_again(lineal, photos, "second\n")
    lineal("artifact", "rm", "demo/photos:v0", "--delete-aliases", "--yes")
    assert lineal("artifact", "show", "demo/photos:v0", fails=True).code == 4
    put_again(lineal, photos, "third\n")
    listed = lineal("artifact", "ls", "demo/photos", "--json").json
    assert [version["version"] for version in listed] == ["v2", "v1"]


def test_where_nothing_was_deleted_the_list_says_so(lineal):
    answer = lineal("deletions")
    assert (answer.out, answer.err) == ("", "Nothing was deleted here\n")


def test_rm_of_a_version_with_aliases_needs_to_be_told(lineal, photos):
    answer = lineal("artifact", "rm", "demo/photos:v0", "--yes", fails=True)
    assert "raw" in answer.err
    assert lineal("artifact", "show", "demo/photos:v0").code == 0


@pytest.mark.parametrize("words", [("--dry-run",), ("--delete-aliases", "--dry-run"), ("--yes",)])
def test_rm_of_a_version_with_a_protected_alias_says_that_no_option_helps(lineal, photos, words):
    lineal("project", "protect", "demo", "raw")
    refused = lineal("artifact", "rm", "demo/photos:v0", *words, fails=True)
    assert "protected alias" in refused.err
    take_off = "artifact alias ana/demo/photos:raw raw --remove"
    assert f"`lineal {take_off}` does" in refused.err
    assert "--delete-aliases" not in refused.err
    assert lineal("artifact", "show", "demo/photos:v0").code == 0
    lineal(*take_off.split())
    lineal("artifact", "rm", "demo/photos:v0", "--delete-aliases", "--yes")


def test_rm_asks_first_and_does_nothing_without_a_terminal(lineal, photos):
    answer = lineal("artifact", "rm", "demo/photos:v0", "--delete-aliases", fails=True)
    assert "no terminal to ask on" in answer.err
    assert "--yes" in answer.err
    assert lineal("artifact", "show", "demo/photos:v0").code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("artifact", "rm", "demo/photos:v0", "--delete-aliases"),
        ("artifact", "rm", "demo/photos", "--all"),
        ("run", "rm", "demo/a"),
    ],
)
def test_what_is_deleted_is_said_with_the_command_that_brings_it_back(lineal, photos, words):
    with wandb.init(project="demo", id="a"):
        pass
    undo = re.search(r"; `lineal (.+)` undoes it", lineal(*words, "--yes").out)
    assert undo is not None
    lineal(*undo[1].split())
    assert lineal("artifact", "show", "demo/photos:v0").code == 0
    assert lineal("run", "show", "demo/a").code == 0


def test_rm_of_all_refuses_a_version(lineal, photos):
    assert lineal("artifact", "rm", "demo/photos:v0", "--all", "--yes", fails=True).code == 2


def test_rm_of_all_and_of_some_is_refused(lineal, photos):
    words = ("artifact", "rm", "demo/photos", "--all", "--keep-last", "1", "--yes")
    assert lineal(*words, fails=True).code == 2
    assert lineal("artifact", "show", "demo/photos:v0").code == 0


def test_rm_reads_a_name_with_a_scheme_as_the_name(lineal, photos):
    put_again(lineal, photos, "second\n")
    name = "wandb-artifact://demo/photos"
    assert "which version" in lineal("artifact", "rm", name, "--yes", fails=True).err
    lineal("artifact", "rm", name, "--keep-last", "1", "--unused", "--yes")
    listed = lineal("artifact", "ls", name, "--json").json
    assert [version["version"] for version in listed] == ["v1"]
    lineal("artifact", "rm", f"{name}:v1", "--delete-aliases", "--yes")
    assert "Restored" in lineal("artifact", "restore", name).out
    assert "demo/photos: " in lineal("artifact", "ttl", name).out


def test_rm_takes_no_name_with_a_scheme_for_that_of_a_project(lineal, photos):
    words = ("artifact", "rm", "lineal-artifact://demo", "--keep-last", "0", "--yes")
    assert lineal(*words, fails=True).code == 4
    assert lineal("artifact", "show", "demo/photos:v0").code == 0


def test_rm_of_a_bare_name_asks_which_version(lineal, photos):
    answer = lineal("artifact", "rm", "demo/photos", "--yes", fails=True)
    assert answer.code == 2
    assert "`demo/photos:v0`" in answer.err


def test_rm_all_deletes_the_collection(lineal, photos):
    assert "1 version" in lineal("artifact", "rm", "demo/photos", "--all", "--yes").out
    assert "photos" not in lineal("artifact", "ls", "demo").out
    answer = lineal("artifact", "rm", "demo/photos", "--all", "--yes", fails=True)
    assert "was deleted by ana" in answer.err
    assert lineal("artifact", "show", "demo/photos", fails=True).code == 4


def test_rm_says_what_it_would_delete_and_changes_nothing(lineal, photos):
    put_again(lineal, photos, "second\n")
    answer = lineal("artifact", "rm", "demo/photos", "--all", "--dry-run")
    assert "2 versions" in answer.out
    words = ("artifact", "rm", "demo/photos:v0", "--dry-run")
    assert "--delete-aliases" in lineal(*words, fails=True).err
    assert "Would delete ana/demo/photos:v0" in lineal(*words, "--delete-aliases").out
    lineal("artifact", "link", "demo/photos:v0", "models/best")
    assert "Would unlink" in lineal("artifact", "rm", "models/best:v0", "--dry-run").out
    assert "Would unlink" in lineal("artifact", "rm", "models/best", "--all", "--dry-run").out
    for how, said in (("--dry-run", "Nothing would be deleted"), ("--yes", "Nothing was deleted")):
        answer = lineal("artifact", "rm", "demo/photos", "--all", how, fails=True)
        assert (answer.code, said in answer.err) == (5, True)
    assert len(lineal("artifact", "ls", "demo/photos", "--json").json) == 2
    assert len(lineal("artifact", "ls", "models/best", "--json").json) == 1
    answer = lineal("artifact", "rm", "models/best", "--all", "--yes")
    assert answer.out == "Deleted ana/models/best: 1 version unlinked\n"


def test_rm_of_a_link_only_unlinks(lineal, photos):
    lineal("artifact", "link", "demo/photos:raw", "shelf/pictures")
    assert "Unlinked" in lineal("artifact", "rm", "shelf/pictures:v0", "--yes").out
    assert lineal("artifact", "show", "demo/photos:raw").code == 0
    assert lineal("artifact", "show", "shelf/pictures:v0", fails=True).code == 4
