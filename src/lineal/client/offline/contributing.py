"""What offline runs contribute to versions of many, on its way home (ART-44).

docs/design/011-contributions.md
"""

from __future__ import annotations

import os
import shlex
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from lineal.client import term
from lineal.client.backend import Backend
from lineal.client.offline import copying
from lineal.client.offline.introducing import Introductions
from lineal.client.offline.places import CollectionPath
from lineal.client.offline.sync_job import Job
from lineal.client.public.graph import producer_of
from lineal.core.contributions import Made, Part
from lineal.core.full_names import ArtifactPath
from lineal.core.records import DraftSpec, RunRecord, VersionId, VersionRecord
from lineal.errors import Conflict, Gone, LinealError, Superseded

CLOCKS_APART = timedelta(minutes=1)
"""So much may the clocks of two machines differ on which runs write one version."""
_AS_VERSIONS = "lineal-contributions"
"""In the folder: the collection whose versions have the content of contributions."""


@dataclass(frozen=True)
class Waiting:
    """A contribution that the target has, and that belongs to no version yet."""

    label: str
    spec: DraftSpec
    """What it was begun with there."""
    as_of: datetime


def label(part: Part) -> str:
    return f"contribution to {'/'.join(collection_of(part))}"


def collection_of(part: Part) -> CollectionPath:
    return part.spec.entity, part.spec.project, part.spec.collection


class Contributing:
    """What one run contributed, and finished."""

    def __init__(
        self, source: Backend, job: Job, run: RunRecord, introductions: Introductions
    ) -> None:
        self._source, self._job, self._introductions = source, job, introductions
        self._parts = source.parts_of(run.key)
        self._finishing: defaultdict[VersionId, list[Part]] = defaultdict(list)
        for part in self._parts:
            if part.spec.is_final and part.version is not None:
                self._finishing[part.version].append(part)
        self.unfinished = [part for part in self._parts if part.version is None]
        self.waiting: list[Waiting] = []

    def finishing(self, version: VersionId, spec: DraftSpec) -> list[DraftSpec]:
        """Return what a version of the folder that the run finished is begun with there.

        One for each time that it was; none of one that it logged as any other.
        """
        return [
            spec._replace(
                client_id=f"{spec.client_id}-{part.draft}",
                distributed_id=part.spec.distributed_id,
                as_of=self._until(part),
            )
            for part in self._finishing.get(version, ())
        ]

    def has_finished(self, version: VersionId) -> bool:
        return version in self._finishing

    def _until(self, finishing: Part) -> datetime:
        """Return up to when what others contributed belongs to what the run finished.

        Their clocks may be ahead, unless the run went on with the same id: then what they made
        later may be meant for the next version.
        """
        key = collection_of(finishing), finishing.spec.distributed_id
        goes_on = any(
            (collection_of(part), part.spec.distributed_id) == key
            and part.made_at > finishing.made_at
            for part in self._parts
        )
        return finishing.made_at if goes_on else finishing.made_at + CLOCKS_APART

    def contribute(
        self, part: Part, run: RunRecord, place: CollectionPath, sources: tuple[VersionId, ...]
    ) -> None:
        """Contribute it there as well; who finishes it is another run."""
        about, where = self._job.about, self._job.where
        if part.is_expired:
            raise Gone(
                f"What the run contributed to {part.spec.collection} under "
                f"{part.spec.distributed_id!r} waited too long in its folder, and was freed there"
            )
        entity, project, collection = place
        spec = part.spec._replace(
            client_id=f"offline-{about.uid}-part-{part.draft}-{where}",
            entity=entity,
            project=project,
            collection=collection,
            run=run.key,
            sources=sources,
            is_final=False,
            as_of=part.made_at,
            introduction=self._introductions.of(collection_of(part)),
        )
        copying.contribute(
            self._source,
            self._as_version(part),
            self._job.target,
            spec,
            pack_files_up_to=self._job.pack_files_up_to,
        )
        self.waiting.append(Waiting(label(part), spec, part.made_at))

    def _as_version(self, part: Part) -> VersionRecord:
        """Return a version of the folder with the content, of nobody's: versions can be copied."""
        spec = DraftSpec(
            client_id=f"{part.spec.client_id}-as-version",
            entity=part.spec.entity,
            project=part.spec.project,
            collection=_AS_VERSIONS,
            type="contribution",
            manifest=part.spec.manifest,
            run=None,
        )
        begun = self._source.begin(spec)
        version = begun.version or self._source.commit(begun.draft).version
        assert version is not None
        return version


def settle(job: Job, waiting: Iterable[Waiting]) -> None:
    """See what became of contributions, and put what came late to the version that lacks it.

    What still waits for another run is a failure, since the folder is to stay until it has come.
    """
    for each in waiting:
        job.result.attempt(each.label, _settle, job, each)


def _settle(job: Job, waiting: Waiting) -> None:
    spec = waiting.spec
    if job.target.begin(spec).version is not None:
        return
    path = f"{spec.entity}/{spec.project}/{spec.collection}"
    what = f"What the run contributed to {path} under {spec.distributed_id!r}"
    try:
        made = job.target.made_of(
            (spec.entity, spec.project, spec.collection), str(spec.distributed_id)
        )
        lacking = [each for each in made if each.as_of >= waiting.as_of]
        if not lacking:
            raise Conflict(
                f"{what} came home, and waits for the run that finishes it: sync the folder of "
                "that one, then this one once more"
            )
        _complete(job, what, spec, made, lacking[0].as_of)
    except Superseded:  # another process completed it at the same time: that lacks this
        _settle(job, waiting)
    except LinealError as error:
        sync = f"`lineal sync {shlex.quote(os.path.relpath(job.folder))} --skip-gone`"
        if not job.goes_without:
            raise type(error)(f"{error.message}. {sync} goes on without it") from error
        job.result.skipped.append(error.message)
        term.warning(f"{error.message}; the run goes without it")


def _complete(job: Job, what: str, part: DraftSpec, made: list[Made], as_of: datetime) -> None:
    """Make a version of one that lacks contributions and of those.

    Raises Conflict if that is not the newest, Superseded if it no longer is.
    """
    lacks = [each.version for each in made if each.as_of == as_of][-1]
    too_late = Conflict(
        f"{what} came after {lacks.name} was made without it, and newer versions were made since; "
        "log it under a name of its own"
    )
    target = job.target
    newest = target.version(ArtifactPath(part.entity, part.project, part.collection))
    if not newest.id == lacks.id == made[-1].version.id:
        raise too_late
    spec = part._replace(
        client_id=f"{part.client_id}-onto-{lacks.id}",
        manifest=target.manifest(lacks.id),
        run=producer_of(target, lacks.id) or part.run,
        description=lacks.description,
        metadata=lacks.metadata,
        aliases=copying.without_latest(lacks.aliases),
        tags=lacks.tags,
        history_step=lacks.history_step,
        base=lacks.id,
        on_latest=True,
        sources=(),
        is_final=True,
        as_of=as_of,
        ttl_seconds=lacks.ttl_seconds,
    )
    copied = target.commit(target.begin(spec).draft).version
    assert copied is not None
    term.info(
        f"{copied.path} is v{lacks.number} and what came since: that of run {job.where.run_id}"
    )
