"""The versions of an offline run on their way, with what they are linked and related to.

Each has a client id made of the folder and the place it goes to, so that it is copied once.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ParamSpec

from lineal.client.backend import Backend
from lineal.client.offline import contributing, copying, intents, places
from lineal.client.offline.contributing import Contributing, Waiting
from lineal.client.offline.home_versions import HomeVersions
from lineal.client.offline.intents import Alias, Anew, Intent, Link, Relog, Use
from lineal.client.offline.introducing import Introductions
from lineal.client.offline.places import CollectionPath
from lineal.client.offline.sync_job import Job
from lineal.client.pages import all_of
from lineal.core import full_names
from lineal.core.contributions import Part
from lineal.core.lineage import RunEdge
from lineal.core.records import (
    EdgeKind,
    JsonObject,
    RunRecord,
    VersionId,
    VersionPatch,
    VersionRecord,
)
from lineal.errors import Exists, Invalid, NotFound

P = ParamSpec("P")


class RunVersions:
    """What one run logged, used and linked."""

    def __init__(self, source: Backend, job: Job, noted: Sequence[Intent], run: RunRecord) -> None:
        """noted: what the run left to `sync`."""
        self._source, self._target, self._job = source, job.target, job
        self._about, self._where = job.about, job.where
        self._attempt = job.result.attempt
        self._intents = noted
        self._run = run
        self._home = HomeVersions(job)
        self._logged = self._versions_of(EdgeKind.LOGGED)
        self._used = self._versions_of(EdgeKind.USED)
        logged = source.edges_of(run.key, EdgeKind.LOGGED)
        self._relogged = {edge.version for edge in logged if edge.is_relogged}
        """Content that the run had used, in the folder, when it logged it."""
        self._introductions = Introductions(source, with_policy=True)
        self._contributing = Contributing(source, job, run, self._introductions)
        self._moved: dict[CollectionPath, CollectionPath] = {}
        self._copied: dict[VersionId, VersionRecord] = {}

    def copy(self, there: RunRecord) -> list[Waiting]:
        """Copy them; returns what the run contributed to versions that it did not finish.

        there: the run as it is in the target.
        """
        self._there = there
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
        self._relate()
        self._fulfil_all(Alias, Link)
        for part in self._contributing.unfinished:
            self._attempt(contributing.label(part), self._contribute, part)
        return self._contributing.waiting

    def config_there(self) -> JsonObject:
        """Return the config of the run, with the versions in it as they are in the target."""
        copied = {str(id): version for id, version in self._copied.items()}
        return {key: self._value_there(value, copied) for key, value in self._run.config.items()}

    def _value_there(self, value: Any, copied: dict[str, VersionRecord]) -> Any:
        if not (isinstance(value, dict) and value.get("_type") == "artifactVersion"):
            return value
        version = copied.get(str(value.get("id")))  # a config may hold anything
        if version is None:
            name = f"/{value.get('sequenceName')}:{value.get('version')}"
            used = (each for each in self._intents if isinstance(each, Use))
            intent = next((each for each in used if each.version.endswith(name)), None)
            if intent is None:
                return value
            try:
                version = self._home.find(intent.version, intent.digest)
            except NotFound:  # said already, of its use
                return value
        return value | {
            "id": str(version.id),
            "version": f"v{version.source_number}",
            "sequenceName": version.source_collection,
        }

    def _once(
        self, step: str, name: str, call: Callable[P, None], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        if not self._job.marks.is_done(step) and self._attempt(name, call, *args, **kwargs):
            self._job.marks.done(step)

    def _versions_of(self, kind: EdgeKind) -> dict[VersionId, VersionRecord]:
        versions = all_of(lambda page: self._source.versions_of(self._run.key, kind, page))
        return {version.id: version for version in versions}

    def _copy_version(self, version: VersionRecord) -> None:
        named = places.collection_there(version, self._place)
        spec = copying.draft_spec(
            self._source,
            version,
            client_id=f"offline-{self._about.uid}-{version.id}-{self._where}",
            place=self._moved.get(named, named),
            run=self._there.key if version.id in self._logged.keys() - self._relogged else None,
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
            sync = f"`lineal sync {shlex.quote(os.path.relpath(self._job.folder))} --project OTHER`"
            raise type(error)(f"{error.message}. {sync} copies the run elsewhere") from error
        except NotFound as error:
            if not self._contributing.has_finished(version.id):
                raise
            hint = "sync the folders of the runs that contributed to it together with this one"
            raise type(error)(f"{error.message}. If these were offline, too, {hint}") from error
        self._copied[version.id] = copied
        self._job.result.version_count += 1
        self._job.result.named(version, copied)
        for link in self._source.links(version.id):
            self._once(f"link {link.path}", f"link {link.path}", self._copy_link, link, copied)

    def _contribute(self, part: Part) -> None:
        named = places.named_there(contributing.collection_of(part), self._place)
        sources = self._sources_of(part.spec.manifest.digest, part.spec.sources)
        place = self._moved.get(named, named)
        self._contributing.contribute(part, self._there, place, tuple(sorted(sources)))

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
            self._home.needed(intent.source)
            for intent in self._intents
            if isinstance(intent, intents.Source) and intent.digest == digest
        ]
        from_home = {each.id for each in found if each is not None}
        copied = {self._copied[source].id for source in from_folder if source in self._copied}
        return from_home | copied

    def _copy_link(self, link: VersionRecord, copied: VersionRecord) -> None:
        place = self._links_there(link.entity, link.project)
        aliases = copying.without_latest(link.aliases)
        linked = copying.copy_link(self._source, link, self._target, copied, place, aliases)
        self._job.result.named(link, linked)

    def _links_there(self, entity: str, project: str) -> tuple[str, str]:
        """Return where links go; those of the run's owner to its owner there."""
        is_own = entity == self._about.entity
        return self._where.entity if is_own else entity, self._project_there(project)

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

    def _relate(self) -> None:
        """Copy the edges between the run and what was copied."""
        for edge in self._source.edges_of(self._run.key, EdgeKind.USED):
            self._attempt(f"use of {self._used[edge.version].name}", self._copy_use, edge)
        for id in self._relogged & self._copied.keys():
            name = f"logging of {self._logged[id].name}"
            self._attempt(name, self._target.relog, self._there.key, self._copied[id].id)

    def _copy_use(self, edge: RunEdge) -> None:
        copied = self._copied.get(edge.version)
        if copied is not None:
            self._target.use(self._there.key, copied.id, alias=edge.alias)

    def _fulfil_all(self, *kinds: type[Use | Relog | Alias | Link]) -> None:
        for number, intent in enumerate(self._intents):
            if isinstance(intent, kinds):
                name = f"{type(intent).__name__.lower()} of {intent.version}"
                self._once(f"intent {number}", name, self._fulfil, intent)

    def _fulfil(self, intent: Use | Relog | Alias | Link) -> None:
        digest = intent.digest if isinstance(intent, Use | Relog) else None
        version = self._home.needed(intent.version, digest)
        if version is None:
            return
        if isinstance(intent, Use):
            self._target.use(self._there.key, version.id, alias=intent.alias)
        elif isinstance(intent, Relog):
            self._target.relog(self._there.key, version.id)
        elif isinstance(intent, Alias):
            patch = VersionPatch(aliases_added=intent.aliases)
            self._target.update_version(version.membership_id, patch)
        else:
            named = full_names.artifact_path(intent.target, "", None)
            entity, project = self._links_there(named.entity, named.project)
            self._target.project(entity, project, create=True)
            collection = named._replace(entity=entity, project=project)
            self._target.link_version(version.id, collection, intent.aliases)
