"""Artifacts of a disabled run: versions that hold nothing (RUN-34).

All that `Artifact` says and does, it says and does here as well; only what would look for content
or ask an instance is answered otherwise.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, cast

from lineal.client import media
from lineal.client.artifact.artifact import Artifact
from lineal.client.artifact.contents import Contents
from lineal.client.artifact.manifest import ManifestEntry
from lineal.client.backend import Backend
from lineal.client.run.disabled import new_folder
from lineal.core import file_paths, full_names, names
from lineal.core.digest import Digest, of_bytes
from lineal.core.lineage import LineageGraph, LineageNode, LineageQuery
from lineal.core.manifest import Entry, ManifestHead, Segment, manifest_head
from lineal.core.records import (
    AliasMove,
    CollectionId,
    CollectionKind,
    CollectionRecord,
    MembershipId,
    Page,
    VersionId,
    VersionRecord,
    VersionState,
)
from lineal.errors import Invalid

if TYPE_CHECKING:
    from lineal.client.run.run import Run
    from lineal.core.retention import EffectiveTtl, Policy, Restored, RestoredVersion

NAME = TYPE = "disabled"


class DisabledArtifact(Artifact):
    """Stands for any logged artifact; made by `logged` and `named`."""

    def get_entry(self, name: str | os.PathLike[str]) -> ManifestEntry:
        """Return an entry for whatever is asked for; its file is empty."""
        return ManifestEntry(Entry(os.fspath(name), of_bytes(b""), 0), self)

    def get(self, name: str | os.PathLike[str]) -> media.DataObject | None:
        return None

    def open(
        self,
        name: str | os.PathLike[str],
        mode: str = "rb",
        encoding: str | None = None,
    ) -> IO[Any]:
        return io.BytesIO() if mode == "rb" else io.StringIO()

    def download(self, root: str | os.PathLike[str] | None = None, *_: Any, **__: Any) -> str:
        """Return `root`, made if need be, or a new empty folder."""
        folder = new_folder() if root is None else os.fspath(root)
        os.makedirs(folder, exist_ok=True)
        return folder

    def checkout(self, root: str | None = None, dry_run: bool = False) -> str:
        """Do as `download`: there is no version that the folder could be made to hold.

        dry_run: leave all as it is.
        """
        return os.fspath(root) if dry_run and root is not None else self.download(root)

    def file(self, *_: Any, **__: Any) -> str:
        return self.get_entry(NAME).download()

    def verify(self, *_: Any, **__: Any) -> int:
        return 0

    def new_draft(self) -> Artifact:
        """Return an empty draft; it builds on nothing, and may be logged anywhere."""
        draft = super().new_draft()
        draft._base = None
        draft._contents = Contents()
        return draft

    def link(self, *_: Any, **__: Any) -> Artifact:
        return self

    if not TYPE_CHECKING:  # as in `KnownAttributes`

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_") or hasattr(type(self), name):
                return super().__getattr__(name)
            return lambda *_, **__: None

    def __reduce__(self) -> Any:  # fewer arguments than other artifacts need
        return _of, (self._record,)

    def _download_entry(self, entry: Entry, root: str | None) -> str:
        # never into `root`: an empty file there would be taken for the real one later
        path = os.path.join(new_folder(), *file_paths.entry_path(entry.path).split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb"):
            return path


class _Nowhere:
    """What a `Backend` answers that has one version, and nothing in it; changes are forgotten."""

    entity = url = staging = ""

    def __init__(self, version: VersionRecord) -> None:
        self._version = version

    def version_by_id(self, *_: Any) -> VersionRecord:
        return self._version

    def restore_version(self, *_: Any) -> RestoredVersion:
        from lineal.core.retention import Restored, RestoredVersion

        return RestoredVersion(self._version, Restored())

    update_version = set_version_ttl = version_by_id

    def manifest(self, _: VersionId) -> ManifestHead:
        return manifest_head(())

    def read_segments(self, *_: Any) -> Iterator[Segment]:
        return iter(())

    def births(self, *_: Any) -> dict[Digest, VersionId]:
        return {}

    def links(self, _: VersionId) -> list[VersionRecord]:
        return []

    def alias_history(self, *_: Any) -> list[AliasMove]:
        return []

    def runs_of(self, *_: Any, **_options: Any) -> Page[Any]:
        return Page((), None, 0)

    versions = runs_of

    def lineage(self, root: str, _: LineageQuery) -> LineageGraph:
        version = self._version
        node = LineageNode(
            root,
            "artifact",
            version.path,
            version.name,
            version.type,
            version.state,
            depth=0,
            is_deleted=False,
            created_at=version.created_at,
        )
        return LineageGraph(root, (node,), (), is_cut=False)

    def effective_ttl(self, _: VersionId) -> EffectiveTtl:
        from lineal.core.retention import EffectiveTtl, Level  # 5 ms that few runs need

        return EffectiveTtl(None, Level.NONE, None)

    def policy(self, *_: Any) -> Policy:
        from lineal.core.retention import Level, Policy

        return Policy(None, Level.NONE)

    def restore_collection(self, *_: Any) -> Restored:
        from lineal.core.retention import Restored

        return Restored()

    def collection(self, *_: Any) -> CollectionRecord:
        version = self._version
        return CollectionRecord(
            CollectionId(0),
            version.entity,
            version.project,
            version.collection,
            version.type,
            CollectionKind.SEQUENCE,
            description=None,
            tags=(),
            aliases=(),
            version_count=0,
            latest=None,
            size_bytes=0,
            created_at=version.created_at,
            updated_at=version.created_at,
        )

    collection_by_id = update_collection = set_collection_ttl = collection

    def _nothing(self, *_: Any, **__: Any) -> None:
        return None

    delete_version = unlink_version = delete_collection = set_policy = _nothing


def logged(run: Run, artifact: Artifact) -> Artifact:
    """Make a draft a version that holds nothing, in place: its user goes on with this object.

    What is logged already is returned as it is.
    """
    if not artifact.is_draft():
        return artifact
    artifact._note_logged()
    artifact._name_for(run.project, run.record)
    record = _record(run.entity, run.project, artifact.name, 0, artifact.type)
    record = record._replace(description=artifact._description, metadata=artifact._metadata)
    if type(artifact) is Artifact:  # a user's own class keeps its methods
        artifact.__class__ = DisabledArtifact
    artifact._become(_nowhere(record), record)
    return artifact


def named(run: Run, name: str, type: str | None) -> Artifact:
    """Return a version for `[[entity/]project/]name[:ref]`; any text will do."""
    try:
        path = full_names.artifact_path(name, run.entity, run.project)
    except Invalid:
        path = full_names.ArtifactPath(run.entity, run.project, name)
    number = names.version_number(path.ref) or 0
    collection = names.generated(path.name)
    return _of(_record(path.entity, path.project, collection, number, _type(type)))


def _of(record: VersionRecord) -> Artifact:
    artifact = DisabledArtifact._internal(record.collection, record.type)
    artifact._is_internal = False
    artifact._become(_nowhere(record), record)
    return artifact


def _nowhere(record: VersionRecord) -> Backend:
    return cast(Backend, _Nowhere(record))  # of a Backend, only what artifacts ask


def _type(name: str | None) -> str:
    try:
        return TYPE if name is None else names.type_name(name)
    except Invalid:
        return TYPE


def _record(entity: str, project: str, collection: str, number: int, type: str) -> VersionRecord:
    now = datetime.now(UTC)
    return VersionRecord(
        id=VersionId(0),
        membership_id=MembershipId(0),
        entity=entity,
        project=project,
        collection=collection,
        number=number,
        aliases=(),
        source_entity=entity,
        source_project=project,
        source_collection=collection,
        source_number=number,
        type=type,
        state=VersionState.COMMITTED,
        digest=manifest_head(()).digest,
        compat_digest=None,
        size_bytes=0,
        entry_count=0,
        description=None,
        metadata={},
        tags=(),
        history_step=None,
        created_at=now,
        updated_at=now,
        deleted_at=None,
        deleted_by=None,
        sweep_id=None,
    )
