"""Versions and collections: finding, naming, linking and deleting them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

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


class Catalog(Protocol):
    """The versions and collections of an instance: found, named, linked, deleted."""

    def version(self, path: ArtifactPath, *, with_deleted: bool = False) -> VersionRecord: ...

    def version_by_id(self, version: VersionId) -> VersionRecord: ...

    def version_in_config(self, number: int, name: str | None) -> VersionRecord:
        """Return the version that a config names by its id; name: its `name:vN`, if that is said.

        Offline, the same number may stand for one of the folder and for one of the home.
        """

    def versions(self, query: VersionQuery, page: PageRequest) -> Page[VersionRecord]: ...

    def links(self, version: VersionId) -> list[VersionRecord]: ...

    def collection(self, entity: str, project: str, name: str) -> CollectionRecord: ...

    def collection_by_id(self, collection: CollectionId) -> CollectionRecord:
        """Return a collection under the name that it has by now, a deleted one too."""

    def collections(self, query: CollectionQuery, page: PageRequest) -> Page[CollectionRecord]: ...

    def artifact_types(self, entity: str, project: str) -> list[str]: ...

    def alias_history(self, collection: CollectionId, alias: str | None) -> list[AliasMove]: ...

    def update_version(self, membership: MembershipId, patch: VersionPatch) -> VersionRecord: ...

    def delete_version(
        self, membership: MembershipId, *, delete_aliases: bool, dry_run: bool = False
    ) -> None: ...

    def link_version(
        self,
        version: VersionId,
        target: ArtifactPath,
        aliases: Sequence[str],
        *,
        number: int | None = None,
    ) -> VersionRecord:
        """Link it; number: of the link, unless its collection has given that before."""

    def unlink_version(self, membership: MembershipId) -> None: ...

    def update_collection(
        self, collection: CollectionId, patch: CollectionPatch
    ) -> CollectionRecord: ...

    def delete_collection(self, collection: CollectionId) -> None: ...
