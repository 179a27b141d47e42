"""Lineage: which run used and made what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lineal import service
from lineal.client.embedded.base import Base
from lineal.core.records import (
    EdgeKind,
    Page,
    PageRequest,
    RunKey,
    RunRecord,
    VersionId,
    VersionRecord,
)

if TYPE_CHECKING:
    from lineal.core.lineage import LineageGraph, LineageQuery, RunEdge


class EmbeddedLineage(Base):
    def use(self, run: RunKey, version: VersionId, *, alias: str | None) -> None:
        service.lineage.use(self.instance, self.actor, run, version, alias=alias)

    def relog(self, run: RunKey, version: VersionId) -> None:
        service.lineage.relog(self.instance, self.actor, run, version)

    def runs_of(
        self, version: VersionId, kind: EdgeKind, page: PageRequest, *, with_documents: bool = True
    ) -> Page[RunRecord]:
        return service.lineage.runs_of(
            self.instance, self.actor, version, kind, page, with_documents=with_documents
        )

    def versions_of(
        self, run: RunKey, kind: EdgeKind, page: PageRequest, *, with_metadata: bool = True
    ) -> Page[VersionRecord]:
        return service.lineage.versions_of(
            self.instance, self.actor, run, kind, page, with_metadata=with_metadata
        )

    def edges_of(self, run: RunKey, kind: EdgeKind) -> list[RunEdge]:
        return service.lineage.edges_of(self.instance, self.actor, run, kind)

    def lineage(self, root: str, query: LineageQuery) -> LineageGraph:
        return service.lineage_graph.graph(self.instance, self.actor, root, query)
