"""The content of versions: manifests and bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from lineal import service
from lineal.client.embedded.base import Base
from lineal.core.digest import Digest
from lineal.core.manifest import ManifestHead, Segment, SegmentHead
from lineal.core.records import RunKey, VersionId
from lineal.core.transfers import Location


class EmbeddedContent(Base):
    def manifest(self, version: VersionId) -> ManifestHead:
        return service.transfers.manifest(self.instance, self.actor, version)

    def read_segments(self, version: VersionId, heads: Sequence[SegmentHead]) -> Iterator[Segment]:
        return service.transfers.read_segments(self.instance, self.actor, version, heads)

    def locate(self, version: VersionId, digests: Sequence[Digest]) -> dict[Digest, Location]:
        return service.transfers.locate(self.instance, self.actor, version, digests)

    def locate_run_files(self, run: RunKey, digests: Sequence[Digest]) -> dict[Digest, Location]:
        return service.transfers.locate_run_files(self.instance, self.actor, run, digests)

    def births(self, version: VersionId, digests: Sequence[Digest]) -> dict[Digest, VersionId]:
        return service.transfers.births(self.instance, self.actor, version, digests)

    def open(self, location: Location) -> BinaryIO:
        return self.instance.store.open(location.key)
