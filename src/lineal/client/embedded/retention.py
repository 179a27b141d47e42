"""What expires, what is deleted, and what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from lineal import service
from lineal.client.embedded.base import Base
from lineal.core.full_names import ArtifactPath
from lineal.core.records import (
    CollectionId,
    CollectionRecord,
    MembershipId,
    Page,
    PageRequest,
    ProjectRecord,
    RunRecord,
    VersionId,
    VersionRecord,
)

if TYPE_CHECKING:
    from lineal.core.retention import (
        Deletion,
        EffectiveTtl,
        Expiring,
        Policy,
        Preview,
        Restored,
        RestoredVersion,
        Selection,
    )


class EmbeddedRetention(Base):
    def effective_ttl(self, version: VersionId) -> EffectiveTtl:
        return service.ttl.effective_ttl(self.instance, self.actor, version)

    def set_version_ttl(self, membership: MembershipId, seconds: int | None) -> VersionRecord:
        return service.ttl.set_version_ttl(self.instance, self.actor, membership, seconds)

    def set_collection_ttl(self, collection: CollectionId, seconds: int | None) -> CollectionRecord:
        return service.ttl.set_collection_ttl(self.instance, self.actor, collection, seconds)

    def set_project_ttl(self, entity: str, project: str, seconds: int | None) -> ProjectRecord:
        return service.ttl.set_project_ttl(self.instance, self.actor, entity, project, seconds)

    def entity_ttl(self, entity: str) -> int | None:
        return service.ttl.entity_ttl(self.instance, self.actor, entity)

    def set_entity_ttl(self, entity: str, seconds: int | None) -> None:
        service.ttl.set_entity_ttl(self.instance, self.actor, entity, seconds)

    def expiring(
        self, entity: str, project: str | None, within: timedelta, page: PageRequest
    ) -> Page[Expiring]:
        return service.ttl.expiring(self.instance, self.actor, entity, project, within, page)

    def protect_aliases(self, entity: str, project: str, aliases: Sequence[str]) -> ProjectRecord:
        return service.retention.protect_aliases(
            self.instance, self.actor, entity, project, aliases
        )

    def policy(self, entity: str, project: str, collection: str | None = None) -> Policy:
        return service.retention.policy(self.instance, self.actor, entity, project, collection)

    def set_policy(
        self, entity: str, project: str, collection: str | None, selection: Selection | None
    ) -> Policy:
        return service.retention.set_policy(
            self.instance, self.actor, entity, project, collection, selection
        )

    def preview(
        self,
        entity: str,
        project: str,
        collection: str | None,
        selection: Selection,
        *,
        by_policy: bool = False,
        with_metadata: bool = True,
    ) -> Preview:
        return service.retention.preview(
            self.instance,
            self.actor,
            entity,
            project,
            collection,
            selection,
            by_policy=by_policy,
            with_metadata=with_metadata,
        )

    def delete_selected(
        self, entity: str, project: str, collection: str | None, selection: Selection
    ) -> Deletion | None:
        return service.retention.delete_selected(
            self.instance, self.actor, entity, project, collection, selection
        )

    def delete_project(self, entity: str, project: str, *, force: bool = False) -> None:
        service.deletion.delete_project(self.instance, self.actor, entity, project, force=force)

    def deletions(self, page: PageRequest) -> Page[Deletion]:
        return service.deletion.deletions(self.instance, self.actor, page)

    def restore(self, deletion_id: int) -> Restored:
        return service.restoring.restore(self.instance, self.actor, deletion_id)

    def restore_version(self, path: ArtifactPath) -> RestoredVersion:
        return service.restoring.restore_version(self.instance, self.actor, path)

    def restore_collection(self, entity: str, project: str, collection: str) -> Restored:
        return service.restoring.restore_collection(
            self.instance, self.actor, entity, project, collection
        )

    def restore_run(self, entity: str, project: str, run_id: str) -> RunRecord:
        return service.restoring.restore_run(self.instance, self.actor, entity, project, run_id)

    def restore_project(self, entity: str, project: str) -> Restored:
        return service.restoring.restore_project(self.instance, self.actor, entity, project)
