"""Random programs leave the same behind at home, offline and synced, and carried in a bundle."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lineal
from lineal.cli.app import execute
from lineal.client import session
from lineal.client.artifact.artifact import Artifact
from tests.gc.databases import memory
from tests.robust import workers

CLOCK = ("_timestamp", "_runtime")


class Program:
    """One run and what it has logged so far; each step is given a number to make something of."""

    def __init__(self, run: lineal.Run) -> None:
        self.run = run
        self.logged: list[Artifact] = []

    def step(self, name: str, number: int) -> None:
        if name in NEEDS_A_VERSION and not self.logged:
            return
        getattr(self, name)(number)

    def log(self, number: int) -> None:
        self.run.log({"loss": number / 3, "nested": {"x": number}})

    def log_later(self, number: int) -> None:
        self.run.log({"later": number}, commit=False)

    def log_ahead(self, number: int) -> None:
        self.run.log({"ahead": number}, step=self.run.step + number)

    def log_table(self, number: int) -> None:
        self.run.log({"table": lineal.Table(columns=["q"], data=[[number]])})

    def define(self, number: int) -> None:
        self.run.define_metric("loss", summary=("min", "max", "mean", "last")[number])

    def summarize(self, number: int) -> None:
        self.run.summary["best"] = number

    def configure(self, number: int) -> None:
        self.run.config.update({"lr": number}, allow_val_change=True)

    def save(self, number: int) -> None:
        Path("notes.txt").write_text(f"{number}")
        self.run.save("notes.txt", policy="now")

    def log_artifact(self, number: int) -> None:
        artifact = Artifact("model" if number == 3 else "data", "dataset", metadata={"n": number})
        artifact.add_bytes(b"%d" % (number % 2), "a.txt")  # the same again and again
        self.run.log_artifact(artifact, aliases=["best"] if number else None).wait()
        self.logged.append(artifact)

    def log_draft(self, number: int) -> None:
        draft = self._version(number).new_draft()
        draft.add_bytes(b"%d" % number, "added.txt", overwrite=True)
        self.run.log_artifact(draft, tags=["changed"]).wait()
        self.logged.append(draft)

    def use(self, number: int) -> None:
        self.run.use_artifact(self._version(number))

    def alias(self, number: int) -> None:
        version = self._version(number)
        version.aliases.append(("p", "q")[number % 2])
        version.save()

    def tag(self, number: int) -> None:
        version = self._version(number)
        version.tags.append(("u", "w")[number % 2])
        version.save()

    def link(self, number: int) -> None:
        self.run.link_artifact(self._version(number), "registry/Best One", ["prod"][:number])

    def _version(self, number: int) -> Artifact:
        return self.logged[number % len(self.logged)]


NEEDS_A_VERSION = ("log_draft", "use", "alias", "tag", "link")
STEPS = sorted(name for name in vars(Program) if not name.startswith("_") and name != "step")
OFTEN = ["log_artifact"] * len(STEPS)
steps = st.lists(st.tuples(st.sampled_from(STEPS + OFTEN), st.integers(0, 3)), max_size=8)
programs = st.lists(steps, min_size=1, max_size=3)


def carry_out(program: list[list[tuple[str, int]]], mode: str) -> None:
    for number, each in enumerate(program):
        with workers.start(id=f"r{number}", mode=mode, tags=[f"t{number}"]) as run:
            doing = Program(run)
            for step in each:
                doing.step(*step)


def versions_left() -> dict[str, list[Any]]:
    """Return what can be asked of each version, by its collection."""
    api = lineal.Api()
    found: dict[str, list[Any]] = {}
    for project in api.projects():
        for kind in api.artifact_types(project.name):
            for collection in kind.collections():
                found[f"{project.name}/{collection.name}"] = [
                    (
                        *(version.name, version.digest, version.metadata, version.source_name),
                        *(sorted(version.aliases), sorted(version.tags), version.description),
                        [link.qualified_name for link in version.linked_artifacts],
                        getattr(version.logged_by(), "id", None),
                        sorted(run.id for run in version.used_by()),
                    )
                    for version in collection.artifacts()
                ]
    return found


def runs_left() -> list[Any]:
    return [
        (
            *(run.id, run.state, dict(run.config), sorted(run.tags)),
            {key: value for key, value in dict(run.summary).items() if key not in CLOCK},
            [{k: v for k, v in row.items() if k not in CLOCK} for row in run.scan_history()],
            [(file.name, file.size) for file in run.files(names=["notes.txt"])],
            sorted(each.qualified_name for each in run.logged_artifacts()),
            sorted(each.qualified_name for each in run.used_artifacts()),
        )
        for run in lineal.Api().runs("vision", order="+created_at")
    ]


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(program=programs)
def test_what_a_program_leaves_is_the_same_everywhere(
    program: list[list[tuple[str, int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tempfile.mkdtemp(prefix="lineal-same-", dir=memory())
    monkeypatch.chdir(folder)

    def at(home: str, *calls: Callable[[], Any]) -> None:
        monkeypatch.setenv("LINEAL_HOME", os.path.join(folder, home))
        for call in calls:
            assert call() in (None, 0)

    def command(*words: str) -> Callable[[], int]:
        return lambda: execute(list(words))

    try:
        at("first", lambda: carry_out(program, "online"))
        runs, versions = runs_left(), versions_left()
        for project in {name.partition("/")[0] for name in versions}:
            at("first", command("artifact", "export", project, "--all", "--to", "bundle"))
        at("first", command("verify"))

        sync = command("sync", "--again")
        at("synced", lambda: carry_out(program, "offline"), sync, sync, command("verify"))
        assert (runs_left(), versions_left()) == (runs, versions)

        if versions:
            carry = command("artifact", "import", "bundle")
            at("carried", carry, carry, command("verify"))
            assert versions_left() == versions
    finally:
        session.close()
        shutil.rmtree(folder)
