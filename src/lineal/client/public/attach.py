"""Attaching artifacts to a run that is over, without re-opening it (SEM-11)."""

from __future__ import annotations

from lineal.client import session
from lineal.client.artifact import logging
from lineal.client.artifact.artifact import Artifact, committed
from lineal.client.backend import Backend
from lineal.core import names
from lineal.core.names import ArtifactPath
from lineal.core.records import RunRecord, VersionPatch, VersionRecord
from lineal.errors import Invalid


def use(backend: Backend, run: RunRecord, artifact: Artifact) -> Artifact:
    """Record an artifact as an input; a draft is logged first, made by nobody (SEM-7)."""
    _require_artifact(artifact, "use_artifact")
    if artifact.is_draft():
        artifact = _log_draft(backend, run, artifact, [], [], producer=None)
    backend.use(run.key, _version(backend, artifact).id, alias=None)
    return artifact


def log(
    backend: Backend, run: RunRecord, artifact: Artifact, aliases: list[str], tags: list[str]
) -> Artifact:
    """Make an artifact an output; see `Run.log_artifact` of the public API."""
    _require_artifact(artifact, "log_artifact")
    aliases, tags = names.aliases(aliases), names.tags(tags)
    if artifact.is_draft():
        return _log_draft(backend, run, artifact, aliases, tags, producer=run)
    version = _version(backend, artifact)
    home = version.source_entity, version.source_project
    if home != (run.entity, run.project):
        raise Invalid(
            f"Artifact {version.path} belongs to {'/'.join(home)} and cannot be logged by "
            f"run {run.path}; log a draft with the same content instead"
        )
    backend.relog(run.key, version.id)
    if aliases or tags:
        patch = VersionPatch(aliases_added=tuple(aliases), tags_added=tuple(tags))
        version = backend.update_version(version.membership_id, patch)
    return committed(backend, version)


def _log_draft(
    backend: Backend,
    run: RunRecord,
    artifact: Artifact,
    aliases: list[str],
    tags: list[str],
    *,
    producer: RunRecord | None,
) -> Artifact:
    if artifact._pending is None:  # else it is on its way already
        logging.log(
            backend,
            session.worker(),
            artifact,
            entity=run.entity,
            project=run.project,
            run=producer,
            aliases=aliases,
            tags=tags,
        )
    return artifact.wait()


def _version(backend: Backend, artifact: Artifact) -> VersionRecord:
    """Look a version up in the run's own instance: ids of another one mean nothing here."""
    collection, _, ref = artifact.name.partition(":")
    return backend.version(ArtifactPath(artifact.entity, artifact.project, collection, ref))


def _require_artifact(artifact: object, method: str) -> None:
    if not isinstance(artifact, Artifact):
        raise TypeError(
            f"{method} of a run from the API takes an Artifact, not a {type(artifact).__name__}; "
            "fetch one with `api.artifact(name)` or make one with `Artifact(name, type)`"
        )
