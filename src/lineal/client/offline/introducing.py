"""What is said of a collection, on its way to where it is new."""

from __future__ import annotations

from lineal.client.backend import Backend
from lineal.client.offline.places import CollectionPath
from lineal.core.records import Introduction, JsonObject
from lineal.errors import NotFound


class Introductions:
    """What is said in the source of the collections whose versions are copied."""

    def __init__(self, source: Backend, *, with_policy: bool = False) -> None:
        """with_policy: also which versions every sweep may delete (DEL-11)."""
        self._source, self._with_policy = source, with_policy
        self._known: dict[CollectionPath, Introduction | None] = {}

    def of(self, collection: CollectionPath) -> Introduction | None:
        """Return what a version of the collection begins with; None if it has no versions yet."""
        if collection not in self._known:
            self._known[collection] = self._read(collection)
        return self._known[collection]

    def _read(self, collection: CollectionPath) -> Introduction | None:
        try:
            found = self._source.collection(*collection)
        except NotFound:  # something is contributed to it, and nobody finished a version
            return None
        said = Introduction(found.description or None, found.tags, found.ttl_seconds)
        if self._with_policy:
            said = said._replace(policy=self._own_policy(collection))
        return said

    def _own_policy(self, collection: CollectionPath) -> JsonObject | None:
        from lineal.core.retention import Level, selection_to_json  # 5 ms that few runs need

        policy = self._source.policy(*collection)
        if policy.level is not Level.COLLECTION or policy.selection is None:
            return None  # it is the project's
        return selection_to_json(policy.selection)
