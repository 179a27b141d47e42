"""The SDK's `Artifact`: a draft to be filled, then a committed version to be read.

State lives here; adding, fetching, logging and lineage are functions in modules of those names.
Requirements: sections 2 to 5 of the behaviour (ART-1…ART-46).
"""

from __future__ import annotations

import copy
import io
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import datetime, timedelta
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, cast

from lineal.client import adding, media, session, term, values
from lineal.client import download as downloads
from lineal.client import ttl as ttls
from lineal.client.backend import Backend
from lineal.client.contents import Base, Contents
from lineal.client.draft import Draft, Source, clean, listed
from lineal.client.manifest import Manifest, ManifestEntry
from lineal.client.references.scheme import State
from lineal.config import Settings
from lineal.core import names
from lineal.core.digest import Digest
from lineal.core.manifest import Entry, SegmentHead, manifest_head
from lineal.core.names import ArtifactPath
from lineal.core.records import AliasMove, VersionPatch, VersionRecord, VersionState
from lineal.errors import (
    ArtifactNotLoggedError,
    HostilePath,
    IntegrityError,
    Invalid,
    MissingFile,
    WaitTimeoutError,
)

if TYPE_CHECKING:
    from lineal.client.files import File
    from lineal.client.graph import Graph
    from lineal.client.lists import LazyList
    from lineal.client.public_catalog import Collection
    from lineal.client.public_run import Run
    from lineal.core.retention import EffectiveTtl

NEAR_MOST = 2_000
"""Paths looked at for a near miss on the way to an error."""


class Artifact(Draft):
    """A set of files under one name; every change of content is a new version.

    Construction is local: no server, no account, no run (ART-1). `name` may be left out and is
    then chosen when the artifact is logged (SEED-6).
    """

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
        self._warn_of_links("description")
        self._description = None if text is None else values.text(text)

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
        return Manifest(self._contents, self)

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
    def collection(self) -> Collection:
        record = self._record
        return self._collection(record.entity, record.project, record.collection)

    @property
    def source_collection(self) -> Collection:
        record = self._record
        return self._collection(
            record.source_entity, record.source_project, record.source_collection
        )

    @property
    def aliases(self) -> list[str]:
        """Aliases in the collection it was fetched from; edit the list, then `save()` (ART-13)."""
        _ = self._record
        return self._aliases

    @aliases.setter
    def aliases(self, aliases: str | Sequence[str]) -> None:
        _ = self._record
        self._aliases = names.aliases(listed(aliases))

    @property
    def tags(self) -> list[str]:
        _ = self._record
        return self._tags

    @tags.setter
    def tags(self, tags: str | Sequence[str]) -> None:
        _ = self._record
        self._tags = names.tags(listed(tags))

    @property
    def commit_hash(self) -> str:
        return self._record.digest

    @property
    def file_count(self) -> int:
        """Entries, references included."""
        return self._record.entry_count

    @property
    def created_at(self) -> str:
        return _iso(self._record.created_at)

    @property
    def updated_at(self) -> str:
        return _iso(self._record.updated_at)

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
    def source_artifact(self) -> Artifact:
        """The version a link leads to; itself if it is no link."""
        record = self._record
        return committed(self._home, self._home.version_by_id(record.id)) if self.is_link else self

    @property
    def linked_artifacts(self) -> list[Artifact]:
        """This version as seen through each of its links; empty for a link."""
        record = self._record
        if record.is_link:
            return []
        return [committed(self._home, link) for link in self._home.links(record.id)]

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

    # --- reading content ---

    def get_entry(self, name: str | os.PathLike[str]) -> ManifestEntry:
        """Return an entry by path, or by the name a data object was added under (ART-36).

        Raises KeyError naming what is near.
        """
        _ = self._record
        path = _inside(name)
        for candidate in (path, *(path + suffix for suffix in media.suffixes())):
            entry = self._contents.get(candidate)
            if entry is not None:
                return ManifestEntry(entry, self)
        raise KeyError(f"Artifact {self.name} has no file {path!r}{self._near(path)}")

    def open(
        self, name: str | os.PathLike[str], mode: str = "rb", encoding: str | None = None
    ) -> IO[Any]:
        """Open one file for reading without downloading it; only what is read is fetched.

        mode: "rb", or "r" for text (UTF-8 unless `encoding` says otherwise). The file can be
        seeked. Raises FileNotFoundError naming what is near, ReferenceChanged if a reference leads
        to other bytes now.
        """
        if mode not in ("r", "rb", "rt"):
            raise Invalid(f"Artifact.open reads: mode {mode!r} must be 'rb' or 'r'")
        file = self._opened(os.fspath(name))
        return cast(IO[Any], file if mode == "rb" else io.TextIOWrapper(file, encoding or "utf-8"))

    def _opened(self, path: str) -> io.BufferedIOBase:
        from lineal.client import reading  # most processes download whole files

        record = self._record
        path = _inside(path)
        entry = self._contents.get(path)
        if entry is None:
            raise MissingFile(f"Artifact {self.name} has no file {path!r}{self._near(path)}")
        return reading.opened(self._home, record.id, entry, self._references)

    def get_path(self, name: str | os.PathLike[str]) -> ManifestEntry:
        """Deprecated spelling of `get_entry`."""
        return self.get_entry(name)

    def get(self, name: str | os.PathLike[str]) -> media.DataObject | None:
        """Rebuild the data object added under `name`, None if there is none (ART-36).

        Fetches only the files that the object needs, when it needs them.
        """
        try:
            entry = self.get_entry(name)
        except KeyError:
            return None
        if not entry.path.endswith(tuple(media.suffixes())):
            return None
        with open(entry.download(), encoding="utf-8") as file:
            return media.read(json.load(file), Source(self), entry.path)

    def __getitem__(self, name: str | os.PathLike[str]) -> media.DataObject | None:
        return self.get(name)

    def download(
        self,
        root: str | os.PathLike[str] | None = None,
        allow_missing_references: bool = False,
        skip_cache: bool | None = None,
        path_prefix: str | os.PathLike[str] | None = None,
        multipart: bool | None = None,
        include: str | Sequence[str] = (),
        exclude: str | Sequence[str] = (),
    ) -> str:
        """Bring the files to a folder and return its path (ART-28, ART-29).

        root: default `./artifacts/<name>:vN`. What is there with the right digest is not
        fetched again, other files are left alone. path_prefix: a plain prefix of paths.
        include, exclude: patterns as in `.gitignore`. skip_cache, multipart: W&B's, ignored.
        Raises MissingFile for a reference that leads nowhere (unless allowed), IntegrityError
        for bytes without the promised digest.
        """
        record = self._record
        target = self._root(root)
        chosen = adding.matches(listed(include), listed(exclude))
        prefix = "" if path_prefix is None else os.fspath(path_prefix)
        downloads.require_distinct(
            target, (each for each in self._contents.base.under(prefix) if chosen(each.path))
        )
        self._download(target, allow_missing_references).run(
            (entry for entry in self._contents.base.under(prefix) if chosen(entry.path)),
            count=record.entry_count,
            size=record.size_bytes,
        )
        return target

    def checkout(self, root: str | None = None, dry_run: bool = False) -> str:
        """Make a folder hold exactly this version: what is not part of it is deleted (ART-32).

        Empty folders and links to folders go as well; what is behind a link stays.
        root: default `./artifacts/<name>` without version. dry_run: only say what would go.
        """
        record = self._record
        target = root or os.path.join(self._settings.artifact_dir, record.source_collection)
        surplus = downloads.surplus(target, self._contents)
        if dry_run:
            for path in surplus:
                term.info(f"would delete {os.path.join(target, path)}")
            return target
        downloads.remove(target, surplus)
        return self.download(target)

    def verify(self, root: str | None = None, references: bool = False) -> None:
        """Hold a downloaded folder against this version, every byte of it (ART-33).

        references: hold them against the objects they lead to, too. Raises ValueError for a file
        that is missing, different, or not part of the artifact, or a reference that is lost.
        """
        _ = self._record
        _checked, skipped = downloads.verify(self._root(root), self._contents)
        if references:
            self._require_references()
        elif skipped:
            term.warning(f"{skipped} references were not checked")

    def _require_references(self) -> None:
        from lineal.client.references import checking  # few artifacts have any

        for entry, found in checking.check(self._references, iter(self._contents)):
            if found.state in (State.LOST, State.FORBIDDEN):
                raise IntegrityError(f"Reference {entry.path} is {found.state}: {found.detail}")

    def file(self, root: str | None = None) -> str:
        """Download the only file and return its path; ValueError if there are several (ART-34)."""
        record = self._record
        if record.entry_count != 1:
            raise Invalid(
                f"{self.name} has {record.entry_count} files, not one; "
                "use download() and take the path you want"
            )
        entry = next(iter(self._contents))
        return self._download_entry(entry, root)

    def files(
        self,
        names: str | Sequence[str] | None = None,
        per_page: int = 50,
        start: str | None = None,
    ) -> LazyList[File]:
        """List the files, paging as they are looked at (ART-35)."""
        from lineal.client.files import artifact_files  # it needs this module's users

        return artifact_files(self._home, self._record, names, per_page=per_page, start=start)

    # --- saving ---

    def save(self, project: str | None = None, settings: Settings | None = None) -> None:
        """Log a draft (by the active run, else by one of job type `auto`), or push changes of
        description, metadata, aliases, tags and ttl to a logged version (ART-40)."""
        if self._version is not None or self._pending is not None:
            self._push()
            return
        from lineal.client import init  # runs log artifacts: a circle otherwise

        active = session.active_run()
        if active is not None:
            active.log_artifact(self)
            return
        with init.init(project=project, job_type="auto", settings=settings) as run:
            run.log_artifact(self)

    def wait(self, timeout: float | None = None) -> Artifact:
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

    def new_draft(self) -> Artifact:
        """Return a draft with this version's content, to change and log as the next (ART-41)."""
        record = self._record
        draft = Artifact._internal(record.source_collection, self._type)
        draft._is_internal = self._is_internal
        draft._description, draft._metadata = self._description, copy.deepcopy(self._metadata)
        draft._contents = Contents(self._contents.base)
        draft._base_record = record
        draft._backend = self._backend
        return draft

    def delete(self, delete_aliases: bool = False) -> None:
        """Delete this version; of a link only the link (DEL-1).

        Raises Conflict while it has aliases (unless delete_aliases) or is linked elsewhere.
        """
        record = self._record
        if record.is_link:
            term.warning(f"{record.path} is a link; only the link is removed")
        self._home.delete_version(record.membership_id, delete_aliases=delete_aliases)
        if not record.is_link:
            self._become(self._home, self._home.version_by_id(record.id))

    def restore(self) -> None:
        """Undo the deletion of this version, as long as its content is there (DEL-7).

        Aliases come back unless they were set since. Raises Gone when it is too late.
        """
        record = self._record
        path = ArtifactPath(
            record.source_entity,
            record.source_project,
            record.source_collection,
            f"v{record.source_number}",
        )
        self._become(self._home, self._home.restore_version(path))

    def link(self, target_path: str, aliases: str | Sequence[str] | None = None) -> Artifact:
        """Put this version into another collection, where it has a number of its own (REG-2)."""
        if self.is_draft() and self._pending is None:
            self.save()
        record = self._record
        target = names.artifact_path(target_path, record.source_entity, record.source_project)
        if ":" in target_path:
            raise Invalid(f"Link to a collection, not to a version: {target_path!r}")
        linked = self._home.link_version(record.id, target, names.aliases(listed(aliases)))
        return committed(self._home, linked)

    def unlink(self) -> None:
        """Remove this link; raises ValueError if it is none (DEL-2)."""
        self._home.unlink_version(self._record.membership_id)

    def alias_history(self, alias: str | None = None) -> list[AliasMove]:
        """Return where an alias of this collection (or every one) has been, oldest first."""
        return self._home.alias_history(self.collection._record.id, alias)

    def move_alias(self, alias: str, expected_version: str | None = None) -> None:
        """Put an alias on this version only if it is on `expected_version` now (ALI-6).

        expected_version: `vN`, or None for "on none yet". Raises Conflict otherwise.
        """
        record = self._record
        patch = VersionPatch(
            aliases_added=(names.alias(alias),), expected_version={alias: expected_version}
        )
        self._become(self._home, self._home.update_version(record.membership_id, patch))

    # --- lineage ---

    def logged_by(self) -> Run | None:
        """Return the run that first logged this, None if none did or it was deleted (LIN-3)."""
        from lineal.client import graph  # it loads runs, which load this

        return graph.logged_by(self._home, self._record.id)

    def used_by(self) -> list[Run]:
        """Return all runs that used this, also through links (LIN-4)."""
        from lineal.client import graph

        return graph.used_by(self._home, self._record.id)

    def upstream(self, depth: int | None = None) -> Graph:
        """Return what this was made from (LIN-13)."""
        return self.lineage("upstream", depth)

    def downstream(self, depth: int | None = None) -> Graph:
        """Return what was made from this."""
        return self.lineage("downstream", depth)

    def lineage(
        self,
        direction: str = "both",
        depth: int | None = None,
        types: str | Sequence[str] | None = None,
        derived: bool = False,
    ) -> Graph:
        """Return the graph around this version in one request (LIN-13).

        direction: `upstream`, `downstream` or `both`. depth: steps. types: only versions of these
        types. derived: also what took files over from what, as dashed edges (LIN-11).
        """
        from lineal.client import graph

        root = f"version:{self._record.id}"
        return graph.graph(self._home, root, direction, depth, types, derived)

    def json_encode(self) -> dict[str, Any]:
        """Return the stub that stands for this artifact in a config (ART-45)."""
        return {
            "_type": "artifactVersion",
            "_version": "v0",
            "id": self.id,
            "version": self.source_version,
            "sequenceName": self._record.source_collection,
            "usedAs": None,
        }

    def __repr__(self) -> str:
        return f"<Artifact {self.name if self.is_draft() else self.qualified_name}>"

    def __getattr__(self, name: str) -> Any:
        found = getattr(type(self), name, None)
        if isinstance(found, property):
            # Python comes here also when a property raises an AttributeError, as that of a draft
            # is (ART-5); asked again, it tells what is wrong.
            return found.__get__(self)
        import difflib  # only on the way to an error

        known = [member for member in dir(type(self)) if not member.startswith("_")]
        near = [] if name.startswith("_") else difflib.get_close_matches(name, known, n=1)
        # `ttl_duration` is nearer to `ttl` than its letters say (SEED-10)
        near = near or [member for member in known if name.startswith(f"{member}_")][-1:]
        hint = f"; did you mean `{near[0]}`?" if near else ""
        raise AttributeError(f"Artifact has no attribute `{name}`{hint}")

    # --- for the modules beside this one ---

    def __reduce__(self) -> tuple[Callable[..., Artifact], tuple[Backend, VersionRecord]]:
        """Send a logged version to another process, such as a worker of a data loader.

        What was changed and not saved stays behind. Raises ArtifactNotLoggedError for a draft.
        """
        if self._version is None and self._pending is None:
            raise ArtifactNotLoggedError(
                f"Draft {self.name!r} cannot be copied or sent to another process; log it first, "
                "or fill another Artifact with the same files"
            )
        return committed, (self._home, self._record)

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
        self._adder.unlogged.pop(self._client_id, None)
        self._backend, self._pending = backend, pending
        self._as_logged = self._description, clean(self._metadata)

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
            self._contents = Contents(_LazyBase(backend, version))
        self._backend, self._version = backend, version  # last: another thread may look

    def _download_entry(self, entry: Entry, root: str | None) -> str:
        path: str = self._download(self._root(root), False).one(entry)
        return path

    def _download(self, root: str, allow_missing_references: bool) -> downloads.Download:
        return downloads.Download(
            self._home,
            self._record.id,
            root,
            self._adder.cache,
            references=self._references,
            allow_missing_references=allow_missing_references,
        )

    def _root(self, root: str | os.PathLike[str] | None) -> str:
        if root is not None:
            return os.fspath(root)
        name = self.source_name if os.name == "posix" else self.source_name.replace(":", "-")
        return os.path.join(self._settings.artifact_dir, name)

    def _push(self) -> None:
        record = self._record
        patch = VersionPatch(
            description=_change(record.description, self._description),
            metadata=None if self._metadata == record.metadata else clean(self._metadata),
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

    def _collection(self, entity: str, project: str, name: str) -> Collection:
        from lineal.client.public_catalog import Collection  # it loads this

        return Collection(self._home, self._home.collection(entity, project, name))

    def _near(self, path: str) -> str:
        import difflib  # only on the way to an error

        if next(self._contents.base.under(f"{path}/"), None) is not None:
            return (
                f": {path!r} is a folder; download(path_prefix='{path}/') fetches it, "
                f"manifest.get_entries_in_directory({path!r}) lists its files"
            )
        folder = path.rpartition("/")[0]
        known = (entry.path for entry in self._contents.base.under(f"{folder}/" if folder else ""))
        near = difflib.get_close_matches(path, list(islice(known, NEAR_MOST)), n=1)
        return f"; did you mean {near[0]!r}?" if near else ""


class _LazyBase(Base):
    """A committed version's manifest, asked for when first needed (ART-15)."""

    def __init__(self, backend: Backend, version: VersionRecord) -> None:
        self._backend, self._id = backend, version.id
        self._last = None
        self._read = lambda heads: backend.read_segments(version.id, heads)

    def __getattr__(self, name: str) -> Any:
        if name != "head":
            raise AttributeError(name)
        self.head = self._backend.manifest(self._id)
        return self.head


def committed(backend: Backend, version: VersionRecord) -> Artifact:
    """Wrap a version that exists."""
    artifact = Artifact._internal(version.collection, version.type)
    artifact._is_internal = False
    artifact._become(backend, version)
    return artifact


internal = Artifact._internal


def _is_well_done(pending: Future[Any]) -> bool:
    return pending.done() and pending.exception() is None


def _is_changed(metadata: dict[str, Any], logged: dict[str, Any]) -> bool:
    try:
        return clean(metadata) != logged
    except (TypeError, ValueError):
        return True  # to something that `save` will refuse


def _inside(name: str | os.PathLike[str]) -> str:
    """Return the path that a name was added under: `./a` is `a`; what cannot be one stays."""
    try:
        return names.entry_path(name)
    except HostilePath:
        return os.fspath(name)


def _change(before: str | None, now: str | None) -> str | None:
    """Return what a patch says: None for no change, an empty text for one that was taken away."""
    return None if before == now else now or ""


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
