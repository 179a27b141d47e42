"""What a version says of itself, and its files (ART-6…ART-15, ART-28…ART-36).

The methods of `Artifact` that wait for an upload, and raise ArtifactNotLoggedError for a draft.
What takes more than some lines is beside them: `download`, `reading`, `verifying`, `data_objects`.
"""

from __future__ import annotations

import io
import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, cast

from lineal.client import media, term
from lineal.client.artifact import patterns
from lineal.client.artifact.attributes import Attributes
from lineal.client.artifact.manifest import ManifestEntry
from lineal.client.values import iso
from lineal.config import absolute_path
from lineal.core import file_paths, names
from lineal.core.manifest import Entry
from lineal.errors import HostilePath, Invalid, MissingFile

if TYPE_CHECKING:
    from lineal.client.artifact.download import Download
    from lineal.client.public.files import File
    from lineal.client.public.lists import LazyList


class VersionMethods(Attributes):
    """The methods of `Artifact` that read a committed version."""

    @property
    def entity(self) -> str:
        return self._record.entity

    @property
    def project(self) -> str:
        return self._record.project

    @property
    def qualified_name(self) -> str:
        """`entity/project/name:vN`."""
        return self._record.path

    @property
    def version(self) -> str:
        """`vN` in the collection it was fetched from (ART-9)."""
        return f"v{self._record.number}"

    @property
    def source_entity(self) -> str:
        return self._record.source_entity

    @property
    def source_project(self) -> str:
        return self._record.source_project

    @property
    def source_version(self) -> str:
        return f"v{self._record.source_number}"

    @property
    def source_qualified_name(self) -> str:
        return self._record.source_path

    @property
    def aliases(self) -> list[str]:
        """Aliases in the collection it was fetched from; edit the list, then `save()` (ART-13)."""
        _ = self._record
        return self._aliases

    @aliases.setter
    def aliases(self, aliases: str | Sequence[str]) -> None:
        _ = self._record
        self._aliases = names.aliases(aliases)

    @property
    def tags(self) -> list[str]:
        _ = self._record
        return self._tags

    @tags.setter
    def tags(self, tags: str | Sequence[str]) -> None:
        _ = self._record
        self._tags = names.tags(tags)

    @property
    def commit_hash(self) -> str:
        return self._record.digest

    @property
    def file_count(self) -> int:
        """Entries, references included."""
        return self._record.entry_count

    @property
    def created_at(self) -> str:
        return iso(self._record.created_at)

    @property
    def updated_at(self) -> str:
        return iso(self._record.updated_at)

    @property
    def linked_at(self) -> str | None:
        """When this link was made; None for what is no link."""
        linked_at = self._record.linked_at
        return None if linked_at is None else iso(linked_at)

    @property
    def history_step(self) -> int | None:
        """The run's last completed step when this was logged, None if it had logged nothing."""
        step = self._record.history_step
        return None if step is None else max(0, step - 1)

    @property
    def url(self) -> str:
        """Address of the version's page; empty where no server shows pages."""
        _ = self._record
        return ""

    @property
    def expires_at(self) -> datetime | None:
        """When the next sweep may delete it; None if never, or not while it is suspended."""
        found = self.effective_ttl
        return None if found.suspended_by else found.expires_at

    @property
    def sweep_id(self) -> str | None:
        """The sweep of the run that logged it first (SWP-12)."""
        return self._record.sweep_id

    # --- reading content ---

    def get_entry(self, name: str | os.PathLike[str]) -> ManifestEntry:
        """Return an entry by path, or by the name a data object was added under (ART-36).

        Raises KeyError naming what is near.
        """
        _ = self._record
        path = _inside(name)
        for candidate in (path, *(path + suffix for suffix in media.suffixes())):
            entry = self._contents.get(candidate)
            if entry is not None:
                return ManifestEntry(entry, self._whole)
        raise KeyError(f"Artifact {self.name} has no file {path!r}{self._contents.base.near(path)}")

    def open(
        self, name: str | os.PathLike[str], mode: str = "rb", encoding: str | None = None
    ) -> IO[Any]:
        """Open one file for reading without downloading it; only what is read is fetched.

        mode: "rb", or "r" for text (UTF-8 unless `encoding` says otherwise). The file can be
        seeked. Raises FileNotFoundError naming what is near, ReferenceChanged if a reference leads
        to other bytes now.
        """
        if mode not in ("r", "rb", "rt"):
            raise Invalid(f"Artifact.open reads: mode {mode!r} must be 'rb' or 'r'")
        file = self._opened(name)
        return cast(IO[Any], file if mode == "rb" else io.TextIOWrapper(file, encoding or "utf-8"))

    def _opened(self, name: str | os.PathLike[str]) -> io.BufferedIOBase:
        from lineal.client.artifact import reading  # most processes download whole files

        record = self._record
        return reading.opened(self._home, record.id, self._file(_inside(name)), self._references)

    def _file(self, path: str) -> Entry:
        """Return the entry of exactly this path; raises MissingFile naming what is near."""
        entry = self._contents.get(path)
        if entry is None:
            near = self._contents.base.near(path)
            raise MissingFile(f"Artifact {self.name} has no file {path!r}{near}")
        return entry

    def get_path(self, name: str | os.PathLike[str]) -> ManifestEntry:
        """Deprecated spelling of `get_entry`."""
        return self.get_entry(name)

    def get(self, name: str | os.PathLike[str]) -> media.DataObject | None:
        """Rebuild the data object added under `name`, None if there is none (ART-36).

        Fetches only the files that the object needs, when it needs them.
        """
        from lineal.client.artifact import data_objects  # few artifacts have any

        try:
            entry = self.get_entry(name)
        except KeyError:
            return None
        return data_objects.read(self._whole, entry)

    def __getitem__(self, name: str | os.PathLike[str]) -> media.DataObject | None:
        return self.get(name)

    def download(
        self,
        root: str | os.PathLike[str] | None = None,
        allow_missing_references: bool = False,
        skip_cache: bool | None = None,
        path_prefix: str | os.PathLike[str] | None = None,
        multipart: bool | None = None,
        include: str | Sequence[str] = (),
        exclude: str | Sequence[str] = (),
        link: str | None = None,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None = None,
    ) -> str:
        """Bring the files to a folder and return its path (ART-28, ART-29).

        root: default, as for an empty text, `./artifacts/<name>:vN`, whose absolute path is
        returned. What is there with the right digest is not fetched again, other files are left
        alone. path_prefix: a plain prefix of paths.
        include, exclude: patterns as in `.gitignore`. paths: only these files, each by its exact
        path. link: `hard` or `symbolic` links to stored files instead of copies, where they are
        files of their own on this machine; whoever writes into one damages what is stored.
        skip_cache, multipart: W&B's, ignored.
        Raises MissingFile for one of `paths` that is no file of the artifact and for a reference
        that leads nowhere (unless allowed), Invalid for one whose URI nobody here can read (unless
        allowed), IntegrityError for bytes without the promised digest.
        """
        from lineal.client.artifact import folder as folders  # not for those who only log

        record = self._record
        target = self._root(root)
        chosen = patterns.matches(names.strings(include), names.strings(exclude))
        prefix = "" if path_prefix is None else file_paths.path_text(path_prefix)
        listed = None if paths is None else self._listed(paths, prefix)
        count, size = record.entry_count, record.size_bytes
        if listed is not None:
            count, size = len(listed), sum(entry.size for entry in listed)

        def wanted() -> Iterator[Entry]:
            entries = self._contents.base.under(prefix) if listed is None else listed
            return (entry for entry in entries if chosen(entry.path))

        if count and (prefix or include or exclude) and next(wanted(), None) is None:
            term.warning(
                f"path_prefix, include and exclude leave no file of {record.path}: none was "
                f"downloaded; `lineal artifact show {shlex.quote(record.path)} --files` lists them"
            )
        download = self._download(
            target, allow_missing_references=allow_missing_references, link=link
        )
        folders.require_distinct(target, wanted())
        download.run(wanted(), count=count, size=size)
        return target

    def _listed(
        self, paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], prefix: str
    ) -> list[Entry]:
        """Return the entries of exactly these paths, sorted; raises MissingFile for any other."""
        named = [paths] if isinstance(paths, (str, os.PathLike)) else paths
        found = map(self._file, sorted(set(map(_inside, named))))
        return [entry for entry in found if entry.path.startswith(prefix)]

    def checkout(self, root: str | None = None, dry_run: bool = False) -> str:
        """Make a folder hold exactly this version: what is not part of it is deleted (ART-32).

        Empty folders and links to folders go as well; what is behind a link stays. It is deleted
        once all files are there, but for what is where one of them belongs.
        root: default `./artifacts/<name>` without version. dry_run: only say what would go.
        """
        from lineal.client.artifact import folder as folders

        record = self._record
        target = self._root(root or self._default_root(record.source_collection))
        surplus = folders.surplus(target, self._contents)
        if dry_run:
            for path in surplus:
                term.info(f"would delete {os.path.join(target, path)}")
            return target
        first = folders.in_the_way(target, surplus, self._contents)
        folders.remove(target, first)
        self.download(target)
        folders.remove(target, (path for path in surplus if path not in first))
        return target

    def verify(
        self, root: str | None = None, references: bool = False, remote: bool = False
    ) -> int:
        """Hold a downloaded folder against this version, every byte of it (ART-33).

        references: hold them against the objects they lead to, too; the default folder need not be
        there then. remote: read the stored bytes, too; no folder is looked at then unless `root`
        names one. Returns how many files were read, those of the folder if there is one. Raises
        ValueError for a file that is missing, different, or not part of the artifact, or a
        reference that is lost.
        """
        from lineal.client.artifact import verifying  # most only fetch

        record = self._record
        checked = verifying.stored(self._home, record) if remote else 0
        skipped = 0
        folder = self._root(root)
        if root is not None or not (remote or (references and not os.path.isdir(folder))):
            checked, skipped = verifying.folder(folder, self._contents)
        if references:
            verifying.references(self._references, self._contents)
        elif skipped:
            term.warning(f"{skipped} references were not checked")
        return checked

    def file(self, root: str | None = None) -> str:
        """Download the only file and return its path; ValueError if there are several (ART-34)."""
        record = self._record
        if record.entry_count != 1:
            raise Invalid(
                f"{self.name} has {record.entry_count} files, not one; "
                "use download() and take the path you want"
            )
        entry = next(iter(self._contents))
        return self._download_entry(entry, root)

    def files(
        self,
        names: str | Sequence[str] | None = None,
        per_page: int = 50,
        start: str | None = None,
    ) -> LazyList[File]:
        """List the files, paging as they are looked at (ART-35)."""
        from lineal.client.public.files import artifact_files  # it needs this module's users

        return artifact_files(
            self._home,
            self._record,
            names,
            fetch=self._download_entry,
            per_page=per_page,
            start=start,
        )

    def _download_some(self, paths: Sequence[str]) -> dict[str, str]:
        """Fetch the files that there are of some; returns where they are now."""
        found = (self._contents.get(path) for path in sorted(paths))  # as they are in the manifest
        entries = [entry for entry in found if entry is not None]
        download = self._download(self._root(None))
        download.run(entries, count=len(entries), size=sum(entry.size for entry in entries))
        return {entry.path: download.path_of(entry) for entry in entries}

    def _download_entry(self, entry: Entry, root: str | None) -> str:
        return self._download(self._root(root)).one(entry)

    def _download(
        self, root: str, *, allow_missing_references: bool = False, link: str | None = None
    ) -> Download:
        from lineal.client.artifact.download import Download  # not for those who only log

        return Download(
            self._home,
            self._record.id,
            root,
            self._adder.cache,
            references=self._references,
            allow_missing_references=allow_missing_references,
            link=link,
        )

    def _root(self, root: str | os.PathLike[str] | None) -> str:
        if root not in (None, ""):  # `os.path.dirname` of a bare name is empty
            return file_paths.local_path(root)
        name = self.source_name if os.name == "posix" else self.source_name.replace(":", "-")
        return self._default_root(name)

    def _default_root(self, name: str) -> str:
        """Return a folder that stays the same one when the working directory changes."""
        return absolute_path(os.path.join(self._settings.artifact_dir, name))


def _inside(name: str | os.PathLike[str]) -> str:
    """Return the path that a name was added under: `./a` is `a`; what cannot be one stays."""
    try:
        return file_paths.entry_path(name)
    except HostilePath:
        return file_paths.path_text(name)
