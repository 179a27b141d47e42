"""What `add_reference` returns: the entries it made, kept on disk where they are many."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import overload

from lineal.client.artifact.contents import Added
from lineal.client.artifact.manifest import ManifestEntry
from lineal.core.manifest import Entry, decode_entries, encode_entry

LISTED_MOST = 10_000
"""Entries returned as a plain list, as W&B does; more than that stay in a temporary file."""

Shown = Callable[[Entry], ManifestEntry]


class Made:
    """Notes entries on their way into a draft."""

    def __init__(self) -> None:
        self._few: list[Entry] = []
        self._many: MadeEntries | None = None

    def noting(self, added: Iterator[Added]) -> Iterator[Added]:
        for item in added:
            self._note(item.entry)
            yield item

    def shown(self, show: Shown) -> Sequence[ManifestEntry]:
        if self._many is None:
            return [show(entry) for entry in self._few]
        self._many.show = show
        return self._many

    def _note(self, entry: Entry) -> None:
        if self._many is None and len(self._few) < LISTED_MOST:
            self._few.append(entry)
            return
        if self._many is None:
            self._many = MadeEntries()
            for earlier in self._few:
                self._many.append(earlier)
            self._few.clear()
        self._many.append(entry)


class MadeEntries(Sequence[ManifestEntry]):
    """Entries in the order they were made; eight bytes of memory each, the rest on disk."""

    show: Shown

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this does
        self._starts = array("Q")
        self._end = 0

    def append(self, entry: Entry) -> None:
        self._starts.append(self._end)
        self._end += self._file.write(encode_entry(entry))

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> ManifestEntry: ...
    @overload
    def __getitem__(self, index: slice) -> list[ManifestEntry]: ...
    def __getitem__(self, index: int | slice) -> ManifestEntry | list[ManifestEntry]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        self._file.seek(self._starts[index])
        (entry,) = decode_entries(self._file.readline())
        self._file.seek(0, 2)
        return self.show(entry)

    def __repr__(self) -> str:
        return f"<{len(self)} entries>"
