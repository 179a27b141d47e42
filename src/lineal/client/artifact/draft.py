"""What can be done with a draft: its content is added and removed (ART-16…ART-27).

The methods of `Artifact` that raise ArtifactFinalizedError once it was logged or finalized.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

from lineal.client import media
from lineal.client.artifact import adding, patterns
from lineal.client.artifact.attributes import Attributes
from lineal.client.artifact.contents import MUTABLE
from lineal.client.artifact.manifest import ManifestEntry
from lineal.config import absolute_path
from lineal.core import file_paths, names
from lineal.core.digest import Digest
from lineal.core.manifest import Entry
from lineal.core.records import RunRecord
from lineal.errors import HostilePath, Invalid, MissingFile

MAX_REFERENCES = 10_000_000
"""Default of `max_objects`; beyond it is an error, never a truncation (X-4)."""
SCRIPT_FALLBACK = "session"
"""In the name of code that no script made."""


class DraftMethods(Attributes):
    """The methods of `Artifact` that fill a draft; none of them needs an instance."""

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
        path = file_paths.local_path(local_path)
        target = file_paths.entry_path(name) if name not in (None, "") else os.path.basename(path)
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
        path = file_paths.local_path(local_path)
        folder = adding.Folder(
            path,
            prefix=file_paths.folder_path(name),
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
        path, content = file_paths.entry_path(name), _one_by_one(data)
        entry = self._adder.add_bytes(self._contents, content, path, overwrite=overwrite)
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
        path = file_paths.entry_path(name)
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
        the URI alone. include, exclude: patterns as in `.gitignore`, of paths below the folder;
        a `.linealignore` in a local one is honoured. Raises Invalid for a text without scheme, a
        signed URL, more than `max_objects` files, or none at all; TypeError for what is no URI;
        Denied and Unavailable as the store answers. All entries are added or none.
        """
        from lineal.client import references  # few artifacts have any
        from lineal.client.artifact import referring

        self._require_draft()
        if max_objects is not None and not isinstance(max_objects, int):
            raise Invalid(f"max_objects is a number of files, not {max_objects!r}")
        included, excluded = names.strings(include), names.strings(exclude)
        wanted = references.Wanted(
            None if name is None else file_paths.path_text(name),
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
        from lineal.client.artifact import data_objects  # few artifacts have any

        self._require_draft()
        kind = media.type_of(obj)
        if kind is None:
            raise TypeError(
                f"Cannot add a {obj.__class__.__name__}; add() takes data types such as Table "
                "and Image, add_file and add_bytes take everything else"
            )
        path = data_objects.path_of(file_paths.entry_path(name), kind.type_name)
        assert isinstance(obj, media.DataObject)
        text = json.dumps(obj.write(data_objects.DraftTarget(self)), sort_keys=True)
        return self.add_bytes(text.encode(), path, overwrite=overwrite)

    def __setitem__(self, name: str | os.PathLike[str], obj: object) -> None:
        self.add(obj, name)

    def remove(self, item: str | os.PathLike[str] | ManifestEntry) -> None:
        """Remove an entry, a file, or a folder with all below it (ART-24)."""
        self._require_draft()
        given = item.path if isinstance(item, ManifestEntry) else file_paths.path_text(item)
        try:
            is_removed = self._contents.remove(file_paths.entry_path(given))
        except HostilePath:  # nothing can have such a name
            is_removed = False
        if not is_removed:
            raise MissingFile(f"No such file or folder in artifact {self.name}: {given!r}")
        self._note_change()

    def get_added_local_path_name(self, local_path: str) -> str | None:
        """Return the path in the artifact of a local file added earlier, else None (ART-27)."""
        return self._contents.name_of(absolute_path(file_paths.local_path(local_path)))

    def finalize(self) -> None:
        """Fix the content; every change afterwards raises ArtifactFinalizedError (ART-4).

        What another thread is adding right now becomes part of it.
        """
        self._contents.finalize()

    # --- for the modules beside this one ---

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

    def _shown(self, entry: Entry) -> ManifestEntry:
        return ManifestEntry(entry, self._whole)


def _one_by_one(data: bytes) -> bytes | memoryview:
    """Return the bytes of an array or a part of one, which may be of numbers and have gaps."""
    if type(data) is bytes:
        return data
    view = memoryview(data)
    return view.cast("B") if view.c_contiguous and view.nbytes else bytes(view)
