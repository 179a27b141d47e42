from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import lineal
from lineal.client.public import files as public_files
from lineal.client.public.files import File
from lineal.core.records import PageRequest
from lineal.errors import HostilePath, IntegrityError, Invalid, Unavailable
from lineal.files.folders import make_folders
from lineal.files.parts import PART

QUIET = {
    "disable_machine_info": True,
    "disable_meta": True,
    "disable_requirements": True,
    "disable_git": True,
    "console": "off",
}


@pytest.fixture
def run() -> lineal.Run:
    return lineal.init(settings=QUIET)


def paths(run: lineal.Run) -> list[str]:
    return [file.path for file in run.backend.run_files(run.record.key, PageRequest()).items]


@pytest.mark.parametrize("policy", ["live", "now", "end"])
def test_a_file_that_is_gone_before_it_is_stored_is_named(capsys, policy):
    with lineal.init() as run:
        Path("a.txt").write_text("1")
        run.save("a.txt", policy=policy)
        Path("a.txt").unlink()
    said = "a.txt was gone before it was stored" in capsys.readouterr().err
    assert said is (policy != "now")
    assert ("a.txt" in {file.name for file in lineal.Api().run(run.path).files()}) is not said


def test_now_is_stored_at_once_and_end_at_the_end(run):
    Path("a.txt").write_text("a")
    Path("b.txt").write_text("b")
    assert run.save("a.txt", policy="now") == [str(Path("a.txt").resolve())]
    run.save("b.txt", policy="end")
    assert paths(run) == ["a.txt"]
    run.finish()
    assert paths(run) == ["a.txt", "b.txt"]


@pytest.mark.parametrize("is_in_folder", [False, True])
def test_what_was_stored_now_stays_as_it_was_then(run, is_in_folder):
    file = Path(run.dir if is_in_folder else "", "model.pt")
    for text in ("one", "best", "last"):
        file.write_text(text)
        if text != "last":
            run.save(file, policy="now")
    run.finish()
    assert content(run, "model.pt") == b"best"


def test_of_files_that_are_saved_under_one_path_the_last_is_stored(run):
    for folder in ("first", "last"):
        Path(folder).mkdir()
        Path(folder, "model.pt").write_text(folder)
        run.save(f"{folder}/model.pt", base_path=folder, policy="end")
    run.finish()
    assert content(run, "model.pt") == b"last"


@pytest.mark.parametrize("folder", ["{}-old", "{}/../other"])
def test_a_file_beside_the_runs_folder_keeps_one_folder(run, folder):
    beside = Path(folder.format(run.dir))
    beside.mkdir()
    (beside / "a.txt").write_text("a")
    run.save(f"{beside}/a.txt")
    run.finish()
    assert paths(run) == [f"{beside.name}/a.txt"]


def test_a_file_that_cannot_be_read_any_more_keeps_no_other_from_being_stored(run, capsys):
    for name in ("a", "b", "c"):
        Path(name).write_text("one")
        run.save(name, policy="end" if name == "c" else "live")
    for name in ("a", "c"):
        Path(name).unlink()
        Path(name).mkdir()
    run._files.store_changed()  # what each tick does
    assert paths(run) == ["b"]
    run.finish()
    assert paths(run) == ["b"]
    assert capsys.readouterr().err.count("is no file any more") == 2
    assert lineal.Api().run(run.path).state == "finished"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told_and_left_out(run, capsys):
    Path("a").write_text("one")
    run.save("a", policy="end")
    Path("a").chmod(0)
    with pytest.raises(Unavailable, match="Cannot read"):
        run.save("a", policy="now")
    run.finish()
    assert paths(run) == []
    assert "Cannot read" in capsys.readouterr().err


def content(run: lineal.Run, path: str) -> bytes:
    (file,) = run.backend.run_files(run.record.key, PageRequest(), names=[path]).items
    location = run.backend.locate_run_files(run.record.key, [file.digest])[file.digest]
    with run.backend.open(location) as stream:
        return stream.read()


def test_live_files_follow_their_changes(run):
    Path("log.txt").write_text("one")
    run.save("log.txt")
    run._files.store_changed()  # what each tick does
    assert content(run, "log.txt") == b"one"
    Path("log.txt").write_text("two")
    run._files.store_changed()
    assert content(run, "log.txt") == b"two"
    Path("log.txt").write_text("three")
    run.finish()
    assert content(run, "log.txt") == b"three"


def test_globs_folders_and_base_paths(run):
    for name in ("d/1.txt", "d/e/2.txt", "d/3.bin"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    run.save("d/*.txt", policy="now")
    assert paths(run) == ["d/1.txt"]
    run.save("d/e", base_path="d", policy="now")
    assert paths(run) == ["d/1.txt", "e/2.txt"]
    run.save(os.path.abspath("d/3.bin"), policy="now")
    assert "d/3.bin" in paths(run)
    run.save("d/**/*.txt", base_path="d", policy="now")
    assert "1.txt" in paths(run)
    names = ("d/1.txt", "d/3.bin", "d/e/2.txt")
    assert sorted(run.save("d/**")) == [os.path.abspath(name) for name in names]


def test_a_folder_of_any_depth_is_saved(run, deep):
    make_folders(f"top/{deep}")
    Path("top", deep, "a").write_bytes(b"")
    assert run.save("top") == [os.path.abspath(f"top/{deep}a")]


def test_a_literal_name_may_look_like_a_glob(run, capsys):
    Path("a[1].txt").write_text("x")
    assert run.save("a[1].txt") == []
    assert "there is a file of that very name; save it with glob=False" in capsys.readouterr().err
    assert run.save("a[1].txt", policy="now", glob=False) != []
    assert paths(run) == ["a[1].txt"]


def test_an_absolute_glob_keeps_one_folder_of_each_file(run, tmp_path):
    for folder, name in (("a", "x.txt"), ("b[1]", "y.txt")):
        (tmp_path / folder / "kept").mkdir(parents=True)
        (tmp_path / folder / "kept" / name).write_text(name)
    run.save(str(tmp_path / "*" / "kept" / "*.txt"), policy="now")
    assert {"kept/x.txt", "kept/y.txt"} <= set(paths(run))


def test_two_files_of_one_path_are_refused(run, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder / "kept").mkdir(parents=True)
        (tmp_path / folder / "kept" / "x.txt").touch()
    pattern = str(tmp_path / "*" / "kept" / "x.txt")
    with pytest.raises(Invalid, match="either would be kept"):
        run.save(pattern)
    run.save(pattern, base_path=str(tmp_path), policy="now")
    assert {"a/kept/x.txt", "b/kept/x.txt"} <= set(paths(run))


def test_files_outside_of_the_base_are_refused(run, tmp_path):
    (tmp_path / "out.txt").write_text("x")
    with pytest.raises(Invalid, match="outside"):
        run.save("../out.txt")
    with pytest.raises(Invalid, match="policy"):
        run.save("a", policy="sometimes")


def test_saving_nothing_is_said(run, capsys):
    assert run.save("*.nothing") == []
    assert "matches no file" in capsys.readouterr().err


def test_what_is_in_the_runs_folder_is_stored_unless_ignored():
    run = lineal.init(settings={**QUIET, "ignore_globs": ("*.tmp",)})
    Path(run.dir, "sub").mkdir()
    Path(run.dir, "sub", "out.txt").write_text("x")
    Path(run.dir, "scratch.tmp").write_text("x")
    run.finish()
    assert paths(run) == ["sub/out.txt"]


def test_what_no_run_can_hold_stays_in_the_runs_folder(capsys):
    with lineal.init(settings=QUIET) as run:
        Path(run.dir, "kept.txt").write_text("x")
        Path(run.dir, "bad\udcff.txt").write_text("x")
        os.mkfifo(Path(run.dir, "pipe"))
    assert paths(run) == ["kept.txt"]
    assert run.backend.run_by_key(run.record.key).state == "finished"
    assert "'bad\\udcff.txt' is not valid Unicode" in capsys.readouterr().err


def test_a_name_that_no_run_can_have_is_refused_when_it_is_saved(run, tmp_path):
    (tmp_path / "bad\udcff.txt").write_text("x")
    with pytest.raises(HostilePath, match="not valid Unicode"):
        run.save(tmp_path / "bad\udcff.txt", base_path=tmp_path)


LOUD = {"disable_git": True, "disable_machine_info": True}
"""Everything is captured that does not depend on where the tests run."""


@pytest.mark.parametrize("policy", ["live", "now", "end"])
def test_a_users_file_is_kept_where_lineal_makes_one_of_that_name(policy, capsys):
    names = ["config.yaml", "output.log", "requirements.txt", "wandb-summary.json"]
    for name in names:
        Path(name).write_text("mine")
    run = lineal.init(settings=LOUD, config={"lr": 1})
    print("printed")
    run.log({"loss": 1})
    for name in names:
        run.save(name, policy=policy)
    run.finish()
    assert {content(run, name) for name in names} == {b"mine"}
    said = capsys.readouterr().err
    assert all(said.count(f"keeps your {name};") == 1 for name in names)
    assert "startedAt" in content(run, "wandb-metadata.json").decode()


def test_a_users_file_takes_the_place_of_one_stored_before_and_stays(capsys):
    run = lineal.init(settings=LOUD)
    run._collected.result()
    run._store_surroundings()  # what a tick does once they are collected
    Path("requirements.txt").write_text("mine")
    run.save("requirements.txt", policy="now")
    Path("requirements.txt").unlink()
    run.finish()
    assert content(run, "requirements.txt") == b"mine"
    assert capsys.readouterr().err.count("keeps your requirements.txt;") == 1


def test_a_restored_file_does_not_take_the_place_of_the_runs_own():
    with lineal.init(id="old", config={"lr": 1}) as old:
        pass
    with lineal.init(config={"lr": 2}) as run:
        run.restore("config.yaml", run_path=old.path).close()
    assert content(run, "config.yaml") == b'"lr":\n  value: 2\n'
    with lineal.init(config={"lr": 3}) as run:
        run.restore("config.yaml", run_path=old.path).close()
        run.save(os.path.join(run.dir, "config.yaml"), base_path=run.dir)
    assert content(run, "config.yaml") == b'"lr":\n  value: 1\n'


def test_a_file_put_into_the_runs_folder_is_the_users():
    with lineal.init(config={"lr": 1}) as run:
        Path(run.dir, "config.yaml").write_text("mine")
    assert content(run, "config.yaml") == b"mine"


@pytest.mark.parametrize("pattern", ["ck/best.h5", "ck/*.h5", "*/best.h5", "ck"])
def test_what_is_saved_from_the_folder_of_the_run_is_its_file_once(run, pattern):
    folder = Path(run.dir) / "ck"
    folder.mkdir()
    (folder / "best.h5").write_text("best")
    run.save(str(Path(run.dir, pattern)), policy="now")
    assert paths(run) == ["ck/best.h5"]
    run.finish()
    assert paths(run) == ["ck/best.h5"]


@pytest.mark.parametrize("policy", ["live", "now", "end"])
def test_a_file_is_restored_by_the_run_that_has_just_saved_it(run, policy):
    Path("best.h5").write_text("best")
    run.save("best.h5", policy=policy)
    with run.restore("best.h5") as file:
        assert file.read() == "best"


def test_what_was_saved_now_is_restored_as_it_was_then(run):
    Path("best.h5").write_text("best")
    run.save("best.h5", policy="now")
    Path("best.h5").write_text("changed")
    with run.restore("best.h5") as file:
        assert file.read() == "best"


def test_restore_fetches_a_file_of_this_or_another_run(run):
    Path("a.txt").write_text("first")
    run.save("a.txt", policy="now")
    run.finish()
    other = lineal.init(settings=QUIET)
    file = other.restore("a.txt", run_path=run.path)
    assert file is not None
    with file:
        assert file.read() == "first"
        assert file.name == os.path.join(other.dir, "a.txt")
    Path(other.dir, "a.txt").write_text("mine")
    with other.restore("a.txt", run_path=run.path) as kept:
        assert kept.read() == "mine"
    with other.restore("a.txt", run_path=run.path, replace=True, root="elsewhere") as fetched:
        assert fetched.read() == "first"


def test_restore_needs_no_run_of_its_own(run, tmp_path, monkeypatch):
    Path("a.txt").write_text("first")
    run.save("a.txt", policy="now")
    run.finish()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with lineal.restore("a.txt", run_path=run.path) as file:
        assert file.read() == "first"
    assert os.listdir() == ["a.txt"]
    with lineal.restore("a.txt", run.path, root="elsewhere") as file:
        assert file.name == os.path.join("elsewhere", "a.txt")
    with pytest.raises(lineal.UsageError, match="run_path="):
        lineal.restore("a.txt")


def test_a_name_that_leads_out_of_a_run_is_refused_as_one_of_its_files(run):
    with pytest.raises(ValueError, match=rf"No file of a run is called '\.\./x': .*{run.path}"):
        run.restore("../x")


def test_restoring_what_is_not_there_names_what_is(run):
    Path("a.txt").write_text("first")
    run.save("a.txt", policy="now")
    with pytest.raises(ValueError, match=r"Files there: a\.txt"):
        run.restore("b.txt")


def test_a_damaged_file_is_not_restored(run):
    Path("a.txt").write_text("as it was")
    run.save("a.txt", policy="now")
    (file,) = run.backend.run_files(run.record.key, PageRequest()).items
    location = run.backend.locate_run_files(run.record.key, [file.digest])[file.digest]
    Path(location.path).chmod(0o644)
    Path(location.path).write_text("as it is.")
    with pytest.raises(IntegrityError, match=r"a\.txt .* `lineal verify` says"):
        run.restore("a.txt", root="elsewhere")
    assert os.listdir("elsewhere") == []


@pytest.mark.parametrize("one_by_one", [False, True])
def test_files_of_a_run_look_once_for_what_killed_fetches_left_in_a_folder(
    run, monkeypatch, one_by_one
):
    Path("d").mkdir()
    for name in ("1", "2", "3", "d/1", "d/2"):
        Path(name).write_text(name)
        run.save(name, policy="now")
    looked = []
    monkeypatch.setattr(public_files, "remove_old_parts", looked.append)
    found = lineal.Api().run(run.path)
    names = [file.name for file in found.files()]
    for file in map(found.file, names) if one_by_one else found.files():
        with file.download("fetched") as fetched:
            assert fetched.read() == file.name
    assert looked == ["fetched", "fetched/d"]


def test_files_are_listed_by_a_pattern(run):
    for name in ("1.png", "2.png", "3.txt"):
        Path(name).write_text(name)
        run.save(name, policy="now")
    found = lineal.Api().run(run.path)
    assert [file.name for file in found.files(None, "%.png", 1)] == ["1.png", "2.png"]
    with pytest.raises(IndexError, match="no such files"):
        found.files(pattern="%.jpg")[0]
    for wrong in ({"names": "1.png", "pattern": "%"}, {"pattern": 1}):
        with pytest.raises(ValueError, match=r"not both|such as `%\.png`"):
            found.files(**wrong)


def test_a_path_in_bytes_is_saved(run):
    Path("a.txt").write_text("a")
    assert [os.path.basename(path) for path in run.save(b"a.*", policy="now")] == ["a.txt"]


def test_what_is_no_path_is_neither_saved_nor_restored_to(run):
    Path("a.txt").write_text("first")
    run.save("a.txt", policy="now")
    with pytest.raises(TypeError, match="must be a text or a path, not 5"):
        run.save(5)
    for root, error in ((5, TypeError), ("a\0b", ValueError)):
        with pytest.raises(error, match=r"must be a text or a path, not 5|contains a NUL"):
            run.restore("a.txt", root=root)


@pytest.mark.parametrize(
    ("root", "why"),
    [("a\0b", "contains a NUL"), ("a\ud800", "not valid Unicode"), ("x/" * 3000, "too long")],
)
def test_a_file_is_not_fetched_to_what_no_folder_can_be_called(run, root, why):
    Path("a.txt").write_text("first")
    run.save("a.txt", policy="now")
    run.finish()
    with pytest.raises(Invalid, match=why):
        lineal.Api().run(run.path).file("a.txt").download(root=root)


def test_what_a_killed_fetch_left_is_hidden_and_goes_with_a_later_one(run, tmp_path, monkeypatch):
    Path("a.txt").write_text("first")
    run.save("a.txt", policy="now")
    run.finish()
    file = lineal.Api().run(run.path).file("a.txt")

    def chunks_until_killed(_file: File) -> Iterator[bytes]:
        yield b"fir"
        os.kill(os.getpid(), signal.SIGKILL)

    target = tmp_path / "fetched"
    child = os.fork()
    if child == 0:
        try:
            monkeypatch.setattr(File, "_chunks", chunks_until_killed)
            file.download(str(target))
        finally:
            os._exit(1)
    os.waitpid(child, 0)
    (left,) = target.iterdir()
    assert PART.fullmatch(left.name)
    os.utime(left, (0, 0))
    file.download(str(target)).close()
    assert [path.name for path in target.iterdir()] == ["a.txt"]
