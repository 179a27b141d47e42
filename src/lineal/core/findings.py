"""What `verify` finds."""

from __future__ import annotations

from typing import NamedTuple

STORED_BYTES = "stored blob has its bytes"
"""What `verify --repair` can do something about, as the `invariant` of a finding."""

UNREADABLE = "cannot be read now"
"""How the `what` of such a finding begins where the bytes may well be there."""


class Finding(NamedTuple):
    """Something `verify` found wrong; `where` is a full name, key or path."""

    invariant: str
    where: str
    what: str
