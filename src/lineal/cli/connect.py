"""How commands reach the data: the backend that the SDK uses, and full names made of short ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from typing import TYPE_CHECKING, TypeVar

from lineal.client import session
from lineal.client.backend import Backend, all_of
from lineal.client.default_project import default_project
from lineal.client.public import addresses
from lineal.config import Settings, load
from lineal.core import names
from lineal.core.manifest import Entry, SegmentHead, decode_entries
from lineal.core.names import ArtifactPath
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

    def artifact_path(self, text: str) -> ArtifactPath:
        return names.artifact_path(text, self.backend.entity, self.default_project)

    def collection_path(self, text: str, *, instead: str) -> ArtifactPath:
        return names.collection_path(
            text, self.backend.entity, self.default_project, instead=instead
        )

    def version(self, text: str) -> VersionRecord:
        return self.backend.version(self.artifact_path(text))

    def run(self, text: str) -> RunRecord:
        return self.backend.run(*self.run_path(text))

    def run_path(self, text: str) -> tuple[str, str, str]:
        text = addresses.path_of(self.backend, text)
        return names.run_path(text, self.backend.entity, self.default_project)

    def artifact(self, record: VersionRecord) -> Artifact:
        """Return a version as the SDK shows it."""
        from lineal.client.artifact.artifact import committed  # few commands want it

        return committed(self.backend, record)

    def public_run(self, record: RunRecord) -> PublicRun:
        """Return a run as the public API shows it."""
        from lineal.client.public.run import Run  # few commands want it

        return Run(self.backend, record)

    def projects(self) -> Iterator[ProjectRecord]:
        return all_of(lambda page: self.backend.projects(self.backend.entity, page))

    def places(self, project: str | None) -> list[tuple[str, str]]:
        """Return entity and name of the project that is meant, or of all where none is."""
        if project or self.project:
            return [names.project_path(project, self.backend.entity, self.project)]
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
    else `entity/project`. A scheme makes it a collection. Raises NotFound saying both readings,
    Invalid for a version.
    """
    backend = connection.backend
    is_artifact = names.is_with_scheme(text)
    text = names.without_scheme(text).strip("/")
    path = connection.collection_path(
        text, instead=f"`lineal artifact show {text}` shows that version"
    )
    if is_artifact:
        return backend.collection(path.entity, path.project, path.name)
    parts = text.split("/")
    project = (backend.entity, parts[0]) if len(parts) == 1 else (parts[0], parts[1])
    gone: Gone | None = None
    if len(parts) == 1:
        try:
            return _project(backend, *project)
        except Gone as error:
            gone = error
        except NotFound:
            pass  # then it names a collection; if not, the error below says both
    try:
        return backend.collection(path.entity, path.project, path.name)
    except NotFound as error:
        if gone is not None:
            raise gone from error
        if len(parts) > 2 or isinstance(error, Gone):
            raise
        if len(parts) == 2:
            try:
                return _project(backend, *project)
            except NotFound:
                pass
        near = nearest(parts[0], [each.name for each in connection.projects()])
        if parts[0] in near:
            raise  # the project is there, and what it says names what is near in it
        hint = f"did you mean `{'/'.join([*near, *parts[1:]])}`? " if near else ""
        raise NotFound(
            f"Neither a project {'/'.join(project)} nor a collection "
            f"{path.without_ref} exists; "
            f"{hint}`lineal artifact ls` lists everything there is"
        ) from error


def _project(backend: Backend, entity: str, name: str) -> tuple[str, str]:
    record = backend.project(entity, name)
    return record.entity, record.name


def read_entries(
    backend: Backend, record: VersionRecord, heads: Sequence[SegmentHead]
) -> Iterator[Entry]:
    """Yield the entries of some segments of a version, in the order asked."""
    for segment in backend.read_segments(record.id, heads):
        yield from decode_entries(segment.lines)
