"""Random walks through the SDK against a model of dicts; every invariant holds after each step."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import lineal
import lineal.core.digest
from lineal.client import session
from lineal.client.artifact import adding
from lineal.client.artifact.artifact import Artifact, committed
from lineal.client.embedded.backend import EmbeddedBackend
from lineal.config import load
from lineal.core.full_names import ArtifactPath
from lineal.core.records import PageRequest, VersionQuery
from lineal.errors import CommError, Conflict
from tests.gc.databases import memory
from tests.robust import workers

Files = dict[str, bytes]

names = st.sampled_from(["one", "two"])
aliases = st.sampled_from(["best", "prod"])
contents = st.dictionaries(
    st.sampled_from(["a", "b/c", "b/d", "e"]), st.sampled_from([b"", b"x", b"yy"]), max_size=3
)
picks = st.integers(0, 5)


@dataclass
class Version:
    files: Files
    tags: set[str] = field(default_factory=set)
    is_deleted: bool = False


@dataclass
class Collection:
    versions: list[Version] = field(default_factory=list)
    aliases: dict[str, int] = field(default_factory=dict)

    def log(self, files: Files) -> int:
        """Return the number that content has: that of the oldest live version with it (SEM-2)."""
        live = [number for number in self.live() if self.versions[number].files == files]
        if not live:
            self.versions.append(Version(files))
        number = live[0] if live else len(self.versions) - 1
        self.aliases["latest"] = number
        return number

    def live(self) -> list[int]:
        return [n for n, version in enumerate(self.versions) if not version.is_deleted]

    def delete(self, number: int) -> None:
        self.versions[number].is_deleted = True
        self.aliases = {alias: at for alias, at in self.aliases.items() if at != number}
        if "latest" not in self.aliases and self.live():
            self.aliases["latest"] = self.live()[-1]


class Walk(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="lineal-walk-", dir=memory())
        os.environ["LINEAL_HOME"] = self.folder
        self.run = workers.start(id="walk", reinit="create_new")
        backend = self.run.backend
        assert isinstance(backend, EmbeddedBackend)
        self.backend = backend
        self.model = {"one": Collection(), "two": Collection()}
        self.used: set[str] = set()

    def teardown(self) -> None:
        if hasattr(self, "run"):
            self.run.finish()
            session.close()
            adding.adder(load()).close()
            shutil.rmtree(self.folder)

    # --- steps ---

    def pick(self, name: str, number: int) -> tuple[int, Artifact] | None:
        live = self.model[name].live()
        if not live:
            return None
        chosen = live[number % len(live)]
        path = ArtifactPath("ana", "vision", name, f"v{chosen}")
        return chosen, committed(self.backend, self.backend.version(path))

    @rule(name=names, files=contents, alias=st.none() | aliases)
    def log(self, name: str, files: Files, alias: str | None) -> None:
        artifact = Artifact(name, "dataset")
        for path, data in files.items():
            artifact.add_bytes(data, path)
        self.run.log_artifact(artifact, aliases=alias).wait()
        number = self.model[name].log(files)
        if alias is not None:
            self.model[name].aliases[alias] = number
        assert artifact.version == f"v{number}"

    @rule(name=names, number=picks, added=contents, removed=st.sampled_from(["a", "b", "e"]))
    def change(self, name: str, number: int, added: Files, removed: str) -> None:
        picked = self.pick(name, number)
        if picked is None:
            return
        files = dict(self.model[name].versions[picked[0]].files)
        draft = picked[1].new_draft()
        gone = [path for path in files if path == removed or path.startswith(f"{removed}/")]
        if gone:
            draft.remove(removed)
        else:
            with pytest.raises(FileNotFoundError):
                draft.remove(removed)
        for path in gone:
            del files[path]
        for path, data in added.items():
            draft.add_bytes(data, path, overwrite=True)
        files.update(added)
        self.run.log_artifact(draft).wait()
        assert draft.version == f"v{self.model[name].log(files)}"

    @rule(name=names, number=picks, alias=aliases)
    def put_alias(self, name: str, number: int, alias: str) -> None:
        picked = self.pick(name, number)
        if picked is not None:
            picked[1].aliases.append(alias)
            picked[1].save()
            self.model[name].aliases[alias] = picked[0]

    @rule(name=names, number=picks, alias=aliases, expected=st.none() | picks)
    def swap_alias(self, name: str, number: int, alias: str, expected: int | None) -> None:
        picked = self.pick(name, number)
        if picked is None:
            return
        wanted = None if expected is None else f"v{expected}"
        if self.model[name].aliases.get(alias) == expected:
            picked[1].move_alias(alias, expected_version=wanted)
            self.model[name].aliases[alias] = picked[0]
        else:
            with pytest.raises(Conflict):
                picked[1].move_alias(alias, expected_version=wanted)

    @rule(name=names, number=picks, tag=st.sampled_from(["good", "bad"]))
    def toggle_tag(self, name: str, number: int, tag: str) -> None:
        picked = self.pick(name, number)
        if picked is None:
            return
        tags = self.model[name].versions[picked[0]].tags
        tags ^= {tag}
        picked[1].tags = sorted(tags)
        picked[1].save()

    @precondition(lambda self: any(each.live() for each in self.model.values()))
    @rule(name=names, number=picks)
    def delete(self, name: str, number: int) -> None:
        picked = self.pick(name, number)
        if picked is not None:
            picked[1].delete(delete_aliases=True)
            self.model[name].delete(picked[0])

    @rule(name=names, ref=st.sampled_from(["latest", "best", "v0", "v1"]))
    def use(self, name: str, ref: str) -> None:
        collection = self.model[name]
        number = int(ref[1:]) if ref[0] == "v" else collection.aliases.get(ref)
        if number in collection.live():
            used = self.run.use_artifact(f"{name}:{ref}")
            assert used.version == f"v{number}"
            self.used.add(used.qualified_name)
        else:
            with pytest.raises(CommError):
                self.run.use_artifact(f"{name}:{ref}")

    # --- what holds after each of them ---

    @invariant()
    def is_whole(self) -> None:
        if hasattr(self, "backend"):
            assert list(self.backend.verify()) == []

    @invariant()
    def is_what_the_model_says(self) -> None:
        for name, collection in getattr(self, "model", {}).items():
            if not collection.versions:
                continue
            query = VersionQuery("ana", "vision", name, order="+version_index")
            found = self.backend.versions(query, PageRequest()).items
            assert [version.number for version in found] == collection.live()
            for version in found:
                model = collection.versions[version.number]
                artifact = committed(self.backend, version)
                assert {
                    path: entry.digest for path, entry in artifact.manifest.entries.items()
                } == {path: lineal.core.digest.of_bytes(data) for path, data in model.files.items()}
                assert set(version.tags) == model.tags
                assert set(version.aliases) == {
                    alias for alias, at in collection.aliases.items() if at == version.number
                }


def test_whatever_is_done_in_whatever_order_the_invariants_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LINEAL_HOME", "set by each walk")  # and put back afterwards
    run_state_machine_as_test(
        Walk,
        settings=settings(
            max_examples=30,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
