"""An offline run on its way but for its versions: what it is, its lines and files, how it ended."""

from __future__ import annotations

import itertools
import json
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from lineal.client.backend import Backend
from lineal.client.offline import copying, run_folder
from lineal.client.offline.intents import Removed
from lineal.client.offline.run_folder import About
from lineal.client.offline.sync_job import Job
from lineal.client.pages import BULK_PAGE_SIZE, all_of
from lineal.client.run import rewinding
from lineal.client.run.forking import Fork
from lineal.core.records import JsonObject, Lines, RunFileRecord, RunPatch, RunRecord, Stream
from lineal.core.transfers import Location
from lineal.errors import (
    Gone,
    IntegrityError,
    LinealError,
    NotFound,
    RunGone,
    UsageError,
)
from lineal.files.reading import Piece, Source

LINES_AT_ONCE = 10_000
FILES_AT_ONCE = 500
"""So many are flushed together, and in one transaction."""


def started(job: Job, run: RunRecord) -> RunRecord:
    """Find the run that an earlier sync made, or start it as `init` asked for (RUN-18)."""
    about, where, target = job.about, job.where, job.target
    try:
        known = target.run(where.entity, where.project, where.run_id)
    except NotFound:
        known = None
    said = known.metadata.get(run_folder.METADATA_KEY) if known else None
    uids = said if isinstance(said, list) else []
    if known is not None and about.uid in uids:
        return known
    job.marks.forget()  # of a home that was here before, or of a run that was deleted since
    if about.rewind_step is not None:
        to = Fork(where.run_id, about.rewind_step, is_rewind=True)
        rewinding.rewind(target, where.entity, where.project, to)
    resume = about.resume
    if resume == "must" and where.run_id != about.run_id:
        resume = None  # what `init` was to resume is not what it is called now
    spec = copying.run_spec(run, where.entity, where.project, where.run_id)._replace(
        resume=resume,
        name=run.name if known is None or _is_named(about, run) else None,
        metadata={run_folder.METADATA_KEY: [*uids, about.uid]},
    )
    try:
        return target.start_run(spec).run
    except (UsageError, NotFound) as error:  # `init` cannot be called again
        sync = f"`lineal sync {shlex.quote(os.path.relpath(job.folder))}"
        way = f"{sync} --id NEW` brings it in as a run of its own"
        if isinstance(error, Gone) and not isinstance(error, RunGone):
            way = f"{sync} --project OTHER` copies it elsewhere"
        raise type(error)(f"{error.message}. {way}") from error


def _is_named(about: About, run: RunRecord) -> bool:
    """Tell whether somebody gave the run its name, which one that goes on takes, too."""
    return about.made_name not in (None, run.name)


class RunRecords:
    """What one run logged besides versions."""

    def __init__(self, source: Backend, job: Job, run: RunRecord, copy: RunRecord) -> None:
        """run, copy: as it is in the source and in the target."""
        self._source, self._target, self._job = source, job.target, job
        self._run, self._copy = run, copy
        self._marks, self._result = job.marks, job.result

    def copy_lines(self) -> None:
        """Copy lines under one writer: the folder does not change any more, so offsets hold."""
        for stream in Stream:
            self._copy_lines(stream)

    def _copy_lines(self, stream: Stream) -> None:
        lines = self._source.read_lines(self._run.key, stream)
        writer, offset = f"offline-{self._job.about.uid}", 0
        if stream is Stream.HISTORY:
            lines = map(self._with_tables_there, lines)
        while batch := tuple(itertools.islice(lines, LINES_AT_ONCE)):
            self._target.append_lines(self._copy.key, [Lines(stream, writer, offset, batch)])
            offset += len(batch)
        self._result.line_count += offset

    def _with_tables_there(self, line: bytes) -> bytes:
        if copying.TABLE_PATH.encode() not in line:
            return line
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return line  # no row: the target says so
        return json.dumps(self._tables_there(row)).encode()

    def _tables_there(self, value: Any) -> Any:
        run, where = self._run, self._job.where
        here, there = f"{run.entity}/{run.project}", f"{where.entity}/{where.project}"
        return copying.with_tables_at(value, here, there)

    def copy_files(self) -> None:
        listed = partial(self._source.run_files, self._run.key)
        files = list(all_of(listed, size=BULK_PAGE_SIZE))
        if self._marks.is_done("files"):
            self._result.file_count = len(files)
            return
        portions = range(0, len(files), FILES_AT_ONCE)
        copied = [self._copy_some_files(files[at : at + FILES_AT_ONCE]) for at in portions]
        if all(copied):
            self._marks.done("files")

    def _copy_some_files(self, files: Sequence[RunFileRecord]) -> bool:
        """Copy files together, and where that fails one by one, to say which cannot be."""
        try:
            self._put_files(files)
        except (LinealError, OSError):
            alone = [
                self._result.attempt(f"file {file.path}", self._put_files, [file]) for file in files
            ]
            return all(alone)
        return True

    def _put_files(self, files: Sequence[RunFileRecord]) -> None:
        found = self._source.locate_run_files(self._run.key, [file.digest for file in files])
        copied = self._target.put_run_files(
            self._copy.key, [(file.path, _here(file, found.get(file.digest))) for file in files]
        )
        for file, copy in zip(files, copied, strict=True):
            if copy.digest != file.digest:
                self._target.delete_run_file(self._copy.key, file.path)
                raise IntegrityError(
                    f"The content of run file {file.path} is damaged in the folder"
                )
        self._result.file_count += len(files)

    def finish(self, config: JsonObject, removed: Sequence[Removed]) -> None:
        """End the run; one that an earlier sync has ended may have been gone on with since.

        config: its config, with the versions in it as they are in the target.
        removed: what it took out of what it went on from.
        """
        run = self._run
        if self._is_ended():
            self._settle_config(config)
            return
        metadata = {k: v for k, v in run.metadata.items() if k != run_folder.METADATA_KEY}
        self._target.update_run(
            self._copy.key,
            RunPatch(
                config=config or None,
                config_removed=_gone((each.config for each in removed), config),
                summary=self._tables_there(run.summary) or None,
                summary_removed=_gone((each.summary for each in removed), run.summary),
                metadata=metadata or None,
                git_commit=run.git_commit,
                git_remote=run.git_remote,
            ),
        )
        copying.finish(self._target, run, self._copy)
        self._marks.done("end")

    def _is_ended(self) -> bool:
        is_marked = self._marks.is_complete or self._marks.is_done("end")
        return is_marked or self._copy.state not in copying.BEGUN

    def _settle_config(self, config: JsonObject) -> None:
        """Name versions in it as they are there, if they came only now."""
        before, there = self._run.config, self._copy.config
        late = {
            key: value
            for key, value in config.items()
            if value != before[key] and there.get(key) == before[key]
        }
        if late:
            self._target.update_run(self._copy.key, RunPatch(config=late))


def _here(file: RunFileRecord, location: Location | None) -> Source:
    """Return where the content of a run file is on this machine."""
    if location is not None and location.path is not None:
        return location.path
    if location is None or location.pack is None:
        raise NotFound(f"The content of run file {file.path} is missing in the folder")
    return Piece(location.pack, location.offset, location.size)


def _gone(removed: Iterable[Iterable[str]], now: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys that were taken out and not set again."""
    return tuple({key for keys in removed for key in keys if key not in now})
