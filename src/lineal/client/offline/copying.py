"""Copying versions from one backend to another: only what is missing there, every byte checked."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from lineal import packs
from lineal.client import term
from lineal.client.backend import Backend
from lineal.client.uploads import portions
from lineal.core import names
from lineal.core.digest import PREFIX, Digest
from lineal.core.full_names import ARTIFACT_SCHEMES, ArtifactPath
from lineal.core.ids import new_id
from lineal.core.lineage import Direction, LineageQuery, number_of, version_node
from lineal.core.manifest import SegmentHead, decode_entries
from lineal.core.names import LATEST
from lineal.core.records import (
    Begun,
    CollectionPatch,
    DraftId,
    DraftSpec,
    EdgeKind,
    RunKey,
    RunPatch,
    RunRecord,
    RunSpec,
    RunState,
    VersionId,
    VersionPatch,
    VersionRecord,
)
from lineal.core.transfers import Location, Upload
from lineal.errors import Gone, IntegrityError, MissingFile
from lineal.files.reading import Advance

SEGMENTS_AT_ONCE = 16
BLOBS_AT_ONCE = 10_000
PACKED_LEAST = 100
"""Small blobs of one batch from which on they go as a pack."""
TABLE_PATH = "artifact_path"
"""Key in what stands for a table in a history row: the artifact that holds it."""
BEGUN = (RunState.RUNNING, RunState.PREEMPTING, RunState.CRASHED)
"""States of the copy of a run that was not ended yet, maybe because the copying was killed."""
_SAID_BEFORE = {
    RunState.PREEMPTING: RunState.PREEMPTING,
    RunState.PREEMPTED: RunState.PREEMPTING,
    RunState.KILLED: RunState.KILLED,
}
"""What is said of a run before it ends, so that it ends in one of these states."""


def copy_version(
    source: Backend,
    version: VersionRecord,
    target: Backend,
    spec: DraftSpec,
    *,
    pack_files_up_to: int,
) -> VersionRecord:
    """Write a version into another backend as `spec` says, and return what it is there.

    Content that the target has is not sent again; killed and repeated, it sends what is missing.
    pack_files_up_to: the setting, in bytes; many files up to this size share files there.
    Raises MissingFile for bytes that the source lost, IntegrityError or SourceChanged for bytes
    that are damaged there.
    """
    copied = contribute(source, version, target, spec, pack_files_up_to=pack_files_up_to)
    assert copied is not None  # it is no contribution to a distributed version
    return copied


def contribute(
    source: Backend,
    version: VersionRecord,
    target: Backend,
    spec: DraftSpec,
    *,
    pack_files_up_to: int,
) -> VersionRecord | None:
    """As `copy_version`, also for what is a part of a version there; None while it waits for it."""
    begun = send(source, version, target, spec, pack_files_up_to=pack_files_up_to)
    return begun.version or target.commit(begun.draft).version


def send(
    source: Backend,
    version: VersionRecord,
    target: Backend,
    spec: DraftSpec,
    *,
    pack_files_up_to: int,
) -> Begun:
    """Do so without making a version of it; raises as `copy_version`."""
    begun = target.begin(spec)
    if begun.version is None:
        _send_segments(source, version, target, begun.draft, set(begun.missing_segments))
        _Blobs(source, version, target, pack_files_up_to).send(begun.draft)
    return begun


def send_blob(
    source: Backend,
    location: Location,
    target: Backend,
    upload: Upload,
    advance: Advance | None = None,
) -> None:
    """Store one blob of the source under the upload's key; raises as `send` and `open` do."""
    if location.path is not None:
        target.send(upload, location.path, advance=advance)
        return
    with source.open(location) as packed:
        target.send_bytes(upload, packed.read())


def display_name(source: Backend, version: VersionRecord) -> str | None:
    """Return what people see beside the name of the collection of a version (NAM-1)."""
    return source.collection(version.entity, version.project, version.collection).display_name


def settle_latest(
    source: Backend, target: Backend, copied: Mapping[VersionId, VersionRecord]
) -> None:
    """Put `latest` where the source has it, when content that was logged before came back.

    copied: what each version is in the target, by its id in the source.
    """
    newest: dict[tuple[str, str, str], int] = {}
    for after in copied.values():
        path = (after.entity, after.project, after.collection)
        newest[path] = max(after.number, newest.get(path, after.number))
    for before, after in copied.items():
        if after.number == newest[after.entity, after.project, after.collection]:
            continue
        if LATEST in source.version_by_id(before).aliases:
            patch = VersionPatch(aliases_added=(LATEST,))
            target.update_version(after.membership_id, patch)


def copy_link(
    source: Backend,
    link: VersionRecord,
    target: Backend,
    copied: VersionRecord,
    place: tuple[str, str],
    aliases: Sequence[str],
    number: int | None = None,
) -> VersionRecord:
    """Link the copy of a version as the version itself is linked; place: entity and project there.

    Raises as `link_version`.
    """
    name = display_name(source, link)
    there = ArtifactPath(*place, link.collection)
    if name is not None and names.generated(name) == link.collection != name:
        there = there._replace(display_name=name)  # the link was to these words
    target.project(there.entity, there.project, create=True)
    linked = target.link_version(copied.id, there, aliases, number=number)
    if name is not None:
        give_display_name(target, linked, name)
    return linked


def give_display_name(target: Backend, copied: VersionRecord, name: str) -> None:
    """Show people this name of the collection of a copy, unless it has one there."""
    try:
        there = target.collection(copied.entity, copied.project, copied.collection)
    except Gone:  # deleted there since it was copied
        return
    if there.display_name is None:
        target.update_collection(there.id, CollectionPatch(display_name=name))


def run_spec(run: RunRecord, entity: str, project: str, run_id: str) -> RunSpec:
    """Return what a copy of a run is begun with, without its config and metadata."""
    return RunSpec(
        entity=entity,
        project=project,
        run_id=run_id,
        name=run.name,
        notes=run.notes,
        group=run.group,
        job_type=run.job_type,
        tags=run.tags or None,
        sweep_id=run.sweep_id,
        host=run.host,
        program=run.program,
    )


def draft_spec(
    source: Backend,
    version: VersionRecord,
    *,
    client_id: str,
    place: tuple[str, str, str],
    run: RunKey | None,
    sources: Iterable[VersionId],
) -> DraftSpec:
    """Return what a copy of a version is begun with, without `latest`: the last one copied gets it.

    place: entity, project and collection there. run, sources: what logged it, and what it took
    entries over from, by the keys and ids that they have there.
    """
    entity, project, collection = place
    return DraftSpec(
        client_id=client_id,
        entity=entity,
        project=project,
        collection=collection,
        type=version.type,
        manifest=source.manifest(version.id),
        run=run,
        description=version.description,
        metadata=version.metadata,
        aliases=without_latest(version.aliases),
        tags=version.tags,
        history_step=version.history_step,
        sources=tuple(sorted(sources)),
        ttl_seconds=version.ttl_seconds,
    )


def without_latest(aliases: Iterable[str]) -> tuple[str, ...]:
    return tuple(alias for alias in aliases if alias != LATEST)


def with_tables_at(value: Any, here: str, there: str) -> Any:
    """Return a logged value with the tables in it named where their copies are (DAT-5).

    here, there: `entity/project`, of the run and of its copy. What is of other projects stays.
    """
    if isinstance(value, list):
        return [with_tables_at(item, here, there) for item in value]
    if not isinstance(value, dict):
        return value
    copied = {key: with_tables_at(item, here, there) for key, item in value.items()}
    path, before = value.get(TABLE_PATH), f"{ARTIFACT_SCHEMES[0]}{here}/"
    if "_type" in value and isinstance(path, str) and path.startswith(before):
        copied[TABLE_PATH] = f"{ARTIFACT_SCHEMES[0]}{there}/{path.removeprefix(before)}"
    return copied


def finish(target: Backend, run: RunRecord, there: RunRecord) -> None:
    """End the copy of a run, `there`, as the run has ended.

    One whose process was killed has crashed there, too. Any other without an end, such as one that
    goes on while it is carried, did not end well: its copy fails.
    """
    if run.state is RunState.CRASHED:
        target.mark_crashed(there.key, run.runtime_seconds)
        return
    state = _SAID_BEFORE.get(run.state)
    if state is not None and there.state in BEGUN:
        target.update_run(there.key, RunPatch(state=state))
    code = run.exit_code
    if code is None:
        code = 0 if run.state is RunState.FINISHED else 1
    target.finish_run(there.key, code, run.runtime_seconds)


def derived_from(source: Backend, version: VersionRecord) -> set[VersionId]:
    """Return the versions that it took entries over from (LIN-11)."""
    root = version_node(version.id)
    query = LineageQuery(Direction.UPSTREAM, depth=1, derived=True)
    return {
        VersionId(number_of(edge.source))
        for edge in source.lineage(root, query).edges
        if edge.kind is EdgeKind.DERIVED and edge.target == root
    }


def _send_segments(
    source: Backend, version: VersionRecord, target: Backend, draft: DraftId, missing: set[str]
) -> None:
    heads: Sequence[SegmentHead] = source.manifest(version.id).segments
    segments = source.read_segments(version.id, [head for head in heads if head.digest in missing])
    while page := list(itertools.islice(segments, SEGMENTS_AT_ONCE)):
        target.put_segments(draft, page)


class _Blobs:
    """The blobs of one version on their way."""

    def __init__(
        self, source: Backend, version: VersionRecord, target: Backend, pack_files_up_to: int
    ) -> None:
        self._source, self._version, self._target = source, version, target
        self._pack_files_up_to = pack_files_up_to
        self._packs = packs.InTurn()

    def send(self, draft: DraftId) -> None:
        version, uploads = self._version, self._target.missing_blobs(draft)
        label = f"copying {version.name}"
        with term.progress(label, files=version.entry_count, size=version.size_bytes) as progress:
            for batch in portions(uploads, BLOBS_AT_ONCE):
                self._send_batch(batch, progress)
                self._target.confirm(draft, batch)

    def _send_batch(self, batch: Sequence[Upload], progress: term.Progress) -> None:
        located = self._source.locate(self._version.id, [each.digest for each in batch])
        most = self._pack_files_up_to
        packed = [each for each in batch if each.size <= most] if most else []
        if len(packed) < PACKED_LEAST:
            packed = []
        else:
            self._send_pack(packed, located, progress)
        for upload in batch:
            if not packed or upload.size > most:
                file = progress.file()
                self._send_blob(upload, self._location(upload, located), file)
                file.done(upload.size)

    def _send_blob(self, upload: Upload, location: Location, advance: Advance) -> None:
        try:
            send_blob(self._source, location, self._target, upload, advance)
        except (IntegrityError, MissingFile) as error:
            raise self._unsound(upload, location, is_lost=isinstance(error, MissingFile)) from error

    def _unsound(self, upload: Upload, location: Location, *, is_lost: bool) -> IntegrityError:
        # the store of one that was opened apart is reached through a link
        where = "" if location.path is None else f" ({os.path.realpath(location.path)})"
        how = "lost" if is_lost else "damaged"
        return IntegrityError(
            f"{self._named(upload.digest)} is {how} where it is copied from{where}; bring it back "
            "there from a copy that is whole, and repeat this"
        )

    def _named(self, digest: Digest) -> str:
        """Name the file of a content, the first that has it."""
        heads = self._source.manifest(self._version.id).segments
        for segment in self._source.read_segments(self._version.id, heads):
            for entry in decode_entries(segment.lines):
                if entry.digest == digest and entry.ref is None:
                    return f"File {entry.path} of {self._version.path}"
        return f"Content {digest} of {self._version.path}"

    def _send_pack(
        self, batch: Sequence[Upload], located: dict[Digest, Location], progress: term.Progress
    ) -> None:
        writer = packs.Writer(os.path.join(self._target.staging, f"pack-{new_id(16)}"))
        try:
            for upload, location in self._in_order(batch, located):
                try:
                    data = self._read(location)
                except MissingFile as error:
                    raise self._unsound(upload, location, is_lost=True) from error
                sha256 = hashlib.sha256(data)
                if upload.digest != PREFIX + sha256.hexdigest():
                    raise self._unsound(upload, location, is_lost=False)
                writer.add(sha256.digest(), data)
                progress.advance(files=1, size=upload.size)
            writer.seal()
            self._target.send_pack(batch[0], writer.path)
        finally:
            writer.discard()
            with suppress(FileNotFoundError):  # it was moved into the store
                os.unlink(writer.path)

    def _in_order(
        self, batch: Sequence[Upload], located: dict[Digest, Location]
    ) -> list[tuple[Upload, Location]]:
        """Return blobs as they lie in the packs of the source, and are to lie in those made here.

        Neighbours of a folder are read together, here and by whoever downloads them.
        """
        pairs = [(upload, self._location(upload, located)) for upload in batch]
        return sorted(pairs, key=lambda pair: (pair[1].pack or "", pair[1].offset))

    def _read(self, location: Location) -> bytes | memoryview:
        if location.pack is not None:
            return self._packs.file(location.pack, location.offset, location.size)
        with self._source.open(location) as file:
            return file.read()

    def _location(self, upload: Upload, located: dict[Digest, Location]) -> Location:
        found = located.get(upload.digest)
        if found is None:
            raise MissingFile(
                f"{self._named(upload.digest)} is lost where it is copied from; `lineal verify` "
                "there says what else is"
            )
        return found
