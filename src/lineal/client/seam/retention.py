"""What expires, what is deleted, and what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

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


class Retention(Protocol):
    """Time to live, retention policies, deletion and restoring.

    A collection of None means the whole project.
    """

    def effective_ttl(self, version: VersionId) -> EffectiveTtl: ...

    def set_version_ttl(self, membership: MembershipId, seconds: int | None) -> VersionRecord:
        """Seconds as stored: None inherits, 0 is never (`core.retention`)."""

    def set_collection_ttl(
        self, collection: CollectionId, seconds: int | None
    ) -> CollectionRecord: ...

    def set_project_ttl(self, entity: str, project: str, seconds: int | None) -> ProjectRecord: ...

    def entity_ttl(self, entity: str) -> int | None: ...

    def set_entity_ttl(self, entity: str, seconds: int | None) -> None: ...

    def expiring(
        self, entity: str, project: str | None, within: timedelta, page: PageRequest
    ) -> Page[Expiring]:
        """List what expires within a time, the soonest first; project None: all of the entity.

        The versions come without their metadata.
        """

    def protect_aliases(
        self, entity: str, project: str, aliases: Sequence[str]
    ) -> ProjectRecord: ...

    def policy(self, entity: str, project: str, collection: str | None = None) -> Policy: ...

    def set_policy(
        self, entity: str, project: str, collection: str | None, selection: Selection | None
    ) -> Policy: ...

    def preview(
        self,
        entity: str,
        project: str,
        collection: str | None,
        selection: Selection,
        *,
        by_policy: bool = False,
        with_metadata: bool = True,
    ) -> Preview: ...

    def delete_selected(
        self, entity: str, project: str, collection: str | None, selection: Selection
    ) -> Deletion | None: ...

    def delete_project(self, entity: str, project: str, *, force: bool = False) -> None: ...

    def deletions(self, page: PageRequest) -> Page[Deletion]: ...

    def restore(self, deletion_id: int) -> Restored: ...

    def restore_version(self, path: ArtifactPath) -> RestoredVersion: ...

    def restore_collection(self, entity: str, project: str, collection: str) -> Restored: ...

    def restore_run(self, entity: str, project: str, run_id: str) -> RunRecord: ...

    def restore_project(self, entity: str, project: str) -> Restored: ...
