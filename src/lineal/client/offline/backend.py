"""Runs without a connection: an embedded instance inside the run's own folder (RUN-33).

The folder holds everything that was logged and can be copied to another machine; `sync` brings
it to another backend. What only the other side can do – using versions of the normal home,
linking them, resuming a run – is noted in the folder and done then (`intents.py`, RUN-18).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NoReturn, TypeVar

from lineal.client import session, term
from lineal.client.backend import Backend
from lineal.client.embedded.backend import EmbeddedBackend, open_embedded
from lineal.client.offline import copying, earlier_attempts, intents, rules, run_folder
from lineal.client.offline.earlier_attempts import Attempt
from lineal.client.offline.normal_home import NormalHome, Record, is_at_home, marked, plain
from lineal.client.offline.run_folder import About
from lineal.client.run import rewinding
from lineal.config import A_CENTURY_DAYS, Settings, default_entity
from lineal.core.digest import Digest
from lineal.core.full_names import ArtifactPath
from lineal.core.ids import new_id
from lineal.core.manifest import Segment
from lineal.core.records import (
    Begun,
    CollectionRecord,
    DraftId,
    DraftSpec,
    JsonObject,
    MembershipId,
    PageRequest,
    RunDocument,
    RunKey,
    RunPatch,
    RunRecord,
    RunSpec,
    StartedRun,
    VersionId,
    VersionPatch,
    VersionQuery,
    VersionRecord,
)
from lineal.core.transfers import Location, Upload
from lineal.errors import Exists, Gone, Invalid, LinealError, NotFound, UsageError

_FILL_AT_ONCE = 1_000
_GOING_ON = ("allow", "must")
T = TypeVar("T")


def open_offline(settings: Settings, folder: str, rewind_step: int | None = None) -> OfflineBackend:
    """Open a new folder as an instance of its own, beside the normal home where there is one."""
    entity = default_entity(settings)
    inside = dataclasses.replace(settings, home=folder, entity=entity)
    about = About(new_id(20), entity, settings.entity is None, rewind_step=rewind_step)
    run_folder.write_about(folder, about)  # first, so that `sync` finds it after a kill
    # what was contributed waits for `sync`, however long the run takes
    waiting = dataclasses.replace(inside, draft_ttl_hours=A_CENTURY_DAYS * 24.0)
    backend = OfflineBackend(open_embedded(waiting), folder, NormalHome(settings))
    session.share_backend(inside, backend)
    return backend


class OfflineBackend(EmbeddedBackend):
    """The folder's instance; what it does not have is read from the normal home."""

    def __init__(self, own: EmbeddedBackend, folder: str, home: NormalHome) -> None:
        super().__init__(own.instance, own.actor)
        self.folder = folder
        self.home = home
        self._taken_from: dict[DraftId, list[VersionId]] = {}
        """Versions of the home, as they are called there, that drafts took entries over from."""
        self._anew: set[str] = set()
        """Collections of which is noted that they are no moved ones."""
        self._finished: set[str] = set()
        """Collections of which is noted that the run finishes what many contribute to."""
        self._before: tuple[RunRecord | None] | None = None
        """What the run goes on from, once that was looked for."""
        self._at_home: RunRecord | None = None
        """What the run goes on from there, as it is called there."""

    def __reduce__(self) -> NoReturn:
        raise UsageError(
            "What belongs to an offline run cannot be sent to another process; "
            "download it there, or give the other process the folder it was downloaded to"
        )

    # --- who answers ---

    run_by_key = rules.by_id(EmbeddedBackend.run_by_key)
    read_lines = rules.by_id(EmbeddedBackend.read_lines)
    run_files = rules.by_id(EmbeddedBackend.run_files)
    version_by_id = rules.by_id(EmbeddedBackend.version_by_id)
    collection_by_id = rules.by_id(EmbeddedBackend.collection_by_id)
    links = rules.by_id(EmbeddedBackend.links)
    alias_history = rules.by_id(EmbeddedBackend.alias_history)
    manifest = rules.by_id(EmbeddedBackend.manifest)
    read_segments = rules.by_id(EmbeddedBackend.read_segments)
    locate = rules.by_id(EmbeddedBackend.locate)
    locate_run_files = rules.by_id(EmbeddedBackend.locate_run_files)
    effective_ttl = rules.by_id(EmbeddedBackend.effective_ttl)
    runs_of = rules.by_id(EmbeddedBackend.runs_of)
    versions_of = rules.by_id(EmbeddedBackend.versions_of)
    edges_of = rules.by_id(EmbeddedBackend.edges_of)
    parts_of = rules.by_id(EmbeddedBackend.parts_of)
    lineage = rules.by_id(EmbeddedBackend.lineage)

    run = rules.by_name(EmbeddedBackend.run)
    versions = rules.by_name(EmbeddedBackend.versions)
    collection = rules.by_name(EmbeddedBackend.collection)
    policy = rules.by_name(EmbeddedBackend.policy)
    open = rules.by_name(EmbeddedBackend.open)

    heartbeat = rules.change(RunRecord, EmbeddedBackend.heartbeat)
    mark_crashed = rules.change(RunRecord, EmbeddedBackend.mark_crashed)
    finish_run = rules.change(RunRecord, EmbeddedBackend.finish_run)
    delete_run = rules.change(RunRecord, EmbeddedBackend.delete_run)
    rewind_run = rules.change(RunRecord, EmbeddedBackend.rewind_run)
    move_run = rules.change(RunRecord, EmbeddedBackend.move_run)
    append_lines = rules.change(RunRecord, EmbeddedBackend.append_lines)
    put_run_files = rules.change(RunRecord, EmbeddedBackend.put_run_files)
    delete_run_file = rules.change(RunRecord, EmbeddedBackend.delete_run_file)
    delete_version = rules.change(VersionRecord, EmbeddedBackend.delete_version)
    unlink_version = rules.change(VersionRecord, EmbeddedBackend.unlink_version)
    set_version_ttl = rules.change(VersionRecord, EmbeddedBackend.set_version_ttl)
    update_collection = rules.change(CollectionRecord, EmbeddedBackend.update_collection)
    delete_collection = rules.change(CollectionRecord, EmbeddedBackend.delete_collection)
    set_collection_ttl = rules.change(CollectionRecord, EmbeddedBackend.set_collection_ttl)

    set_policy = rules.change_by_name(
        lambda home, entity, project, name, _: home.collection(entity, project, name or ""),
        EmbeddedBackend.set_policy,
    )
    restore_version = rules.change_by_name(
        lambda home, path: home.version(path, with_deleted=True), EmbeddedBackend.restore_version
    )
    restore_collection = rules.change_by_name(
        lambda home, *path: home.collection(*path), EmbeddedBackend.restore_collection
    )

    def require_own(self, kind: type[Record], id: int) -> None:
        """Raise UsageError for what is at home. id: of a version, that of its membership."""
        if is_at_home(id):
            raise self.home.unchangeable(self.home.seen(kind, id))

    def ask_instead(self, error: Exception, question: Callable[[Backend], T]) -> T:
        """Return what the home answers; what was deleted here and is not there is told so."""
        try:
            return self.home.ask(question)
        except NotFound:
            if isinstance(error, Gone):
                raise error from None
            raise

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
        before = self.run_before(spec)
        mark = {**(spec.metadata or {}), run_folder.METADATA_KEY: [about.uid]}
        started = super().start_run(spec._replace(resume=None, metadata=mark))
        made_name = started.run.name if spec.name is None else ""
        # says of a run that it is there
        run_folder.write_about(self.folder, dataclasses.replace(about, made_name=made_name))
        step = about.rewind_step
        if step is not None:
            term.info(f"offline: the run is taken back to step {step} when it is synced")
        elif before is None and _goes_on(about):
            term.info(f"offline: resume={spec.resume} is applied when the run is synced")
        if before is not None:
            return StartedRun(_continued(started.run, before, spec), is_resumed=True)
        if step is not None:
            return StartedRun(started.run._replace(last_step=step), is_resumed=True)
        return started

    def run_documents(
        self, runs: Collection[RunKey], name: RunDocument
    ) -> dict[RunKey, JsonObject]:
        found = super().run_documents([run for run in runs if not is_at_home(run)], name)
        at_home = [plain(run) for run in runs if is_at_home(run)]
        if at_home:
            there = self.home.backend.run_documents(at_home, name)
            found |= {marked(run): document for run, document in there.items()}
        return found

    def run_before(self, spec: RunSpec) -> RunRecord | None:
        """Return the run that goes on as it is by now, at home and in folders beside this one."""
        if self._before is None:
            step = run_folder.read_about(self.folder).rewind_step
            before = self._at_home = self._run_at_home(spec, step)
            if step is None and spec.resume in _GOING_ON:
                before = earlier_attempts.goes_on_from(
                    self.home.settings, self.folder, spec, before
                )
            self._before = (before,)
        return self._before[0]

    def update_run(self, run: RunKey, patch: RunPatch) -> RunRecord:
        """Change the run, and note what is taken out that it had before; else it stays at home."""
        self.require_own(RunRecord, run)
        before = self._before and self._before[0]
        if before:
            config = tuple(key for key in patch.config_removed if key in before.config)
            summary = tuple(key for key in patch.summary_removed if key in before.summary)
            if config or summary:
                intents.note(self.folder, intents.Removed(config, summary))
        return super().update_run(run, patch)

    def _run_at_home(self, spec: RunSpec, rewind_step: int | None) -> RunRecord | None:
        """Return the run that goes on, if it is at home; as it is once `sync` took it back."""
        if spec.resume is None or not self.home.is_there:
            return None
        home = self.home.backend
        try:
            run = home.run(spec.entity, spec.project, spec.run_id)
        except NotFound:
            return None
        if spec.resume == "never":
            raise UsageError(
                f"Run {run.path} exists already and `resume` is `never`; use another id"
            )
        if rewind_step is None:
            return run
        rewinding.check_step(run, rewind_step)
        summary = rewinding.summary_until(home, run, rewind_step)
        seconds = float(summary.get("_runtime", 0.0))
        return run._replace(
            last_step=rewind_step, history_count=0, summary=summary, runtime_seconds=seconds
        )

    def earlier_attempts(self) -> Iterator[Attempt]:
        """Yield what the run goes on from, the latest first: in folders beside this one, at home.

        Each is open until the next is asked for.
        """
        about = run_folder.read_about(self.folder)
        if _goes_on(about):
            is_at_home = self._at_home is not None
            yield from earlier_attempts.attempts(
                self.home.settings, self.folder, about, is_at_home=is_at_home
            )
        if self._at_home is not None:
            yield Attempt(self.home.backend, self._at_home)

    # --- artifacts: writing ---

    def check_collection(self, draft: DraftSpec) -> None:
        """Raise what `sync` would say of the collection of the home, too, while it can be helped.

        The run may have ended by then, and be brought home under no other name.
        """
        super().check_collection(draft)
        if not self.home.is_there:
            return
        try:
            self.home.backend.check_collection(draft._replace(run=None))
        except (Exists, Invalid):
            raise
        except LinealError as error:  # a run goes on without a home that is damaged
            term.warn_once(
                f"offline, the instance here could not be asked about {draft.collection}: {error}",
                key=f"home {self.home.root}",
            )

    def _counted_on(self, draft: DraftSpec) -> DraftSpec:
        """Number on from the home, so that `name:v3` goes on meaning what it means there.

        A name that leads to a moved collection there is free, as for any run.
        """
        if draft.number is not None:
            return draft
        newest = self._newest_at_home(draft.entity, draft.project, draft.collection)
        if newest is None:
            return draft
        path = f"{draft.entity}/{draft.project}/{draft.collection}"
        if newest.path.rpartition(":")[0] != path and path not in self._anew:
            intents.note(self.folder, intents.Anew(path))
            self._anew.add(path)
        return draft._replace(number=newest.number + 1)

    def _newest_at_home(self, entity: str, project: str, name: str) -> VersionRecord | None:
        if not self.home.is_there:
            return None
        query = VersionQuery(entity, project, name, with_metadata=False)
        try:
            newest = self.home.backend.versions(query, PageRequest(1, with_total=False)).items
        except LinealError:  # there is none, or what `check_collection` said
            return None
        return newest[0] if newest else None

    def begin(self, draft: DraftSpec, segments: Sequence[Segment] = ()) -> Begun:
        if draft.run is not None:
            self.require_own(RunRecord, draft.run)
        draft = self._counted_on(draft)
        if draft.distributed_id is not None and draft.is_final:
            draft = self._finishing(draft)
        sources = (draft.base, *draft.sources)
        at_home = [each for each in sources if each is not None and is_at_home(each)]
        if not at_home:
            return super().begin(draft, segments)
        for source in at_home:
            path = self.version_by_id(source).path
            intents.note(self.folder, intents.Source(draft.manifest.digest, path))
        own = draft._replace(
            base=None if draft.base in at_home else draft.base,
            sources=tuple(source for source in draft.sources if source not in at_home),
        )
        begun = super().begin(own, segments)
        self._taken_from[begun.draft] = [plain(source) for source in at_home]
        return begun._replace(uploads=None)  # `missing_blobs` sends some of them itself

    def _finishing(self, draft: DraftSpec) -> DraftSpec:
        """Note that the run finishes what others contribute to, which only `sync` sees."""
        path = f"{draft.entity}/{draft.project}/{draft.collection}"
        if path not in self._finished:
            intents.note(self.folder, intents.Finish(path))
            self._finished.add(path)
            term.info(
                f"offline, {draft.collection} has what this run contributed; what other runs did "
                "is added by `lineal sync` of their folders"
            )
        return draft._replace(is_elsewhere=True)

    def missing_blobs(self, draft: DraftId) -> Iterator[Upload]:
        """Yield what must be sent; what the home holds is copied into the folder instead."""
        uploads = super().missing_blobs(draft)
        sources = self._taken_from.get(draft)
        if not sources:
            yield from uploads
            return
        home = self.home.backend
        while page := list(itertools.islice(uploads, _FILL_AT_ONCE)):
            located: dict[Digest, Location] = {}
            for source in sources:
                located |= home.locate(source, [upload.digest for upload in page])
            held = [upload for upload in page if upload.digest in located]
            for upload in held:
                copying.send_blob(home, located[upload.digest], self, upload)
            self.confirm(draft, held)
            yield from (upload for upload in page if upload.digest not in located)

    def update_version(self, membership: MembershipId, patch: VersionPatch) -> VersionRecord:
        """Note aliases that a version of the home gets; nothing else of it can be changed."""
        if not is_at_home(membership):
            return super().update_version(membership, patch)
        version = self.home.seen(VersionRecord, membership)
        if patch != VersionPatch(aliases_added=patch.aliases_added):
            raise self.home.unchangeable(version)
        intents.note(self.folder, intents.Alias(version.path, patch.aliases_added))
        return version

    def link_version(
        self,
        version: VersionId,
        target: ArtifactPath,
        aliases: Sequence[str],
        *,
        number: int | None = None,
    ) -> VersionRecord:
        """Link in the folder what the folder has; note the rest, and return the source.

        Links are numbered on from the home, as versions are.
        """
        if not is_at_home(version):
            newest = self._newest_at_home(target.entity, target.project, target.name)
            if newest is not None:
                number = newest.number + 1
            return super().link_version(version, target, aliases, number=number)
        found = self.version_by_id(version)
        collection = f"{target.entity}/{target.project}/{target.display_name or target.name}"
        intents.note(self.folder, intents.Link(found.path, collection, tuple(aliases)))
        return found

    # --- artifacts: reading ---

    def version(self, path: ArtifactPath, *, with_deleted: bool = False) -> VersionRecord:
        try:
            return super().version(path, with_deleted=with_deleted)
        except NotFound as error:
            if self.home.is_there:
                return self.ask_instead(
                    error, lambda home: home.version(path, with_deleted=with_deleted)
                )
            end = "" if error.message.endswith((".", "?")) else "."
            raise NotFound(
                f"{error.message}{end} While offline, only versions of this run folder and of the "
                f"instance in {self.home.root} can be used: `lineal artifact export` where it is "
                "and `lineal artifact import` here bring one along"
            ) from error

    def version_in_config(self, number: int, name: str | None) -> VersionRecord:
        candidates = [VersionId(number)]
        if not is_at_home(number) and self.home.is_there:
            candidates.append(marked(candidates[0]))
            if name is None:
                candidates.reverse()  # a number alone is one that somebody saw at home
        for candidate in candidates:
            try:
                version = self.version_by_id(candidate)
            except NotFound:
                continue
            if name in (None, version.source_name):
                return version
        raise NotFound(f"No version {name or number} with the id {number}, here or in the home")

    def births(self, version: VersionId, digests: Sequence[Digest]) -> dict[Digest, VersionId]:
        if not is_at_home(version):
            return super().births(version, digests)
        born = self.home.backend.births(plain(version), digests)
        return {digest: marked(each) for digest, each in born.items()}

    # --- lineage ---

    def use(self, run: RunKey, version: VersionId, *, alias: str | None) -> None:
        self.require_own(RunRecord, run)
        if not is_at_home(version):
            super().use(run, version, alias=alias)
            return
        found = self.version_by_id(version)
        intents.note(self.folder, intents.Use(found.path, found.digest, alias))

    def relog(self, run: RunKey, version: VersionId) -> None:
        self.require_own(RunRecord, run)
        if not is_at_home(version):
            super().relog(run, version)
            return
        found = self.version_by_id(version)
        intents.note(self.folder, intents.Relog(found.path, found.digest))


def _goes_on(about: About) -> bool:
    """Tell whether the run goes on after the last of its attempts, where there is one."""
    return about.rewind_step is None and about.resume in _GOING_ON


def _continued(run: RunRecord, before: RunRecord, spec: RunSpec) -> RunRecord:
    """Return a new run of the folder as one that goes on after what it was before."""
    return run._replace(
        name=before.name if spec.name is None else run.name,
        notes=before.notes if spec.notes is None else run.notes,
        group=before.group if spec.group is None else run.group,
        job_type=before.job_type if spec.job_type is None else run.job_type,
        tags=before.tags if spec.tags is None else run.tags,
        last_step=before.last_step,
        history_count=before.history_count,
        config={**before.config, **run.config},
        summary=before.summary,
        runtime_seconds=before.runtime_seconds,
    )
