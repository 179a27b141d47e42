"""The seam between the SDK and whatever keeps the data: embedded, or (later) a server.

Each method is one use case of `service` and means what is documented there; a backend adds who
asks and how bytes travel. Contract for implementers: every method may be called from any thread
and after `fork`; every method that writes may be called again after a failure with the same
arguments and then changes nothing twice; a method that raises leaves nothing half-done visible.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from lineal.client.seam.catalog import Catalog
from lineal.client.seam.content import Content
from lineal.client.seam.drafts import Drafts
from lineal.client.seam.lineage import Lineage
from lineal.client.seam.retention import Retention
from lineal.client.seam.runs import Runs
from lineal.client.seam.space import Space
from lineal.client.seam.sweeps import Sweeps
from lineal.core import names
from lineal.core.full_names import ArtifactPath
from lineal.core.records import Page, PageRequest, ProjectRecord, VersionRecord

if TYPE_CHECKING:
    from lineal.core.status import InstanceStatus


class Backend(
    Runs,
    Drafts,
    Catalog,
    Content,
    Retention,
    Space,
    Sweeps,
    Lineage,
    Protocol,
):
    """All that can be asked, by concern; here who and where, and projects."""

    # --- who and where ---

    @property
    def entity(self) -> str:
        """The entity that owns what names none."""

    @property
    def username(self) -> str:
        """Who acts; recorded as the maker of what is made."""

    @property
    def url(self) -> str:
        """Where the data is: `file:///…` or the server's address."""

    @property
    def staging(self) -> str:
        """A folder for private copies; a file there can be sent with `take` at no cost."""

    def status(self) -> InstanceStatus: ...

    def close(self) -> None: ...

    def waiting(self, seconds: float) -> AbstractContextManager[None]:
        """Let calls of this thread wait at most so long for other writers, in the block."""

    # --- projects ---

    def project(self, entity: str, name: str, *, create: bool = False) -> ProjectRecord: ...

    def projects(self, entity: str, page: PageRequest) -> Page[ProjectRecord]: ...

    def entities(self) -> list[str]:
        """Return who has projects here, by name; some of them, if there are many."""
        ...


def version_of_type(backend: Backend, path: ArtifactPath, type: str | None) -> VersionRecord:
    """Resolve a name; raises NotFound, and Invalid (a ValueError) for another type."""
    record = backend.version(path)
    names.require_type(f"Artifact {record.path}", record.type, type)
    return record
