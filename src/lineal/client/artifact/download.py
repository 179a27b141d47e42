"""Fetching the files of a version into a folder.

A file appears as a whole once its bytes have the promised digest, and so does a new folder with
the small files that are in it (`files/new_folder.py`). What is there already is skipped by digest,
never by size (STO-3). Nothing outside the folder is touched, nothing in it is removed except by
`checkout`, and what is left of downloads that were killed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from itertools import count as numbers
from itertools import islice
from typing import TypeVar

from lineal.client import term
from lineal.client.artifact.folder import is_empty_folder, lowest, make_root
from lineal.client.artifact.turns import turn
from lineal.client.backend import Backend
from lineal.client.cache import FETCHED, FILES, DigestCache, Known, now_ns
from lineal.client.references import References
from lineal.client.references.scheme import has_checked_content, identity, is_unchecked
from lineal.collector import seldom_collected
from lineal.config import absolute_path
from lineal.core import file_paths
from lineal.core.digest import PREFIX, Digest, check_stored, of_bytes
from lineal.core.manifest import Entry
from lineal.core.records import VersionId
from lineal.core.transfers import Location
from lineal.errors import (
    Denied,
    IntegrityError,
    InTheWay,
    Invalid,
    LinealError,
    MissingFile,
    NoSpace,
    Unavailable,
)
from lineal.files.copying import copy_and_hash
from lineal.files.folders import make_folders
from lineal.files.new_folder import NewFolder
from lineal.files.parts import new_stem, remove_old_parts
from lineal.files.reading import SMALL_BYTES, Advance, hash_file, read_small
from lineal.files.refusals import room_on
from lineal.files.stamps import Stamp
from lineal.files.writing import write_stream, write_whole
from lineal.interrupts import deferred
from lineal.packs import InTurn
from lineal.parallel import in_parallel, large_in_parallel

BATCH = 5_000
"""Files located in one request."""
NOTED_FILES = 1_000
NOTED_BYTES = 1 << 30
"""Fetched files are noted after either, as what a killed download fetched since is read again."""
CHUNK_BYTES = 1 << 20
REFERENCE_THREADS = 16
"""Objects fetched from elsewhere at once."""
PLACE_ATTEMPTS = 3
"""Of fetching a file that others remove on its way."""
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS}
_IN_THE_WAY = (IsADirectoryError, NotADirectoryError, FileExistsError)

_WITHOUT_IT = (
    "; `artifact.download(allow_missing_references=True)`, or `lineal artifact get "
    "--allow-missing-references`, goes without it"
)

LINKS: dict[str, Callable[[str, str], None]] = {"hard": os.link, "symbolic": os.symlink}
"""Ways to have a stored file in a folder without a second copy (STO-5)."""

T = TypeVar("T")


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
        self._is_of_one = False
        self._folders: dict[tuple[str, str], Known] = {}
        self._fresh: list[tuple[str, Stamp, Digest]] = []
        self._fresh_bytes = 0
        self._found: list[tuple[str, Stamp, Digest]] = []
        """Files that were there and were read; their owner may be writing to them."""
        self._fetched: list[tuple[str, Stamp, Digest]] = []
        """Files that came from elsewhere, each with `identity` of its entry."""
        self._part = new_stem()
        self._numbers = numbers()
        self._tidied: set[str] = set()
        """Folders in which nothing is left of downloads that were killed long ago."""
        self._packs = InTurn()
        self._is_own_root = not os.path.lexists(self._root)
        """Whether nothing was there before, so that another folder may take its place."""
        self._may_fill = False
        """Whether new folders in it are made here."""
        self._filled: NewFolder | None = None
        self._last_folder = ""
        """Where the last packed file went."""

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
        self._is_of_one = count == 1
        is_empty = is_empty_folder(self._root)
        self._may_fill = is_empty and not self._is_of_one
        wanted = ((entry, self.path_of(entry)) for entry in entries)
        with term.progress("downloading", files=count, size=size) as progress:
            while batch := list(islice(wanted, BATCH)):
                read_at = now_ns()
                try:
                    self._batch(batch, progress, is_empty=is_empty)
                finally:  # what was fetched before a failure is not fetched again
                    self._end_folder()
                    self._remember(read_at)

    def _remember(self, read_at_ns: int) -> None:
        self._remember_fresh()
        self._cache.remember(self._found, read_at_ns=read_at_ns)
        self._cache.remember(self._fetched, read_at_ns=None, table=FETCHED)
        self._found, self._fetched = [], []
        self._folders.clear()

    def _remember_fresh(self) -> None:
        self._cache.remember(self._fresh, read_at_ns=None)
        self._fresh, self._fresh_bytes = [], 0

    def _batch(
        self, batch: list[tuple[Entry, str]], progress: term.Progress, *, is_empty: bool
    ) -> None:
        missing = []
        for entry, target in batch:
            if not is_empty and self._is_there(entry, target):
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
            self._note(entry, target, stamp)
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

    def _is_there(self, entry: Entry, target: str) -> bool:
        try:
            stamp = Stamp.of(os.stat(target))
        except OSError:  # whatever is there instead, such as a link loop: writing will tell
            return False
        if has_checked_content(entry):
            return self._known(target, FETCHED) == (stamp, identity(entry))
        if stamp.size != entry.size:
            return False
        if self._known(target, FILES) == (stamp, entry.digest):
            return True
        try:
            if PREFIX + hash_file(target).hex_digest != entry.digest:
                return False
        except (MissingFile, Unavailable):  # no file, or it may not be read: writing will tell
            return False
        self._found.append((target, stamp, entry.digest))
        return True

    def _known(self, target: str, table: str) -> tuple[Stamp, Digest] | None:
        if self._is_of_one:  # others of its folder may be fetched like this, too, one by one
            return self._cache.of_file(target, table)
        folder, name = os.path.split(target)
        if (folder, table) not in self._folders:
            self._folders[folder, table] = self._cache.of_folder(folder, table)
        return self._folders[folder, table].get(name)

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
            self._place(target, partial(fetch, entry, location, file), stored=entry)
            stamp = Stamp.at(target)
        else:
            check_stored(of_bytes(data), entry.digest, entry.path)
            stamp = _write(target, data) if location.pack is None else self._put(target, data)
        file.done(entry.size)
        return stamp

    def _put(self, target: str, data: memoryview | bytes) -> Stamp:
        """Write a file that was in a pack; those of one folder come one after the other."""
        folder, _, name = target.rpartition("/")
        if folder != self._last_folder:
            self._end_folder()
            self._last_folder = folder
            if folder != self._root or self._is_own_root:
                self._tidy(os.path.dirname(folder))
                if self._may_fill and self._is_new(folder):
                    with deferred():  # else Ctrl-C may leave one that nobody knows of
                        self._filled = self._begun(folder)
        return _write(target, data) if self._filled is None else self._filled.write(name, data)

    def _is_new(self, folder: str) -> bool:
        return is_empty_folder(folder) if folder == self._root else not os.path.lexists(folder)

    def _begun(self, folder: str) -> NewFolder | None:
        above = os.path.dirname(folder)
        part = f"{above}/{self._part}-{next(self._numbers)}.part"
        try:
            return _in_folder(above, lambda: NewFolder(folder, part))
        except (OSError, LinealError):
            return None  # to write the files there will tell why

    def _end_folder(self) -> None:
        self._last_folder = ""
        if self._filled is not None:
            with deferred():  # else Ctrl-C may leave it where it is
                filled, self._filled = self._filled, None
                try:
                    filled.appear()
                except _IN_THE_WAY as error:
                    raise _in_the_way(error.filename2) from error

    def _tidy(self, folder: str) -> None:
        if folder not in self._tidied:
            self._tidied.add(folder)
            remove_old_parts(folder)

    def _note(self, entry: Entry, target: str, stamp: Stamp) -> None:
        self._fresh.append((target, stamp, entry.digest))
        self._fresh_bytes += entry.size
        if len(self._fresh) >= NOTED_FILES or self._fresh_bytes >= NOTED_BYTES:
            self._remember_fresh()

    def _fetch_reference(
        self, entry: Entry, target: str, file: term.FileProgress
    ) -> term.FileProgress:
        assert entry.ref is not None
        try:
            scheme = self._references.of(entry.ref)
            if is_unchecked(entry):
                self._warn_unchecked(entry)
            self._place(target, partial(scheme.fetch, entry, advance=file))
            if has_checked_content(entry):
                self._fetched.append((target, Stamp.at(target), identity(entry)))
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

    def _place(self, target: str, fetch: Callable[[str], str], stored: Entry | None = None) -> None:
        """Fetch to a temporary name beside the target; rename once the digest is right.

        stored: what is fetched, unless it is a reference, whose scheme has checked it.
        """
        folder, _, _ = target.rpartition("/")
        self._tidy(folder)
        part = f"{folder}/{self._part}-{next(self._numbers)}.part"
        try:
            for _ in range(PLACE_ATTEMPTS):
                hex_digest = _in_folder(folder, lambda: fetch(part))
                if stored is not None:
                    check_stored(Digest(PREFIX + hex_digest), stored.digest, stored.path)
                if os.path.lexists(part):
                    break  # else another process checks out into the folder, and removed it
            with room_on(target):
                os.replace(part, target)
        except BaseException as error:
            with suppress(OSError):  # what went wrong before says why
                os.unlink(part)
            if isinstance(error, _IN_THE_WAY):
                raise _in_the_way(target) from error
            raise


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


def _write(target: str, data: bytes | memoryview) -> Stamp:
    folder, _, _ = target.rpartition("/")
    try:
        return _in_folder(folder, lambda: write_whole(target, data, mode=0o666))
    except _IN_THE_WAY as error:
        raise _in_the_way(target) from error


def _in_folder(folder: str, write: Callable[[], T]) -> T:
    """Write something in a folder, which is made if that shows that it is missing."""
    try:
        return write()
    except FileNotFoundError as error:
        if isinstance(error, MissingFile):  # the source is missing, not the folder
            raise
        with room_on(folder):
            make_folders(folder)
        return write()


def _in_the_way(target: str) -> InTheWay:
    if os.path.isdir(target):
        what = f"{target} is a folder, and a file of the artifact belongs there"
    else:
        found = lowest(os.path.dirname(target))
        kind = "a file" if os.path.exists(found) else "a link that leads nowhere"
        what = f"{found} is {kind}, and a folder belongs there"
    return InTheWay(f"{what}; move it away, or name another folder as `root`")
