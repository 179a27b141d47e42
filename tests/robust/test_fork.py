"""Logging goes on on both sides of a `fork()`, whatever the parent was doing (STO-10, RUN-16)."""

from __future__ import annotations

import multiprocessing
import os
import random
import threading
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import lineal
from lineal.client import session
from lineal.client.artifact.contents import Added
from lineal.client.embedded.backend import open_embedded
from lineal.config import load
from lineal.core.manifest import Entry
from lineal.core.records import PageRequest, VersionQuery
from lineal.errors import ArtifactNotLoggedError
from tests.robust import workers

PATIENCE_SECONDS = 60
"""A deadlocked child is killed after that by an alarm, so that the test ends."""


def in_fork(work: Callable[[], object]) -> int:
    """Run in a forked child, which ends without clean-up as many do; returns its pid."""
    pid = os.fork()
    if pid == 0:
        import signal

        signal.alarm(PATIENCE_SECONDS)
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid


def succeeded(pid: int) -> bool:
    return os.waitpid(pid, 0)[1] == 0


def numbers(name: str = "data") -> list[int]:
    backend = open_embedded(load())
    try:
        assert list(backend.verify()) == []
        query = VersionQuery("ana", "vision", name, order="+version_index")
        return [version.number for version in backend.versions(query, PageRequest(1000)).items]
    finally:
        backend.close()


def test_parent_and_child_both_log_after_a_fork() -> None:
    run = workers.start()
    run.log_artifact(workers.draft("before"))
    child = in_fork(lambda: run.log_artifact(workers.draft("child")).wait())
    run.log_artifact(workers.draft("parent"))
    assert succeeded(child)
    run.finish()
    assert numbers() == [0, 1, 2]


def test_a_child_that_may_have_no_thread_logs_all_the_same() -> None:
    run = workers.start()

    def log() -> None:
        threading.stack_size(1 << 46)  # more than there is, so that none can be started
        for number in range(3):
            run.log({"number": number})

    assert succeeded(in_fork(log))
    run.finish()
    rows = lineal.Api().run(run.path).scan_history()
    assert [row["number"] for row in rows] == [0, 1, 2]


def test_a_child_reads_what_its_parent_logged() -> None:
    run = workers.start()
    artifact = run.log_artifact(workers.draft("parent")).wait()

    def read() -> None:
        folder = run.use_artifact("data:latest").download("fetched")
        assert Path(folder, "data.txt").read_text() == "parent"

    assert succeeded(in_fork(read))
    assert Path(artifact.download(), "data.txt").read_text() == "parent"


def test_children_forked_while_the_parent_uploads_do_not_hang(tmp_path: Path) -> None:
    """Locks that another thread holds at the fork must not be held in the child for ever."""
    source = tmp_path / "many"
    source.mkdir()
    for number in range(300):
        (source / str(number)).write_bytes(os.urandom(100))
    run = workers.start()
    stop = threading.Event()

    def keep_adding() -> None:
        while not stop.is_set():
            artifact = lineal.Artifact("parents", "dataset")
            artifact.add_dir(source)
            artifact.add_bytes(os.urandom(20), "new")
            run.log_artifact(artifact).wait()

    adding = threading.Thread(target=keep_adding)
    adding.start()

    def log_in_child(number: int) -> None:
        artifact = workers.draft(f"child {number}", f"child{number}")
        artifact.add_dir(source, name="sub")
        run.log_artifact(artifact).wait()

    try:
        children = [in_fork(lambda n=number: log_in_child(n)) for number in range(6)]
        outcomes = [succeeded(child) for child in children]
        assert all(outcomes)
    finally:
        stop.set()
        adding.join()
    run.finish()
    api = lineal.Api({"project": "vision"})
    assert [api.artifact(f"child{number}").version for number in range(6)] == ["v0"] * 6
    assert numbers("child0") == [0]


def test_a_draft_may_be_filled_before_the_fork_and_logged_after_it() -> None:
    run = workers.start()
    artifact = workers.draft("filled by the parent")
    child = in_fork(lambda: run.log_artifact(artifact).wait())
    assert succeeded(child)
    run.finish()
    assert numbers() == [0]


@pytest.mark.parametrize("count", [1, 40_000], ids=["in memory", "in a file"])
def test_each_side_of_a_fork_goes_on_with_a_draft_of_its_own(tmp_path: Path, count: int) -> None:
    (tmp_path / "shared").write_bytes(b"added before")
    run = workers.start()
    artifact = lineal.Artifact("data", "dataset")
    artifact.add_file(tmp_path / "shared")
    shared = artifact.manifest.entries["shared"]
    artifact._contents.add(
        Added(Entry(f"{number}", shared.digest, shared.size), None) for number in range(count)
    )

    def go_on(side: str) -> None:
        artifact.add_bytes(side.encode(), "side.txt")
        assert len(artifact.manifest) == count + 2
        run.log_artifact(artifact).wait()

    sides = ["first child", "second child", "parent"]
    children = [in_fork(partial(go_on, side)) for side in sides[:2]]
    assert all(map(succeeded, children))
    go_on("parent")
    run.finish()
    versions = lineal.Api().artifacts("dataset", "vision/data")
    assert {version.open("side.txt", "r").read() for version in versions} == set(sides)
    assert {version.open("shared").read() for version in versions} == {b"added before"}


def test_a_child_that_ends_takes_no_copies_of_its_parent_with_it(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"weights")
    artifact = lineal.Artifact("data", "dataset")
    artifact.add_file(tmp_path / "model.bin")

    def forget() -> None:
        nonlocal artifact
        del artifact

    assert succeeded(in_fork(forget))
    (tmp_path / "model.bin").write_bytes(b"overwritten")
    with workers.start() as run:
        run.log_artifact(artifact)
    assert Path(artifact.file()).read_bytes() == b"weights"


def test_the_process_wide_state_is_renewed_in_a_child() -> None:
    workers.start()
    parent_backend = session.open_backend(load())

    def look() -> None:
        assert session.open_backend(load()) is not parent_backend

    assert succeeded(in_fork(look))
    session.active_run().finish()  # type: ignore[union-attr]  # there is one


def test_ids_stay_unique_after_a_fork_and_a_seeded_random(tmp_path: Path) -> None:
    random.seed(1)
    reader, writer = os.pipe()
    for _ in range(4):

        def tell() -> None:
            random.seed(1)
            os.write(writer, lineal.Artifact("data", "dataset")._client_id.encode() + b"\n")

        assert succeeded(in_fork(tell))
    os.close(writer)
    with open(reader) as answers:
        ids = answers.read().split()
    assert len(set(ids)) == 4


def log_from(number: int) -> None:
    run = session.active_run()
    assert run is not None
    run.log_artifact(workers.draft(f"worker {number}", f"worker{number}"))


def test_forked_multiprocessing_workers_log_into_the_parents_run() -> None:
    """As a data loader does: such a child never finishes the run itself."""
    run = workers.start()
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=log_from, args=(number,)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE_SECONDS)
        assert process.exitcode == 0
        process.close()
    run.finish()
    found = lineal.Api({"project": "vision"}).run(run.id)
    assert sorted(each.name for each in found.logged_artifacts()) == [
        f"worker{number}:v0" for number in range(4)
    ]


def test_a_child_is_told_that_only_its_parent_learns_of_what_is_on_its_way() -> None:
    run = workers.start()
    held = threading.Event()
    session.worker().submit(lambda: held.wait(PATIENCE_SECONDS))  # the upload comes after it
    artifact = run.log_artifact(workers.draft("parent"))

    def look() -> None:
        for ask in (artifact.wait, artifact.download, lambda: artifact.version):
            with pytest.raises(ArtifactNotLoggedError, match="'data' was on its way when"):
                ask()
        assert run.log_artifact(artifact).wait().version == "v0"
        assert artifact.wait().version == "v0"

    child = in_fork(look)
    assert succeeded(child)
    held.set()
    assert artifact.wait().version == "v0"
    assert succeeded(in_fork(lambda: artifact.wait().download("fetched")))
    run.finish()
    assert numbers() == [0]
