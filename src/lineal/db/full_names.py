"""Full names of what rows stand for, as expressions of SQL: for messages and reports."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, Text, cast, literal, select

from lineal.db.conditions import SOURCE_MEMBERSHIP
from lineal.db.schema import (
    collections,
    drafts,
    entities,
    memberships,
    projects,
    run_files,
    runs,
    versions,
)

PROJECT = entities.c.name + "/" + projects.c.name
RUN = PROJECT + "/" + runs.c.run_id
COLLECTION = PROJECT + "/" + collections.c.name
VERSION = COLLECTION + ":v" + cast(memberships.c.number, Text)


def named_versions(*what: Any) -> Select[Any]:
    """Select (name, …) of versions, each as `entity/project/collection:vN` of its source."""
    return (
        select(VERSION.label("name"), *what)
        .select_from(versions)
        .join(memberships, SOURCE_MEMBERSHIP)
        .join(collections, collections.c.id == versions.c.collection_id)
        .join(projects, projects.c.id == collections.c.project_id)
        .join(entities, entities.c.id == projects.c.entity_id)
    )


def named_collections(*what: Any) -> Select[Any]:
    """Select (name, …) of collections."""
    return (
        select(COLLECTION.label("name"), *what)
        .select_from(collections)
        .join(projects, projects.c.id == collections.c.project_id)
        .join(entities, entities.c.id == projects.c.entity_id)
    )


def named_run_files(*what: Any) -> Select[Any]:
    """Select (name, …) of the files of runs, each as `entity/project/run_id/path`."""
    return (
        select((RUN + "/" + run_files.c.path).label("name"), *what)
        .select_from(run_files)
        .join(runs, runs.c.id == run_files.c.run_id)
        .join(projects, projects.c.id == runs.c.project_id)
        .join(entities, entities.c.id == projects.c.entity_id)
    )


def named_drafts() -> Select[Any]:
    """Select what to call drafts."""
    return (
        select(literal("a draft of ") + COLLECTION)
        .select_from(drafts)
        .join(collections, collections.c.id == drafts.c.collection_id)
        .join(projects, projects.c.id == collections.c.project_id)
        .join(entities, entities.c.id == projects.c.entity_id)
    )
