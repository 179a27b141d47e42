"""What the processes of test_processes.py and test_fork.py do; importable by a spawned child."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import lineal
from lineal.client import session
from lineal.errors import CommError, Conflict

PRELOADED = [
    "lineal.client.embedded.backend",
    "lineal.client.public.api",
    "lineal.client.run.artifacts",
    "lineal.client.run.finishing",
    "tests.robust.workers",
]
QUIET = {
    "project": "vision",
    "disable_git": True,
    "disable_requirements": True,
    "disable_machine_info": True,
    "disable_meta": True,
    "console": "off",
    "silent": True,
}


def start(**arguments: Any) -> lineal.Run:
    return lineal.init(**arguments, settings=QUIET)


def draft(text: str, name: str = "data") -> lineal.Artifact:
    artifact = lineal.Artifact(name, "dataset")
    artifact.add_bytes(text.encode(), "data.txt")
    return artifact


def many_files(folder: Path) -> Path:
    """Fill a folder with enough files for a pack; returns it."""
    folder.mkdir(exist_ok=True)
    for number in range(120):
        (folder / str(number)).write_text(f"content {number}")
    return folder


def log_and_move(number: int, gate: Any) -> tuple[str, int]:
    """Log a version, then move alias `best` to it by compare-and-swap until it succeeds.

    Returns (version, attempts).
    """
    gate.wait()
    with start(id=f"run{number}") as run:
        artifact = run.log_artifact(draft(f"content of {number}"), aliases=["prod"]).wait()
        api = lineal.Api({"project": "vision"})
        attempts = 0
        while True:
            attempts += 1
            try:
                before: str | None = api.artifact("data:best").version
            except CommError:
                before = None
            try:
                artifact.move_alias("best", expected_version=before)
            except Conflict:
                continue
            return artifact.version, attempts


def log_same(number: int, gate: Any) -> str:
    """Log what everybody logs, at the same moment."""
    with start(id=f"run{number}") as run:
        artifact = draft("the same")
        gate.wait()
        return run.log_artifact(artifact).wait().version


ADDED_EACH = 4


def add_incrementally(number: int, gate: Any) -> list[str]:
    """Add files to what is the latest version, while others do the same."""
    gate.wait()
    with start(id=f"run{number}") as run:
        made = []
        for index in range(ADDED_EACH):
            more = lineal.Artifact("data", "dataset", incremental=True)
            more.add_bytes(f"{number} {index}".encode(), f"{number}/{index}")
            made.append(run.log_artifact(more).wait().version)
        return made


def download_same(number: int, gate: Any) -> tuple[int, ...]:
    """Download what everybody downloads, into one folder; returns the inodes of the files."""
    artifact = lineal.Api().artifact("vision/data:latest")
    gate.wait()
    folder = artifact.download(root="shared")
    return tuple(os.stat(os.path.join(folder, name)).st_ino for name in sorted(os.listdir(folder)))


def open_home(number: int, gate: Any) -> str:
    """Open a home that nobody has made yet."""
    gate.wait()
    with start(id=f"run{number}") as run:
        return run.log_artifact(draft(str(number), f"data{number}")).wait().version


def log_in_child(number: int, gate: Any) -> str:
    return open_home(number, gate)


def _run(
    work: Callable[[int, Any], Any],
    number: int,
    gate: Any,
    answers: Any,
    environment: dict[str, str],
) -> None:
    os.environ.update(environment)  # that of a fork server is from before the test
    try:
        answers.put((number, work(number, gate), None))
    except BaseException:
        answers.put((number, None, traceback.format_exc()))
    finally:
        session.close()


def in_processes(
    work: Callable[[int, Any], Any], count: int, *, seconds: float = 100, start: str = "spawn"
) -> Sequence[Any]:
    """Run work(number, gate) in so many processes at once; returns what each answered.

    The gate opens when all are there. start: `spawn`; or `forkserver`, whose children are forked
    from a process that has imported everything and opened nothing: cheaper by a second each.
    """
    context = get_context(start)
    if start == "forkserver":
        context.set_forkserver_preload(PRELOADED)
    answers, gate = context.Queue(), context.Barrier(count, timeout=seconds)
    processes = [
        context.Process(target=_run, args=(work, number, gate, answers, dict(os.environ)))
        for number in range(count)
    ]
    for process in processes:
        process.start()
    try:
        results = [answers.get(timeout=seconds) for _ in processes]
    finally:
        for process in processes:
            process.join(seconds)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()
        answers.close()
        answers.join_thread()
    failures = [f"process {number}:\n{text}" for number, _, text in results if text]
    assert not failures, "\n".join(failures)
    return [answer for _, answer, _ in sorted(results)]


def home() -> str:
    return os.environ["LINEAL_HOME"]
