"""What is asked for daily is found by an index, however much there is beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

import lineal
from lineal.client.embedded.backend import EmbeddedBackend
from lineal.core.full_names import ArtifactPath
from lineal.core.records import PageRequest

GROWING = {
    "aliases", "blobs", "derivations", "drafts", "edges", "line_chunks", "manifest_segments",
    "manifests", "memberships", "run_files", "run_tags", "runs", "segment_blobs", "segments",
    "trials", "version_tags", "versions",
}  # fmt: skip
"""Tables that may have millions of rows."""


LISTED_RUNS = "ix_runs_project_id_created_at"

Step = tuple[str, str]
"""A statement, and one step of how the database runs it."""


@pytest.fixture
def plans(home: Path) -> Iterator[Callable[[Callable[[], object]], list[Step]]]:
    """Do something with a home; returns the plans of the statements that this takes."""
    backend = lineal.Api()._backend
    assert isinstance(backend, EmbeddedBackend)
    engine = backend.instance.database.engine
    found: list[Step] = []

    def explain(_: Connection, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if statement.startswith(("SELECT", "WITH", "UPDATE", "DELETE")):
            chosen = parameters[0] if rest[1] else parameters
            plan = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", chosen)
            found.extend((statement, step) for *_, step in plan.fetchall())

    event.listen(engine, "before_cursor_execute", explain)

    def during(work: Callable[[], object]) -> list[Step]:
        found.clear()
        work()
        return list(found)

    yield during
    event.remove(engine, "before_cursor_execute", explain)


@pytest.fixture
def scans(plans) -> Callable[[Callable[[], object]], list[Step]]:
    """Do something with a home; returns the statements that read one of these tables whole."""
    return lambda work: [
        (statement, step)
        for statement, step in plans(work)
        if step.startswith("SCAN ") and step.split()[1] in GROWING
    ]


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


def test_what_was_deleted_is_listed_and_restored_by_index(scans, run):
    api = lineal.Api()

    def delete_and_restore() -> None:
        api.artifact("p/data:v0").delete(delete_aliases=True)
        assert [each.version_count for each in api.deletions()] == [1]
        api.restore("p/data:v0")
        run.delete()
        api.restore(api.deletions()[0].id)
        api._backend.purge(ArtifactPath("ana", "p", "data", "v0"))

    assert scans(delete_and_restore) == []


def test_what_can_follow_a_moved_run_is_found_by_index(scans, run):
    backend = lineal.Api()._backend
    key = backend.run("ana", "p", "r1").key

    def move() -> None:
        moved = backend.move_run(key, "ana", "other", with_artifacts=True)
        assert moved.moved == ("ana/other/data",)

    assert scans(move) == []


@pytest.mark.parametrize("name", ["latest", "best"])
def test_an_alias_is_found_by_index_among_all_of_its_collection(plans, run, name):
    api = lineal.Api()
    artifact = api.artifact("p/data:v0")
    artifact.aliases.append("best")
    artifact.save()
    steps = [step for _, step in plans(lambda: api.artifact(f"p/data:{name}"))]
    assert any("aliases" in step and "(collection_id=? AND alias=?)" in step for step in steps)
    assert not [step for step in steps if "memberships" in step and "(collection_id=?)" in step]


@pytest.mark.parametrize("end", [0, -1])
def test_lists_of_one_run_or_sweep_are_in_their_order_in_an_index(plans, run, end):
    path = lineal.sweep({"method": "random", "parameters": {"x": {"value": 1}}}, project="p")

    def train() -> None:
        with lineal.init() as run:
            run.use_artifact("data:v0")

    lineal.agent(path, train, count=1, project="p")
    sweep = lineal.Api().sweep(f"p/{path}")
    user = sweep.runs[0]
    of_sweep = "ix_runs_project_id_sweep_id (project_id=? AND sweep_id=?)"
    of_run = "ix_edges_run_id_kind (run_id=? AND kind=?)"
    for index, work in (
        (of_sweep, lambda: sweep.runs[end]),
        (of_run, lambda: run.logged_artifacts()[end]),
        (of_run, lambda: user.used_artifacts()[end]),
    ):
        found = plans(work)
        listing = next(statement for statement, step in found if step.endswith(index))
        assert (listing, "USE TEMP B-TREE FOR ORDER BY") not in found


def test_a_graph_reads_of_a_run_with_many_edges_what_it_shows(plans, run):
    data = lineal.Api().artifact("p/data:v0")
    found = plans(data.lineage)
    assert any(step.endswith("(run_id=? AND version_id=?)") for _, step in found)


@pytest.mark.parametrize("end", [0, -1])
def test_the_ends_of_lists_are_found_by_index(scans, run, end):
    api = lineal.Api()
    assert scans(lambda: api.runs("p")[end]) == []
    assert scans(lambda: api.artifacts(name="p/data")[end].files()[end]) == []
    assert scans(lambda: run.logged_artifacts()[end]) == []
    assert scans(lambda: run.files()[end]) == []


def test_what_is_sorted_is_sorted_without_its_documents(plans, run):
    api = lineal.Api()
    for order in ("-heartbeat_at", "+summary_metrics.loss", "-config.lr"):
        _require_narrow(plans(lambda order=order: api.runs("p", order=order)[0]))
    _require_narrow(plans(lambda: api.artifacts(name="p/data", order="-size")[0]))


def test_what_will_expire_is_sorted_by_its_moment_alone(plans, run):
    backend = lineal.Api()._backend
    backend.set_project_ttl("ana", "p", 60)
    sorted_ = [
        statement.partition(" FROM ")[0]
        for statement, step in plans(
            lambda: backend.expiring("ana", "p", timedelta(days=1), PageRequest())
        )
        if step == "USE TEMP B-TREE FOR ORDER BY"
    ]
    assert sorted_
    assert not [each for each in sorted_ if "digest" in each]


def test_versions_are_searched_in_their_collection_alone(scans, run):
    api = lineal.Api()
    for filters in ({"metadata.a": 1}, {"aliases": "best"}, {"tags": "good"}):
        assert (
            scans(lambda filters=filters: list(api.artifacts(name="p/data", filters=filters))) == []
        )


def _require_narrow(plan: list[Step]) -> None:
    ordered = [statement for statement, step in plan if step == "USE TEMP B-TREE FOR ORDER BY"]
    assert ordered
    assert not [each for each in ordered if ".metadata" in each.partition(" FROM ")[0]]


def test_runs_are_counted_in_the_index_of_the_live_ones(plans, run):
    with lineal.init(project="p", id="r2"):
        pass

    def count() -> None:
        assert len(lineal.Api().runs("p", per_page=1)) == 2

    steps = [step for statement, step in plans(count) if "count(" in statement and "runs" in step]
    assert len(steps) == 1
    assert steps[0].startswith(f"SEARCH runs USING COVERING INDEX {LISTED_RUNS} (project_id=?")


def test_a_run_is_found_among_all_by_its_id(plans, run):
    steps = [step for _, step in plans(lambda: lineal.Api().runs("p", filters={"name": "r1"})[0])]
    assert any("runs" in step and step.endswith("(project_id=? AND run_id=?)") for step in steps)


@pytest.mark.parametrize(
    "field",
    [
        "createdAt", "displayName", "duration", "group", "heartbeatAt", "host", "jobType", "state",
        "username",
    ],
)  # fmt: skip
def test_lists_of_runs_are_filtered_and_ordered_without_their_wide_rows(plans, run, field):
    value = 1 if field == "duration" else "2020-01-01"
    filters = {"$or": [{field: {"$gt": value}}, {"username": "bob"}]}
    api = lineal.Api()
    for work in (
        lambda: api.runs("p", order=f"-{field}")[0],
        lambda: list(api.runs("p", filters=filters)),
        lambda: len(api.runs("p", filters=filters, per_page=1)),
    ):
        steps = [step for statement, step in plans(work) if "FROM runs \n" in statement]
        assert [step for step in steps if f"COVERING INDEX {LISTED_RUNS} (project_id=?" in step]


def test_no_statement_is_planned_anew_each_time_it_runs(plans, run):
    """SQLite does so where a parameter decides whether an index of some rows can be used."""
    database = lineal.Api()._backend.instance.database
    with database.reading() as connection:
        indexes = connection.exec_driver_sql(
            "SELECT tbl_name, sql FROM sqlite_master WHERE type = 'index' AND sql LIKE '% WHERE %'"
        ).all()
    partial = {
        f"{table}.{column}"
        for table, sql in indexes
        for column in re.findall(r"(\w+) (?:=|<>)", sql.partition(" WHERE ")[2])
    }
    assert partial == {"blobs.state"}

    def use() -> None:
        artifact = lineal.Artifact("data", "dataset")
        artifact.add_file("notes.txt")
        with lineal.init(project="p") as other:
            other.log_artifact(artifact).wait()
            other.use_artifact("data:v0").download(root="there")
        lineal.Api()._backend.gc_plan()

    statements = {statement for statement, _ in plans(use)}
    assert any("blobs.state = '" in statement for statement in statements)
    asked = [
        statement
        for statement in statements
        for column in partial
        if re.search(rf"{column} (=|!=|IN) [?(]", statement)
    ]
    assert asked == []
