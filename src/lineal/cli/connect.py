"""How commands reach the data: the backend that the SDK uses, and full names made of short ones."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from heapq import merge
from typing import TYPE_CHECKING, TypeVar

from lineal.client import session
from lineal.client.backend import Backend, version_of_type
from lineal.client.default_project import default_project
from lineal.client.pages import all_of
from lineal.client.public import addresses
from lineal.config import Settings, load
from lineal.core import full_names
from lineal.core.full_names import ArtifactPath
from lineal.core.manifest import Entry, SegmentHead, decode_entries
from lineal.core.records import (
    CollectionRecord,
    ProjectRecord,
    RunRecord,
    VersionRecord,
)
from lineal.core.trials import SweepRecord
from lineal.errors import Gone, NotFound
from lineal.nearest import nearest

if TYPE_CHECKING:
    from lineal.client.artifact.artifact import Artifact
    from lineal.client.public.run import Run as PublicRun

OTHERS_SHOWN = 5
"""Entities that a message names."""
Started = TypeVar("Started", RunRecord, SweepRecord)


@dataclass(frozen=True)
class Connection:
    backend: Backend
    settings: Settings

    @property
    def project(self) -> str | None:
        """The project that the settings name; lists without it are of all projects."""
        return self.settings.project

    @property
    def default_project(self) -> str:
        """The project of names that name none."""
        return default_project(self.settings)

    @property
    def home(self) -> str:
        """Where the instance is: who moved it and did not say so sees that this is another one."""
        return self.backend.url.removeprefix("file://")

    def where(self, named: str | None) -> str:
        """Say where nothing was found: in the project that was meant, else in the instance."""
        if named or self.project:
            return "in " + "/".join(self.places(named)[0])
        return self.in_home(self.backend.entity)

    def in_home(self, entity: str) -> str:
        """Say where an entity has nothing; a cron job, say, may be another one than its author."""
        others = [each for each in self.backend.entities() if each != entity]
        if not others:
            return f"in {self.home}"
        shown = ", ".join(others[:OTHERS_SHOWN]) + (" …" if len(others) > OTHERS_SHOWN else "")
        return (
            f"of {entity} in {self.home} (projects there are of {shown}; LINEAL_ENTITY says whose "
            "are meant)"
        )

    def path(self, text: str) -> str:
        """Return the path that is meant: a path, or the `url` of a run, a sweep or a project."""
        return addresses.path_of(self.backend, text)

    def artifact_path(self, text: str) -> ArtifactPath:
        return full_names.artifact_path(text, self.backend.entity, self.default_project)

    def collection_path(self, text: str, *, instead: str) -> ArtifactPath:
        return full_names.collection_path(
            text, self.backend.entity, self.default_project, instead=instead
        )

    def version(self, text: str, *, type: str | None = None) -> VersionRecord:
        """Resolve a name; raises NotFound, and Invalid for another type than is wanted."""
        with self._told_projects(text, "lineal artifact ls"):
            return version_of_type(self.backend, self.artifact_path(text), type)

    @contextmanager
    def _told_projects(self, text: str, listing: str) -> Iterator[None]:
        """Add to an error that a name which leads to nothing is that of a project."""
        try:
            yield
        except Gone:
            raise
        except NotFound as error:
            if text not in {project.name for project in self.projects()}:
                raise
            command = f"{listing} {shlex.quote(text)}"
            raise NotFound(
                f"{error.message}; `{text}` is a project: `{command}` lists what is in it"
            ) from error

    def named_project(self, text: str) -> tuple[str, str]:
        """Return (entity, project) of what is changed, and so must be named."""
        return full_names.named_project(self.path(text), self.backend.entity)

    def run(self, text: str) -> RunRecord:
        with self._told_projects(text, "lineal run ls"):
            return self.backend.run(*self.run_path(text))

    def run_path(self, text: str) -> tuple[str, str, str]:
        return full_names.run_path(self.path(text), self.backend.entity, self.default_project)

    def artifact(self, record: VersionRecord) -> Artifact:
        """Return a version as the SDK shows it."""
        from lineal.client.artifact.artifact import committed  # few commands want it

        return committed(self.backend, record)

    def entries(self, record: VersionRecord) -> Iterator[Entry]:
        return read_entries(self.backend, record, self.backend.manifest(record.id).segments)

    def public_run(self, record: RunRecord) -> PublicRun:
        """Return a run as the public API shows it."""
        from lineal.client.public.run import Run  # few commands want it

        return Run(self.backend, record)

    def projects(self) -> Iterator[ProjectRecord]:
        return all_of(lambda page: self.backend.projects(self.backend.entity, page))

    def places(self, project: str | None) -> list[tuple[str, str]]:
        """Return entity and name of the project that is meant, or of all where none is."""
        if project or self.project:
            path = self.path(project) if project else None
            return [full_names.project_path(path, self.backend.entity, self.project)]
        return [(record.entity, record.name) for record in self.projects()]


def newest_first(lists: Iterable[Iterable[Started]]) -> Iterator[Started]:
    """Make one list of those of several projects, each of which has the newest first."""
    return merge(*lists, key=lambda record: record.created_at, reverse=True)


def connect() -> Connection:
    """Open what the settings name: the instance in the home."""
    settings = load()
    return Connection(session.open_backend(settings), settings)


def project_or_collection(connection: Connection, text: str) -> tuple[str, str] | CollectionRecord:
    """Find out what a path names that may be a project or a collection.

    One part: a project, else a collection of the default project. Two parts: `project/name`,
    else `entity/project`. A scheme makes it a collection. Raises Gone for what was deleted if
    the other reading names nothing, NotFound saying both readings, Invalid for a version.
    """
    backend = connection.backend
    name = full_names.without_scheme(connection.path(text)).strip("/")
    path = connection.collection_path(
        name, instead=f"`lineal artifact show {shlex.quote(name)}` shows that version"
    )
    parts = name.split("/")
    project = (backend.entity, parts[0]) if len(parts) == 1 else (parts[0], parts[1])
    as_project = partial(_project, backend, *project)
    as_collection = partial(backend.collection, path.entity, path.project, path.name)
    readings: list[Callable[[], tuple[str, str] | CollectionRecord]] = [as_collection]
    if not full_names.is_with_scheme(text) and len(parts) <= 2:
        readings.insert(0 if len(parts) == 1 else 1, as_project)
    failed: list[NotFound] = []
    for reading in readings:
        try:
            return reading()
        except NotFound as error:
            failed.append(error)
    for each in failed:
        if isinstance(each, Gone) or len(failed) == 1:
            raise each
    near = nearest(parts[0], [each.name for each in connection.projects()])
    if parts[0] in near:  # the project is there: the error of the collection names what is near
        raise failed[readings.index(as_collection)]
    hint = f"did you mean `{'/'.join([*near, *parts[1:]])}`? " if near else ""
    raise NotFound(
        f"Neither a project {'/'.join(project)} nor a collection {path.without_ref} exists; "
        f"{hint}`lineal artifact ls` lists everything there is"
    )


def place_of(connection: Connection, text: str) -> tuple[str, str, str | None]:
    """Return (entity, project, collection) of what a path names; of a project without the last."""
    found = project_or_collection(connection, text)
    if isinstance(found, CollectionRecord):
        return found.entity, found.project, found.name
    return *found, None


def _project(backend: Backend, entity: str, name: str) -> tuple[str, str]:
    record = backend.project(entity, name)
    return record.entity, record.name


def read_entries(
    backend: Backend, record: VersionRecord, heads: Sequence[SegmentHead]
) -> Iterator[Entry]:
    """Yield the entries of some segments of a version, in the order asked."""
    for segment in backend.read_segments(record.id, heads):
        yield from decode_entries(segment.lines)
