"""What a run does with artifacts: log, use, link (ART-38, ART-44, ART-46, SEM-6, SEM-7)."""

from __future__ import annotations

import os
import shlex
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from lineal.client import session, term
from lineal.client.artifact import artifact as artifacts
from lineal.client.artifact import existing, logging
from lineal.client.artifact.artifact import Artifact
from lineal.core import file_paths, full_names, limits, names
from lineal.core.full_names import ArtifactPath
from lineal.core.moments import in_utc
from lineal.core.records import OnUnchanged, VersionPatch, VersionRecord
from lineal.errors import Invalid, NotFound, UsageError

if TYPE_CHECKING:
    from lineal.client.run.run import Run

Names = str | list[str] | tuple[str, ...] | None
Pathlike = str | os.PathLike[str]
MODEL_PROJECT = "model-registry"
"""Project that registered models are linked into (ART-46)."""
SOON = timedelta(days=7)
"""Using what expires sooner is warned about (TTL-14)."""


def log(
    run: Run,
    artifact_or_path: Artifact | Pathlike,
    *,
    name: str | None = None,
    type: str | None = None,
    aliases: Names = None,
    tags: Names = None,
    distributed_id: str | None = None,
    is_final: bool = True,
    on_unchanged: OnUnchanged = "reuse",
) -> Artifact:
    """Hand an artifact to the background worker; see `Run.log_artifact`."""
    limits.check_on_unchanged(on_unchanged)
    artifact = _as_artifact(run, artifact_or_path, name, type)
    checked_aliases, checked_tags = names.aliases_to_log(aliases), names.tags(tags)
    with artifact._turn:
        if existing.is_stored(artifact):  # then this call adds what it says to that version
            if not is_final:
                raise UsageError(
                    f"{artifact.qualified_name} is a version already, and so no part of another; "
                    "contribute its `new_draft()`"
                )
            existing.log_again(run.backend, run.record, artifact, checked_aliases, checked_tags)
            artifact._labelled(checked_aliases, checked_tags)
            return artifact
        logging.log(
            run.backend,
            run.record,
            artifact,
            aliases=checked_aliases,
            tags=checked_tags,
            history_step=run.history_step,
            distributed_id=distributed_id,
            is_final=is_final,
            on_unchanged=on_unchanged,
        )
    run.keep_artifact(artifact)
    return artifact


def use(
    run: Run, artifact_or_name: Artifact | str, *, type: str | None, aliases: Names
) -> Artifact:
    """Record an artifact as an input of the run; see `Run.use_artifact`."""
    added = names.aliases(aliases)
    if isinstance(artifact_or_name, str):
        path = full_names.artifact_path(artifact_or_name, run.entity, run.project)
        version = _named(run, path)
        names.require_type(f"Artifact {version.path}", version.type, type)
        run.backend.use(run.record.key, version.id, alias=path.ref)
        _warn_of_expiry(run, version)
    elif isinstance(artifact_or_name, Artifact):
        artifact = artifact_or_name
        names.require_type(f"Artifact {artifact.name}", artifact.type, type)  # before it is stored
        version = _committed_version(run, artifact, added)
        run.backend.use(run.record.key, version.id, alias=None)
        _warn_of_expiry(run, version)
        return artifact
    else:
        raise TypeError(
            "use_artifact takes an Artifact or a name such as `data:latest`, not a "
            f"{artifact_or_name.__class__.__name__}"
        )
    if added:
        patch = VersionPatch(aliases_added=tuple(added))
        version = run.backend.update_version(version.membership_id, patch)
    return artifacts.committed(run.backend, version)


def use_stub(run: Run, key: str, stub: dict[str, Any]) -> Artifact:
    """Use the version that a config value copied from another run stands for (ART-45)."""
    try:
        number = int(stub["id"])
    except (KeyError, TypeError, ValueError) as error:
        raise Invalid(f"Config `{key}` does not say which version it is: {stub!r}") from error
    said = "sequenceName" in stub and "version" in stub
    name = f"{stub['sequenceName']}:{stub['version']}" if said else None
    version = run.backend.version_in_config(number, name)
    run.backend.use(run.record.key, version.id, alias=None)
    return artifacts.committed(run.backend, version)


def link(run: Run, artifact: Artifact, target_path: str, aliases: Names) -> Artifact:
    """Link a version into another collection, logging it first if it is a draft."""
    if not isinstance(artifact, Artifact):
        raise TypeError(f"link_artifact takes an Artifact, not a {artifact.__class__.__name__}")
    target = full_names.collection_path(
        target_path, run.entity, run.project, instead=artifacts.LINK_INSTEAD
    )
    added = names.aliases(aliases)
    if artifact.is_draft():
        log(run, artifact)
        artifact.wait()
    run.backend.project(target.entity, target.project, create=True)
    version = existing.version_of(run.backend, artifact)
    linked = run.backend.link_version(version.id, target, added)
    return artifacts.committed(run.backend, linked)


def use_model(run: Run, name: Artifact | str) -> str:
    """Use and download a model; return its one file, or its folder (ART-46)."""
    found: Artifact | VersionRecord
    if isinstance(name, Artifact):
        found = name
    else:
        found = _named(run, full_names.artifact_path(name, run.entity, run.project))
    _require_model(found)  # before a use is recorded
    model = use(run, name, type=None, aliases=None)
    return model.file() if model.file_count == 1 else str(model.download())


def link_model(
    run: Run, path: Pathlike, registered_model_name: str, name: str | None, aliases: Names
) -> Artifact:
    """Log a model and link it into the collection of a registered model (ART-46)."""
    registered_model_name = file_paths.path_text(registered_model_name, "A registered model")
    if "/" in registered_model_name:
        raise AssertionError(
            "link_model takes the name of a registered model alone, without entity or project, not "
            f"{registered_model_name!r}; link_artifact takes a path"
        )
    target = f"{run.entity}/{MODEL_PROJECT}/{registered_model_name}"
    names.artifact_name(full_names.artifact_path(target, run.entity, run.project).name)
    added = names.aliases(aliases)
    model = log(run, path, name=name, type=_model_type(run, name))
    return link(run, model.wait(), target, added)


def _model_type(run: Run, name: str | None) -> str:
    """Return the type of the versions there are of a model, `model` for the first one."""
    if name is None:
        return "model"
    try:
        found = _named(run, full_names.artifact_path(name, run.entity, run.project))
    except NotFound:
        return "model"
    _require_model(found)
    return found.type


def _require_model(found: Artifact | VersionRecord) -> None:
    if "model" not in found.type.lower():
        raise AssertionError(f"{found.name} is of type {found.type!r}, which is not a model's")


def distributed_id(run: Run, given: str | None) -> str:
    """Return what ties contributions together: the argument, else the run's group (ART-44)."""
    found = given or run.group
    if not found:
        raise TypeError(
            "A distributed artifact needs distributed_id, or a run with a group: init(group=…)"
        )
    return found


def _as_artifact(
    run: Run, artifact_or_path: Artifact | Pathlike, name: str | None, type: str | None
) -> Artifact:
    if isinstance(artifact_or_path, Artifact):
        return artifact_or_path
    if isinstance(artifact_or_path, (str, os.PathLike)):
        return logging.from_path(os.fspath(artifact_or_path), name, type, run.id)
    raise TypeError(
        f"log_artifact takes an Artifact or a path, not a {artifact_or_path.__class__.__name__}"
    )


def _named(run: Run, path: ArtifactPath) -> VersionRecord:
    """Look a version up, once all is stored that runs of this process log to its collection.

    Says so where one of them logged something that was not stored. Raises NotFound, Gone.
    """
    others = [each for each in session.unfinished_runs() if each is not run and not each.disabled]
    writers = [run, *(each for each in others if each.backend is run.backend)]
    failures = [each.wait_for_collection(path) for each in writers]
    failure = next(filter(None, failures), None)
    lost = f"What was logged last as {path.name} was not stored: {failure}"
    try:
        version = run.backend.version(path)
    except NotFound as error:
        if failure is None:
            raise
        raise type(error)(f"{error.message} ({lost})") from failure
    if failure is not None and names.version_number(path.ref) is None:
        term.warning(f"{path} is {version.name}. {lost}")
    return version


def _committed_version(run: Run, artifact: Artifact, aliases: list[str]) -> VersionRecord:
    """Return the version of an artifact; a draft is logged as made by the user (SEM-7)."""
    if artifact.is_draft():
        logging.log_input(run.backend, run.record, artifact, aliases)
    version = existing.version_of(run.backend, artifact)
    if not set(aliases) <= set(version.aliases):
        patch = VersionPatch(aliases_added=tuple(aliases))
        version = run.backend.update_version(version.membership_id, patch)
    artifact._labelled(aliases)
    return version


def _warn_of_expiry(run: Run, version: VersionRecord) -> None:
    """Say so when an input will be gone soon (TTL-14); the next sweep may be any time."""
    found = run.backend.effective_ttl(version.id)
    if found.expires_at is None or found.suspended_by is not None:
        return
    left = found.expires_at - datetime.now(UTC)
    if left < SOON:
        when = f"expires on {in_utc(found.expires_at)}"
        if left <= timedelta(0):
            when = f"expired on {in_utc(found.expires_at)} and goes with the next sweep"
        term.warning(
            f"{version.path} {when} (TTL of its {found.level}); "
            f"`lineal artifact ttl {shlex.quote(version.path)} none` keeps it"
        )
