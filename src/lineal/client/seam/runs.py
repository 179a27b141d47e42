"""Runs: their rows, lines and files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

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


class Runs(Protocol):
    """The runs of an instance: their rows, lines and files."""

    def start_run(self, spec: RunSpec) -> StartedRun: ...

    def run(
        self, entity: str, project: str, run_id: str, *, with_deleted: bool = False
    ) -> RunRecord: ...

    def run_by_key(self, run: RunKey) -> RunRecord: ...

    def run_documents(
        self, runs: Collection[RunKey], name: RunDocument
    ) -> dict[RunKey, JsonObject]: ...

    def runs(self, query: RunQuery, page: PageRequest) -> Page[RunRecord]: ...

    def update_run(self, run: RunKey, patch: RunPatch) -> RunRecord: ...

    def heartbeat(self, run: RunKey, runtime_seconds: float) -> None: ...

    def mark_crashed(self, run: RunKey, runtime_seconds: float) -> None:
        """Say that the last process that wrote to a run is dead; a heartbeat says otherwise."""

    def finish_run(self, run: RunKey, exit_code: int, runtime_seconds: float) -> RunState: ...

    def delete_run(
        self, run: RunKey, *, delete_artifacts: bool = False, force: bool = False
    ) -> None: ...

    def rewind_run(self, run: RunKey, step: int, summary: JsonObject) -> RunRecord:
        """Take a run back to a step, and its summary; a copy keeps it as it was (RUN-19)."""

    def move_run(
        self, run: RunKey, entity: str, project: str, *, with_artifacts: bool = False
    ) -> MovedRun:
        """Move a run to another project; its old name goes on leading to it (RUN-38)."""

    def append_lines(self, run: RunKey, batches: Sequence[Lines]) -> None: ...

    def read_lines(
        self,
        run: RunKey,
        stream: Stream,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
    ) -> Iterator[bytes]:
        """Yield lines of all writers merged: history by step, console by time.

        `min_step` inclusive, `max_step` exclusive; both concern history only.
        """

    def put_run_files(
        self, run: RunKey, files: Sequence[tuple[str, Source]]
    ) -> list[RunFileRecord]:
        """Store local files as run files: (path in the run, source); the last write wins."""

    def run_files(
        self,
        run: RunKey,
        page: PageRequest,
        *,
        names: Sequence[str] = (),
        pattern: str | None = None,
    ) -> Page[RunFileRecord]: ...

    def delete_run_file(self, run: RunKey, path: str) -> None: ...
