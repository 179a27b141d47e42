"""What a run does with versions that exist, while it goes on and after (SEM-7, SEM-11)."""

from __future__ import annotations

from lineal.client.artifact.artifact import Artifact
from lineal.client.backend import Backend
from lineal.core.digest import Digest
from lineal.core.full_names import artifact_path
from lineal.core.records import RunRecord, VersionPatch, VersionRecord
from lineal.errors import NotFound, UsageError


def version_of(backend: Backend, artifact: Artifact) -> VersionRecord:
    """Look an artifact's version up in the run's own instance, by the name it has there now.

    Raises NotFound, Gone, and UsageError where only something else has its name.
    """
    is_there = artifact._home.url == backend.url
    return named_like(backend, artifact._as_named_now() if is_there else artifact._record)


def named_like(backend: Backend, version: VersionRecord) -> VersionRecord:
    """Look a version of another instance up in this one: its ids mean nothing here.

    Neither do numbers where an offline run logged it: then its content says which one it is.
    Of a link that is not here, the version that it leads to will do.
    Raises NotFound, Gone, and UsageError where only something else has its name.
    """
    try:
        return _version_at(backend, version.path, version.digest)
    except (NotFound, UsageError):
        if not version.is_link:
            raise
        return _version_at(backend, version.source_path, version.digest)


def _version_at(backend: Backend, name: str, digest: Digest) -> VersionRecord:
    path = artifact_path(name, backend.entity, project=None)
    found = backend.version(path)
    if found.digest == digest:
        return found
    try:
        return backend.version(path._replace(ref=digest))
    except NotFound as error:
        raise UsageError(
            f"{found.path} in {backend.url} has other content than the artifact of that name that "
            "was given, which is not there; `lineal sync` brings what an offline run logged, "
            "`lineal artifact export` and `import` what is in another home"
        ) from error


def is_stored(artifact: Artifact) -> bool:
    """Tell whether this is a version; waits for one that is on its way."""
    artifact._is_over(None)
    return not artifact.is_draft()


def log_again(
    backend: Backend, run: RunRecord, artifact: Artifact, aliases: list[str], tags: list[str]
) -> VersionRecord:
    """Make a version another output of a run, and add labels to it.

    Raises UsageError for one of another project.
    """
    version = version_of(backend, artifact)
    home = version.source_entity, version.source_project
    if home != (run.entity, run.project):
        raise UsageError(
            f"{version.path} belongs to {'/'.join(home)}, another project than that of run "
            f"{run.path}; log its `new_draft()`, or link it"
        )
    backend.relog(run.key, version.id)
    if aliases or tags:
        patch = VersionPatch(aliases_added=tuple(aliases), tags_added=tuple(tags))
        version = backend.update_version(version.membership_id, patch)
    return version
