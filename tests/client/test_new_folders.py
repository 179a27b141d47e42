"""Folders that a download makes appear whole, with the small files that were packed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from tests.test_files import file_size_limit

import lineal
from lineal.client.artifact import adding
from lineal.errors import IntegrityError, InTheWay, NoSpace
from lineal.files.new_folder import NewFolder
from lineal.files.parts import PART

FOLDERS = ("a", "a/b", "a/b/c", "a/z", "d/e/f", ".")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Folders within folders, whose files and folders sort among each other."""
    for number in range(adding.PACKED_LEAST):
        path = tmp_path / "source" / FOLDERS[number % len(FOLDERS)] / f"{'akz'[number % 3]}{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content {number}")
    (tmp_path / "source" / "a" / "b" / "large").write_bytes(os.urandom(300_000))
    return tmp_path / "source"


def logged(folder: Path) -> lineal.Artifact:
    with lineal.init(project="p") as run:
        artifact = lineal.Artifact("many", "dataset")
        artifact.add_dir(str(folder))
        return run.log_artifact(artifact).wait()


@pytest.fixture
def artifact(source: Path) -> lineal.Artifact:
    return logged(source)


def content(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def parts(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if PART.fullmatch(path.name)]


def test_folders_within_folders_come_whole(artifact, source, tmp_path):
    out = tmp_path / "out"
    artifact.download(root=str(out))
    assert content(out) == content(source)
    assert parts(out) == []
    assert artifact.verify(str(out)) == len(content(source))
    next((out / "d" / "e" / "f").iterdir()).unlink()
    artifact.download(root=str(out))
    assert content(out) == content(source)


def test_nobody_sees_a_folder_before_it_is_whole(artifact, source, tmp_path, monkeypatch):
    out, seen = tmp_path / "out", []
    write = NewFolder.write

    def look(self, name, data):
        seen.append(os.path.lexists(self.path))
        return write(self, name, data)

    monkeypatch.setattr(NewFolder, "write", look)
    artifact.download(root=str(out))
    assert set(seen) == {False}
    assert len(seen) > adding.PACKED_LEAST / 3


@pytest.mark.parametrize("is_there", [False, True])
def test_the_root_appears_whole_if_the_download_makes_it(tmp_path, monkeypatch, is_there):
    flat, out, seen = tmp_path / "flat", tmp_path / "out", []
    flat.mkdir()
    for number in range(adding.PACKED_LEAST):
        (flat / str(number)).write_text(f"content {number}")
    artifact = logged(flat)
    if is_there:
        out.mkdir(mode=0o710)
    write = NewFolder.write

    def look(self, name, data):
        seen.append(os.listdir(out))
        return write(self, name, data)

    monkeypatch.setattr(NewFolder, "write", look)
    artifact.download(root=str(out))
    assert seen == ([] if is_there else [[]] * adding.PACKED_LEAST)
    assert content(out) == content(flat)
    assert parts(tmp_path) == []
    if is_there:
        assert out.stat().st_mode & 0o777 == 0o710


def test_a_folder_that_somebody_made_meanwhile_takes_the_files(
    artifact, source, tmp_path, monkeypatch
):
    out, appear = tmp_path / "out", NewFolder.appear

    def meet(self):
        if self.path.endswith("/z"):
            os.mkdir(self.path)
            for name, text in (("mine", "mine"), (os.listdir(self._part)[0], "another's")):
                Path(self.path, name).write_text(text)
        appear(self)

    monkeypatch.setattr(NewFolder, "appear", meet)
    artifact.download(root=str(out))
    assert content(out) == content(source) | {"a/z/mine": b"mine"}
    assert parts(out) == []


@pytest.mark.parametrize("is_inside", [False, True])
def test_what_came_in_the_way_meanwhile_is_named_and_stays(
    artifact, tmp_path, monkeypatch, is_inside
):
    out, appear, inside = tmp_path / "out", NewFolder.appear, []

    def meet(self):
        if self.path.endswith("/z"):
            if is_inside:
                inside.append(os.listdir(self._part)[0])
                os.makedirs(os.path.join(self.path, inside[0], "theirs"))
            else:
                Path(self.path).write_text("theirs")
        appear(self)

    monkeypatch.setattr(NewFolder, "appear", meet)
    with pytest.raises(InTheWay, match="out/a/z"):
        artifact.download(root=str(out))
    assert parts(out) == []
    if is_inside:
        assert (out / "a" / "z" / inside[0] / "theirs").is_dir()
    else:
        assert (out / "a" / "z").read_text() == "theirs"


def test_a_failure_keeps_what_came_and_leaves_nothing_half(artifact, source, tmp_path):
    (pack,) = Path(os.environ["LINEAL_HOME"]).rglob("*.pack")
    pack.chmod(0o600)
    pack.write_bytes(pack.read_bytes().replace(b"content 57", b"content XX"))
    out = tmp_path / "out"
    with pytest.raises(IntegrityError):
        artifact.download(root=str(out))
    came = content(out)
    assert 10 < len(came) < len(content(source))
    assert came.items() <= content(source).items()
    assert parts(out) == []


def test_a_file_that_cannot_be_written_whole_is_not_there(tmp_path):
    folder = NewFolder(str(tmp_path / "new"), str(tmp_path / ".0123456789ab-0.part"))
    folder.write("whole", b"whole")
    with file_size_limit(100), pytest.raises(NoSpace):
        folder.write("half", bytes(1_000))
    folder.appear()
    assert content(tmp_path) == {"new/whole": b"whole"}


def test_what_a_killed_download_left_is_hidden_and_goes_with_a_later_one(
    artifact, source, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    child = os.fork()
    if child == 0:
        write = NewFolder.write

        def killed(self, name, data):
            if self.path.endswith("b/c"):
                write(self, name, data[:3])
                os.kill(os.getpid(), signal.SIGKILL)
            return write(self, name, data)

        monkeypatch.setattr(NewFolder, "write", killed)
        artifact.download(root=str(out))
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    (left,) = parts(out)
    shown = {path: data for path, data in content(out).items() if left.name not in path}
    assert shown
    assert shown.items() <= content(source).items()
    artifact.download(root=str(out))
    assert artifact.verify(str(out)) == len(content(source))
    assert logged(out).digest == artifact.digest
    os.utime(left, (0, 0))
    next((out / "a" / "b" / "c").iterdir()).unlink()
    artifact.download(root=str(out))
    assert content(out) == content(source)
