"""The embedded backend: calls the service in this process, as the owner of the instance.

The only module of `client` that loads `service`. It adds who asks, and after a restore the lines
that waited in the spool meanwhile; it decides nothing. It is as long as the seam has methods.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, BinaryIO

from lineal import service
from lineal.client import term
from lineal.client.run import adopting
from lineal.config import OPENED_WITH, Settings, acting_user, load
from lineal.core.access import Actor, Role
from lineal.core.digest import Digest
from lineal.core.findings import Finding
from lineal.core.full_names import ArtifactPath
from lineal.core.manifest import ManifestHead, Segment, SegmentHead
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
    Handover,
    JsonObject,
    Lines,
    Location,
    MembershipId,
    MovedRun,
    Page,
    PageRequest,
    ProjectRecord,
    RunDocument,
    RunFileRecord,
    RunKey,
    RunPatch,
    RunQuery,
    RunRecord,
    RunSpec,
    RunState,
    StartedRun,
    Stream,
    Upload,
    VersionId,
    VersionPatch,
    VersionQuery,
    VersionRecord,
)
from lineal.files.folders import renew_folder
from lineal.files.reading import Advance, Source
from lineal.service.instance import Instance, open_instance

if TYPE_CHECKING:
    from lineal.client.backend import Backend
    from lineal.core.cleanup import CleanupPlan, Proof, StorageReport, Swept
    from lineal.core.contributions import Made, Part
    from lineal.core.lineage import LineageGraph, LineageQuery, RunEdge
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
    from lineal.core.status import InstanceStatus
    from lineal.core.trials import (
        AgentKey,
        AgentRecord,
        Answer,
        Beat,
        SweepKey,
        SweepQuery,
        SweepRecord,
        SweepSpec,
        SweepState,
        TrialKey,
        TrialProgress,
        TrialRecord,
        TrialState,
    )
    from lineal.service.verify import Progress


class EmbeddedBackend:
    """`Backend` over an instance in a folder of this machine."""

    def __init__(
        self, instance: Instance, actor: Actor, opened_with: Mapping[str, float] | None = None
    ) -> None:
        """opened_with: the settings that the instance keeps (`config.OPENED_WITH`)."""
        self.instance = instance
        self.actor = actor
        self._opened_with = opened_with or {}
        self._checked: set[tuple[str, str, str, str]] = set()
        """Collections and types of drafts that were found to fit: a type stays what it is."""

    def __reduce__(self) -> tuple[Callable[..., Backend], tuple[dict[str, Any]]]:
        """Another process opens the instance for itself: connections must not travel."""
        where = {"home": self.instance.home.root, "entity": self.entity, "username": self.username}
        return _reopened, ({**where, **self._opened_with},)

    # --- who and where ---

    @property
    def entity(self) -> str:
        return self.actor.entity

    @property
    def username(self) -> str:
        return self.actor.name

    @property
    def url(self) -> str:
        return f"file://{self.instance.home.root}"

    @property
    def staging(self) -> str:
        renew_folder(self.instance.home.staging)
        return self.instance.home.staging

    def status(self) -> InstanceStatus:
        return service.status.status(self.instance, self.actor)

    def close(self) -> None:
        self.instance.close()

    def waiting(self, seconds: float) -> AbstractContextManager[None]:
        return self.instance.database.waiting(seconds)

    # --- projects ---

    def project(self, entity: str, name: str, *, create: bool = False) -> ProjectRecord:
        return service.projects.project(self.instance, self.actor, entity, name, create=create)

    def projects(self, entity: str, page: PageRequest) -> Page[ProjectRecord]:
        return service.projects.projects(self.instance, self.actor, entity, page)

    def entities(self) -> list[str]:
        return service.projects.entities(self.instance, self.actor)

    # --- runs ---

    def start_run(self, spec: RunSpec) -> StartedRun:
        return service.runs.start(self.instance, self.actor, spec)

    def run(
        self, entity: str, project: str, run_id: str, *, with_deleted: bool = False
    ) -> RunRecord:
        return service.runs.run(
            self.instance, self.actor, entity, project, run_id, with_deleted=with_deleted
        )

    def run_by_key(self, run: RunKey) -> RunRecord:
        return service.runs.run_by_key(self.instance, self.actor, run)

    def run_documents(
        self, runs: Collection[RunKey], name: RunDocument
    ) -> dict[RunKey, JsonObject]:
        return service.runs.documents(self.instance, self.actor, runs, name)

    def runs(self, query: RunQuery, page: PageRequest) -> Page[RunRecord]:
        return service.runs.runs(self.instance, self.actor, query, page)

    def update_run(self, run: RunKey, patch: RunPatch) -> RunRecord:
        return service.runs.update(self.instance, self.actor, run, patch)

    def heartbeat(self, run: RunKey, runtime_seconds: float) -> None:
        service.runs.heartbeat(self.instance, self.actor, run, runtime_seconds)

    def mark_crashed(self, run: RunKey, runtime_seconds: float) -> None:
        service.runs.mark_crashed(self.instance, self.actor, run, runtime_seconds)

    def finish_run(self, run: RunKey, exit_code: int, runtime_seconds: float) -> RunState:
        return service.runs.finish(self.instance, self.actor, run, exit_code, runtime_seconds)

    def delete_run(
        self, run: RunKey, *, delete_artifacts: bool = False, force: bool = False
    ) -> None:
        service.deletion.delete_run(
            self.instance, self.actor, run, delete_artifacts=delete_artifacts, force=force
        )

    def rewind_run(self, run: RunKey, step: int, summary: JsonObject) -> RunRecord:
        return service.rewinding.rewind(self.instance, self.actor, run, step, summary)

    def move_run(
        self, run: RunKey, entity: str, project: str, *, with_artifacts: bool = False
    ) -> MovedRun:
        return service.moving.move(
            self.instance, self.actor, run, entity, project, with_artifacts=with_artifacts
        )

    def append_lines(self, run: RunKey, batches: Sequence[Lines]) -> None:
        service.history.append(self.instance, self.actor, run, batches)

    def read_lines(
        self,
        run: RunKey,
        stream: Stream,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
    ) -> Iterator[bytes]:
        return service.history.read(
            self.instance, self.actor, run, stream, min_step=min_step, max_step=max_step
        )

    def put_run_files(
        self, run: RunKey, files: Sequence[tuple[str, Source]]
    ) -> list[RunFileRecord]:
        return service.run_files.put(self.instance, self.actor, run, files)

    def run_files(
        self,
        run: RunKey,
        page: PageRequest,
        *,
        names: Sequence[str] = (),
        pattern: str | None = None,
    ) -> Page[RunFileRecord]:
        return service.run_files.files(
            self.instance, self.actor, run, page, names=names, pattern=pattern
        )

    def delete_run_file(self, run: RunKey, path: str) -> None:
        service.run_files.delete(self.instance, self.actor, run, path)

    # --- artifacts: writing ---

    def check_collection(self, draft: DraftSpec) -> None:
        key = (draft.entity, draft.project, draft.collection, draft.type)
        if key not in self._checked:
            service.artifacts.check_collection(self.instance, self.actor, draft)
            self._checked.add(key)

    def begin(self, draft: DraftSpec, segments: Sequence[Segment] = ()) -> Begun:
        return service.artifacts.begin(self.instance, self.actor, draft, segments)

    def put_segments(self, draft: DraftId, segments: Sequence[Segment]) -> None:
        service.transfers.put_segments(self.instance, self.actor, draft, segments)

    def missing_blobs(self, draft: DraftId) -> Iterator[Upload]:
        return service.transfers.missing_blobs(self.instance, self.actor, draft)

    def send(
        self,
        upload: Upload,
        source: str,
        handover: Handover = Handover.COPY,
        advance: Advance | None = None,
    ) -> None:
        self.instance.store.put(
            upload.key, source, size=upload.size, handover=handover, advance=advance
        )

    def send_bytes(self, upload: Upload, data: bytes) -> None:
        self.instance.store.put_bytes(upload.key, data)

    def send_pack(self, upload: Upload, pack: str) -> frozenset[Digest]:
        return frozenset(self.instance.store.put_pack(upload.key, pack))

    def confirm(self, draft: DraftId, sent: Sequence[Upload]) -> None:
        service.transfers.confirm(self.instance, self.actor, draft, sent)

    def commit(self, draft: DraftId) -> Committed:
        return service.artifacts.commit(self.instance, self.actor, draft)

    def parts_of(self, run: RunKey) -> list[Part]:
        return service.distributed.parts_of(self.instance, self.actor, run)

    def made_of(self, collection: tuple[str, str, str], distributed_id: str) -> list[Made]:
        return service.distributed.made_of(self.instance, self.actor, collection, distributed_id)

    def remove_surplus(self, draft: DraftId) -> None:
        service.strays.remove_surplus(self.instance, self.actor, draft)

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

    # --- time to live ---

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

    # --- retention and deletion ---

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
        restored = service.restoring.restore(self.instance, self.actor, deletion_id)
        self._adopt_waiting()
        return restored

    def restore_version(self, path: ArtifactPath) -> RestoredVersion:
        return service.restoring.restore_version(self.instance, self.actor, path)

    def restore_collection(self, entity: str, project: str, collection: str) -> Restored:
        return service.restoring.restore_collection(
            self.instance, self.actor, entity, project, collection
        )

    def restore_run(self, entity: str, project: str, run_id: str) -> RunRecord:
        run = service.restoring.restore_run(self.instance, self.actor, entity, project, run_id)
        self._adopt_waiting()
        return self.run_by_key(run.key)

    def restore_project(self, entity: str, project: str) -> Restored:
        restored = service.restoring.restore_project(self.instance, self.actor, entity, project)
        self._adopt_waiting()
        return restored

    def _adopt_waiting(self) -> None:
        """Move the lines that waited in the spool while their run was deleted."""
        adopting.adopt(self, self.instance.home.spool)

    # --- space ---

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

    # --- what only this backend can: it has the files ---

    def verify(
        self, progress: Progress | None = None, *, repair: bool = False
    ) -> Iterator[Finding]:
        """Walk every invariant and every byte of the instance; embedded only."""
        return service.verify.verify(self.instance, self.actor, progress, repair=repair)

    def damage(self) -> list[Finding]:
        """Look at the database's own pages only; embedded only."""
        return service.verify.damage(self.instance, self.actor)

    def unreadable(self) -> Finding | None:
        """Look for what keeps a database from being read that comes from elsewhere."""
        return service.verify.unreadable(self.instance, self.actor)

    # --- artifacts: reading ---

    def version(self, path: ArtifactPath, *, with_deleted: bool = False) -> VersionRecord:
        return service.catalog.version(self.instance, self.actor, path, with_deleted=with_deleted)

    def version_in_config(self, number: int, name: str | None) -> VersionRecord:
        return self.version_by_id(VersionId(number))

    def version_by_id(self, version: VersionId) -> VersionRecord:
        return service.catalog.version_by_id(self.instance, self.actor, version)

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

    def manifest(self, version: VersionId) -> ManifestHead:
        return service.transfers.manifest(self.instance, self.actor, version)

    def read_segments(self, version: VersionId, heads: Sequence[SegmentHead]) -> Iterator[Segment]:
        return service.transfers.read_segments(self.instance, self.actor, version, heads)

    def locate(self, version: VersionId, digests: Sequence[Digest]) -> dict[Digest, Location]:
        return service.transfers.locate(self.instance, self.actor, version, digests)

    def locate_run_files(self, run: RunKey, digests: Sequence[Digest]) -> dict[Digest, Location]:
        return service.transfers.locate_run_files(self.instance, self.actor, run, digests)

    def births(self, version: VersionId, digests: Sequence[Digest]) -> dict[Digest, VersionId]:
        return service.transfers.births(self.instance, self.actor, version, digests)

    def open(self, location: Location) -> BinaryIO:
        return self.instance.store.open(location.key)

    # --- sweeps ---

    def create_sweep(self, spec: SweepSpec) -> SweepRecord:
        return service.sweep.sweeps.create(self.instance, self.actor, spec)

    def sweep(self, entity: str, project: str, sweep_id: str) -> SweepRecord:
        return service.sweep.sweeps.sweep(self.instance, self.actor, entity, project, sweep_id)

    def sweeps(self, query: SweepQuery, page: PageRequest) -> Page[SweepRecord]:
        return service.sweep.sweeps.sweeps(self.instance, self.actor, query, page)

    def set_sweep_state(self, sweep: SweepKey, state: SweepState) -> SweepRecord:
        return service.sweep.sweeps.set_state(self.instance, self.actor, sweep, state)

    def update_sweep(self, sweep: SweepKey, document: JsonObject) -> SweepRecord:
        return service.sweep.sweeps.update(self.instance, self.actor, sweep, document)

    def sweep_importance(self, sweep: SweepKey) -> dict[str, float]:
        return service.sweep.importance.importance(self.instance, self.actor, sweep)

    def sweep_agents(self, sweep: SweepKey) -> list[AgentRecord]:
        return service.sweep.trials.agents(self.instance, self.actor, sweep)

    def trials(self, sweep: SweepKey, page: PageRequest) -> Page[TrialRecord]:
        return service.sweep.trials.trials(self.instance, self.actor, sweep, page)

    def trial_of_run(self, entity: str, project: str, sweep_id: str, run_id: str) -> TrialRecord:
        return service.sweep.trials.trial_of_run(
            self.instance, self.actor, entity, project, sweep_id, run_id
        )

    def enqueue_trial(self, sweep: SweepKey, parameters: JsonObject) -> TrialRecord:
        return service.sweep.trials.enqueue(self.instance, self.actor, sweep, parameters)

    def propose_trial(self, sweep: SweepKey) -> JsonObject | None:
        return service.sweep.trials.propose(self.instance, self.actor, sweep)

    def join_sweep(self, sweep: SweepKey, *, name: str, host: str) -> AgentKey:
        return service.sweep.trials.join(self.instance, self.actor, sweep, name=name, host=host)

    def leave_sweep(self, agent: AgentKey) -> None:
        service.sweep.trials.leave(self.instance, self.actor, agent)

    def next_trial(self, sweep: SweepKey, agent: AgentKey) -> Answer:
        return service.sweep.trials.next_trial(self.instance, self.actor, sweep, agent)

    def beat_trial(self, trial: TrialKey, agent: AgentKey) -> Beat:
        return service.sweep.trials.beat(self.instance, self.actor, trial, agent)

    def report_trial(self, trial: TrialKey, run_id: str, progress: TrialProgress) -> Beat:
        return service.sweep.trials.report(self.instance, self.actor, trial, run_id, progress)

    def finish_trial(self, trial: TrialKey, agent: AgentKey, state: TrialState) -> TrialRecord:
        return service.sweep.trials.finish(self.instance, self.actor, trial, agent, state)

    # --- lineage ---

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
        return service.lineage.lineage(self.instance, self.actor, root, query)


def open_embedded(settings: Settings) -> EmbeddedBackend:
    """Open the instance in the settings' home as its owner."""
    instance = open_instance(settings, tell=term.warning)
    actor = Actor(acting_user(settings), Role.OWNER, settings.entity)
    opened_with = {name: getattr(settings, name) for name in OPENED_WITH}
    return EmbeddedBackend(instance, actor, opened_with)


def _reopened(settings: dict[str, Any]) -> Backend:
    from lineal.client import session  # it loads this

    return session.open_backend(load(settings))
