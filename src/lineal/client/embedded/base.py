"""What all parts of the embedded backend stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lineal.core.access import Actor
    from lineal.service.instance import Instance


class Base:
    """An instance that is open in this process, and who asks."""

    def __init__(self, instance: Instance, actor: Actor) -> None:
        self.instance = instance
        self.actor = actor
