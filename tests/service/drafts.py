"""Logging a version the way a client does, for the tests of the service."""

from __future__ import annotations

import hashlib
from itertools import count
from pathlib import Path

from lineal import packs
from lineal.core.access import Actor
from lineal.core.digest import of_bytes
from lineal.core.full_names import ArtifactPath
from lineal.core.manifest import Entry, Segment, build_segments, manifest_head
from lineal.core.records import Committed, DraftSpec, VersionRecord
from lineal.core.transfers import Handover
from lineal.service import artifacts, transfers
from lineal.service.instance import Instance
from lineal.service.verify import verify

Files = dict[str, bytes]
ONE: Files = {"a": b"1"}
serial = count()


def draft(files: Files, **changes: object) -> tuple[DraftSpec, list[Segment]]:
    entries = [Entry(path, of_bytes(data), len(data)) for path, data in sorted(files.items())]
    segments = list(build_segments(entries))
    spec = DraftSpec(
        client_id=f"client{next(serial)}",
        entity="ana",
        project="vision",
        collection="data",
        type="dataset",
        manifest=manifest_head(segment.head for segment in segments),
        run=None,
    )
    return spec._replace(**changes), segments  # type: ignore[arg-type]  # a test's shorthand


def send(
    instance: Instance,
    owner: Actor,
    begun_draft: int,
    files: Files,
    folder: Path,
    *,
    in_pack: bool = False,
) -> None:
    by_digest = {of_bytes(data): data for data in files.values()}
    missing = list(transfers.missing_blobs(instance, owner, begun_draft))  # type: ignore[arg-type]  # an int
    if in_pack and missing:
        writer = packs.Writer(str(folder / f"pack{next(serial)}"))
        for data in files.values():
            writer.add(hashlib.sha256(data).digest(), data)
        writer.seal()
        instance.store.put_pack(missing[0].key, writer.path)
        return
    for upload in missing:
        source = folder / f"source{next(serial)}"
        source.write_bytes(by_digest[upload.digest])
        instance.store.put(upload.key, str(source), size=upload.size, handover=Handover.TAKE)


def log(
    instance: Instance,
    owner: Actor,
    folder: Path,
    files: Files,
    *,
    in_pack: bool = False,
    **changes: object,
) -> VersionRecord:
    version = commit(instance, owner, folder, files, in_pack=in_pack, **changes).version
    assert version is not None
    return version


def commit(
    instance: Instance,
    owner: Actor,
    folder: Path,
    files: Files,
    *,
    in_pack: bool = False,
    **changes: object,
) -> Committed:
    spec, segments = draft(files, **changes)
    begun = artifacts.begin(instance, owner, spec, segments)
    if begun.version is not None:
        return Committed(begun.version, is_new=False)
    send(instance, owner, begun.draft, files, folder, in_pack=in_pack)
    return artifacts.commit(instance, owner, begun.draft)


def findings(instance: Instance, owner: Actor) -> list[object]:
    return list(verify(instance, owner))


def path(ref: str, name: str = "data") -> ArtifactPath:
    return ArtifactPath("ana", "vision", name, ref)
