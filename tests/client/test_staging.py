"""Private copies live as long as they are needed, and no longer."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import open_below

import lineal
from lineal.client.artifact import staging
from lineal.client.artifact.contents import ADDED_AT_ONCE
from lineal.client.artifact.staging import Staging, remove_leftovers
from lineal.errors import Unavailable
from lineal.parallel import LARGE_BYTES

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[str]:
    """A staging folder; at the end no file in it is open any more, as every lock is given back."""
    root = str(tmp_path / "staging")
    yield root
    assert open_below(root) == []


def test_copies_of_one_process_have_names_of_their_own(root: str) -> None:
    own = Staging(root)
    assert len({own.new_path() for _ in range(100)}) == 100
    own.close()
    assert os.listdir(root) == []


@pytest.mark.parametrize("policy", ["mutable", "immutable"])
def test_the_first_file_makes_a_home_for_its_user_alone(
    home: Path, tmp_path: Path, policy: str
) -> None:
    (tmp_path / "a.txt").write_text("a")
    os.utime(tmp_path / "a.txt", (0, 0))  # old enough for the digest cache
    draft = lineal.Artifact("data", "dataset")
    draft.add_file(str(tmp_path / "a.txt"), policy=policy)
    assert stat.S_IMODE(os.stat(home).st_mode) == 0o700


def test_threads_share_one_folder(root: str) -> None:
    own, found = Staging(root), set()
    threads = [threading.Thread(target=lambda: found.add(own.new_path())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert len({os.path.dirname(path) for path in found}) == len(os.listdir(root)) == 1
    own.close()


def test_folders_of_living_processes_are_left_alone(root: str) -> None:
    own = Staging(root)
    Path(own.new_path()).write_bytes(b"needed")
    remove_leftovers(root)
    assert os.path.exists(own.new_path().rpartition("/")[0] + "/0")
    own.close()


def test_folders_of_dead_processes_are_removed(root: str) -> None:
    text = f"""
import os
from lineal.client.artifact.staging import Staging
open(Staging({root!r}).new_path(), "w").close()
os._exit(9)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    subprocess.run([sys.executable, "-c", text], env=environment, check=False)
    os.mkdir(f"{root}/died before it made a lock")
    assert len(os.listdir(root)) == 2
    remove_leftovers(root)
    assert os.listdir(root) == []


@pytest.mark.parametrize("step", ["mkdir", "flock"])
def test_a_folder_that_was_taken_for_a_leftover_is_made_again(
    root: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Another process may come between making a folder and its lock, and before that is taken."""
    module, removals = (os if step == "mkdir" else fcntl), []
    real = getattr(module, step)

    def interfere(what: object, how: int) -> None:
        if step == "mkdir":
            real(what, how)
        if how in (0o700, fcntl.LOCK_EX) and os.listdir(root) and not removals:
            removals.append(os.listdir(root))
            remove_leftovers(root)
        if step == "flock":
            real(what, how)

    monkeypatch.setattr(module, step, interfere)
    own = Staging(root)
    Path(own.new_path()).write_bytes(b"x")
    assert len(removals[0]) == 1
    own.close()
    assert os.listdir(root) == []


def test_a_folder_that_gets_its_lock_while_it_is_taken_for_a_leftover_stays(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.makedirs(f"{root}/new")
    real = os.rmdir

    def rmdir(path: str) -> None:
        Path(path, "lock").touch()
        real(path)

    monkeypatch.setattr(os, "rmdir", rmdir)
    remove_leftovers(root)
    assert os.listdir(f"{root}/new") == ["lock"]


def test_a_closed_staging_folder_is_made_again_for_who_still_adds(root: str) -> None:
    own = Staging(root)
    for _ in range(2):
        path = own.new_path()
        Path(path).write_bytes(b"x")
        remove_leftovers(root)
        assert os.path.exists(path)
        own.close()
        assert os.listdir(root) == []


def test_one_thread_at_a_time_makes_the_folder(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    own, seen = Staging(root), []
    make = Staging._make

    def noted(self: Staging) -> None:
        seen.append(self._making.locked())
        make(self)

    monkeypatch.setattr(Staging, "_make", noted)
    shutil.rmtree(os.path.dirname(own.new_path()))
    own.new_path()
    assert seen == [True, True]
    own.close()


def staged(home: Path) -> list[str]:
    return [path.name for path in (home / "staging").glob("*/*") if path.name != "lock"]


def test_content_that_is_stored_already_leaves_no_copy(home: Path) -> None:
    with lineal.init(project="vision") as run:
        for _ in range(2):
            artifact = lineal.Artifact("data", "dataset")
            artifact.add_bytes(b"the same", "a")
            artifact.add_bytes(b"the same", "b")
            run.log_artifact(artifact).wait()
            assert staged(home) == []


def test_a_draft_that_is_dropped_takes_its_copies_along(home: Path) -> None:
    artifact = lineal.Artifact("data", "dataset")
    artifact.add_bytes(b"x", "a")
    assert len(staged(home)) == 1
    artifact._adder.unlogged.clear()
    del artifact
    assert staged(home) == []


def test_a_refused_file_leaves_no_copy(home: Path, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("y")
    artifact = lineal.Artifact("data", "dataset")
    artifact.add_bytes(b"x", "a")
    for add in (
        lambda: artifact.add_bytes(b"y", "a"),
        lambda: artifact.add_file(str(tmp_path / "a")),
        lambda: artifact.add_file(str(tmp_path / "a"), policy="immutable"),
    ):
        with pytest.raises(ValueError, match="twice"):
            add()
    with pytest.raises(ZeroDivisionError), artifact.new_file("b") as file:
        file.write(str(1 / 0))
    assert len(staged(home)) == 1
    artifact._adder.unlogged.clear()


@pytest.mark.parametrize("count", [20, 150])
@pytest.mark.parametrize("bad", ["taken", os.fsdecode(b"z not utf-8 \xff")])
def test_a_refused_folder_leaves_no_copy_no_open_file_and_no_thread(
    home: Path, tmp_path: Path, count: int, bad: str
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:03}").write_text("new")
    (folder / "large").write_bytes(bytes(LARGE_BYTES))
    (folder / bad).write_bytes(b"new")
    artifact = lineal.Artifact("data", "dataset")
    artifact.add_bytes(b"old", "taken")
    with pytest.raises(ValueError, match=r"twice|not valid Unicode"):
        artifact.add_dir(str(folder))
    assert len(staged(home)) == 1
    assert [os.path.basename(path) for path in open_below(home / "staging")] == ["lock"]
    assert [each for each in threading.enumerate() if each.name == "lineal-files"] == []
    artifact._adder.unlogged.clear()


def test_of_a_large_immutable_folder_nothing_is_copied(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(150):
        (folder / str(number)).write_text("x")
    artifact = lineal.Artifact("data", "dataset")
    artifact.add_dir(str(folder), policy="immutable")
    assert staged(home) == []
    artifact._adder.unlogged.clear()


def contents_of(version: lineal.Artifact) -> dict[str, str]:
    root = Path(version.download())
    return {path.name: path.read_text() for path in root.iterdir()}


def test_a_file_that_is_replaced_again_and_again_has_one_copy(home: Path) -> None:
    artifact = lineal.Artifact("model", "model")
    for number in range(4):
        artifact.add_bytes(f"weights {number}".encode(), "weights", overwrite=True)
        with artifact.new_file("notes", "w") as file:
            file.write(f"notes {number}")
        assert len(staged(home)) <= 2
    with lineal.init(project="vision") as run:
        logged = run.log_artifact(artifact).wait()
        assert staged(home) == []
    assert contents_of(logged) == {"weights": "weights 3", "notes": "notes 3"}


@pytest.mark.parametrize("again", ["best", "latest"])
def test_a_copy_is_kept_for_who_counts_on_it(home: Path, tmp_path: Path, again: str) -> None:
    weights = tmp_path / "weights"
    weights.write_text("one")
    os.utime(weights, (0, 0))  # old enough for the digest cache
    artifact = lineal.Artifact("model", "model")
    artifact.add_file(str(weights), "latest")
    artifact.add_file(str(weights), again, overwrite=True)  # known, so it is not copied
    artifact.add_bytes(b"two", "latest" if again == "best" else "other", overwrite=True)
    weights.write_text("changed")
    assert len(staged(home)) == 2
    with lineal.init(project="vision") as run:
        logged = run.log_artifact(artifact).wait()
    assert sorted(contents_of(logged).values()) == ["one", "two"]


def test_a_copy_is_kept_for_who_comes_long_after_the_file_it_replaces(
    home: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(ADDED_AT_ONCE + 1):
        (folder / f"{number:03}").write_text(f"text {number}")
        os.utime(folder / f"{number:03}", (0, 0))  # old enough for the digest cache
    last = f"{ADDED_AT_ONCE:03}"
    artifact = lineal.Artifact("data", "dataset")
    artifact.add_file(str(folder / last), "000")
    artifact.add_dir(str(folder), merge=True)
    (folder / last).write_text("changed")
    with lineal.init(project="vision") as run:
        logged = run.log_artifact(artifact).wait()
    assert contents_of(logged)[last] == f"text {ADDED_AT_ONCE}"


def test_a_file_that_is_added_again_as_it_is_has_one_copy(home: Path) -> None:
    artifact = lineal.Artifact("data", "dataset")
    for _ in range(3):
        artifact.add_bytes(b"x", "a")
    assert len(staged(home)) == 1
    artifact._adder.unlogged.clear()


def test_removed_files_leave_no_copies(home: Path) -> None:
    artifact = lineal.Artifact("data", "dataset")
    for name in ("a", "d/b", "d/c"):
        artifact.add_bytes(b"x", name)
    artifact.remove("d")
    assert len(staged(home)) == 1
    artifact.remove("a")
    assert staged(home) == []
    artifact._adder.unlogged.clear()


def packed(tmp_path: Path) -> lineal.Artifact:
    """Return a draft of files `0` to `149`, which share one private copy."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(150):
        (folder / str(number)).write_text("old")
    artifact = lineal.Artifact("data", "dataset")
    artifact.add_dir(str(folder))
    return artifact


def test_a_pack_stays_as_long_as_a_file_needs_it(home: Path, tmp_path: Path) -> None:
    artifact = packed(tmp_path)
    for number in range(149):
        artifact.remove(str(number))
    artifact.add_bytes(b"new", "0")
    with lineal.init(project="vision") as run:
        logged = run.log_artifact(artifact).wait()
    assert contents_of(logged) == {"0": "new", "149": "old"}


def test_a_pack_goes_with_the_last_of_its_files(home: Path, tmp_path: Path) -> None:
    artifact = packed(tmp_path)
    assert len(staged(home)) == 1
    for number in range(150):
        artifact.remove(str(number))
    assert staged(home) == []
    artifact._adder.unlogged.clear()


def test_a_forked_child_leaves_the_copies_of_its_parent(home: Path) -> None:
    artifact = lineal.Artifact("data", "dataset")
    artifact.add_bytes(b"x", "a")
    child = os.fork()
    if child == 0:
        artifact.remove("a")
        os._exit(0)
    os.waitpid(child, 0)
    assert len(staged(home)) == 1
    artifact._adder.unlogged.clear()


def test_a_data_dir_that_cannot_be_written_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "file"))
    with pytest.raises(Unavailable, match="Set LINEAL_DATA_DIR to a folder"):
        lineal.Artifact("data", "dataset").add_bytes(b"x" * 200_000, "x")


def test_what_others_keep_in_the_data_dir_is_left_alone(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`WANDB_DATA_DIR` often is a folder like `/scratch/me`."""
    scratch = tmp_path / "scratch"
    (scratch / "empty").mkdir(parents=True)
    (scratch / "project").mkdir()
    for name in ("thesis.tex", "project/lock", "project/data.csv"):
        (scratch / name).write_text("mine")
        os.utime(scratch / name, (0, 0))
    monkeypatch.setenv("WANDB_DATA_DIR", str(scratch))
    artifact = lineal.Artifact("data", "dataset")
    artifact.add_bytes(b"x", "a")
    assert sorted(os.listdir(scratch)) == ["empty", "lineal-staging", "project", "thesis.tex"]
    assert sorted(os.listdir(scratch / "project")) == ["data.csv", "lock"]
    assert staged(home) == []
    artifact._adder.unlogged.clear()


def test_run_files_of_a_dead_process_go_after_a_day_and_new_ones_stay(tmp_path: Path) -> None:
    old, new = tmp_path / "run-file-old", tmp_path / "run-file-new"
    for file in (old, new):
        file.write_text("x")
    day_ago = os.stat(old).st_mtime - staging.LOOSE_FILE_SECONDS - 60
    os.utime(old, (day_ago, day_ago))
    remove_leftovers(str(tmp_path))
    assert os.listdir(tmp_path) == ["run-file-new"]


def test_a_folder_that_cannot_be_made_again_may_be_asked_for_again_and_again(root: str) -> None:
    own = Staging(root)
    own.new_path()
    shutil.rmtree(root)
    Path(root).write_text("in the way")
    for _ in range(2):
        with pytest.raises(Unavailable, match="Cannot write to"):
            own.new_path()
    os.unlink(root)
    assert os.path.isdir(os.path.dirname(own.new_path()))
    own.close()
    assert os.listdir(root) == []
