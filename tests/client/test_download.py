"""Fetching into a folder: whole files only, skipped by digest, nothing outside touched."""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest
from tests.client.counting import counted_steps

from lineal.client.artifact import download, folder, known_files, verifying
from lineal.client.artifact.download import Download
from lineal.client.cache import DigestCache
from lineal.client.references import References
from lineal.core.digest import Digest, of_bytes, storage_key
from lineal.core.manifest import Entry
from lineal.core.records import VersionId
from lineal.core.transfers import Location
from lineal.errors import HostilePath, IntegrityError, Invalid, MissingFile
from lineal.files.stamps import Stamp

Files = dict[str, bytes]


class Far:
    """A backend whose bytes are not files of this machine; notes what is asked of it."""

    def __init__(self, files: Files) -> None:
        self.by_digest = {of_bytes(data): data for data in files.values()}
        self.located: list[list[Digest]] = []
        self.opened: list[Digest] = []

    def locate(self, version: VersionId, digests: list[Digest]) -> dict[Digest, Location]:
        self.located.append(list(digests))
        return {
            digest: Location(
                digest,
                len(self.by_digest[digest]),
                storage_key(digest, "n"),
                path=self.path(digest),
            )
            for digest in digests
            if digest in self.by_digest
        }

    def path(self, digest: Digest) -> str | None:
        return None

    def version_by_id(self, version: VersionId) -> SimpleNamespace:
        return SimpleNamespace(path="ana/vision/data:v0")

    def open(self, location: Location) -> BinaryIO:
        self.opened.append(location.digest)
        return BytesIO(self.by_digest[location.digest])


class Near(Far):
    """A backend whose bytes are files here."""

    def __init__(self, files: Files, folder: Path) -> None:
        super().__init__(files)
        self.folder = folder
        for digest, data in self.by_digest.items():
            (folder / digest).write_bytes(data)

    def path(self, digest: Digest) -> str | None:
        return str(self.folder / digest)


FILES = {"a.txt": b"a", "sub/deep/b.txt": b"b" * 3_000_000, "empty": b"", "same": b"a"}


def entries(files: Files) -> list[Entry]:
    return [Entry(path, of_bytes(data), len(data)) for path, data in sorted(files.items())]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


@pytest.fixture(params=["near", "far"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Far:
    if request.param == "far":
        return Far(FILES)
    (tmp_path / "store").mkdir()
    return Near(FILES, tmp_path / "store")


def fetch(backend: Far, target: Path, files: Files = FILES, **how: Any) -> None:
    chosen = entries(files)
    size = sum(entry.size for entry in chosen)
    with closing(DigestCache(str(target.parent / "cache"))) as cache:
        made = Download(
            backend,  # type: ignore[arg-type]
            VersionId(1),
            str(target),
            cache,
            references=References(timeout_seconds=1),
            **how,
        )
        made.run(chosen, count=len(chosen), size=size)


def content(root: Path) -> Files:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_every_file_arrives_whole(backend: Far, target: Path) -> None:
    fetch(backend, target)
    assert content(target) == FILES


def test_what_is_there_is_not_fetched_again(backend: Far, target: Path) -> None:
    fetch(backend, target)
    backend.located.clear()
    fetch(backend, target)
    assert backend.located == []


def test_only_what_is_missing_or_wrong_is_fetched(backend: Far, target: Path) -> None:
    fetch(backend, target)
    (target / "a.txt").write_bytes(b"z")  # the right size, the wrong content
    (target / "empty").unlink()
    backend.located.clear()
    fetch(backend, target)
    assert backend.located == [[of_bytes(b"a"), of_bytes(b"")]]
    assert content(target) == FILES


def test_a_file_of_the_right_size_and_old_times_is_still_read(backend: Far, target: Path) -> None:
    target.mkdir()
    (target / "a.txt").write_bytes(b"z")
    os.utime(target / "a.txt", (1, 1))
    fetch(backend, target, {"a.txt": b"a"})
    assert content(target) == {"a.txt": b"a"}


def test_a_file_put_there_by_hand_is_accepted_by_its_digest(backend: Far, target: Path) -> None:
    target.mkdir()
    (target / "a.txt").write_bytes(b"a")
    fetch(backend, target, {"a.txt": b"a"})
    assert backend.located == []


def test_one_file_of_many_is_fetched_without_a_look_at_the_others(
    backend: Far, target: Path
) -> None:
    fetch(backend, target, {"a.txt": b"a"})
    stamp = Stamp.at(str(target / "a.txt"))
    known = [(f"{target}/{number}", stamp, of_bytes(b"")) for number in range(1_000)]
    with counted_steps() as steps, closing(DigestCache(str(target.parent / "cache"))) as cache:
        cache.remember(known, read_at_ns=None)
        steps.clear()
        for _ in range(5):  # as in a loop over the entries of a version
            fetch(backend, target, {"a.txt": b"a"})
        fetched = len(steps)
        cache.of_folder(str(target))
        assert fetched < len(steps) - fetched


@pytest.mark.usefixtures("on_disk")
def test_a_file_put_there_by_hand_is_remembered_only_once_it_is_settled(
    backend: Far, target: Path
) -> None:
    target.mkdir()
    (target / "a.txt").write_bytes(b"a")
    just_now = time.time() + 60  # so that it is, however slow this test runs
    os.utime(target / "a.txt", (just_now, just_now))
    fetch(backend, target, {"a.txt": b"a"})
    with closing(DigestCache(str(target.parent / "cache"))) as cache:
        assert cache.of_folder(str(target)) == {}
        os.utime(target / "a.txt", (1, 1))
        fetch(backend, target, {"a.txt": b"a"})
        assert list(cache.of_folder(str(target))) == ["a.txt"]


@pytest.mark.usefixtures("on_disk")
def test_what_was_fetched_is_not_even_read_again(
    backend: Far, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(backend, target)
    monkeypatch.setattr(download, "hash_file", None)
    fetch(backend, target)
    assert len(backend.located) == 1


@pytest.mark.parametrize("path", FILES)
def test_bytes_without_the_digest_never_appear(backend: Far, target: Path, path: str) -> None:
    digest, wrong = of_bytes(FILES[path]), FILES[path][:-1] + b"z"
    backend.by_digest[digest] = wrong
    if isinstance(backend, Near):
        (backend.folder / digest).write_bytes(wrong)
    with pytest.raises(IntegrityError, match=f"{path} do not have the digest"):
        fetch(backend, target, {path: FILES[path]})
    assert content(target) == {}


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("link", [None, "hard", "symbolic"])
def test_what_the_store_has_lost_is_named(
    target: Path, tmp_path: Path, path: str, link: str | None
) -> None:
    (tmp_path / "store").mkdir()
    near = Near(FILES, tmp_path / "store")
    (near.folder / of_bytes(FILES[path])).unlink()
    with pytest.raises(IntegrityError, match=f"The store has lost .*{path} in ana/vision/data:v0"):
        fetch(near, target, {path: FILES[path]}, link=link)
    assert content(target) == {}


def test_a_pack_that_the_store_has_lost_is_named(target: Path, tmp_path: Path) -> None:
    class Packed(Far):
        def locate(self, version: VersionId, digests: list[Digest]) -> dict[Digest, Location]:
            found = super().locate(version, digests)
            gone = str(tmp_path / "gone.pack")
            return {digest: place._replace(pack=gone) for digest, place in found.items()}

    with pytest.raises(IntegrityError, match=r"The store has lost .*a\.txt in ana/vision/data:v0"):
        fetch(Packed(FILES), target)
    assert content(target) == {}


@pytest.mark.parametrize("link", ["hard", "symbolic"])
def test_files_in_new_folders_are_linked_too(
    target: Path, tmp_path: Path, link: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "store").mkdir()
    near = Near(FILES, tmp_path / "store")
    fetch(near, target, link=link)
    for path, data in FILES.items():
        assert os.path.samefile(target / path, near.folder / of_bytes(data))
        assert (target / path).is_symlink() == (link == "symbolic")
    assert "copied" not in capsys.readouterr().err


def test_a_failure_keeps_the_file_that_was_there(backend: Far, target: Path) -> None:
    target.mkdir()
    (target / "a.txt").write_bytes(b"mine")
    backend.by_digest.clear()
    with pytest.raises(MissingFile, match=r"a\.txt .* in ana/vision/data:v0 are not stored"):
        fetch(backend, target, {"a.txt": b"a"})
    assert content(target) == {"a.txt": b"mine"}


def test_a_second_call_after_a_failure_fetches_the_rest(backend: Far, target: Path) -> None:
    lost = backend.by_digest.pop(of_bytes(b""))
    with pytest.raises(MissingFile):
        fetch(backend, target)
    backend.by_digest[of_bytes(b"")] = lost
    fetch(backend, target)
    assert content(target) == FILES


def test_a_connection_that_breaks_leaves_no_half_file(target: Path) -> None:
    class Breaking(Far):
        def open(self, location: Location) -> BinaryIO:
            class Half(BytesIO):
                def read(self, size: int | None = -1) -> bytes:
                    if self.tell():
                        raise ConnectionError("gone")
                    return super().read(10)

            return Half(self.by_digest[location.digest])

    with pytest.raises(ConnectionError):
        fetch(Breaking(FILES), target, {"sub/deep/b.txt": FILES["sub/deep/b.txt"]})
    assert content(target) == {}


@pytest.mark.parametrize("path", ["../up", "/etc/passwd", "a/../../up", "C:/x", "n\0"])
def test_a_hostile_path_from_the_instance_is_refused(
    backend: Far, target: Path, tmp_path: Path, path: str
) -> None:
    with pytest.raises(HostilePath):
        fetch(backend, target, {path: b"a"})
    assert not (tmp_path / "up").exists()


def test_files_are_located_in_batches(monkeypatch: pytest.MonkeyPatch, target: Path) -> None:
    monkeypatch.setattr(download, "BATCH", 3)
    files = {f"{number}": str(number).encode() for number in range(8)}
    far = Far(files)
    fetch(far, target, files)
    assert [len(batch) for batch in far.located] == [3, 3, 2]
    assert content(target) == files


def test_files_are_writable_for_whoever_downloaded_them(backend: Far, target: Path) -> None:
    before = os.umask(0o002)  # as where a group works together
    try:
        fetch(backend, target)
    finally:
        os.umask(before)
    assert {os.stat(target / path).st_mode & 0o777 for path in FILES} == {0o664}
    (target / "a.txt").write_bytes(b"mine now")
    if isinstance(backend, Near):
        assert (backend.folder / of_bytes(b"a")).read_bytes() == b"a"


# --- holding a folder against entries -----------------------------------------------------------


@pytest.fixture
def filled(target: Path) -> Path:
    fetch(Far(FILES), target)
    return target


def test_a_whole_folder_is_verified(filled: Path) -> None:
    reference = Entry("ref", Digest("etag"), 1, "s3://b/k")
    assert verifying.folder(str(filled), [*entries(FILES), reference]) == (4, 1)


def test_a_change_that_keeps_size_and_times_is_found(filled: Path) -> None:
    before = os.stat(filled / "a.txt")
    (filled / "a.txt").write_bytes(b"z")
    os.utime(filled / "a.txt", ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(IntegrityError, match=r"a\.txt"):
        verifying.folder(str(filled), entries(FILES))


def test_what_a_killed_download_left_is_no_damage_and_goes_with_a_later_one(target: Path) -> None:
    class Killing(Far):
        def open(self, location: Location) -> BinaryIO:
            class Stream(BytesIO):
                def read(self, count: int | None = -1) -> bytes:
                    if self.tell():
                        os.kill(os.getpid(), signal.SIGKILL)
                    return super().read(count)

            return Stream(self.by_digest[location.digest])

    child = os.fork()
    if child == 0:
        try:
            fetch(Killing(FILES), target)
        finally:
            os._exit(1)
    os.waitpid(child, 0)
    (left,) = target.glob("*.part")  # of a.txt
    fetch(Far(FILES), target)
    assert verifying.folder(str(target), entries(FILES)) == (4, 0)
    os.utime(left, (0, 0))
    (target / "a.txt").unlink()
    fetch(Far(FILES), target)
    assert sorted(content(target)) == sorted(FILES)


@pytest.mark.parametrize("limits", [{"NOTED_FILES": 2}, {"NOTED_BYTES": 200}])
def test_what_a_killed_download_fetched_long_before_is_not_even_read_again(
    limits: dict[str, int], monkeypatch: pytest.MonkeyPatch, target: Path
) -> None:
    class Killing(Far):
        def open(self, location: Location) -> BinaryIO:
            if len(self.opened) == 5:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().open(location)

    for name, most in limits.items():
        monkeypatch.setattr(known_files, name, most)
    files = {str(number): bytes([number]) * 100 for number in range(9)}
    child = os.fork()
    if child == 0:
        try:
            fetch(Killing(files), target, files)
        finally:
            os._exit(1)
    os.waitpid(child, 0)
    read: list[str] = []
    hash_file = known_files.hash_file
    monkeypatch.setattr(
        known_files, "hash_file", lambda path: (read.append(path), hash_file(path))[1]
    )
    far = Far(files)
    fetch(far, target, files)
    assert read == [str(target / "4")]
    assert len(far.opened) == 4
    assert content(target) == files


def test_what_was_never_downloaded_cannot_be_verified(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="download the artifact first"):
        verifying.folder(str(tmp_path / "gone"), entries(FILES))


# --- with others in the folder -----------------------------------------------------------------


def test_several_may_check_out_into_one_folder(target: Path) -> None:
    class Disturbed(Far):
        def open(self, location: Location) -> BinaryIO:
            if self.opened.count(location.digest) == 0:  # the first time only
                return Disturbing(super().open(location).read())
            return super().open(location)

    class Disturbing(BytesIO):
        def close(self) -> None:  # when all is written, and before it has its name
            folder.remove(str(target), folder.surplus(str(target), entries(FILES)))
            super().close()

    fetch(Disturbed(FILES), target)
    assert content(target) == FILES


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_what_is_there_and_may_not_be_read_is_replaced(backend: Far, target: Path) -> None:
    fetch(backend, target)
    (target / "a.txt").chmod(0)
    fetch(backend, target)
    assert content(target) == FILES
