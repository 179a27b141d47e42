"""Pictures and other media on their way to the store."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import lineal
from lineal.client.run import adopting, media_spool
from lineal.client.run.media_spool import MediaSpool
from lineal.client.run.spool import Spool, Writer
from lineal.core.records import PageRequest, RunSpec
from lineal.errors import HostilePath
from lineal.files.reading import Piece

LARGE = os.urandom(media_spool.SHARING_MOST + 1)


@pytest.fixture
def folder(backend) -> str:
    found: str = backend.instance.home.spool
    return found


@pytest.fixture
def run(backend):
    return backend.start_run(RunSpec("ana", "p", "a")).run


@pytest.fixture
def lines(run, folder) -> Spool:
    return Spool(folder, Writer("ana", "p", "a", run.key, "w1"))


def stored(backend, run) -> dict[str, bytes]:
    found = {}
    for file in backend.run_files(run.key, PageRequest(500)).items:
        location = backend.locate_run_files(run.key, [file.digest])[file.digest]
        with backend.open(location) as opened:
            found[file.path] = opened.read()
    return found


def media_of(path: str) -> list[str]:
    """Return the names of the media of a run, each of which can be read."""
    files = [file for file in lineal.Api().run(path).files() if file.name.startswith("media/")]
    for file in files:
        with file.download(root="media-of", replace=True) as opened:
            assert len(opened.read()) == file.size
    return [os.path.basename(file.name) for file in files]


def test_small_ones_share_a_file(run, lines, folder):
    media = MediaSpool(lines)
    for number in range(100):
        media.add(f"media/{number}", str(number).encode())
    media.add("media/large", LARGE)
    media.add("media/empty", b"")
    assert len(os.listdir(lines.media_folder)) == 2
    waiting = media.waiting()
    assert [medium.path for medium in waiting][:2] == ["media/0", "media/1"]
    small = waiting[42].source
    assert isinstance(small, Piece)
    assert small.read() == b"42"
    assert Path(waiting[100].file).read_bytes() == LARGE
    media.add("media/later", b"later")
    media.stored()
    assert [medium.path for medium in media.waiting()] == ["media/later"]
    media.stored()
    assert os.listdir(lines.media_folder) == []
    assert Path(folder, f"{run.key}-w1.spool").read_bytes().count(b"\n") == 1  # of its header
    lines.remove()
    assert os.listdir(folder) == []


def test_what_is_stored_leaves_no_line(lines, folder):
    lines.begin()
    (file,) = Path(folder).iterdir()
    before = file.read_bytes()
    media = MediaSpool(lines)
    media.add("a", b"1")
    media.waiting()
    media.stored()
    assert file.read_bytes() == before


def test_what_could_not_be_stored_is_handed_out_again(lines):
    media = MediaSpool(lines)
    media.add("a", b"1")
    assert media.waiting() == media.waiting()
    media.add("b", b"2")
    assert [medium.path for medium in media.waiting()] == ["a", "b"]


def test_a_path_that_no_run_can_have_is_refused_before_anything_is_kept(lines):
    media = MediaSpool(lines)
    with pytest.raises(HostilePath):
        media.add("../a", b"")
    assert media.waiting() == []


def test_media_of_a_dead_writer_are_adopted(backend, run, lines, folder):
    media = MediaSpool(lines)
    media.add("stored", b"before")
    media.waiting()
    media.stored()
    for number in range(9):
        media.add(f"media/{number}", str(number).encode())
    media.add("media/large", LARGE)
    assert adopting.adopt(backend, folder) == 0  # it lives
    media.disown()
    lines.disown()
    assert adopting.adopt(backend, folder) == 1
    expected = {f"media/{number}": str(number).encode() for number in range(9)}
    assert stored(backend, run) == expected | {"media/large": LARGE}
    assert os.listdir(folder) == []


def test_a_writer_that_died_between_storing_and_noting_it_loses_nothing(
    backend, run, lines, folder
):
    media = MediaSpool(lines)
    media.add("a", b"stored")
    [gone] = media.waiting()
    backend.put_run_files(run.key, [(gone.path, gone.source)])
    os.unlink(gone.file)
    media.add("b", b"waits")
    media.disown()
    lines.disown()
    with open(os.path.join(folder, os.listdir(folder)[0]), "ab") as file:
        file.write(b'm{"path": "half a li\nm[1]\nm{}\n')
    adopting.adopt(backend, folder)
    assert stored(backend, run) == {"a": b"stored", "b": b"waits"}


def test_a_spool_that_is_written_anew_keeps_what_waits(backend, run, lines, folder, monkeypatch):
    media = MediaSpool(lines)
    media.add("a", b"1")
    lines.change(b"{}")
    monkeypatch.setattr("lineal.client.run.spool.REWRITE_BYTES", 0)
    lines.moved([], 1)
    media.disown()
    lines.disown()
    adopting.adopt(backend, folder)
    assert stored(backend, run) == {"a": b"1"}


def test_media_come_along_where_a_spool_is_copied(backend, run, lines, folder, tmp_path):
    media = MediaSpool(lines)
    media.add("a", b"1")
    media.disown()
    lines.disown()
    adopting.copy(folder, str(tmp_path))
    shutil.rmtree(lines.media_folder)
    adopting.adopt(backend, str(tmp_path))
    assert stored(backend, run) == {"a": b"1"}


# --- in a run -----------------------------------------------------------------------------------


def test_many_pictures_take_few_files_and_none_in_the_folder_of_the_run():
    with lineal.init(project="p") as run:
        home = Path(run.place.spool).parent
        for number in range(60):
            run.log({"page": lineal.Html(f"page {number}")})
        assert os.listdir(run.dir) == []
    assert len(media_of(run.path)) == 60
    assert len(list(home.glob("blobs/*/*/*"))) <= 8
    assert os.listdir(home / "spool") == []


def test_media_that_are_ignored_are_not_stored():
    with lineal.init(project="p", settings={"ignore_globs": ["media/*"]}) as run:
        run.log({"page": lineal.Html("page")})
    assert media_of(run.path) == []


def test_a_medium_whose_file_was_taken_away_is_named_and_the_others_are_stored(capsys):
    with lineal.init(project="p") as run:
        run.log({"large": lineal.Html(LARGE.hex())})
        shutil.rmtree(run._rows.spool.media_folder)
        run.log({"small": lineal.Html("page")})
    [found] = media_of(run.path)
    assert found.startswith("small_")
    assert "is not stored with the run" in capsys.readouterr().err


def test_media_of_a_forked_child_are_stored():
    with lineal.init(project="p") as run:
        child = os.fork()
        if child == 0:
            run.log({"child": lineal.Html("of the child")})
            os._exit(0)
        os.waitpid(child, 0)
        run.log({"parent": lineal.Html("of the parent")})
    assert [name.split("_")[0] for name in media_of(run.path)] == ["child", "parent"]
