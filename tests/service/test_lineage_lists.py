"""Recording what runs use and log, and listing both ends of that page by page (LIN-4)."""

from __future__ import annotations

import pytest

from lineal.client.embedded.backend import EmbeddedBackend
from lineal.core.lineage import RunEdge
from lineal.core.records import EdgeKind, Page, PageRequest, RunKey, RunRecord, VersionId
from lineal.errors import Gone, Invalid, NotFound
from tests.service.edges import log, pipeline, start, use


def _all_runs(backend: EmbeddedBackend, version: VersionId, size: int) -> list[str]:
    pages: list[Page[RunRecord]] = []
    cursor: str | None = None
    while not pages or cursor is not None:
        request = PageRequest(size, cursor)
        pages.append(backend.runs_of(version, EdgeKind.USED, request))
        cursor = pages[-1].cursor
    return [run.run_id for page in pages for run in page.items]


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_all_users_of_a_version_are_listed_in_pages(backend: EmbeddedBackend, size: int) -> None:
    data = log(backend, None, "data")
    names = [f"run{number}" for number in range(7)]
    for name in names:
        use(backend, start(backend, name), data)
    assert _all_runs(backend, data.id, size) == names
    assert backend.runs_of(data.id, EdgeKind.USED, PageRequest(size)).total == 7


@pytest.mark.parametrize("size", [1, 3, 7])
def test_the_edges_of_a_version_and_of_a_run_are_listed_from_the_end(
    backend: EmbeddedBackend, size: int
) -> None:
    run = start(backend, "all")
    data = [log(backend, None, f"data{number}") for number in range(7)]
    for each in data:
        use(backend, run, each)
    for number in range(7):
        use(backend, start(backend, f"run{number}"), data[0])
    last = PageRequest(size, backwards=True)
    versions = backend.versions_of(run, EdgeKind.USED, last)
    assert [each.id for each in versions.items] == [each.id for each in data[::-1]][:size]
    users = backend.runs_of(data[0].id, EdgeKind.USED, last)
    assert [each.run_id for each in users.items] == [f"run{6 - back}" for back in range(size)]
    rest = backend.runs_of(data[0].id, EdgeKind.USED, PageRequest(10, until=users.cursor))
    assert [each.run_id for each in rest.items] == ["all", *(f"run{i}" for i in range(7 - size))]
    assert rest.total == 8 - size


def test_a_cursor_survives_new_users(backend: EmbeddedBackend) -> None:
    data = log(backend, None, "data")
    for name in ("a", "b"):
        use(backend, start(backend, name), data)
    first = backend.runs_of(data.id, EdgeKind.USED, PageRequest(1))
    use(backend, start(backend, "c"), data)
    rest = backend.runs_of(data.id, EdgeKind.USED, PageRequest(5, first.cursor))
    assert [run.run_id for run in rest.items] == ["b", "c"]


def test_using_twice_makes_one_edge(backend: EmbeddedBackend) -> None:
    data, run = log(backend, None, "data"), start(backend, "train")
    backend.use(run, data.id, alias="latest")
    backend.use(run, data.id, alias="prod")
    page = backend.versions_of(run, EdgeKind.USED, PageRequest())
    assert [version.id for version in page.items] == [data.id]


def test_the_edges_of_a_run_say_what_was_asked_for_and_what_closes_a_cycle(
    backend: EmbeddedBackend,
) -> None:
    run, data = start(backend, "train"), log(backend, None, "data")
    model = log(backend, run, "model")
    backend.use(run, data.id, alias="prod")
    backend.use(run, model.id, alias="latest")
    assert backend.edges_of(run, EdgeKind.USED) == [
        RunEdge(data.id, "prod", is_relogged=False),
        RunEdge(model.id, "latest", is_relogged=True),
    ]
    assert backend.edges_of(run, EdgeKind.LOGGED) == [RunEdge(model.id, None, is_relogged=False)]
    with pytest.raises(NotFound, match="No run 99"):
        backend.edges_of(RunKey(99), EdgeKind.USED)


def test_every_producer_lists_the_version_it_logged_again(backend: EmbeddedBackend) -> None:
    first, second = start(backend, "first"), start(backend, "second")
    data = log(backend, first, "data", "same")
    log(backend, second, "data", "same")
    backend.relog(second, data.id)
    for run in (first, second):
        page = backend.versions_of(run, EdgeKind.LOGGED, PageRequest())
        assert [version.id for version in page.items] == [data.id]
    producers = backend.runs_of(data.id, EdgeKind.LOGGED, PageRequest())
    assert [run.run_id for run in producers.items] == ["first", "second"]


def test_lists_leave_tombstones_out(backend: EmbeddedBackend) -> None:
    _, data, train, model = pipeline(backend)
    backend.delete_version(model.membership_id, delete_aliases=True)
    assert backend.versions_of(train, EdgeKind.LOGGED, PageRequest()) == Page((), None, 0)
    backend.delete_run(train)
    assert backend.runs_of(data.id, EdgeKind.USED, PageRequest()) == Page((), None, 0)


def test_what_was_deleted_takes_part_in_nothing_new(backend: EmbeddedBackend) -> None:
    make, data, train, model = pipeline(backend)
    backend.delete_version(model.membership_id, delete_aliases=True)
    with pytest.raises(Gone, match=r"ana/vision/model:v0 was deleted by ana on "):
        use(backend, make, model)
    backend.delete_run(train)
    with pytest.raises(Gone, match="ana/vision/train was deleted"):
        backend.relog(train, data.id)


def test_unknown_ids_are_not_found(backend: EmbeddedBackend) -> None:
    _, data, train, _ = pipeline(backend)
    with pytest.raises(NotFound):
        backend.use(RunKey(999), data.id, alias=None)
    with pytest.raises(NotFound):
        backend.use(train, VersionId(999), alias=None)
    with pytest.raises(NotFound):
        backend.runs_of(VersionId(999), EdgeKind.USED, PageRequest())
    with pytest.raises(NotFound):
        backend.versions_of(RunKey(999), EdgeKind.USED, PageRequest())


def test_a_foreign_cursor_is_refused(backend: EmbeddedBackend) -> None:
    data = log(backend, None, "data")
    with pytest.raises(Invalid):
        backend.runs_of(data.id, EdgeKind.USED, PageRequest(5, "x"))
