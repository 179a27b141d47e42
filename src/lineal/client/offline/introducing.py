"""What is said of a collection, on its way to where it is new."""

from __future__ import annotations

from lineal.client.backend import Backend
from lineal.client.offline.places import CollectionPath, path_of
from lineal.core.records import CollectionPatch, DraftSpec
from lineal.errors import Gone, NotFound


class Introducing:
    """Gives collections that are new in the target what is said of them in the source."""

    def __init__(self, source: Backend, target: Backend, *, with_policy: bool = False) -> None:
        """with_policy: also which versions every sweep may delete (DEL-11)."""
        self._source, self._target, self._with_policy = source, target, with_policy
        self._introduced: set[CollectionPath] = set()
        """Collections there of which all is said by now."""

    def introduce(self, here: CollectionPath, spec: DraftSpec) -> None:
        """Say of a collection that is new there what is said of it here; before it has versions.

        After them, a copying that was killed could not tell a new one from one that was there.
        here: the collection in the source. spec: the version as it is to be there.
        """
        there = (spec.entity, spec.project, spec.collection)
        if there in self._introduced:
            return
        self._introduced.add(there)
        if not _is_new(self._target, there):
            return
        self._target.begin(spec)  # makes it; to copy the version begins in the same way
        found = self._target.collection(*there)
        said = self._source.collection(*here)
        patch = CollectionPatch(
            description=None if found.description else said.description or None,
            tags=None if found.tags else said.tags or None,
        )
        if patch != CollectionPatch():
            self._target.update_collection(found.id, patch)
        if said.ttl_seconds is not None and found.ttl_seconds is None:
            self._target.set_collection_ttl(found.id, said.ttl_seconds)
        if self._with_policy:
            self._set_policy(here, there)

    def _set_policy(self, here: CollectionPath, there: CollectionPath) -> None:
        from lineal.core.retention import Level  # 5 ms that few runs need

        own = self._source.policy(*here)
        if own.level is Level.COLLECTION and own.selection is not None:
            self._target.set_policy(*there, own.selection)


def _is_new(target: Backend, there: CollectionPath) -> bool:
    """Tell whether nobody has a version under a name yet, nor had a collection that was deleted."""
    try:
        found = target.collection(*there)
    except NotFound as error:
        return not isinstance(error, Gone)
    return path_of(found) != there or found.version_count == 0
