"""Runs of a list: their config, summary and metadata are read when they are asked for (API-8)."""

from __future__ import annotations

import threading

from lineal.client.backend import Backend
from lineal.client.public.run import Run
from lineal.core.records import JsonObject, RunDocument, RunKey, RunRecord
from lineal.errors import RunNotFoundError

READ_AT_ONCE = 500


class ListedRuns:
    """Makes the runs of one list from records without documents.

    Lists keep their items, and documents are most of what a run takes. Who asks one run after the
    other for the same gets that of many with one query.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._keys: list[RunKey] = []
        self._readers: dict[RunDocument, _Reader] = {}
        self._lock = threading.Lock()

    def run(self, record: RunRecord) -> Run:
        """Make the next run of the list."""
        self._keys.append(record.key)
        return Run(self._backend, record, self._document)

    def _document(self, key: RunKey, name: RunDocument) -> JsonObject:
        """Return a document of a run as it is now."""
        with self._lock:
            if name not in self._readers:
                self._readers[name] = _Reader(self._backend, name, self._keys)
            return self._readers[name].take(key)


class _Reader:
    """Reads one document of each of many runs, in twice as large portions each time."""

    def __init__(self, backend: Backend, name: RunDocument, keys: list[RunKey]) -> None:
        """keys: of all runs of the list so far, as they come."""
        self._backend, self._name, self._keys = backend, name, keys
        self._read: dict[RunKey, JsonObject] = {}
        """Of the last query, what was not asked for yet."""
        self._next = 0
        """The place in `_keys` after the last query."""
        self._size = 1

    def take(self, key: RunKey) -> JsonObject:
        if key not in self._read:
            self._read_from(key)
        found = self._read.pop(key, None)
        if found is None:
            raise RunNotFoundError(f"There is no run with the key {key} any more")
        return found

    def _read_from(self, key: RunKey) -> None:
        goes_on = self._keys[self._next : self._next + 1] == [key]
        self._size = min(2 * self._size, READ_AT_ONCE) if goes_on else 1
        start = self._next if goes_on else self._keys.index(key)
        some = self._keys[start : start + self._size]
        self._next = start + len(some)
        self._read = self._backend.run_documents(some, self._name)
