"""Run files: those the user saves, those in `run.dir`, those Lineal writes itself (RUN-28).

Where the user and Lineal both have one for a path, the user's is kept and that is said.
"""

from __future__ import annotations

import glob as globs
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatch
from typing import TYPE_CHECKING, NamedTuple

from lineal.client import term
from lineal.client.backend import Backend
from lineal.client.run.spool import Spool
from lineal.config import absolute_path
from lineal.core.file_paths import entry_path, path_text
from lineal.core.ids import new_id
from lineal.core.records import RunKey
from lineal.errors import HostilePath, Invalid, Unavailable
from lineal.files.folders import walk
from lineal.files.refusals import room_on, unreadable
from lineal.files.writing import write_new

if TYPE_CHECKING:
    from lineal.client.run.media_spool import MediaSpool

POLICIES = ("live", "now", "end")
Stamp = tuple[int, int, int]
"""(size, mtime in ns, inode): a file with the same stamp is not sent again."""


class Choice(NamedTuple):
    """One file the user saved."""

    path: str
    """In the run, POSIX."""
    local: str
    policy: str


def choose(
    pattern: str | bytes | os.PathLike[str],
    base: str | None,
    policy: str,
    *,
    is_glob: bool,
    folder: str | None = None,
) -> list[Choice]:
    """Find the files a `save` call means.

    Paths in the run are relative to `base`; without it an absolute pattern keeps one folder, a
    relative one its whole path, and what is in `folder`, `run.dir`, its path there. Raises Invalid
    for what lies outside `base` and for two files of one path, HostilePath for a name that no run
    can have, Unavailable for a folder that cannot be listed.
    """
    if policy not in POLICIES:
        raise Invalid(f"save(policy={policy!r}): use `live`, `now` or `end`")
    text = path_text(os.fsdecode(pattern) if isinstance(pattern, bytes) else pattern)
    given, base = base, _base_of(text, folder) if base is None else base
    is_pattern = given is None and is_glob and globs.has_magic(base) and base == _two_up(text)
    base = absolute_path(base)
    found = sorted(globs.glob(text, recursive=True)) if is_glob else [text]
    choices: dict[str, Choice] = {}
    for match in found:
        above = absolute_path(_two_up(match)) if is_pattern else base
        for local in _files_of([match]):  # a folder and what is in it may both match
            path = os.path.relpath(local, above).replace(os.sep, "/")
            if path.startswith("../"):
                raise Invalid(f"Cannot save {local}: it lies outside of {above}")
            other = choices.setdefault(path, Choice(entry_path(path), local, policy))
            if other.local != local:
                raise Invalid(
                    f"Cannot save both {other.local} and {local}: either would be {path} in the "
                    "run; say of which folder to keep all below by base_path"
                )
    return list(choices.values())


def matches_nothing(pattern: str | bytes | os.PathLike[str]) -> str:
    """Say that a `save` call saves nothing, and what was meant where its pattern is a file."""
    said = f"save({str(pattern)!r}) matches no file"
    if os.path.lexists(pattern):
        said += "; there is a file of that very name; save it with glob=False"
    return said


def _base_of(pattern: str, folder: str | None) -> str:
    if not os.path.isabs(pattern):
        return "."
    if folder is not None:
        inside = os.path.join(absolute_path(folder), "")
        if os.path.normpath(pattern).startswith(inside):
            return inside
    return _two_up(pattern)


def _two_up(path: str) -> str:
    return os.path.dirname(os.path.dirname(path))


def _files_of(
    found: Iterable[str], *, skipped: Callable[[Unavailable], None] | None = None
) -> Iterator[str]:
    """Yield absolute paths of the files, and of the files in the folders.

    Sockets, pipes and devices are none: reading one may never end. skipped: see
    `files.folders.walk`.
    """
    for path in map(absolute_path, found):
        inside = (
            os.path.join(path, below, name)
            for below, _, names in walk(path, skipped=skipped)
            for name in sorted(names)
        )
        yield from filter(os.path.isfile, (path, *inside))


class SavedFiles:
    """The files of one run, and which of them have been stored as they are now."""

    def __init__(
        self,
        backend: Backend,
        run: RunKey,
        folder: str,
        spool: Spool,
        ignored: Sequence[str],
    ) -> None:
        """folder: `run.dir`; made when it is first asked for. ignored: globs never saved."""
        self._backend, self._run = backend, run
        self._folder, self._spool = folder, spool
        self._media: MediaSpool | None = None
        self._ignored = ignored
        self._choices: dict[str, Choice] = {}
        self._stored: dict[str, Stamp] = {}
        self._restored: dict[str, Stamp] = {}
        self._generated: set[str] = set()
        """Paths that Lineal wrote, or would have, and nothing was said about yet."""
        self._lock = threading.RLock()

    @property
    def folder(self) -> str:
        with room_on(self._folder):
            os.makedirs(self._folder, exist_ok=True)
        return self._folder

    def add(self, choices: Sequence[Choice]) -> None:
        """Remember files; those to be stored `now` are stored before this returns."""
        with self._lock:
            for choice in choices:
                self._choices[choice.path] = choice
                self._restored.pop(choice.path, None)
            self._store((choice for choice in choices if choice.policy == "now"), is_asked=True)

    def add_medium(self, path: str, data: bytes) -> None:
        """Store a file with the next that are stored; raises as `MediaSpool.add`."""
        if self._is_ignored(path):
            return
        if self._media is None:  # asked first, as a thread that stores holds the lock for long
            with self._lock:
                if self._media is None:
                    from lineal.client.run.media_spool import MediaSpool  # few runs log any

                    self._media = MediaSpool(self._spool)
        self._media.add(path, data)

    def restored(self, path: str, local: str) -> None:
        """Remember that a file in the folder came from a run: as long as it stays as it is, it
        does not count as the user's own."""
        stamp = _stamp(local)
        if stamp is not None:
            self._restored[path] = stamp

    def store_changed(self) -> None:
        """Store media that wait, and `live` files that changed."""
        with self._lock:
            self._store(choice for choice in self._choices.values() if choice.policy == "live")

    def store_saved(self, path: str) -> None:
        """Store one that was saved and that somebody asks for before its policy says so."""
        with self._lock:
            choice = self._choices.get(path)
            if choice is not None and (choice.policy != "now" or path not in self._stored):
                self._store([choice])

    def store_all(self, contents: Mapping[str, bytes], copies: Sequence[tuple[str, str]]) -> None:
        """Store everything: what was saved, what is in the folder, and what Lineal wrote.

        What was stored `now` stays as it was then.
        """
        with self._lock:
            for choice in self._in_folder():
                self._choices.setdefault(choice.path, choice)
            saved = [
                choice
                for choice in self._choices.values()
                if choice.policy != "now" or choice.path not in self._stored
            ]
            self._store(saved, contents, copies)
            for choice in saved:
                is_stored = choice.path in self._stored or self._is_ignored(choice.path)
                if not is_stored and _stamp(choice.local) is None:
                    term.warning(
                        f"{choice.local} was gone before it was stored with the run; "
                        'save(…, policy="now") stores at once'
                    )

    def store(self, contents: Mapping[str, bytes], copies: Sequence[tuple[str, str]] = ()) -> None:
        """Store content that Lineal itself made, and copies of files, as run files.

        Those whose path is that of a file of the user's are left out.
        """
        with self._lock:
            self._store((), contents, copies)

    def after_fork(self, spool: Spool) -> None:
        """Go on in a forked child; what waits is the parent's."""
        self._lock = threading.RLock()
        if self._media is not None:
            self._media.disown()
        self._spool, self._media = spool, None

    def _store(
        self,
        choices: Iterable[Choice],
        contents: Mapping[str, bytes] | None = None,
        copies: Sequence[tuple[str, str]] = (),
        *,
        is_asked: bool = False,
    ) -> None:
        """is_asked: somebody waits for it, who gets the error of a file that cannot be read."""
        contents = contents or {}
        kept = self._users_among([*contents, *(path for path, _ in copies)])
        stamps: dict[str, Stamp] = {}
        waiting = () if self._media is None else self._media.waiting()
        media = [(medium.path, medium.source) for medium in waiting]
        sent = [file for file in copies if file[0] not in kept and not self._is_ignored(file[0])]
        for choice in choices:
            stamp = _stamp(choice.local)
            if (
                stamp
                and stamp != self._stored.get(choice.path)
                and not self._is_ignored(choice.path)
                and (is_asked or _is_readable(choice.local))
            ):
                stamps[choice.path] = stamp
                sent.append((choice.path, choice.local))
        made = self._written({path: contents[path] for path in contents if path not in kept})
        try:
            if media or sent or made:
                self._backend.put_run_files(self._run, [*media, *sent, *made])
        finally:
            for _, local in made:
                with suppress(OSError):  # it was taken over, or goes with what others left there
                    os.unlink(local)
        if self._media is not None:
            self._media.stored()
        self._stored.update(stamps)

    def _users_among(self, generated: Iterable[str]) -> set[str]:
        """Return the paths whose file is the user's and not the one Lineal makes; says so once."""
        self._generated.update(generated)
        kept = set()
        for path in sorted(self._generated & self._choices.keys()):
            stamp = self._stored.get(path) or _stamp(self._choices[path].local)
            if stamp in (None, self._restored.get(path)):
                continue
            kept.add(path)
            self._generated.remove(path)
            if not self._is_ignored(path):
                term.info(f"the run keeps your {path}; the one that Lineal makes was left out")
        return kept

    def _written(self, contents: Mapping[str, bytes]) -> list[tuple[str, str]]:
        """Write content to the staging folder, where the store can take it from."""
        made = []
        for path, content in contents.items():
            if not self._is_ignored(path):
                local = os.path.join(self._backend.staging, f"run-file-{new_id(16)}")
                write_new(local, content, mode=0o666)
                made.append((path, local))
        return made

    def _in_folder(self) -> list[Choice]:
        if not os.path.isdir(self._folder):
            return []
        choices = []
        for local in _files_of([self._folder], skipped=_say_skipped):
            try:
                choices += choose(local, self._folder, "end", is_glob=False)
            except HostilePath as error:
                term.warn_once(f"{error.message}; {local!r} is not stored with the run", key=local)
        return choices

    def _is_ignored(self, path: str) -> bool:
        return any(fnmatch(path, pattern) for pattern in self._ignored)


def _say_skipped(error: Unavailable) -> None:
    term.warn_once(f"{error.message}; what is in there is not stored with the run")


def _is_readable(path: str) -> bool:
    """Tell whether a file can be stored; one that cannot must not keep the run from being."""
    try:
        if os.path.isfile(path):  # to open a pipe may never end
            open(path, "rb").close()
            return True
        reason = f"{path} is no file any more"
    except OSError as error:
        reason = unreadable(path, error).message
    term.warn_once(f"{reason}; as long as that is so it is not stored with the run", key=path)
    return False


def _stamp(path: str) -> Stamp | None:
    try:
        found = os.stat(path)
    except OSError:
        return None  # it is gone by now
    return found.st_size, found.st_mtime_ns, found.st_ino
