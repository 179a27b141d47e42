"""What `artifact.manifest` shows: entries by path, read a segment at a time (MAN-1, MAN-2)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from lineal.client.artifact.contents import Contents
from lineal.core import file_paths
from lineal.core.digest import Digest
from lineal.core.manifest import Entry
from lineal.errors import Invalid

if TYPE_CHECKING:
    from lineal.client.artifact.artifact import Artifact

BATCH = 1_000
"""Entries looked at in one request."""
JSON_VERSION = 1
STORAGE_POLICY = "lineal-v1"
STORAGE_LAYOUT = "sha256"
"""What a blob's key in the store begins with; W&B's are called V1 and V2."""


class ManifestEntry:
    """One file of an artifact as users see it."""

    def __init__(self, entry: Entry, artifact: Artifact) -> None:
        self._entry = entry
        self._artifact = artifact

    @property
    def path(self) -> str:
        return self._entry.path

    @property
    def name(self) -> str:
        """Deprecated spelling of `path`."""
        return self.path

    @property
    def digest(self) -> Digest:
        """`sha256:…` of the content; for a reference whatever identifies the foreign object."""
        return self._entry.digest

    @property
    def size(self) -> int:
        return self._entry.size

    @property
    def ref(self) -> str | None:
        return self._entry.ref

    @property
    def extra(self) -> dict[str, Any]:
        """What a reference needs to be read again; empty for stored files."""
        return dict(self._entry.extra)

    @property
    def etag(self) -> str | None:
        """The ETag of a referenced object, unquoted, None if it has none (REF-20)."""
        etag: str | None = self._entry.extra.get("etag")
        return etag.removeprefix("W/").strip('"') if etag else None

    @property
    def version_id(self) -> str | None:
        """The version of a referenced object in its own store, None if it has none (REF-20)."""
        return self._entry.extra.get("versionID")

    @property
    def local_path(self) -> str | None:
        """Where the file was added from, while the artifact is a draft of this process."""
        return self._artifact._source_path(self.digest)

    @property
    def birth_artifact_id(self) -> str | None:
        """`id` of the version whose upload brought the bytes, whatever its collection (SEM-4).

        None for a reference, for what a draft adds, and where nothing says it. One request each;
        `to_manifest_json` asks for many at once.
        """
        return _births(self._artifact, [self._entry]).get(self.digest)

    @property
    def skip_cache(self) -> bool:
        """W&B's; always False, whatever was passed: content is stored once and nothing skipped."""
        return False

    def download(self, root: str | None = None, skip_cache: bool | None = None) -> str:
        """Fetch this one file and return its path."""
        return self.parent_artifact()._download_entry(self._entry, root)

    def ref_target(self) -> str:
        """Return where a reference leads; raises ValueError for a stored file."""
        if self._entry.ref is None:
            raise Invalid(f"{self.path} is a stored file, not a reference")
        return self._entry.ref

    def ref_url(self) -> str:
        """Return a URL that `add_reference` of another artifact accepts."""
        artifact = self.parent_artifact()
        return f"lineal-artifact://{artifact.source_qualified_name}/{self.path}"

    def parent_artifact(self) -> Artifact:
        if self._artifact.is_draft():
            raise Invalid(f"{self.path} belongs to no logged artifact yet")
        return self._artifact

    def to_json(self) -> dict[str, Any]:
        """Return the entry as it is in the JSON form of the manifest (MAN-3)."""
        return _json(self._entry, self.birth_artifact_id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ManifestEntry) and self._entry == other._entry

    def __hash__(self) -> int:
        return hash((self.path, self.digest, self.ref))

    def __repr__(self) -> str:
        return f"<ManifestEntry {self.path} {self.digest} {self.size} bytes>"


class Entries(Mapping[str, ManifestEntry]):
    """Path → entry, sorted by path; holds one segment at a time."""

    def __init__(self, contents: Contents, artifact: Artifact) -> None:
        self._contents = contents
        self._artifact = artifact

    def __getitem__(self, path: str) -> ManifestEntry:
        # as a dict does: what is no text is no key of it
        entry = self._contents.get(path) if isinstance(path, str) else None
        if entry is None:
            raise KeyError(path)
        return ManifestEntry(entry, self._artifact)

    def __len__(self) -> int:
        return len(self._contents)

    def __iter__(self) -> Iterator[str]:
        return (entry.path for entry in self._contents)

    def values(self) -> Any:  # Mapping.values would look every path up again
        return _Streamed(self, lambda entry: ManifestEntry(entry, self._artifact))

    def items(self) -> Any:
        return _Streamed(self, lambda entry: (entry.path, ManifestEntry(entry, self._artifact)))

    def under(self, folder: str) -> list[ManifestEntry]:
        """Return the entries below a folder, sorted by path, without reading the others."""
        return [ManifestEntry(entry, self._artifact) for entry in self._contents.under(folder)]

    def __reduce__(self) -> tuple[Any, ...]:
        """Send them along with their artifact, which is to be logged."""
        return attrgetter("manifest.entries"), (self._artifact,)

    def __repr__(self) -> str:
        return f"<{len(self)} entries>"


class _Streamed(Iterable[Any]):
    """A view that may be walked any number of times."""

    def __init__(self, entries: Entries, shown: Any) -> None:
        self._entries, self._shown = entries, shown

    def __iter__(self) -> Iterator[Any]:
        return map(self._shown, iter(self._entries._contents))

    def __len__(self) -> int:
        return len(self._entries)


class Manifest:
    """All entries of an artifact."""

    def __init__(self, contents: Contents, artifact: Artifact) -> None:
        self.entries = Entries(contents, artifact)
        self._artifact = artifact

    def __len__(self) -> int:
        return len(self.entries)

    def digest(self) -> Digest:
        """Return the `digest` of the artifact."""
        return self._artifact.digest

    def size(self) -> int:
        """Return the bytes of all entries, references included."""
        return self._artifact.size

    def get_entry_by_path(self, path: str | os.PathLike[str]) -> ManifestEntry | None:
        return self.entries.get(file_paths.path_text(path))

    def get_entries_in_directory(self, directory: str | os.PathLike[str]) -> list[ManifestEntry]:
        return self.entries.under(file_paths.path_text(directory).rstrip("/"))

    def to_manifest_json(self) -> dict[str, Any]:
        """Return the whole manifest as one JSON object (MAN-3)."""
        artifact, contents = self._artifact, iter(self.entries._contents)
        shown: dict[str, dict[str, Any]] = {}
        while batch := list(islice(contents, BATCH)):
            births = _births(artifact, batch)
            shown.update((each.path, _json(each, births.get(each.digest))) for each in batch)
        return {
            "version": JSON_VERSION,
            "storagePolicy": STORAGE_POLICY,
            "storagePolicyConfig": {"storageLayout": STORAGE_LAYOUT},
            "contents": shown,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        """Send it along with its artifact, which is to be logged."""
        return attrgetter("manifest"), (self._artifact,)

    def __repr__(self) -> str:
        return f"<Manifest of {len(self)} entries>"


def _births(artifact: Artifact, entries: Iterable[Entry]) -> dict[Digest, str]:
    """Return by digest which version brought the bytes; a draft has those of its base."""
    version = artifact._base if artifact.is_draft() else artifact._stored
    digests = [entry.digest for entry in entries if entry.ref is None]
    if version is None or not digests:
        return {}
    born = version.backend.births(version.record.id, digests)
    return {digest: str(version_id) for digest, version_id in born.items()}


def _json(entry: Entry, birth_artifact_id: str | None) -> dict[str, Any]:
    fields: dict[str, Any] = {"digest": entry.digest, "size": entry.size}
    if entry.ref is not None:
        fields["ref"] = entry.ref
    if birth_artifact_id is not None and entry.ref is None:  # a stored file may have its digest
        fields["birthArtifactID"] = birth_artifact_id
    if entry.extra:
        fields["extra"] = dict(entry.extra)
    return fields
