"""Many processes and threads at one instance: nothing lost, nothing given twice."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

import lineal
from lineal.client.artifact.artifact import committed
from lineal.client.embedded.backend import EmbeddedBackend, open_embedded
from lineal.config import load
from lineal.core.full_names import ArtifactPath
from lineal.core.records import AliasMove, EdgeKind, PageRequest, VersionQuery, VersionRecord
from tests.robust import workers


@pytest.fixture
def judge() -> Iterator[EmbeddedBackend]:
    """A backend of its own, opened when it is asked for."""
    opened: list[EmbeddedBackend] = []

    class Late:
        def __getattr__(self, name: str) -> Any:
            if not opened:
                opened.append(open_embedded(load()))
            return getattr(opened[0], name)

    yield Late()  # type: ignore[misc]  # it behaves like one
    for backend in opened:
        assert list(backend.verify()) == []
        backend.close()


def versions(judge: EmbeddedBackend, name: str = "data") -> list[VersionRecord]:
    query = VersionQuery("ana", "vision", name, order="+version_index")
    return list(judge.versions(query, PageRequest(1000)).items)


def path(ref: str, name: str = "data") -> ArtifactPath:
    return ArtifactPath("ana", "vision", name, ref)


def moves(judge: EmbeddedBackend, alias: str) -> list[AliasMove]:
    collection = judge.collection("ana", "vision", "data")
    return judge.alias_history(collection.id, alias)


def is_chain(history: list[AliasMove]) -> bool:
    """Tell whether every move began where the one before it ended."""
    befores = [None, *(move.after for move in history)]
    return [move.before for move in history] == befores[:-1]


def test_fifty_processes_log_to_one_collection_and_move_one_alias(judge: EmbeddedBackend) -> None:
    answers = workers.in_processes(workers.log_and_move, 50, start="forkserver")

    numbers = sorted(int(version[1:]) for version, _ in answers)
    assert numbers == list(range(50)), "a version was lost or a number given twice"
    found = versions(judge)
    assert [version.number for version in found] == list(range(50))
    for alias in ("best", "prod", "latest"):
        holders = [version.number for version in found if alias in version.aliases]
        history = moves(judge, alias)
        assert len(holders) == 1
        assert is_chain(history)
        assert history[-1].after == f"v{holders[0]}"
    assert sorted(str(move.after) for move in moves(judge, "best")) == sorted(
        version for version, _ in answers
    ), "each process moved the alias to its version exactly once"


def test_identical_content_committed_at_once_is_one_version_with_all_its_producers(
    judge: EmbeddedBackend,
) -> None:
    answers = workers.in_processes(workers.log_same, 8, start="forkserver")

    assert answers == ["v0"] * 8
    (version,) = versions(judge)
    page = judge.runs_of(version.id, EdgeKind.LOGGED, PageRequest())
    assert sorted(run.run_id for run in page.items) == [f"run{number}" for number in range(8)]


def test_what_several_processes_add_to_one_artifact_is_all_in_the_latest_version(
    judge: EmbeddedBackend,
) -> None:
    answers = workers.in_processes(workers.add_incrementally, 6, start="forkserver")

    count = 6 * workers.ADDED_EACH
    assert sorted(chain(*answers)) == sorted(f"v{number}" for number in range(count))
    assert [version.entry_count for version in versions(judge)] == list(range(1, count + 1))


def test_what_several_processes_download_to_one_folder_is_fetched_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    artifact = workers.draft("small")
    for index in range(300):
        artifact.add_bytes(os.urandom(1000), f"{index}.bin")
    artifact.add_bytes(os.urandom(20 << 20), "large.bin")
    with workers.start() as run:
        run.log_artifact(artifact)

    found = workers.in_processes(workers.download_same, 4, start="forkserver")

    assert len(found[0]) == 302
    assert found == [found[0]] * 4


def test_ten_processes_may_open_a_home_that_nobody_made(judge: EmbeddedBackend) -> None:
    assert workers.in_processes(workers.open_home, 10) == ["v0"] * 10
    for number in range(10):
        assert judge.version(path("v0", f"data{number}")).number == 0


def test_a_spawned_process_logs_while_its_parent_has_a_run(judge: EmbeddedBackend) -> None:
    run = workers.start(id="parent")
    mine = run.log_artifact(workers.draft("parent", "parents"))
    assert workers.in_processes(workers.log_in_child, 2) == ["v0", "v0"]
    run.log_artifact(workers.draft("parent again", "parents"))
    run.finish()
    assert mine.version == "v0"
    assert [version.number for version in versions(judge, "parents")] == [0, 1]


def in_threads(count: int, work: Any) -> None:
    errors: list[BaseException] = []
    gate = threading.Barrier(count)

    def run(number: int) -> None:
        try:
            gate.wait()
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_eight_threads_log_to_one_collection(judge: EmbeddedBackend) -> None:
    with workers.start() as run:

        def log(number: int) -> None:
            for turn in range(4):
                run.log_artifact(workers.draft(f"{number} {turn}"), aliases=["prod"])

        in_threads(8, log)
    found = versions(judge)
    assert [version.number for version in found] == list(range(32))
    assert sum("prod" in version.aliases for version in found) == 1


def test_eight_threads_add_to_one_draft(judge: EmbeddedBackend) -> None:
    artifact = lineal.Artifact("data", "dataset")
    in_threads(
        8,
        lambda number: [
            artifact.add_bytes(f"{number}/{i}".encode(), f"{number}/{i}") for i in range(20)
        ],
    )
    with workers.start() as run:
        run.log_artifact(artifact)
    assert artifact.wait().file_count == 160


def test_threads_read_one_version_at_once(judge: EmbeddedBackend, tmp_path: Any) -> None:
    with workers.start() as run:
        run.log_artifact(workers.draft("shared"))

    def read(number: int) -> None:
        artifact = committed(judge, judge.version(path("latest")))
        folder = artifact.download(tmp_path / str(number % 2))  # two share each folder
        with open(f"{folder}/data.txt") as file:
            assert file.read() == "shared"

    in_threads(8, read)


def test_versions_of_one_name_are_numbered_in_call_order(judge: EmbeddedBackend) -> None:
    with workers.start() as run:
        logged = [run.log_artifact(workers.draft(str(number))) for number in range(20)]
    assert [artifact.version for artifact in logged] == [f"v{number}" for number in range(20)]
