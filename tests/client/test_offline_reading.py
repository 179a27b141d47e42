"""What offline runs read and use of the normal home."""

from __future__ import annotations

import inspect
import os
import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from tests.client.syncing import folders, state, synced, write_dataset

import lineal
from lineal.client import session
from lineal.client.backend import Backend
from lineal.client.offline.backend import OfflineBackend
from lineal.client.offline.sync import sync
from lineal.config import load
from lineal.errors import Exists, Gone, Invalid, NotFound, UsageError

SEVERAL_SEGMENTS = 5_000
"""Entries that the manifest is cut into about five segments for."""


def test_versions_of_the_normal_home_can_be_used_and_linked_offline(home):
    with lineal.init(project="p") as online:
        online.log_artifact(write_dataset(text="shared"), aliases=["prod"])
    with lineal.init(mode="offline", project="p", id="a") as run:
        used = run.use_artifact("data:prod")
        assert Path(used.download(), "a.txt").read_text() == "shared"
        run.link_artifact(used, "ana/registry/My Models", aliases=["staging"])
        draft = used.new_draft()
        with draft.new_file("b.txt") as file:
            file.write("more")
        run.log_artifact(draft)
    (result,) = synced(home)
    assert result.failures == {}
    found = state(home, "a")
    assert found["used"] == ["ana/p/data:v0"]
    assert [path for path, *_ in found["logged"]] == ["ana/p/data:v1"]
    linked = lineal.Api().artifact("registry/My Models:staging")
    assert (linked.source_name, linked.collection.display_name) == ("data:v0", "My Models")
    assert sorted(lineal.Api().artifact("p/data:v1").manifest.entries) == ["a.txt", "b.txt"]
    before = state(home, "a")
    synced(home, again=True)
    assert state(home, "a") == before


@pytest.mark.parametrize("how", ["unchanged", "changed", "incremental"])
def test_a_draft_takes_over_offline_what_it_changes_nothing_in(home, how):
    with lineal.init(project="p") as online:
        many = lineal.Artifact("many", "dataset")
        for number in range(SEVERAL_SEGMENTS):
            many.add_bytes(b"", f"{number:05}")
        online.log_artifact(many)
    with lineal.init(mode="offline", project="p", id="a") as run:
        used = run.use_artifact("many:v0")
        if how == "incremental":
            draft = lineal.Artifact("many", "dataset", incremental=True)
        else:
            draft = used.new_draft()
        if how != "unchanged":
            draft.add_bytes(b"new", "new")
        run.log_artifact(draft).wait()
        assert len(draft.manifest) == SEVERAL_SEGMENTS + (how != "unchanged")
    (result,) = synced(home)
    assert result.failures == {}
    assert lineal.Api().artifact("p/many:latest").digest == draft.digest


def test_words_that_were_linked_to_offline_lead_to_no_collection_that_is_shown_otherwise(home):
    with lineal.init(project="p") as online:
        online.log_artifact(write_dataset(text="at home")).wait().link("ana/registry/My_Models")
    with lineal.init(mode="offline", project="p", id="a") as run:
        run.link_artifact(run.log_artifact(write_dataset()).wait(), "ana/registry/My Models")
    (result,) = synced(home)
    assert list(result.failures) == ["link ana/registry/My_Models:v1"]
    assert "'My Models' would be the collection" in str(*result.failures.values())
    collection = lineal.Api().artifact_collection("dataset", "registry/My_Models")
    assert (len(collection.artifacts()), collection.display_name) == (1, None)
    collection.display_name = "My Models"
    collection.save()
    (result,) = synced(home)
    assert result.failures == {}
    assert len(collection.artifacts()) == 2


def test_what_an_offline_run_logged_is_not_taken_for_what_has_its_name_at_home(home):
    with lineal.init(project="p") as online:
        online.log_artifact(write_dataset("base", "at home"))
    with lineal.init(mode="offline", project="p", id="a") as run:
        offline = run.log_artifact(write_dataset(text="in the folder")).wait()
        run.link_artifact(run.use_artifact("base:v0"), "p/linked")
    with lineal.init(project="p") as online:
        assert online.log_artifact(write_dataset(text="at home")).wait().name == offline.name
    with lineal.init(project="p", id="b") as online:
        for attach in (online.use_artifact, online.log_artifact):
            with pytest.raises(UsageError, match=r"data:v0 in .* has other content"):
                attach(offline, aliases=["prod"])
        synced(home)
        online.use_artifact(offline, aliases=["prod"])
    assert state(home, "b")["used"] == ["ana/p/data:v1"]
    assert lineal.Api().artifact("p/data:prod").version == "v1"
    assert lineal.Api().artifact("p/linked:v0").source_name == "base:v0"


def test_a_number_means_offline_what_it_means_at_home(home):
    with lineal.init(project="p") as online:
        for text in ("zero", "one"):
            online.log_artifact(write_dataset(text=text)).wait()
    with lineal.init(mode="offline", project="p", id="a") as run:
        logged = [run.log_artifact(write_dataset(text=text)).wait() for text in ("two", "three")]
        assert [version.name for version in logged] == ["data:v2", "data:v3"]
        used = [run.use_artifact(f"data:{ref}") for ref in ("v0", "v2", "latest")]
        assert [Path(each.download(), "a.txt").read_text() for each in used] == [
            "zero",
            "two",
            "three",
        ]
    (result,) = synced(home)
    assert result.failures == {}
    assert [path for path, *_ in state(home, "a")["logged"]] == ["ana/p/data:v2", "ana/p/data:v3"]


def test_what_sync_could_not_bring_home_is_refused_offline(home):
    with lineal.init(project="p") as online:
        online.log_artifact(write_dataset()).wait().link("p/linked")
    with lineal.init(mode="offline", project="p", id="a") as run:
        with pytest.raises(Invalid, match="ana/p/data has type `dataset`, not `model`"):
            run.log_artifact(lineal.Artifact("data", "model"))
        with pytest.raises(Exists, match="ana/p/linked holds links only"):
            run.log_artifact(lineal.Artifact("linked", "dataset"))


def test_what_only_the_home_has_is_not_said_to_be_nowhere_when_it_is_to_be_changed(home):
    with lineal.init(project="p") as online:
        collection = online.log_artifact(write_dataset()).wait().collection
        collection.retention = {"keep_last": 3}
    with lineal.init(mode="offline", project="p", id="a") as run:
        used = run.use_artifact("data:v0")
        assert used.collection.retention.keep_last == 3
        for change in (used.restore, used.collection.restore):
            with pytest.raises(UsageError, match=r"ana/p/data.* not in the folder"):
                change()
        with pytest.raises(UsageError, match="Collection ana/p/data is not in the folder"):
            used.collection.retention = None
        with pytest.raises(NotFound, match="nothing"):
            run.backend.restore_collection("ana", "p", "nothing")


def test_what_was_deleted_offline_is_told_so(home):
    with lineal.init(project="p") as online:
        online.log_artifact(write_dataset("other"))
    with lineal.init(mode="offline", project="p", id="a") as run:
        logged = run.log_artifact(write_dataset()).wait()
        logged.delete(delete_aliases=True)
        with pytest.raises(Gone, match="ana/p/data:v0 was deleted by ana"):
            run.use_artifact("data:v0")


def test_a_draft_of_what_an_offline_run_logged_is_logged_at_home_once_that_is_there(home):
    with lineal.init(mode="offline", project="p", id="a") as run:
        offline = run.log_artifact(write_dataset(text="in the folder")).wait()
    with lineal.init(project="p") as online:
        online.log_artifact(write_dataset(text="at home"))

    def changed() -> lineal.Artifact:
        draft = offline.new_draft()
        draft.add_bytes(b"more", "b.txt")
        return draft

    with lineal.init(project="p", id="b") as online:
        with pytest.raises(UsageError, match=r"data:v0 in .* has other content"):
            online.log_artifact(changed())
        synced(home)
        draft = changed()
        shutil.rmtree(run.sync_dir)
        logged = online.log_artifact(draft).wait()
    assert logged.version == "v2"
    assert sorted(logged.manifest.entries) == ["a.txt", "b.txt"]
    assert Path(logged.download(), "a.txt").read_text() == "in the folder"
    graph = logged.lineage("upstream", depth=1, derived=True)
    labels = {node.id: node.label for node in graph.nodes}
    assert {labels[edge.source] for edge in graph.edges if edge.kind == "derived"} == {"data:v1"}


def test_a_draft_of_what_is_only_in_the_folder_of_an_offline_run_says_so_at_home(home):
    with lineal.init(mode="offline", project="p", id="a") as run:
        draft = run.log_artifact(write_dataset()).wait().new_draft()
    where = rf"draft began with that version in .*{run.sync_dir}"
    with lineal.init(project="p", id="b") as online, pytest.raises(NotFound, match=where):
        online.log_artifact(draft)


def test_an_entry_of_the_home_is_not_taken_for_one_that_the_run_logged_under_its_name(home):
    with lineal.init(project="p") as online:
        online.log_artifact(write_dataset(text="at home"))
    with lineal.init(mode="offline", project="p", id="a") as run:
        at_home = run.use_artifact("data:v0")
        offline = run.log_artifact(write_dataset(text="in the folder")).wait()
        both = lineal.Artifact("both", "dataset")
        both.add_reference(offline.get_entry("a.txt"), "own.txt")
        both.add_reference(at_home.get_entry("a.txt"), "home.txt")
        path = Path(run.log_artifact(both).wait().download())
        assert (path / "own.txt").read_text() == "in the folder"
        assert (path / "home.txt").read_text() == "at home"
    with lineal.init(project="p") as online:
        assert online.log_artifact(write_dataset(text="newer")).wait().name == offline.name
    other = lineal.Artifact("other", "dataset")
    with pytest.raises(UsageError, match="has other content"):
        other.add_reference(offline.get_entry("a.txt"))


def derived_from(artifact: lineal.Artifact) -> set[str]:
    graph = artifact.lineage("upstream", depth=1, derived=True)
    labels = {node.id: node.label for node in graph.nodes}
    return {labels[edge.source] for edge in graph.edges if edge.kind == "derived"}


def test_files_taken_over_offline_come_along_and_are_told(home):
    with lineal.init(project="p") as online:
        online.log_artifact(write_dataset("shared", "at home"))
    with lineal.init(mode="offline", project="p", id="a") as run:
        run.log_artifact(write_dataset("own", "in the folder")).wait()
        joined = lineal.Artifact("joined", "dataset")
        joined.add_reference("lineal://p/shared:latest/a.txt", name="shared.txt")
        joined.add_reference("lineal://p/own:latest", name="own")
        run.log_artifact(joined).wait()
        more = joined.new_draft()
        more.add_reference("lineal://p/shared:latest/a.txt", name="more.txt")
        run.log_artifact(more)
    (result,) = synced(home)
    assert result.failures == {}
    found = lineal.Api().artifact("p/joined:v0")
    path = Path(found.download())
    assert (path / "shared.txt").read_text() == "at home"
    assert (path / "own" / "a.txt").read_text() == "in the folder"
    assert derived_from(found) == {"shared:v0", "own:v0"}
    assert derived_from(lineal.Api().artifact("p/own:latest")) == set()
    assert derived_from(lineal.Api().artifact("p/joined:v1")) == {"shared:v0", "joined:v0"}


def test_an_incremental_version_takes_files_over_from_the_home(home):
    with lineal.init(project="p") as online:
        online.log_artifact(write_dataset("shared", "at home"))
    with lineal.init(mode="offline", project="p", id="a") as run:
        for name in ("1.txt", "2.txt"):
            grown = lineal.Artifact("grown", "dataset", incremental=True)
            grown.add_bytes(name.encode(), name)
            if name == "2.txt":
                grown.add_reference(run.use_artifact("shared:v0").get_entry("a.txt"), name="a.txt")
            run.log_artifact(grown).wait()
    (result,) = synced(home)
    assert result.failures == {}
    found = lineal.Api().artifact("p/grown:latest")
    assert sorted(found.manifest.entries) == ["1.txt", "2.txt", "a.txt"]
    assert Path(found.download(), "a.txt").read_text() == "at home"


def test_files_of_a_version_of_the_home_say_offline_which_version_brought_them(home):
    with lineal.init(project="p") as online:
        online.log_artifact(write_dataset("before", "one")).wait()
        both = write_dataset("both", "two")
        both.add_reference("lineal://p/before:v0/a.txt", name="one.txt")
        online.log_artifact(both).wait()
    with lineal.init(mode="offline", project="p") as run:
        before, both = run.use_artifact("before:v0"), run.use_artifact("both:v0")
        entries = both.manifest.entries
        assert entries["one.txt"].birth_artifact_id == before.id
        assert entries["a.txt"].birth_artifact_id == both.id
        own = run.log_artifact(write_dataset("own", "three")).wait()
        assert own.get_entry("a.txt").birth_artifact_id == own.id


def test_what_is_at_home_is_read_offline_and_not_changed(home):
    with lineal.init(project="p") as online:
        online.log_artifact(write_dataset("shared", "at home"), aliases=["prod"]).wait()
        online.link_artifact(online.use_artifact("shared:v0"), "models")
    with lineal.init(mode="offline", project="p", id="a") as run:
        own = run.log_artifact(write_dataset("precious", "in the folder"), aliases=["best"]).wait()
        collection = run.use_artifact("shared:v0").collection
        assert {move.alias for move in run.use_artifact("shared:v0").alias_history()} >= {"prod"}
        version = run.use_artifact("shared:v0")
        for change in (
            collection.delete,
            lambda: setattr(collection, "ttl", timedelta(days=1)),
            lambda: (setattr(collection, "description", "new"), collection.save()),
        ):
            with pytest.raises(UsageError, match=r"Collection ana/p/shared .* through `lineal.Api"):
                change()
        with pytest.raises(UsageError, match=r"Version ana/p/shared:v0 .* through `lineal.Api"):
            version.delete(delete_aliases=True)
        with pytest.raises(UsageError, match=r"Version ana/p/models:v0 .* through `lineal.Api"):
            run.use_artifact("models:v0").unlink()
        assert own.collection.description is None
        assert {move.alias for move in own.alias_history()} == {"best", "latest"}
    (result,) = synced(home)
    assert result.failures == {}
    assert [path for path, *_ in state(home, "a")["logged"]] == ["ana/p/precious:v0"]


def test_runs_at_home_are_read_offline_and_not_changed(home):
    with lineal.init(project="p", id="maker", config={"lr": 1}) as online:
        online.log({"x": 7})
        online.log_artifact(write_dataset("shared", "at home"))
    with lineal.init(project="p", id="user") as online:
        online.log({"x": 8})
        online.use_artifact("shared:v0")
        Path("notes.txt").write_text("n")
        online.save("notes.txt", policy="now")
    with lineal.init(mode="offline", project="p", id="a") as run:
        run.log({"x": 1})
        shared = run.use_artifact("shared:v0")
        maker, (user,) = shared.logged_by(), shared.used_by()
        assert (maker.id, maker.config, user.id) == ("maker", {"lr": 1}, "user")
        assert (user.config, user.summary.get("x"), user.metadata["root"]) == ({}, 8, os.getcwd())
        assert [row["x"] for row in maker.scan_history()] == [7]
        assert [made.name for made in maker.logged_artifacts()] == ["shared:v0"]
        with user.file("notes.txt").download(root="out") as file:
            assert file.read() == "n"
        assert {node.label for node in shared.lineage().runs} == {maker.name, user.name}
        maker.notes = "new"
        for change in (
            maker.update,
            maker.delete,
            user.file("notes.txt").delete,
            lambda: maker.log_artifact(write_dataset("more")),
            lambda: maker.use_artifact(shared),
        ):
            with pytest.raises(UsageError, match=r"Run ana/p/\w+ .* through `lineal.Api"):
                change()
    (result,) = synced(home)
    assert result.failures == {}
    assert len(state(home, "a")["history"]) == 1


def test_each_method_that_is_given_an_id_says_who_answers_it_offline():
    marked = {"RunKey", "VersionId", "MembershipId", "CollectionId"}
    for name, method in inspect.getmembers(Backend, inspect.isfunction):
        if marked & set(re.findall(r"\w+", " ".join(map(str, method.__annotations__.values())))):
            assert name in vars(OfflineBackend), f"{name} takes an id of the home for the folder's"


def test_what_is_nowhere_is_not_found_offline():
    with lineal.init(mode="offline", project="p") as run, pytest.raises(NotFound, match="offline"):
        run.use_artifact("nothing:latest")


def used_offline(home: Path) -> None:
    """Let an offline run use, link and change a version of the home."""
    with lineal.init(project="p") as online:
        online.log_artifact(write_dataset(text="first"))
        online.log_artifact(write_dataset(text="second"))
    with lineal.init(mode="offline", project="p", id="a") as run:
        used = run.use_artifact("data:v0")
        run.link_artifact(used, "ana/registry/models")
        draft = used.new_draft()
        with draft.new_file("b.txt") as file:
            file.write("more")
        run.log_artifact(draft)


def test_a_version_that_was_deleted_meanwhile_is_named_with_the_way_on(home):
    used_offline(home)
    lineal.Api().artifact("p/data:v0").delete()
    (result,) = synced(home, clean=True)
    assert sorted(result.failures) == [
        "artifact data:v2",
        "link of ana/p/data:v0",
        "use of ana/p/data:v0",
    ]
    for error in result.failures.values():
        assert "Version ana/p/data:v0 was deleted by ana" in str(error)
        assert "--skip-gone` goes on without it" in str(error)
    lineal.Api().restore("p/data:v0")
    (result,) = synced(home, clean=True)
    assert result.failures == {}
    assert state(home, "a")["used"] == ["ana/p/data:v0"]
    assert folders() == []


def test_a_run_comes_home_without_what_is_gone_if_that_is_asked_for(home):
    used_offline(home)
    lineal.Api().artifact("p/data:v0").delete()
    synced(home)
    (result,) = synced(home, clean=True, skip_gone=True)
    assert result.failures == {}
    assert len(result.skipped) == 3
    found = state(home, "a")
    assert found["used"] == []
    assert [path for path, *_ in found["logged"]] == ["ana/p/data:v2"]
    assert folders() == []


def test_what_a_run_came_home_without_is_not_asked_for_again(home, tmp_path):
    used_offline(home)
    lineal.Api().artifact("p/data:v0").delete()
    synced(home, skip_gone=True)
    first = state(home, "a")
    (result,) = synced(home, again=True)
    assert result.failures == {}
    assert state(home, "a") == first
    (result,) = synced(tmp_path / "elsewhere", again=True)
    assert "artifact data:v2" in result.failures, "what is complete here is not so there"


def test_what_never_was_where_the_run_goes_can_be_done_without(home, tmp_path):
    used_offline(home)
    (result,) = synced(tmp_path / "elsewhere")
    said = str(result.failures["use of ana/p/data:v0"])
    assert "ana/p/data:v0 is not there with the content that was used, sha256:" in said
    (result,) = synced(tmp_path / "elsewhere", skip_gone=True)
    assert (result.failures, result.version_count) == ({}, 1)


@pytest.mark.parametrize("options", [{}, {"project": "other"}])
def test_links_offline_are_to_what_the_owner_there_has(home, tmp_path, monkeypatch, options):
    with monkeypatch.context() as of_bob:
        of_bob.setenv("LINEAL_HOME", str(tmp_path / "bob"))
        of_bob.setenv("LINEAL_USERNAME", "bob")
        bobs = load()
        with lineal.init(project="p") as there:
            there.log_artifact(write_dataset())
    with lineal.init(project="p") as online:
        online.log_artifact(write_dataset())
    with lineal.init(mode="offline", project="p", id="a") as run:
        run.link_artifact(run.use_artifact("data:v0"), "models")
        run.link_artifact(run.log_artifact(write_dataset(text="own")).wait(), "own")
    backend = session.open_backend(bobs)
    (result,) = sync(folders(), backend, settings=bobs, **options)
    assert result.failures == {}
    project = options.get("project", "p")
    for name in ("models", "own"):
        assert backend.collection("bob", project, name).version_count == 1


def test_links_are_numbered_on_from_those_of_the_home(home):
    with lineal.init(project="p") as online:
        online.link_artifact(online.log_artifact(write_dataset(text="base")).wait(), "models")
    with lineal.init(mode="offline", project="p", id="a") as run:
        for text in ("one", "two"):
            run.link_artifact(run.log_artifact(write_dataset(text=text)).wait(), "models")
        assert run.use_artifact("models:v0").source_name == "data:v0"
        assert run.use_artifact("models:latest").name == "models:v2"
    with lineal.init(project="p") as online:
        online.link_artifact(online.log_artifact(write_dataset(text="new")).wait(), "models")
    (result,) = synced(home)
    assert result.failures == {}
    assert result.renumbered == {
        "data:v1": "data:v2",
        "data:v2": "data:v3",
        "models:v1": "models:v2",
        "models:v2": "models:v3",
    }
    assert lineal.Api().artifact("p/models:v3").source_name == "data:v3"
