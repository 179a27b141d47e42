"""The embedded backend: calls the service in this process, as the owner of the instance.

The only module of `client` that loads `service`; it adds who asks, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from lineal.config import Settings, default_entity
from lineal.core.access import Actor, Role
from lineal.core.digest import Digest
from lineal.core.manifest import ManifestHead, Segment, SegmentHead
from lineal.core.names import ArtifactPath
from lineal.core.records import (
    AliasMove,
    Begun,
    CollectionId,
    CollectionPatch,
    CollectionQuery,
    CollectionRecord,
    Committed,
    DraftId,
    DraftSpec,
    EdgeKind,
    Finding,
    InstanceStatus,
    LineageGraph,
    LineageQuery,
    Lines,
    Location,
    MembershipId,
    Page,
    PageRequest,
    ProjectRecord,
    RunFileRecord,
    RunKey,
    RunPatch,
    RunQuery,
    RunRecord,
    RunSpec,
    StartedRun,
    Stream,
    Upload,
    VersionId,
    VersionPatch,
    VersionQuery,
    VersionRecord,
)
from lineal.service import (
    artifacts,
    catalog,
    history,
    lineage,
    projects,
    run_files,
    runs,
    status,
    transfers,
    verify,
)
from lineal.service.clock import Clock
from lineal.service.instance import Instance, open_instance
from lineal.service.verify import Progress


class EmbeddedBackend:
    """`Backend` over an instance in a folder of this machine."""

    def __init__(self, instance: Instance, actor: Actor) -> None:
        self.instance = instance
        self.actor = actor

    # --- who and where ---

    @property
    def entity(self) -> str:
        return self.actor.name

    @property
    def url(self) -> str:
        return f"file://{self.instance.home.root}"

    @property
    def staging(self) -> str:
        return self.instance.home.staging

    def status(self) -> InstanceStatus:
        return status.status(self.instance, self.actor)

    def close(self) -> None:
        self.instance.close()

    # --- projects ---

    def project(self, entity: str, name: str, *, create: bool = False) -> ProjectRecord:
        return projects.project(self.instance, self.actor, entity, name, create=create)

    def projects(self, entity: str, page: PageRequest) -> Page[ProjectRecord]:
        return projects.projects(self.instance, self.actor, entity, page)

    # --- runs ---

    def start_run(self, spec: RunSpec) -> StartedRun:
        return runs.start(self.instance, self.actor, spec)

    def run(self, entity: str, project: str, run_id: str) -> RunRecord:
        return runs.run(self.instance, self.actor, entity, project, run_id)

    def run_by_key(self, run: RunKey) -> RunRecord:
        return runs.run_by_key(self.instance, self.actor, run)

    def runs(self, query: RunQuery, page: PageRequest) -> Page[RunRecord]:
        return runs.runs(self.instance, self.actor, query, page)

    def update_run(self, run: RunKey, patch: RunPatch) -> RunRecord:
        return runs.update(self.instance, self.actor, run, patch)

    def heartbeat(self, run: RunKey, runtime_seconds: float) -> None:
        runs.heartbeat(self.instance, self.actor, run, runtime_seconds)

    def finish_run(self, run: RunKey, exit_code: int, runtime_seconds: float) -> None:
        runs.finish(self.instance, self.actor, run, exit_code, runtime_seconds)

    def delete_run(self, run: RunKey, *, delete_artifacts: bool = False) -> None:
        runs.delete(self.instance, self.actor, run, delete_artifacts=delete_artifacts)

    def append_lines(self, run: RunKey, batches: Sequence[Lines]) -> None:
        history.append(self.instance, self.actor, run, batches)

    def read_lines(
        self,
        run: RunKey,
        stream: Stream,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
    ) -> Iterator[bytes]:
        return history.read(
            self.instance, self.actor, run, stream, min_step=min_step, max_step=max_step
        )

    def put_run_files(self, run: RunKey, files: Sequence[tuple[str, str]]) -> list[RunFileRecord]:
        return run_files.put(self.instance, self.actor, run, files)

    def run_files(
        self, run: RunKey, page: PageRequest, *, names: Sequence[str] = ()
    ) -> Page[RunFileRecord]:
        return run_files.files(self.instance, self.actor, run, page, names=names)

    def delete_run_file(self, run: RunKey, path: str) -> None:
        run_files.delete(self.instance, self.actor, run, path)

    # --- artifacts: writing ---

    def begin(self, draft: DraftSpec, segments: Sequence[Segment] = ()) -> Begun:
        return artifacts.begin(self.instance, self.actor, draft, segments)

    def put_segments(self, draft: DraftId, segments: Sequence[Segment]) -> None:
        transfers.put_segments(self.instance, self.actor, draft, segments)

    def missing_blobs(self, draft: DraftId) -> Iterator[Upload]:
        return transfers.missing_blobs(self.instance, self.actor, draft)

    def verify(self, progress: Progress | None = None) -> Iterator[Finding]:
        """Walk every invariant and every byte of the instance; embedded only."""
        return verify.verify(self.instance, self.actor, progress)

    def send(self, upload: Upload, source: str, *, take: bool, link: bool) -> None:
        self.instance.store.put(upload.key, source, size=upload.size, take=take, link=link)

    def confirm(self, draft: DraftId, sent: Sequence[Upload]) -> None:
        transfers.confirm(self.instance, self.actor, draft, sent)

    def commit(self, draft: DraftId) -> Committed:
        return artifacts.commit(self.instance, self.actor, draft)

    def abandon(self, draft: DraftId) -> None:
        artifacts.abandon(self.instance, self.actor, draft)

    def update_version(self, membership: MembershipId, patch: VersionPatch) -> VersionRecord:
        return catalog.update_version(self.instance, self.actor, membership, patch)

    def delete_version(self, membership: MembershipId, *, delete_aliases: bool) -> None:
        catalog.delete_version(self.instance, self.actor, membership, delete_aliases=delete_aliases)

    def link_version(
        self, version: VersionId, target: ArtifactPath, aliases: Sequence[str]
    ) -> VersionRecord:
        return catalog.link_version(self.instance, self.actor, version, target, aliases)

    def unlink_version(self, membership: MembershipId) -> None:
        catalog.unlink_version(self.instance, self.actor, membership)

    def update_collection(
        self, collection: CollectionId, patch: CollectionPatch
    ) -> CollectionRecord:
        return catalog.update_collection(self.instance, self.actor, collection, patch)

    def delete_collection(self, collection: CollectionId) -> None:
        catalog.delete_collection(self.instance, self.actor, collection)

    # --- artifacts: reading ---

    def version(self, path: ArtifactPath) -> VersionRecord:
        return catalog.version(self.instance, self.actor, path)

    def version_by_id(self, version: VersionId) -> VersionRecord:
        return catalog.version_by_id(self.instance, self.actor, version)

    def versions(self, query: VersionQuery, page: PageRequest) -> Page[VersionRecord]:
        return catalog.versions(self.instance, self.actor, query, page)

    def links(self, version: VersionId) -> list[VersionRecord]:
        return catalog.links(self.instance, self.actor, version)

    def collection(self, entity: str, project: str, name: str) -> CollectionRecord:
        return catalog.collection(self.instance, self.actor, entity, project, name)

    def collections(self, query: CollectionQuery, page: PageRequest) -> Page[CollectionRecord]:
        return catalog.collections(self.instance, self.actor, query, page)

    def artifact_types(self, entity: str, project: str) -> list[str]:
        return catalog.artifact_types(self.instance, self.actor, entity, project)

    def alias_history(self, collection: CollectionId, alias: str | None) -> list[AliasMove]:
        return catalog.alias_history(self.instance, self.actor, collection, alias)

    def manifest(self, version: VersionId) -> ManifestHead:
        return transfers.manifest(self.instance, self.actor, version)

    def read_segments(self, version: VersionId, heads: Sequence[SegmentHead]) -> Iterator[Segment]:
        return transfers.read_segments(self.instance, self.actor, version, heads)

    def locate(
        self,
        digests: Sequence[Digest],
        *,
        version: VersionId | None = None,
        run: RunKey | None = None,
    ) -> dict[Digest, Location]:
        return transfers.locate(self.instance, self.actor, digests, version=version, run=run)

    def open(self, location: Location) -> BinaryIO:
        return self.instance.store.open(location.key)

    # --- lineage ---

    def use(self, run: RunKey, version: VersionId, *, alias: str | None) -> None:
        lineage.use(self.instance, self.actor, run, version, alias=alias)

    def relog(self, run: RunKey, version: VersionId) -> None:
        lineage.relog(self.instance, self.actor, run, version)

    def runs_of(self, version: VersionId, kind: EdgeKind, page: PageRequest) -> Page[RunRecord]:
        return lineage.runs_of(self.instance, self.actor, version, kind, page)

    def versions_of(self, run: RunKey, kind: EdgeKind, page: PageRequest) -> Page[VersionRecord]:
        return lineage.versions_of(self.instance, self.actor, run, kind, page)

    def lineage(self, root: str, query: LineageQuery) -> LineageGraph:
        return lineage.lineage(self.instance, self.actor, root, query)


def open_embedded(settings: Settings, *, clock: Clock | None = None) -> EmbeddedBackend:
    """Open the instance in the settings' home as its owner."""
    instance = open_instance(settings, clock=clock)
    return EmbeddedBackend(instance, Actor(default_entity(settings), Role.OWNER))
