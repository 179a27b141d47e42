"""Who may do what: one table, asked by every `service` function and by nothing else.

Embedded there is one actor, the owner, who may do everything. Users, teams and roles are added
by the server; they add rows and a way to find an actor's role, not a second place to ask.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from lineal.errors import Denied, NotFound


class Role(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"
    NONE = "none"


class Action(StrEnum):
    READ = "read"
    """See and download; without it the thing does not exist for the actor."""
    WRITE = "write"
    """Log runs and artifacts, set aliases, tags, metadata."""
    DELETE = "delete"
    ADMINISTER = "administer"
    """Change settings of the project or the instance."""


ALLOWED: dict[Role, frozenset[Action]] = {
    Role.OWNER: frozenset(Action),
    Role.ADMIN: frozenset(Action),
    Role.MEMBER: frozenset({Action.READ, Action.WRITE, Action.DELETE}),
    Role.VIEWER: frozenset({Action.READ}),
    Role.NONE: frozenset(),
}


class Actor(NamedTuple):
    """Somebody who asks. `role` is what they are where nothing more specific is said."""

    name: str
    role: Role = Role.NONE
    team: str | None = None
    """Owns what names no entity; None: the actor."""

    @property
    def entity(self) -> str:
        return self.team or self.name


def may(actor: Actor, action: Action) -> bool:
    return action in ALLOWED[actor.role]


def require(actor: Actor, action: Action, what: str) -> None:
    """Raise unless the actor may; `what` names the thing in full for the message.

    Denied for somebody who may read it. For an outsider it does not exist: NotFound, said before
    anybody has looked whether it does.
    """
    if may(actor, action):
        return
    if not may(actor, Action.READ):
        raise NotFound(f"No {what} (you are {actor.name})")
    raise Denied(
        f"You are {actor.name} ({actor.role}) and may not {action} {what}; "
        "ask its owner for the right"
    )
