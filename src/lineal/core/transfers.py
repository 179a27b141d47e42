"""How bytes are sent to where they are kept, and fetched from there.

Annotations are not postponed, as in `core.records`.
"""

from enum import StrEnum
from typing import NamedTuple

from lineal.core.digest import Digest, Key


class Upload(NamedTuple):
    """How to send one blob. Offset and length are there for chunks to come."""

    digest: Digest
    size: int
    key: Key
    offset: int = 0
    length: int | None = None


class Handover(StrEnum):
    """What a store may do with a file that it is given."""

    COPY = "copy"
    LINK = "link"
    """Its owner promised not to change it, so a hard link will do if one can be made."""
    TAKE = "take"
    """It was written and hashed by us: it may be moved away without a second look."""


class Location(NamedTuple):
    """Where to fetch one blob; in a folder of this machine `path` or `pack` is set."""

    digest: Digest
    size: int
    key: Key
    path: str | None = None
    """A file that is the blob; to be read, never written."""
    pack: str | None = None
    """A file that holds the blob among others, `size` bytes from `offset` on."""
    offset: int = 0
    length: int | None = None
