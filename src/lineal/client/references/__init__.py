"""References: entries whose bytes live elsewhere. Never reachable from a server process.

Here is what all schemes have in common: names inside the artifact, limits, globs, and what is
refused. How a store is read is one module per scheme, behind the seam in `scheme.py`.
"""

from __future__ import annotations

import functools
import importlib
import os
import re
import threading
from collections.abc import Iterator
from typing import NamedTuple

from lineal.client import term
from lineal.client.artifact.base import Base
from lineal.client.artifact.contents import Added
from lineal.client.artifact.patterns import Chosen
from lineal.client.references import anyfs, artifacts, secret
from lineal.client.references.made import Made as Made
from lineal.client.references.scheme import Found, Listing, Scheme, extra, is_unchecked
from lineal.core import file_paths
from lineal.core.digest import Digest
from lineal.core.manifest import Entry
from lineal.errors import HostilePath, Invalid, Unavailable

ARTIFACT_SCHEMES = artifacts.SCHEMES
MODULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile("(file|local)://"), "local"),
    (re.compile("s3://"), "s3"),
    (re.compile("gc?s://"), "gcs"),
    (re.compile("https?://"), "web"),
)
"""Which module reads a URI that is not Azure's. Each has `opened(timeout_seconds)`, and all but
`local` have `name(uri)`: what one object is called, without asking anybody."""
NEEDED = {"az": "adlfs", "abfs": "adlfs", "abfss": "adlfs"}
"""What reads schemes whose checksums are worth recording; a bare URI would be recorded wrong."""


class Wanted(NamedTuple):
    """What `Artifact.add_reference` was asked for, beside the URI."""

    name: str | None
    checksum: bool
    max_objects: int
    chosen: Chosen
    """Asked with names relative to the folder or prefix."""
    is_selective: bool
    """Whether `include` or `exclude` was given."""


class References:
    """The schemes of one process, each loaded when a URI first asks for it."""

    def __init__(self, *, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._schemes: dict[str, Scheme] = {}
        self._lock = threading.Lock()

    def reads(self, uri: str) -> bool:
        return _module(uri) is not None

    def of(self, uri: str) -> Scheme:
        """Return what reads a URI; raises Invalid for a scheme that nobody here can read."""
        name = _module(uri)
        if name is None:
            opens = "://" if "://" in uri else ":"
            raise Invalid(
                f"{secret.shown(uri)} cannot be read: nothing installed here knows "
                f"{_scheme(uri)}{opens}; pip install fsspec and what knows it, or fetch it by hand"
            )
        with self._lock:
            if name not in self._schemes:
                module = importlib.import_module(f"{__name__}.{name}")
                self._schemes[name] = module.opened(self._timeout_seconds)
            return self._schemes[name]


@functools.cache
def opened(timeout_seconds: float) -> References:
    """Return this process's references; connections are shared by all that is done."""
    return References(timeout_seconds=timeout_seconds)


# Another thread of the parent may have held a lock, and connections are the parent's.
os.register_at_fork(after_in_child=opened.cache_clear)


def added(references: References, uri: str, wanted: Wanted) -> Iterator[Added]:
    """Yield the entries that a URI makes, streamed; see `Artifact.add_reference`."""
    if not _scheme(uri) or ("://" not in uri and not _is_opaque(references, uri)):
        raise _no_uri(references, uri)
    secret.refuse(uri)
    if references.reads(uri):
        return _entries(uri, _listing(references, uri, wanted), wanted)
    if _scheme(uri) in NEEDED:
        raise Unavailable(
            f"References to {_scheme(uri)}:// need {NEEDED[_scheme(uri)]}: "
            f"pip install fsspec {NEEDED[_scheme(uri)]}"
        )
    return iter([_unknown(uri, wanted.name)])


def shared(uri: str, base: Base, path: str, wanted: Wanted) -> Iterator[Added]:
    """Yield entries of another artifact, of a file, a folder or all of it (REF-14).

    Stored bytes are shared, references stay references.
    """
    is_folder, found = artifacts.taken_over(base, path, uri)
    objects = (artifacts.found(name, entry) for name, entry in found)
    return _entries(uri, Listing(is_folder, objects), wanted)


def _listing(references: References, uri: str, wanted: Wanted) -> Listing:
    module = _module(uri)
    if wanted.checksum or module == "local":
        return references.of(uri).listing(uri, checksum=wanted.checksum, chosen=wanted.chosen)
    if uri.endswith("/") and module != "web":
        term.warning(
            f"{uri} is recorded as one reference, as nobody is asked without checksum: what is in "
            "it can be neither listed nor downloaded"
        )
    name = importlib.import_module(f"{__name__}.{module}").name(uri)
    return Listing(False, iter([Found(name, uri, Digest(uri), 0, extra(None, None))]))


def _entries(uri: str, listing: Listing, wanted: Wanted) -> Iterator[Added]:
    count = 0
    for found in listing.found:
        if not wanted.chosen(found.name):
            continue
        count += 1
        if count > wanted.max_objects:
            raise Invalid(
                f"{uri} holds more than max_objects={wanted.max_objects} files; nothing was added"
            )
        path = _path(uri, found.name, wanted.name, is_folder=listing.is_folder)
        yield Added(Entry(path, found.digest, found.size, found.ref or None, found.extra), None)
    if count == 0:
        which = " that `include` and `exclude` leave" if wanted.is_selective else ""
        raise Invalid(f"{uri} holds no files{which}; a reference to nothing is an error")


def _path(uri: str, found: str, name: str | None, *, is_folder: bool) -> str:
    """Return the name inside the artifact (REF-3)."""
    if name is not None and not is_folder:
        return file_paths.entry_path(name)
    folder = file_paths.folder_path(name)
    try:
        return file_paths.entry_path(f"{folder}/{found}" if folder else found)
    except HostilePath as error:
        raise HostilePath(
            f"{error.message} ({found!r} under {uri}); leave it out with exclude=, or add it alone "
            "under a name="
        ) from error


def _unknown(uri: str, name: str | None) -> Added:
    """Record a URI that nobody here can read (REF-15)."""
    if name is None:
        raise Invalid(
            f"A reference to {uri} needs a name, since nothing here knows its scheme: "
            "add_reference(uri, name=…), or `--as NAME` of `lineal artifact put`"
        )
    term.warning(f"{uri} is recorded as it is: its scheme is unknown, nothing can be checked")
    return Added(Entry(file_paths.entry_path(name), Digest(uri), 0, uri), None)


def known_size(entry: Entry) -> int | None:
    """Return the bytes of an entry, None where a reference does not know (`Entry.size`).

    That is where nothing was asked (REF-4), or a web server did not say.
    """
    if entry.size or entry.ref is None:
        return entry.size
    return None if is_unchecked(entry) or _module(entry.ref) == "web" else 0


def _is_opaque(references: References, uri: str) -> bool:
    """Say whether it is a name in a scheme without slashes, such as `doi:10.5281/zenodo.1`."""
    scheme = _scheme(uri)
    rest = uri[len(scheme) + 1 :]
    if len(scheme) < 2 or not rest or rest.startswith("/"):  # one letter is a drive of Windows
        return False
    is_known = references.reads(f"{scheme}://") or scheme in NEEDED or scheme in ARTIFACT_SCHEMES
    return not is_known and not os.path.lexists(uri)


def _no_uri(references: References, uri: str) -> Invalid:
    scheme = _scheme(uri)
    rest = uri[len(scheme) + 1 :].lstrip("/")
    if scheme and uri[len(scheme) + 1 :].startswith("/"):  # a path made of a URI loses a slash
        written = f"file:///{rest}" if scheme == "file" else f"{scheme}://{rest}"
        return Invalid(f"{uri!r} lacks a slash behind its scheme; write {written}")
    if rest and references.reads(f"{scheme}://") and not os.path.lexists(uri):
        return Invalid(f"{uri!r} lacks the slashes behind its scheme; write {scheme}://{rest}")
    local = f"file://{os.path.abspath(uri)}"
    return Invalid(f"{uri!r} has no scheme; write {local} for a local file")


def _module(uri: str) -> str | None:
    if uri.startswith("http"):
        from lineal.client.references import azure  # few processes refer to anything

        if azure.reads(uri):
            return "azure"
    own = next((module for pattern, module in MODULES if pattern.match(uri)), None)
    return own or ("anyfs" if anyfs.knows(_scheme(uri)) else None)


def _scheme(uri: str) -> str:
    return secret.split(uri).scheme
