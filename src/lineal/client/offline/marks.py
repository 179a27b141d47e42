"""What targets have confirmed of the folder of an offline run, kept in the folder itself."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime

from lineal.client import term
from lineal.client.backend import Backend
from lineal.client.offline import checked_json
from lineal.errors import IntegrityError, NoSpace, Unavailable
from lineal.files.writing import write_whole

MARK_FILE = "synced.json"


@dataclass(frozen=True)
class Where:
    """A run in a target."""

    entity: str
    project: str
    run_id: str

    def __str__(self) -> str:
        return f"{self.entity}/{self.project}/{self.run_id}"


@dataclass(frozen=True)
class _Mark:
    """What one target has confirmed in one place."""

    done: tuple[str, ...] = ()
    synced_at: str | None = None


class Marks:
    """What one target has confirmed of a folder in one place; the folder keeps those of all."""

    def __init__(self, folder: str, target: Backend, where: Where) -> None:
        self._path = os.path.join(folder, MARK_FILE)
        self._key = f"{target.url} {where}"
        mine = self._read().get(self._key, _Mark())
        self._done = list(mine.done)
        self.is_complete = mine.synced_at is not None

    def is_done(self, step: str) -> bool:
        return step in self._done

    def done(self, step: str) -> None:
        """Note a step that must not be repeated: somebody may have changed its result since."""
        self._done.append(step)
        self._write(_Mark(tuple(self._done)))

    def forget(self) -> None:
        if self._done or self.is_complete:
            self._done, self.is_complete = [], False
            self._write(_Mark())

    def complete(self) -> None:
        self._write(_Mark(tuple(self._done), datetime.now(UTC).isoformat()))

    def _read(self) -> dict[str, _Mark]:
        """Raises IntegrityError for what no sync writes."""
        try:
            with open(self._path, encoding="utf-8") as file:
                marks = json.load(file)
            if not isinstance(marks, dict):
                raise ValueError("it is no JSON object")
            return {where: checked_json.read(_Mark, mark) for where, mark in marks.items()}
        except OSError:
            return {}
        except (ValueError, RecursionError) as error:
            raise IntegrityError(
                f"{self._path} is damaged: {error}. It says what was copied before; delete it to "
                "copy all of the run again"
            ) from error

    def _write(self, mine: _Mark) -> None:
        marks = {**self._read(), self._key: mine}
        said = {where: dataclasses.asdict(mark) for where, mark in marks.items()}
        try:
            write_whole(self._path, json.dumps(said).encode())
        except (NoSpace, Unavailable) as error:
            folder = os.path.dirname(self._path)
            if not isinstance(error, NoSpace) and os.access(folder, os.W_OK):
                raise
            term.warn_once(f"{folder} is not marked as synced: {error}", key=f"mark {folder}")
