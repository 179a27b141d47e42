"""The normal home, as an offline run sees it: read, never changed, and with ids of its own.

The folder of the run and the home both count from 1. What comes from the home has marked ids, so
that an id alone says which of them has what it names. docs/design/009-sdk.md
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar, cast

from lineal.client import session
from lineal.client.backend import Backend
from lineal.config import Settings
from lineal.core.lineage import LineageGraph, RunEdge, number_of
from lineal.core.records import CollectionRecord, Page, RunRecord, VersionRecord
from lineal.errors import Unavailable, UsageError
from lineal.home import home_of

_MARK = 1 << 48
"""Added to ids of the home; no instance counts that far."""
_NOUNS = {RunRecord: "Run", CollectionRecord: "Collection", VersionRecord: "Version"}

Id = TypeVar("Id", bound=int | str)
"""A key or an id, or a node of a graph: `run:KEY` or `version:ID`."""
Record = TypeVar("Record", RunRecord, CollectionRecord, VersionRecord)
T = TypeVar("T")


def is_at_home(id: int | str) -> bool:
    return (number_of(id) if isinstance(id, str) else id) >= _MARK


def marked(id: Id) -> Id:
    """Return what an id of the home is called in the run."""
    return _shifted(id, _MARK)


def plain(id: Id) -> Id:
    """Return what a marked id is called at home."""
    return _shifted(id, -_MARK)


def _shifted(id: Id, by: int) -> Id:
    if isinstance(id, str):
        kind = id.partition(":")[0]
        return cast(Id, f"{kind}:{number_of(id) + by}")
    return cast(Id, id + by)


class NormalHome:
    """The instance that runs are in when they are not offline; it is not made for this."""

    def __init__(self, settings: Settings) -> None:
        self.root = settings.home
        self.settings = settings
        self._seen: dict[tuple[type, int], Any] = {}
        """What was shown of it, by kind and marked id; of versions, by that of the membership."""

    @property
    def is_there(self) -> bool:
        return os.path.exists(home_of(self.settings).database)

    @property
    def backend(self) -> Backend:
        """The home's own, without marks. Raises Unavailable if it is gone."""
        if not self.is_there:
            raise Unavailable(f"The instance in {self.root} is gone")
        return session.open_backend(self.settings)

    def ask(self, question: Callable[[Backend], T]) -> T:
        """Return what the home answers, with marked ids. Ids in the question are plain."""
        return cast(T, self._marked(question(self.backend)))

    def seen(self, kind: type[Record], id: int) -> Record:
        """Return a record by its marked id; of a version, by that of its membership."""
        return cast(Record, self._seen[kind, id])

    def unchangeable(self, record: Record) -> UsageError:
        return UsageError(
            f"{_NOUNS[type(record)]} {record.path} is not in the folder of this offline run but in "
            f"the instance in {self.root}, which the run only reads; change it through "
            "`lineal.Api()`"
        )

    def _marked(self, answer: Any) -> Any:
        match answer:
            case RunRecord():
                run = answer._replace(key=marked(answer.key))
                return self._remembered(run, run.key)
            case CollectionRecord():
                collection = answer._replace(id=marked(answer.id))
                return self._remembered(collection, collection.id)
            case VersionRecord():
                membership = marked(answer.membership_id)
                version = answer._replace(id=marked(answer.id), membership_id=membership)
                return self._remembered(version, membership)
            case RunEdge():
                return answer._replace(version=marked(answer.version))
            case LineageGraph():
                return _marked_graph(answer)
            case Page():
                return answer._replace(items=tuple(map(self._marked, answer.items)))
            case list():
                return [self._marked(each) for each in answer]
        return answer

    def _remembered(self, record: Record, id: int) -> Record:
        self._seen[type(record), id] = record
        return record


def _marked_graph(graph: LineageGraph) -> LineageGraph:
    return graph._replace(
        root=marked(graph.root),
        nodes=tuple(node._replace(id=marked(node.id)) for node in graph.nodes),
        edges=tuple(
            edge._replace(source=marked(edge.source), target=marked(edge.target))
            for edge in graph.edges
        ),
    )
