"""Projects: read, listed, and made on the first write (RUN-5)."""

from __future__ import annotations

from sqlalchemy import Connection

from lineal.core import access, names
from lineal.core.access import Action, Actor
from lineal.core.records import Page, PageRequest, ProjectRecord
from lineal.db import projects as projects_db
from lineal.service.instance import Instance


def project(
    instance: Instance, actor: Actor, entity: str, name: str, *, create: bool = False
) -> ProjectRecord:
    """Return a project; with `create`, make it and its entity if there is none.

    Raises NotFound, naming what is called alike, or Invalid for a name that cannot be.
    """
    access.require(actor, Action.WRITE if create else Action.READ, f"project {entity}/{name}")
    if not create:
        with instance.database.reading() as connection:
            found = projects_db.require(connection, entity, name, actor.name)
            return projects_db.record(connection, found)
    entity, name = names.entity_name(entity), names.project_name(name)
    with instance.database.writing() as connection:
        made = projects_db.ensure(connection, entity, name, instance.clock.now())
        return projects_db.record(connection, made)


def projects(
    instance: Instance, actor: Actor, entity: str, page: PageRequest
) -> Page[ProjectRecord]:
    """List the projects of an entity by name; your own entity may have none yet.

    Raises NotFound for an unknown entity, naming what is called alike.
    """
    access.require(actor, Action.READ, f"the projects of {entity}")
    with instance.database.reading() as connection:
        if is_still_to_come(connection, actor, entity):
            return Page((), None, 0)
        entity_id = projects_db.require_entity(connection, entity, actor.name)
        return projects_db.page(connection, entity_id, page)


def entities(instance: Instance, actor: Actor) -> list[str]:
    """Return who has projects here, by name; some of them, if there are many."""
    access.require(actor, Action.READ, "the projects of all")
    with instance.database.reading() as connection:
        return projects_db.owners(connection)


def is_still_to_come(connection: Connection, actor: Actor, entity: str) -> bool:
    """Say whether it is the actor's own entity, which is made with the first that it owns."""
    return entity == actor.entity and projects_db.find_entity(connection, entity) is None
