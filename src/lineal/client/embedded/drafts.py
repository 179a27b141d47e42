"""Drafts on their way to a version: begun, sent, committed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lineal import service
from lineal.client.embedded.base import Base
from lineal.core.digest import Digest
from lineal.core.manifest import Segment
from lineal.core.records import Begun, Committed, DraftId, DraftSpec, RunKey
from lineal.core.transfers import Handover, Upload
from lineal.files.reading import Advance

if TYPE_CHECKING:
    from lineal.core.contributions import Made, Part


class EmbeddedDrafts(Base):
    def check_collection(self, draft: DraftSpec) -> None:
        service.artifacts.check_collection(self.instance, self.actor, draft)

    def begin(self, draft: DraftSpec, segments: Sequence[Segment] = ()) -> Begun:
        return service.artifacts.begin(self.instance, self.actor, draft, segments)

    def put_segments(self, draft: DraftId, segments: Sequence[Segment]) -> None:
        service.transfers.put_segments(self.instance, self.actor, draft, segments)

    def missing_blobs(self, draft: DraftId) -> Iterator[Upload]:
        return service.transfers.missing_blobs(self.instance, self.actor, draft)

    def send(
        self,
        upload: Upload,
        source: str,
        handover: Handover = Handover.COPY,
        advance: Advance | None = None,
    ) -> None:
        self.instance.store.put(
            upload.key, source, size=upload.size, handover=handover, advance=advance
        )

    def send_bytes(self, upload: Upload, data: bytes) -> None:
        self.instance.store.put_bytes(upload.key, data)

    def send_pack(self, upload: Upload, pack: str) -> frozenset[Digest]:
        return frozenset(self.instance.store.put_pack(upload.key, pack))

    def confirm(self, draft: DraftId, sent: Sequence[Upload]) -> None:
        service.transfers.confirm(self.instance, self.actor, draft, sent)

    def commit(self, draft: DraftId) -> Committed:
        return service.artifacts.commit(self.instance, self.actor, draft)

    def parts_of(self, run: RunKey) -> list[Part]:
        return service.distributed.parts_of(self.instance, self.actor, run)

    def made_of(self, collection: tuple[str, str, str], distributed_id: str) -> list[Made]:
        return service.distributed.made_of(self.instance, self.actor, collection, distributed_id)

    def remove_surplus(self, draft: DraftId) -> None:
        service.strays.remove_surplus(self.instance, self.actor, draft)
