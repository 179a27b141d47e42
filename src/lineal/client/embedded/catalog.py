"""Versions and collections: finding, naming, linking and deleting them."""

from __future__ import annotations

from collections.abc import Sequence

from lineal import service
from lineal.client.embedded.base import Base
from lineal.core.full_names import ArtifactPath
from lineal.core.records import (
    AliasMove,
    CollectionId,
    CollectionPatch,
    CollectionQuery,
    CollectionRecord,
    MembershipId,
    Page,
    PageRequest,
    VersionId,
    VersionPatch,
    VersionQuery,
    VersionRecord,
)


class EmbeddedCatalog(Base):
    def version(self, path: ArtifactPath, *, with_deleted: bool = False) -> VersionRecord:
        return service.catalog.version(self.instance, self.actor, path, with_deleted=with_deleted)

    def version_by_id(self, version: VersionId) -> VersionRecord:
        return service.catalog.version_by_id(self.instance, self.actor, version)

    def version_in_config(self, number: int, name: str | None) -> VersionRecord:
        return self.version_by_id(VersionId(number))

    def versions(self, query: VersionQuery, page: PageRequest) -> Page[VersionRecord]:
        return service.catalog.versions(self.instance, self.actor, query, page)

    def links(self, version: VersionId) -> list[VersionRecord]:
        return service.catalog.links(self.instance, self.actor, version)

    def collection(self, entity: str, project: str, name: str) -> CollectionRecord:
        return service.catalog.collection(self.instance, self.actor, entity, project, name)

    def collection_by_id(self, collection: CollectionId) -> CollectionRecord:
        return service.catalog.collection_by_id(self.instance, self.actor, collection)

    def collections(self, query: CollectionQuery, page: PageRequest) -> Page[CollectionRecord]:
        return service.catalog.collections(self.instance, self.actor, query, page)

    def artifact_types(self, entity: str, project: str) -> list[str]:
        return service.catalog.artifact_types(self.instance, self.actor, entity, project)

    def alias_history(self, collection: CollectionId, alias: str | None) -> list[AliasMove]:
        return service.catalog.alias_history(self.instance, self.actor, collection, alias)

    def update_version(self, membership: MembershipId, patch: VersionPatch) -> VersionRecord:
        return service.catalog.update_version(self.instance, self.actor, membership, patch)

    def delete_version(
        self, membership: MembershipId, *, delete_aliases: bool, dry_run: bool = False
    ) -> None:
        service.deletion.delete_version(
            self.instance, self.actor, membership, delete_aliases=delete_aliases, dry_run=dry_run
        )

    def link_version(
        self,
        version: VersionId,
        target: ArtifactPath,
        aliases: Sequence[str],
        *,
        number: int | None = None,
    ) -> VersionRecord:
        return service.catalog.link_version(
            self.instance, self.actor, version, target, aliases, number=number
        )

    def unlink_version(self, membership: MembershipId) -> None:
        service.catalog.unlink_version(self.instance, self.actor, membership)

    def update_collection(
        self, collection: CollectionId, patch: CollectionPatch
    ) -> CollectionRecord:
        return service.catalog.update_collection(self.instance, self.actor, collection, patch)

    def delete_collection(self, collection: CollectionId) -> None:
        service.deletion.delete_collection(self.instance, self.actor, collection)
