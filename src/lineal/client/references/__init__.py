"""References: entries whose bytes live elsewhere. Never reachable from a server process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lineal.client import term
from lineal.client.contents import Added
from lineal.client.references import local
from lineal.core import names
from lineal.core.digest import Digest
from lineal.core.manifest import Entry
from lineal.errors import Invalid

if TYPE_CHECKING:
    from lineal.client.manifest import ManifestEntry

ARTIFACT_SCHEMES = ("lineal-artifact", "wandb-artifact")
NOT_YET = ("s3", "gs", "http", "https", "az", "abfs", "abfss")
"""Schemes whose versions and checksums are worth recording; a bare URI would be recorded wrong."""


def added(
    uri: str | ManifestEntry,
    name: str | None,
    *,
    checksum: bool,
    max_objects: int,
    resolve: Callable[[str], Entry],
) -> Iterator[Added]:
    """Yield the entries that a reference makes; see `Artifact.add_reference`.

    resolve: finds the entry that the URL of another artifact's file means.
    """
    if not isinstance(uri, str):
        yield _shared(uri._entry, name)
        return
    scheme = urlsplit(uri).scheme
    if not scheme or "://" not in uri:
        raise Invalid(f"{uri!r} has no scheme; write file://{uri} for a local file (REF-2)")
    if scheme == local.SCHEME:
        yield from local.added(uri, name, checksum=checksum, max_objects=max_objects)
    elif scheme in ARTIFACT_SCHEMES:
        yield _shared(resolve(uri), name)
    elif scheme in NOT_YET:
        raise Invalid(
            f"References to {scheme}:// cannot be recorded with their versions yet; "
            "add the files, or mount them and use file://"
        )
    else:
        yield _unknown(uri, name)


def _shared(entry: Entry, name: str | None) -> Added:
    """Take over an entry of another artifact: stored bytes are shared, references stay so."""
    path = names.entry_path(name or entry.path.rpartition("/")[2])
    return Added(entry._replace(path=path), None)


def _unknown(uri: str, name: str | None) -> Added:
    """Record a URI that nobody here can read (REF-15)."""
    if name is None:
        raise Invalid(f"A reference to {uri} needs a name: add_reference(uri, name=…)")
    term.warning(f"{uri} is recorded as it is: its scheme is unknown, nothing can be checked")
    return Added(Entry(names.entry_path(name), Digest(uri), 0, uri), None)
