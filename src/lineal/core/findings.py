"""What `verify` finds."""

from __future__ import annotations

import zlib
from typing import NamedTuple

STORED_BYTES = "stored blob has its bytes"
"""What `verify --repair` can do something about, as the `invariant` of a finding."""

UNREADABLE = "cannot be read now"
"""How the `what` of such a finding begins where the bytes may well be there."""


class Portion(NamedTuple):
    """Which of the stored files `verify` reads: one of so many parts; number 0: none of them."""

    number: int
    of: int

    def has(self, name: str) -> bool:
        """Tell whether a file of that name is in this part, in which it always is."""
        return zlib.crc32(name.encode()) % self.of == self.number - 1


ALL = Portion(1, 1)
NONE = Portion(0, 1)


class Finding(NamedTuple):
    """Something `verify` found wrong."""

    invariant: str
    where: str
    """A full name, or where the store keeps the bytes: a path of this machine, if it has one."""
    what: str
    files: tuple[str, ...] = ()
    """Whose bytes these are: some paths in live versions, and files of runs."""
    batch: str = ""
    """The same for all bytes that were stored together, and may have been lost together."""
