"""What is left where the power goes: of the files on a disk, what was flushed to it.

The home is on a disk that is an image in a file. What the kernel has not written yet is not in the
image, so that a copy of it is what the machine would find when it starts again.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import lineal
from lineal.client import session
from tests.robust import workers

IMAGE_BYTES = 256 << 20
TOOLS = ("mkfs.ext4", "mount", "umount", "cp")


class Disk:
    def __init__(self, folder: Path) -> None:
        self._image = folder / "image"
        self._copy = folder / "copy"
        self.mounted = folder / "disk"
        self._after = folder / "after"

    def make(self) -> None:
        with self._image.open("wb") as image:
            image.truncate(IMAGE_BYTES)
        subprocess.run(["mkfs.ext4", "-q", self._image], check=True)
        _mount(self._image, self.mounted)

    @contextmanager
    def after_power_cut(self) -> Iterator[Path]:
        """Mount what would be found if the power went now, while nobody writes."""
        session.flush()
        subprocess.run(["cp", "--sparse=always", self._image, self._copy], check=True)
        _mount(self._copy, self._after)
        try:
            yield self._after
        finally:
            subprocess.run(["umount", self._after], check=True)


def _mount(image: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    rarely = "loop,commit=3000"  # seconds; else the journal is flushed every five
    done = subprocess.run(["mount", "-o", rarely, image, folder], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"this machine does not allow to mount: {done.stderr}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid() != 0 or not all(map(shutil.which, TOOLS)):
        pytest.skip("needs root and mkfs.ext4, to mount a disk")
    disk = Disk(tmp_path)
    disk.make()
    yield disk
    session.close()
    subprocess.run(["umount", "--lazy", disk.mounted], check=True)


def few(disk: Disk) -> lineal.Artifact:
    artifact = lineal.Artifact("few", "dataset")
    artifact.add_bytes(b"one", "one.txt")
    artifact.add_bytes(b"two", "two.txt")
    return artifact


def many(disk: Disk) -> lineal.Artifact:
    artifact = lineal.Artifact("many", "dataset")
    artifact.add_dir(workers.many_files(disk.mounted / "source"))
    return artifact


def large(disk: Disk) -> lineal.Artifact:
    artifact = lineal.Artifact("large", "dataset")
    artifact.add_bytes(os.urandom(3 << 20), "large.bin")
    return artifact


def linked(disk: Disk) -> lineal.Artifact:
    """Its file was written a moment ago, and nobody has flushed it."""
    (disk.mounted / "linked.bin").write_bytes(os.urandom(3 << 20))
    artifact = lineal.Artifact("linked", "dataset")
    artifact.add_file(disk.mounted / "linked.bin", policy="immutable")
    return artifact


@pytest.mark.parametrize("content", [few, many, large, linked])
def test_a_power_cut_takes_nothing_that_was_logged(content, disk, tmp_path, monkeypatch):
    monkeypatch.setenv("LINEAL_HOME", str(disk.mounted / "home"))
    with workers.start() as run:
        run.log({"loss": 0.5})
        first = run.log_artifact(content(disk), aliases=["best"]).wait()
        first.download(tmp_path / "first")
        with disk.after_power_cut() as after:
            assert fetched(after, first, tmp_path) == contents(tmp_path / "first")
        draft = first.new_draft()
        draft.add_bytes(b"three", "three.txt")
        second = run.log_artifact(draft).wait()
    second.download(tmp_path / "second")
    first.delete(delete_aliases=True)
    with disk.after_power_cut() as after:
        assert fetched(after, second, tmp_path) == contents(tmp_path / "second")
        shown = json.loads(lineal_at(after, "run", "show", f"vision/{run.id}", "--json"))
        assert (shown["state"], shown["summary"]["loss"]) == ("finished", 0.5)
        listed = lineal_at(after, "artifact", "ls", f"vision/{content.__name__}", "--json")
        assert [each["version"] for each in json.loads(listed)] == ["v1"]


def fetched(after: Path, version: lineal.Artifact, tmp_path: Path) -> dict[str, bytes]:
    """Return what a version has in a home that was verified."""
    lineal_at(after, "verify")
    target = tmp_path / f"{version.version} after"
    lineal_at(after, "artifact", "get", f"vision/{version.name}", "--root", str(target))
    return contents(target)


def lineal_at(after: Path, *words: str) -> str:
    """Run a command in a process of its own: one that goes on here would keep the disk busy."""
    done = subprocess.run(
        [sys.executable, "-m", "lineal", *words],
        env={**os.environ, "LINEAL_HOME": str(after / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
