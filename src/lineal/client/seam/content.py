"""The content of versions: manifests and bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, Protocol

from lineal.core.digest import Digest
from lineal.core.manifest import ManifestHead, Segment, SegmentHead
from lineal.core.records import RunKey, VersionId
from lineal.core.transfers import Location


class Content(Protocol):
    """What versions are made of: manifests and bytes."""

    def manifest(self, version: VersionId) -> ManifestHead: ...

    def read_segments(self, version: VersionId, heads: Sequence[SegmentHead]) -> Iterator[Segment]:
        """Yield segments of a version in the order asked; each checked against its digest."""

    def locate(self, version: VersionId, digests: Sequence[Digest]) -> dict[Digest, Location]:
        """Say where blobs of a version are kept; those that are not its own are left out."""

    def locate_run_files(self, run: RunKey, digests: Sequence[Digest]) -> dict[Digest, Location]:
        """Say where the blobs of a run's files are kept; others are left out."""

    def births(self, version: VersionId, digests: Sequence[Digest]) -> dict[Digest, VersionId]:
        """Say which versions first stored blobs of this version, where that is known."""

    def open(self, location: Location) -> BinaryIO: ...
