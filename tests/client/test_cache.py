"""The digest cache only saves work: it never answers for a file that may have changed."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from lineal.client.cache import FETCHED, FINE_WINDOW_NS, DigestCache, now_ns
from lineal.core.digest import Digest, of_bytes
from lineal.errors import Unavailable
from lineal.files.stamps import Stamp

LATER = 10**18 * 5
"""A moment long after any file here was written."""


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[DigestCache]:
    with closing(DigestCache(str(tmp_path / "cache"))) as cache:
        yield cache


def stamp(**changes: int) -> Stamp:
    values = {"size": 3, "mtime_ns": 10**18 + 1, "ctime_ns": 10**18 + 1, "inode": 7}
    return Stamp(**(values | changes))


DIGEST = of_bytes(b"abc")


def test_a_remembered_digest_is_known_by_folder_and_name(cache: DigestCache) -> None:
    cache.remember([("/data/a.bin", stamp(), DIGEST)], read_at_ns=LATER)
    assert cache.of_folder("/data") == {"a.bin": (stamp(), DIGEST)}


def test_inodes_may_be_as_large_as_a_file_system_makes_them(cache: DigestCache) -> None:
    found = SimpleNamespace(st_size=3, st_mtime_ns=1, st_ctime_ns=1, st_ino=2**64 - 1)
    large = Stamp.of(cast(os.stat_result, found))
    cache.remember([("/data/a.bin", large, DIGEST)], read_at_ns=LATER)
    assert cache.of_file("/data/a.bin") == (large, DIGEST)


def test_one_file_is_known_without_the_others_of_its_folder(cache: DigestCache) -> None:
    others = [(f"/data/{number}", stamp(), of_bytes(b"other")) for number in range(3)]
    cache.remember([*others, ("/data/a.bin", stamp(), DIGEST)], read_at_ns=LATER)
    assert cache.of_file("/data/a.bin") == (stamp(), DIGEST)
    assert cache.of_file("/data/b.bin") is None
    assert cache.of_file("/data/a.bin", FETCHED) is None


def test_files_of_other_folders_are_not_mixed_in(cache: DigestCache) -> None:
    cache.remember([("/data/sub/a", stamp(), DIGEST), ("/dat/a", stamp(), DIGEST)], read_at_ns=None)
    assert cache.of_folder("/data") == {}


def test_a_later_digest_replaces_the_earlier(cache: DigestCache) -> None:
    other = of_bytes(b"xyz")
    cache.remember([("/data/a", stamp(), DIGEST)], read_at_ns=LATER)
    cache.remember([("/data/a", stamp(inode=8), other)], read_at_ns=LATER)
    assert cache.of_folder("/data") == {"a": (stamp(inode=8), other)}


def test_a_file_modified_just_before_it_was_read_is_not_remembered(cache: DigestCache) -> None:
    read_at = stamp().mtime_ns + FINE_WINDOW_NS
    cache.remember([("/data/a", stamp(), DIGEST)], read_at_ns=read_at)
    assert cache.of_folder("/data") == {}
    cache.remember([("/data/a", stamp(), DIGEST)], read_at_ns=read_at + 1)
    assert "a" in cache.of_folder("/data")


def test_whole_seconds_need_a_wider_distance(cache: DigestCache) -> None:
    whole = stamp(mtime_ns=10**18)
    cache.remember([("/data/a", whole, DIGEST)], read_at_ns=10**18 + 10**9)
    assert cache.of_folder("/data") == {}
    cache.remember([("/data/a", whole, DIGEST)], read_at_ns=10**18 + 3 * 10**9)
    assert "a" in cache.of_folder("/data")


def test_what_nobody_else_can_have_written_is_remembered_at_once(cache: DigestCache) -> None:
    cache.remember([("/data/a", stamp(mtime_ns=now_ns()), DIGEST)], read_at_ns=None)
    assert "a" in cache.of_folder("/data")


@pytest.mark.parametrize("folder", ["file/cache", "taken"])
def test_a_cache_that_cannot_be_made_counts_as_not_known_and_that_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], folder: str
) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "taken" / "digests.db").mkdir(parents=True)
    cache = DigestCache(str(tmp_path / folder))
    cache.remember([("/data/a", stamp(), DIGEST)], read_at_ns=None)
    assert cache.of_folder("/data") == {}
    said = capsys.readouterr().err
    assert said.count(f"{tmp_path / folder}/digests.db cannot be used (") == 1
    assert "LINEAL_CACHE_DIR" in said


def test_a_damaged_cache_counts_as_not_known_until_it_is_cleaned(
    cache: DigestCache, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "digests.db").write_bytes(b"this is no database" * 100)
    cache.remember([("/data/a", stamp(), DIGEST)], read_at_ns=None)
    assert cache.of_folder("/data") == {}
    assert capsys.readouterr().err.count("digests.db is damaged, so") == 1
    assert cache.shrink(1 << 20) == (0, 1900, 0)
    cache.remember([("/data/a", stamp(), DIGEST)], read_at_ns=None)
    assert "a" in cache.of_folder("/data")


def test_a_damaged_cache_that_is_cleaned_is_made_anew(cache: DigestCache, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    path = tmp_path / "cache" / "digests.db"
    path.write_bytes(b"this is no database" * 100)
    assert cache.shrink(10**9) == (0, 1900, 0)
    assert not path.exists()
    cache.remember([("/data/a", stamp(), DIGEST)], read_at_ns=None)
    assert "a" in cache.of_folder("/data")


def test_a_cache_that_cannot_be_cleaned_says_what_to_do(cache: DigestCache, tmp_path: Path) -> None:
    (tmp_path / "cache" / "digests.db").mkdir(parents=True)
    with pytest.raises(Unavailable, match=r"unable to open .* LINEAL_CACHE_DIR"):
        cache.shrink(0)


def test_a_folder_whose_name_is_not_unicode_counts_as_not_known(cache: DigestCache) -> None:
    folder = os.fsdecode(b"/data/\xff")
    cache.remember([(folder + "/a", stamp(), DIGEST)], read_at_ns=None)
    assert cache.of_folder(folder) == {}


def test_a_lost_cache_is_made_anew(cache: DigestCache, tmp_path: Path) -> None:
    cache.remember([("/data/a", stamp(), DIGEST)], read_at_ns=None)
    for name in os.listdir(tmp_path / "cache"):
        os.unlink(tmp_path / "cache" / name)
    assert cache.of_folder("/data") == {}
    cache.remember([("/data/a", stamp(), DIGEST)], read_at_ns=None)
    assert "a" in cache.of_folder("/data")


def test_all_who_share_the_folder_may_write_the_cache(tmp_path: Path) -> None:
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    for folder, mode, least in ((alone, 0o700, 0o600), (shared, 0o2770, 0o660)):
        folder.mkdir()
        folder.chmod(mode)
        with closing(DigestCache(str(folder))) as cache:
            cache.remember([("/data/a", stamp(), DIGEST)], read_at_ns=None)
            for name in ("digests.db", "digests.db-shm"):
                assert (folder / name).stat().st_mode & least == least
    assert (alone / "digests.db").stat().st_mode & 0o022 == 0


def test_threads_may_remember_at_once(cache: DigestCache) -> None:
    def remember(thread: int) -> None:
        for number in range(20):
            cache.remember([(f"/data/{thread}-{number}", stamp(), DIGEST)], read_at_ns=None)

    threads = [threading.Thread(target=remember, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cache.of_folder("/data")) == 160


def test_a_file_changed_in_any_way_has_another_stamp(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    before = Stamp.at(str(path))
    os.utime(path, ns=(before.mtime_ns, before.mtime_ns + 1))
    assert Stamp.at(str(path)) != before


def test_a_digest_keeps_its_prefix(cache: DigestCache) -> None:
    cache.remember([("/data/a", stamp(), DIGEST)], read_at_ns=None)
    assert cache.of_folder("/data")["a"][1] == Digest(DIGEST)


def test_processes_that_were_forked_share_no_connection(cache: DigestCache) -> None:
    def use_in_child() -> None:
        cache.remember([("/data/child", stamp(), DIGEST)], read_at_ns=None)

    cache.remember([("/data/a", stamp(), DIGEST)], read_at_ns=None)
    before = cache._connection
    child = multiprocessing.get_context("fork").Process(target=use_in_child)
    child.start()
    child.join()
    assert child.exitcode == 0
    assert set(cache.of_folder("/data")) == {"a", "child"}
    assert cache._connection is not before


@pytest.mark.usefixtures("on_disk")
def test_a_cache_forgets_the_stale_first_and_then_the_oldest(
    cache: DigestCache, tmp_path: Path
) -> None:
    assert cache.shrink(0) == (0, 0, 0)
    folder = tmp_path / "many"
    folder.mkdir()
    read = []
    for number in range(2_000):
        path = folder / f"{number:04}"
        path.touch()
        os.utime(path, ns=(number * 10**9, number * 10**9))
        read.append((str(path), Stamp.of(os.stat(path)), DIGEST))
    cache.remember(read, read_at_ns=None)
    (folder / "1999").unlink()
    (folder / "1998").write_text("changed")
    assert cache.shrink(10**9).files_forgotten == 2
    assert len(cache.of_folder(str(folder))) == 1_998
    most = cache.size_bytes() // 2
    done = cache.shrink(most)
    assert done.bytes_left == cache.size_bytes() <= most
    left = sorted(cache.of_folder(str(folder)))
    assert left == [f"{number:04}" for number in range(1_998 - len(left), 1_998)]
    assert len(left) > 100
    assert cache.shrink(0).files_forgotten == len(left)
