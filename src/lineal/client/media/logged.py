"""What `run.log` does with data objects: run files for pictures, artifacts for tables (DAT-5)."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from lineal.client.media.files import MediaFile
from lineal.core.digest import PREFIX, Digest
from lineal.core.ids import new_id
from lineal.core.manifest import Entry
from lineal.core.names import LATEST, generated_apart

if TYPE_CHECKING:
    from lineal.client.media.table import Table
    from lineal.client.media.types import DataObject

RUN_TABLE = "run_table"
INCREMENTAL_FILE = "incremental-table-file"


class Part(NamedTuple):
    """Which of the files of an INCREMENTAL table one is."""

    number: int
    mark: str
    """Behind the number in its name, where files of other tables may have the same number."""


class Logged(NamedTuple):
    """What a table remembers of the last time it was logged under one key of one run."""

    part: Part | None
    shape: tuple[int, int]
    """Rows and columns."""
    value: dict[str, Any]


def safe_key(key: str) -> str:
    """Return a logged key as part of a path: `val/acc` keeps its slash, `..` does not survive."""
    parts = [re.sub(r"[^\w.\-]+", "_", part).strip(".") for part in key.split("/")]
    return "/".join(part for part in parts if part) or "_"


class RunFiles:
    """The files of a run as a place for media.

    Their bytes are kept at once: a picture given by path may be overwritten at the next step.
    """

    def __init__(self, run: Any) -> None:
        self._run = run

    def add(self, file: MediaFile, name: str) -> dict[str, Any]:
        """Save under this name and return the stub."""
        data = file.read()
        self._run._save_medium(name, data)
        return {"path": name, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}

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


def next_part(last: Part | None, run: Any, key: str) -> Part:
    """Return the part that comes after a table's last one; None for a table not logged yet.

    What was logged under the key before, by another table or before the run was resumed, stays:
    numbers go on after it, and names differ from those of other processes in the run.
    """
    if last is not None:
        return last._replace(number=last.number + 1)
    before = run.summary.get(key)
    if isinstance(before, dict) and before.get("_type") == INCREMENTAL_FILE:
        return Part(before["increment_num"] + 1, f"-{new_id()}")
    return Part(0, f"-{new_id()}" if run.resumed else "")


def log_object(obj: DataObject, run: Any, key: str) -> dict[str, Any]:
    """Log an object as a version of the run's own artifact, and return what stands for it."""
    from lineal.client.artifact.artifact import Artifact  # it imports this package

    name = generated_apart(f"run-{run.id}-{key}")
    artifact = Artifact._internal(name, RUN_TABLE)
    entry = artifact.add(obj, safe_key(key))
    path = f"{run.entity}/{run.project}/{name}:{artifact.digest}/{entry.path}"
    run._log_internal_artifact(artifact)
    return {"_type": obj.type_name, "artifact_path": f"lineal-artifact://{path}"}


def log_table(table: Table, run: Any, key: str, *, part: Part | None = None) -> dict[str, Any]:
    """Log a table as a version of the run's own artifact and return what the history row says.

    part: which of an INCREMENTAL table this is; each part is one more file.
    """
    from lineal.client.artifact.artifact import Artifact  # it imports this package

    name = generated_apart(f"run-{run.id}-{'' if part is None else 'incr-'}{key}")
    artifact = Artifact._internal(name, RUN_TABLE, incremental=part is not None)
    file = safe_key(key) if part is None else f"{part.number}{part.mark}.{safe_key(key)}"
    entry = artifact.add(table, file)
    # A draft that builds on the latest version has no digest yet; its files stay in all later ones.
    ref = artifact.digest if part is None else LATEST
    run._log_internal_artifact(artifact)
    value = {
        "_type": "table-file",
        "artifact_path": f"lineal-artifact://{run.entity}/{run.project}/{name}:{ref}/{entry.path}",
        "ncols": len(table.columns),
        "nrows": len(table),
        "log_mode": table.log_mode,
    }
    if part is not None:
        value |= {"_type": INCREMENTAL_FILE, "increment_num": part.number}
    return value
