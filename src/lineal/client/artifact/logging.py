"""Logging an artifact: freeze the draft, then begin, send and commit in the background.

One order for every backend (docs/design/001-storage.md): the instance is asked which segments
of the manifest it lacks, then which blobs; bytes go straight to the store; commit makes the
version visible as a whole. Repeating it after any failure sends only what is missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice

from lineal.client import session, term
from lineal.client.artifact import existing
from lineal.client.artifact.artifact import Artifact
from lineal.client.artifact.base import NOTHING, Base
from lineal.client.artifact.core import Stored
from lineal.client.artifact.metadata import clean
from lineal.client.artifact.sending import Sending
from lineal.client.backend import Backend
from lineal.collector import seldom_collected
from lineal.core import names
from lineal.core.digest import Digest
from lineal.core.full_names import ArtifactPath
from lineal.core.manifest import ManifestHead, Segment, SegmentHead, manifest_head
from lineal.core.records import (
    Begun,
    Committed,
    DraftSpec,
    OnUnchanged,
    PageRequest,
    RunRecord,
    VersionId,
    VersionQuery,
    VersionRecord,
)
from lineal.errors import (
    Invalid,
    LinealError,
    MissingFile,
    NotFound,
    Superseded,
    Unavailable,
)
from lineal.files.stamps import Stamp

INLINE_ENTRIES = 2_000
"""A manifest up to here goes along with `begin`; a larger one may turn out to be there already."""
KEPT_ENTRIES = 50_000
"""A manifest up to here (10 MB) is kept between `begin` and sending what is missing of it; a
larger one is built again."""
SEGMENTS_PAGE = 16


def log(
    backend: Backend,
    run: RunRecord,
    artifact: Artifact,
    *,
    is_input: bool = False,
    aliases: Sequence[str] = (),
    tags: Sequence[str] = (),
    history_step: int | None = None,
    distributed_id: str | None = None,
    is_final: bool = True,
    on_unchanged: OnUnchanged = "reuse",
) -> None:
    """Freeze a draft and upload it in the background; `artifact.wait()` tells how it went.

    is_input: the run uses it, and so did not make it. Raises at once what can be known at once:
    NotFound (the version it began with), Exists, Invalid (names, reserved types, another type or
    project than what is there).
    """
    producer = None if is_input else run
    artifact._name_for(run.project, producer)
    if not artifact._is_internal:
        names.user_artifact(artifact.name, artifact.type)
    base = None if artifact._base is None else _renewed_base(backend, run, artifact, artifact._base)
    spec = DraftSpec(
        client_id=artifact._id_to_log(),
        entity=run.entity,
        project=run.project,
        collection=artifact.name,
        type=artifact.type,
        manifest=manifest_head(()),  # known once the content is final
        run=None if producer is None else producer.key,
        description=artifact._description,
        metadata=clean(artifact._metadata) or None,  # a copy: the user may go on changing it
        aliases=tuple(aliases),
        tags=tuple(tags),
        history_step=history_step,
        base=None if base is None else base.id,
        sources=tuple(sorted(artifact._sources)),
        on_unchanged=on_unchanged,
        distributed_id=distributed_id,
        is_final=is_final,
        ttl_seconds=artifact._ttl_seconds,
    )
    with suppress(Unavailable):  # it may be over when the upload begins
        backend.check_collection(spec)
    artifact._adder.pack_copies(artifact._contents)
    artifact.finalize()
    if distributed_id is not None:
        artifact.distributed_id = distributed_id
    storing = _Storing(backend, artifact, spec)
    artifact._hand_over(backend, session.worker().submit(storing.run))


def _renewed_base(
    backend: Backend, run: RunRecord, artifact: Artifact, base: Stored
) -> VersionRecord:
    """Return the version that a draft began with as it is in `backend` now, and let it begin there.

    The draft follows its collection, which may have another name by now.
    """
    if base.backend.url == backend.url:
        found = backend.version_by_id(base.record.id)
    else:
        try:
            found = existing.named_like(backend, base.record)
        except NotFound as error:
            raise NotFound(
                f"{error.message.rstrip('.')}. The draft began with that version in "
                f"{base.backend.url}, and can be logged only where it is, too"
            ) from error
        artifact._contents.base = Base.of(backend, found.id)
    artifact._base = Stored(backend, found)
    if artifact._name == base.record.source_collection:
        artifact._name = found.source_collection
    if (found.source_entity, found.source_project) != (run.entity, run.project):
        raise Invalid(
            f"A draft of {found.path} can only be logged to {found.source_entity}/"
            f"{found.source_project}, not to {run.entity}/{run.project} (ART-43)"
        )
    return found


def log_input(
    backend: Backend, run: RunRecord, artifact: Artifact, aliases: Sequence[str] = ()
) -> None:
    """Log what a run uses and is a draft yet, as made by nobody; returns when it is stored."""
    with artifact._turn:
        if artifact._logged is None:  # else it is on its way already
            log(backend, run, artifact, is_input=True, aliases=aliases)
    artifact.wait()


def from_path(
    path: str | os.PathLike[str], name: str | None, type: str | None, run_id: str
) -> Artifact:
    """Make a draft of a file, a folder or a `scheme://` reference (ART-38)."""
    text = os.fspath(path)
    is_reference = "://" in text
    local = text.rstrip("/") if is_reference else os.path.abspath(text)
    artifact = Artifact(
        name or names.generated(f"run-{run_id}-{os.path.basename(local)}"), type or "unspecified"
    )
    if is_reference:
        artifact.add_reference(text)
    elif os.path.isfile(text):
        artifact.add_file(text)
    elif os.path.isdir(text):
        artifact.add_dir(text)
    else:
        raise Invalid(f"{text!r} is no file, folder or reference; nothing was logged")
    return artifact


class _Storing:
    """One draft on its way to a version."""

    def __init__(self, backend: Backend, artifact: Artifact, spec: DraftSpec) -> None:
        self._backend = backend
        self._artifact = artifact
        self._contents = artifact._contents
        self._spec = spec
        self._sending = Sending(backend, self._contents, artifact._adder, spec.collection)
        self._kept: list[Segment | SegmentHead] | None = None

    @seldom_collected()
    def run(self) -> VersionRecord | None:
        """Do it; returns the version, None for a contribution to a distributed one."""
        bases: list[VersionId | None] = []
        while True:
            try:
                return self._attempt()
            except Superseded:  # somebody else added something: add to that
                if self._spec.base in bases[-1:]:
                    raise
                bases.append(self._spec.base)

    def _attempt(self) -> VersionRecord | None:
        if self._artifact.incremental:
            self._rebase()
        clash = self._contents.clash()
        if clash is not None:
            raise Invalid(
                f"Path {clash!r} would be a file and a folder; leave out one of them, of a folder "
                "or prefix with exclude="
            )
        manifest, segments = self._manifest()
        self._spec = self._spec._replace(manifest=manifest)
        begun = self._backend.begin(self._spec, segments)
        if begun.version is not None:
            committed = Committed(begun.version, is_new=False)
        else:
            self._send_segments(begun)
            self._sending.send(begun, manifest)
            committed = self._backend.commit(begun.draft)
            if self._sending.surplus:
                self._backend.remove_surplus(begun.draft)
        self._remember()
        self._contents.drop_copies(taken=len(self._sending.taken))
        self._say(committed)
        return committed.version

    def _rebase(self) -> None:
        """Put an incremental draft on top of the collection's latest version (ART-42).

        A draft for each version that it is put on: its manifest is part of what it is.
        """
        spec = self._spec
        try:
            latest = self._backend.version(ArtifactPath(spec.entity, spec.project, spec.collection))
        except NotFound:
            base, self._contents.base = None, NOTHING
        else:
            base = latest.id
            self._contents.base = Base.of(self._backend, latest.id)
        self._spec = spec._replace(
            client_id=f"{self._artifact._client_id}/{base or 'first'}",
            base=base,
            on_latest=spec.distributed_id is None,
        )

    def _manifest(self) -> tuple[ManifestHead, list[Segment]]:
        """Return the manifest's head, and the segments that are new as long as they are few."""
        heads: list[SegmentHead] = []
        kept: list[Segment | SegmentHead] = []
        entry_count = 0
        for part in self._contents.segments():
            heads.append(_head(part))
            entry_count += part.head.entry_count if isinstance(part, Segment) else 0
            if entry_count <= KEPT_ENTRIES:
                kept.append(part)
        self._kept = kept if entry_count <= KEPT_ENTRIES else None
        new = kept if entry_count <= INLINE_ENTRIES else []
        return manifest_head(heads), [part for part in new if isinstance(part, Segment)]

    def _parts(self) -> Iterable[Segment | SegmentHead]:
        return self._contents.segments() if self._kept is None else self._kept

    def _send_segments(self, begun: Begun) -> None:
        """Send those that are missing.

        The base's own are, too, where the draft is logged offline or the base was released
        meanwhile. Raises Gone for these.
        """
        missing = set(begun.missing_segments)
        wanted = (
            part for part in (self._parts() if missing else ()) if _head(part).digest in missing
        )
        while page := list(islice(wanted, SEGMENTS_PAGE)):
            own = [part for part in page if isinstance(part, Segment)]
            heads = [part for part in page if isinstance(part, SegmentHead)]
            own += self._contents.base.segments(heads) if heads else []
            self._backend.put_segments(begun.draft, own)

    def _remember(self) -> None:
        """Hard links moved the ctime of immutable files; their digests are still known."""
        linked = (
            (source.path, source.stamp, digest)
            for source, digest in self._contents.immutable_sources()
        )
        self._artifact._adder.cache.remember(_restamped(linked), read_at_ns=None)

    def _say(self, committed: Committed) -> None:
        """Say once, plainly, when content was there already (SEM-2, SEM-3)."""
        version, spec = committed.version, self._spec
        if version is None or committed.is_new:
            return
        text = f"{spec.collection} is unchanged, still v{version.number}"
        if self._is_older(version):
            again = ", which is `latest` again" if names.LATEST in version.aliases else ""
            text = f"{spec.collection} has this content already, as v{version.number}{again}"
        asked = {
            "metadata": (spec.metadata or None, version.metadata),
            "description": (spec.description or None, version.description),
            "TTL": (spec.ttl_seconds, version.ttl_seconds),
        }
        left = [what for what, (new, old) in asked.items() if new not in (None, old)]
        if left:
            text += (
                f"; left as it was: its {' and '.join(left)} "
                "(on_unchanged='update_metadata' or 'new_version' would not)"
            )
        term.info(text)

    def _is_older(self, version: VersionRecord) -> bool:
        """Tell whether its collection has newer versions."""
        query = VersionQuery(
            version.entity, version.project, version.collection, with_metadata=False
        )
        with suppress(LinealError):  # it is logged, and only what is said of it depends on this
            newest = self._backend.versions(query, PageRequest(1, with_total=False)).items
            return bool(newest) and newest[0].number != version.number
        return False


def _head(part: Segment | SegmentHead) -> SegmentHead:
    return part.head if isinstance(part, Segment) else part


def _restamped(
    known: Iterator[tuple[str, Stamp, Digest]],
) -> Iterator[tuple[str, Stamp, Digest]]:
    for path, stamp, digest in known:
        try:
            now = Stamp.at(path)
        except MissingFile:
            continue
        if now != stamp and now._replace(ctime_ns=stamp.ctime_ns) == stamp:
            yield path, now, digest
