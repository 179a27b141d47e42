"""What `add_reference` adds to a draft: objects elsewhere, files of another artifact (REF-14)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lineal.client import references, session
from lineal.client.artifact import existing
from lineal.client.artifact.artifact import Artifact, committed
from lineal.client.artifact.base import Base
from lineal.client.artifact.contents import Added
from lineal.client.artifact.draft import DraftMethods
from lineal.client.artifact.manifest import ManifestEntry
from lineal.core.records import VersionId
from lineal.errors import Invalid


class Referred(NamedTuple):
    """A version that entries were taken over from, as it was named or given."""

    named: str | VersionId
    given: Artifact | None
    base: Base


def add(
    draft: DraftMethods, uri: str | ManifestEntry, wanted: references.Wanted
) -> Sequence[ManifestEntry]:
    """Add the entries that a URI makes, all or none; of another artifact, those of its version."""
    given = uri.parent_artifact() if isinstance(uri, ManifestEntry) else None
    text = _uri(uri)
    if text.partition("://")[0] in references.ARTIFACT_SCHEMES:
        added = _taken_over(draft, text, wanted, given)
    else:
        added = references.added(draft._references, text, wanted)
    made = references.Made()
    draft._contents.add(made.noting(added))
    return made.shown(draft._shown)


def _taken_over(
    draft: DraftMethods, uri: str, wanted: references.Wanted, given: Artifact | None
) -> Iterator[Added]:
    place = references.artifacts.parse(uri)
    last = draft._referred
    if last is not None and (last.named, last.given) == (place.version, given):
        return references.shared(uri, last.base, place.path, wanted)
    run = session.latest_run()
    backend = session.open_backend(draft._settings) if run is None else run.backend
    if given is None:
        record = references.artifacts.resolve(place, backend, draft._settings)
    else:
        record = existing.version_of(backend, given.source_artifact)
    base = committed(backend, record)._contents.base
    draft._sources |= {record.id}
    is_fixed = references.artifacts.is_fixed(place)
    draft._referred = Referred(place.version, given, base) if is_fixed else None
    return references.shared(uri, base, place.path, wanted)


def _uri(uri: object) -> str:
    """Return what `add_reference` is given as a URI whose scheme is in small letters."""
    if isinstance(uri, ManifestEntry):
        return uri.ref_url()
    if isinstance(uri, os.PathLike):
        raise TypeError(
            f"add_reference takes a URI, not {uri!r}; give `path.absolute().as_uri()`, or add the "
            "file itself with `add_file`"
        )
    if not isinstance(uri, str):
        raise TypeError(
            f"add_reference takes a URI such as `s3://bucket/key`, or an entry of another "
            f"artifact, not {uri!r}"
        )
    try:
        uri.encode()
    except UnicodeEncodeError as error:
        raise Invalid(
            f"{uri!r} is not valid Unicode, and so no URI; a file has one as `path.as_uri()`"
        ) from error
    scheme, colon, rest = uri.partition("://")
    return f"{scheme.lower()}{colon}{rest}" if colon else uri
