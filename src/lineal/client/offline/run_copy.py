"""One offline run on its way from its folder to a backend, part by part.

Everything is copied under names that make it idempotent: lines by writer and offset, versions by a
client id derived from the folder and the place they go to. A failed artifact never stops the rest.
"""

from __future__ import annotations

import itertools
import json
import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, ParamSpec

from lineal.client import term
from lineal.client.backend import Backend
from lineal.client.offline import contributing, copying, intents, places, run_folder
from lineal.client.offline.contributing import Contributing, Waiting
from lineal.client.offline.intents import Alias, Anew, Link, Relog, Removed, Use
from lineal.client.offline.introducing import Introductions
from lineal.client.offline.places import CollectionPath
from lineal.client.offline.sync_job import Job
from lineal.client.pages import BULK_PAGE_SIZE, all_of
from lineal.client.run import rewinding
from lineal.client.run.forking import Fork
from lineal.core import full_names, names
from lineal.core.contributions import Part
from lineal.core.lineage import Direction, LineageQuery, RunEdge, run_node
from lineal.core.records import (
    EdgeKind,
    Lines,
    RunFileRecord,
    RunPatch,
    RunRecord,
    Stream,
    VersionId,
    VersionPatch,
    VersionRecord,
)
from lineal.core.transfers import Location
from lineal.errors import (
    Exists,
    Gone,
    IntegrityError,
    Invalid,
    LinealError,
    NotFound,
    RunGone,
    UsageError,
)
from lineal.files.reading import Piece, Source

LINES_AT_ONCE = 10_000
TOLD_MOST = 10
"""Versions named in a line."""
FILES_AT_ONCE = 500
"""So many are flushed together, and in one transaction."""
P = ParamSpec("P")


class RunCopy:
    """One run on its way from its folder to the target."""

    def __init__(self, source: Backend, job: Job, left: Removed) -> None:
        """left: what a killed process had taken out, and could not note any more."""
        self._source, self._target = source, job.target
        self._job = job
        self._about, self._where = job.about, job.where
        self._marks, self._result = job.marks, job.result
        self._intents = [*intents.read(job.folder), left]
        self._from = source.run(job.about.entity, job.about.project, job.about.run_id)
        self._logged = self._versions_of(EdgeKind.LOGGED)
        self._used = self._versions_of(EdgeKind.USED)
        logged = source.edges_of(self._from.key, EdgeKind.LOGGED)
        self._relogged = {edge.version for edge in logged if edge.is_relogged}
        """Content that the run had used, in the folder, when it logged it."""
        self._copied: dict[VersionId, VersionRecord] = {}
        self._moved: dict[CollectionPath, CollectionPath] = {}
        self._introductions = Introductions(source, with_policy=True)
        self._folder = os.path.relpath(job.folder)
        self._attempt = job.result.attempt
        self._contributing = Contributing(source, job, self._from, self._introductions)

    def run(self) -> list[Waiting]:
        """Copy it; returns what it contributed to versions that it did not finish."""
        self._to = self._started()
        self._result.run = str(self._where)
        for stream in Stream:
            self._copy_lines(stream)
        self._copy_files()
        # First what it read at home: if it logged the same content again, that is what closes
        # the cycle.
        self._fulfil_all(Use, Relog)
        self._moved = self._moved_since()
        # What the run logged, and what its user made and it used, in the order of making.
        for _, version in sorted({**self._logged, **self._used}.items()):
            self._attempt(f"artifact {version.name}", self._copy_version, version)
        self._copy_display_names()
        settle = copying.settle_latest
        self._once("latest", "alias latest", settle, self._source, self._target, self._copied)
        for edge in self._source.edges_of(self._from.key, EdgeKind.USED):
            name = self._used[edge.version].name
            self._attempt(f"use of {name}", self._copy_use, edge)
        for id in self._relogged & self._copied.keys():
            name = self._logged[id].name
            self._attempt(
                f"logging of {name}", self._target.relog, self._to.key, self._copied[id].id
            )
        self._fulfil_all(Alias, Link)
        for part in self._contributing.unfinished:
            self._attempt(contributing.label(part), self._contribute, part)
        self._tell_deleted()
        self._finish()
        return self._contributing.waiting

    def _tell_deleted(self) -> None:
        """Say which versions stay behind, since the run or its user deleted them in the folder."""
        query = LineageQuery(Direction.DOWNSTREAM, depth=1)
        near = self._source.lineage(run_node(self._from.key), query)
        gone = sorted(node.label for node in near.nodes if node.is_deleted)
        if gone:
            more = f" and {len(gone) - TOLD_MOST} more" if len(gone) > TOLD_MOST else ""
            term.info(
                f"not copied, as they were deleted in {self._folder}: "
                f"{', '.join(gone[:TOLD_MOST])}{more}"
            )

    def _once(
        self, step: str, name: str, call: Callable[P, None], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        if not self._marks.is_done(step) and self._attempt(name, call, *args, **kwargs):
            self._marks.done(step)

    def _versions_of(self, kind: EdgeKind) -> dict[VersionId, VersionRecord]:
        versions = all_of(lambda page: self._source.versions_of(self._from.key, kind, page))
        return {version.id: version for version in versions}

    # --- the run ---

    def _started(self) -> RunRecord:
        """Find the run that an earlier sync made, or start it as `init` asked for (RUN-18)."""
        where, run = self._where, self._from
        try:
            known = self._target.run(where.entity, where.project, where.run_id)
        except NotFound:
            known = None
        said = known.metadata.get(run_folder.METADATA_KEY) if known else None
        uids = said if isinstance(said, list) else []
        if known is not None and self._about.uid in uids:
            return known
        self._marks.forget()  # of a home that was here before, or of a run that was deleted since
        if self._about.rewind_step is not None:
            target = Fork(where.run_id, self._about.rewind_step, is_rewind=True)
            rewinding.rewind(self._target, where.entity, where.project, target)
        resume = self._about.resume
        if resume == "must" and where.run_id != self._about.run_id:
            resume = None  # what `init` was to resume is not what it is called now
        spec = copying.run_spec(run, where.entity, where.project, where.run_id)._replace(
            resume=resume,
            name=run.name if known is None or self._is_named() else None,
            metadata={run_folder.METADATA_KEY: [*uids, self._about.uid]},
        )
        try:
            return self._target.start_run(spec).run
        except (UsageError, NotFound) as error:  # `init` cannot be called again
            sync = f"`lineal sync {shlex.quote(self._folder)}"
            way = f"{sync} --id NEW` brings it in as a run of its own"
            if isinstance(error, Gone) and not isinstance(error, RunGone):
                way = f"{sync} --project OTHER` copies it elsewhere"
            raise type(error)(f"{error.message}. {way}") from error

    def _is_named(self) -> bool:
        """Tell whether somebody gave the run its name, which one that goes on takes, too."""
        return self._about.made_name not in (None, self._from.name)

    def _copy_lines(self, stream: Stream) -> None:
        """Copy lines under one writer: the folder does not change any more, so offsets hold."""
        lines = self._source.read_lines(self._from.key, stream)
        writer, offset = f"offline-{self._about.uid}", 0
        if stream is Stream.HISTORY:
            lines = map(self._with_tables_there, lines)
        while batch := tuple(itertools.islice(lines, LINES_AT_ONCE)):
            self._target.append_lines(self._to.key, [Lines(stream, writer, offset, batch)])
            offset += len(batch)
        self._result.line_count += offset

    def _with_tables_there(self, line: bytes) -> bytes:
        if copying.TABLE_PATH.encode() not in line:
            return line
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return line  # no row: the target says so
        return json.dumps(self._tables_there(row)).encode()

    def _tables_there(self, value: Any) -> Any:
        here = f"{self._from.entity}/{self._from.project}"
        return copying.with_tables_at(value, here, f"{self._where.entity}/{self._where.project}")

    def _copy_files(self) -> None:
        listed = partial(self._source.run_files, self._from.key)
        files = list(all_of(listed, size=BULK_PAGE_SIZE))
        if self._marks.is_done("files"):
            self._result.file_count = len(files)
            return
        portions = range(0, len(files), FILES_AT_ONCE)
        copied = [self._copy_some_files(files[at : at + FILES_AT_ONCE]) for at in portions]
        if all(copied):
            self._marks.done("files")

    def _copy_some_files(self, files: Sequence[RunFileRecord]) -> bool:
        """Copy files together, and where that fails one by one, to say which cannot be."""
        try:
            self._put_files(files)
        except (LinealError, OSError):
            alone = [self._attempt(f"file {file.path}", self._put_files, [file]) for file in files]
            return all(alone)
        return True

    def _put_files(self, files: Sequence[RunFileRecord]) -> None:
        found = self._source.locate_run_files(self._from.key, [file.digest for file in files])
        copied = self._target.put_run_files(
            self._to.key, [(file.path, _here(file, found.get(file.digest))) for file in files]
        )
        for file, copy in zip(files, copied, strict=True):
            if copy.digest != file.digest:
                self._target.delete_run_file(self._to.key, file.path)
                raise IntegrityError(
                    f"The content of run file {file.path} is damaged in the folder"
                )
        self._result.file_count += len(files)

    def _finish(self) -> None:
        """End the run; one that an earlier sync has ended may have been gone on with since."""
        run = self._from
        config = {key: self._here(value) for key, value in run.config.items()}
        if self._is_ended():
            self._settle_config(config)
            return
        removed = [each for each in self._intents if isinstance(each, Removed)]
        metadata = {k: v for k, v in run.metadata.items() if k != run_folder.METADATA_KEY}
        self._target.update_run(
            self._to.key,
            RunPatch(
                config=config or None,
                config_removed=_gone((each.config for each in removed), config),
                summary=self._tables_there(run.summary) or None,
                summary_removed=_gone((each.summary for each in removed), run.summary),
                metadata=metadata or None,
                git_commit=run.git_commit,
                git_remote=run.git_remote,
            ),
        )
        copying.finish(self._target, run, self._to)
        self._marks.done("end")

    def _is_ended(self) -> bool:
        is_marked = self._marks.is_complete or self._marks.is_done("end")
        return is_marked or self._to.state not in copying.BEGUN

    def _settle_config(self, config: dict[str, Any]) -> None:
        """Name versions in it as they are there, if they came only now."""
        before = self._from.config
        late = {
            key: value
            for key, value in config.items()
            if value != before[key] and self._to.config.get(key) == before[key]
        }
        if late:
            self._target.update_run(self._to.key, RunPatch(config=late))

    def _here(self, value: Any) -> Any:
        """Return a value of the config; of a version with the id that it has in the target."""
        if not (isinstance(value, dict) and value.get("_type") == "artifactVersion"):
            return value
        copied = {str(id): version for id, version in self._copied.items()}
        version = copied.get(str(value.get("id")))  # a config may hold anything
        if version is None:
            name = f"/{value.get('sequenceName')}:{value.get('version')}"
            used = (each for each in self._intents if isinstance(each, Use))
            intent = next((each for each in used if each.version.endswith(name)), None)
            if intent is None:
                return value
            try:
                version = self._home_version(intent.version, intent.digest)
            except NotFound:  # said already, of its use
                return value
        return value | {
            "id": str(version.id),
            "version": f"v{version.source_number}",
            "sequenceName": version.source_collection,
        }

    # --- artifacts ---

    def _copy_version(self, version: VersionRecord) -> None:
        named = places.collection_there(version, self._place)
        spec = copying.draft_spec(
            self._source,
            version,
            client_id=f"offline-{self._about.uid}-{version.id}-{self._where}",
            place=self._moved.get(named, named),
            run=self._to.key if version.id in self._logged.keys() - self._relogged else None,
            sources=self._sources_of(version.digest, copying.derived_from(self._source, version)),
        )
        here = version.entity, version.project, version.collection
        spec = spec._replace(introduction=self._introductions.of(here))
        try:
            for each in self._contributing.finishing(version.id, spec) or [spec]:
                copied = copying.copy_version(
                    self._source,
                    version,
                    self._target,
                    each,
                    pack_files_up_to=self._job.pack_files_up_to,
                )
        except (Invalid, Exists) as error:  # another type, or links only: nobody can log it again
            sync = f"`lineal sync {shlex.quote(self._folder)} --project OTHER`"
            raise type(error)(f"{error.message}. {sync} copies the run elsewhere") from error
        except NotFound as error:
            if not self._contributing.has_finished(version.id):
                raise
            hint = "sync the folders of the runs that contributed to it together with this one"
            raise type(error)(f"{error.message}. If these were offline, too, {hint}") from error
        self._copied[version.id] = copied
        self._result.version_count += 1
        self._result.named(version, copied)
        for link in self._source.links(version.id):
            self._once(f"link {link.path}", f"link {link.path}", self._copy_link, link, copied)

    def _contribute(self, part: Part) -> None:
        named = places.named_there(contributing.collection_of(part), self._place)
        sources = self._sources_of(part.spec.manifest.digest, part.spec.sources)
        place = self._moved.get(named, named)
        self._contributing.contribute(part, self._to, place, tuple(sorted(sources)))

    def _place(self, _entity: str, project: str) -> tuple[str, str]:
        return self._where.entity, self._project_there(project)

    def _project_there(self, project: str) -> str:
        return self._where.project if project == self._about.project else project

    def _moved_since(self) -> dict[CollectionPath, CollectionPath]:
        """Return where collections are that got another name since the run logged to them."""
        types = places.types_there({**self._logged, **self._used}.values(), self._place)
        for part in self._contributing.unfinished:
            types[places.named_there(contributing.collection_of(part), self._place)] = (
                part.spec.type
            )
        found = places.moved(types, self._target)
        for intent in self._intents:
            if isinstance(intent, Anew):
                _, project, name = intent.collection.split("/")
                found.pop((self._where.entity, self._project_there(project), name), None)
        return found

    def _sources_of(self, digest: str, from_folder: Iterable[VersionId]) -> set[VersionId]:
        """Return what it took entries over from: versions of the home, and of the folder."""
        found = [
            self._needed(intent.source)
            for intent in self._intents
            if isinstance(intent, intents.Source) and intent.digest == digest
        ]
        from_home = {each.id for each in found if each is not None}
        copied = {self._copied[source].id for source in from_folder if source in self._copied}
        return from_home | copied

    def _copy_link(self, link: VersionRecord, copied: VersionRecord) -> None:
        name = copying.display_name(self._source, link)
        collection = full_names.ArtifactPath(link.entity, link.project, link.collection)
        if name is not None and names.generated(name) == link.collection != name:
            collection = collection._replace(display_name=name)  # the link was to these words
        linked = self._link(collection, copied, copying.without_latest(link.aliases))
        self._result.named(link, linked)
        if name is not None:
            copying.give_display_name(self._target, linked, name)

    def _link(
        self, collection: full_names.ArtifactPath, version: VersionRecord, aliases: Sequence[str]
    ) -> VersionRecord:
        there = self._linked_there(collection)
        self._target.project(there.entity, there.project, create=True)
        return self._target.link_version(version.id, there, aliases)

    def _linked_there(self, here: full_names.ArtifactPath) -> full_names.ArtifactPath:
        """Return the collection that links go to; those of the run's owner to its owner there."""
        entity = self._where.entity if here.entity == self._about.entity else here.entity
        return here._replace(entity=entity, project=self._project_there(here.project))

    def _copy_display_names(self) -> None:
        """Give each collection the one that it has here, if it has none there."""
        sources = {**self._logged, **self._used}
        copies = {}
        for id, copied in self._copied.items():
            version = sources[id]
            path = f"{version.entity}/{version.project}/{version.collection}"
            copies[path] = version, copied
        for path, (version, copied) in copies.items():
            name = copying.display_name(self._source, version)
            if name is not None:
                step = f"display name of {path}"
                self._once(step, step, copying.give_display_name, self._target, copied, name)

    # --- edges ---

    def _copy_use(self, edge: RunEdge) -> None:
        copied = self._copied.get(edge.version)
        if copied is not None:
            self._target.use(self._to.key, copied.id, alias=edge.alias)

    def _fulfil_all(self, *kinds: type[Use | Relog | Alias | Link]) -> None:
        for number, intent in enumerate(self._intents):
            if isinstance(intent, kinds):
                name = f"{type(intent).__name__.lower()} of {intent.version}"
                self._once(f"intent {number}", name, self._fulfil, intent)

    def _fulfil(self, intent: Use | Relog | Alias | Link) -> None:
        digest = intent.digest if isinstance(intent, Use | Relog) else None
        version = self._needed(intent.version, digest)
        if version is None:
            return
        if isinstance(intent, Use):
            self._target.use(self._to.key, version.id, alias=intent.alias)
        elif isinstance(intent, Relog):
            self._target.relog(self._to.key, version.id)
        elif isinstance(intent, Alias):
            patch = VersionPatch(aliases_added=intent.aliases)
            self._target.update_version(version.membership_id, patch)
        else:
            self._link(full_names.artifact_path(intent.target, "", None), version, intent.aliases)

    def _needed(self, path: str, digest: str | None = None) -> VersionRecord | None:
        """Return what the target has of a version of the home; None to go without it."""
        try:
            return self._home_version(path, digest)
        except NotFound as error:
            if self._job.goes_without:
                self._result.skipped.append(error.message)
                term.warning(f"{error.message}; the run goes without it")
                return None
            sync = f"`lineal sync {shlex.quote(self._folder)} --skip-gone`"
            raise type(error)(f"{error.message}. {sync} goes on without it") from error

    def _home_version(self, path: str, digest: str | None = None) -> VersionRecord:
        """Return what the target has of a version of the home: that name, or that content."""
        named = full_names.artifact_path(path, self._where.entity, self._where.project)
        if self._about.is_default_entity and named.entity == self._about.entity:
            named = named._replace(entity=self._target.entity)
        gone = None
        try:
            version = self._target.version(named)
        except NotFound as error:
            if digest is None:
                raise
            gone = error if isinstance(error, Gone) else None
        else:
            if digest in (None, version.digest):
                return version
        try:
            return self._target.version(named._replace(ref=str(digest)))
        except NotFound as error:
            raise gone or NotFound(
                f"{named} is not there with the content that was used, {digest}"
            ) from error


def _here(file: RunFileRecord, location: Location | None) -> Source:
    """Return where the content of a run file is on this machine."""
    if location is not None and location.path is not None:
        return location.path
    if location is None or location.pack is None:
        raise NotFound(f"The content of run file {file.path} is missing in the folder")
    return Piece(location.pack, location.offset, location.size)


def _gone(removed: Iterable[Iterable[str]], now: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys that were taken out and not set again."""
    return tuple({key for keys in removed for key in keys if key not in now})
