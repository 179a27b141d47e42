"""The seam between the SDK and whatever keeps the data: embedded, or (later) a server.

Each method is one use case of `service` and means what is documented there; a backend adds who
asks and how bytes travel. Contract for implementers: every method may be called from any thread
and after `fork`; every method that writes may be called again after a failure with the same
arguments and then changes nothing twice; a method that raises leaves nothing half-done visible.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO, Protocol

from lineal.core import names
from lineal.core.digest import Digest
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
from lineal.files.reading import Advance, Source

if TYPE_CHECKING:
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


class Backend(Protocol):
    # --- who and where ---

    @property
    def entity(self) -> str:
        """The entity that owns what names none."""

    @property
    def username(self) -> str:
        """Who acts; recorded as the maker of what is made."""

    @property
    def url(self) -> str:
        """Where the data is: `file:///…` or the server's address."""

    @property
    def staging(self) -> str:
        """A folder for private copies; a file there can be sent with `take` at no cost."""

    def status(self) -> InstanceStatus: ...

    def close(self) -> None: ...

    def waiting(self, seconds: float) -> AbstractContextManager[None]:
        """Let calls of this thread wait at most so long for other writers, in the block."""

    # --- projects ---

    def project(self, entity: str, name: str, *, create: bool = False) -> ProjectRecord: ...

    def projects(self, entity: str, page: PageRequest) -> Page[ProjectRecord]: ...

    def entities(self) -> list[str]:
        """Return who has projects here, by name; some of them, if there are many."""
        ...

    # --- runs ---

    def start_run(self, spec: RunSpec) -> StartedRun: ...

    def run(
        self, entity: str, project: str, run_id: str, *, with_deleted: bool = False
    ) -> RunRecord: ...

    def run_by_key(self, run: RunKey) -> RunRecord: ...

    def run_documents(
        self, runs: Collection[RunKey], name: RunDocument
    ) -> dict[RunKey, JsonObject]: ...

    def runs(self, query: RunQuery, page: PageRequest) -> Page[RunRecord]: ...

    def update_run(self, run: RunKey, patch: RunPatch) -> RunRecord: ...

    def heartbeat(self, run: RunKey, runtime_seconds: float) -> None: ...

    def mark_crashed(self, run: RunKey, runtime_seconds: float) -> None:
        """Say that the last process that wrote to a run is dead; a heartbeat says otherwise."""

    def finish_run(self, run: RunKey, exit_code: int, runtime_seconds: float) -> RunState: ...

    def delete_run(
        self, run: RunKey, *, delete_artifacts: bool = False, force: bool = False
    ) -> None: ...

    def rewind_run(self, run: RunKey, step: int, summary: JsonObject) -> RunRecord:
        """Take a run back to a step, and its summary; a copy keeps it as it was (RUN-19)."""

    def move_run(
        self, run: RunKey, entity: str, project: str, *, with_artifacts: bool = False
    ) -> MovedRun:
        """Move a run to another project; its old name goes on leading to it (RUN-38)."""

    def append_lines(self, run: RunKey, batches: Sequence[Lines]) -> None: ...

    def read_lines(
        self,
        run: RunKey,
        stream: Stream,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
    ) -> Iterator[bytes]:
        """Yield lines of all writers merged: history by step, console by time.

        `min_step` inclusive, `max_step` exclusive; both concern history only.
        """

    def put_run_files(
        self, run: RunKey, files: Sequence[tuple[str, Source]]
    ) -> list[RunFileRecord]:
        """Store local files as run files: (path in the run, source); the last write wins."""

    def run_files(
        self,
        run: RunKey,
        page: PageRequest,
        *,
        names: Sequence[str] = (),
        pattern: str | None = None,
    ) -> Page[RunFileRecord]: ...

    def delete_run_file(self, run: RunKey, path: str) -> None: ...

    # --- artifacts: writing ---

    def check_collection(self, draft: DraftSpec) -> None:
        """Raise what `begin` will say of the collection that is there: its type, or its kind."""

    def begin(self, draft: DraftSpec, segments: Sequence[Segment] = ()) -> Begun: ...

    def put_segments(self, draft: DraftId, segments: Sequence[Segment]) -> None: ...

    def missing_blobs(self, draft: DraftId) -> Iterator[Upload]: ...

    def send(
        self,
        upload: Upload,
        source: str,
        handover: Handover = Handover.COPY,
        advance: Advance | None = None,
    ) -> None:
        """Store the bytes of the local file `source` under the upload's key.

        Raises SourceChanged if the bytes do not have the digest, NoSpace if they do not fit.
        """

    def send_bytes(self, upload: Upload, data: bytes) -> None:
        """Store bytes that are in memory; as `send` otherwise."""

    def send_pack(self, upload: Upload, pack: str) -> frozenset[Digest]:
        """Store a pack of ours (`lineal.packs`) that holds the upload's blob among others.

        Returns all that are in it: they are sent with that. Raises MissingFile, IntegrityError,
        NoSpace.
        """

    def confirm(self, draft: DraftId, sent: Sequence[Upload]) -> None:
        """Make what was sent durable and known, so that a later attempt need not send it."""

    def commit(self, draft: DraftId) -> Committed: ...

    def parts_of(self, run: RunKey) -> list[Part]:
        """Return what a run contributed to versions of many, or finished them with, in order."""

    def made_of(self, collection: tuple[str, str, str], distributed_id: str) -> list[Made]:
        """Return the versions made of what was contributed under an id, the first first."""

    def remove_surplus(self, draft: DraftId) -> None:
        """Free what packs of a committed draft brought beside what was missing, if that can be."""

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

    # --- time to live ---

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

    # --- retention and deletion; a collection of None means the whole project ---

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

    # --- space ---

    def gc_plan(self) -> CleanupPlan: ...

    def gc_sweep(self, progress: Callable[[str, int], None] | None = None) -> Swept:
        """Do what the plan says.

        progress: called with a step's name and how many more it has done.
        """

    def sweep_if_due(self) -> Swept | None:
        """Sweep briefly if nobody has done so for a day and nobody is doing it; else None."""

    def purge(
        self, path: ArtifactPath, *, all_versions: bool = False, force: bool = False
    ) -> Proof:
        """Delete the content of a version at once and for good, and prove it.

        all_versions: those of the path's name, whatever its ref. force: linked and protected too.
        """

    def storage(
        self,
        *,
        entity: str | None = None,
        project: str | None = None,
        collection: str | None = None,
    ) -> StorageReport:
        """Say where the bytes are: by project, collection or version, the largest first."""

    # --- artifacts: reading ---

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

    def manifest(self, version: VersionId) -> ManifestHead: ...

    def read_segments(self, version: VersionId, heads: Sequence[SegmentHead]) -> Iterator[Segment]:
        """Yield segments of a version in the order asked; each checked against its digest."""

    def locate(self, version: VersionId, digests: Sequence[Digest]) -> dict[Digest, Location]:
        """Say where blobs of a version are kept; those that are not its own are left out."""

    def locate_run_files(self, run: RunKey, digests: Sequence[Digest]) -> dict[Digest, Location]:
        """Say where the blobs of a run's files are kept; others are left out."""

    def births(self, version: VersionId, digests: Sequence[Digest]) -> dict[Digest, VersionId]:
        """Say which versions first stored blobs of this version, where that is known."""

    def open(self, location: Location) -> BinaryIO: ...

    # --- sweeps ---

    def create_sweep(self, spec: SweepSpec) -> SweepRecord: ...

    def sweep(self, entity: str, project: str, sweep_id: str) -> SweepRecord: ...

    def sweeps(self, query: SweepQuery, page: PageRequest) -> Page[SweepRecord]: ...

    def set_sweep_state(self, sweep: SweepKey, state: SweepState) -> SweepRecord: ...

    def update_sweep(self, sweep: SweepKey, document: JsonObject) -> SweepRecord: ...

    def sweep_importance(self, sweep: SweepKey) -> dict[str, float]:
        """Return how much of the difference between trials each parameter explains, largest first.

        The shares add up to 1; empty with too few results, or where no parameter explains any.
        """

    def sweep_agents(self, sweep: SweepKey) -> list[AgentRecord]: ...

    def trials(self, sweep: SweepKey, page: PageRequest) -> Page[TrialRecord]: ...

    def trial_of_run(
        self, entity: str, project: str, sweep_id: str, run_id: str
    ) -> TrialRecord: ...

    def enqueue_trial(self, sweep: SweepKey, parameters: JsonObject) -> TrialRecord: ...

    def propose_trial(self, sweep: SweepKey) -> JsonObject | None: ...

    def join_sweep(self, sweep: SweepKey, *, name: str, host: str) -> AgentKey: ...

    def leave_sweep(self, agent: AgentKey) -> None: ...

    def next_trial(self, sweep: SweepKey, agent: AgentKey) -> Answer: ...

    def beat_trial(self, trial: TrialKey, agent: AgentKey) -> Beat: ...

    def report_trial(self, trial: TrialKey, run_id: str, progress: TrialProgress) -> Beat: ...

    def finish_trial(self, trial: TrialKey, agent: AgentKey, state: TrialState) -> TrialRecord: ...

    # --- lineage ---

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


def version_of_type(backend: Backend, path: ArtifactPath, type: str | None) -> VersionRecord:
    """Resolve a name; raises NotFound, and Invalid (a ValueError) for another type."""
    record = backend.version(path)
    names.require_type(f"Artifact {record.path}", record.type, type)
    return record
