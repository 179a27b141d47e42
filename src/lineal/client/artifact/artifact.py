"""The SDK's `Artifact`: what can be done with a version: read, change, link, trace.

`draft.py` fills one, `version.py` has its state. What takes more than some lines is beside them:
`adding`, `referring`, `download`, `verifying`, `data_objects`, and the lineage in the public API's
`graph`.
Requirements: sections 2 to 5 of the behaviour (ART-1…ART-46).
"""

from __future__ import annotations

import copy
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any, cast

from lineal.client import media, session, term
from lineal.client.artifact import data_objects, patterns
from lineal.client.artifact import folder as folders
from lineal.client.artifact.contents import Contents
from lineal.client.artifact.manifest import ManifestEntry
from lineal.client.artifact.version import Version
from lineal.client.backend import Backend
from lineal.config import Settings
from lineal.core import names
from lineal.core.manifest import Entry
from lineal.core.names import ArtifactPath
from lineal.core.records import AliasMove, VersionPatch, VersionRecord
from lineal.errors import ArtifactNotLoggedError, HostilePath, Invalid, MissingFile

if TYPE_CHECKING:
    from lineal.client.artifact.download import Download
    from lineal.client.public.catalog import Collection
    from lineal.client.public.files import File
    from lineal.client.public.graph import Graph
    from lineal.client.public.lists import LazyList
    from lineal.client.public.run import Run

LINK_INSTEAD = "its aliases name the link, and links are numbered as they come"
"""What to do where a link was given a version to become."""


class Artifact(Version):
    """A set of files under one name; every change of content is a new version.

    Construction is local: no server, no account, no run (ART-1). `name` may be left out and is
    then chosen when the artifact is logged (SEED-6).

    name: letters, digits, `_`, `-` and `.`, at most 128. type: such as `dataset` or `model`; one
    per name. metadata: a JSON object of at most 1 MiB. incremental: add to the latest version
    rather than replace it. use_as, storage_region, digest_algorithm: W&B's, without
    effect. Raises Invalid (a ValueError).
    """

    # --- where it stands ---

    @property
    def collection(self) -> Collection:
        record = self._as_named_now()
        return self._collection(record.entity, record.project, record.collection)

    @property
    def source_collection(self) -> Collection:
        record = self._as_named_now()
        return self._collection(
            record.source_entity, record.source_project, record.source_collection
        )

    @property
    def source_artifact(self) -> Artifact:
        """The version a link leads to; itself if it is no link."""
        record = self._record
        return committed(self._home, self._home.version_by_id(record.id)) if self.is_link else self

    @property
    def linked_artifacts(self) -> list[Artifact]:
        """This version as seen through each of its links; empty for a link."""
        record = self._record
        if record.is_link:
            return []
        return [committed(self._home, link) for link in self._home.links(record.id)]

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
                return ManifestEntry(entry, self)
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
        try:
            entry = self.get_entry(name)
        except KeyError:
            return None
        return data_objects.read(self, entry)

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

        root: default `./artifacts/<name>:vN`, whose absolute path is returned. What is there with
        the right digest is not fetched again, other files are left alone. path_prefix: a plain
        prefix of paths.
        include, exclude: patterns as in `.gitignore`. paths: only these files, each by its exact
        path. link: `hard` or `symbolic` links to stored files instead of copies, where they are
        files of their own on this machine; whoever writes into one damages what is stored.
        skip_cache, multipart: W&B's, ignored.
        Raises MissingFile for one of `paths` that is no file of the artifact and for a reference
        that leads nowhere (unless allowed), IntegrityError for bytes without the promised digest.
        """
        record = self._record
        target = self._root(root)
        chosen = patterns.matches(names.strings(include), names.strings(exclude))
        prefix = "" if path_prefix is None else names.path_text(path_prefix)
        listed = None if paths is None else self._listed(paths, prefix)
        count, size = record.entry_count, record.size_bytes
        if listed is not None:
            count, size = len(listed), sum(entry.size for entry in listed)

        def wanted() -> Iterator[Entry]:
            entries = self._contents.base.under(prefix) if listed is None else listed
            return (entry for entry in entries if chosen(entry.path))

        folders.require_distinct(target, wanted())
        self._download(target, allow_missing_references, link).run(wanted(), count=count, size=size)
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

        Empty folders and links to folders go as well; what is behind a link stays.
        root: default `./artifacts/<name>` without version. dry_run: only say what would go.
        """
        record = self._record
        target = self._root(root or self._default_root(record.source_collection))
        surplus = folders.surplus(target, self._contents)
        if dry_run:
            for path in surplus:
                term.info(f"would delete {os.path.join(target, path)}")
            return target
        folders.remove(target, surplus)
        return self.download(target)

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

    # --- saving ---

    def save(self, project: str | None = None, settings: Settings | None = None) -> None:
        """Log a draft (by the active run, else by one of job type `auto`), or push changes of
        description, metadata, aliases, tags and ttl to a logged version (ART-40).

        project: of the new run; without it the one that `new_draft` began in, or the default.
        """
        if self._version is not None or self._pending is not None:
            self._push()
            return
        from lineal.client import init  # runs log artifacts: a circle otherwise

        run = session.latest_run()
        if run is not None:
            run.log_artifact(self)
            return
        entity, base = None, self._base_record
        if base is not None:
            entity, project = base.source_entity, project or base.source_project
        with init.init(entity=entity, project=project, job_type="auto", settings=settings) as run:
            run.log_artifact(self)

    def new_draft(self) -> Artifact:
        """Return a draft with this version's content, to change and log as the next (ART-41).

        It belongs to the source's collection, also if that gets another name before it is logged.
        """
        record = self._home.version_by_id(self._record.id)  # of a link, what it leads to
        draft = Artifact._internal(record.source_collection, self._type)
        draft._is_internal = self._is_internal
        draft._description, draft._metadata = self._description, copy.deepcopy(self._metadata)
        draft._contents = Contents(self._contents.base)
        draft._base_record = record
        draft._backend = self._backend
        return draft

    def delete(self, delete_aliases: bool = False) -> None:
        """Delete this version; of a link only the link (DEL-1).

        Raises Conflict while it has aliases (unless delete_aliases) or is linked elsewhere.
        """
        record = self._record
        if record.is_link:
            term.warning(f"{record.path} is a link; only the link is removed")
        self._home.delete_version(record.membership_id, delete_aliases=delete_aliases)
        if not record.is_link:
            self._become(self._home, self._home.version_by_id(record.id))

    def restore(self) -> None:
        """Undo the deletion of this version, as long as its content is there (DEL-7).

        Aliases come back unless they were set since. Raises Gone when it is too late.
        """
        record = self._record
        path = ArtifactPath(
            record.source_entity,
            record.source_project,
            record.source_collection,
            f"v{record.source_number}",
        )
        self._become(self._home, self._home.restore_version(path).version)

    def link(self, target_path: str, aliases: str | Sequence[str] | None = None) -> Artifact:
        """Put this version into another collection, where it has a number of its own (REG-2)."""
        added = names.aliases(aliases)
        if self.is_draft() and self._pending is None:
            names.collection_path(target_path, "", None, instead=LINK_INSTEAD)  # else it is stored
            self.save()
        record = self._record
        target = names.collection_path(
            target_path, record.source_entity, record.source_project, instead=LINK_INSTEAD
        )
        linked = self._home.link_version(record.id, target, added)
        return committed(self._home, linked)

    def unlink(self) -> None:
        """Remove this link; raises ValueError if it is none (DEL-2)."""
        self._home.unlink_version(self._record.membership_id)

    def alias_history(self, alias: str | None = None) -> list[AliasMove]:
        """Return where an alias of this collection (or every one) has been, oldest first."""
        return self._home.alias_history(self.collection._record.id, alias)

    def move_alias(self, alias: str, expected_version: str | None = None) -> None:
        """Put an alias on this version only if it is on `expected_version` now (ALI-6).

        expected_version: `vN`, or None for "on none yet". Raises Conflict otherwise.
        """
        record = self._record
        patch = VersionPatch(
            aliases_added=(names.alias(alias),), expected_version={alias: expected_version}
        )
        self._become(self._home, self._home.update_version(record.membership_id, patch))

    # --- lineage ---

    def logged_by(self) -> Run | None:
        """Return the run that first logged this, None if none did or it was deleted (LIN-3)."""
        from lineal.client.public import graph  # it loads runs, which load this

        return graph.logged_by(self._home, self._record.id)

    def used_by(self) -> list[Run]:
        """Return all runs that used this, also through links (LIN-4)."""
        from lineal.client.public import graph

        return graph.used_by(self._home, self._record.id)

    def upstream(self, depth: int | None = None) -> Graph:
        """Return what this was made from (LIN-13)."""
        return self.lineage("upstream", depth)

    def downstream(self, depth: int | None = None) -> Graph:
        """Return what was made from this."""
        return self.lineage("downstream", depth)

    def lineage(
        self,
        direction: str = "both",
        depth: int | None = None,
        types: str | Sequence[str] | None = None,
        derived: bool = False,
    ) -> Graph:
        """Return the graph around this version in one request (LIN-13).

        direction: `upstream`, `downstream` or `both`. depth: steps. types: only versions of these
        types; dashed edges lead past others. derived: also what took files over from what, as
        dashed edges (LIN-11).
        """
        from lineal.client.public import graph

        root = f"version:{self._record.id}"
        return graph.graph(self._home, root, direction, depth, types, derived)

    def json_encode(self) -> dict[str, Any]:
        """Return the stub that stands for this artifact in a config (ART-45)."""
        return {
            "_type": "artifactVersion",
            "_version": "v0",
            "id": self.id,
            "version": self.source_version,
            "sequenceName": self._record.source_collection,
            "usedAs": None,
        }

    def __repr__(self) -> str:
        return f"<Artifact {self.name if self.is_draft() else self.qualified_name}>"

    # --- for the modules beside this one ---

    def __reduce__(self) -> tuple[Callable[..., Artifact], tuple[Backend, VersionRecord]]:
        """Send a logged version to another process, such as a worker of a data loader.

        What was changed and not saved stays behind. Raises ArtifactNotLoggedError for a draft.
        """
        if self._version is None and self._pending is None:
            raise ArtifactNotLoggedError(
                f"Draft {self.name!r} cannot be copied or sent to another process; log it first, "
                "or fill another Artifact with the same files"
            )
        return committed, (self._home, self._record)

    def _download_some(self, paths: Sequence[str]) -> dict[str, str]:
        """Fetch the files that there are of some; returns where they are now."""
        found = (self._contents.get(path) for path in sorted(paths))  # as they are in the manifest
        entries = [entry for entry in found if entry is not None]
        download = self._download(self._root(None), False)
        download.run(entries, count=len(entries), size=sum(entry.size for entry in entries))
        return {entry.path: download.path_of(entry) for entry in entries}

    def _download_entry(self, entry: Entry, root: str | None) -> str:
        path: str = self._download(self._root(root), False).one(entry)
        return path

    def _download(
        self, root: str, allow_missing_references: bool, link: str | None = None
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
        if root is not None:
            return names.local_path(root)
        name = self.source_name if os.name == "posix" else self.source_name.replace(":", "-")
        return self._default_root(name)

    def _default_root(self, name: str) -> str:
        """Return a folder that stays the same one when the working directory changes."""
        return os.path.abspath(os.path.join(self._settings.artifact_dir, name))

    def _as_named_now(self) -> VersionRecord:
        """Return this version with the names that its collections have by now."""
        record = self._record
        if not record.is_link:
            return self._home.version_by_id(record.id)
        links = self._home.links(record.id)
        ours = (link for link in links if link.membership_id == record.membership_id)
        return next(ours, record)  # it was removed: whoever looks it up is told

    def _collection(self, entity: str, project: str, name: str) -> Collection:
        from lineal.client.public.catalog import Collection  # it loads this

        return Collection(self._home, self._home.collection(entity, project, name))


def committed(backend: Backend, version: VersionRecord) -> Artifact:
    """Wrap a version that exists."""
    artifact = Artifact._internal(version.collection, version.type)
    artifact._is_internal = False
    artifact._become(backend, version)
    return artifact


def _inside(name: str | os.PathLike[str]) -> str:
    """Return the path that a name was added under: `./a` is `a`; what cannot be one stays."""
    try:
        return names.entry_path(name)
    except HostilePath:
        return names.path_text(name)
