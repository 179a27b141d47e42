"""Runs without a connection: an embedded instance inside the run's own folder (RUN-33).

The folder holds everything that was logged and can be copied to another machine; `sync` brings
it to another backend. What only the other side can do – using versions of the normal home,
linking them, resuming a run – is noted in the folder and done then (`run_folder.py`, RUN-18).
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NoReturn, TypeVar

from lineal.client import session, term
from lineal.client.backend import Backend
from lineal.client.embedded import EmbeddedBackend, open_embedded
from lineal.client.offline import copying, run_folder
from lineal.client.offline.run_folder import About, Alias, Link, Relog, Source, Use
from lineal.client.run import rewinding
from lineal.config import Settings, default_entity
from lineal.core.digest import Digest
from lineal.core.ids import new_id
from lineal.core.lineage import LineageGraph, LineageQuery
from lineal.core.manifest import ManifestHead, Segment, SegmentHead
from lineal.core.names import ArtifactPath
from lineal.core.records import (
    AliasMove,
    Begun,
    CollectionId,
    CollectionPatch,
    CollectionRecord,
    DraftId,
    DraftSpec,
    EdgeKind,
    Location,
    MembershipId,
    MovedRun,
    Page,
    PageRequest,
    RunFileRecord,
    RunKey,
    RunPatch,
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
from lineal.core.retention import EffectiveTtl
from lineal.errors import MissingFile, NotFound, Unavailable, UsageError
from lineal.home import home_of

_AT_HOME = 1 << 48
"""Added to ids of the normal home, so that they differ from ids of the folder."""
_FILL_AT_ONCE = 1_000
Id = TypeVar("Id", bound=int)


def open_offline(settings: Settings, folder: str, rewind_step: int | None = None) -> OfflineBackend:
    """Open a new folder as an instance of its own, beside the normal home where there is one."""
    entity = default_entity(settings)
    inside = dataclasses.replace(settings, home=folder, entity=entity)
    about = About(new_id(20), entity, settings.entity is None, rewind_step=rewind_step)
    run_folder.write_about(folder, about)  # first, so that `sync` finds it after a kill
    backend = OfflineBackend(open_embedded(inside), folder, settings)
    session.share_backend(inside, backend)
    return backend


class OfflineBackend(EmbeddedBackend):
    """The folder's instance; what it does not have is read from the normal home."""

    def __init__(self, own: EmbeddedBackend, folder: str, settings: Settings) -> None:
        super().__init__(own.instance, own.actor)
        self.folder = folder
        self._settings = dataclasses.replace(settings, mode="online")
        self._by_membership: dict[MembershipId, VersionRecord] = {}
        self._collections: dict[CollectionId, CollectionRecord] = {}
        self._sources: dict[DraftId, list[VersionId]] = {}
        """Versions of the normal home that drafts here took entries over from."""

    def __reduce__(self) -> NoReturn:
        raise UsageError(
            "What belongs to an offline run cannot be sent to another process; "
            "download it there, or give the other process the folder it was downloaded to"
        )

    # --- runs ---

    def start_run(self, spec: RunSpec) -> StartedRun:
        """Start the run in the folder; to resume it is left to `sync`, but steps go on."""
        about = dataclasses.replace(
            run_folder.read_about(self.folder),
            entity=spec.entity,
            project=spec.project,
            run_id=spec.run_id,
            resume=spec.resume,
        )
        before = self._known_run(spec)
        if before is not None and spec.resume == "never":
            raise UsageError(
                f"Run {spec.entity}/{spec.project}/{spec.run_id} exists already and `resume` is "
                "`never`; use another id"
            )
        if before is not None and about.rewind_step is not None:
            rewinding.check_step(before, about.rewind_step)
        mark = {**(spec.metadata or {}), run_folder.METADATA_KEY: [about.uid]}
        started = super().start_run(spec._replace(resume=None, metadata=mark))
        run_folder.write_about(self.folder, about)  # says of a run that it is there
        if about.rewind_step is not None:
            return self._rewound(started, before, about.rewind_step)
        if before is None:
            if spec.resume in ("allow", "must"):
                term.info(f"offline: resume={spec.resume} is applied when the run is synced")
            return started
        run = started.run._replace(
            last_step=before.last_step,
            history_count=before.history_count,
            config={**before.config, **started.run.config},
            summary=before.summary,
            runtime_seconds=before.runtime_seconds,
        )
        return StartedRun(run, is_resumed=True)

    def _rewound(self, started: StartedRun, before: RunRecord | None, step: int) -> StartedRun:
        """Go on after the step; the run at home is taken back to it by `sync`."""
        term.info(f"offline: the run is taken back to step {step} when it is synced")
        if before is None:
            return StartedRun(started.run._replace(last_step=step), is_resumed=True)
        summary = rewinding.summary_until(self._needed_home(), before, step)
        run = started.run._replace(
            last_step=min(before.last_step, step),
            config={**before.config, **started.run.config},
            summary=summary,
            runtime_seconds=float(summary.get("_runtime", 0.0)),
        )
        return StartedRun(run, is_resumed=True)

    def _known_run(self, spec: RunSpec) -> RunRecord | None:
        home = self._home() if spec.resume is not None else None
        if home is None:
            return None
        try:
            return home.run(spec.entity, spec.project, spec.run_id)
        except NotFound:
            return None

    def run_by_key(self, run: RunKey) -> RunRecord:
        if run < _AT_HOME:
            return super().run_by_key(run)
        return _marked_run(self._needed_home().run_by_key(_plain(run)))

    def read_lines(
        self,
        run: RunKey,
        stream: Stream,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
    ) -> Iterator[bytes]:
        if run < _AT_HOME:
            return super().read_lines(run, stream, min_step=min_step, max_step=max_step)
        home = self._needed_home()
        return home.read_lines(_plain(run), stream, min_step=min_step, max_step=max_step)

    def run_files(
        self, run: RunKey, page: PageRequest, *, names: Sequence[str] = ()
    ) -> Page[RunFileRecord]:
        if run < _AT_HOME:
            return super().run_files(run, page, names=names)
        return self._needed_home().run_files(_plain(run), page, names=names)

    def update_run(self, run: RunKey, patch: RunPatch) -> RunRecord:
        self._require_own_run(run)
        return super().update_run(run, patch)

    def delete_run(
        self, run: RunKey, *, delete_artifacts: bool = False, force: bool = False
    ) -> None:
        self._require_own_run(run)
        super().delete_run(run, delete_artifacts=delete_artifacts, force=force)

    def move_run(
        self, run: RunKey, entity: str, project: str, *, with_artifacts: bool = False
    ) -> MovedRun:
        self._require_own_run(run)
        return super().move_run(run, entity, project, with_artifacts=with_artifacts)

    def put_run_files(self, run: RunKey, files: Sequence[tuple[str, str]]) -> list[RunFileRecord]:
        self._require_own_run(run)
        return super().put_run_files(run, files)

    def delete_run_file(self, run: RunKey, path: str) -> None:
        self._require_own_run(run)
        super().delete_run_file(run, path)

    # --- artifacts ---

    def begin(self, draft: DraftSpec, segments: Sequence[Segment] = ()) -> Begun:
        if draft.run is not None:
            self._require_own_run(draft.run)
        base, others = draft.base, draft.sources
        at_home = [
            source for source in (base, *others) if source is not None and source >= _AT_HOME
        ]
        if not at_home:
            return super().begin(draft, segments)
        for source in at_home:
            path = self.version_by_id(source).path
            run_folder.note(self.folder, Source(draft.manifest.digest, path))
        own = draft._replace(
            base=None if base in at_home else base,
            sources=tuple(source for source in others if source not in at_home),
        )
        begun = super().begin(own, segments)
        self._sources[begun.draft] = [_plain(source) for source in at_home]
        return begun._replace(uploads=None)  # `missing_blobs` sends some of them itself

    def missing_blobs(self, draft: DraftId) -> Iterator[Upload]:
        """Yield what must be sent; what the home holds is copied into the folder instead."""
        uploads = super().missing_blobs(draft)
        sources = self._sources.get(draft)
        if not sources:
            yield from uploads
            return
        home = self._needed_home()
        while page := list(itertools.islice(uploads, _FILL_AT_ONCE)):
            located: dict[Digest, Location] = {}
            for source in sources:
                located |= home.locate([upload.digest for upload in page], version=source)
            held = [upload for upload in page if upload.digest in located]
            for upload in held:
                copying.send_blob(home, located[upload.digest], self, upload)
            self.confirm(draft, held)
            yield from (upload for upload in page if upload.digest not in located)

    def update_version(self, membership: MembershipId, patch: VersionPatch) -> VersionRecord:
        if membership < _AT_HOME:
            return super().update_version(membership, patch)
        version = self._by_membership[membership]
        if patch != VersionPatch(aliases_added=patch.aliases_added):
            raise self._unchangeable(f"Version {version.path}")
        run_folder.note(self.folder, Alias(version.path, patch.aliases_added))
        return version

    def delete_version(self, membership: MembershipId, *, delete_aliases: bool) -> None:
        self._require_own_version(membership)
        super().delete_version(membership, delete_aliases=delete_aliases)

    def unlink_version(self, membership: MembershipId) -> None:
        self._require_own_version(membership)
        super().unlink_version(membership)

    def link_version(
        self, version: VersionId, target: ArtifactPath, aliases: Sequence[str]
    ) -> VersionRecord:
        """Link in the folder what the folder has; note the rest, and return the source."""
        if version < _AT_HOME:
            return super().link_version(version, target, aliases)
        found = self.version_by_id(version)
        collection = f"{target.entity}/{target.project}/{target.name}"
        run_folder.note(self.folder, Link(found.path, collection, tuple(aliases)))
        return found

    def version(self, path: ArtifactPath, *, with_deleted: bool = False) -> VersionRecord:
        try:
            return super().version(path, with_deleted=with_deleted)
        except NotFound as error:
            home = self._home()
            if home is None:
                raise NotFound(
                    f"{error.message.rstrip('.')}. While offline, only versions of this run "
                    f"folder and of the instance in {self._settings.home} can be used"
                ) from error
            return self._marked(home.version(path, with_deleted=with_deleted))

    def version_by_id(self, version: VersionId) -> VersionRecord:
        if version < _AT_HOME:
            return super().version_by_id(version)
        return self._marked(self._needed_home().version_by_id(_plain(version)))

    def version_in_config(self, number: int, name: str | None) -> VersionRecord:
        candidates = [number]
        if number < _AT_HOME:
            candidates.append(number + _AT_HOME)
            if name is None and self._home() is not None:
                candidates.reverse()  # a number alone is one that somebody saw at home
        for candidate in candidates:
            try:
                version = self.version_by_id(VersionId(candidate))
            except NotFound:
                continue
            if name in (None, f"{version.source_collection}:v{version.source_number}"):
                return version
        raise NotFound(f"No version {name or number} with the id {number}, here or in the home")

    def versions(self, query: VersionQuery, page: PageRequest) -> Page[VersionRecord]:
        try:
            return super().versions(query, page)
        except NotFound:
            home = self._home()
            if home is None:
                raise
            found = home.versions(query, page)
        items = tuple(self._marked(version) for version in found.items)
        return found._replace(items=items)

    def collection(self, entity: str, project: str, name: str) -> CollectionRecord:
        try:
            return super().collection(entity, project, name)
        except NotFound:
            home = self._home()
            if home is None:
                raise
            return self._marked_collection(home.collection(entity, project, name))

    def update_collection(
        self, collection: CollectionId, patch: CollectionPatch
    ) -> CollectionRecord:
        self._require_own_collection(collection)
        return super().update_collection(collection, patch)

    def delete_collection(self, collection: CollectionId) -> None:
        self._require_own_collection(collection)
        super().delete_collection(collection)

    def alias_history(self, collection: CollectionId, alias: str | None) -> list[AliasMove]:
        if collection < _AT_HOME:
            return super().alias_history(collection, alias)
        return self._needed_home().alias_history(_plain(collection), alias)

    def links(self, version: VersionId) -> list[VersionRecord]:
        if version < _AT_HOME:
            return super().links(version)
        return [self._marked(link) for link in self._needed_home().links(_plain(version))]

    def manifest(self, version: VersionId) -> ManifestHead:
        if version < _AT_HOME:
            return super().manifest(version)
        return self._needed_home().manifest(_plain(version))

    def read_segments(self, version: VersionId, heads: Sequence[SegmentHead]) -> Iterator[Segment]:
        if version < _AT_HOME:
            return super().read_segments(version, heads)
        return self._needed_home().read_segments(_plain(version), heads)

    def locate(
        self,
        digests: Sequence[Digest],
        *,
        version: VersionId | None = None,
        run: RunKey | None = None,
    ) -> dict[Digest, Location]:
        if run is not None and run >= _AT_HOME:
            return self._needed_home().locate(digests, run=_plain(run))
        if version is None or version < _AT_HOME:
            return super().locate(digests, version=version, run=run)
        return self._needed_home().locate(digests, version=_plain(version))

    def births(self, digests: Sequence[Digest], version: VersionId) -> dict[Digest, VersionId]:
        if version < _AT_HOME:
            return super().births(digests, version)
        born = self._needed_home().births(digests, _plain(version))
        return {digest: VersionId(each + _AT_HOME) for digest, each in born.items()}

    def open(self, location: Location) -> BinaryIO:
        try:
            return super().open(location)
        except MissingFile:
            home = self._home()
            if home is None:
                raise
            return home.open(location)

    def effective_ttl(self, version: VersionId) -> EffectiveTtl:
        if version < _AT_HOME:
            return super().effective_ttl(version)
        return self._needed_home().effective_ttl(_plain(version))

    def set_version_ttl(self, membership: MembershipId, seconds: int | None) -> VersionRecord:
        self._require_own_version(membership)
        return super().set_version_ttl(membership, seconds)

    def set_collection_ttl(self, collection: CollectionId, seconds: int | None) -> CollectionRecord:
        self._require_own_collection(collection)
        return super().set_collection_ttl(collection, seconds)

    # --- lineage ---

    def use(self, run: RunKey, version: VersionId, *, alias: str | None) -> None:
        self._require_own_run(run)
        if version < _AT_HOME:
            super().use(run, version, alias=alias)
            return
        found = self.version_by_id(version)
        run_folder.note(self.folder, Use(found.path, found.digest, alias))

    def relog(self, run: RunKey, version: VersionId) -> None:
        self._require_own_run(run)
        if version < _AT_HOME:
            super().relog(run, version)
            return
        found = self.version_by_id(version)
        run_folder.note(self.folder, Relog(found.path, found.digest))

    def runs_of(self, version: VersionId, kind: EdgeKind, page: PageRequest) -> Page[RunRecord]:
        if version < _AT_HOME:
            return super().runs_of(version, kind, page)
        found = self._needed_home().runs_of(_plain(version), kind, page)
        return found._replace(items=tuple(map(_marked_run, found.items)))

    def versions_of(
        self, run: RunKey, kind: EdgeKind, page: PageRequest, *, with_metadata: bool = True
    ) -> Page[VersionRecord]:
        if run < _AT_HOME:
            return super().versions_of(run, kind, page, with_metadata=with_metadata)
        home = self._needed_home()
        found = home.versions_of(_plain(run), kind, page, with_metadata=with_metadata)
        return found._replace(items=tuple(map(self._marked, found.items)))

    def lineage(self, root: str, query: LineageQuery) -> LineageGraph:
        if int(root.partition(":")[2]) < _AT_HOME:
            return super().lineage(root, query)
        found = self._needed_home().lineage(_shifted(root, -_AT_HOME), query)
        return found._replace(
            root=root,
            nodes=tuple(node._replace(id=_shifted(node.id, _AT_HOME)) for node in found.nodes),
            edges=tuple(
                edge._replace(
                    source=_shifted(edge.source, _AT_HOME), target=_shifted(edge.target, _AT_HOME)
                )
                for edge in found.edges
            ),
        )

    # --- private ---

    def _home(self) -> Backend | None:
        """Return the normal home's instance if there is one; it is not made for this."""
        if not os.path.exists(home_of(self._settings).database):
            return None
        return session.open_backend(self._settings)

    def _needed_home(self) -> Backend:
        home = self._home()
        if home is None:
            raise Unavailable(f"The instance in {self._settings.home} is gone")
        return home

    def _marked(self, version: VersionRecord) -> VersionRecord:
        marked = version._replace(
            id=VersionId(version.id + _AT_HOME),
            membership_id=MembershipId(version.membership_id + _AT_HOME),
        )
        self._by_membership[marked.membership_id] = marked
        return marked

    def _marked_collection(self, collection: CollectionRecord) -> CollectionRecord:
        marked = collection._replace(id=CollectionId(collection.id + _AT_HOME))
        self._collections[marked.id] = marked
        return marked

    def _require_own_run(self, run: RunKey) -> None:
        if run >= _AT_HOME:
            found = self.run_by_key(run)
            raise self._unchangeable(f"Run {found.path}")

    def _require_own_version(self, membership: MembershipId) -> None:
        if membership >= _AT_HOME:
            raise self._unchangeable(f"Version {self._by_membership[membership].path}")

    def _require_own_collection(self, id: CollectionId) -> None:
        if id >= _AT_HOME:
            found = self._collections[id]
            raise self._unchangeable(f"Collection {found.path}")

    def _unchangeable(self, what: str) -> UsageError:
        return UsageError(
            f"{what} is not in the folder of this offline run but in the instance in "
            f"{self._settings.home}, which the run only reads; change it through `lineal.Api()`"
        )


def _marked_run(run: RunRecord) -> RunRecord:
    return run._replace(key=RunKey(run.key + _AT_HOME))


def _shifted(node_id: str, by: int) -> str:
    """Return `run:KEY` or `version:ID` of a graph with another number."""
    kind, _, number = node_id.partition(":")
    return f"{kind}:{int(number) + by}"


def _plain(marked: Id) -> Id:
    """Return the id that something has in the normal home."""
    plain: Any = marked - _AT_HOME
    return plain  # type: ignore[no-any-return]  # a `NewType` of int cannot be made of its variable
