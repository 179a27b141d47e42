"""Versions of the home that an offline run read, as the target of a sync has them."""

from __future__ import annotations

import os
import shlex

from lineal.client import term
from lineal.client.offline.sync_job import Job
from lineal.core import full_names
from lineal.core.records import VersionRecord
from lineal.errors import Gone, NotFound


class HomeVersions:
    """What the target has of what the run used, logged again, linked, or took files from."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def needed(self, path: str, digest: str | None = None) -> VersionRecord | None:
        """Return what there is of it, as `find`; None to go without it."""
        try:
            return self.find(path, digest)
        except NotFound as error:
            if self._job.goes_without:
                self._job.result.skipped.append(error.message)
                term.warning(f"{error.message}; the run goes without it")
                return None
            sync = f"`lineal sync {shlex.quote(os.path.relpath(self._job.folder))} --skip-gone`"
            raise type(error)(f"{error.message}. {sync} goes on without it") from error

    def find(self, path: str, digest: str | None = None) -> VersionRecord:
        """Return the version of that name, or the one with that content; raises NotFound."""
        about, where, target = self._job.about, self._job.where, self._job.target
        named = full_names.artifact_path(path, where.entity, where.project)
        if about.is_default_entity and named.entity == about.entity:
            named = named._replace(entity=target.entity)
        gone = None
        try:
            version = target.version(named)
        except NotFound as error:
            if digest is None:
                raise
            gone = error if isinstance(error, Gone) else None
        else:
            if digest in (None, version.digest):
                return version
        try:
            return target.version(named._replace(ref=str(digest)))
        except NotFound as error:
            raise gone or NotFound(
                f"{named} is not there with the content that was used, {digest}"
            ) from error
