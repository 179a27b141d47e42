"""Space: where the bytes are, and freeing them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from lineal.core.full_names import ArtifactPath

if TYPE_CHECKING:
    from lineal.core.gc import CleanupPlan, Proof, StorageReport, Swept


class Space(Protocol):
    """Where the bytes are, and freeing them."""

    def gc_plan(self) -> CleanupPlan: ...

    def gc_sweep(self, progress: Callable[[str, int], None] | None = None) -> Swept:
        """Do what the plan says.

        progress: called with a step's name and how many more it has done.
        """

    def sweep_if_due(self) -> Swept | None:
        """Sweep briefly if nobody has done so for a day and nobody is doing it; else None."""

    def purge(
        self, path: ArtifactPath, *, all_versions: bool = False, force: bool = False
    ) -> Proof:
        """Delete the content of a version at once and for good, and prove it.

        all_versions: those of the path's name, whatever its ref. force: linked and protected too.
        """

    def storage(
        self,
        *,
        entity: str | None = None,
        project: str | None = None,
        collection: str | None = None,
    ) -> StorageReport:
        """Say where the bytes are: by project, collection or version, the largest first."""
