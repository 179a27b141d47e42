"""A draft: the content of a version before it is logged (ART-1, ART-16…ART-27).

Every `Artifact` begins as one and inherits this. `version.py` has what becomes of it, `artifact.py`
what only a committed version can do.
"""

from __future__ import annotations

import json
import math
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Self, cast

from lineal.client import media, session, term, values
from lineal.client.artifact import adding, data_objects, patterns
from lineal.client.artifact.contents import MUTABLE, Contents
from lineal.client.artifact.manifest import ManifestEntry
from lineal.config import Settings, load
from lineal.core import names
from lineal.core.digest import Digest
from lineal.core.ids import new_id
from lineal.core.manifest import Entry
from lineal.core.records import RunRecord, VersionId, VersionRecord
from lineal.errors import ArtifactFinalizedError, HostilePath, Invalid, MissingFile

if TYPE_CHECKING:
    from lineal.client import references
    from lineal.client.artifact.artifact import Artifact
    from lineal.client.artifact.referring import Referred

MAX_REFERENCES = 10_000_000
"""Default of `max_objects`; beyond it is an error, never a truncation (X-4)."""
CLIENT_ID_LENGTH = 32
FOREIGN_ALGORITHMS = ("MD5", "XXH128")
"""W&B's; taken so that its scripts run, but nothing is told apart by them (ART-2)."""
SCRIPT_FALLBACK = "session"
"""In the name of code that no script made."""


class Draft:
    """Files by path, and what is said about them; nothing here needs an instance."""

    def __init__(
        self,
        name: str | None = None,
        type: str | None = None,
        description: str | None = None,
        metadata: dict[str, Any] | None = None,
        incremental: bool = False,
        use_as: str | None = None,
        storage_region: str | None = None,
        digest_algorithm: str | None = None,
    ) -> None:
        """type: what it is, such as `dataset` or `model`; one collection has one type.

        metadata: a JSON object of at most 1 MiB. incremental: add to the latest version instead
        of replacing it. use_as: deprecated, ignored. storage_region: one instance has one store;
        ignored with a warning. digest_algorithm: `MD5` or `XXH128`, ignored; content is told apart
        by SHA-256. Raises Invalid (a ValueError) for bad names and metadata, TypeError without a
        type.
        """
        if type is None:
            raise TypeError(
                "Artifact needs a type, such as type='dataset' or type='model'; "
                "one collection holds one type"
            )
        self._type = names.type_name(type)
        self._name = None if name is None else names.artifact_name(name)
        names.user_artifact(self._name, type)
        if digest_algorithm not in (None, *FOREIGN_ALGORITHMS):
            known = " or ".join(f"`{each}`" for each in FOREIGN_ALGORITHMS)
            raise Invalid(f"digest_algorithm is {known}, not {digest_algorithm!r}")
        if storage_region is not None:
            term.warning(f"storage_region={storage_region!r} is ignored: there is one store")
        self._set_up(description, metadata, incremental)

    def _set_up(
        self, description: str | None, metadata: dict[str, Any] | None, incremental: bool
    ) -> None:
        self._description = described(description)
        self._metadata = clean(metadata)
        self._incremental = incremental
        self._distributed_id: str | None = None
        self._ttl_seconds: int | None = None
        self._client_id, self._process = new_id(CLIENT_ID_LENGTH), os.getpid()
        self._contents = Contents()
        self._is_final = False
        self._turn = threading.RLock()
        """Held to hand it over, so that of several threads one does and the others find it done.

        Not against the handler of a signal, which may do so amid it: to the instance both are one.
        """
        self._is_internal = False
        self._base_record: VersionRecord | None = None
        self._sources: set[VersionId] = set()
        """Versions that entries were taken over from (LIN-11)."""
        self._referred: Referred | None = None
        """The last of them: a table may refer to each of its pictures."""
        self._chosen_adder: adding.Adder | None = None

    @classmethod
    def _internal(cls, name: str, type: str, *, incremental: bool = False) -> Self:
        """Make a draft under a name and type that users may not take (NAM-3)."""
        artifact = cls.__new__(cls)
        artifact._type, artifact._name = names.type_name(type), names.artifact_name(name)
        artifact._set_up(None, None, incremental)
        artifact._is_internal = True
        return artifact

    @property
    def name(self) -> str:
        """The collection's name; provisional if none was given (SEED-6)."""
        return self._name if self._name is not None else f"run-<run id>-{self._type}"

    @property
    def type(self) -> str:
        return self._type

    # --- adding content ---

    def add_file(
        self,
        local_path: str | os.PathLike[str],
        name: str | os.PathLike[str] | None = None,
        is_tmp: bool = False,
        skip_cache: bool = False,
        policy: str | None = MUTABLE,
        overwrite: bool = False,
    ) -> ManifestEntry:
        """Add a file under `name`, by default its basename (ART-16).

        policy: `mutable` copies it now, so that it may change afterwards; `immutable` promises
        that it will not, and it is linked rather than copied where possible (ART-17).
        is_tmp: name it by its digest, with the endings of its name (ART-19). skip_cache: W&B's;
        there is nothing to skip.
        """
        self._require_draft()
        path = names.local_path(local_path)
        target = os.path.basename(path) if name is None else names.entry_path(name)
        if is_tmp:
            target = self._name_by_digest(path, target)
        entry = self._adder.add_file(
            self._contents, path, target, policy=policy or MUTABLE, overwrite=overwrite
        )
        self._note_change()
        return self._shown(entry)

    def add_dir(
        self,
        local_path: str | os.PathLike[str],
        name: str | os.PathLike[str] | None = None,
        skip_cache: bool | None = False,
        policy: str | None = MUTABLE,
        merge: bool = False,
        include: str | Sequence[str] = (),
        exclude: str | Sequence[str] = (),
        empty_dirs: bool = False,
    ) -> None:
        """Add all files below a folder, under the folder `name` if given (ART-20).

        Follows symbolic links. merge: replace what was added under the same path. include,
        exclude: patterns as in `.gitignore`; a `.linealignore` in the folder is honoured.
        skip_cache: W&B's; there is nothing to skip.
        empty_dirs: put an empty file `.linealkeep` into each folder that has nothing else, so that
        a download has the folder, too; without it empty folders are not stored.
        """
        self._require_draft()
        path = names.local_path(local_path)
        folder = adding.Folder(
            path,
            prefix=names.folder_path(name),
            policy=policy or MUTABLE,
            chosen=patterns.selection(path, names.strings(include), names.strings(exclude)),
            empty_dirs=empty_dirs,
        )
        if self._adder.add_dir(self._contents, folder, overwrite=merge):
            self._note_change()

    def add_bytes(
        self, data: bytes, name: str | os.PathLike[str], overwrite: bool = False
    ) -> ManifestEntry:
        """Add a file with this content (pain 30)."""
        self._require_draft()
        given: object = data
        if isinstance(given, str):
            raise TypeError("add_bytes takes bytes, not text; give `text.encode()`")
        path = names.entry_path(name)
        entry = self._adder.add_bytes(self._contents, data, path, overwrite=overwrite)
        self._note_change()
        return self._shown(entry)

    @contextmanager
    def new_file(
        self,
        name: str | os.PathLike[str],
        mode: str = "x",
        encoding: str | None = None,
        policy: str | None = MUTABLE,
    ) -> Iterator[IO[Any]]:
        """Open a new file to write; it is added when the block ends without error (ART-21).

        mode: `x` refuses a name that is taken, `w` replaces it; `b` for bytes, `+` to read, too.
        policy: as of `add_file`, but there is nothing to choose: the file is ours alone.
        Raises ArtifactFinalizedError also at the end of the block, if it was logged meanwhile.
        """
        self._require_draft()
        adding.check_policy(policy or MUTABLE)
        path = names.entry_path(name)
        kind = re.sub("[bt+]", "", str(mode))
        if kind not in ("x", "w"):
            raise Invalid(f"Mode {mode!r} does not write a new file; use `x`, `w`, `xb` or `wb`")
        if kind == "x" and self._contents.get(path) is not None:
            raise Invalid(f"File {path!r} was added already; use mode='w' to replace it")
        with (
            self._adder.written(self._contents, path, overwrite=kind == "w") as local,
            open(local, mode, encoding=encoding) as file,
        ):
            yield file
            self._require_draft()
        self._note_change()

    def add_reference(
        self,
        uri: str | ManifestEntry,
        name: str | os.PathLike[str] | None = None,
        checksum: bool = True,
        max_objects: int | None = None,
        include: str | Sequence[str] = (),
        exclude: str | Sequence[str] = (),
    ) -> Sequence[ManifestEntry]:
        """Record where bytes live without storing them; returns the entries made (section 6).

        uri: an object, or a folder or prefix with everything below it (docs/guides/references.md
        lists the schemes), or an entry of another artifact, whose bytes are then shared.
        name: of the object, or of the folder that the entries go under. checksum=False records
        the URI alone. include, exclude: patterns as in `.gitignore`, of paths below the folder.
        Raises Invalid for a text without scheme, a signed URL, more than `max_objects` files, or
        none at all; TypeError for what is no URI; Denied and Unavailable as the store answers.
        All entries are added or none.
        """
        from lineal.client import references  # few artifacts have any
        from lineal.client.artifact import referring

        self._require_draft()
        if max_objects is not None and not isinstance(max_objects, int):
            raise Invalid(f"max_objects is a number of files, not {max_objects!r}")
        included, excluded = names.strings(include), names.strings(exclude)
        wanted = references.Wanted(
            None if name is None else names.path_text(name),
            checksum,
            MAX_REFERENCES if max_objects is None else max_objects,
            patterns.matches(included, excluded),
            bool(included or excluded),
        )
        made = referring.add(self, uri, wanted)
        self._note_change()
        return made

    def add(
        self, obj: object, name: str | os.PathLike[str], overwrite: bool = False
    ) -> ManifestEntry:
        """Add a table, an image or another data type as `<name>.<type>.json` (ART-23)."""
        self._require_draft()
        kind = media.type_of(obj)
        if kind is None:
            raise TypeError(
                f"Cannot add a {obj.__class__.__name__}; add() takes data types such as Table "
                "and Image, add_file and add_bytes take everything else"
            )
        path = data_objects.path_of(names.entry_path(name), kind.type_name)
        assert isinstance(obj, media.DataObject)
        text = json.dumps(obj.write(data_objects.DraftTarget(self)), sort_keys=True)
        return self.add_bytes(text.encode(), path, overwrite=overwrite)

    def __setitem__(self, name: str | os.PathLike[str], obj: object) -> None:
        self.add(obj, name)

    def remove(self, item: str | os.PathLike[str] | ManifestEntry) -> None:
        """Remove an entry, a file, or a folder with all below it (ART-24)."""
        self._require_draft()
        given = item.path if isinstance(item, ManifestEntry) else names.path_text(item)
        try:
            is_removed = self._contents.remove(names.entry_path(given))
        except HostilePath:  # nothing can have such a name
            is_removed = False
        if not is_removed:
            raise MissingFile(f"No such file or folder in artifact {self.name}: {given!r}")
        self._note_change()

    def get_added_local_path_name(self, local_path: str) -> str | None:
        """Return the path in the artifact of a local file added earlier, else None (ART-27)."""
        return self._contents.name_of(os.path.abspath(names.local_path(local_path)))

    def finalize(self) -> None:
        """Fix the content; every change afterwards raises ArtifactFinalizedError (ART-4).

        What another thread is adding right now becomes part of it.
        """
        self._contents.finalize()
        self._is_final = True

    # --- for the modules beside this one ---

    @property
    def _settings(self) -> Settings:
        run = session.latest_run()
        return load() if run is None else run.settings

    @property
    def _adder(self) -> adding.Adder:
        # not `cached_property`: until Python 3.12 it has a lock that a fork can leave held
        if self._chosen_adder is None:
            self._chosen_adder = adding.adder(self._settings)
        return self._chosen_adder

    def _require_draft(self) -> None:
        """Raise unless content may change."""
        if self._is_final:
            raise ArtifactFinalizedError(self._why_final())

    def _id_to_log(self) -> str:
        """Return what the backend is to know this draft by; a fork makes two of it (STO-10)."""
        if self._process != os.getpid():
            self._client_id, self._process = new_id(CLIENT_ID_LENGTH), os.getpid()
        return self._client_id

    def _note_change(self) -> None:
        """From now on there is something that wants to be logged."""
        self._adder.unlogged[self._client_id] = self.name

    def _why_final(self) -> str:
        return (
            f"Artifact {self.name!r} was finalized and cannot change; log it and use its "
            "new_draft(), or begin another Artifact"
        )

    def _name_for(self, project: str, run: RunRecord | None) -> None:
        """Choose the name of an artifact that was given none (SEED-6)."""
        if self._name is not None:
            return
        if self._type == "code":
            program = (run.program if run else None) or SCRIPT_FALLBACK
            stem = os.path.splitext(os.path.basename(program))[0]
            self._name = names.generated(f"source-{project}-{stem}")
            self._is_internal = True
        else:
            self._name = names.generated(f"run-{run.run_id if run else 'none'}-{self._type}")

    def _source_path(self, digest: Digest) -> str | None:
        source = self._contents.source_of(digest)
        return None if source is None else source.path

    def _name_by_digest(self, path: str, name: str) -> str:
        folder, base = os.path.split(name)
        digest = adding.digest_of(path).partition(":")[2]
        _, dot, endings = base.partition(".")  # all of them, as of `x.tar.gz`
        return os.path.join(folder, digest[:20] + dot + endings)

    @property
    def _references(self) -> references.References:
        from lineal.client import references  # few artifacts have any

        return references.opened(self._settings.reference_timeout)

    def _shown(self, entry: Entry) -> ManifestEntry:
        return ManifestEntry(entry, cast("Artifact", self))  # nobody makes a bare Draft


def described(text: str | None) -> str | None:
    """Return a description as it can be stored; raises TypeError for what is no text."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise TypeError(f"description must be text, not a {text.__class__.__name__}")
    return values.text(text)


def clean(metadata: dict[str, Any] | None) -> dict[str, Any]:
    """Copy metadata as JSON: NumPy values converted, NaN to null, infinities refused (MET-1)."""
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise TypeError(f"metadata must be a dict, not a {metadata.__class__.__name__}")
    cleaned = _finite(values.plain(metadata, "metadata"))
    assert isinstance(cleaned, dict)
    return cleaned


def _finite(value: Any, path: str = "") -> Any:
    """path: where the value stands, with dots, for the message."""
    if isinstance(value, float):
        if math.isinf(value):
            raise Invalid(
                f"Metadata may not hold infinities, since JSON has no word for them: `{path}` is "
                f"{value}. Keep None or the text '{value}' there"
            )
        return None if math.isnan(value) else value
    if isinstance(value, dict):
        return {key: _finite(item, _below(path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item, _below(path, place)) for place, item in enumerate(value)]
    return value


def _below(path: str, part: str | int) -> str:
    return f"{path}.{part}" if path else str(part)
