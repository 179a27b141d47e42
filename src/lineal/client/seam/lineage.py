"""Lineage: which run used and made what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

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


class Lineage(Protocol):
    """The edges between runs and versions."""

    def use(self, run: RunKey, version: VersionId, *, alias: str | None) -> None: ...

    def relog(self, run: RunKey, version: VersionId) -> None:
        """Attach an existing version to a run as one of its outputs (SEM-11)."""

    def runs_of(
        self, version: VersionId, kind: EdgeKind, page: PageRequest, *, with_documents: bool = True
    ) -> Page[RunRecord]:
        """List the runs that used or logged a version, the oldest edge first.

        with_documents: as in RunQuery.
        """

    def versions_of(
        self, run: RunKey, kind: EdgeKind, page: PageRequest, *, with_metadata: bool = True
    ) -> Page[VersionRecord]:
        """List the versions that a run used or logged, the oldest edge first.

        with_metadata: as in VersionQuery.
        """

    def edges_of(self, run: RunKey, kind: EdgeKind) -> list[RunEdge]:
        """Return the edges to the versions that a run used or logged, the oldest first."""

    def lineage(self, root: str, query: LineageQuery) -> LineageGraph:
        """Walk from `run:KEY` or `version:ID`."""
