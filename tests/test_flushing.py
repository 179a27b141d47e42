"""What a power cut must not take is flushed, and so is the folder that names it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lineal import libc
from lineal.errors import Unavailable
from lineal.files.flushing import SYNC_EACH_MOST, flush
from lineal.files.folders import make_folders
from lineal.files.writing import write_new
from tests.test_files import no_more_descriptors


@pytest.mark.parametrize("has_syncfs", [True, False])
@pytest.mark.parametrize("count", [0, 1, SYNC_EACH_MOST, SYNC_EACH_MOST + 1])
def test_few_and_many_files_are_flushed_and_the_folders_that_name_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, has_syncfs: bool
) -> None:
    flushed: set[str] = set()

    def noted(name: str, call: Callable[[int], object]) -> Callable[[int], bool]:
        def flush_open(descriptor: int) -> bool:
            call(descriptor)
            flushed.add(name + os.readlink(f"/proc/self/fd/{descriptor}"))
            return has_syncfs

        return flush_open

    if not os.path.exists("/proc/self/fd"):
        pytest.skip("needs /proc")
    names = [str(tmp_path / f"d{number % 3}" / f"f{number}") for number in range(count)]
    for name in names:
        make_folders(os.path.dirname(name))
        write_new(name, b"x")
    monkeypatch.setattr(os, "fsync", noted("", os.fsync))
    monkeypatch.setattr(libc, "syncfs", noted("all of ", libc.syncfs))
    flush(names, str(tmp_path))
    is_one_call = count > SYNC_EACH_MOST
    each = {*names, *map(os.path.dirname, names)} if not (is_one_call and has_syncfs) else set()
    assert flushed == each | ({f"all of {tmp_path}"} if is_one_call else set())


def test_files_that_cannot_be_flushed_are_named(tmp_path: Path) -> None:
    write_new(str(tmp_path / "g"), b"x")
    with no_more_descriptors(), pytest.raises(Unavailable, match="/g: Too many open files"):
        flush([str(tmp_path / "g")], str(tmp_path))
