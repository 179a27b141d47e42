"""Space: where the bytes are, and freeing them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lineal import service
from lineal.client.embedded.base import Base
from lineal.core.full_names import ArtifactPath

if TYPE_CHECKING:
    from lineal.core.gc import CleanupPlan, Proof, StorageReport, Swept


class EmbeddedSpace(Base):
    def gc_plan(self) -> CleanupPlan:
        return service.gc.plan(self.instance, self.actor)

    def gc_sweep(self, progress: Callable[[str, int], None] | None = None) -> Swept:
        return service.gc.sweep(self.instance, self.actor, progress)

    def sweep_if_due(self) -> Swept | None:
        return service.due.sweep_if_due(self.instance, self.actor)

    def purge(
        self, path: ArtifactPath, *, all_versions: bool = False, force: bool = False
    ) -> Proof:
        return service.purge.purge(
            self.instance, self.actor, path, all_versions=all_versions, force=force
        )

    def storage(
        self,
        *,
        entity: str | None = None,
        project: str | None = None,
        collection: str | None = None,
    ) -> StorageReport:
        return service.storage.storage(
            self.instance, self.actor, entity=entity, project=project, collection=collection
        )
