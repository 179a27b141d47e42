"""Edges that close a cycle are kept, marked and never followed (LIN-10)."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from lineal.client.embedded.backend import EmbeddedBackend
from lineal.core.lineage import LineageQuery
from lineal.core.records import EdgeKind, RunKey
from lineal.db import schema
from tests.gc.conftest import instance  # noqa: F401 - a fixture
from tests.service.edges import (
    UP,
    around,
    around_run,
    labels,
    log,
    marked,
    numbers,
    pipeline,
    start,
    use,
)


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
    runs = [start(backend, f"run{next(numbers)}") for _ in range(5)]
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
