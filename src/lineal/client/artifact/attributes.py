"""What an `Artifact` says of itself, draft or not, and what of that can be set (ART-2…ART-15).

What only a version can say is in `version.py`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lineal.client import term
from lineal.client.artifact import ttl as ttls
from lineal.client.artifact.core import ArtifactCore
from lineal.client.artifact.manifest import Manifest
from lineal.client.artifact.metadata import clean, described
from lineal.core import names
from lineal.core.digest import Digest
from lineal.core.manifest import SegmentHead, manifest_head
from lineal.errors import ArtifactNotLoggedError, Invalid

if TYPE_CHECKING:
    from lineal.core.retention import EffectiveTtl


class Attributes(ArtifactCore):
    """The attributes of an artifact that drafts and versions have."""

    @property
    def id(self) -> str | None:
        """Stable identifier of the version, None for a draft."""
        version = self._known
        return None if version is None else str(version.id)

    @property
    def source_name(self) -> str:
        version = self._known
        return self.name if version is None else version.source_name

    @property
    def type(self) -> str:
        return self._type

    @property
    def description(self) -> str | None:
        _ = self._known
        return self._description

    @description.setter
    def description(self, text: str | None) -> None:
        text = described(text)
        self._warn_of_links("description")
        self._description = text

    @property
    def metadata(self) -> dict[str, Any]:
        """A JSON object; after changing it on a logged artifact call `save()` (ART-12)."""
        _ = self._known
        return self._metadata

    @metadata.setter
    def metadata(self, value: dict[str, Any]) -> None:
        self._warn_of_links("metadata")
        self._metadata = clean(value)

    @property
    def ttl(self) -> timedelta | None:
        """How long after its creation it is deleted; None: never (TTL-2…TTL-6).

        Set a timedelta, a number of days, `30d` or ISO `P30D`, None, or ArtifactTTL.INHERIT;
        then log it, or `save()` what is logged. A new artifact inherits. Raises
        ArtifactNotLoggedError while it inherits and is not logged or saved, Invalid (a
        ValueError) when set to nothing positive, or on a link.
        """
        _ = self._known
        if self._ttl_seconds is not None:
            return timedelta(seconds=self._ttl_seconds) if self._ttl_seconds else None
        if self._record.ttl_seconds is not None:
            raise ArtifactNotLoggedError(
                f"What TTL {self.name!r} inherits is known once it is saved; call save()"
            )
        return self.effective_ttl.ttl

    @ttl.setter
    def ttl(self, value: ttls.TTL) -> None:
        if self._logged is not None:
            _ = self._stored
        if self.is_link:
            raise Invalid(
                f"{self.name} is a link, and linked versions do not expire; unlink it first, then "
                f"set the TTL of {self.source_name}"
            )
        if self._type == names.HISTORY_TYPE:
            raise Invalid(f"Artifacts of type `{names.HISTORY_TYPE}` cannot have a TTL")
        self._ttl_seconds = ttls.stored(value)

    @property
    def effective_ttl(self) -> EffectiveTtl:
        """The TTL in force, the level that sets it, and what suspends it (TTL-8, TTL-11)."""
        record = self._record
        return self._home.effective_ttl(record.id)

    @property
    def distributed_id(self) -> str | None:
        return self._distributed_id

    @distributed_id.setter
    def distributed_id(self, value: str | None) -> None:
        self._distributed_id = value

    @property
    def incremental(self) -> bool:
        return self._incremental

    @property
    def use_as(self) -> str | None:
        """None: what W&B once kept there is deprecated."""
        return None

    @property
    def digest_algorithm(self) -> str:
        """`SHA256`, whatever was asked for (ART-2)."""
        return "SHA256"

    @property
    def state(self) -> str:
        """`PENDING`, `COMMITTED` or `DELETED` (ART-3)."""
        version = self._known
        return "PENDING" if version is None else str(version.state)

    @property
    def is_link(self) -> bool:
        version = self._known
        return version is not None and version.is_link

    @property
    def manifest(self) -> Manifest:
        """All entries; read as they are looked at (MAN-1)."""
        return Manifest(self._contents, self._whole)

    @property
    def digest(self) -> Digest:
        """`sha256:…` over paths and contents; equal content has an equal digest (MAN-4)."""
        version = self._known
        if version is not None:
            return version.digest
        parts = self._contents.segments()
        return manifest_head(
            part if isinstance(part, SegmentHead) else part.head for part in parts
        ).digest

    @property
    def size(self) -> int:
        """Bytes of all entries, references included (ART-10)."""
        version = self._known
        return self._contents.size_bytes if version is None else version.size_bytes

    def _warn_of_links(self, what: str) -> None:
        if self.is_link:
            term.warning(f"the {what} of a link is its source's: {self.source_name} changes too")
