"""The tables, and the rules that the database itself enforces.

Integer primary keys are stable for ever. What is deleted by users stays as a tombstone
(`deleted_at`), so that numbers, edges and history remain.
The reasons for the shape: docs/design/001-storage.md and 003-deletion.md.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from lineal.db.column_types import BigId, Json, Moment

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> Column[int]:
    return Column("id", BigId, primary_key=True)


def _refers(
    name: str, target: str, *, nullable: bool = False, primary: bool = False
) -> Column[int]:
    return Column(name, BigId, ForeignKey(target), nullable=nullable, primary_key=primary)


def _ttl() -> Column[int | None]:
    """NULL inherits from the level above, 0 is never (`core.retention`)."""
    return Column("ttl_seconds", BigInteger)


def _tombstone() -> list[Column[Any]]:
    """What stays said of a deleted thing; `deletion_id` leads to the deletion, to undo it."""
    return [
        Column("deleted_at", Moment),
        Column("deleted_by", Text),
        Column("deletion_id", BigId),
    ]


entities = Table(
    "entities",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
    _ttl(),
)

projects = Table(
    "projects",
    metadata,
    _id(),
    _refers("entity_id", "entities.id"),
    Column("name", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    _ttl(),
    Column("retention", Json),  # a `Selection` that the sweep evaluates
    Column("protected_aliases", Json),  # a list; versions that have one neither expire nor go
    *_tombstone(),
    UniqueConstraint("entity_id", "name"),
)

# What one deletion hid is restored together (docs/design/003-deletion.md).
deletions = Table(
    "deletions",
    metadata,
    _id(),
    Column("what", Text, nullable=False),  # full name, or the selection as JSON
    Column("reason", Text, nullable=False),  # user, expired, retention, purge
    Column("deleted_by", Text, nullable=False),
    Column("deleted_at", Moment, nullable=False),
    Column("restored_at", Moment),
    Index("ix_deletions_deleted_at", "deleted_at"),
)

# Where the old names of moved runs and collections lead (RUN-38); what has a name comes first.
redirects = Table(
    "redirects",
    metadata,
    _id(),
    Column("kind", Text, nullable=False),  # run, collection
    _refers("project_id", "projects.id"),
    Column("name", Text, nullable=False),
    Column("target_id", BigId, nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("project_id", "kind", "name"),
)

# --- runs ---------------------------------------------------------------------------------------

runs = Table(
    "runs",
    metadata,
    _id(),
    _refers("project_id", "projects.id"),
    Column("run_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("notes", Text),
    Column("group_name", Text),
    Column("job_type", Text),
    Column("config", Json, nullable=False),
    Column("summary", Json, nullable=False),
    Column("metadata", Json, nullable=False),
    Column("sweep_id", Text),
    Column("created_by", Text, nullable=False),
    Column("git_commit", Text),
    Column("git_remote", Text),
    Column("host", Text),
    Column("program", Text),
    Column("created_at", Moment, nullable=False),
    Column("heartbeat_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("exit_code", Integer),
    Column("runtime_seconds", Float, nullable=False, server_default=text("0")),
    # what attempts before the present one took; a heartbeat reports only its own attempt
    Column("earlier_runtime_seconds", Float, nullable=False, server_default=text("0")),
    Column("last_step", BigInteger, nullable=False, server_default=text("-1")),
    Column("history_count", BigInteger, nullable=False, server_default=text("0")),
    *_tombstone(),
    Column("released_at", Moment),  # files and lines are gone
    UniqueConstraint("project_id", "run_id"),
    # Only of live runs, and with what lists of them are filtered and ordered by: their rows, which
    # documents make wide, are not read for it. Not with `sweep_id`, which has an index of its own
    # that SQLite would leave for this one. On PostgreSQL, which keeps documents apart and lets no
    # index be that wide, it ends after `id`.
    Index(
        "ix_runs_project_id_created_at",
        "project_id",
        "created_at",
        "id",
        "deleted_at",  # always NULL, but SQLite would look into the row
        "state",
        "heartbeat_at",
        "runtime_seconds",
        "run_id",
        "name",
        "group_name",
        "job_type",
        "created_by",
        "host",
        sqlite_where=text("deleted_at IS NULL"),  # on PostgreSQL too, as for blobs
    ),
    Index("ix_runs_deletion_id", "deletion_id"),
    Index("ix_runs_run_id", "run_id"),
    Index(
        "ix_runs_project_id_sweep_id",
        "project_id",
        "sweep_id",
        "created_at",
        "id",
        sqlite_where=text("sweep_id IS NOT NULL AND deleted_at IS NULL"),  # as above
    ),
)

run_tags = Table(
    "run_tags",
    metadata,
    _refers("run_id", "runs.id", primary=True),
    Column("tag", Text, primary_key=True),
    Column("position", Integer, nullable=False),
)

# Many lines in one compressed row: a run of a million steps is a few hundred rows.
line_chunks = Table(
    "line_chunks",
    metadata,
    _id(),
    _refers("run_id", "runs.id"),
    Column("stream", Text, nullable=False),
    Column("writer", Text, nullable=False),
    Column("first_offset", BigInteger, nullable=False),
    Column("line_count", Integer, nullable=False),
    Column("min_step", BigInteger),
    Column("max_step", BigInteger),
    Column("content", LargeBinary, nullable=False),
    UniqueConstraint("run_id", "stream", "writer", "first_offset"),
)

run_files = Table(
    "run_files",
    metadata,
    _refers("run_id", "runs.id", primary=True),
    Column("path", Text, primary_key=True),
    _refers("blob_id", "blobs.id"),
    Column("updated_at", Moment, nullable=False),
    Index("ix_run_files_blob_id", "blob_id"),
)

# --- content ------------------------------------------------------------------------------------

# A blob is `awaited` until its bytes are known to be stored, and `condemned` when GC has decided
# to delete them; a condemned row is never revived, the same content gets a new row (invariant 3).
blobs = Table(
    "blobs",
    metadata,
    _id(),
    Column("digest", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("nonce", Text),
    # the draft that stored it first: whence an entry's birth version (SEM-4)
    _refers("draft_id", "drafts.id", nullable=True),
    Column("stored_at", Moment),  # last; one that is awaited all the same was lost
    Column("condemned_at", Moment),
    Column("md5", Text),  # for W&B's protocol, to be noted once asked for; nothing writes it yet
    Index(
        "uq_blobs_digest_live",
        "digest",
        unique=True,
        # on PostgreSQL too, but only the migration says so: naming a dialect here loads it (30 ms)
        sqlite_where=text("condemned_at IS NULL"),
    ),
    Index("ix_blobs_draft_id", "draft_id"),
    # few; on PostgreSQL too, as above
    Index("ix_blobs_condemned", "digest", sqlite_where=text("state = 'condemned'")),
    Index("ix_blobs_lost", "id", sqlite_where=text("state = 'awaited' AND stored_at IS NOT NULL")),
)

segments = Table(
    "segments",
    metadata,
    _id(),
    Column("digest", Text, nullable=False, unique=True),
    Column("first_path", Text, nullable=False),
    Column("entry_count", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("content", LargeBinary),  # compressed; NULL until a draft has sent it
)

segment_blobs = Table(
    "segment_blobs",
    metadata,
    _refers("segment_id", "segments.id", primary=True),
    _refers("blob_id", "blobs.id", primary=True),
    Index("ix_segment_blobs_blob_id", "blob_id"),
    sqlite_with_rowid=False,
)

manifests = Table(
    "manifests",
    metadata,
    _id(),
    Column("digest", Text, nullable=False, unique=True),
    Column("entry_count", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
)

manifest_segments = Table(
    "manifest_segments",
    metadata,
    _refers("manifest_id", "manifests.id", primary=True),
    Column("position", Integer, primary_key=True),
    _refers("segment_id", "segments.id"),
    Index("ix_manifest_segments_segment_id", "segment_id"),
    sqlite_with_rowid=False,
)

# --- artifacts ----------------------------------------------------------------------------------

collections = Table(
    "collections",
    metadata,
    _id(),
    _refers("project_id", "projects.id"),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("description", Text),
    # only ever grows: a number is never reused, whatever is deleted (invariant 6)
    Column("next_number", Integer, nullable=False, server_default=text("0")),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    _ttl(),
    Column("retention", Json),
    # hidden while empty: by whom it was deleted, whose name and next number stay (DEL-3), or by
    # nobody until something is logged or linked to it
    Column("deleted_at", Moment),
    Column("deleted_by", Text),
    Column("display_name", Text),  # for people; nothing is found by it (NAM-1)
    UniqueConstraint("project_id", "name"),
)

collection_tags = Table(
    "collection_tags",
    metadata,
    _refers("collection_id", "collections.id", primary=True),
    Column("tag", Text, primary_key=True),
)

# A draft stays after its commit, so that its client id goes on leading to the version.
drafts = Table(
    "drafts",
    metadata,
    _id(),
    Column("client_id", Text, nullable=False, unique=True),
    Column("nonce", Text, nullable=False, unique=True),
    _refers("collection_id", "collections.id"),
    _refers("run_id", "runs.id", nullable=True),
    _refers("manifest_id", "manifests.id", nullable=True),
    Column("state", Text, nullable=False),  # open, contributed (distributed), committed
    Column("spec", Json, nullable=False),  # description, metadata, aliases, tags …
    Column("distributed_id", Text),
    _refers("version_id", "versions.id", nullable=True),
    Column("created_by", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Index("ix_drafts_collection_id_distributed_id", "collection_id", "distributed_id"),
    Index("ix_drafts_manifest_id", "manifest_id"),
    Index("ix_drafts_version_id", "version_id"),
)

versions = Table(
    "versions",
    metadata,
    _id(),
    _refers("collection_id", "collections.id"),
    _refers("manifest_id", "manifests.id", nullable=True),  # NULL once its content was released
    Column("digest", Text, nullable=False),
    Column("compat_digest", Text),  # W&B's, if it was logged under one; nothing writes it yet
    Column("size_bytes", BigInteger, nullable=False),
    Column("entry_count", BigInteger, nullable=False),
    Column("description", Text),
    Column("metadata", Json, nullable=False),
    # Not written since `derivations`; SQLite cannot drop a column that refers to something.
    _refers("base_version_id", "versions.id", nullable=True),
    Column("history_step", BigInteger),
    Column("created_by", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    _ttl(),
    *_tombstone(),
    Column("released_at", Moment),  # its manifest is gone; it cannot be restored any more
    Column("kept_at", Moment),  # somebody restored what a policy lets go: no policy takes it since
    Index("ix_versions_deletion_id", "deletion_id"),
    Index("ix_versions_collection_id_digest", "collection_id", "digest"),
    Index("ix_versions_manifest_id", "manifest_id"),
)

version_tags = Table(
    "version_tags",
    metadata,
    _refers("version_id", "versions.id", primary=True),
    Column("tag", Text, primary_key=True),
)

# Number and aliases belong to the membership: a link numbers by itself (ART-9, ALI-2).
memberships = Table(
    "memberships",
    metadata,
    _id(),
    _refers("collection_id", "collections.id"),
    _refers("version_id", "versions.id"),
    Column("number", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("removed_at", Moment),  # unlinked; the number stays taken
    UniqueConstraint("collection_id", "number"),
    Index("ix_memberships_version_id_collection_id", "version_id", "collection_id"),
)

aliases = Table(
    "aliases",
    metadata,
    _refers("collection_id", "collections.id", primary=True),
    Column("alias", Text, primary_key=True),
    _refers("membership_id", "memberships.id"),
    Index("ix_aliases_membership_id", "membership_id"),
)

alias_moves = Table(
    "alias_moves",
    metadata,
    _id(),
    _refers("collection_id", "collections.id"),
    Column("alias", Text, nullable=False),
    Column("before_number", Integer),
    Column("after_number", Integer),
    Column("moved_by", Text, nullable=False),
    Column("moved_at", Moment, nullable=False),
    # By hand, by logging or by linking; else it went or came back with its version.
    Column("asked_for", Boolean, nullable=False, server_default=text("true")),
    Index("ix_alias_moves_collection_id_alias", "collection_id", "alias"),
)

# --- lineage ------------------------------------------------------------------------------------

edges = Table(
    "edges",
    metadata,
    _id(),
    _refers("run_id", "runs.id"),
    _refers("version_id", "versions.id"),
    Column("kind", Text, nullable=False),  # used, logged
    Column("alias", Text),  # what was asked for when it was used (SEM-9)
    Column("closes_cycle", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("run_id", "version_id", "kind"),
    Index("ix_edges_version_id_kind", "version_id", "kind"),
    Index("ix_edges_run_id_kind", "run_id", "kind"),
)

# What a version took entries over from: a draft's base, artifacts it refers to (LIN-11).
derivations = Table(
    "derivations",
    metadata,
    _refers("version_id", "versions.id", primary=True),
    _refers("source_id", "versions.id", primary=True),
    Index("ix_derivations_source_id", "source_id"),
)

# --- sweeps -------------------------------------------------------------------------------------

# Whoever changes a sweep, hands out a trial of it or ends one holds the sweep's row: points are
# handed out one at a time. Each such change takes the next revision, so that a search can ask for
# what is new to it. Lease and progress of a trial hold only its own row.
sweeps = Table(
    "sweeps",
    metadata,
    _id(),
    _refers("project_id", "projects.id"),
    Column("sweep_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("state", Text, nullable=False),
    Column("document", Json, nullable=False),  # as the user wrote it
    Column("next_number", BigInteger, nullable=False, server_default=text("0")),
    Column("next_point", BigInteger, nullable=False, server_default=text("0")),  # of a grid
    Column("points_ahead", Json),  # those above it that users put into the queue; none: NULL
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    Column("created_by", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    UniqueConstraint("project_id", "sweep_id"),
)

sweep_agents = Table(
    "sweep_agents",
    metadata,
    _id(),
    _refers("sweep_id", "sweeps.id"),
    Column("name", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("heartbeat_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Index("ix_sweep_agents_sweep_id", "sweep_id"),
)

# A trial is leased to an agent; a lease that nobody renews ends, and the next agent takes over.
trials = Table(
    "trials",
    metadata,
    _id(),
    _refers("sweep_id", "sweeps.id"),
    Column("number", BigInteger, nullable=False),  # below 0: a run that was there before
    Column("point", Json, nullable=False),  # where in the space; `core.distributions`
    Column("parameters", Json, nullable=False),  # what the run's config gets
    Column("state", Text, nullable=False),
    Column("run_id", Text, nullable=False),  # of its project; the run may not be there yet
    Column("is_resumed", Boolean, nullable=False, server_default=text("false")),
    _refers("agent_id", "sweep_agents.id", nullable=True),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("lease_until", Moment),
    Column("value", Float),
    Column("progress", Json),  # of `core.trials.TrialProgress`
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("revision", BigInteger, nullable=False),
    UniqueConstraint("sweep_id", "number"),
    Index("ix_trials_sweep_id_state", "sweep_id", "state"),
    Index("ix_trials_sweep_id_revision", "sweep_id", "revision"),
    Index("ix_trials_run_id", "run_id"),
)
