"""From draft to version: what an artifact is called, and says of itself (ART-3…ART-15).

The state lives here: the draft, the upload on its way, the committed version. What can be done
with an artifact is `artifact.py`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self, cast

from lineal.client import term
from lineal.client.artifact import ttl as ttls
from lineal.client.artifact.base import Base
from lineal.client.artifact.contents import Contents
from lineal.client.artifact.draft import CLIENT_ID_LENGTH, Draft, clean, described
from lineal.client.artifact.manifest import Manifest
from lineal.client.backend import Backend
from lineal.client.values import is_same, iso, text_change
from lineal.core import names
from lineal.core.digest import Digest
from lineal.core.ids import new_id
from lineal.core.manifest import SegmentHead, manifest_head
from lineal.core.records import VersionPatch, VersionRecord, VersionState
from lineal.errors import ArtifactNotLoggedError, Invalid, WaitTimeoutError
from lineal.nearest import nearest

if TYPE_CHECKING:
    from lineal.client.artifact.artifact import Artifact
    from lineal.core.retention import EffectiveTtl


class Version(Draft):
    """A draft on its way to be a version, or one already; what it says of itself either way."""

    _backend: Backend | None = None
    _pending: Future[VersionRecord | None] | None = None
    _version: VersionRecord | None = None
    _as_logged: tuple[str | None, dict[str, Any]]
    """Description and metadata as they were handed over."""
    _aliases: list[str]
    _tags: list[str]

    # --- what it is, draft or not ---

    @property
    def id(self) -> str | None:
        """Stable identifier of the version, None for a draft."""
        version = self._known
        return None if version is None else str(version.id)

    @property
    def name(self) -> str:
        """`collection` for a draft, `collection:vN` afterwards; of a link its own N (ART-8)."""
        version = self._known
        return super().name if version is None else version.name

    @property
    def source_name(self) -> str:
        version = self._known
        if version is None:
            return self.name
        return f"{version.source_collection}:v{version.source_number}"

    @property
    def description(self) -> str | None:
        _ = self._known
        return self._description

    @description.setter
    def description(self, text: str | None) -> None:
        text = described(text)
        self._warn_of_links("description")
        self._description = text

    @property
    def metadata(self) -> dict[str, Any]:
        """A JSON object; after changing it on a logged artifact call `save()` (ART-12)."""
        _ = self._known
        return self._metadata

    @metadata.setter
    def metadata(self, value: dict[str, Any]) -> None:
        self._warn_of_links("metadata")
        self._metadata = clean(value)

    @property
    def ttl(self) -> timedelta | None:
        """How long after its creation it is deleted; None: never (TTL-2…TTL-6).

        Set a timedelta, a number of days, `30d` or ISO `P30D`, None, or ArtifactTTL.INHERIT;
        then log it, or `save()` what is logged. A new artifact inherits. Raises
        ArtifactNotLoggedError while it inherits and is not logged or saved, Invalid (a
        ValueError) when set to nothing positive, or on a link.
        """
        _ = self._known
        if self._ttl_seconds is not None:
            return timedelta(seconds=self._ttl_seconds) if self._ttl_seconds else None
        if self._record.ttl_seconds is not None:
            raise ArtifactNotLoggedError(
                f"What TTL {self.name!r} inherits is known once it is saved; call save()"
            )
        return self.effective_ttl.ttl

    @ttl.setter
    def ttl(self, value: ttls.TTL) -> None:
        if self._pending is not None:
            _ = self._record
        if self.is_link:
            raise Invalid(
                f"{self.name} is a link, and linked versions do not expire; unlink it first, then "
                f"set the TTL of {self.source_name}"
            )
        if self._type == names.HISTORY_TYPE:
            raise Invalid(f"Artifacts of type `{names.HISTORY_TYPE}` cannot have a TTL")
        self._ttl_seconds = ttls.stored(value)

    @property
    def distributed_id(self) -> str | None:
        return self._distributed_id

    @distributed_id.setter
    def distributed_id(self, value: str | None) -> None:
        self._distributed_id = value

    @property
    def incremental(self) -> bool:
        return self._incremental

    @property
    def use_as(self) -> str | None:
        """None: what W&B once kept there is deprecated."""
        return None

    @property
    def state(self) -> str:
        """`PENDING`, `COMMITTED` or `DELETED` (ART-3)."""
        version = self._known
        return "PENDING" if version is None else str(version.state)

    def is_draft(self) -> bool:
        """Tell whether this is not committed yet; waits for nothing."""
        return self._known is None

    @property
    def is_link(self) -> bool:
        version = self._known
        return version is not None and version.is_link

    @property
    def manifest(self) -> Manifest:
        """All entries; read as they are looked at (MAN-1)."""
        return Manifest(self._contents, cast("Artifact", self))

    @property
    def digest(self) -> Digest:
        """`sha256:…` over paths and contents; equal content has an equal digest (MAN-4)."""
        version = self._known
        if version is not None:
            return version.digest
        parts = self._contents.segments()
        return manifest_head(
            part if isinstance(part, SegmentHead) else part.head for part in parts
        ).digest

    @property
    def size(self) -> int:
        """Bytes of all entries, references included (ART-10)."""
        version = self._known
        return self._contents.size_bytes if version is None else version.size_bytes

    # --- what only a committed version has (ART-6) ---

    @property
    def _known(self) -> VersionRecord | None:
        """The committed version if the upload is done by now; waits for nothing."""
        if self._version is None and self._pending is not None and _is_well_done(self._pending):
            self.wait()
        return self._version

    @property
    def _record(self) -> VersionRecord:
        """The committed version; an upload on its way is waited for."""
        if self._version is None and self._pending is not None:
            self.wait()
        if self._version is None:
            raise ArtifactNotLoggedError(
                f"Artifact {self.name!r} is not logged yet; "
                "log it with run.log_artifact(artifact) and wait() for it"
            )
        return self._version

    @property
    def entity(self) -> str:
        return self._record.entity

    @property
    def project(self) -> str:
        return self._record.project

    @property
    def qualified_name(self) -> str:
        """`entity/project/name:vN`."""
        return self._record.path

    @property
    def version(self) -> str:
        """`vN` in the collection it was fetched from (ART-9)."""
        return f"v{self._record.number}"

    @property
    def source_entity(self) -> str:
        return self._record.source_entity

    @property
    def source_project(self) -> str:
        return self._record.source_project

    @property
    def source_version(self) -> str:
        return f"v{self._record.source_number}"

    @property
    def source_qualified_name(self) -> str:
        return f"{self.source_entity}/{self.source_project}/{self.source_name}"

    @property
    def aliases(self) -> list[str]:
        """Aliases in the collection it was fetched from; edit the list, then `save()` (ART-13)."""
        _ = self._record
        return self._aliases

    @aliases.setter
    def aliases(self, aliases: str | Sequence[str]) -> None:
        _ = self._record
        self._aliases = names.aliases(aliases)

    @property
    def tags(self) -> list[str]:
        _ = self._record
        return self._tags

    @tags.setter
    def tags(self, tags: str | Sequence[str]) -> None:
        _ = self._record
        self._tags = names.tags(tags)

    @property
    def commit_hash(self) -> str:
        return self._record.digest

    @property
    def file_count(self) -> int:
        """Entries, references included."""
        return self._record.entry_count

    @property
    def created_at(self) -> str:
        return iso(self._record.created_at)

    @property
    def updated_at(self) -> str:
        return iso(self._record.updated_at)

    @property
    def history_step(self) -> int | None:
        """The run's last completed step when this was logged, None if it had logged nothing."""
        step = self._record.history_step
        return None if step is None else max(0, step - 1)

    @property
    def url(self) -> str:
        """Address of the version's page; empty where no server shows pages."""
        _ = self._record
        return ""

    @property
    def effective_ttl(self) -> EffectiveTtl:
        """The TTL in force, the level that sets it, and what suspends it (TTL-8, TTL-11)."""
        record = self._record
        return self._home.effective_ttl(record.id)

    @property
    def expires_at(self) -> datetime | None:
        """When the next sweep may delete it; None if never, or not while it is suspended."""
        found = self.effective_ttl
        return None if found.suspended_by else found.expires_at

    @property
    def sweep_id(self) -> str | None:
        """The sweep of the run that logged it first (SWP-12)."""
        return self._record.sweep_id

    # --- on its way ---

    def wait(self, timeout: float | None = None) -> Self:
        """Return once the artifact is committed (ART-39).

        timeout: seconds. Raises WaitTimeoutError, ArtifactNotLoggedError if it was never logged,
        and whatever made the upload fail.
        """
        if self._version is not None:
            return self
        if self._pending is None:
            raise ArtifactNotLoggedError(
                f"Artifact {self.name!r} was not handed to run.log_artifact; nothing to wait for"
            )
        try:
            version = self._pending.result(timeout)
        except FutureTimeout as error:
            if self._pending.done():  # the upload itself failed with a timeout
                raise
            raise WaitTimeoutError(
                f"Artifact {self.name!r} was not stored within {timeout} s; it goes on"
            ) from error
        if version is not None:
            self._stored_as(version)
        return self

    @property
    def _home(self) -> Backend:
        _ = self._record  # a draft has none yet, and says so
        assert self._backend is not None
        return self._backend

    def _why_final(self) -> str:
        if self.is_draft() and self._pending is None:
            return super()._why_final()
        return f"Artifact {self.name!r} was logged and cannot change; use new_draft()"

    def _handed_over(self, backend: Backend, pending: Future[VersionRecord | None]) -> None:
        self._as_logged = self._description, clean(self._metadata)
        self._backend, self._pending = backend, pending
        self._adder.unlogged.pop(self._client_id, None)

    def _id_to_log(self) -> str:
        if self._pending is not None and self._failure() is None:
            # what was handed over is a contribution (ART-44); this is another draft
            self._client_id = new_id(CLIENT_ID_LENGTH)
        return super()._id_to_log()

    def _note_change(self) -> None:
        super()._note_change()
        if self._pending is not None:  # another thread logged it while this one added to it
            self._adder.unlogged.pop(self._client_id, None)

    def _failure(self) -> BaseException | None:
        """Wait for the upload and return what made it fail."""
        return None if self._pending is None else self._pending.exception()

    def _stored_as(self, version: VersionRecord) -> None:
        """Take the state of what became of the draft; later changes wait for `save()`."""
        assert self._backend is not None
        description, metadata = self._description, self._metadata
        logged_description, logged_metadata = self._as_logged
        self._become(self._backend, version)
        if description != logged_description:
            self._description = description
        if _is_changed(metadata, logged_metadata):
            self._metadata = metadata

    def _labelled(self, aliases: Sequence[str], tags: Sequence[str] = ()) -> None:
        """Show labels that the stored version just got; what was changed and not saved stays."""
        record = self._record
        self._aliases += [alias for alias in aliases if alias not in self._aliases]
        self._tags += [tag for tag in tags if tag not in self._tags]
        self._version = record._replace(
            aliases=tuple(dict.fromkeys([*record.aliases, *aliases])),
            tags=tuple(dict.fromkeys([*record.tags, *tags])),
        )

    def _become(self, backend: Backend, version: VersionRecord) -> None:
        """Take the state of a committed version."""
        self._type, self._name = version.type, version.collection
        self._description, self._metadata = version.description, copy.deepcopy(version.metadata)
        self._aliases, self._tags = list(version.aliases), list(version.tags)
        self._ttl_seconds = version.ttl_seconds
        self._is_final = True
        if version.state is VersionState.COMMITTED:
            self._contents = Contents(Base.of(backend, version.id), is_final=True)
        self._backend, self._version = backend, version  # last: another thread may look

    def _push(self) -> None:
        record = self._record
        metadata = clean(self._metadata)
        patch = VersionPatch(
            description=text_change(record.description, self._description),
            metadata=None if is_same(metadata, record.metadata) else metadata,
            aliases_added=tuple(set(names.aliases(self._aliases)) - set(record.aliases)),
            aliases_removed=tuple(set(record.aliases) - set(self._aliases)),
            tags_added=tuple(set(names.tags(self._tags)) - set(record.tags)),
            tags_removed=tuple(set(record.tags) - set(self._tags)),
        )
        changed, seconds = record, self._ttl_seconds
        if patch != VersionPatch():
            changed = self._home.update_version(record.membership_id, patch)
        if seconds != record.ttl_seconds:
            changed = self._home.set_version_ttl(record.membership_id, seconds)
        if changed is not record:
            self._become(self._home, changed)

    def _warn_of_links(self, what: str) -> None:
        if self.is_link:
            term.warning(f"the {what} of a link is its source's: {self.source_name} changes too")

    def __getattr__(self, name: str) -> Any:
        found = getattr(type(self), name, None)
        if isinstance(found, property):
            # Python comes here also when a property raises an AttributeError, as that of a draft
            # is (ART-5); asked again, it tells what is wrong.
            return found.__get__(self)
        known = [member for member in dir(type(self)) if not member.startswith("_")]
        near = [] if name.startswith("_") else nearest(name, known)
        # `ttl_duration` is nearer to `ttl` than its letters say (SEED-10)
        near = near or [member for member in known if name.startswith(f"{member}_")][-1:]
        hint = f"; did you mean `{near[0]}`?" if near else ""
        raise AttributeError(f"Artifact has no attribute `{name}`{hint}")


def _is_well_done(pending: Future[Any]) -> bool:
    return pending.done() and pending.exception() is None


def _is_changed(metadata: dict[str, Any], logged: dict[str, Any]) -> bool:
    try:
        return clean(metadata) != logged
    except (TypeError, ValueError):
        return True  # to something that `save` will refuse
