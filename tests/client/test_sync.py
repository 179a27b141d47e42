"""`lineal sync`: offline runs come home, whole and once."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.client.syncing import folders, state, synced, target, write_dataset

import lineal
from lineal.client import session
from lineal.client.backend import Backend
from lineal.client.offline import opening, run_folder, sync
from lineal.client.offline.marks import MARK_FILE
from lineal.config import load
from lineal.core.records import CollectionPatch, EdgeKind
from lineal.errors import UsageError


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


def test_a_run_whose_process_was_killed_has_crashed_at_home_too(home):
    child = os.fork()
    if child == 0:
        lineal.init(mode="offline", project="p", id="a").log({"x": 1})
        os._exit(1)
    os.waitpid(child, 0)
    for again in (False, True):
        (result,) = synced(home, again=again)
        assert result.failures == {}
        assert state(home, "a")["run"][:2] == ("crashed", None)
    with lineal.init(mode="offline", project="p", id="a", resume="must") as run:
        run.log({"x": 2})
    assert not any(result.failures for result in synced(home))
    assert state(home, "a")["run"][:2] == ("finished", 0)
    assert [row["x"] for row in lineal.Api().run("p/a").scan_history()] == [1, 2]


def offline_with_files(run_id: str, count: int) -> None:
    os.makedirs(run_id)
    for number in range(count):
        Path(run_id, f"{number}.txt").write_text(f"{run_id} {number}")
    with lineal.init(mode="offline", project="p", id=run_id) as run:
        run.save(f"{run_id}/*.txt", base_path=run_id, policy="end")


def test_many_files_of_a_run_are_copied_together(home, statements):
    def count(run_id: str, files: int) -> int:
        offline_with_files(run_id, files)
        statements.clear()
        result = synced(home)[-1]
        assert result.failures == {}
        assert f"{files - 1}.txt" in dict(state(home, run_id)["files"])
        return len(statements)

    count("warm", 1)
    assert count("many", 60) < count("few", 5) + 10


@pytest.mark.parametrize("pack_files_up_to", ["0", "100000"], ids=["alone", "in a pack"])
def test_a_damaged_file_is_named_and_the_others_are_copied(home, pack_files_up_to, monkeypatch):
    monkeypatch.setenv("LINEAL_PACK_FILES_UP_TO", pack_files_up_to)
    offline_with_files("a", 4)
    (damaged,) = (
        path for path in Path("lineal").rglob("blobs/*/*/*") if b"a 2" in path.read_bytes()
    )
    damaged.chmod(0o600)
    damaged.write_bytes(damaged.read_bytes().replace(b"a 2", b"a X"))
    (result,) = synced(home)
    assert list(result.failures) == ["file 2.txt"]
    assert "is damaged in the folder" in str(result.failures["file 2.txt"])
    copied = dict(state(home, "a")["files"])
    assert {"0.txt", "3.txt"} <= copied.keys()
    assert "2.txt" not in copied


def test_a_file_that_is_gone_is_named_and_the_others_are_copied(home, monkeypatch):
    monkeypatch.setenv("LINEAL_PACK_FILES_UP_TO", "0")
    offline_with_files("a", 3)
    (lost,) = (path for path in Path("lineal").rglob("blobs/*/*/*") if path.read_bytes() == b"a 1")
    lost.unlink()
    (result,) = synced(home)
    assert list(result.failures) == ["file 1.txt"]
    copied = dict(state(home, "a")["files"])
    assert {"0.txt", "2.txt"} <= copied.keys()
    assert "1.txt" not in copied


@pytest.mark.parametrize("is_marked", [True, False], ids=["marked", "not marked"])
def test_another_sync_does_not_end_a_run_once_more(home, is_marked):
    with lineal.init(mode="offline", project="p", id="a", config={"lr": 1}) as run:
        run.log({"x": 1})
    synced(home)
    before = target(home).run("ana", "p", "a")
    if not is_marked:
        Path(folders()[0], MARK_FILE).unlink()
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


def test_marks_of_a_home_that_was_there_before_do_not_count_for_a_new_one(home):
    with lineal.init(mode="offline", project="p", id="a", config={"lr": 1}) as run:
        run.log({"x": 1})
        artifact = run.log_artifact(write_dataset()).wait()
        run.link_artifact(artifact, "ana/registry/models")
        Path("notes.txt").write_text("n")
        run.save("notes.txt", policy="now")
    synced(home)
    before = state(home, "a")
    session.close()
    shutil.rmtree(home)
    (result,) = synced(home, again=True)
    assert result.failures == {}
    assert state(home, "a") == before
    assert lineal.Api().artifact("registry/models:v0").source_name == "data:v0"


def test_a_version_in_the_config_that_came_late_is_named_as_it_is_there(home):
    with lineal.init(project="p") as online:
        online.log_artifact(write_dataset("other", "x")).wait()
    with lineal.init(mode="offline", project="p", id="a") as run:
        own = run.log_artifact(write_dataset("own", "lost")).wait()
        run.config.update({"data": own, "changed": own})
    (folder,) = folders()
    (path,) = (p for p in Path(folder, "blobs").rglob("*") if p.is_file() and is_lost(p))
    path.rename("aside")
    (result,) = synced(home)
    assert list(result.failures) == ["artifact own:v0"]
    Path("aside").rename(path)
    (there := lineal.Api().run("p/a")).config["changed"] = "by hand"
    there.update()
    synced(home)
    found = lineal.Api().run("p/a").config
    assert found["data"]["id"] == lineal.Api().artifact("p/own:v0").id
    assert found["changed"] == "by hand"


def is_lost(path: Path) -> bool:
    return path.read_bytes() == b"lost"


def test_who_syncs_a_folder_at_the_same_time_waits(home):
    with lineal.init(mode="offline", project="p", id="a"):
        pass
    (folder,) = folders()
    command = [sys.executable, "-m", "lineal", "sync", folder, "--clean"]
    with opening.alone_in(folder):
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
            assert os.listdir(copy) in ([], [MARK_FILE])
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


def test_what_the_run_asked_for_is_kept_of_each_use(home):
    with lineal.init(project="p") as online:
        online.log_artifact(write_dataset("base", "shared"))
    with lineal.init(mode="offline", project="p", id="a") as run:
        run.use_artifact("base:latest")
        run.log_artifact(write_dataset(text="one"), aliases=["best"]).wait()
        run.use_artifact("data:best")
    synced(home)
    key = target(home).run("ana", "p", "a").key
    used = target(home).edges_of(key, EdgeKind.USED)
    assert [(edge.alias, edge.is_relogged) for edge in used] == [("latest", False), ("best", True)]


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


@pytest.mark.parametrize("where", ["home", "folder"])
def test_what_a_run_read_and_logged_again_is_what_its_models_were_made_from(home, where):
    if where == "home":
        with lineal.init(project="p") as online:
            online.log_artifact(write_dataset()).wait()
    with lineal.init(mode="offline", project="p", id="a") as run:
        run.use_artifact("data:v0" if where == "home" else write_dataset())
        run.log_artifact(write_dataset()).wait()
        run.log_artifact(write_dataset("model"))
    synced(home)
    graph = lineal.Api().artifact("p/model:v0").upstream()
    assert "data:v0" in [node.label for node in graph.artifacts]
    again = [edge.kind for edge in graph.edges if edge.is_relogged]
    assert again == [EdgeKind.LOGGED]
    before = state(home, "a")
    synced(home, again=True)
    assert state(home, "a") == before


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
    Path(folders()[0], MARK_FILE).unlink()
    (again,) = synced(home)
    assert again.failures == {}


def show_as(backend: Backend, collection: str, name: str) -> None:
    found = backend.collection("ana", "p", collection)
    backend.update_collection(found.id, CollectionPatch(display_name=name))
