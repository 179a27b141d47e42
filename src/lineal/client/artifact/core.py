"""What an `Artifact` is at any time: a draft, handed over, or stored, and how it becomes the next.

`Artifact` is one class, as in W&B, whatever becomes of it; only its methods are in several files.
All of its state is here. `attributes.py` has what can be asked of it at any time, `draft.py` the
methods that fill a draft, `version.py` those that read a version, `artifact.py` the rest.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import wait as wait_for
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

from lineal.client import session, term, values
from lineal.client.artifact import adding
from lineal.client.artifact.base import Base
from lineal.client.artifact.contents import Contents
from lineal.client.artifact.metadata import clean, described, is_changed
from lineal.client.backend import Backend
from lineal.client.transfer import Job, Lost
from lineal.config import Settings, load
from lineal.core import names
from lineal.core.ids import new_id
from lineal.core.records import VersionId, VersionRecord, VersionState
from lineal.errors import ArtifactFinalizedError, ArtifactNotLoggedError, Invalid, WaitTimeoutError

if TYPE_CHECKING:
    from lineal.client import references
    from lineal.client.artifact.artifact import Artifact
    from lineal.client.artifact.referring import Referred

CLIENT_ID_LENGTH = 32
FOREIGN_ALGORITHMS = ("MD5", "XXH128")
"""W&B's; taken so that its scripts run, but nothing is told apart by them (ART-2)."""


class HandedOver:
    """A draft that was logged, with what it said then: it is on its way, or could not be stored.

    A contribution to a distributed version stays one: what that becomes it is not told (ART-44).
    """

    def __init__(
        self,
        backend: Backend,
        job: Job[VersionRecord | None],
        description: str | None,
        metadata: dict[str, Any],
    ) -> None:
        self.backend, self.job = backend, job
        self.description, self.metadata = description, metadata
        self.is_told = False
        """Whether somebody was told that it could not be stored."""


class Stored(NamedTuple):
    """A version, and what has it: to another instance its ids mean nothing."""

    backend: Backend
    record: VersionRecord


class ArtifactCore:
    """The state of an artifact, and what changes it."""

    _logged: HandedOver | Stored | None = None
    """What became of it when it was logged; None: it was not."""
    _base: Stored | None = None
    """The version that it was made from as a draft."""
    _held: Contents | None = None
    """None for a version that nobody looked into."""
    _sources: frozenset[VersionId] = frozenset()
    """Versions that entries were taken over from (LIN-11)."""
    _referred: Referred | None = None
    """The last of them: a table may refer to each of its pictures."""
    _aliases: list[str]
    _tags: list[str]
    """As the aliases, those of a version; a draft has none yet."""
    _distributed_id: str | None = None
    _ttl_seconds: int | None = None
    _is_internal = False
    """Lineal's own, under a name or type that users may not take (NAM-3)."""
    _chosen_adder: adding.Adder | None = None

    def __init__(
        self,
        name: str | None = None,
        type: str | None = None,
        description: str | None = None,
        metadata: dict[str, Any] | None = None,
        incremental: bool = False,
        use_as: str | None = None,
        storage_region: str | None = None,
        digest_algorithm: str | None = None,
    ) -> None:
        """type: what it is, such as `dataset` or `model`; one collection has one type.

        metadata: a JSON object of at most 1 MiB. incremental: add to the latest version instead
        of replacing it. use_as: deprecated, ignored. storage_region: one instance has one store;
        ignored with a warning. digest_algorithm: `MD5` or `XXH128`, ignored; content is told apart
        by SHA-256. Raises Invalid (a ValueError) for bad names and metadata, TypeError without a
        type.
        """
        if type is None:
            raise TypeError(
                "Artifact needs a type, such as type='dataset' or type='model'; "
                "one collection holds one type"
            )
        self._type = names.type_name(type)
        self._name = None if name is None else names.artifact_name(name)
        names.user_artifact(self._name, type)
        if digest_algorithm not in (None, *FOREIGN_ALGORITHMS):
            known = " or ".join(f"`{each}`" for each in FOREIGN_ALGORITHMS)
            raise Invalid(f"digest_algorithm is {known}, not {digest_algorithm!r}")
        if storage_region is not None:
            term.warning(f"storage_region={storage_region!r} is ignored: there is one store")
        self._set_up(description, metadata, incremental=incremental)
        self._contents = Contents()

    def _set_up(
        self,
        description: str | None = None,
        metadata: dict[str, Any] | None = None,
        *,
        incremental: bool = False,
    ) -> None:
        self._description = described(description)
        self._metadata = clean(metadata)
        self._incremental = incremental
        self._client_id, self._process = new_id(CLIENT_ID_LENGTH), os.getpid()
        self._turn = threading.RLock()
        """Held to hand it over, so that of several threads one does and the others find it done.

        Not against the handler of a signal, which may do so amid it: to the instance both are one.
        """

    @classmethod
    def _internal(cls, name: str, type: str, *, incremental: bool = False) -> Self:
        """Make a draft under a name and type that users may not take (NAM-3)."""
        artifact = cls.__new__(cls)
        artifact._type, artifact._name = names.type_name(type), names.artifact_name(name)
        artifact._set_up(incremental=incremental)
        artifact._contents = Contents()
        artifact._is_internal = True
        return artifact

    @property
    def name(self) -> str:
        """`collection` for a draft, provisional if it was given none (SEED-6).

        `collection:vN` afterwards; of a link its own N (ART-8).
        """
        version = self._known
        if version is not None:
            return version.name
        return self._name if self._name is not None else f"run-<run id>-{self._type}"

    def is_draft(self) -> bool:
        """Tell whether this is not committed yet; waits for nothing."""
        return self._known is None

    # --- what becomes of it ---

    def wait(self, timeout: float | None = None) -> Self:
        """Return once the artifact is committed (ART-39).

        timeout: seconds. Raises WaitTimeoutError, ArtifactNotLoggedError if it was never logged,
        and whatever made the upload fail.
        """
        logged = self._logged
        if isinstance(logged, Stored):
            return self
        if logged is None:
            raise ArtifactNotLoggedError(
                f"Artifact {self.name!r} was not handed to run.log_artifact; nothing to wait for"
            )
        try:
            version = logged.job.result(timeout)
        except TimeoutError as error:
            if logged.job.done():  # the upload itself failed with a timeout
                raise
            raise WaitTimeoutError(
                f"Artifact {self.name!r} was not stored within {timeout} s; it goes on"
            ) from error
        except Lost as error:
            raise ArtifactNotLoggedError(
                f"Artifact {self.name!r} was on its way when this process was forked, and only the "
                "parent learns when it is stored; wait() for it before the fork"
            ) from error
        except Exception:
            logged.is_told = True
            raise
        if version is not None:
            self._become_stored(logged, version)
        return self

    @property
    def _known(self) -> VersionRecord | None:
        """The committed version if the upload is done by now; waits for nothing."""
        logged = self._logged
        if isinstance(logged, HandedOver) and logged.job.done() and self._failure() is None:
            self.wait()
        return self._logged.record if isinstance(self._logged, Stored) else None

    @property
    def _stored(self) -> Stored:
        """The committed version; an upload on its way is waited for."""
        if isinstance(self._logged, HandedOver):
            self.wait()
        if not isinstance(self._logged, Stored):
            raise ArtifactNotLoggedError(
                f"Artifact {self.name!r} is not logged yet; "
                "log it with run.log_artifact(artifact) and wait() for it"
            )
        return self._logged

    @property
    def _record(self) -> VersionRecord:
        return self._stored.record

    @property
    def _home(self) -> Backend:
        return self._stored.backend

    def _hand_over(self, backend: Backend, job: Job[VersionRecord | None]) -> None:
        self._logged = HandedOver(backend, job, self._description, clean(self._metadata))
        self._note_logged()

    def _id_to_log(self) -> str:
        """Return what the backend is to know this draft by; a fork makes two of it (STO-10)."""
        # what was stored and is no version is a contribution (ART-44); this is another draft
        is_contributed = self._logged is not None and self._failure() is None
        if is_contributed or self._process != os.getpid():
            self._client_id, self._process = new_id(CLIENT_ID_LENGTH), os.getpid()
        return self._client_id

    def _note_change(self) -> None:
        """From now on there is something that wants to be logged."""
        self._adder.unlogged[self._client_id] = self.name
        if self._logged is not None:  # another thread logged it while this one added to it
            self._note_logged()

    def _note_logged(self) -> None:
        if self._chosen_adder is not None:
            self._chosen_adder.unlogged.pop(self._client_id, None)

    def _is_over(self, seconds: float | None) -> bool:
        """Wait so long for the upload, None: for ever, and tell whether it ended, however."""
        logged = self._logged  # once: another thread may find it stored
        if not isinstance(logged, HandedOver) or logged.job.done():
            return True
        return not wait_for([logged.job], seconds).not_done

    def _failure(self) -> BaseException | None:
        """Wait for the upload and return what made it fail."""
        logged = self._logged
        return logged.job.exception() if isinstance(logged, HandedOver) else None

    def _failure_to_tell(self) -> BaseException | None:
        """Return what made the upload fail, once; None if `wait` raised it, or it goes on."""
        logged = self._logged
        if not isinstance(logged, HandedOver) or logged.is_told or not logged.job.done():
            return None
        failure = logged.job.exception()
        logged.is_told = failure is not None
        return failure

    def _become_stored(self, handed_over: HandedOver, version: VersionRecord) -> None:
        """Take the state of what became of the draft; later changes wait for `save()`."""
        description, metadata = self._description, self._metadata
        self._become(handed_over.backend, version)
        if description != handed_over.description:
            self._description = description
        if is_changed(metadata, handed_over.metadata):
            self._metadata = metadata

    def _labelled(self, aliases: Sequence[str], tags: Sequence[str] = ()) -> None:
        """Show labels that the stored version just got; what was changed and not saved stays."""
        stored = self._stored
        record = stored.record
        self._aliases += [alias for alias in aliases if alias not in self._aliases]
        self._tags += [tag for tag in tags if tag not in self._tags]
        record = record._replace(
            aliases=tuple(dict.fromkeys([*record.aliases, *aliases])),
            tags=tuple(dict.fromkeys([*record.tags, *tags])),
        )
        self._logged = stored._replace(record=record)

    def _become(self, backend: Backend, version: VersionRecord) -> None:
        """Take the state of a committed version."""
        self._type, self._name = version.type, version.collection
        self._description, self._metadata = version.description, values.copied(version.metadata)
        self._aliases, self._tags = list(version.aliases), list(version.tags)
        self._ttl_seconds = version.ttl_seconds
        if version.state is VersionState.COMMITTED and self._held is not None:
            self._contents = _contents_of(backend, version)
        self._logged = Stored(backend, version)  # last: another thread may look

    @property
    def _contents(self) -> Contents:
        """Of a version that was listed, they are made when somebody looks into it: few do."""
        if self._held is None:
            self._held = _contents_of(self._home, self._record)
        return self._held

    @_contents.setter
    def _contents(self, contents: Contents) -> None:
        self._held = contents

    def _require_draft(self) -> None:
        """Raise unless content may change."""
        if self._logged is not None:
            raise ArtifactFinalizedError(
                f"Artifact {self.name!r} was logged and cannot change; use new_draft()"
            )
        if self._contents.is_final:
            raise ArtifactFinalizedError(
                f"Artifact {self.name!r} was finalized and cannot change; log it and use its "
                "new_draft(), or begin another Artifact"
            )

    # --- for the modules beside this one ---

    @property
    def _references(self) -> references.References:
        from lineal.client import references  # few artifacts have any

        return references.opened(self._settings.reference_timeout)

    @property
    def _whole(self) -> Artifact:
        return cast("Artifact", self)  # nobody makes less of one

    @property
    def _settings(self) -> Settings:
        run = session.latest_run()
        return load() if run is None else run.settings

    @property
    def _adder(self) -> adding.Adder:
        # not `cached_property`: until Python 3.12 it has a lock that a fork can leave held
        if self._chosen_adder is None:
            self._chosen_adder = adding.adder(self._settings)
        return self._chosen_adder


def _contents_of(backend: Backend, version: VersionRecord) -> Contents:
    if version.state is not VersionState.COMMITTED:
        return Contents()
    return Contents(Base.of(backend, version.id), is_final=True)
