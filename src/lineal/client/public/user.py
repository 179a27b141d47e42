"""Who made a run or a sweep, and who asks."""

from __future__ import annotations

from dataclasses import dataclass


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


@dataclass(frozen=True)
class Viewer:
    """Who asks."""

    username: str
    entity: str
    """Owns what names no entity: the user, or a team."""

    @property
    def name(self) -> str:
        return self.username

    @property
    def email(self) -> None:
        """Nobody is asked for one."""
        return None

    @property
    def admin(self) -> bool:
        """You may do everything with your own instance."""
        return True

    @property
    def teams(self) -> list[str]:
        """The team that owns what names no entity, if it is one."""
        return [] if self.entity == self.username else [self.entity]
