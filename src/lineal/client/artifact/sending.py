"""Sending the bytes of a draft: each blob that is missing, from where it is on this machine.

That is a private copy or a pack of them, which the store takes over, or the user's own file, if it
is immutable or was known when it was added.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from lineal.client import term
from lineal.client.artifact.adding import PACKED_LEAST, Adder
from lineal.client.artifact.contents import IMMUTABLE, MUTABLE, SOURCES_MOST, Contents, Source
from lineal.client.artifact.staging import remove_copy, write_pack
from lineal.client.backend import Backend
from lineal.client.uploads import CONFIRM_BYTES, portions
from lineal.core.digest import Digest
from lineal.core.manifest import ManifestHead
from lineal.core.records import Begun
from lineal.core.transfers import Handover, Upload
from lineal.errors import MissingFile, SourceChanged
from lineal.files.reading import Advance
from lineal.files.stamps import Stamp

CONFIRM_FILES = 20_000
"""Sent before they are confirmed, if they have less than CONFIRM_BYTES."""


class Sending:
    """The blobs of one draft on their way to the store, in one attempt or several."""

    def __init__(self, backend: Backend, contents: Contents, adder: Adder, collection: str) -> None:
        self._backend = backend
        self._contents = contents
        self._adder = adder
        self._collection = collection
        self.taken: set[str] = set()
        """Private copies and packs that were sent."""
        self.surplus = 0
        """Blobs that packs brought and nobody asked for."""
        self._last_pack: frozenset[Digest] = frozenset()

    def send(self, begun: Begun, manifest: ManifestHead) -> None:
        """Send what is missing; the last portion is confirmed by the commit."""
        label = f"storing {self._collection}"
        with term.progress(label, files=manifest.entry_count, size=manifest.size_bytes) as progress:
            unconfirmed: list[Upload] = []
            size = 0
            uploads = begun.uploads
            missing = self._backend.missing_blobs(begun.draft) if uploads is None else uploads
            for batch in portions(missing, min(SOURCES_MOST, CONFIRM_FILES)):
                self._send_batch(batch, progress)
                unconfirmed += batch
                size += sum(upload.size for upload in batch)
                if len(unconfirmed) >= CONFIRM_FILES or size >= CONFIRM_BYTES:
                    self._backend.confirm(begun.draft, unconfirmed)
                    unconfirmed, size = [], 0

    def _send_batch(self, batch: Sequence[Upload], progress: term.Progress) -> None:
        """Send blobs; those that lie in the pack which went last are sent already."""
        sent = [upload for upload in batch if upload.digest in self._last_pack]
        self.surplus -= len(sent)
        progress.advance(files=len(sent), size=sum(upload.size for upload in sent))
        left = [upload for upload in batch if upload.digest not in self._last_pack]
        sources = self._contents.sources_of([upload.digest for upload in left]) if left else {}
        for upload in self._send_known(left, sources, progress):
            file = progress.file()
            if upload.digest in self._last_pack:
                self.surplus -= 1
            else:
                self._send_blob(upload, sources.get(upload.digest), file)
            file.done(upload.size)

    def _send_known(
        self, batch: list[Upload], sources: Mapping[Digest, Source], progress: term.Progress
    ) -> list[Upload]:
        """Send small files that were known and so have no private copy, if they are many.

        Whoever read them first was killed before they were stored. Returns the other blobs, and
        all of them where a file is not what it was: whoever sends it by itself says so.
        """
        known = {
            source.path: upload
            for upload in batch
            if (source := sources.get(upload.digest)) is not None
            and source.staged is None
            and source.policy == MUTABLE
            and upload.size <= self._adder.pack_files_up_to
        }
        if len(known) < PACKED_LEAST:
            return batch
        pack = self._adder.staging.new_path()
        if not write_pack(pack, {path: known[path].digest for path in sorted(known)}):
            return batch
        sent = list(known.values())
        try:
            self._backend.send_pack(sent[0], pack)
        except BaseException:
            remove_copy(pack)
            raise
        progress.advance(files=len(sent), size=sum(upload.size for upload in sent))
        digests = {upload.digest for upload in sent}
        return [upload for upload in batch if upload.digest not in digests]

    def _send_blob(self, upload: Upload, source: Source | None, advance: Advance) -> None:
        if source is None:
            raise MissingFile(
                f"The bytes of {upload.digest} are in no file of this draft and not stored; "
                f"add the file again and log {self._collection} once more"
            )
        if source.staged is None:
            self._send_source(upload, source, advance)
            return
        try:
            self._send_copy(upload, source.staged, source.is_packed, advance)
        except MissingFile as error:
            if source.staged == source.path or not os.path.lexists(source.path):
                raise MissingFile(
                    f"The private copy of {source.path} is gone from the staging folder; "
                    f"add the file again and log {self._collection} once more"
                ) from error
            self._send_source(upload, source, advance)

    def _send_copy(self, upload: Upload, staged: str, is_packed: bool, advance: Advance) -> None:
        """Send a private copy, or the pack that has it; one of a parent's draft stays where it is.

        A pack goes as a whole, with the first of its blobs.
        """
        is_ours = self._contents.owns_copies
        if not is_packed:
            handover = Handover.TAKE if is_ours else Handover.COPY
            self._backend.send(upload, staged, handover, advance)
        elif staged not in self.taken:
            pack = staged if is_ours else self._adder.staging.copy(staged).path
            self._last_pack = self._backend.send_pack(upload, pack)
            self.surplus += len(self._last_pack)
        self.surplus -= is_packed
        self.taken.add(staged)

    def _send_source(self, upload: Upload, source: Source, advance: Advance) -> None:
        """Send a file itself: it is known, immutable, or its private copy was removed."""
        before = Stamp.at(source.path)
        if (before.size, before.mtime_ns, before.inode) != (
            source.stamp.size,
            source.stamp.mtime_ns,
            source.stamp.inode,
        ):
            sizes = f" ({source.stamp.size:,} bytes then, {before.size:,} now)"
            raise SourceChanged(
                f"File {source.path} changed after it was added"
                f"{'' if before.size == source.stamp.size else sizes}; add it to a new artifact"
            )
        handover = Handover.LINK if source.policy == IMMUTABLE else Handover.COPY
        self._backend.send(upload, source.path, handover, advance)
