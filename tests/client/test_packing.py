"""Small files of large folders share files in the store; nothing else about them differs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.client.syncing import folders, synced

import lineal
from lineal import packs
from lineal.blobs.packed import PACKS
from lineal.client.artifact import adding
from lineal.client.embedded.backend import open_embedded
from lineal.config import load
from lineal.errors import ArtifactsFailed, IntegrityError
from lineal.service.instance import open_instance

COUNT = adding.PACKED_LEAST


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LINEAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LINEAL_ENTITY", "ana")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def many(tmp_path: Path) -> Path:
    folder = tmp_path / "many"
    for number in range(COUNT):
        path = folder / f"{number % 7}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content {number}\n" * number)
        os.utime(path, (0, 0))  # old enough for the digest cache
    (folder / "large.bin").write_bytes(os.urandom(300_000))
    return folder


def log(folder: Path, **settings: object) -> lineal.Artifact:
    with lineal.init(project="p", settings=settings) as run:
        artifact = lineal.Artifact("many", "dataset")
        artifact.add_dir(str(folder))
        return run.log_artifact(artifact).wait()


def stored(home: Path, suffix: str = "") -> list[Path]:
    return [path for path in (home / "blobs").rglob(f"*{suffix}") if path.is_file()]


def same(one: Path, other: Path) -> bool:
    names = sorted(str(path.relative_to(one)) for path in one.rglob("*"))
    assert names == sorted(str(path.relative_to(other)) for path in other.rglob("*"))
    return all((one / n).read_bytes() == (other / n).read_bytes() for n in names if "." in n)


def test_a_large_folder_takes_few_files_and_comes_back_whole(home, many, tmp_path):
    artifact = log(many)
    assert len(stored(home, ".pack")) == 1
    assert len(stored(home)) < COUNT / 10
    assert same(many, Path(artifact.download(root=str(tmp_path / "out"))))
    assert artifact.get_entry("3/3.txt").download(root=str(tmp_path / "one")).endswith("3/3.txt")
    assert (tmp_path / "one" / "3" / "3.txt").read_text() == "content 3\n" * 3
    lineal_verify(home)


def test_more_files_than_a_pack_holds_take_several(home, many, tmp_path, monkeypatch):
    monkeypatch.setattr(packs, "ENTRIES_MOST", COUNT // 3)
    artifact = log(many)
    assert len(stored(home, ".pack")) == 4
    assert same(many, Path(artifact.download(root=str(tmp_path / "out"))))
    lineal_verify(home)


def test_stored_bytes_are_verified_as_they_lie_in_packs(home, many, monkeypatch):
    artifact = log(many)
    calls = []
    read = os.pread

    def counted(*args):
        calls.append(args)
        return read(*args)

    monkeypatch.setattr(os, "pread", counted)
    assert artifact.verify(remote=True) == COUNT + 1
    assert len(calls) < COUNT / 4


def test_packs_can_be_turned_off(home, many):
    log(many, pack_files_up_to=0)
    assert stored(home, ".pack") == []


def test_few_files_stay_files(home, tmp_path):
    (tmp_path / "few").mkdir()
    for number in range(COUNT - 1):
        (tmp_path / "few" / str(number)).write_text(str(number))
    log(tmp_path / "few")
    assert stored(home, ".pack") == []


@pytest.mark.usefixtures("on_disk")
def test_small_files_added_one_by_one_take_few_files_too(home, tmp_path):
    artifact = lineal.Artifact("many", "dataset")
    for number in range(adding.ALONE_MOST + COUNT):
        artifact.add_bytes(b"%d" % number, f"bytes/{number}")
        with artifact.new_file(f"new/{number}") as file:
            file.write(f"new {number}")
        Path("f").write_text(f"file {number}")
        artifact.add_file("f", f"files/{number}")
    artifact.add_bytes(os.urandom(300_000), "large.bin")
    staged = sum(path.is_file() for path in (home / "staging").rglob("*"))
    assert staged < adding.ALONE_MOST + 10
    artifact.remove("new/7")
    artifact.add_bytes(b"again", "bytes/7", overwrite=True)
    with lineal.init(project="p") as run:
        run.log_artifact(artifact).wait()
    assert len(stored(home)) < 20
    out = Path(artifact.download(str(tmp_path / "out")))
    for number in range(adding.ALONE_MOST + COUNT):
        assert (out / "bytes" / f"{number}").read_text() == (
            "again" if number == 7 else f"{number}"
        )
        assert (out / "new" / f"{number}").exists() == (number != 7)
        assert (out / "files" / f"{number}").read_text() == f"file {number}"
    backend = open_embedded(load())
    assert list(backend.verify()) == []
    backend.close()


def test_what_cannot_be_packed_stays_as_it_is(home, tmp_path):
    artifact = lineal.Artifact("many", "dataset")
    for number in range(COUNT):
        artifact.add_bytes(b"%d" % number, f"{number}")
    copies = [path for path in (home / "staging").rglob("*") if path.is_file()]
    (lost,) = (path for path in copies if path.read_bytes() == b"7")
    lost.unlink()
    run = lineal.init(project="p")
    run.log_artifact(artifact)
    with pytest.raises(ArtifactsFailed, match=r"private copy of .* is gone from the staging"):
        run.finish()
    assert not stored(home, ".pack")


def test_packing_that_ctrl_c_breaks_off_leaves_every_copy_where_it_is(home, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    artifact = lineal.Artifact("many", "dataset")
    for number in range(COUNT):
        artifact.add_bytes(b"%d" % number, f"{number}")
    with lineal.init(project="p") as run:
        with monkeypatch.context() as patched:
            patched.setattr(packs.Writer, "seal", interrupt)
            with pytest.raises(KeyboardInterrupt):
                run.log_artifact(artifact)
        copies = [path for path in (home / "staging").glob("*/*") if path.name != "lock"]
        assert len(copies) == COUNT
        logged = run.log_artifact(artifact).wait()
    assert Path(logged.download(), "7").read_bytes() == b"7"


def read_and_left(folder: Path) -> None:
    """What a process leaves that was killed before it logged: digests that are known, no copies."""
    lineal.Artifact("left", "dataset").add_dir(str(folder))


def test_small_files_that_were_read_earlier_and_never_stored_take_few_files_too(
    home, many, tmp_path
):
    read_and_left(many)
    artifact = log(many)
    assert len(stored(home, ".pack")) == 1
    assert len(stored(home)) < COUNT / 10
    assert [path for path in (home / "staging").rglob("*") if path.name.isdigit()] == []
    assert same(many, Path(artifact.download(root=str(tmp_path / "out"))))
    lineal_verify(home)


def test_a_pack_of_files_read_earlier_that_cannot_be_stored_goes(home, many):
    read_and_left(many)
    run = lineal.init(project="p")
    artifact = lineal.Artifact("many", "dataset")
    artifact.add_dir(str(many))
    in_the_way = home / "blobs" / PACKS
    in_the_way.write_bytes(b"")
    run.log_artifact(artifact)
    with pytest.raises(ArtifactsFailed, match="Not a directory"):
        run.finish()
    staged = [path for path in (home / "staging").rglob("*") if path.name.isdigit()]
    assert [path.read_bytes() for path in staged] == [(many / "large.bin").read_bytes()]
    in_the_way.unlink()
    assert log(many).version == "v0"
    lineal_verify(home)


def test_of_files_read_earlier_one_that_changed_meanwhile_is_named(home, many):
    read_and_left(many)
    run = lineal.init(project="p")
    artifact = lineal.Artifact("many", "dataset")
    artifact.add_dir(str(many))
    (many / "3" / "3.txt").write_text("other")
    run.log_artifact(artifact)
    with pytest.raises(ArtifactsFailed, match=r"3/3.txt changed after it was added"):
        run.finish()
    assert log(many).version == "v0"
    lineal_verify(home)


def test_what_is_stored_already_is_not_stored_again(home, many):
    log(many)
    before = sorted(stored(home, ".pack"))
    (many / "0" / "0.txt").write_text("changed")
    assert log(many).version == "v1"
    added = [path for path in stored(home, ".pack") if path not in before]
    assert sum(path.stat().st_size for path in added) < 1000


def test_what_came_along_in_a_pack_and_was_stored_already_takes_no_space(home, many, tmp_path):
    log(many)
    (many / "new.txt").write_text("new")
    copy = shutil.copytree(many, tmp_path / "copy")  # of which the digest cache knows nothing
    artifact = log(copy)
    backend = open_embedded(load())
    assert backend.gc_plan().is_empty
    backend.close()
    assert same(copy, Path(artifact.download(root=str(tmp_path / "out"))))
    lineal_verify(home)


def test_a_file_removed_from_the_draft_is_not_part_of_the_version(home, many, tmp_path):
    with lineal.init(project="p") as run:
        artifact = lineal.Artifact("many", "dataset")
        artifact.add_dir(str(many))
        artifact.remove("3")
        run.log_artifact(artifact).wait()
    assert not any(path.startswith("3/") for path in artifact.manifest.entries)
    lineal_verify(home)


def test_a_folder_that_could_not_be_added_leaves_no_pack(home, many):
    (many / "zz").symlink_to(many / "nowhere")
    artifact = lineal.Artifact("many", "dataset")
    with pytest.raises(lineal.errors.LinealError):
        artifact.add_dir(str(many))
    assert [path for path in (home / "staging").rglob("*") if path.name.isdigit()] == []


def test_an_offline_run_with_packs_is_synced(home, many, tmp_path):
    with lineal.init(project="p", mode="offline") as run:
        artifact = lineal.Artifact("many", "dataset")
        artifact.add_dir(str(many))
        run.log_artifact(artifact)
    (result,) = synced(home)
    assert result.failures == {}
    got = lineal.Api().artifact("p/many:latest").download(root=str(tmp_path / "out"))
    assert same(many, Path(got))


def test_what_is_synced_lies_in_its_pack_as_it_lay_where_it_was_logged(home, many):
    with lineal.init(project="p", mode="offline") as run:
        artifact = lineal.Artifact("many", "dataset")
        artifact.add_dir(str(many))
        run.log_artifact(artifact)
    (logged,) = Path(folders()[0]).rglob("*.pack")
    length = sum(path.stat().st_size for path in many.rglob("*.txt"))
    before = logged.read_bytes()[:length]
    synced(home)
    (arrived,) = stored(home, ".pack")
    assert arrived.read_bytes()[:length] == before


def test_a_run_file_whose_content_is_in_a_pack_is_synced(home, many):
    with lineal.init(project="p", id="a", mode="offline") as run:
        artifact = lineal.Artifact("many", "dataset")
        artifact.add_dir(str(many))
        run.log_artifact(artifact).wait()
        run.save("many/5/5.txt", policy="now")
    (result,) = synced(home, clean=True)
    assert result.failures == {}
    with lineal.Api().run("p/a").file("many/5/5.txt").download(root="out") as file:
        assert file.read() == "content 5\n" * 5
    assert os.listdir(home / "staging") == []
    assert folders() == []


def test_a_draft_of_a_packed_version_can_be_made_offline(home, many, tmp_path):
    log(many)
    with lineal.init(project="p", mode="offline") as run:
        draft = run.use_artifact("many:latest").new_draft()
        draft.add_bytes(b"more", "more.txt")
        run.log_artifact(draft)
    assert len(folders()) == 1
    (result,) = synced(home)
    assert result.failures == {}
    artifact = lineal.Api().artifact("p/many:v1")
    artifact.download(root=str(tmp_path / "out"))
    assert (tmp_path / "out" / "more.txt").read_bytes() == b"more"
    assert artifact.file_count == COUNT + 2


def test_a_forked_child_leaves_the_packs_of_its_parent(home, many, tmp_path):
    artifact = lineal.Artifact("many", "dataset")
    artifact.add_dir(str(many))
    as_added = shutil.copytree(many, tmp_path / "as added")
    child = os.fork()
    if child == 0:
        with lineal.init(project="p", mode="offline") as run:  # which stores them elsewhere
            run.log_artifact(artifact)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    shutil.rmtree(many)
    with lineal.init(project="p") as run:
        run.log_artifact(artifact).wait()
    assert same(as_added, Path(artifact.download(root=str(tmp_path / "out"))))


def test_a_forked_child_packs_nothing_of_its_parents_draft(home, tmp_path):
    artifact = lineal.Artifact("many", "dataset")
    for number in range(COUNT):
        artifact.add_bytes(b"%d" % number, f"{number}.txt")
    child = os.fork()
    if child == 0:
        with lineal.init(project="p", mode="offline") as run:
            run.log_artifact(artifact)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert not list(Path("lineal").rglob("*.pack"))
    with lineal.init(project="p") as run:
        run.log_artifact(artifact).wait()
    assert len(list(Path(artifact.download(root=str(tmp_path / "out"))).iterdir())) == COUNT
    assert stored(home, ".pack")


def test_where_a_packed_file_lies_is_told(home, many):
    (file,) = log(many).files(names=["5/5.txt"])
    path, _, place = file.direct_url.removeprefix("file://").partition("#")
    numbers = dict(part.split("=") for part in place.split("&"))
    start, size = int(numbers["offset"]), int(numbers["size"])
    assert Path(path).read_bytes()[start : start + size] == b"content 5\n" * 5


def lineal_verify(home: Path) -> None:
    from lineal.core.access import Actor, Role
    from lineal.service.verify import verify

    instance = open_instance(load({"home": str(home)}))
    try:
        assert list(verify(instance, Actor("ana", Role.OWNER))) == []
    finally:
        instance.close()


def test_a_damaged_file_of_a_pack_is_named_where_it_is_opened(home, many):
    artifact = log(many)
    (pack,) = stored(home, ".pack")
    pack.chmod(0o600)
    pack.write_bytes(pack.read_bytes().replace(b"content 5\n", b"c0ntent 5\n"))
    with pytest.raises(IntegrityError, match=r"bytes of 5/5\.txt do not .* `lineal verify` says"):
        artifact.open("5/5.txt")


@pytest.mark.parametrize("damage", ["bytes", "file", "noted"])
def test_what_was_damaged_on_the_way_is_not_synced(home, many, damage):
    with lineal.init(project="p", id="a", mode="offline") as run:
        artifact = lineal.Artifact("many", "dataset")
        artifact.add_dir(str(many))
        run.log_artifact(artifact)
    (pack,) = Path(folders()[0]).rglob("*.pack")
    if damage in ("file", "noted"):
        pack.unlink()
    if damage == "noted":
        inside = open_embedded(load({"home": folders()[0], "entity": "ana"}))
        assert [*inside.verify(repair=True)] != []
        inside.close()
    if damage == "bytes":
        content = pack.read_bytes()
        pack.write_bytes(content.replace(b"content 5\n", b"c0ntent 5\n"))
    (result,) = synced(home)
    assert list(result.failures) == ["artifact many:v0"]
    assert isinstance(result.failures["artifact many:v0"], lineal.errors.LinealError)
    assert [*lineal.Api().run("p/a").logged_artifacts()] == []
