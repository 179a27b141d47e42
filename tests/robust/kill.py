"""Log an artifact and die by SIGKILL at the N-th step, for every N there is.

Run as a program: `python -m tests.robust.kill FOLDER SCENARIO EVERY` prints one JSON line per N. A
step is whatever changes something that outlives the process: a file made, renamed, linked or
removed, a lock, a writing SQL statement, a commit. It is counted before it happens; what follows
a commit is the next step. Every attempt starts from a copy of one prepared home, in a forked
child, and is judged in another one. What both load, they find loaded.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import sqlalchemy
from sqlalchemy import event

import lineal
from lineal.client import session
from lineal.client.artifact import sending
from lineal.client.embedded.backend import EmbeddedBackend, open_embedded
from lineal.client.run import artifacts as run_artifacts
from lineal.config import Settings, load
from lineal.core.digest import Digest, of_bytes
from lineal.core.records import PageRequest, VersionQuery
from lineal.core.transfers import Handover, Upload
from lineal.db.blobs import STORED
from lineal.db.schema import blobs
from lineal.errors import NotFound
from lineal.files.reading import Advance

FILE_STEPS = {
    "os.rename",
    "os.link",
    "os.mkdir",
    "os.remove",
    "fcntl.flock",
    "shutil.rmtree",
}
MOST_STEPS = 2_000
QUIET = {
    "project": "vision",
    "entity": "ana",
    "disable_git": True,
    "disable_requirements": True,
    "disable_machine_info": True,
    "disable_meta": True,
    "console": "off",
    "silent": True,
}

OLD = {"kept.txt": b"kept", "changed.txt": b"before", "removed.txt": b"removed"}
NEW = {
    "kept.txt": b"kept",
    "changed.txt": b"after",
    "sub/one.txt": b"one",
    "sub/two.txt": b"two",
    "sub/same as one.txt": b"one",
    "large.bin": bytes(range(256)) * 4_200,
}


def settings_for(home: str) -> Settings:
    return load({**QUIET, "home": home})


# --- what is logged -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Scenario:
    """Something to log, over a home that holds version v0 of it or nothing."""

    log: Callable[[lineal.Run, str], lineal.Artifact]
    files: dict[str, bytes]
    has_old: bool = True
    makes_version: bool = True


def add_folder(run: lineal.Run, source: str) -> lineal.Artifact:
    artifact = lineal.Artifact("data", "dataset")
    artifact.add_dir(source)
    return run.log_artifact(artifact, aliases=["prod"])


def add_known_folder(run: lineal.Run, source: str) -> lineal.Artifact:
    """As if whoever read it first had been killed: digests are known, and there are no copies."""
    sending.PACKED_LEAST = 2
    for folder, _, names in os.walk(source):
        for name in names:
            os.utime(os.path.join(folder, name), (0, 0))  # old enough for the digest cache
    lineal.Artifact("data", "dataset").add_dir(source)
    return add_folder(run, source)


def link_folder(run: lineal.Run, source: str) -> lineal.Artifact:
    artifact = lineal.Artifact("data", "dataset")
    artifact.add_dir(source, policy="immutable")
    return run.log_artifact(artifact, aliases=["prod"])


def change_draft(run: lineal.Run, source: str) -> lineal.Artifact:
    draft = run.use_artifact("data:v0").new_draft()
    draft.add_dir(source, merge=True)
    draft.remove("removed.txt")
    return run.log_artifact(draft, aliases=["prod"])


def log_again(run: lineal.Run, source: str) -> lineal.Artifact:
    artifact = lineal.Artifact("data", "dataset")
    for name, data in OLD.items():
        artifact.add_bytes(data, name)
    return run.log_artifact(artifact, aliases=["prod"])


def finish_together(run: lineal.Run, source: str) -> lineal.Artifact:
    part = lineal.Artifact("data", "dataset")
    part.add_dir(os.path.join(source, "sub"), name="sub")
    run.upsert_artifact(part, distributed_id="night")
    rest = lineal.Artifact("data", "dataset")
    for name in NEW:
        if "/" not in name:
            rest.add_file(os.path.join(source, name))
    return run.finish_artifact(rest, distributed_id="night", aliases=["prod"])


SCENARIOS = {
    "first": Scenario(add_folder, NEW, has_old=False),
    "folder": Scenario(add_folder, NEW),
    "known": Scenario(add_known_folder, NEW),
    "immutable": Scenario(link_folder, NEW),
    "draft": Scenario(change_draft, NEW),
    "unchanged": Scenario(log_again, OLD, makes_version=False),
    "distributed": Scenario(finish_together, NEW),
}


# --- dying --------------------------------------------------------------------------------------


class Steps:
    """Counts steps while armed; kills the process at the fatal one."""

    def __init__(self, fatal: int | None, note: str | None) -> None:
        self.fatal, self.note = fatal, note
        self.count = 0
        self.armed = False
        sys.addaudithook(self._audited)
        event.listen(sqlalchemy.Engine, "before_cursor_execute", self._executed)
        event.listen(sqlalchemy.Engine, "commit", lambda _: self.armed and self.step("COMMIT"))

    def _audited(self, name: str, args: tuple[Any, ...]) -> None:
        is_writing = name == "open" and args[2] and args[2] & (os.O_WRONLY | os.O_RDWR)
        if self.armed and (name in FILE_STEPS or is_writing):
            self.step(f"{name} {args[0]}")

    def _executed(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if self.armed and statement.startswith(("INSERT", "UPDATE", "DELETE")):
            self.step(statement[:80])

    def step(self, what: str) -> None:
        self.count += 1
        if self.count == self.fatal:
            self.armed = False
            if self.note is not None:
                with open(self.note, "w", encoding="utf-8") as file:
                    file.write(what)
            os.kill(os.getpid(), signal.SIGKILL)


def attempt(scenario: Scenario, home: str, source: str, fatal: int, note: str) -> None:
    sending.CONFIRM_FILES = 2  # so that a kill leaves some blobs known and some not
    steps = Steps(fatal, note)
    run = lineal.init(settings=settings_for(home))
    run._surroundings(wait=True)  # nothing else happens in the background
    steps.armed = True
    artifact = scenario.log(run, source)
    artifact.wait()
    steps.armed = False
    os._exit(0)


# --- judging ------------------------------------------------------------------------------------


class Counting(EmbeddedBackend):
    """Counts what is sent; nothing else is different."""

    sent: list[Digest]

    def send(
        self,
        upload: Upload,
        source: str,
        handover: Handover = Handover.COPY,
        advance: Advance | None = None,
    ) -> None:
        self.sent.append(upload.digest)
        super().send(upload, source, handover, advance)

    def send_pack(self, upload: Upload, pack: str) -> frozenset[Digest]:
        held = super().send_pack(upload, pack)
        self.sent += held
        return held


def judge(scenario: Scenario, home: str, source: str) -> None:
    settings = settings_for(home)
    opened = open_embedded(settings)
    backend = Counting(opened.instance, opened.actor)
    backend.sent = []
    assert_invariants(backend)
    before = visible(backend)
    new = "v1" if scenario.has_old and scenario.makes_version else "v0"
    old = {"v0": sorted(OLD)} if scenario.has_old else {}
    done = {**old, new: sorted(scenario.files)}
    assert before in (old, done), f"visible after the kill: {before}"
    assert_whole(backend, scenario, before, home)

    missing = {of_bytes(data) for data in scenario.files.values()} - stored(backend)
    session.share_backend(settings, backend)
    run = lineal.init(settings=settings)
    again = scenario.log(run, source).wait()
    assert set(backend.sent) == missing, f"sent {len(backend.sent)}, missing {len(missing)}"
    assert len(backend.sent) == len(missing), "a blob was sent twice"
    run.finish()
    assert again.version == new
    assert visible(backend) == done
    assert_whole(backend, scenario, done, home)
    assert_invariants(backend)
    assert set(again.aliases) >= {"latest", "prod"}
    left = os.listdir(os.path.join(home, "staging"))
    assert len(left) <= 1, f"staging folders left: {left}"
    for folder in left:
        kept = os.listdir(os.path.join(home, "staging", folder))
        assert kept == ["lock"], f"in the staging folder: {kept}"


def assert_invariants(backend: EmbeddedBackend) -> None:
    assert list(backend.verify()) == []


def assert_whole(
    backend: EmbeddedBackend, scenario: Scenario, versions: dict[str, list[str]], home: str
) -> None:
    """Download every visible version and hold it against what was logged."""
    for version in versions:
        is_old = scenario.has_old and version == "v0"
        path = run_artifacts.ArtifactPath("ana", "vision", "data", version)
        artifact = run_artifacts.artifacts.committed(backend, backend.version(path))
        folder = os.path.join(home, "download", version)
        artifact.download(folder)
        for name, data in (OLD if is_old else scenario.files).items():
            with open(os.path.join(folder, name), "rb") as file:
                assert file.read() == data, name
        shutil.rmtree(folder)


def visible(backend: EmbeddedBackend) -> dict[str, list[str]]:
    """Return version → paths of all that can be seen; every alias must lead to one of them."""
    try:
        page = backend.versions(VersionQuery("ana", "vision", "data"), PageRequest())
    except NotFound:
        return {}
    found = {}
    for version in page.items:
        artifact = run_artifacts.artifacts.committed(backend, version)
        found[f"v{version.number}"] = sorted(artifact.manifest.entries)
    return found


def stored(backend: EmbeddedBackend) -> set[Digest]:
    with backend.instance.database.reading() as connection:
        query = sqlalchemy.select(blobs.c.digest).where(blobs.c.state == STORED)
        return {Digest(digest) for digest in connection.execute(query).scalars()}


# --- the loop -----------------------------------------------------------------------------------


def prepare(folder: str, scenario: Scenario) -> tuple[str, str]:
    """Make the source files and a home to start from; in a child, so that nothing stays open."""
    source, home = os.path.join(folder, "source"), os.path.join(folder, "template")
    for name, data in NEW.items():
        path = os.path.join(source, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)

    def make() -> None:
        run = lineal.init(settings=settings_for(home))
        if scenario.has_old:
            artifact = lineal.Artifact("data", "dataset")
            for name, data in OLD.items():
                artifact.add_bytes(data, name)
            run.log_artifact(artifact)
        run.finish()
        session.close()
        shutil.rmtree(os.path.join(home, "staging"))

    problem = in_child(make, os.path.join(folder, "problem"))[1]
    assert problem is None, problem
    return source, home


def load_modules(folder: str, scenario: Scenario, template: str, source: str) -> None:
    """Load what an attempt and its judgement load; loading is a third of what a death takes."""
    home, names = os.path.join(folder, "first"), os.path.join(folder, "modules")
    shutil.copytree(template, home)

    def note() -> None:
        judge(scenario, home, source)
        with open(names, "w", encoding="utf-8") as file:
            file.write(" ".join(name for name in sys.modules if name.startswith("lineal.")))

    problem = in_child(note, os.path.join(folder, "problem"))[1]
    assert problem is None, problem
    shutil.rmtree(home)
    with open(names, encoding="utf-8") as file:
        for name in file.read().split():
            importlib.import_module(name)


def in_child(work: Callable[[], None], note: str) -> tuple[int, str | None]:
    """Run in a forked child; returns (wait status, traceback if it raised)."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            with open(note, "w", encoding="utf-8") as file:
                file.write(traceback.format_exc())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if not os.path.exists(note):
        return status, None
    with open(note, encoding="utf-8") as file:
        text = file.read()
    os.unlink(note)
    return status, text


def outcomes(folder: str, name: str, every: int) -> Iterator[dict[str, Any]]:
    """Yield what came of dying at each step, or at every so many-th."""
    scenario = SCENARIOS[name]
    source, template = prepare(folder, scenario)
    home, note = os.path.join(folder, "home"), os.path.join(folder, "note")
    load_modules(folder, scenario, template, source)
    for fatal in count(1, every):
        assert fatal < MOST_STEPS, "the attempt never completes"
        shutil.copytree(template, home)

        def die(fatal: int = fatal) -> None:
            attempt(scenario, home, source, fatal, note)

        status, at = in_child(die, note)
        is_killed = os.WIFSIGNALED(status)
        problem = None if is_killed or status == 0 else at
        if problem is None:
            problem = in_child(lambda: judge(scenario, home, source), note)[1]
        yield {"step": fatal, "at": at, "is_killed": is_killed, "problem": problem}
        shutil.rmtree(home)
        if not is_killed:
            return


if __name__ == "__main__":
    for outcome in outcomes(sys.argv[1], sys.argv[2], int(sys.argv[3])):
        sys.stdout.write(json.dumps(outcome) + "\n")
