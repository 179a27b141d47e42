from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import event
from tests.test_files import file_size_limit

import lineal
from lineal.client import session
from lineal.client.backend import Backend
from lineal.client.offline import copying, run_folder, sync
from lineal.config import Settings, load
from lineal.core.records import CollectionPatch, EdgeKind, PageRequest, Stream
from lineal.errors import NoSpace, NotFound, UsageError


def write_dataset(name: str = "data", text: str = "a", **options) -> lineal.Artifact:
    artifact = lineal.Artifact(name, "dataset", **options)
    with artifact.new_file("a.txt") as file:
        file.write(text)
    return artifact


def folders() -> list[str]:
    return sync.find_folders("lineal")


def target(home: Path):
    return session.open_backend(load({"home": str(home)}))


def synced(home: Path, **options) -> list[sync.Synced]:
    settings: Settings = load({"home": str(home)})
    return sync.sync(folders(), target(home), settings=settings, **options)


def state(home: Path, run_id: str) -> dict:
    """Everything about a run that a second sync must not change."""
    backend = target(home)
    run = backend.run("ana", "p", run_id)
    page = PageRequest()
    return {
        "run": (run.state, run.exit_code, run.config, run.summary, run.tags, run.notes),
        "runtime": run.runtime_seconds,
        "history": list(backend.read_lines(run.key, Stream.HISTORY)),
        "console": list(backend.read_lines(run.key, Stream.CONSOLE)),
        "files": [(f.path, f.digest) for f in backend.run_files(run.key, page).items],
        "logged": [
            (v.path, v.digest, v.aliases, v.tags, v.metadata, v.description)
            for v in backend.versions_of(run.key, EdgeKind.LOGGED, page).items
        ],
        "used": [v.path for v in backend.versions_of(run.key, EdgeKind.USED, page).items],
    }


def test_an_offline_run_is_kept_in_one_folder_and_touches_nothing_else(home, capsys):
    with lineal.init(mode="offline", project="p", id="a") as run:
        run.log({"x": 1})
        run.log_artifact(write_dataset())
        assert (run.url, run.project_url, run.sweep_url) == (None, None, None)
    (folder,) = folders()
    assert os.path.samefile(run.sync_dir, folder)
    assert folder in capsys.readouterr().err
    assert os.path.basename(folder).startswith("offline-run-")
    assert folder.endswith("-a")
    assert not (home / "lineal.db").exists()


def test_a_version_that_is_nowhere_is_an_error_of_whole_sentences():
    with lineal.init(mode="offline", project="p") as run:
        run.log_artifact(write_dataset()).wait()
        for name in ("data:v7", "other:v0"):
            with pytest.raises(NotFound, match=r"[^.]\. While offline, only versions"):
                run.use_artifact(name)


def test_sync_copies_everything_and_twice_changes_nothing(home):
    with lineal.init(mode="offline", project="p", id="a", config={"lr": 1}, tags=["t"]) as run:
        for step in range(3):
            run.log({"x": step})
        print("hello")
        run.log_artifact(write_dataset(text="one", metadata={"n": 1}), tags=["raw"])
        run.log_artifact(write_dataset(text="two"), aliases=["best"])
        run.use_artifact("data:v0")
        run.use_artifact(write_dataset("mine", "three"))
        Path("notes.txt").write_text("n")
        run.save("notes.txt", policy="now")
    (result,) = synced(home)
    assert result.failures == {}
    assert (result.run, result.version_count) == ("ana/p/a", 3)
    first = state(home, "a")
    assert first["run"][0] == "finished"
    assert first["run"][2]["lr"] == 1
    assert len(first["history"]) == 3
    assert len(first["console"]) == 1
    assert "notes.txt" in dict(first["files"])
    assert [(path, aliases) for path, _, aliases, *_ in first["logged"]] == [
        ("ana/p/data:v0", ()),
        ("ana/p/data:v1", ("best", "latest")),
    ]
    assert first["used"] == ["ana/p/data:v0", "ana/p/mine:v0"]
    (again,) = synced(home)
    assert again.was_synced
    (forced,) = synced(home, again=True)
    assert (forced.failures, forced.file_count) == ({}, result.file_count)
    assert state(home, "a") == first


@pytest.mark.parametrize("is_marked", [True, False], ids=["marked", "not marked"])
def test_another_sync_does_not_end_a_run_once_more(home, is_marked):
    with lineal.init(mode="offline", project="p", id="a", config={"lr": 1}) as run:
        run.log({"x": 1})
    synced(home)
    before = target(home).run("ana", "p", "a")
    if not is_marked:
        Path(folders()[0], sync.MARK_FILE).unlink()
    synced(home, again=True)
    assert target(home).run("ana", "p", "a") == before


def test_another_sync_leaves_alone_what_somebody_went_on_with(home):
    with lineal.init(mode="offline", project="p", id="a", config={"lr": 1}) as run:
        run.log({"x": 1})
        Path("notes.txt").write_text("old")
        run.save("notes.txt", policy="now")
    synced(home)
    with lineal.init(project="p", id="a", resume="must") as run:
        run.log({"x": 2})
        run.config.update({"lr": 2}, allow_val_change=True)
        Path("notes.txt").write_text("new")
        run.save("notes.txt", policy="now")
        run.flush()
        before = state(home, "a")
        synced(home, again=True)
        assert state(home, "a") == before
    assert before["run"][0] == "running"


def test_a_version_in_the_config_that_came_late_is_named_as_it_is_there(home):
    with lineal.init(project="p") as online:
        online.log_artifact(write_dataset("other", "x")).wait()
    with lineal.init(mode="offline", project="p", id="a") as run:
        run.config["data"] = run.log_artifact(write_dataset("own", "lost")).wait()
    (folder,) = folders()
    (path,) = (p for p in Path(folder, "blobs").rglob("*") if p.is_file() and is_lost(p))
    path.rename("aside")
    (result,) = synced(home)
    assert list(result.failures) == ["artifact own:v0"]
    Path("aside").rename(path)
    synced(home)
    found = lineal.Api().run("p/a").config["data"]
    assert found["id"] == lineal.Api().artifact("p/own:v0").id


def is_lost(path: Path) -> bool:
    return path.read_bytes() == b"lost"


def test_who_syncs_a_folder_at_the_same_time_waits(home):
    with lineal.init(mode="offline", project="p", id="a"):
        pass
    (folder,) = folders()
    command = [sys.executable, "-m", "lineal", "sync", folder, "--clean"]
    with copying.alone_in(folder):
        other = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert other.stderr is not None
        assert "waiting for another process" in other.stderr.readline()
        shutil.rmtree(folder)  # as a sync that cleans up does in the end
    with other:
        said = other.stderr.read()
    assert (other.returncode, said) == (0, "")


def test_a_folder_that_was_half_deleted_is_deleted_by_the_next_sync(home, tmp_path):
    with lineal.init(mode="offline", project="p", id="a") as run:
        run.log_artifact(write_dataset())
    synced(home)
    (folder,) = folders()
    backend, settings = target(home), load({"home": str(home)})
    for step in itertools.count():
        copy = str(tmp_path / f"{step}")
        shutil.copytree(folder, copy)
        child = os.fork()
        if child == 0:
            die_at(step)
            sync.sync([copy], backend, settings=settings, clean=True)
            os._exit(0)
        is_through = os.waitpid(child, 0)[1] == 0
        if os.path.exists(os.path.join(copy, run_folder.ABOUT_FILE)):
            (again,) = sync.sync([copy], backend, settings=settings, clean=True)
            assert (again.was_synced, again.failures) == (True, {})
            assert not os.path.exists(copy)
        elif os.path.exists(copy):
            assert os.listdir(copy) in ([], [sync.MARK_FILE])
        if is_through:
            break
    assert step > 5


def die_at(step: int) -> None:
    """End this process before it deletes for the time of this number, counted from 0."""
    steps = itertools.count()

    def hook(event: str, _: object) -> None:
        if event in ("os.remove", "os.rmdir") and next(steps) == step:
            os._exit(1)

    sys.addaudithook(hook)


def test_a_folder_that_a_link_leads_to_is_not_deleted(home):
    with lineal.init(mode="offline", project="p", id="a"):
        pass
    Path("link").symlink_to(folders()[0])
    settings = load({"home": str(home)})
    (result,) = sync.sync(["link"], target(home), settings=settings, clean=True)
    assert "is a link, so it is not deleted" in str(next(iter(result.failures.values())))
    (result,) = synced(home)
    assert result.was_synced


def test_a_preempted_run_is_preempted_after_sync(home):
    run = lineal.init(mode="offline", project="p", id="a")
    run.mark_preempting()
    run.finish(exit_code=3)
    (result,) = synced(home)
    assert result.failures == {}
    first = state(home, "a")
    assert first["run"][:2] == ("preempted", 3)
    synced(home, again=True)
    assert state(home, "a") == first


def test_a_folder_copied_to_another_place_is_complete(home, tmp_path):
    with lineal.init(mode="offline", project="p", id="a") as run:
        run.log_artifact(write_dataset(text="content"))
    (folder,) = folders()
    elsewhere = tmp_path / "elsewhere" / "copy"
    shutil.copytree(folder, elsewhere)
    shutil.rmtree(folder)
    settings = load({"home": str(home)})
    (result,) = sync.sync([str(elsewhere)], target(home), settings=settings)
    assert result.failures == {}
    path = lineal.Api().artifact("p/data:latest").download()
    assert Path(path, "a.txt").read_text() == "content"


def test_versions_of_the_normal_home_can_be_used_and_linked_offline(home):
    with lineal.init(project="p") as online:
        online.log_artifact(write_dataset(text="shared"), aliases=["prod"])
    with lineal.init(mode="offline", project="p", id="a") as run:
        used = run.use_artifact("data:prod")
        assert Path(used.download(), "a.txt").read_text() == "shared"
        run.link_artifact(used, "ana/registry/models", aliases=["staging"])
        draft = used.new_draft()
        with draft.new_file("b.txt") as file:
            file.write("more")
        run.log_artifact(draft)
    (result,) = synced(home)
    assert result.failures == {}
    found = state(home, "a")
    assert found["used"] == ["ana/p/data:v0"]
    assert [path for path, *_ in found["logged"]] == ["ana/p/data:v1"]
    linked = lineal.Api().artifact("registry/models:staging")
    assert linked.source_name == "data:v0"
    assert sorted(lineal.Api().artifact("p/data:v1").manifest.entries) == ["a.txt", "b.txt"]
    before = state(home, "a")
    synced(home, again=True)
    assert state(home, "a") == before


def test_what_an_offline_run_logged_is_not_taken_for_what_has_its_name_at_home(home):
    with lineal.init(project="p") as online:
        online.log_artifact(write_dataset(text="at home"))
    with lineal.init(mode="offline", project="p", id="a") as run:
        at_home = run.use_artifact("data:v0")
        offline = run.log_artifact(write_dataset(text="in the folder")).wait()
        run.link_artifact(at_home, "p/linked")
    assert offline.name == at_home.name
    with lineal.init(project="p", id="b") as online:
        for attach in (online.use_artifact, online.log_artifact):
            with pytest.raises(UsageError, match=r"data:v0 in .* has other content"):
                attach(offline, aliases=["prod"])
        synced(home)
        online.use_artifact(offline, aliases=["prod"])
    assert state(home, "b")["used"] == ["ana/p/data:v1"]
    assert lineal.Api().artifact("p/data:prod").version == "v1"
    assert lineal.Api().artifact("p/linked:v0").source_name == "data:v0"


def test_a_draft_of_what_an_offline_run_logged_is_logged_at_home_once_that_is_there(home):
    with lineal.init(project="p") as online:
        online.log_artifact(write_dataset(text="at home"))
    with lineal.init(mode="offline", project="p", id="a") as run:
        offline = run.log_artifact(write_dataset(text="in the folder")).wait()

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
    other = lineal.Artifact("other", "dataset")
    with pytest.raises(UsageError, match="has other content"):
        other.add_reference(offline.get_entry("a.txt"))


def test_files_taken_over_offline_come_along_and_are_told(home):
    with lineal.init(project="p") as online:
        online.log_artifact(write_dataset("shared", "at home"))
    with lineal.init(mode="offline", project="p", id="a") as run:
        run.log_artifact(write_dataset("own", "in the folder")).wait()
        joined = lineal.Artifact("joined", "dataset")
        joined.add_reference("lineal://p/shared:latest/a.txt", name="shared.txt")
        joined.add_reference("lineal://p/own:latest", name="own")
        run.log_artifact(joined).wait()
    (result,) = synced(home)
    assert result.failures == {}
    found = lineal.Api().artifact("p/joined:latest")
    path = Path(found.download())
    assert (path / "shared.txt").read_text() == "at home"
    assert (path / "own" / "a.txt").read_text() == "in the folder"
    graph = found.lineage("upstream", depth=1, derived=True)
    labels = {node.id: node.label for node in graph.nodes}
    derived = {labels[edge.source] for edge in graph.edges if edge.kind == "derived"}
    assert derived == {"shared:v0", "own:v0"}


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
        online.use_artifact("shared:v0")
        Path("notes.txt").write_text("n")
        online.save("notes.txt", policy="now")
    with lineal.init(mode="offline", project="p", id="a") as run:
        run.log({"x": 1})
        shared = run.use_artifact("shared:v0")
        maker, (user,) = shared.logged_by(), shared.used_by()
        assert (maker.id, maker.config, user.id) == ("maker", {"lr": 1}, "user")
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


def test_what_is_nowhere_is_not_found_offline():
    with lineal.init(mode="offline", project="p") as run, pytest.raises(NotFound, match="offline"):
        run.use_artifact("nothing:latest")


def test_resume_is_applied_at_sync(home):
    with lineal.init(project="p", id="a", config={"lr": 1}) as online:
        online.log({"x": 0})
    with lineal.init(mode="offline", project="p", id="a", resume="must") as run:
        assert run.step == 1
        assert run.config.lr == 1
        run.log({"x": 1})
    (result,) = synced(home)
    assert result.failures == {}
    assert len(state(home, "a")["history"]) == 2


def test_an_id_that_is_taken_is_a_failure_and_the_folder_stays(home):
    lineal.init(project="p", id="a").finish()
    lineal.init(mode="offline", project="p", id="a").finish()
    (result,) = synced(home, clean=True)
    assert isinstance(next(iter(result.failures.values())), UsageError)
    assert folders() != []
    (renamed,) = synced(home, run_id="b", clean=True)
    assert renamed.failures == {}
    assert folders() == []


def test_a_run_that_was_to_go_on_comes_in_under_another_id(home):
    with lineal.init(mode="offline", project="p", id="a", resume="must"):
        pass
    (result,) = synced(home)
    assert "--id NEW` brings it in" in str(result.failures.popitem()[1])
    (result,) = synced(home, run_id="b")
    assert (result.run, result.failures) == ("ana/p/b", {})


@pytest.mark.parametrize("bad", [{"id": "x/../../escaped"}, {"id": "a", "tags": ["bad/tag"]}])
def test_an_init_that_is_refused_leaves_no_folder(home, bad):
    with pytest.raises(ValueError, match=r"bad/tag|escaped"):
        lineal.init(mode="offline", project="p", **bad)
    assert not os.path.exists("escaped")
    assert not os.path.exists("lineal") or folders() == os.listdir("lineal") == []


def test_a_folder_of_an_init_that_was_killed_is_no_failure_and_can_be_cleaned(home):
    os.makedirs("lineal/offline-run-x")
    about = run_folder.About("uid", "ana", is_default_entity=True)
    Path("lineal/offline-run-x", run_folder.ABOUT_FILE).write_text(json.dumps(asdict(about)))
    (result,) = synced(home)
    assert (result.is_empty, result.failures) == (True, {})
    synced(home, clean=True)
    assert os.listdir("lineal") == []


@pytest.mark.parametrize("step", ["sqlite3.connect", "spool"])
def test_a_run_that_is_being_started_is_not_taken_for_one_that_was_killed(home, step):
    target(home)
    at_step, go_on = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(go_on[1])
        pause_once(step, lambda: (os.write(at_step[1], b"x"), os.read(go_on[0], 1)))
        with lineal.init(mode="offline", project="p", id="a") as run:
            run.log({"x": 1})
        os._exit(0)
    os.read(at_step[0], 1)
    command = [sys.executable, "-m", "lineal", "sync", "--clean"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as other:
        assert other.stderr is not None
        said = other.stderr.readline()
        os.close(go_on[1])
        _, status = os.waitpid(child, 0)
        other.stderr.read()
    assert "waiting for another process" in said
    assert status == 0
    assert [result.failures for result in synced(home, clean=True)] in ([], [{}])
    assert len(state(home, "a")["history"]) == 1


def pause_once(step: str, pause: Callable[[], object]) -> None:
    """Call `pause` when this process opens the database of an offline run, or makes its spool."""
    steps = itertools.count()

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        is_spool = event == "open" and str(arguments[0]).endswith(".spool.new")
        is_database = event == "sqlite3.connect" and run_folder.FOLDER_PREFIX in str(arguments[0])
        if (is_spool if step == "spool" else is_database) and next(steps) == 0:
            pause()

    sys.addaudithook(hook)


@pytest.mark.parametrize("step", ["sqlite3.connect", "INSERT INTO projects"])
def test_an_init_that_is_killed_leaves_a_folder_that_can_be_cleaned(home, step):
    target(home)
    child = os.fork()
    if child == 0:
        if step == "sqlite3.connect":
            pause_once(step, lambda: os._exit(0))
        event.listen(
            sqlalchemy.Engine,
            "before_cursor_execute",
            lambda *arguments: os._exit(0) if arguments[2].startswith(step) else None,
        )
        lineal.init(mode="offline", project="p", id="a")
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert [result.failures for result in synced(home, clean=True)] == [{}]
    assert os.listdir("lineal") == []


def test_a_broken_artifact_does_not_stop_the_rest(home):
    with lineal.init(mode="offline", project="p", id="a") as run:
        run.log_artifact(write_dataset("broken", "lost"))
        run.log_artifact(write_dataset("fine", "kept"))
    (folder,) = folders()
    for path in Path(folder, "blobs").rglob("*"):
        if path.is_file() and path.read_bytes() == b"lost":
            path.unlink()
    (result,) = synced(home)
    assert list(result.failures) == ["artifact broken:v0"]
    assert [path for path, *_ in state(home, "a")["logged"]] == ["ana/p/fine:v0"]
    (again,) = synced(home)
    assert (again.was_synced, list(again.failures)) == (False, ["artifact broken:v0"])


def test_a_run_that_goes_on_is_not_synced(home):
    run = lineal.init(mode="offline", project="p", id="a")
    run.log({"x": 1})
    (result,) = synced(home)
    assert "still going on" in str(next(iter(result.failures.values())))


def test_versions_in_the_config_are_those_of_the_home_before_and_after_sync(home):
    with lineal.init(project="p", id="online") as online:
        for name in ("first", "second"):
            online.log_artifact(write_dataset(name, name)).wait()
        online.config.data = online.use_artifact("first:v0")
    stub = lineal.Api().run("p/online").config["data"]
    number = lineal.Api().artifact("p/second:v0").id
    with lineal.init(mode="offline", project="p", id="a") as run:
        own = run.log_artifact(write_dataset("own", "own")).wait()
        assert own.id == stub["id"]  # each instance counts by itself
        run.config.update({"data": stub, "more": f"lineal-artifact://_id/{number}", "own": own})
        assert [run.config[key].name for key in ("data", "more", "own")] == [
            "first:v0",
            "second:v0",
            "own:v0",
        ]
    (result,) = synced(home)
    assert result.failures == {}
    found = lineal.Api().run("p/a")
    assert sorted(used.name for used in found.used_artifacts()) == [
        "first:v0",
        "own:v0",
        "second:v0",
    ]
    ids = {f"p/{config['sequenceName']}:v0": config["id"] for config in found.config.values()}
    assert len(ids) == 3
    for path, id in ids.items():
        assert lineal.Api().artifact(path).id == id


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(NotFound):
        run_folder.read_about(str(tmp_path))


def test_another_project_gets_a_copy_of_its_own(home):
    with lineal.init(project="p") as online:
        online.log_artifact(write_dataset("base", "shared"))
    with lineal.init(mode="offline", project="p", id="a") as run:
        run.use_artifact("p/base:v0", aliases=["seen"])
        logged = run.log_artifact(write_dataset(text="one"), aliases=["best"])
        run.link_artifact(logged.wait(), "models")
    (here,) = synced(home)
    (there,) = synced(home, project="other")
    assert (here.run, there.run) == ("ana/p/a", "ana/other/a")
    assert not there.was_synced
    api = lineal.Api()
    for project in ("p", "other"):
        copied = api.run(f"{project}/a")
        assert [used.qualified_name for used in copied.used_artifacts()] == ["ana/p/base:v0"]
        assert [made.qualified_name for made in copied.logged_artifacts()] == [
            f"ana/{project}/data:v0"
        ]
        assert api.artifact(f"{project}/data:best").version == "v0"
        assert api.artifact(f"{project}/models:latest").source_name == "data:v0"
    assert all(result.was_synced for result in (*synced(home), *synced(home, project="other")))


def test_the_tables_of_a_copy_are_named_where_the_copies_are(home):
    with lineal.init(mode="offline", project="p", id="a") as run:
        table = lineal.Table(["x"], [[1]], log_mode="INCREMENTAL")
        for row in range(2):
            table.add_data(row)
            run.log({"note": "lineal-artifact://ana/p/mine", "val": {"t": table}})
        run.log({"one": lineal.Table(["x"], [[2]])})
    synced(home)
    synced(home, project="other")
    api = lineal.Api()
    for project in ("p", "other"):
        copied = api.run(f"{project}/a")
        *parts, last = copied.scan_history()
        logged = [*(row["val.t"] for row in parts), last["one"], copied.summary["one"]]
        assert {value["artifact_path"].split("/")[3] for value in logged} == {project}
        head, _, _ = last["one"]["artifact_path"].rpartition("/")
        made = api.artifact(head.removeprefix("lineal-artifact://"))
        assert (made.project, made.get("one").data) == (project, [[2]])
        assert parts[0]["note"] == "lineal-artifact://ana/p/mine"


def test_a_copy_under_another_id_has_the_artifacts_too(home):
    with lineal.init(mode="offline", project="p", id="a") as run:
        run.log_artifact(write_dataset(text="one"))
    synced(home)
    (renamed,) = synced(home, run_id="b")
    assert renamed.failures == {}
    assert [path for path, *_ in state(home, "b")["logged"]] == ["ana/p/data:v0"]


def test_latest_stays_where_the_run_left_it(home):
    with lineal.init(mode="offline", project="p", id="a") as run:
        for text in ("one", "two", "one"):
            run.log_artifact(write_dataset(text=text))
    synced(home)
    assert lineal.Api().artifact("p/data:latest").version == "v0"


def test_a_later_sync_does_not_take_back_what_others_moved_since(home):
    with lineal.init(project="p") as online:
        online.log_artifact(write_dataset("base", "shared"))
    with lineal.init(mode="offline", project="p", id="a") as run:
        run.log_artifact(write_dataset(text="one"), aliases=["best"])
        run.use_artifact("base:v0", aliases=["seen"])
    synced(home)
    with lineal.init(project="p") as other:
        other.log_artifact(write_dataset(text="newer"), aliases=["best"])
        other.log_artifact(write_dataset("base", "newer"), aliases=["seen"])
    synced(home, again=True)
    for name in ("data:best", "data:latest", "base:seen"):
        assert lineal.Api().artifact(f"p/{name}").version == "v1"


def display_name(home: Path, name: str) -> str | None:
    return target(home).collection("ana", "p", name).display_name


def test_display_names_come_along_where_there_is_none(home):
    with lineal.init(project="p") as online:
        online.log_artifact(write_dataset("named", "before"))
    show_as(target(home), "named", "Winter")
    with lineal.init(mode="offline", project="p", id="a") as run:
        for name in ("data", "named", "plain"):
            version = run.log_artifact(write_dataset(name)).wait()
        version.link("p/shelf")
        for name in ("data", "named", "shelf"):
            show_as(run.backend, name, "Été à la mer")
    synced(home)
    assert [display_name(home, name) for name in ("data", "named", "plain", "shelf")] == [
        "Été à la mer",
        "Winter",
        None,
        "Été à la mer",
    ]
    show_as(target(home), "data", "")
    synced(home, again=True)
    assert display_name(home, "data") is None


def test_a_display_name_of_what_was_deleted_since_is_no_failure(home):
    with lineal.init(mode="offline", project="p", id="a") as run:
        run.log_artifact(write_dataset()).wait()
        show_as(run.backend, "data", "Summer")
    synced(home)
    target(home).delete_collection(target(home).collection("ana", "p", "data").id)
    Path(folders()[0], sync.MARK_FILE).unlink()
    (again,) = synced(home)
    assert again.failures == {}


def show_as(backend: Backend, collection: str, name: str) -> None:
    found = backend.collection("ana", "p", collection)
    backend.update_collection(found.id, CollectionPatch(display_name=name))


def test_what_cannot_be_noted_for_sync_leaves_no_half_line(tmp_path):
    run_folder.note(str(tmp_path), "use", version="p/data:v0")
    path = tmp_path / run_folder.INTENTS_FILE
    with file_size_limit(path.stat().st_size + 5), pytest.raises(NoSpace, match=str(path)):
        run_folder.note(str(tmp_path), "use", version="p/data:v1")
    run_folder.note(str(tmp_path), "use", version="p/data:v2")
    versions = [intent["version"] for intent in run_folder.read_intents(str(tmp_path))]
    assert versions == ["p/data:v0", "p/data:v2"]


def test_a_damaged_note_is_named(home):
    with lineal.init(mode="offline", project="p", id="a"):
        pass
    path = Path(folders()[0], run_folder.INTENTS_FILE)
    path.write_text('{"kind": "use"\n')
    (result,) = synced(home)
    (error,) = result.failures.values()
    assert f"Line 1 of {path.absolute()} is damaged" in str(error)
