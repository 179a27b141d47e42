"""`lineal project`."""

from __future__ import annotations

import json
import re

import pytest

import lineal as sdk


def test_projects_are_listed_by_name(lineal, photos):
    lineal("artifact", "put", str(photos), "-n", "another/photos")
    lineal("project", "protect", "demo", "prod")
    listed = [line.split()[-1] for line in lineal("project", "ls").out.splitlines()[1:]]
    assert listed == ["ana/another", "ana/demo"]
    found = json.loads(lineal("project", "ls", "--json").out)
    assert [each["name"] for each in found] == ["ana/another", "ana/demo"]
    assert found[1]["protected_aliases"] == ["prod"]
    assert set(found[0]) == {"name", "ttl_seconds", "protected_aliases", "created_at"}


def test_a_deleted_project_is_not_listed(lineal, photos):
    lineal("project", "rm", "demo", "--yes")
    answer = lineal("project", "ls")
    assert answer.out == ""
    assert re.search(r"No projects in /\S+ yet", answer.err)
    assert json.loads(lineal("project", "ls", "--json").out) == []


def test_the_collections_of_a_project_are_counted_before_it_is_deleted(lineal, photos):
    answer = lineal("project", "rm", "demo", fails=True)  # there is no terminal to ask on
    assert "Delete ana/demo with 1 collection and " in answer.err
    lineal("artifact", "put", (photos / "a.txt").absolute().as_uri(), "-n", "demo/elsewhere")
    answer = lineal("project", "rm", "demo", fails=True)
    assert "Delete ana/demo with 2 collections and " in answer.err


@pytest.mark.parametrize("name", ["demo", "ana/demo"])
def test_a_deleted_project_is_said_to_be_deleted(lineal, photos, name):
    lineal("project", "rm", "demo", "--yes")
    for words in (("artifact", "ls"), ("storage",), ("retention", "show")):
        answer = lineal(*words, name, fails=True)
        assert "Project ana/demo was deleted on " in answer.err


@pytest.mark.parametrize(
    "words", [("rm", "", "--yes"), ("restore", ""), ("ttl", "", "1d"), ("protect", "", "x")]
)
def test_a_project_that_is_changed_must_be_named(lineal, photos, words):
    lineal("artifact", "put", str(photos), "-n", "uncategorized/photos")
    answer = lineal("project", *words, fails=True)
    assert (answer.code, "A project is named as" in answer.err) == (2, True)
    assert "ana/uncategorized" in lineal("project", "ls").out


def test_the_projects_of_nobody_are_an_error(lineal, photos):
    assert "No entity eve" in lineal("project", "ls", "eve", fails=True).err


def test_aliases_are_not_unprotected_by_naming_them(lineal, photos):
    lineal("project", "protect", "demo", "raw")
    assert lineal("project", "protect", "demo", "raw", "--clear", fails=True).code == 2
    assert lineal("project", "protect", "demo").out == "ana/demo: raw\n"


@pytest.mark.parametrize(
    "words", [("run", "ls"), ("artifact", "ls"), ("storage",), ("project", "ttl"), ("sweep", "ls")]
)
def test_a_project_is_named_by_its_url_too(lineal, photos, words):
    url = sdk.Api().project("demo").url
    assert lineal(*words, url) == lineal(*words, "demo")
