"""The embedded backend: calls the service in this process, as the owner of the instance.

The only corner of `client` that loads `service`. Its parts pass each call on, and say who asks;
what is added to that is said here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from lineal import service
from lineal.client import term
from lineal.client.embedded.catalog import EmbeddedCatalog
from lineal.client.embedded.content import EmbeddedContent
from lineal.client.embedded.drafts import EmbeddedDrafts
from lineal.client.embedded.lineage import EmbeddedLineage
from lineal.client.embedded.retention import EmbeddedRetention
from lineal.client.embedded.runs import EmbeddedRuns
from lineal.client.embedded.space import EmbeddedSpace
from lineal.client.embedded.sweeps import EmbeddedSweeps
from lineal.client.run import adopting
from lineal.config import OPENED_WITH, Settings, acting_user, load
from lineal.core.access import Actor, Role
from lineal.core.findings import ALL, Finding, Portion
from lineal.core.records import DraftSpec, Page, PageRequest, ProjectRecord, RunRecord
from lineal.files.folders import renew_folder
from lineal.service.instance import Instance, open_instance

if TYPE_CHECKING:
    from lineal.client.backend import Backend
    from lineal.core.retention import Restored
    from lineal.core.status import InstanceStatus
    from lineal.service.verify import Progress


class EmbeddedBackend(
    EmbeddedRuns,
    EmbeddedDrafts,
    EmbeddedCatalog,
    EmbeddedContent,
    EmbeddedRetention,
    EmbeddedSpace,
    EmbeddedSweeps,
    EmbeddedLineage,
):
    """`Backend` over an instance in a folder of this machine."""

    def __init__(
        self, instance: Instance, actor: Actor, opened_with: Mapping[str, float] | None = None
    ) -> None:
        """opened_with: the settings that the instance keeps (`config.OPENED_WITH`)."""
        super().__init__(instance, actor)
        self._opened_with = opened_with or {}
        self._checked: set[tuple[str, str, str, str]] = set()
        """Collections and types of drafts that were found to fit: a type stays what it is."""

    def __reduce__(self) -> tuple[Callable[..., Backend], tuple[dict[str, Any]]]:
        """Another process opens the instance for itself: connections must not travel."""
        where = {"home": self.instance.home.root, "entity": self.entity, "username": self.username}
        return _reopened, ({**where, **self._opened_with},)

    # --- who and where ---

    @property
    def entity(self) -> str:
        return self.actor.entity

    @property
    def username(self) -> str:
        return self.actor.name

    @property
    def url(self) -> str:
        return f"file://{self.instance.home.root}"

    @property
    def staging(self) -> str:
        renew_folder(self.instance.home.staging)
        return self.instance.home.staging

    def status(self) -> InstanceStatus:
        return service.status.status(self.instance, self.actor)

    def close(self) -> None:
        self.instance.close()

    def waiting(self, seconds: float) -> AbstractContextManager[None]:
        return self.instance.database.waiting(seconds)

    # --- projects ---

    def project(self, entity: str, name: str, *, create: bool = False) -> ProjectRecord:
        return service.projects.project(self.instance, self.actor, entity, name, create=create)

    def projects(self, entity: str, page: PageRequest) -> Page[ProjectRecord]:
        return service.projects.projects(self.instance, self.actor, entity, page)

    def entities(self) -> list[str]:
        return service.projects.entities(self.instance, self.actor)

    # --- what is added to the service ---

    def check_collection(self, draft: DraftSpec) -> None:
        key = (draft.entity, draft.project, draft.collection, draft.type)
        if key not in self._checked:
            super().check_collection(draft)
            self._checked.add(key)

    def restore(self, deletion_id: int) -> Restored:
        restored = super().restore(deletion_id)
        self._adopt_waiting()
        return restored

    def restore_run(self, entity: str, project: str, run_id: str) -> RunRecord:
        run = super().restore_run(entity, project, run_id)
        self._adopt_waiting()
        return self.run_by_key(run.key)

    def restore_project(self, entity: str, project: str) -> Restored:
        restored = super().restore_project(entity, project)
        self._adopt_waiting()
        return restored

    def _adopt_waiting(self) -> None:
        """Move the lines that waited in the spool while their run was deleted."""
        adopting.adopt(self, self.instance.home.spool)

    # --- what only this backend can: it has the files ---

    def verify(
        self,
        progress: Progress | None = None,
        *,
        repair: bool = False,
        portion: Portion = ALL,
    ) -> Iterator[Finding]:
        """Walk every invariant and every byte of the instance; embedded only."""
        return service.verify.verify(
            self.instance, self.actor, progress, repair=repair, portion=portion
        )

    def damage(self) -> list[Finding]:
        """Look at the database's own pages only; embedded only."""
        return service.verify.damage(self.instance, self.actor)

    def unreadable(self) -> Finding | None:
        """Look for what keeps a database from being read that comes from elsewhere."""
        return service.verify.unreadable(self.instance, self.actor)


def open_embedded(settings: Settings) -> EmbeddedBackend:
    """Open the instance in the settings' home as its owner."""
    instance = open_instance(settings, tell=term.warning)
    actor = Actor(acting_user(settings), Role.OWNER, settings.entity)
    opened_with = {name: getattr(settings, name) for name in OPENED_WITH}
    return EmbeddedBackend(instance, actor, opened_with)


def _reopened(settings: dict[str, Any]) -> Backend:
    from lineal.client import session  # it loads this

    return session.open_backend(load(settings))
