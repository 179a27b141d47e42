from __future__ import annotations

from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from lineal.client.embedded import EmbeddedBackend
from lineal.core.access import Actor, Role
from lineal.core.digest import of_bytes
from lineal.core.manifest import Entry, build_segments, manifest_head
from lineal.core.records import (
    Direction,
    DraftSpec,
    EdgeKind,
    LineageGraph,
    LineageQuery,
    Page,
    PageRequest,
    RunKey,
    RunRecord,
    RunSpec,
    VersionId,
    VersionRecord,
)
from lineal.db import lineage as lineage_db
from lineal.db import schema
from lineal.errors import Denied, Gone, Invalid, NotFound
from lineal.service import lineage
from lineal.service.instance import Instance

_numbers = count()
UP = LineageQuery(direction=Direction.UPSTREAM)
DOWN = LineageQuery(direction=Direction.DOWNSTREAM)


def start(backend: EmbeddedBackend, run_id: str, job_type: str | None = None) -> RunKey:
    spec = RunSpec(entity="ana", project="vision", run_id=run_id, job_type=job_type)
    return backend.start_run(spec).run.key


def log(
    backend: EmbeddedBackend,
    run: RunKey | None,
    name: str,
    content: str = "",
    type: str = "dataset",
    sources: tuple[VersionId, ...] = (),
) -> VersionRecord:
    """Log a version that holds one reference: a version without bytes to move."""
    text = content or str(next(_numbers))
    entry = Entry("data", of_bytes(text.encode()), 0, ref=f"file:///data/{text}")
    segments = list(build_segments([entry]))
    spec = DraftSpec(
        client_id=f"draft-{next(_numbers)}",
        entity="ana",
        project="vision",
        collection=name,
        type=type,
        manifest=manifest_head([segment.head for segment in segments]),
        run=run,
        sources=sources,
    )
    begun = backend.begin(spec, segments)
    return begun.version or backend.commit(begun.draft).version


def use(backend: EmbeddedBackend, run: RunKey, version: VersionRecord) -> None:
    backend.use(run, version.id, alias=None)


def derive(
    backend: EmbeddedBackend, run: RunKey | None, name: str, *sources: VersionRecord
) -> VersionRecord:
    """Log a version that took entries over from others."""
    return log(backend, run, name, sources=tuple(source.id for source in sources))


def around_run(backend: EmbeddedBackend, run: RunKey, query: LineageQuery) -> LineageGraph:
    return backend.lineage(f"run:{run}", query)


def around(backend: EmbeddedBackend, version: VersionRecord, query: LineageQuery) -> LineageGraph:
    return backend.lineage(f"version:{version.id}", query)


def labels(graph: LineageGraph) -> list[str]:
    return [node.name.rpartition("/")[2] for node in graph.nodes]


def marked(graph: LineageGraph) -> list[tuple[str, str]]:
    return [(edge.source, edge.target) for edge in graph.edges if edge.is_relogged]


def pipeline(backend: EmbeddedBackend) -> tuple[RunKey, VersionRecord, RunKey, VersionRecord]:
    make = start(backend, "make")
    data = log(backend, make, "data")
    train = start(backend, "train", job_type="train")
    use(backend, train, data)
    return make, data, train, log(backend, train, "model", type="model")


# --- walking ------------------------------------------------------------------------------------


def test_upstream_leads_from_a_model_to_the_run_that_made_its_data(
    backend: EmbeddedBackend,
) -> None:
    *_, model = pipeline(backend)
    graph = around(backend, model, UP)
    assert labels(graph) == ["model:v0", "train", "data:v0", "make"]
    assert [node.depth for node in graph.nodes] == [0, 1, 2, 3]
    assert not graph.is_cut


def test_edges_point_the_way_the_data_flowed(backend: EmbeddedBackend) -> None:
    make, data, train, model = pipeline(backend)
    graph = around(backend, data, LineageQuery())
    assert [(edge.source, edge.target, edge.kind) for edge in graph.edges] == [
        (f"run:{make}", f"version:{data.id}", EdgeKind.LOGGED),
        (f"version:{data.id}", f"run:{train}", EdgeKind.USED),
        (f"run:{train}", f"version:{model.id}", EdgeKind.LOGGED),
    ]


def test_both_directions_leave_out_siblings(backend: EmbeddedBackend) -> None:
    _, data, train, _ = pipeline(backend)
    other = start(backend, "other")
    use(backend, other, data)
    assert labels(around_run(backend, train, LineageQuery())) == [
        "train",
        "data:v0",
        "model:v0",
        "make",
    ]


def test_a_node_says_type_state_and_aliases(backend: EmbeddedBackend) -> None:
    *_, train, model = pipeline(backend)
    shown, run = around(backend, model, UP).nodes[:2]
    assert (shown.kind, shown.type, shown.state) == ("artifact", "model", "COMMITTED")
    assert (shown.label, shown.aliases, shown.digest) == ("model:v0", ("latest",), model.digest)
    assert (run.kind, run.type, run.state, run.id) == ("run", "train", "running", f"run:{train}")


def test_a_run_whose_heart_stopped_has_crashed(backend: EmbeddedBackend, clock) -> None:  # type: ignore[no-untyped-def]  # a fixture class of conftest
    run = start(backend, "train")
    clock.move(hours=1)
    assert around_run(backend, run, UP).nodes[0].state == "crashed"


def test_an_edge_keeps_the_alias_that_was_asked_for(backend: EmbeddedBackend) -> None:
    make = start(backend, "make")
    data = log(backend, make, "data")
    train = start(backend, "train")
    backend.use(train, data.id, alias="prod")
    log(backend, make, "data")  # `latest` moves on
    (edge,) = (edge for edge in around_run(backend, train, UP).edges if edge.alias)
    assert (edge.source, edge.alias) == (f"version:{data.id}", "prod")


@pytest.mark.parametrize(("depth", "is_cut"), [(0, True), (1, True), (2, True), (3, False)])
def test_a_graph_says_whether_depth_cut_it(
    backend: EmbeddedBackend, depth: int, is_cut: bool
) -> None:
    *_, model = pipeline(backend)
    graph = around(backend, model, LineageQuery(Direction.UPSTREAM, depth=depth))
    assert len(graph.nodes) == depth + 1
    assert graph.is_cut is is_cut


def test_a_shared_ancestor_at_the_last_level_is_no_cut(backend: EmbeddedBackend) -> None:
    make, data, _, model = pipeline(backend)
    use(backend, make, log(backend, None, "raw"))
    late = start(backend, "late")
    use(backend, late, model)
    use(backend, late, data)  # two ways of different lengths lead to `data`
    graph = around_run(backend, late, LineageQuery(Direction.UPSTREAM, depth=3))
    assert labels(graph) == ["late", "model:v0", "data:v0", "train", "make", "raw:v0"]
    assert not graph.is_cut


@pytest.mark.parametrize("depth", [5, 50])
def test_a_limit_keeps_the_nearest_nodes_and_says_so(backend: EmbeddedBackend, depth: int) -> None:
    *_, model = pipeline(backend)
    graph = around(backend, model, LineageQuery(Direction.UPSTREAM, depth=depth, limit=3))
    assert labels(graph) == ["model:v0", "train", "data:v0"]
    assert graph.is_cut
    whole = around(backend, model, LineageQuery(Direction.UPSTREAM, depth=depth, limit=4))
    assert not whole.is_cut


def test_a_deep_walk_finds_each_node_at_its_least_depth(backend: EmbeddedBackend) -> None:
    hub = log(backend, None, "hub")
    version = hub
    for step in range(30):
        run = start(backend, f"run{step}")
        use(backend, run, hub)
        use(backend, run, version)
        version = log(backend, run, "chain")
    graph = around(backend, version, LineageQuery(Direction.UPSTREAM, depth=100))
    depths = {node.name.rpartition("/")[2]: node.depth for node in graph.nodes}
    assert depths["hub:v0"] == 2
    assert depths["run0"] == 59
    assert len(graph.nodes) == 61
    assert not graph.is_cut


def test_a_deep_walk_stops_at_its_depth(backend: EmbeddedBackend) -> None:
    version = log(backend, None, "chain")
    for step in range(12):
        run = start(backend, f"run{step}")
        use(backend, run, version)
        version = log(backend, run, "chain")
    graph = around(backend, version, LineageQuery(Direction.UPSTREAM, depth=20))
    assert len(graph.nodes) == 21
    assert graph.is_cut


@pytest.mark.parametrize("pairs_most", [lineage_db.PAIRS_MOST, 0])
@pytest.mark.parametrize("runs", [1, 5])
def test_a_graph_has_the_edges_among_its_nodes_alone(
    backend: EmbeddedBackend, monkeypatch: pytest.MonkeyPatch, runs: int, pairs_most: int
) -> None:
    monkeypatch.setattr(lineage_db, "PAIRS_MOST", pairs_most)
    data, *others = [log(backend, None, "data") for _ in range(5)]
    users = [start(backend, f"run{number}") for number in range(runs)]
    for run in users:
        for version in (data, *others):
            use(backend, run, version)
    graph = around(backend, data, DOWN)
    assert [(edge.source, edge.target) for edge in graph.edges] == [
        (f"version:{data.id}", f"run:{run}") for run in users
    ]


def test_types_hide_other_versions_and_keep_runs(backend: EmbeddedBackend) -> None:
    *_, model = pipeline(backend)
    graph = around(backend, model, LineageQuery(Direction.UPSTREAM, types=("model",)))
    assert labels(graph) == ["model:v0", "train", "make"]


def test_deleted_runs_and_versions_stay_in_lineage(backend: EmbeddedBackend) -> None:
    _, data, train, model = pipeline(backend)
    backend.delete_version(data.membership_id, delete_aliases=True)
    backend.delete_run(train)
    graph = around(backend, model, UP)
    assert labels(graph) == ["model:v0", "train", "data:v0", "make"]
    assert [node.is_deleted for node in graph.nodes] == [False, True, True, False]


@pytest.mark.parametrize("root", ["run:999", "version:999"])
def test_an_unknown_root_is_not_found(backend: EmbeddedBackend, root: str) -> None:
    with pytest.raises(NotFound, match=root):
        backend.lineage(root, LineageQuery())


@pytest.mark.parametrize("root", ["", "run", "run:", "run:x", "artifact:1", "run:-1"])
def test_an_unreadable_root_is_refused(backend: EmbeddedBackend, root: str) -> None:
    with pytest.raises(Invalid):
        backend.lineage(root, LineageQuery())


def test_to_a_stranger_nothing_exists(instance: Instance, stranger: Actor) -> None:
    page = PageRequest()
    with pytest.raises(NotFound):
        lineage.lineage(instance, stranger, "run:1", LineageQuery())
    with pytest.raises(NotFound):
        lineage.runs_of(instance, stranger, VersionId(1), EdgeKind.USED, page)
    with pytest.raises(NotFound):
        lineage.versions_of(instance, stranger, RunKey(1), EdgeKind.USED, page)
    with pytest.raises(NotFound):
        lineage.use(instance, stranger, RunKey(1), VersionId(1), alias=None)
    with pytest.raises(NotFound):
        lineage.relog(instance, stranger, RunKey(1), VersionId(1))


def test_who_may_only_read_records_nothing(instance: Instance, backend: EmbeddedBackend) -> None:
    *_, train, model = pipeline(backend)
    viewer = Actor("vera", Role.VIEWER)
    assert len(lineage.lineage(instance, viewer, f"run:{train}", UP).nodes) == 3
    with pytest.raises(Denied):
        lineage.use(instance, viewer, train, model.id, alias=None)
    with pytest.raises(Denied):
        lineage.relog(instance, viewer, train, model.id)


# --- cycles -------------------------------------------------------------------------------------


def test_logging_again_what_a_run_used_is_marked_and_not_followed(
    backend: EmbeddedBackend,
) -> None:
    data = log(backend, start(backend, "make"), "data", "same")
    copy = start(backend, "copy")
    use(backend, copy, data)
    assert log(backend, copy, "data", "same").id == data.id
    graph = around(backend, data, LineageQuery())
    assert marked(graph) == [(f"run:{copy}", f"version:{data.id}")]
    assert labels(around(backend, data, UP)) == ["data:v0", "make"]


def test_using_what_the_run_itself_logged_is_marked(backend: EmbeddedBackend) -> None:
    run = start(backend, "train")
    model = log(backend, run, "model")
    use(backend, run, model)
    assert marked(around_run(backend, run, LineageQuery())) == [
        (f"version:{model.id}", f"run:{run}")
    ]


def test_a_cycle_over_several_runs_is_marked(backend: EmbeddedBackend) -> None:
    make, *_, model = pipeline(backend)
    use(backend, make, model)
    assert marked(around_run(backend, make, LineageQuery())) == [
        (f"version:{model.id}", f"run:{make}")
    ]


def test_a_second_producer_is_an_ordinary_edge(backend: EmbeddedBackend) -> None:
    first, second = start(backend, "first"), start(backend, "second")
    data = log(backend, first, "data", "same")
    log(backend, second, "data", "same")
    graph = around(backend, data, UP)
    assert labels(graph) == ["data:v0", "first", "second"]
    assert marked(graph) == []


Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(["use", "log", "relog"]), st.integers(0, 4), st.integers(0, 5)),
    max_size=40,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_followed_edges_form_a_dag_and_only_true_cycles_are_marked(
    backend: EmbeddedBackend, steps: list[Step]
) -> None:
    runs = [start(backend, f"run{next(_numbers)}") for _ in range(5)]
    made = [log(backend, None, "data") for _ in range(2)]
    model = _Model()
    for action, run_index, version_index in steps:
        run, version = runs[run_index], made[version_index % len(made)]
        if action == "log":
            new = log(backend, run, "data")
            made.append(new)
            model.add(f"run:{run}", f"version:{new.id}")
        elif action == "use":
            use(backend, run, version)
            model.add(f"version:{version.id}", f"run:{run}")
        else:
            backend.relog(run, version.id)
            model.add(f"run:{run}", f"version:{version.id}")
    assert _stored(backend, runs) == model.edges
    _require_dag({edge for edge, closes_cycle in model.edges.items() if not closes_cycle})


class _Model:
    """What the edges table must hold: every edge, and whether it closed a cycle when added."""

    def __init__(self) -> None:
        self.edges: dict[tuple[str, str], bool] = {}

    def add(self, source: str, target: str) -> None:
        if (source, target) not in self.edges:
            self.edges[source, target] = self._leads(target, source)

    def _leads(self, start: str, goal: str) -> bool:
        seen, queue = {start}, [start]
        for node in queue:
            onward = {
                target
                for (source, target), closes_cycle in self.edges.items()
                if source == node and not closes_cycle
            }
            queue += onward - seen
            seen |= onward
        return goal in seen


def _stored(backend: EmbeddedBackend, runs: list[RunKey]) -> dict[tuple[str, str], bool]:
    edges = schema.edges
    with backend.instance.database.reading() as connection:
        rows = connection.execute(select(edges).where(edges.c.run_id.in_(runs))).all()
    return {
        (f"version:{row.version_id}", f"run:{row.run_id}")
        if row.kind == EdgeKind.USED
        else (f"run:{row.run_id}", f"version:{row.version_id}"): row.closes_cycle
        for row in rows
    }


def _require_dag(edges: set[tuple[str, str]]) -> None:
    left = set(edges)
    while left:
        targets = {target for _, target in left}
        after = {(source, target) for source, target in left if source in targets}
        assert after != left, f"a cycle among {left}"
        left = after


# --- lists --------------------------------------------------------------------------------------


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


# --- derived from -------------------------------------------------------------------------------


def derived(query: LineageQuery) -> LineageQuery:
    return query._replace(derived=True)


def derivations(graph: LineageGraph) -> list[tuple[str, str]]:
    names = {node.id: node.label for node in graph.nodes}
    return [
        (names[edge.source], names[edge.target])
        for edge in graph.edges
        if edge.kind is EdgeKind.DERIVED
    ]


def test_what_was_taken_over_is_shown_only_if_asked_for(backend: EmbeddedBackend) -> None:
    make, data, _, model = pipeline(backend)
    joined = derive(backend, None, "joined", data, model)
    for query in (LineageQuery(), UP, DOWN):
        assert labels(around(backend, joined, query)) == ["joined:v0"]
        assert derivations(around(backend, data, query)) == []
    graph = around(backend, joined, derived(UP))
    assert labels(graph) == ["joined:v0", "data:v0", "model:v0", "make", "train"]
    assert derivations(graph) == [("data:v0", "joined:v0"), ("model:v0", "joined:v0")]
    below = around_run(backend, make, derived(DOWN))
    assert labels(below) == ["make", "data:v0", "train", "joined:v0", "model:v0"]
    assert {node.name.rpartition("/")[2]: node.depth for node in below.nodes}["joined:v0"] == 2


def test_a_derived_edge_is_a_step_and_counts_for_what_is_cut(backend: EmbeddedBackend) -> None:
    versions = [log(backend, None, "v")]
    for _ in range(5):
        versions.append(derive(backend, None, "v", versions[-1]))
    near = around(backend, versions[3], derived(LineageQuery(depth=2)))
    assert sorted(labels(near)) == ["v:v1", "v:v2", "v:v3", "v:v4", "v:v5"]
    assert near.is_cut
    assert not around(backend, versions[3], derived(LineageQuery(depth=3))).is_cut
    few = around(backend, versions[0], derived(DOWN._replace(limit=3)))
    assert labels(few) == ["v:v0", "v:v1", "v:v2"]
    assert few.is_cut


def test_a_circle_through_a_derived_edge_ends(backend: EmbeddedBackend) -> None:
    run = start(backend, "run")
    first = log(backend, run, "first")
    second = derive(backend, None, "second", first)
    use(backend, run, second)
    for way in (UP, DOWN):
        graph = around_run(backend, run, derived(way))
        assert sorted(labels(graph)) == ["first:v0", "run", "second:v0"]
        assert len(graph.edges) == 3


def test_what_never_was_cannot_be_taken_over(backend: EmbeddedBackend) -> None:
    with pytest.raises(NotFound, match="No version 4711"):
        log(backend, None, "data", sources=(VersionId(4711),))
