"""Drafts on their way to a version: begun, sent, committed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from lineal.core.digest import Digest
from lineal.core.manifest import Segment
from lineal.core.records import Begun, Committed, DraftId, DraftSpec, RunKey
from lineal.core.transfers import Handover, Upload
from lineal.files.reading import Advance

if TYPE_CHECKING:
    from lineal.core.contributions import Made, Part


class Drafts(Protocol):
    """What makes a version: begin, send, confirm, commit (docs/design/001-storage.md)."""

    def check_collection(self, draft: DraftSpec) -> None:
        """Raise what `begin` will say of the collection that is there: its type, or its kind."""

    def begin(self, draft: DraftSpec, segments: Sequence[Segment] = ()) -> Begun: ...

    def put_segments(self, draft: DraftId, segments: Sequence[Segment]) -> None: ...

    def missing_blobs(self, draft: DraftId) -> Iterator[Upload]: ...

    def send(
        self,
        upload: Upload,
        source: str,
        handover: Handover = Handover.COPY,
        advance: Advance | None = None,
    ) -> None:
        """Store the bytes of the local file `source` under the upload's key.

        Raises SourceChanged if the bytes do not have the digest, NoSpace if they do not fit.
        """

    def send_bytes(self, upload: Upload, data: bytes) -> None:
        """Store bytes that are in memory; as `send` otherwise."""

    def send_pack(self, upload: Upload, pack: str) -> frozenset[Digest]:
        """Store a pack of ours (`lineal.packs`) that holds the upload's blob among others.

        Returns all that are in it: they are sent with that. Raises MissingFile, IntegrityError,
        NoSpace.
        """

    def confirm(self, draft: DraftId, sent: Sequence[Upload]) -> None:
        """Make what was sent durable and known, so that a later attempt need not send it."""

    def commit(self, draft: DraftId) -> Committed: ...

    def parts_of(self, run: RunKey) -> list[Part]:
        """Return what a run contributed to versions of many, or finished them with, in order."""

    def made_of(self, collection: tuple[str, str, str], distributed_id: str) -> list[Made]:
        """Return the versions made of what was contributed under an id, the first first."""

    def remove_surplus(self, draft: DraftId) -> None:
        """Free what packs of a committed draft brought beside what was missing, if that can be."""
