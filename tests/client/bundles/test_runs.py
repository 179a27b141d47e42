"""The runs of carried versions, and the lineage between them."""

from __future__ import annotations

from functools import partial

import pytest
from tests.client.bundling import Home

import lineal
from lineal.client.artifact.artifact import committed
from lineal.client.embedded.backend import EmbeddedBackend
from lineal.client.offline import bundles, sync
from lineal.core.lineage import LineageQuery
from lineal.core.records import (
    EdgeKind,
    PageRequest,
    RunPatch,
    RunSpec,
    RunState,
    StartedRun,
    Stream,
)


def test_the_run_that_logged_it_comes_along_without_its_history(ana, bob):
    with ana.run(id="train", config={"lr": 0.1}, tags=["night"], job_type="train") as run:
        run.log({"loss": 0.5})
        ana._logged(run, "weights", "model")
    ana.export("model")
    bob.import_()
    there = bob.backend.run("bob", "vision", "train")
    assert (there.config, there.summary["loss"]) == ({"lr": 0.1}, 0.5)
    assert (there.tags, there.job_type, there.state) == (("night",), "train", "finished")
    assert there.metadata["origin"]["run"] == "ana/vision/train"
    assert [*bob.backend.read_lines(there.key, Stream.HISTORY)] == []
    (logged,) = bob.backend.versions_of(there.key, EdgeKind.LOGGED, PageRequest()).items
    assert logged.path == "bob/vision/model:v0"


def test_what_a_run_asked_for_is_kept_of_each_use(ana, bob):
    ana.log("raw", aliases=["checked"])
    with ana.run(id="train") as run:
        run.use_artifact("data:checked")
        ana._logged(run, "weights", "model")
    ana.export("model", upstream=True)
    bob.import_()
    key = bob.backend.run("bob", "vision", "train").key
    assert [edge.alias for edge in bob.backend.edges_of(key, EdgeKind.USED)] == ["checked"]


def test_the_tables_of_a_run_are_named_where_they_arrive(ana, bob):
    with ana.run(id="train") as run:
        run.log({"t": lineal.Table(["x"], [[1]])})
    ana.export("run-train-t")
    bob.import_()
    path = bob.backend.run("bob", "vision", "train").summary["t"]["artifact_path"]
    assert path.startswith("lineal-artifact://bob/vision/run-train-t:")


def test_a_preempted_run_is_preempted_there(ana, bob):
    run = ana.run(id="train")
    ana._logged(run, "weights", "model")
    run.mark_preempting()
    run.finish(exit_code=3)
    ana.export("model")
    bob.import_()
    there = bob.backend.run("bob", "vision", "train")
    assert (there.state, there.exit_code) == ("preempted", 3)


def test_a_stopped_run_is_killed_there(ana, bob):
    with ana.run(id="train") as run:
        ana._logged(run, "weights", "model")
        key = ana.backend.run("ana", "vision", "train").key
        ana.backend.update_run(key, RunPatch(state=RunState.KILLED))
    ana.export("model")
    bob.import_()
    assert bob.backend.run("bob", "vision", "train").state == "killed"


def test_a_run_without_an_end_has_failed_there(ana, bob):
    with ana.run(id="train") as run:
        ana._logged(run, "weights", "model")
        ana.export("model")
    bob.import_()
    there = bob.backend.run("bob", "vision", "train")
    assert (there.state, there.exit_code) == ("failed", 1)


def test_a_run_that_crashed_has_crashed_there_until_a_later_bundle_brings_its_end(ana, bob):
    with ana.run(id="train") as run:
        ana._logged(run, "weights", "model")
        ana.backend.mark_crashed(run.record.key, 3.0)
        ana.export("model", to="crashed")
        run.log({"loss": 1})
    ana.export("model", to="finished")
    states = []
    for folder in ("crashed", "crashed", "finished", "crashed"):
        bob.import_(folder)
        states.append(bob.backend.run("bob", "vision", "train").state)
    assert states == ["crashed", "crashed", "finished", "finished"]


def test_a_later_bundle_brings_the_end_of_a_run(ana, bob):
    with ana.run(id="train") as run:
        run.log({"loss": 2})
        ana._logged(run, "weights", "model")
        ana.export("model", to="early")
        ana.export("model", to="same")
        bob.import_("early")
        run.log({"loss": 1})
        run.config["late"] = True
    ana.export("model", to="same")
    bob.import_("same")
    there = bob.backend.run("bob", "vision", "train")
    assert (there.state, there.exit_code, there.summary["loss"]) == ("finished", 0, 1)
    assert there.config["late"]
    bob.import_("early")
    bob.import_("same")
    assert bob.backend.run("bob", "vision", "train") == there


def test_a_later_bundle_brings_the_end_of_a_run_that_was_resumed(ana, bob):
    with ana.run(id="train") as run:
        ana._logged(run, "weights", "model")
        run.finish(exit_code=1)
    ana.export("model", to="failed")
    with ana.run(id="train", resume="must") as run:
        ana.export("model", to="again")
        run.log({"loss": 1})
    ana.export("model", to="finished")
    states = []
    for folder in ("failed", "again", "finished", "failed", "again"):
        bob.import_(folder)
        states.append(bob.backend.run("bob", "vision", "train").state)
    assert states == ["failed", "failed", "finished", "finished", "finished"]


def test_a_copy_that_somebody_goes_on_with_is_not_ended_by_an_import(ana, bob):
    with ana.run(id="train") as run:
        ana._logged(run, "weights", "model")
    ana.export("model")
    bob.import_()
    with bob.run(id="train", resume="must"):
        bob.import_()
        assert bob.backend.run("bob", "vision", "train").state == "running"


@pytest.fixture
def chain(ana: Home) -> str:
    """A model made from a split that was made from raw data."""
    ana.log("raw", "raw")
    for source, name in (("raw", "split"), ("split", "model")):
        with ana.run(id=f"make-{name}") as run:
            run.use_artifact(f"{source}:latest")
            ana._logged(run, name, name)
    return "model"


def neighbours(home: Home, name: str) -> set[str]:
    graph = committed(home.backend, home.version(name)).upstream()
    return {node.id.partition(":")[0] + " " + node.label for node in graph.nodes}


def test_with_upstream_all_it_was_made_from_comes_along(ana, bob, chain):
    ana.export(chain, upstream=True)
    bob.import_()
    assert neighbours(bob, chain) == neighbours(ana, chain)
    assert len(neighbours(bob, chain)) == 6


def test_upstream_is_all_that_a_run_used_however_much(ana, bob, monkeypatch):
    monkeypatch.setattr(bundles, "LineageQuery", partial(LineageQuery, limit=3))
    names = [f"part-{number}" for number in range(5)]
    for name in names:
        ana.log(name, name)
    with ana.run(id="merge") as run:
        for name in names:
            run.use_artifact(f"{name}:latest")
        ana._logged(run, "merged", "model")
    ana.export("model", upstream=True)
    assert [each.target.collection for each in bob.import_()] == [*names, "model"]


def test_with_upstream_nothing_comes_that_only_those_used_who_logged_it_again(ana, bob):
    for source, id in (("raw", "first"), ("extra", "second")):
        ana.log(source, source)
        with ana.run(id=id) as run:
            run.use_artifact(f"{source}:latest")
            ana._logged(run, "same", "data")
    exported = ana.export("data", upstream=True)
    assert sorted(each.target.collection for each in exported) == ["data", "raw"]
    assert sorted(each.target.collection for each in bob.import_()) == ["data", "raw"]


def test_what_would_close_a_cycle_here_does_there(ana, bob, chain):
    with ana.run(id="make-split", resume="must") as run:
        run.use_artifact(f"{chain}:latest")
    ana.export(chain, upstream=True)
    bob.import_()
    for home in (ana, bob):
        graph = committed(home.backend, home.version(chain)).upstream()
        (marked,) = [edge for edge in graph.edges if edge.is_relogged]
        names = {node.id: node.label for node in graph.nodes}
        assert names[marked.source] == f"{chain}:v0"
    assert neighbours(bob, chain) == neighbours(ana, chain)


def test_what_closes_a_cycle_does_there_whatever_else_was_used(ana, bob):
    ana.log("raw", "raw")
    with ana.run(id="make-split") as run:
        ana._logged(run, "split", "split")
    with ana.run(id="make-model") as run:
        for source in ("raw", "split"):
            run.use_artifact(f"{source}:latest")
        ana._logged(run, "model", "model")
    with ana.run(id="make-split", resume="must") as run:
        run.use_artifact("model:latest")
    ana.export("split", "model")  # without all that was used
    bob.import_()
    for home in (ana, bob):
        graph = committed(home.backend, home.version("model")).upstream()
        names = {node.id: node.label for node in graph.nodes}
        assert [names[edge.source] for edge in graph.edges if edge.is_relogged] == ["model:v0"]


def test_without_upstream_only_its_run_comes_along(ana, bob, chain):
    ana.export(chain)
    bob.import_()
    assert len(neighbours(bob, chain)) == 2
    ana.export("split", chain)  # into the same bundle
    bob.import_()
    assert len(neighbours(bob, chain)) == 4


def test_a_deleted_version_upstream_is_left_out_and_named(ana, bob, chain, capsys):
    committed(ana.backend, ana.version("raw")).delete(delete_aliases=True)
    ana.export(chain, upstream=True)
    assert "ana/vision/raw:v0 was deleted" in capsys.readouterr().err
    assert [each.target.collection for each in bob.import_()] == ["split", "model"]


@pytest.mark.parametrize("own", [0, 2])
def test_an_offline_run_that_used_it_is_traced_at_home(ana, bob, own):
    ana.log("other")
    ana.log("a")
    for number in range(own):  # then it gets another number here than it has at home
        bob.log(f"own {number}")
    ana.export("data:v1")
    (carried,) = bob.import_()
    with bob.run(id="away", mode="offline") as run:
        assert run.use_artifact(carried.target.name).get_entry("a.txt").size == 1
    (result,) = sync.sync(sync.find_folders("lineal"), ana.backend, settings=ana.settings)
    assert result.failures == {}
    (user,) = ana.backend.runs_of(ana.version("data:v1").id, EdgeKind.USED, PageRequest()).items
    assert user.run_id == "away"


def test_runs_that_logged_it_again_come_along(ana, bob):
    for id in ("first", "second"):
        with ana.run(id=id, config={"id": id}) as run:
            ana._logged(run, "same", "data")
    with ana.run(id="reader") as run:
        run.use_artifact("data:latest")
        ana._logged(run, "same", "data")
        ana._logged(run, "other", "model")
    ana.export("data", "model")
    bob.import_()
    before = bob.state()
    version = bob.version("data:v0")
    producers = bob.backend.runs_of(version.id, EdgeKind.LOGGED, PageRequest()).items
    assert [run.run_id for run in producers] == ["first", "second", "reader"]
    assert [run.state for run in producers] == ["finished"] * 3
    assert committed(bob.backend, version).logged_by().id == "first"
    tree = [str(committed(home.backend, home.version("model")).lineage()) for home in (ana, bob)]
    assert tree[0].replace("ana/", "bob/") == tree[1]
    assert "second" in tree[1]
    bob.import_()
    assert bob.state() == before


def test_nobody_takes_the_place_of_the_run_that_logged_it_first(ana, bob):
    for id in ("first", "second"):
        with ana.run(id=id) as run:
            ana._logged(run, "same", "data")
    ana.backend.delete_run(ana.backend.run("ana", "vision", "first").key)
    ana.export("data")
    bob.import_()
    version = committed(bob.backend, bob.version("data"))
    assert version.logged_by() is None
    assert not bob.backend.runs_of(version._record.id, EdgeKind.LOGGED, PageRequest()).items


def test_another_run_of_that_id_is_left_alone(ana, bob, capsys):
    with bob.run(id="train", config={"mine": 1}):
        pass
    with ana.run(id="train") as run:
        ana._logged(run, "a", "data")
    ana.export("data")
    (carried,) = bob.import_()
    assert "another run is bob/vision/train there" in capsys.readouterr().err
    assert bob.backend.run("bob", "vision", "train").config == {"mine": 1}
    assert bob.backend.runs_of(carried.target.id, EdgeKind.LOGGED, PageRequest()).items == ()


def test_a_run_that_another_import_begins_at_the_same_time_is_its_copy(
    ana: Home, bob: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ana.run(id="train") as run:
        ana._logged(run, "weights", "model")
    ana.export("model")
    start, begun = EmbeddedBackend.start_run, iter([True])

    def start_late(self: EmbeddedBackend, spec: RunSpec) -> StartedRun:
        if next(begun, False):
            bob.import_()
        return start(self, spec)

    monkeypatch.setattr(EmbeddedBackend, "start_run", start_late)
    (carried,) = bob.import_()
    (run,) = bob.backend.runs_of(carried.target.id, EdgeKind.LOGGED, PageRequest()).items
    assert (run.run_id, run.state) == ("train", "finished")
