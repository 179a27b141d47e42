"""The graph of a run or version: how far it goes, what it shows, where it is cut (section 10)."""

# ruff: noqa: F811 - `instance` of these tests is on SQLite and on PostgreSQL, not the usual one

from __future__ import annotations

import pytest
from sqlalchemy import event

from lineal.client.embedded.backend import EmbeddedBackend
from lineal.core.access import Actor, Role
from lineal.core.lineage import Direction, LineageGraph, LineageQuery
from lineal.core.records import EdgeKind, PageRequest, VersionId
from lineal.db import lineage as lineage_db
from lineal.errors import Denied, Invalid, NotFound
from lineal.service import lineage, lineage_graph
from lineal.service.instance import Instance
from tests.gc.conftest import instance  # noqa: F401 - a fixture
from tests.service.edges import (
    DOWN,
    UP,
    around,
    around_run,
    derive,
    labels,
    log,
    pipeline,
    start,
    use,
)

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


def through(graph: LineageGraph) -> list[tuple[str, str]]:
    names = {node.id: node.name.rpartition("/")[2] for node in graph.nodes}
    return [
        (names[edge.source], names[edge.target])
        for edge in graph.edges
        if edge.kind is EdgeKind.THROUGH
    ]


def test_an_edge_leads_past_versions_of_other_types(backend: EmbeddedBackend) -> None:
    make, _, train, model = pipeline(backend)
    use(backend, train, log(backend, make, "more"))
    seed = log(backend, None, "seed", type="seed")
    use(backend, make, seed)
    only = ("model",)
    for graph in (
        around(backend, model, UP._replace(types=only)),
        around(backend, seed, DOWN._replace(types=only)),
    ):
        assert through(graph) == [("make", "train")]


def test_an_edge_leads_past_what_was_derived(backend: EmbeddedBackend) -> None:
    _, data, _, _ = pipeline(backend)
    late = start(backend, "late")
    use(backend, late, derive(backend, None, "between", data))
    graph = around(backend, data, derived(DOWN._replace(types=("model",))))
    assert through(graph) == [("data:v0", "late")]


def test_what_a_shown_version_joins_needs_no_other_edge(backend: EmbeddedBackend) -> None:
    *_, model = pipeline(backend)
    assert through(around(backend, model, UP._replace(types=("dataset", "model")))) == []


def test_too_many_edges_past_a_hidden_version_are_cut(backend: EmbeddedBackend) -> None:
    runs = [start(backend, f"run{number}") for number in range(6)]
    for run in runs[:3]:
        shared = log(backend, run, "shared", content="the same")
    for run in runs[3:]:
        use(backend, run, shared)
    last = log(backend, runs[3], "last", type="model")
    for run in runs[4:]:
        backend.relog(run, last.id)
    query = UP._replace(types=("model",))
    assert len(through(around(backend, last, query))) == 9
    graph = around(backend, last, query._replace(limit=8))
    assert (len(graph.nodes), len(through(graph)), graph.is_cut) == (7, 8, True)


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


def test_to_a_stranger_nothing_exists(
    instance: Instance, backend: EmbeddedBackend, stranger: Actor
) -> None:
    _, data, train, _ = pipeline(backend)
    page = PageRequest()
    with pytest.raises(NotFound):
        lineage_graph.graph(instance, stranger, f"run:{train}", LineageQuery())
    with pytest.raises(NotFound):
        lineage.runs_of(instance, stranger, data.id, EdgeKind.USED, page)
    with pytest.raises(NotFound):
        lineage.versions_of(instance, stranger, train, EdgeKind.USED, page)
    with pytest.raises(NotFound):
        lineage.use(instance, stranger, train, data.id, alias=None)
    with pytest.raises(NotFound):
        lineage.relog(instance, stranger, train, data.id)


def test_who_may_only_read_records_nothing(instance: Instance, backend: EmbeddedBackend) -> None:
    *_, train, model = pipeline(backend)
    viewer = Actor("vera", Role.VIEWER)
    assert len(lineage_graph.graph(instance, viewer, f"run:{train}", UP).nodes) == 3
    with pytest.raises(Denied):
        lineage.use(instance, viewer, train, model.id, alias=None)
    with pytest.raises(Denied):
        lineage.relog(instance, viewer, train, model.id)


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


def test_nothing_is_read_beyond_the_level_that_passes_the_limit(
    backend: EmbeddedBackend,
) -> None:
    version = first = log(backend, None, "v")
    for _ in range(5):
        version = derive(backend, None, "v", version)
    asked: list[str] = []
    with backend.instance.database.reading() as connection:
        event.listen(connection, "before_cursor_execute", lambda *args: asked.append(args[2]))
        found = lineage_db.reachable_derived(
            connection, -first.id, downstream=True, depth=5, limit=1
        )
    assert len(found) == 2
    assert len(asked) == 3  # of the first level: of runs, of versions, derived


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
