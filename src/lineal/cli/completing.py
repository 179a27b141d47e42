"""What a shell completes: names of what is in the home.

It asks at every Tab and has no place for a message: what cannot be read is nothing to complete, and
no home is made for it. A name with `:` is left alone, since bash takes that for the end of a word.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from lineal.cli.connect import Connection
from lineal.client import session, term
from lineal.config import load
from lineal.core.records import CollectionQuery, PageRequest, RunQuery
from lineal.core.trials import SweepQuery
from lineal.home import home_of

NAMES_MOST = 200
BUSY_SECONDS = 0.5
"""What a shell waits for a home that others write to."""

_PLAIN = re.compile(r"[A-Za-z0-9_./-]+")
"""Names that mean nothing to a shell, which puts them into its line as they are."""

Named = Callable[[Connection, str, str, str], list[str]]
"""From a project, by its entity and name, and how names begin, to some of these."""


def artifacts(incomplete: str) -> list[str]:
    """Return names of collections that begin so."""
    return _some(_below_projects, incomplete, _collections)


def runs(incomplete: str) -> list[str]:
    """Return names of runs that begin so, in each project the newest first."""
    return _some(_below_projects, incomplete, _runs)


def sweeps(incomplete: str) -> list[str]:
    """Return names of sweeps that begin so, in each project the newest first."""
    return _some(_below_projects, incomplete, _sweeps)


def projects(incomplete: str) -> list[str]:
    """Return names of projects that begin so."""
    return _some(_projects, incomplete)


def places(incomplete: str) -> list[str]:
    """Return names of projects and of collections that begin so."""
    return [*projects(incomplete), *artifacts(incomplete)][:NAMES_MOST]


def nodes(incomplete: str) -> list[str]:
    """Return names of collections and of runs that begin so."""
    return [*artifacts(incomplete), *runs(incomplete)][:NAMES_MOST]


def _some(found: Callable[..., Iterator[str]], incomplete: str, *more: Any) -> list[str]:
    with suppress(Exception):
        term.configure(quiet=True, silent=True)
        settings = load({"busy_timeout": BUSY_SECONDS})
        if os.path.exists(home_of(settings).database):
            connection = Connection(session.open_backend(settings), settings)
            names = filter(_PLAIN.fullmatch, found(connection, incomplete, *more))
            return list(islice(names, NAMES_MOST))
    return []


def _projects(connection: Connection, incomplete: str) -> Iterator[str]:
    owner = f"{connection.backend.entity}/" if "/" in incomplete else ""
    names = (owner + project.name for project in connection.projects())
    return (name for name in names if name.startswith(incomplete))


def _below_projects(connection: Connection, incomplete: str, named: Named) -> Iterator[str]:
    """Yield names as they may be written: alone in the default project, or below their own."""
    entity = connection.backend.entity
    owner = f"{entity}/" if incomplete.startswith(f"{entity}/") else ""
    project, slash, begin = incomplete.removeprefix(owner).partition("/")
    if not (owner or slash):
        with suppress(Exception):  # of a default project that is not there yet
            yield from named(connection, entity, connection.default_project, incomplete)
    for each in connection.projects():
        if each.name == project if slash else each.name.startswith(project):
            for name in named(connection, entity, each.name, begin):
                yield f"{owner}{each.name}/{name}"


def _collections(connection: Connection, entity: str, project: str, begin: str) -> list[str]:
    query = CollectionQuery(entity, project, filters=_beginning("name", begin))
    page = connection.backend.collections(query, PageRequest(NAMES_MOST, with_total=False))
    return [each.name for each in page.items]


def _runs(connection: Connection, entity: str, project: str, begin: str) -> list[str]:
    query = RunQuery(entity, project, filters=_beginning("name", begin), with_documents=False)
    page = connection.backend.runs(query, PageRequest(NAMES_MOST, with_total=False))
    return [each.run_id for each in page.items]


def _sweeps(connection: Connection, entity: str, project: str, begin: str) -> list[str]:
    query = SweepQuery(entity, project, filters=_beginning("sweep_id", begin))
    page = connection.backend.sweeps(query, PageRequest(NAMES_MOST, with_total=False))
    return [each.sweep_id for each in page.items]


def _beginning(key: str, begin: str) -> dict[str, Any] | None:
    return {key: {"$regex": f"^{re.escape(begin)}"}} if begin else None
