"""Which collections versions go to on the other side, also where these have moved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from lineal.client.backend import Backend
from lineal.core.records import CollectionKind, CollectionRecord, VersionRecord
from lineal.errors import NotFound

Place = Callable[[str, str], tuple[str, str]]
"""From entity and project here to those there."""
CollectionPath = tuple[str, str, str]
"""Entity, project and name."""


def collection_there(version: VersionRecord, place: Place) -> CollectionPath:
    """Return the collection that a version goes to, unless that has moved there."""
    path = version.source_entity, version.source_project, version.source_collection
    return named_there(path, place)


def named_there(here: CollectionPath, place: Place) -> CollectionPath:
    entity, project, name = here
    return *place(entity, project), name


def path_of(collection: CollectionRecord) -> CollectionPath:
    """Return where a collection is, which is elsewhere than it was found if it has moved."""
    return collection.entity, collection.project, collection.name


def types_there(versions: Iterable[VersionRecord], place: Place) -> dict[CollectionPath, str]:
    return {collection_there(each, place): each.type for each in versions}


def moved(
    types: Mapping[CollectionPath, str], target: Backend
) -> dict[CollectionPath, CollectionPath]:
    """Return where collections are there now that moved away from the names they would get.

    types: of the collections by these names. One that another of these collections would get
    stays apart from it, under the old name.
    """
    found: dict[CollectionPath, CollectionPath] = {}
    for there, type in types.items():
        try:
            collection = target.collection(*there)
        except NotFound:
            continue
        now = path_of(collection)
        is_same = collection.kind is CollectionKind.SEQUENCE and collection.type == type
        if is_same and now not in types and now not in found.values():
            found[there] = now
    return found
