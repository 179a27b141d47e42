"""Projects: made once, listed, and named when one is missing."""

from __future__ import annotations

import pytest

from lineal.core.access import Actor
from lineal.core.records import PageRequest, RunSpec
from lineal.errors import Invalid, NotFound
from lineal.service import projects, runs
from lineal.service.instance import Instance

FIRST = PageRequest(50)


def start(instance: Instance, owner: Actor, project: str) -> None:
    runs.start(instance, owner, RunSpec("ana", project, "r1"))


def test_a_project_is_made_once_and_listed(instance: Instance, owner: Actor) -> None:
    assert projects.projects(instance, owner, "ana", FIRST).items == ()
    made = projects.project(instance, owner, "ana", "b", create=True)
    assert projects.project(instance, owner, "ana", "b", create=True) == made
    assert projects.project(instance, owner, "ana", "b") == made
    start(instance, owner, "a")
    start(instance, owner, "c")
    page = projects.projects(instance, owner, "ana", PageRequest(2))
    assert ([project.name for project in page.items], page.total) == (["a", "b"], 3)
    page = projects.projects(instance, owner, "ana", PageRequest(2, page.cursor))
    assert ([project.name for project in page.items], page.cursor) == (["c"], None)


def test_unknown_projects_and_entities_name_their_neighbours(
    instance: Instance, owner: Actor
) -> None:
    start(instance, owner, "vision")
    with pytest.raises(NotFound, match="did you mean ana/vision"):
        projects.project(instance, owner, "ana", "vison")
    with pytest.raises(NotFound, match="did you mean ana"):
        projects.projects(instance, owner, "anna", FIRST)
    with pytest.raises(Invalid):
        projects.project(instance, owner, "ana", "a/b", create=True)
