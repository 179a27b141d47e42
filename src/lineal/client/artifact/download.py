"""Fetching the files of a version into a folder.

A file appears as a whole once its bytes have the promised digest, and so does a new folder with
the small files that are in it (`landing.py`). What is there already is not fetched again
(`known_files.py`). Nothing outside the folder is touched, nothing in it is removed except by
`checkout`, and what is left of downloads that were killed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import islice

from lineal.client import term
from lineal.client.artifact.folder import is_empty_folder, make_root
from lineal.client.artifact.known_files import KnownFiles
from lineal.client.artifact.landing import Landing, write
from lineal.client.artifact.turns import turn
from lineal.client.backend import Backend
from lineal.client.cache import DigestCache, now_ns
from lineal.client.references import References
from lineal.client.references.scheme import has_checked_content, is_unchecked
from lineal.collector import seldom_collected
from lineal.config import absolute_path
from lineal.core import file_paths
from lineal.core.digest import Digest, check_stored, of_bytes
from lineal.core.manifest import Entry
from lineal.core.records import VersionId
from lineal.core.transfers import Location
from lineal.errors import (
    Denied,
    IntegrityError,
    Invalid,
    LinealError,
    MissingFile,
    NoSpace,
    Unavailable,
)
from lineal.files.copying import copy_and_hash
from lineal.files.reading import SMALL_BYTES, Advance, hash_file, read_small
from lineal.files.refusals import room_on
from lineal.files.stamps import Stamp
from lineal.files.writing import write_stream
from lineal.packs import InTurn
from lineal.parallel import in_parallel, large_in_parallel

BATCH = 5_000
"""Files located in one request."""
CHUNK_BYTES = 1 << 20
REFERENCE_THREADS = 16
"""Objects fetched from elsewhere at once."""
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS}

_WITHOUT_IT = (
    "; `artifact.download(allow_missing_references=True)`, or `lineal artifact get "
    "--allow-missing-references`, goes without it"
)

LINKS: dict[str, Callable[[str, str], None]] = {"hard": os.link, "symbolic": os.symlink}
"""Ways to have a stored file in a folder without a second copy (STO-5)."""


class Download:
    """One version being brought to one folder."""

    def __init__(
        self,
        backend: Backend,
        version: VersionId,
        root: str,
        cache: DigestCache,
        *,
        references: References,
        allow_missing_references: bool = False,
        link: str | None = None,
    ) -> None:
        if link is not None and link not in tuple(LINKS):
            raise Invalid(f"link cannot be {link!r}; use {' or '.join(LINKS)}, or None to copy")
        self._link = link
        self._backend = backend
        self._version = version
        self._root = absolute_path(root)
        self._cache = cache
        self._references = references
        self._allow_missing_references = allow_missing_references
        self._has_warned = False
        self._known = KnownFiles(cache)
        self._packs = InTurn()
        self._landing = Landing(self._root)

    def run(self, entries: Iterable[Entry], *, count: int, size: int) -> None:
        """Fetch the entries; a second call after a failure fetches only what is missing."""
        with turn(self._cache.folder, self._root, str(self._version)):
            self._run(entries, count=count, size=size)

    def one(self, entry: Entry) -> str:
        """Fetch a single entry and return its path."""
        with turn(self._cache.folder, self._root, str(self._version), entry.path):
            self._run([entry], count=1, size=entry.size)
        return self.path_of(entry)

    @seldom_collected()
    def _run(self, entries: Iterable[Entry], *, count: int, size: int) -> None:
        make_root(self._root)
        self._known.looks_at_one = count == 1
        is_empty = is_empty_folder(self._root)
        self._landing.makes_folders = is_empty and count > 1
        wanted = ((entry, self.path_of(entry)) for entry in entries)
        with term.progress("downloading", files=count, size=size) as progress:
            while batch := list(islice(wanted, BATCH)):
                read_at = now_ns()
                try:
                    self._batch(batch, progress, is_empty=is_empty)
                finally:  # what was fetched before a failure is not fetched again
                    self._landing.end_folder()
                    self._known.remember(read_at)

    def _batch(
        self, batch: list[tuple[Entry, str]], progress: term.Progress, *, is_empty: bool
    ) -> None:
        missing = []
        for entry, target in batch:
            if not is_empty and self._known.has(entry, target):
                progress.advance(files=1, size=entry.size)
            else:
                missing.append((entry, target))
        stored = [entry.digest for entry, _ in missing if entry.ref is None]
        locations = self._backend.locate(self._version, stored) if stored else {}
        wanted = (
            (entry, target, self._located(entry, locations))
            for entry, target in missing
            if entry.ref is None
        )
        for (entry, target, _), stamp in large_in_parallel(
            lambda each: self._fetch(*each, progress.file()), wanted, _loose_bytes
        ):
            self._known.add(entry, target, stamp)
        elsewhere = [(entry, target) for entry, target in missing if entry.ref is not None]
        if elsewhere:
            for (entry, _), file in in_parallel(
                lambda pair: self._fetch_reference(*pair, progress.file()),
                elsewhere,
                threads=REFERENCE_THREADS,
            ):
                file.done(entry.size)

    def path_of(self, entry: Entry) -> str:
        """Return where an entry goes, or is once it was fetched."""
        return f"{self._root}/{file_paths.entry_path(entry.path)}"

    def _located(self, entry: Entry, locations: Mapping[Digest, Location]) -> Location:
        location = locations.get(entry.digest)
        if location is None:
            raise MissingFile(
                f"The bytes of {entry.path} ({entry.digest}) in {self._name()} are not stored any "
                "more; `lineal verify` says what else is affected"
            )
        return location

    def _fetch(
        self, entry: Entry, target: str, location: Location, file: term.FileProgress
    ) -> Stamp:
        link = self._link if location.path is not None else None
        data = None if link is not None else self._small(entry, location)
        if data is None:
            fetch = self._copy if link is None else partial(self._linked, link)
            self._landing.place(target, partial(fetch, entry, location, file), stored=entry)
            stamp = Stamp.at(target)
        else:
            check_stored(of_bytes(data), entry.digest, entry.path)
            put = write if location.pack is None else self._landing.put_packed
            stamp = put(target, data)
        file.done(entry.size)
        return stamp

    def _fetch_reference(
        self, entry: Entry, target: str, file: term.FileProgress
    ) -> term.FileProgress:
        assert entry.ref is not None
        try:
            scheme = self._references.of(entry.ref)
            if is_unchecked(entry):
                self._warn_unchecked(entry)
            self._landing.place(target, partial(scheme.fetch, entry, advance=file))
            if has_checked_content(entry):
                self._known.add_reference(entry, target)
        except (MissingFile, Invalid) as error:  # nothing is there, or nobody here could look
            named = _of_reference(entry, error)
            if not self._allow_missing_references:
                raise type(named)(named.message + _WITHOUT_IT) from error
            term.warning(f"{named}; skipped")
        except (Denied, Unavailable) as error:
            raise _of_reference(entry, error) from error
        return file

    def _warn_unchecked(self, entry: Entry) -> None:
        """Say once per download that what comes may not be what was meant (REF-4)."""
        if not self._has_warned:
            self._has_warned = True
            term.warning(
                f"{entry.path} was recorded without a checksum, and maybe others: what is there "
                "now is downloaded, and nothing says that it is the same"
            )

    def _copy(self, entry: Entry, location: Location, advance: Advance, part: str) -> str:
        if location.path is not None:
            try:
                return copy_and_hash(location.path, part, mode=0o666, advance=advance).hex_digest
            except MissingFile as error:
                raise self._lost(entry, location) from error
        with self._backend.open(location) as source:
            return write_stream(source, part, CHUNK_BYTES, advance=advance)

    def _linked(
        self, link: str, entry: Entry, location: Location, advance: Advance, part: str
    ) -> str:
        """Check a stored file and link it; where that cannot be, copy it."""
        assert location.path is not None
        try:
            hex_digest = hash_file(location.path, advance=advance).hex_digest
        except MissingFile as error:
            raise self._lost(entry, location) from error
        try:
            LINKS[link](location.path, part)
        except OSError as error:
            if error.errno not in _NO_LINK:
                with room_on(part):
                    raise
            is_first, self._link = self._link is not None, None
            if is_first:
                term.warning(f"files are copied, as they cannot be linked here: {error.strerror}")
            return self._copy(entry, location, advance, part)
        return hex_digest

    def _small(self, entry: Entry, location: Location) -> bytes | memoryview | None:
        """Return the bytes of a small blob of this machine; None for any other."""
        if location.pack is not None:
            return self._packed(entry, location, location.pack)
        if location.path is None or location.size > SMALL_BYTES:
            return None
        try:
            read = read_small(location.path, SMALL_BYTES)
        except MissingFile as error:
            raise self._lost(entry, location) from error
        return None if read is None else read[0]

    def _packed(self, entry: Entry, location: Location, path: str) -> memoryview:
        try:
            return self._packs.file(path, location.offset, location.size)
        except MissingFile as error:
            raise self._lost(entry, location) from error

    def _lost(self, entry: Entry, location: Location) -> IntegrityError:
        return IntegrityError(
            f"The store has lost {location.key}, the bytes of {entry.path} in {self._name()}; "
            "`lineal verify` says what else is affected"
        )

    def _name(self) -> str:
        return self._backend.version_by_id(self._version).path


def _of_reference(entry: Entry, error: LinealError) -> LinealError:
    """Say which file of the artifact did not come, and that the others need not again."""
    if isinstance(error, NoSpace) or f"Reference {entry.path} " in error.message:
        return error
    end = ""
    if isinstance(error, Unavailable):
        end = ". Download it again once that is mended; what is there is not fetched again"
    return type(error)(f"Reference {entry.path} was not fetched: {error.message}{end}")


def _loose_bytes(wanted: tuple[Entry, str, Location]) -> int:
    """Return the size of a file; 0 for one in a pack, whose files are read in turn."""
    entry, _, location = wanted
    return entry.size if location.pack is None else 0
