"""What rows have that `service` looks into: names and types of their columns, for who reads them.

Rows are SQLAlchemy's, which are not copied into anything else on the way; a test holds what is said
here against the tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from lineal.core.digest import Digest
from lineal.core.records import CollectionId, DraftId, JsonObject, RunKey, VersionId
from lineal.core.trials import AgentKey, SweepKey, TrialKey


class ProjectRow(Protocol):
    id: int
    entity_id: int
    name: str
    created_at: datetime
    ttl_seconds: int | None
    retention: JsonObject | None
    protected_aliases: Sequence[str] | None
    deleted_at: datetime | None
    deleted_by: str | None
    deletion_id: int | None


class CollectionRow(Protocol):
    id: CollectionId
    project_id: int
    name: str
    type: str
    kind: str
    description: str | None
    next_number: int
    created_at: datetime
    updated_at: datetime
    ttl_seconds: int | None
    retention: JsonObject | None
    deleted_at: datetime | None
    deleted_by: str | None
    display_name: str | None


class LogTargetRow(CollectionRow, Protocol):
    """A collection, and whether the run that logs to it is there and not deleted."""

    is_run_live: bool


class DraftRow(Protocol):
    id: DraftId
    client_id: str
    nonce: str
    collection_id: CollectionId
    run_id: RunKey | None
    manifest_id: int | None
    """None: it expired, and what it held was let go."""
    state: str
    spec: JsonObject
    distributed_id: str | None
    version_id: VersionId | None
    created_by: str
    created_at: datetime
    expires_at: datetime

    def _asdict(self) -> dict[str, Any]: ...


class DraftToCommit(DraftRow, Protocol):
    """A draft, and whether what it is written for is still there."""

    is_project_live: bool
    is_run_live: bool


class TotalsRow(Protocol):
    """A manifest, and how many of its segments and blobs are not stored."""

    id: int
    digest: Digest
    entry_count: int
    size_bytes: int
    unstored_count: int


class RunRow(Protocol):
    """A run, with the names of where it is."""

    id: RunKey
    project_id: int
    run_id: str
    name: str
    state: str
    notes: str | None
    group_name: str | None
    job_type: str | None
    config: JsonObject
    summary: JsonObject
    metadata: JsonObject
    sweep_id: str | None
    created_by: str
    git_commit: str | None
    git_remote: str | None
    host: str | None
    program: str | None
    created_at: datetime
    heartbeat_at: datetime
    finished_at: datetime | None
    exit_code: int | None
    runtime_seconds: float
    earlier_runtime_seconds: float
    last_step: int
    history_count: int
    deleted_at: datetime | None
    deleted_by: str | None
    deletion_id: int | None
    released_at: datetime | None
    project: str
    entity: str

    def _asdict(self) -> dict[str, Any]: ...


class SweepRow(Protocol):
    """A sweep, with whether its project was deleted."""

    id: SweepKey
    project_id: int
    sweep_id: str
    name: str
    description: str | None
    state: str
    document: JsonObject
    next_number: int
    next_point: int
    points_ahead: Any | None
    revision: int
    created_by: str
    created_at: datetime
    updated_at: datetime
    project_deleted_at: datetime | None


class NamedSweepRow(SweepRow, Protocol):
    """A sweep, with the names of where it is."""

    project: str
    entity: str


class TrialRow(Protocol):
    id: TrialKey
    sweep_id: SweepKey
    number: int
    point: JsonObject
    parameters: JsonObject
    state: str
    run_id: str
    is_resumed: bool
    agent_id: AgentKey | None
    attempt: int
    lease_until: datetime | None
    value: float | None
    progress: JsonObject | None
    created_at: datetime
    ended_at: datetime | None
    revision: int


class DeletionRow(Protocol):
    """A deletion, and how much it hides by now."""

    id: int
    what: str
    reason: str
    deleted_by: str
    deleted_at: datetime
    restored_at: datetime | None
    version_count: int
    run_count: int
    project_count: int
    released_count: int


class BestTrialRow(Protocol):
    """The run of the best trial of a sweep."""

    run_id: str
    value: float | None


class AwaitedBlob(NamedTuple):
    """A blob that is not stored yet."""

    id: int
    digest: Digest
    size_bytes: int
