"""What is used and logged by a run that is over, without re-opening it (SEM-11)."""

from __future__ import annotations

from collections.abc import Sequence

from lineal.client.artifact import existing, logging
from lineal.client.artifact.artifact import Artifact, committed
from lineal.client.backend import Backend
from lineal.core import names
from lineal.core.records import RunRecord


def use(backend: Backend, run: RunRecord, artifact: Artifact) -> Artifact:
    """Record an artifact as an input; a draft is logged first, made by nobody (SEM-7)."""
    _require_artifact(artifact, "use_artifact")
    if artifact.is_draft():
        logging.log_input(backend, run, artifact)
    backend.use(run.key, existing.version_of(backend, artifact).id, alias=None)
    return artifact


def log(
    backend: Backend,
    run: RunRecord,
    artifact: Artifact,
    aliases: str | Sequence[str] | None,
    tags: str | Sequence[str] | None,
) -> Artifact:
    """Make an artifact an output; see `Run.log_artifact` of the public API."""
    _require_artifact(artifact, "log_artifact")
    checked_aliases, checked_tags = names.aliases_to_log(aliases), names.tags(tags)
    with artifact._turn:
        if existing.is_stored(artifact):
            version = existing.log_again(backend, run, artifact, checked_aliases, checked_tags)
            return committed(backend, version)
        logging.log(backend, run, artifact, aliases=checked_aliases, tags=checked_tags)
    return artifact.wait()


def _require_artifact(artifact: object, method: str) -> None:
    if not isinstance(artifact, Artifact):
        raise TypeError(
            f"{method} of a run from the API takes an Artifact, not a {type(artifact).__name__}; "
            "fetch one with `api.artifact(name)` or make one with `Artifact(name, type)`"
        )
