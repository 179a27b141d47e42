"""The files of a run or of an artifact as objects to list, look at and fetch (ART-35, API-10)."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, TextIO

from lineal.client.backend import Backend
from lineal.client.known_attributes import KnownAttributes
from lineal.client.public.lists import PAGE_SIZE, LazyList
from lineal.client.values import iso
from lineal.core import file_paths, names
from lineal.core.digest import Digest, check_stored, is_content, of_hash
from lineal.core.manifest import (
    Entry,
    ManifestHead,
    SegmentHead,
    decode_entries,
    segment_of,
)
from lineal.core.records import (
    Page,
    PageRequest,
    RunFileRecord,
    RunRecord,
    VersionId,
    VersionRecord,
)
from lineal.core.transfers import Location
from lineal.errors import (
    FileExists,
    InTheWay,
    Invalid,
    MissingFile,
    UsageError,
)
from lineal.files.folders import make_folders
from lineal.files.parts import new_stem, remove_old_parts
from lineal.files.refusals import room_on

CHUNK_BYTES = 1 << 20

Locate = Callable[[Sequence[Digest]], dict[Digest, Location]]


class File(KnownAttributes):
    """One file; its bytes move only when `download` or `md5` ask for them."""

    _plain_attributes = frozenset({"name", "digest", "size", "updated_at", "ref"})

    def __init__(
        self,
        backend: Backend,
        *,
        name: str,
        owner: str,
        digest: Digest,
        size: int,
        updated_at: str,
        locate: Locate,
        tidied: set[str],
        ref: str | None = None,
        fetch: Callable[[str], object] | None = None,
        remove: Callable[[], None] | None = None,
    ) -> None:
        """owner: full name of the run or artifact. locate: finds its blobs.

        tidied: folders where it was looked for what killed downloads left, shared with the other
        files of a list or run.
        ref: where a reference leads. fetch: brings it into a folder. remove: deletes the file;
        None where nobody may.
        """
        self._backend = backend
        self._owner = owner
        self._locate = locate
        self._tidied = tidied
        self._fetch = fetch
        self._remove = remove
        self._md5: str | None = None
        self.name = name
        self.digest = digest
        self.size = size
        self.updated_at = updated_at
        self.ref = ref

    @property
    def id(self) -> str:
        return f"{self._owner}/{self.name}"

    @property
    def url(self) -> str:
        """Where the bytes can be read: a reference's target, else a `file://` address."""
        if self.ref is not None:
            return self.ref
        location = self._location()
        if location.pack is not None:
            where = os.path.abspath(location.pack)
            return f"file://{where}#offset={location.offset}&size={location.size}"
        if location.path is None:
            return f"{self._backend.url}/{location.key}"
        return "file://" + os.path.abspath(location.path)

    @property
    def direct_url(self) -> str:
        return self.url

    @property
    def path_uri(self) -> str:
        return self.url

    @property
    def mimetype(self) -> str:
        import mimetypes  # reads the system's tables

        guessed, _ = mimetypes.guess_type(self.name)
        return guessed or "application/octet-stream"

    @property
    def md5(self) -> str:
        """The base64 MD5 of the bytes, computed when first asked for; compatibility only."""
        if self._md5 is None:
            running = hashlib.md5(usedforsecurity=False)
            for chunk in self._chunks():
                running.update(chunk)
            self._md5 = base64.b64encode(running.digest()).decode()
        return self._md5

    def download(
        self, root: str = ".", replace: bool = False, exist_ok: bool = False, api: Any = None
    ) -> TextIO:
        """Fetch into `root`, keeping the path, and return the file, opened as text.

        An existing file is an error unless `replace` overwrites it or `exist_ok` keeps it. api is
        W&B's and does nothing here.
        Raises FileExists (a ValueError), InTheWay, IntegrityError (nothing is left behind),
        MissingFile for bytes that are gone, ReferenceChanged for a reference to others by now.
        """
        root = file_paths.local_path(root or ".")
        target = os.path.join(root, *file_paths.entry_path(self.name).split("/"))
        if os.path.exists(target) and not replace:
            if not exist_ok:
                raise FileExists(
                    f"File {target} exists; use replace=True to overwrite it or exist_ok=True "
                    "to keep it"
                )
        elif self._fetch is not None:
            self._fetch(root)
        else:
            self.write_to(target)
        return open(target, encoding="utf-8")

    def delete(self) -> None:
        """Delete a file of a run; raises UsageError for one of an artifact, which never changes."""
        if self._remove is None:
            raise UsageError(
                f"{self._owner} is a committed version and keeps its files; to leave {self.name} "
                "out, remove it from `new_draft()` and log that"
            )
        self._remove()

    def __repr__(self) -> str:
        return f"<File {self.name} ({self.mimetype}, {self.size} bytes)>"

    def write_to(self, target: str) -> None:
        """Fetch to a local path, where the file appears as a whole; errors as of `download`."""
        folder = os.path.dirname(target) or "."
        if folder not in self._tidied:  # to look through a large one takes longer than to fetch
            self._tidied.add(folder)
            remove_old_parts(folder)
        part = os.path.join(folder, f"{new_stem()}-0.part")
        with room_on(target):
            try:
                make_folders(folder)
                with open(part, "wb") as file:
                    for chunk in self._chunks():
                        file.write(chunk)
                os.replace(part, target)
            except BaseException as error:
                if os.path.exists(part):
                    os.unlink(part)
                if isinstance(error, (FileExistsError, NotADirectoryError, IsADirectoryError)):
                    raise InTheWay(
                        f"Cannot fetch {self.name} to {target}: a file is where a folder belongs, "
                        "or the reverse; move it away, or name another folder as `root`"
                    ) from error
                raise

    def _chunks(self) -> Iterator[bytes]:
        """Yield the bytes; raises IntegrityError at the end unless they have the digest."""
        running = hashlib.sha256()
        with self._backend.open(self._location()) as source:
            while chunk := source.read(CHUNK_BYTES):
                running.update(chunk)
                yield chunk
        check_stored(of_hash(running), self.digest, self.id)

    def _location(self) -> Location:
        if not is_content(self.digest) or self.ref is not None:
            raise UsageError(
                f"{self.id} is a reference to {self.ref}; its bytes are not kept here: "
                "fetch it with `download()`"
            )
        found = self._locate([self.digest]).get(self.digest)
        if found is None:
            raise MissingFile(f"The bytes of {self.id} are not stored any more")
        return found


# --- runs ---------------------------------------------------------------------------------------


def run_files(
    backend: Backend,
    run: RunRecord,
    names: str | Sequence[str] | None = None,
    pattern: str | None = None,
    *,
    per_page: int = PAGE_SIZE,
    start: str | None = None,
    tidied: set[str] | None = None,
) -> LazyList[File]:
    """List the files of a run by path; `names` keeps only these, `pattern` what is like it.

    tidied: see `File`.
    """
    owner = run.path
    wanted = _strings(names)
    if not isinstance(pattern, str | None):
        raise Invalid(f"files(pattern={pattern!r}): give a text such as `%.png`")
    if wanted and pattern:
        raise Invalid("files takes names or a pattern, not both")
    tidied = set() if tidied is None else tidied

    def make(record: RunFileRecord) -> File:
        return File(
            backend,
            name=record.path,
            owner=owner,
            digest=record.digest,
            size=record.size,
            updated_at=iso(record.updated_at),
            locate=partial(backend.locate_run_files, run.key),
            tidied=tidied,
            remove=partial(backend.delete_run_file, run.key, record.path),
        )

    return LazyList(
        lambda page: backend.run_files(run.key, page, names=wanted, pattern=pattern),
        make,
        per_page=per_page,
        start=start,
        empty=f"run {owner} has no {'such ' if wanted or pattern else ''}files",
    )


def name_below(root: str, path: str) -> str:
    """Return what a local file is called in a run; raises Invalid unless it is below the root."""
    root, path = file_paths.local_path(root), file_paths.local_path(path)
    below = os.path.relpath(path, root).replace(os.sep, "/")
    if below.startswith("../"):
        raise Invalid(f"{path} is not below root={root!r}; give as `root` a folder that it is in")
    return file_paths.entry_path(below)


# --- artifacts ----------------------------------------------------------------------------------


def artifact_files(
    backend: Backend,
    version: VersionRecord,
    names: str | Sequence[str] | None = None,
    *,
    fetch: Callable[[Entry, str], object],
    per_page: int = PAGE_SIZE,
    start: str | None = None,
) -> LazyList[File]:
    """List the files of a version by path, references included; `names` keeps only these.

    fetch: brings a reference into a folder.
    Only the segments of the pages looked at are read.
    """
    entries = _PagedEntries(backend, version.id, frozenset(_strings(names)))
    updated_at = iso(version.updated_at)
    tidied: set[str] = set()

    def make(entry: Entry) -> File:
        return File(
            backend,
            name=entry.path,
            owner=version.path,
            digest=entry.digest,
            size=entry.size,
            updated_at=updated_at,
            locate=partial(backend.locate, version.id),
            tidied=tidied,
            ref=entry.ref,
            fetch=None if entry.ref is None else partial(fetch, entry),
        )

    return LazyList(
        entries.page,
        make,
        per_page=per_page,
        start=start,
        empty=f"artifact {version.path} has no {'such ' if entries.wanted else ''}files",
    )


class _Reading(NamedTuple):
    """Where a page ended, and what follows."""

    ended: PageRequest
    next: Entry
    rest: Iterator[Entry]


class _PagedEntries:
    """Entries of a version by path; who turns page after page reads each segment once.

    A cursor is the path of an entry.
    """

    def __init__(self, backend: Backend, version: VersionId, wanted: frozenset[str]) -> None:
        """wanted: only these paths; all if it is empty."""
        self._backend, self._version = backend, version
        self.wanted = wanted
        self._head: ManifestHead | None = None
        self._reading: _Reading | None = None

    def page(self, request: PageRequest) -> Page[Entry]:
        if request.only_total:
            return Page((), None, self._total(request))
        reading, self._reading = self._reading, None  # reading may fail half-way
        if reading is not None and reading.ended == request._replace(size=0):
            items, entries = [reading.next], reading.rest
        else:
            items, entries = [], self._entries(request)
        items += islice(entries, request.size - len(items))
        following = next(entries, None)
        cursor = None
        if following is not None:
            cursor = items[-1].path
            self._reading = _Reading(request._replace(size=0, cursor=cursor), following, entries)
        return Page(tuple(items), cursor, self._total(request))

    def _total(self, request: PageRequest) -> int | None:
        is_first = request.cursor is None and request.with_total
        if self.wanted or not (is_first or request.only_total):
            return None
        ends, heads = self._ends(request), self._heads(*_range(request))
        within = sum(head.entry_count for head in heads if head not in ends)
        cut = self._read([head for head in heads if head in ends], request)
        return within + sum(1 for _ in cut)

    def _manifest(self) -> ManifestHead:
        if self._head is None:
            self._head = self._backend.manifest(self._version)
        return self._head

    def _entries(self, request: PageRequest) -> Iterator[Entry]:
        """Yield what follows the cursor, in the direction that is asked for."""
        heads = self._heads(*_range(request))
        heads, skip = self._skipped(heads[::-1] if request.backwards else heads, request)
        return islice(self._read(heads, request), skip, None)

    def _skipped(
        self, heads: tuple[SegmentHead, ...], request: PageRequest
    ) -> tuple[tuple[SegmentHead, ...], int]:
        """Return what is left of the segments, and how many of its entries are still skipped."""
        skip, ends = request.skip, self._ends(request)
        while heads and skip and not self.wanted:
            is_cut = heads[0] in ends
            count = (
                sum(1 for _ in self._read(heads[:1], request)) if is_cut else heads[0].entry_count
            )
            if count > skip:
                break
            heads, skip = heads[1:], skip - count
        return heads, skip

    def _ends(self, request: PageRequest) -> set[SegmentHead | None]:
        """Return the segments of which only a part lies between the ends of a page."""
        return {segment_of(self._manifest(), end) for end in _range(request) if end is not None}

    def _heads(self, after: str | None, before: str | None) -> tuple[SegmentHead, ...]:
        """Return the segments that hold what is wanted between two paths."""
        manifest = self._manifest()
        heads = manifest.segments
        if self.wanted:
            named = {segment_of(manifest, path) for path in self.wanted}
            return tuple(head for head in heads if head in named)
        last = None if before is None else segment_of(manifest, before)
        if last is not None:
            heads = heads[: heads.index(last) + 1]
        first = None if after is None else segment_of(manifest, after)
        return heads if first is None else heads[heads.index(first) :]

    def _read(self, heads: Sequence[SegmentHead], request: PageRequest) -> Iterator[Entry]:
        after, before = _range(request)
        for segment in self._backend.read_segments(self._version, heads):
            entries = decode_entries(segment.lines)
            for entry in reversed(list(entries)) if request.backwards else entries:
                path = entry.path
                is_wanted = not self.wanted or path in self.wanted
                if (
                    is_wanted
                    and (after is None or path > after)
                    and (before is None or path < before)
                ):
                    yield entry


def _range(request: PageRequest) -> tuple[str | None, str | None]:
    """Return the paths between which a page lies."""
    ends = request.cursor, request.until
    return ends[::-1] if request.backwards else ends


def _strings(value: str | Sequence[str] | None) -> list[str]:
    return [file_paths.path_text(name) for name in names.strings(value)]
