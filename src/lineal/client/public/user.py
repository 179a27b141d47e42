"""Who made a run or a sweep."""

from __future__ import annotations


class User(str):
    """The name of a user, which is all that is known of one; W&B's user has attributes."""

    __slots__ = ()

    @property
    def username(self) -> str:
        return str(self)

    name = username

    @property
    def email(self) -> None:
        return None
