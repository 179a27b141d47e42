"""Folders of large files, which threads copy, hash, fetch and check."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import lineal
from lineal.errors import IntegrityError, Invalid, MissingFile, SourceChanged
from lineal.parallel import LARGE_BYTES

BEYOND_MEMORY = 1 << 60
"""Bytes of a stack that no machine has room for: then no thread can be started."""
COPY_IN_KERNEL = os.sendfile


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of files on both sides of each limit."""
    folder = tmp_path / "source"
    folder.mkdir()
    sizes = (0, 1, LARGE_BYTES - 1, LARGE_BYTES, 1 << 20, (1 << 20) + 1, 5 << 20)
    for number in range(3):
        for size in sizes:
            (folder / f"{number}-{size}.bin").write_bytes(os.urandom(size))
    return folder


@pytest.fixture(params=["with threads", "without"])
def _threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = threading.stack_size()
    if request.param == "without":
        threading.stack_size(BEYOND_MEMORY)
    yield
    threading.stack_size(before)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def stored_as(data: bytes) -> Path:
    """Return the file of the store that has some content."""
    name = hashlib.sha256(data).hexdigest()
    (found,) = Path(os.environ["LINEAL_HOME"], "blobs").rglob(f"*{name}*")
    return found


def copies() -> list[Path]:
    """Return the private copies that wait to be stored."""
    staging = Path(os.environ["LINEAL_HOME"], "staging")
    return [path for path in staging.rglob("*") if path.is_file() and path.name != "lock"]


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("policy", ["mutable", "immutable"])
def test_each_file_has_the_digest_of_its_bytes(source: Path, policy: str) -> None:
    artifact = lineal.Artifact("data", "dataset")
    artifact.add_dir(source, policy=policy)
    digests = {path: entry.digest for path, entry in artifact.manifest.entries.items()}
    assert digests == {
        name: f"sha256:{hashlib.sha256(data).hexdigest()}" for name, data in content(source).items()
    }
    assert artifact.size == sum(map(len, content(source).values()))


def logged(run: lineal.Run, source: Path) -> lineal.Artifact:
    artifact = lineal.Artifact("data", "dataset")
    artifact.add_dir(source)
    return run.log_artifact(artifact).wait()


@pytest.mark.parametrize("link", [None, "hard"])
def test_a_download_has_every_byte(
    run: lineal.Run, source: Path, tmp_path: Path, link: str | None
) -> None:
    version = logged(run, source)
    assert content(Path(version.download(tmp_path / "out", link=link))) == content(source)
    files = len(content(source))
    assert version.verify(tmp_path / "out", remote=True) == files


def damage(path: Path) -> None:
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))


def test_damaged_large_files_are_found_in_a_folder_and_in_the_store(
    run: lineal.Run, source: Path, tmp_path: Path
) -> None:
    version = logged(run, source)
    folder = Path(version.download(tmp_path / "out"))
    names = [f"1-{5 << 20}.bin", f"2-{LARGE_BYTES}.bin"]
    damage(folder / names[1])
    with pytest.raises(IntegrityError, match=f"{names[1]} in .* has other content"):
        version.verify(folder)
    for name in names:
        damage(stored_as((source / name).read_bytes()))
    with pytest.raises(IntegrityError, match="|".join(names)):
        version.verify(remote=True)
    with pytest.raises(IntegrityError, match="|".join(names)):
        version.download(tmp_path / "again")
    assert not set(names) & set(os.listdir(tmp_path / "again"))
    found = subprocess.run(
        [sys.executable, "-m", "lineal", "verify", "--json"], capture_output=True, check=False
    )
    assert len(json.loads(found.stdout)) == 2


def test_a_file_that_changes_while_a_thread_reads_it_leaves_no_copy_of_any(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = f"1-{5 << 20}.bin"

    def copy_and_change(*arguments: int) -> int:
        with open(source / changed, "ab") as file:
            file.write(b"more")
        return COPY_IN_KERNEL(*arguments)

    monkeypatch.setattr(os, "sendfile", copy_and_change)
    artifact = lineal.Artifact("data", "dataset")
    with pytest.raises(SourceChanged, match=changed):
        artifact.add_dir(source)
    assert not artifact.manifest.entries
    assert copies() == []


def test_one_that_cannot_be_read_is_named_and_leaves_no_copy_of_any(source: Path) -> None:
    (source / "9-gone.bin").symlink_to(source / "nowhere")
    artifact = lineal.Artifact("data", "dataset")
    with pytest.raises((Invalid, MissingFile), match=r"9-gone\.bin"):
        artifact.add_dir(source)
    assert not artifact.manifest.entries
    assert copies() == []


HASH_FOR_MINUTES = """
import os, sys, lineal
folder = sys.argv[1]
for name in "abcd":
    os.truncate(os.open(f"{folder}/{name}", os.O_CREAT | os.O_RDWR), 1 << 38)
print("begun", flush=True)
lineal.Artifact("data", "dataset").add_dir(folder, policy="immutable")
"""


def test_ctrl_c_ends_what_threads_would_hash_for_minutes(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HASH_FOR_MINUTES, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in said
