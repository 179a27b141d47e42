"""One folder that is copied to one place: what is asked for, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ParamSpec

from lineal.client import term
from lineal.client.backend import Backend
from lineal.client.offline.marks import Marks, Where
from lineal.client.offline.run_folder import About
from lineal.core.records import VersionRecord
from lineal.errors import LinealError

P = ParamSpec("P")


@dataclass
class Synced:
    """What became of one folder."""

    folder: str
    run: str | None = None
    """`entity/project/run_id` in the target."""
    was_synced: bool = False
    """Nothing was done: it is in this target already."""
    is_empty: bool = False
    """Nothing was done: it was killed before its run was started."""
    is_removed: bool = False
    """The folder is not there any more."""
    line_count: int = 0
    file_count: int = 0
    version_count: int = 0
    renumbered: dict[str, str] = field(default_factory=dict)
    """Versions and links that are called otherwise in the target, such as `data:v0`: `data:v3`."""
    skipped: list[str] = field(default_factory=list)
    """Why it went without versions that are not there any more; only where that was asked for."""
    failures: dict[str, BaseException] = field(default_factory=dict)
    """What could not be copied, by name; empty means complete."""

    def named(self, here: VersionRecord, there: VersionRecord) -> None:
        """Note what a version or link is called in the target."""
        if here.name != there.name:
            self.renumbered[here.name] = there.name

    def attempt(
        self, name: str, call: Callable[P, None], *args: P.args, **kwargs: P.kwargs
    ) -> bool:
        """Call it, and keep under this name what goes wrong; returns whether nothing did."""
        try:
            call(*args, **kwargs)
        except (LinealError, OSError) as error:
            self.failures[name] = error
            term.warning(f"{name} was not synced: {error}")
            return False
        return True


@dataclass(frozen=True)
class Job:
    """What is to be copied, where to, and what is known of it."""

    folder: str
    about: About
    target: Backend
    where: Where
    marks: Marks
    result: Synced
    """Filled in while it is copied."""
    pack_files_up_to: int
    skip_gone: bool
    """Go without versions that the target does not have (any more)."""

    @property
    def goes_without(self) -> bool:
        """Whether it does so: also where it was complete once, maybe without them."""
        return self.skip_gone or self.marks.is_complete
