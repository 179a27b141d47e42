"""Files that change without a sign are read again: memory maps, file systems in memory."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import lineal
from lineal.client import unseen
from lineal.client.cache import DigestCache, now_ns
from lineal.core.digest import of_bytes
from lineal.files.stamps import Stamp

pytestmark = pytest.mark.skipif(
    not os.path.exists("/proc/self/maps"), reason="only Linux says what is mapped"
)


WRITER = """
import mmap, sys
with open(sys.argv[1], "r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
    for line in sys.stdin:
        mapping[0] = int(line)
        print("written", flush=True)
"""


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    folder = Path(f"/dev/shm/{tmp_path.parent.name}-{tmp_path.name}")
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("there is no /dev/shm")
    folder.mkdir()
    yield folder
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def _made(path: Path, size: int) -> None:
    path.write_bytes(bytes(size))
    an_hour_ago = now_ns() - 3_600_000_000_000
    os.utime(path, ns=(an_hour_ago, an_hour_ago))


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    """Map a file, and let enough time pass for that to be known, and that it ended."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
        time.sleep(2 * unseen.LOOKED_UP_EACH_SECONDS)
        yield mapping
    time.sleep(2 * unseen.LOOKED_UP_EACH_SECONDS)


def _logged(run: lineal.Run, path: Path, *, is_folder: bool) -> int:
    artifact = lineal.Artifact("mapped", "dataset")
    if is_folder:
        artifact.add_dir(str(path.parent))
    else:
        artifact.add_file(str(path))
    version = run.log_artifact(artifact).wait()
    return Path(version.get_entry(path.name).download()).read_bytes()[0]


@pytest.mark.parametrize("is_folder", [False, True])
@pytest.mark.parametrize("size", [100, 2 << 20])
def test_what_is_written_through_a_mapping_is_seen(
    tmp_path: Path, size: int, is_folder: bool
) -> None:
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "file.bin"
    _made(path, size)
    with _mapped(path) as mapping, lineal.init(project="p") as run:
        for value in range(1, 4):
            mapping[0] = value
            assert _logged(run, path, is_folder=is_folder) == value


def test_a_large_file_is_seen_to_change_after_it_was_unmapped(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    _made(path, 2 << 20)
    with lineal.init(project="p") as run:
        with _mapped(path) as mapping:
            mapping[0] = 1
            assert _logged(run, path, is_folder=False) == 1
            mapping[0] = 2
        assert _logged(run, path, is_folder=False) == 2


@pytest.mark.parametrize("is_folder", [False, True])
def test_what_another_process_writes_in_memory_is_seen(in_memory: Path, is_folder: bool) -> None:
    path = in_memory / "file.bin"
    _made(path, 100)
    with (
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as writer,
        lineal.init(project="p") as run,
    ):
        assert writer.stdin
        assert writer.stdout
        for value in range(1, 4):
            print(value, file=writer.stdin, flush=True)
            writer.stdout.readline()
            assert _logged(run, path, is_folder=is_folder) == value
        writer.stdin.close()


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[DigestCache]:
    with closing(DigestCache(str(tmp_path / "cache"))) as cache:
        yield cache


def test_nothing_in_memory_is_known(cache: DigestCache, in_memory: Path, tmp_path: Path) -> None:
    for folder in (in_memory, tmp_path):
        (folder / "file").write_bytes(b"x")
        read = [(str(folder / "file"), Stamp.at(str(folder / "file")), of_bytes(b"x"))]
        cache.remember(read, read_at_ns=None)
    assert cache.of_folder(str(in_memory)) == {}
    if unseen.shows_changes(str(tmp_path)):
        assert list(cache.of_folder(str(tmp_path))) == ["file"]


@pytest.mark.usefixtures("on_disk")
def test_what_is_mapped_is_neither_remembered_nor_known(cache: DigestCache, tmp_path: Path) -> None:
    path = tmp_path / "file"
    _made(path, 100)
    read = [(str(path), Stamp.at(str(path)), of_bytes(bytes(100)))]
    with _mapped(path):
        cache.remember(read, read_at_ns=now_ns())
    assert cache.of_folder(str(tmp_path)) == {}
    cache.remember(read, read_at_ns=now_ns())
    assert list(cache.of_folder(str(tmp_path))) == ["file"]
    with _mapped(path):
        assert cache.of_folder(str(tmp_path)) == {}
    assert list(cache.of_folder(str(tmp_path))) == ["file"]
