"""Runs: their rows, lines and files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from lineal import service
from lineal.client.embedded.base import Base
from lineal.core.records import (
    JsonObject,
    Lines,
    MovedRun,
    Page,
    PageRequest,
    RunDocument,
    RunFileRecord,
    RunKey,
    RunPatch,
    RunQuery,
    RunRecord,
    RunSpec,
    RunState,
    StartedRun,
    Stream,
)
from lineal.files.reading import Source


class EmbeddedRuns(Base):
    def start_run(self, spec: RunSpec) -> StartedRun:
        return service.runs.start(self.instance, self.actor, spec)

    def run(
        self, entity: str, project: str, run_id: str, *, with_deleted: bool = False
    ) -> RunRecord:
        return service.runs.run(
            self.instance, self.actor, entity, project, run_id, with_deleted=with_deleted
        )

    def run_by_key(self, run: RunKey) -> RunRecord:
        return service.runs.run_by_key(self.instance, self.actor, run)

    def run_documents(
        self, runs: Collection[RunKey], name: RunDocument
    ) -> dict[RunKey, JsonObject]:
        return service.runs.documents(self.instance, self.actor, runs, name)

    def runs(self, query: RunQuery, page: PageRequest) -> Page[RunRecord]:
        return service.runs.runs(self.instance, self.actor, query, page)

    def update_run(self, run: RunKey, patch: RunPatch) -> RunRecord:
        return service.runs.update(self.instance, self.actor, run, patch)

    def heartbeat(self, run: RunKey, runtime_seconds: float) -> None:
        service.runs.heartbeat(self.instance, self.actor, run, runtime_seconds)

    def mark_crashed(self, run: RunKey, runtime_seconds: float) -> None:
        service.runs.mark_crashed(self.instance, self.actor, run, runtime_seconds)

    def finish_run(self, run: RunKey, exit_code: int, runtime_seconds: float) -> RunState:
        return service.runs.finish(self.instance, self.actor, run, exit_code, runtime_seconds)

    def delete_run(
        self, run: RunKey, *, delete_artifacts: bool = False, force: bool = False
    ) -> None:
        service.deletion.delete_run(
            self.instance, self.actor, run, delete_artifacts=delete_artifacts, force=force
        )

    def rewind_run(self, run: RunKey, step: int, summary: JsonObject) -> RunRecord:
        return service.rewinding.rewind(self.instance, self.actor, run, step, summary)

    def move_run(
        self, run: RunKey, entity: str, project: str, *, with_artifacts: bool = False
    ) -> MovedRun:
        return service.moving.move(
            self.instance, self.actor, run, entity, project, with_artifacts=with_artifacts
        )

    def append_lines(self, run: RunKey, batches: Sequence[Lines]) -> None:
        service.history.append(self.instance, self.actor, run, batches)

    def read_lines(
        self,
        run: RunKey,
        stream: Stream,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
    ) -> Iterator[bytes]:
        return service.history.read(
            self.instance, self.actor, run, stream, min_step=min_step, max_step=max_step
        )

    def put_run_files(
        self, run: RunKey, files: Sequence[tuple[str, Source]]
    ) -> list[RunFileRecord]:
        return service.run_files.put(self.instance, self.actor, run, files)

    def run_files(
        self,
        run: RunKey,
        page: PageRequest,
        *,
        names: Sequence[str] = (),
        pattern: str | None = None,
    ) -> Page[RunFileRecord]:
        return service.run_files.files(
            self.instance, self.actor, run, page, names=names, pattern=pattern
        )

    def delete_run_file(self, run: RunKey, path: str) -> None:
        service.run_files.delete(self.instance, self.actor, run, path)
