"""What `run.log` does with data objects: run files for pictures, artifacts for tables (DAT-5)."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from lineal.client.media.files import MediaFile
from lineal.core.digest import PREFIX, Digest
from lineal.core.manifest import Entry
from lineal.core.names import LATEST, generated

if TYPE_CHECKING:
    from lineal.client.media.table import Table

RUN_TABLE = "run_table"


class Logged(NamedTuple):
    """What a table remembers of the last time it was logged under one key of one run."""

    number: int
    shape: tuple[int, int]
    """Rows and columns."""
    value: dict[str, Any]


def safe_key(key: str) -> str:
    """Return a logged key as part of a path: `val/acc` keeps its slash, `..` does not survive."""
    parts = [re.sub(r"[^\w.\-]+", "_", part).strip(".") for part in key.split("/")]
    return "/".join(part for part in parts if part) or "_"


class RunFiles:
    """The files of a run as a place for media. They are copied into its folder first.

    A copy, because a picture given by path may be overwritten at the next step.
    """

    def __init__(self, run: Any) -> None:
        self._run = run

    def add(self, file: MediaFile, name: str) -> dict[str, Any]:
        """Save under this name and return the stub."""
        local_path = os.path.join(self._run.dir, *name.split("/"))
        file.copy_to(local_path)
        self._run._save_media(local_path, name)
        kept = MediaFile(file.suffix, local_path=local_path)
        return {"path": name, "sha256": kept.sha256, "size": kept.size_bytes}

    def add_bytes(self, data: bytes, name: str, /) -> Entry:
        return self._entry(MediaFile("", data=data), name)

    def add_file(self, local_path: str, name: str, /) -> Entry:
        return self._entry(MediaFile("", local_path=local_path), name)

    def add_reference(self, uri: str, name: str, /) -> object:
        raise NotImplementedError("reference_to() returns None: nobody asks for this")

    def reference_to(self, obj: object, /) -> str | None:
        """Return None: files of a run refer to nothing, they are copies."""
        return None

    def _entry(self, file: MediaFile, name: str) -> Entry:
        stub = self.add(file, name)
        return Entry(name, Digest(PREFIX + stub["sha256"]), stub["size"])


def log_table(table: Table, run: Any, key: str, *, increment: int | None = None) -> dict[str, Any]:
    """Log a table as a version of the run's own artifact and return what the history row says.

    increment: number of this part of an INCREMENTAL table; each part is one more file.
    """
    from lineal.client.artifact import Artifact  # it imports this package

    name = generated(f"run-{run.id}-{'' if increment is None else 'incr-'}{key}")
    artifact = Artifact._internal(name, RUN_TABLE, incremental=increment is not None)
    file = safe_key(key) if increment is None else f"{increment}.{safe_key(key)}"
    entry = artifact.add(table, file)
    # A draft that builds on the latest version has no digest yet; its files stay in all later ones.
    ref = artifact.digest if increment is None else LATEST
    run._log_internal_artifact(artifact)
    value = {
        "_type": "table-file",
        "artifact_path": f"lineal-artifact://{run.entity}/{run.project}/{name}:{ref}/{entry.path}",
        "ncols": len(table.columns),
        "nrows": len(table),
        "log_mode": table.log_mode,
    }
    if increment is not None:
        value |= {"_type": "incremental-table-file", "increment_num": increment}
    return value
