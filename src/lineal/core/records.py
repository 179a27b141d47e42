"""The values that travel between rooms: what `service` takes and returns, and so the SDK too.

Frozen, with no behaviour but to say what they are called; named tuples, because forty
dataclasses take 20 ms of every start. Annotations are not postponed, as they are elsewhere: a named
tuple compiles the text of each, and all of them take 3 ms. Moments are aware and in UTC; sizes are
bytes; ids are the integer primary keys, stable for ever. JSON objects are plain dicts; NaN and
infinities are allowed in config, summary and history and survive.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, Literal, NamedTuple, NewType, TypeVar

from lineal.core.digest import Digest
from lineal.core.manifest import ManifestHead
from lineal.core.transfers import Upload

ProjectId = NewType("ProjectId", int)
RunKey = NewType("RunKey", int)
"""Primary key of a run; `run_id` is the text users see."""
CollectionId = NewType("CollectionId", int)
VersionId = NewType("VersionId", int)
MembershipId = NewType("MembershipId", int)
DraftId = NewType("DraftId", int)

T = TypeVar("T")
JsonObject = dict[str, Any]
OnUnchanged = Literal["reuse", "update_metadata", "new_version"]
"""What to do with a draft whose content its collection has already (SEM-3)."""

EXIT_CODE_MAX = 2**31 - 1
"""Whichever the sign: a process that a signal ended has a code below 0."""
LARGEST_STEP = 2**63 - 1
"""What a column of whole numbers holds."""


class Page(NamedTuple, Generic[T]):
    """One page of a list. `cursor` continues after its last item; None where nothing is left."""

    items: tuple[T, ...]
    cursor: str | None
    total: int | None = None
    """Length of what was asked for; said by the first page, if it was asked for."""


class PageRequest(NamedTuple):
    size: int = 100
    cursor: str | None = None
    """Of the page before, in the same direction."""
    with_total: bool = True
    """Whether the first page counts the list, which takes as long as the list is."""
    backwards: bool = False
    """From the end of the list, its last item first."""
    until: str | None = None
    """A cursor of the other direction: only what lies before the items already read there."""
    only_total: bool = False
    """No items, but how many there are between `cursor` and `until`."""
    skip: int = 0
    """Items after `cursor` that are passed over."""


# --- projects -----------------------------------------------------------------------------------


class ProjectRecord(NamedTuple):
    id: ProjectId
    entity: str
    name: str
    created_at: datetime
    ttl_seconds: int | None = None
    """As stored: None inherits, 0 is never (`core.retention`)."""
    protected_aliases: tuple[str, ...] = ()
    """Versions that have one neither expire nor can be deleted (TTL-12, DEL-6)."""


# --- runs ---------------------------------------------------------------------------------------


class RunState(StrEnum):
    """RUN-9; `crashed` is also `running` without a recent heartbeat, computed when read."""

    PENDING = "pending"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CRASHED = "crashed"
    KILLED = "killed"
    PREEMPTING = "preempting"
    PREEMPTED = "preempted"


class RunRecord(NamedTuple):
    key: RunKey
    entity: str
    project: str
    run_id: str
    name: str
    state: RunState
    notes: str | None
    group: str | None
    job_type: str | None
    tags: tuple[str, ...]
    config: JsonObject
    summary: JsonObject
    metadata: JsonObject
    """What was captured of machine and program; also the file `wandb-metadata.json`."""
    sweep_id: str | None
    user: str
    git_commit: str | None
    git_remote: str | None
    host: str | None
    program: str | None
    created_at: datetime
    heartbeat_at: datetime
    finished_at: datetime | None
    exit_code: int | None
    runtime_seconds: float
    """Sum over all attempts, resumed ones included."""
    last_step: int
    """Highest `_step` logged; -1 before the first."""
    history_count: int
    """History rows stored."""

    @property
    def path(self) -> str:
        return f"{self.entity}/{self.project}/{self.run_id}"


RunDocument = Literal["config", "summary", "metadata"]
"""A field of `RunRecord` that may be large."""


class RunSpec(NamedTuple):
    """What `init` asks for. None means: not said (on resume: keep what is there)."""

    entity: str
    project: str
    run_id: str
    resume: str | None = None
    """None, `allow`, `must` or `never`; `auto` is resolved by the client (RUN-11)."""
    name: str | None = None
    notes: str | None = None
    group: str | None = None
    job_type: str | None = None
    tags: tuple[str, ...] | None = None
    config: JsonObject | None = None
    sweep_id: str | None = None
    host: str | None = None
    program: str | None = None
    metadata: JsonObject | None = None


class StartedRun(NamedTuple):
    run: RunRecord
    is_resumed: bool
    elsewhere: str | None = None
    """SEED-1: full path of a run with this id in another project, when a new one was made."""


class MovedRun(NamedTuple):
    """A run after its move to another project, and what became of what it logged (RUN-38)."""

    run: RunRecord
    moved: tuple[str, ...] = ()
    """Full names that collections have now."""
    kept: tuple[str, ...] = ()
    """Why each of the others stayed: a full name, a colon, the reason."""


class RunPatch(NamedTuple):
    """Changes to a run; None leaves unchanged. Dicts are merged by top-level key."""

    name: str | None = None
    notes: str | None = None
    group: str | None = None
    job_type: str | None = None
    tags: tuple[str, ...] | None = None
    tags_before: tuple[str, ...] | None = None
    """As they were when the caller saw them: what others added or took away since stays so. None:
    `tags` replaces all there are."""
    config: JsonObject | None = None
    config_removed: tuple[str, ...] = ()
    summary: JsonObject | None = None
    summary_removed: tuple[str, ...] = ()
    metadata: JsonObject | None = None
    git_commit: str | None = None
    git_remote: str | None = None
    state: RunState | None = None


class Stream(StrEnum):
    """Kinds of lines a run writes. Every writer (process) has its own sequence of offsets."""

    HISTORY = "history"
    EVENTS = "events"
    CONSOLE = "console"


class Lines(NamedTuple):
    """Consecutive lines of one stream of one writer; sending them again changes nothing.

    History lines are JSON objects with `_step`, `_runtime`, `_timestamp`; console lines are
    JSON objects with `ts`, `level` (`error` for stderr) and `content`.
    """

    stream: Stream
    writer: str
    first_offset: int
    lines: Sequence[bytes]


class RunFileRecord(NamedTuple):
    path: str
    digest: Digest
    size: int
    updated_at: datetime


class RunQuery(NamedTuple):
    entity: str
    project: str
    filters: JsonObject | None = None
    """Mongo-style (API-8)."""
    order: str | None = None
    """`+`/`-` and a key (API-8); None: newest first (X-3)."""
    with_documents: bool = True
    """Without them the records have neither config, summary nor metadata, whatever is stored."""


# --- artifacts ----------------------------------------------------------------------------------


class VersionState(StrEnum):
    COMMITTED = "COMMITTED"
    DELETED = "DELETED"


class CollectionKind(StrEnum):
    SEQUENCE = "sequence"
    """Holds the versions logged under its name."""
    PORTFOLIO = "portfolio"
    """Holds links only."""


class CollectionRecord(NamedTuple):
    id: CollectionId
    entity: str
    project: str
    name: str
    type: str
    kind: CollectionKind
    description: str | None
    tags: tuple[str, ...]
    aliases: tuple[str, ...]
    version_count: int
    latest: str | None
    """`vN` that `latest` means: where that is taken off, the highest live one; None if empty."""
    size_bytes: int
    """Sum over live versions, shared bytes counted for each."""
    created_at: datetime
    updated_at: datetime
    ttl_seconds: int | None = None
    """As stored: None inherits, 0 is never (`core.retention`)."""
    display_name: str | None = None
    """What people see beside the name (NAM-1); nothing is found by it."""

    @property
    def path(self) -> str:
        return f"{self.entity}/{self.project}/{self.name}"


class VersionRecord(NamedTuple):
    """A committed version as seen through one membership (its source collection or a link)."""

    id: VersionId
    membership_id: MembershipId
    entity: str
    project: str
    collection: str
    number: int
    aliases: tuple[str, ...]
    source_entity: str
    source_project: str
    source_collection: str
    source_number: int
    type: str
    state: VersionState
    digest: Digest
    compat_digest: str | None
    size_bytes: int
    entry_count: int
    description: str | None
    metadata: JsonObject
    tags: tuple[str, ...]
    history_step: int | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    deleted_by: str | None
    sweep_id: str | None
    """Sweep of the run that logged it first (SWP-12)."""
    ttl_seconds: int | None = None
    """As stored: None inherits, 0 is never (`core.retention`)."""
    released_at: datetime | None = None
    """When the content of a deleted version was given up; it cannot be restored after that."""
    linked_at: datetime | None = None  # of a link

    @property
    def is_link(self) -> bool:
        own = (self.entity, self.project, self.collection)
        return own != (self.source_entity, self.source_project, self.source_collection)

    @property
    def name(self) -> str:
        return f"{self.collection}:v{self.number}"

    @property
    def path(self) -> str:
        return f"{self.entity}/{self.project}/{self.name}"

    @property
    def source_name(self) -> str:
        return f"{self.source_collection}:v{self.source_number}"

    @property
    def source_path(self) -> str:
        """Of a link, the version that it leads to; of any other, its own path."""
        return f"{self.source_entity}/{self.source_project}/{self.source_name}"


class Introduction(NamedTuple):
    """What is said of a collection that comes from elsewhere, with its first version."""

    description: str | None = None
    tags: tuple[str, ...] = ()
    ttl_seconds: int | None = None
    """As stored: None inherits, 0 is never."""
    policy: JsonObject | None = None
    """Which versions every sweep may delete (DEL-11), a `core.retention.Selection` as JSON."""


class DraftSpec(NamedTuple):
    """A version to be written."""

    client_id: str
    """Made by the client, unique for ever; `begin` and `commit` are idempotent under it."""
    entity: str
    project: str
    collection: str
    type: str
    manifest: ManifestHead
    run: RunKey | None
    description: str | None = None
    metadata: JsonObject | None = None
    aliases: tuple[str, ...] = ()
    """Applied at commit in addition to `latest`."""
    tags: tuple[str, ...] = ()
    history_step: int | None = None
    base: VersionId | None = None
    """The version it was made from (`new_draft`, `incremental`): a derived-from edge (LIN-11)."""
    on_latest: bool = False
    """Refuse with Superseded unless `base` (None: no version) still is the latest (ART-42)."""
    sources: tuple[VersionId, ...] = ()
    """Other versions that it took entries over from (REF-14): derived-from edges too."""
    on_unchanged: OnUnchanged = "reuse"
    distributed_id: str | None = None
    is_final: bool = True
    """False: a contribution to a distributed version, to be finished by another (ART-44)."""
    as_of: datetime | None = None
    """Of a copied contribution, when it was made; one that finishes takes none made later."""
    is_elsewhere: bool = False
    """What others contribute is not here: one that finishes may have no content of its own."""
    ttl_seconds: int | None = None
    """As stored: None inherits, 0 is never (`core.retention`)."""
    number: int | None = None
    """Of a copy, the number it has where it comes from: kept if the collection has never given
    it. A copy takes no alias from another version, but `latest` from one with a lower number."""
    introduction: Introduction | None = None
    """Of a copy; not heeded where the collection has, or had, a version."""


class Begun(NamedTuple):
    """The answer to `begin`: either the version exists already, or what is still missing."""

    draft: DraftId
    version: VersionRecord | None
    """Set when the draft is committed or its content is a version of the collection already."""
    missing_segments: tuple[Digest, ...] = ()
    """Send these with `put_segments`; `missing_blobs` then says what else is missing."""
    uploads: tuple[Upload, ...] | None = None
    """What `missing_blobs` would yield, if it is known already."""


class Committed(NamedTuple):
    version: VersionRecord | None
    """None: a contribution to a distributed version was taken (ART-44)."""
    is_new: bool
    """False: the content was a version of the collection already (SEM-2)."""


class VersionPatch(NamedTuple):
    """Changes to a version; None leaves unchanged. On a link, only aliases belong to the link.

    Metadata is merged by top-level key.
    """

    description: str | None = None
    metadata: JsonObject | None = None
    metadata_removed: tuple[str, ...] = ()
    aliases_added: tuple[str, ...] = ()
    aliases_removed: tuple[str, ...] = ()
    tags_added: tuple[str, ...] = ()
    tags_removed: tuple[str, ...] = ()
    expected_version: Mapping[str, str | None] | None = None
    """ALI-6, compare-and-swap: alias → the `vN` it must be on now (None: nowhere)."""


class CollectionPatch(NamedTuple):
    """Changes to a collection; None leaves unchanged, empty text takes away what may be absent."""

    name: str | None = None
    description: str | None = None
    type: str | None = None
    tags: tuple[str, ...] | None = None
    tags_before: tuple[str, ...] | None = None
    """As of `RunPatch`."""
    display_name: str | None = None


class AliasMove(NamedTuple):
    """One line of an alias's history (ALI-6)."""

    alias: str
    before: str | None
    after: str | None
    """`vN`, or None where it was nowhere."""
    actor: str
    moved_at: datetime


class VersionQuery(NamedTuple):
    entity: str
    project: str
    collection: str
    type: str | None = None
    tags: tuple[str, ...] = ()
    """Versions that have all of them (API-4)."""
    filters: JsonObject | None = None
    """Mongo-style on `metadata.…` and the rest of a version (MET-1)."""
    order: str | None = None
    """`+`/`-` and `version_index`, `created_at`, `size`, `metadata.…`; None: newest first."""
    with_metadata: bool = True
    """Without it the records have none, whatever is stored: it may be megabytes each."""


class CollectionQuery(NamedTuple):
    entity: str
    project: str
    type: str | None = None
    filters: JsonObject | None = None
    order: str | None = None
    """`+`/`-` and `name`, `created_at` or `updated_at`; None: by name."""


# --- edges; the graph they make is in `core.lineage` --------------------------------------------


class EdgeKind(StrEnum):
    USED = "used"
    LOGGED = "logged"
    DERIVED = "derived"
    """Between versions: a draft's base, or entries taken over; shown only if asked for (LIN-11)."""
    THROUGH = "through"
    """Between nodes of a graph, by way of versions of types that were not asked for (LIN-13)."""
