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
    """Something `verify` found wrong; `where` is a full name, key or path."""

    invariant: str
    where: str
    what: str
