"""What is asked for daily is found by an index, however much there is beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

import lineal
from lineal.client.embedded import EmbeddedBackend

GROWING = {
    "aliases", "blobs", "derivations", "drafts", "edges", "line_chunks", "manifest_segments",
    "manifests", "memberships", "run_files", "run_tags", "runs", "segment_blobs", "segments",
    "trials", "version_tags", "versions",
}  # fmt: skip
"""Tables that may have millions of rows."""


@pytest.fixture
def scans(home: Path) -> Iterator[Callable[[Callable[[], object]], list[str]]]:
    """Do something with a home; returns the statements that read one of these tables whole."""
    backend = lineal.Api()._backend
    assert isinstance(backend, EmbeddedBackend)
    engine = backend.instance.database.engine
    found: list[str] = []

    def explain(_: Connection, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if statement.startswith(("SELECT", "WITH", "UPDATE", "DELETE")):
            chosen = parameters[0] if rest[1] else parameters
            plan = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", chosen)
            for *_, step in plan.fetchall():
                if step.startswith("SCAN ") and step.split()[1] in GROWING:
                    found.append(f"{step}: {statement}")

    event.listen(engine, "before_cursor_execute", explain)

    def during(work: Callable[[], object]) -> list[str]:
        found.clear()
        work()
        return list(found)

    yield during
    event.remove(engine, "before_cursor_execute", explain)


@pytest.fixture
def run() -> lineal.Run:
    Path("notes.txt").write_text("hello")
    with lineal.init(project="p", id="r1") as run:
        run.log({"loss": 1})
        run.save("notes.txt")
        for number in range(2):
            artifact = lineal.Artifact("data", "dataset")
            with artifact.new_file("a") as file:
                file.write(str(number))
            run.log_artifact(artifact).wait()
    return lineal.Api().run("p/r1")


def test_a_file_of_a_run_is_fetched_by_index(scans, run):
    assert scans(lambda: run.file("notes.txt").download(root="there").close()) == []
