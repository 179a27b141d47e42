"""Adding local files to a draft: walk, hash, and copy what nobody has yet (ART-16…ART-21).

A mutable file is copied at once, unless the cache knows its digest: then the bytes are stored
already in all but rare cases, and where they are not, they are read again and checked.
An immutable file is only hashed.
"""

from __future__ import annotations

import atexit
import functools
import os
from array import array
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import chain
from typing import NamedTuple

from lineal.client import term
from lineal.client.artifact.contents import IMMUTABLE, MUTABLE, Added, Contents, Source
from lineal.client.artifact.patterns import Chosen
from lineal.client.artifact.staging import (
    Copied,
    Packing,
    Staging,
    number_of,
    remove_copy,
    remove_leftovers,
)
from lineal.client.artifact.walking import not_a_file, walk
from lineal.client.cache import DigestCache, now_ns
from lineal.config import Settings, absolute_path
from lineal.core import file_paths
from lineal.core.digest import PREFIX, Digest, of_bytes
from lineal.core.manifest import Entry
from lineal.errors import Invalid, NoSpace
from lineal.files.modes import set_mode
from lineal.files.reading import hash_file
from lineal.files.refusals import refusal, room_on
from lineal.files.stamps import Stamp
from lineal.files.writing import write_new
from lineal.home import home_of
from lineal.parallel import LARGE_BYTES, Threads, local_threads

EMPTY_MARKER = ".linealkeep"
"""An empty file in a folder that has nothing else, where empty folders are wanted (ART-20)."""
NAME_TAIL = 50
"""Characters of a name that a file being written keeps at its end: libraries look at them. Each may
have four bytes, and a name no more than 255."""
REMEMBER_EACH = 5_000
"""Files hashed between two writes to the digest cache: what a killed process hashes again."""
ALONE_MOST = 500
"""Small files added one by one, by whose number their copies are put into a pack: a draft of any
number of them needs few files more."""
STAGED = "lineal-staging"
"""Our folder in the `data_dir`, where other things may lie."""
COUNTED_MOST = 50_000
"""Files of an added folder up to which their bytes are added up first, for who watches: 0.3 s."""
PACKED_LEAST = 100
"""Files of an added folder from which on the small ones are copied into packs; of few, each stays
a file of its own, which other programs can read in the store."""


class Folder(NamedTuple):
    """A folder of this machine to be added, and which of its files."""

    path: str
    prefix: str
    """The folder of the artifact that they go under; empty for its top."""
    policy: str
    chosen: Chosen
    empty_dirs: bool
    """Add a marker for each folder of which nothing else is added."""


class Adder:
    """What adding needs of this process: the digest cache and the staging folder."""

    def __init__(self, cache: DigestCache, staging: Staging, pack_files_up_to: int) -> None:
        self.cache = cache
        self.staging = staging
        self.pack_files_up_to = pack_files_up_to
        self.unlogged: dict[str, str] = {}
        """Client id → name of drafts with content that no log call has taken."""
        self._owner = os.getpid()

    def close(self) -> None:
        """At the end of the process: say what was never logged (SEED-4), remove its copies."""
        if self._owner != os.getpid():
            return
        from lineal.client import process_exit  # it loads runs, which load this

        process_exit.finish_at_end()  # their uploads still need the copies
        for name, count in Counter(self.unlogged.values()).items():
            times = "" if count == 1 else f", {count:,} times"
            term.warning(
                f"artifact {name} has content but was never logged{times}; nothing was stored"
            )
        self.staging.close()
        self.cache.close()

    def add_file(
        self, contents: Contents, path: str, name: str, *, policy: str, overwrite: bool
    ) -> Entry:
        """Add one file under a name; raises Invalid if it is none (ART-16)."""
        check_policy(policy)
        source = absolute_path(path)
        if not os.path.isfile(source):
            raise not_a_file(path)
        inside = file_paths.entry_path(name)
        known = self.cache.of_file(source) if policy == MUTABLE else None
        unchanged = _unchanged(source, inside, policy, known)
        if unchanged is not None:
            return self._put(contents, *unchanged, overwrite=overwrite)
        read_at = now_ns()
        label, size = f"adding {os.path.basename(source)}", Stamp.at(source).size
        with term.progress(label, files=1, size=size) as progress:
            entry, found = self._read(source, inside, policy, progress.file())
        self._put(contents, entry, found, overwrite=overwrite)
        self.cache.remember([(source, found.stamp, entry.digest)], read_at_ns=read_at)
        return entry

    @contextmanager
    def written(self, contents: Contents, name: str, *, overwrite: bool) -> Iterator[str]:
        """Give a path to write a new file to; it is added when the block ends without error.

        The path is in the staging folder, so that nothing is copied, and ends like the name.
        """
        staged = f"{self.staging.new_path()}-{os.path.basename(name)[-NAME_TAIL:]}"
        with _undone(contents, staged):
            try:
                yield staged
            except OSError as error:
                # the block may also fail to read another file, which the error names then
                refused = refusal(staged, error)
                if refused is None or error.filename not in (None, staged):
                    raise
                raise refused from error
            with room_on(staged):
                set_mode(staged, 0o444)
            hashed = hash_file(staged)
            entry = Entry(
                file_paths.entry_path(name), Digest(PREFIX + hashed.hex_digest), hashed.size
            )
            source = Source(staged, staged, MUTABLE, hashed.stamp)
            self._put(contents, entry, source, overwrite=overwrite)

    def add_bytes(
        self, contents: Contents, data: bytes | memoryview, name: str, *, overwrite: bool
    ) -> Entry:
        """Add bytes as a file; they are written to the staging folder at once."""
        entry, source = self._made(data, file_paths.entry_path(name))
        return self._put(contents, entry, source, overwrite=overwrite)

    def add_dir(self, contents: Contents, folder: Folder, *, overwrite: bool) -> int:
        """Add all chosen files below a folder; returns how many. All or none are added."""
        check_policy(folder.policy)
        root = absolute_path(folder.path)
        if not os.path.isdir(root):
            raise _not_a_folder(folder.path)
        with term.progress(f"adding {os.path.basename(root) or root}") as progress:
            before = len(contents)
            found = self._walk(root, folder, progress)
            copies = array("Q")  # eight bytes for each of a million
            try:
                with closing(found):
                    contents.add(_noting(found, copies), overwrite=overwrite, is_folder=True)
            except BaseException:
                self.staging.drop(copies, kept=contents.copies())
                raise
        return len(contents) - before

    def pack_copies(self, contents: Contents, *, least: int = PACKED_LEAST) -> None:
        """Put the small private copies of a draft into one file, if there are so many of them."""
        if len(contents.alone) >= least:
            contents.pack_copies(self.staging.new_path())

    def _put(self, contents: Contents, entry: Entry, source: Source, *, overwrite: bool) -> Entry:
        """Put one file in; small private copies go into a pack once there are many."""
        with _undone(contents, source.staged):
            contents.add([Added(entry, source)], overwrite=overwrite)
        most = self.pack_files_up_to
        if most and source.staged is not None and entry.size <= most:
            contents.alone.append(entry.path)
            self.pack_copies(contents, least=ALONE_MOST)
        return entry

    def _made(self, data: bytes | memoryview, inside: str) -> tuple[Entry, Source]:
        """Write bytes to the staging folder as the file that has this path in the artifact."""
        staged = self.staging.new_path()
        write_new(staged, data)
        source = Source(staged, staged, MUTABLE, Stamp.at(staged))
        return Entry(inside, of_bytes(data), len(data)), source

    def _walk(self, root: str, wanted: Folder, progress: term.Progress) -> Generator[Added]:
        """Yield the files below `root`, the folder's absolute path.

        Large files are read in threads, and come when they are done.
        """
        policy = wanted.policy
        is_many, folders = _peeked(root, walk(root, wanted.chosen), progress)
        packing = None
        if is_many and policy == MUTABLE and self.pack_files_up_to:
            packing = Packing(self.staging, self.pack_files_up_to)
        fresh = _Fresh(self.cache)
        count = local_threads()
        threads = Threads[tuple[Entry, Source]](count, "lineal-files", drop=_drop_copy)
        try:
            for file in self._files(root, wanted, folders):
                if file.path is None:
                    yield Added(*self._made(b"", file.inside))
                elif unchanged := _unchanged(file.path, file.inside, policy, file.known):
                    yield Added(*unchanged)
                    progress.advance(files=1, size=unchanged[0].size)
                elif packing is not None and (packed := packing.copy(file.path)) is not None:
                    entry = Entry(file.inside, packed.digest, packed.stamp.size)
                    source = Source(file.path, packed.path, policy, packed.stamp, is_packed=True)
                    yield from fresh.noted([(entry, source)])
                    progress.advance(files=1, size=entry.size)
                else:
                    read = partial(self._read, file.path, file.inside, policy, progress.file())
                    if _size_of(file.path) < LARGE_BYTES:
                        yield from fresh.noted([read()])
                    else:
                        threads.begin(read)
                        yield from fresh.noted(threads.results(4 * count))
            yield from fresh.noted(threads.results())
            if packing is not None:
                packing.seal()
        finally:
            threads.end()
            if packing is not None:
                packing.discard()
        fresh.remember()

    def _files(
        self, root: str, wanted: Folder, folders: Iterable[tuple[str, list[str]]]
    ) -> Iterator[_File]:
        head = f"{wanted.prefix}/" if wanted.prefix else ""
        for relative_folder, names in folders:
            inner = f"{relative_folder}/" if relative_folder else ""
            below = head + inner
            if not names:
                if wanted.empty_dirs and wanted.chosen(inner + EMPTY_MARKER):
                    yield _File(None, file_paths.entry_path(below + EMPTY_MARKER), None)
                continue
            folder = os.path.join(root, relative_folder) if relative_folder else root
            known = self.cache.of_folder(folder)
            for name in names:
                inside = file_paths.entry_path(below + name)  # before a copy of it is made
                yield _File(f"{folder}/{name}", inside, known.get(name))

    def _read(
        self, path: str, inside: str, policy: str, file: term.FileProgress
    ) -> tuple[Entry, Source]:
        """Hash a file, and copy it unless it is immutable."""
        if policy == IMMUTABLE:
            hashed = hash_file(path, advance=file)
            staged, digest, stamp = None, Digest(PREFIX + hashed.hex_digest), hashed.stamp
        else:
            staged, digest, stamp = self._copied(path, file)
        file.done(stamp.size)
        return Entry(inside, digest, stamp.size), Source(path, staged, policy, stamp)

    def _copied(self, path: str, file: term.FileProgress) -> Copied:
        try:
            return self.staging.copy(path, file)
        except NoSpace as error:
            raise NoSpace(
                f'{error.message}. Nothing is copied with `policy="immutable"`, which links files '
                "that lie on the disk of the home, or by `add_reference`, which leaves them where "
                "they are"
            ) from error


def _unchanged(
    path: str, inside: str, policy: str, known: tuple[Stamp, Digest] | None
) -> tuple[Entry, Source] | None:
    """Return a file that is as the digest cache knows it; None for any other."""
    if known is None or not known[0].is_at(path):
        return None
    stamp, digest = known
    return Entry(inside, digest, stamp.size), Source(path, None, policy, stamp)


class _File(NamedTuple):
    """A file of a folder that is being added."""

    path: str | None
    """None: an empty folder, which a marker stands for."""
    inside: str
    """Its path in the artifact."""
    known: tuple[Stamp, Digest] | None


class _Fresh:
    """Files that were read just now, on their way to the digest cache."""

    def __init__(self, cache: DigestCache) -> None:
        self._cache = cache
        self._read: list[tuple[str, Stamp, Digest]] = []
        self._began = self._remembered = now_ns()

    def noted(self, read: Iterable[tuple[Entry, Source]]) -> Iterator[Added]:
        """Pass on what was read."""
        for entry, source in read:
            self._read.append((source.path, source.stamp, entry.digest))
            if len(self._read) >= REMEMBER_EACH:
                self.remember()
            yield Added(entry, source)

    def remember(self) -> None:
        # what threads were reading when this was called last comes now: it began before that
        self._cache.remember(self._read, read_at_ns=self._began)
        self._began, self._remembered, self._read = self._remembered, now_ns(), []


@contextmanager
def _undone(contents: Contents, staged: str | None) -> Iterator[None]:
    """Remove a private copy if what it was made for fails.

    Ctrl-C may come when it has just been added; then it stays.
    """
    try:
        yield
    except BaseException:
        if staged is not None and staged not in contents.copies():
            remove_copy(staged)
        raise


def _noting(found: Iterable[Added], copies: array[int]) -> Iterator[Added]:
    last = None
    for added in found:
        staged = None if added.source is None else added.source.staged
        if staged is not None and staged is not last:  # a pack holds many
            copies.append(number_of(staged))
            last = staged
        yield added


def _size_of(path: str) -> int:
    """Return a file's size; 0 if it cannot be had, which whoever reads it says better."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _drop_copy(read: tuple[Entry, Source]) -> None:
    _, source = read
    if source.staged is not None:
        remove_copy(source.staged)


def _peeked(
    root: str, folders: Iterator[tuple[str, list[str]]], progress: term.Progress
) -> tuple[bool, Iterator[tuple[str, list[str]]]]:
    """Look ahead whether so many files come that they are worth packs.

    Where somebody watches it goes on to the last of them, to say how much there is and how long it
    takes, unless there are too many to look for.
    """
    most = COUNTED_MOST if term.is_watched() else PACKED_LEAST
    ahead, count = [], 0
    for folder in folders:
        ahead.append(folder)
        count += len(folder[1])
        if count >= most:
            break
    else:
        if term.is_watched():
            progress.expect(files=count, size=sum(_sizes(root, ahead)))
    return count >= PACKED_LEAST, chain(ahead, folders)


def _sizes(root: str, folders: Iterable[tuple[str, list[str]]]) -> Iterator[int]:
    for relative, names in folders:
        for name in names:
            try:
                yield os.path.getsize(os.path.join(root, relative, name))
            except OSError:  # it is gone by now: whoever adds it says so
                continue


@functools.cache
def _adder(
    cache_folder: str, staging_folder: str, staging_variable: str, pack_files_up_to: int
) -> Adder:
    remove_leftovers(staging_folder)  # here, since a file that the cache knows is not staged
    made = Adder(
        DigestCache(cache_folder), Staging(staging_folder, staging_variable), pack_files_up_to
    )
    atexit.register(made.close)
    return made


# Another thread of the parent may have held a lock of these; its staging folder is the parent's.
os.register_at_fork(after_in_child=_adder.cache_clear)


def adder(settings: Settings) -> Adder:
    """Return this process's adder for the home, or the folders, that the settings name.

    What lies in the `data_dir` may be anybody's, so copies go into a folder of ours in there.
    """
    cache, staging = cache_and_staging(settings)
    variable = "LINEAL_DATA_DIR" if settings.data_dir else "LINEAL_HOME"
    return _adder(cache, staging, variable, settings.pack_files_up_to)


def cache_and_staging(settings: Settings) -> tuple[str, str]:
    """Return the folders of the digest cache and of private copies."""
    home = home_of(settings)
    staging = os.path.join(settings.data_dir, STAGED) if settings.data_dir else home.staging
    return os.path.abspath(settings.cache_dir or home.cache), os.path.abspath(staging)


def digest_of(path: str) -> Digest:
    return Digest(PREFIX + hash_file(absolute_path(path)).hex_digest)


def check_policy(policy: str) -> None:
    if policy not in (MUTABLE, IMMUTABLE):
        raise Invalid(f"Policy {policy!r} is not known; use `mutable` or `immutable`")


def _not_a_folder(path: str) -> Invalid:
    if os.path.exists(path):
        return Invalid(f"{path} is not a folder; use add_file for a file")
    if os.path.islink(path):
        return Invalid(f"{path} is a symbolic link that leads nowhere")
    return Invalid(f"Folder {absolute_path(path)} does not exist; nothing was added")
