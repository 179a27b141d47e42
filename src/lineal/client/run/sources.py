"""The source files that a run logs: those of several folders make one artifact (COD-3, COD-6)."""

from __future__ import annotations

import filecmp
import os
from itertools import chain, count
from typing import TYPE_CHECKING

from lineal.client import term
from lineal.client.artifact.artifact import Artifact
from lineal.client.capture import code
from lineal.client.run import artifacts
from lineal.errors import Invalid, MissingFile

if TYPE_CHECKING:
    from lineal.client.run.run import Run


class Sources:
    """What calls of `log_code` for one name took so far."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        """Path in the artifact → absolute path."""
        self._heads: dict[str, str] = {}
        """Folder → what the paths of its files in the artifact begin with."""

    def add(self, selection: code.Selection) -> None:
        """Add the files of a folder, below its name if others have their paths already."""
        root = selection.root
        if root not in self._heads:
            self._heads[root] = self._free_head(selection)
        head = self._heads[root]
        self.files.update((head + path, local) for path, local in selection.files)

    def _free_head(self, selection: code.Selection) -> str:
        name = os.path.basename(selection.root) or "root"
        heads = chain(["", f"{name}/"], (f"{name}-{number}/" for number in count(2)))
        return next(
            head
            for head in heads
            if not any(self._is_taken(head + path, local) for path, local in selection.files)
        )

    def _is_taken(self, path: str, local: str) -> bool:
        other = self.files.get(path)
        if other is None or other == local:
            return False
        try:
            return not filecmp.cmp(other, local, shallow=False)
        except OSError:  # one of them is gone by now: whoever adds it says so
            return False


def log_code(
    run: Run,
    root: str,
    name: str | None,
    include: code.Predicate | None,
    exclude: code.Predicate | None,
) -> Artifact | None:
    """Log the source files below a folder as an artifact of type `code`.

    With them those that earlier calls of this run took for the same name: the artifact that a run
    logged last has all of its code.
    """
    for predicate in (include, exclude):
        if predicate is not None and not callable(predicate):
            raise TypeError(f"include_fn and exclude_fn are functions, not {predicate!r}")
    artifact = Artifact._internal(name, "code") if name else Artifact(type="code")
    selection = code.select(root, include, exclude)
    for path in selection.secrets:
        term.warning(f"log_code left out {path}: it looks as if it held a key or password")
    for path in selection.too_large:
        term.warning(f"log_code left out {path}: it is over {term.size_text(code.FILE_MAX_BYTES)}")
    for reason in selection.unreadable:
        term.warning(f"log_code left out a folder: {reason}")
    for reason in selection.unnameable:
        term.warning(f"log_code left out a file: {reason}")
    if not os.path.isdir(selection.root):
        what = "a file, and no" if os.path.exists(selection.root) else "no"
        term.warning(f"log_code: {selection.root} is {what} folder; nothing was logged")
        return None
    if not selection.files:
        term.warning(f"log_code found no source files below {selection.root}; nothing was logged")
        return None
    sources = run._sources.setdefault(name, Sources())
    sources.add(selection)
    for path, local in sources.files.items():
        try:
            artifact.add_file(local, path)
        except (Invalid, MissingFile):
            if os.path.exists(local):
                raise
            term.warning(f"log_code left out {path}: it is gone by now")
    logged = artifacts.log(run, artifact)
    _say(selection, len(artifact.manifest))
    return logged


def _say(selection: code.Selection, count: int) -> None:
    own = sum(os.path.exists(path) for _, path in selection.files)
    files = "1 file" if own == 1 else f"{own:,} files"
    more = f"; with those of other calls {count:,} in all" if count > own else ""
    term.info(f"log_code captured {files} below {selection.root}{more}")
