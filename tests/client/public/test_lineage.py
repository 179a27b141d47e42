"""What `Api` answers of lineage: graphs, producers, users."""

from __future__ import annotations

import pytest
from tests.client.public.conftest import log, start

from lineal.client.artifact.artifact import Artifact
from lineal.client.backend import Backend
from lineal.client.public.api import Api
from lineal.core.records import EdgeKind, PageRequest


@pytest.fixture
def walked(api: Api, backend: Backend, data: Artifact) -> Api:
    train = start(backend, "train")
    backend.use(train.key, api.artifact("data")._record.id, alias="prod")
    log(api, "train", "net", "weights", type="model")
    return api


def test_the_graph_is_walked_from_an_artifact(walked: Api) -> None:
    artifact = walked.artifact("vision/data:prod")
    producer_run = artifact.logged_by()
    consumer_runs = artifact.used_by()
    assert producer_run is not None
    assert [found.name for found in consumer_runs[0].logged_artifacts()] == ["net:v0"]
    assert list(producer_run.used_artifacts()) == []


def test_the_graph_is_walked_from_a_run(walked: Api) -> None:
    run = walked.run("ana/vision/train")
    produced_artifacts, consumed_artifacts = run.logged_artifacts(), run.used_artifacts()
    earlier_run = consumed_artifacts[0].logged_by()
    assert earlier_run is not None
    assert earlier_run.id == "make"
    consumer_runs = produced_artifacts[0].used_by()
    assert isinstance(consumer_runs, list)
    with pytest.raises(IndexError, match=r"no run has used ana/vision/net:v0"):
        consumer_runs[0]


def test_all_users_are_there_however_many(api: Api, backend: Backend, data: Artifact) -> None:
    version = api.artifact("data")._record.id
    for number in range(120):
        backend.use(start(backend, f"user{number}").key, version, alias=None)
    assert [run.id for run in data.used_by()] == [f"user{number}" for number in range(120)]
    assert backend.runs_of(version, EdgeKind.USED, PageRequest()).cursor is not None


def test_a_deleted_producer_is_none_even_if_another_run_logged_it_again(
    api: Api, backend: Backend, data: Artifact
) -> None:
    start(backend, "again")
    assert log(api, "again", "data", "one").version == "v0"
    producer = data.logged_by()
    assert producer is not None
    assert producer.id == "make"
    producer.delete()
    assert api.artifact("data").logged_by() is None
    (shown,) = (node for node in data.upstream().runs if node.is_deleted)
    assert shown.name == "ana/vision/make"


def test_an_artifact_that_no_run_made_was_logged_by_none(api: Api, backend: Backend) -> None:
    start(backend, "train")
    draft = Artifact("data", "dataset")
    draft.add_bytes(b"one", "data.txt")
    used = api.run("train").use_artifact(draft)
    assert used.logged_by() is None
    api.run("train").log_artifact(used)  # it closes a cycle: not its producer either
    assert used.logged_by() is None
    assert [run.id for run in used.used_by()] == ["train"]


def test_an_artifact_draws_its_lineage(walked: Api) -> None:
    graph = walked.artifact("net").upstream()
    assert str(graph).splitlines()[0].startswith("net:v0 · model · latest")
    assert [node.label for node in graph.artifacts] == ["net:v0", "data:v0"]
    near = walked.artifact("data").lineage("downstream", depth=1)
    assert ([node.label for node in near.artifacts], len(near.runs)) == (["data:v0"], 1)
    assert near.is_cut
    assert walked.artifact("net").lineage(types="model").artifacts == [graph.root]
    with pytest.raises(ValueError, match="sideways"):
        walked.artifact("net").lineage("sideways")


def test_a_graph_without_the_types_asked_for_says_which_there_are(
    walked: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = walked.artifact("data").lineage(types="modle")
    assert [node.type for node in graph.artifacts if node is not graph.root] == []
    assert "No version of type `modle` here; types here: dataset, model" in capsys.readouterr().err
    with pytest.raises(AttributeError, match="Graph has no attribute `noodes`; did you mean `node"):
        graph.noodes  # type: ignore[attr-defined]  # noqa: B018 - that is the mistake
