"""A full disk: a clear error, nothing half-written visible, and the same call works later."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import lineal
from lineal.client import session
from lineal.client.embedded.backend import EmbeddedBackend
from lineal.client.offline import bundles, sync
from lineal.config import load
from lineal.errors import ArtifactsFailed, NoSpace, Unavailable
from tests.robust import workers

DISK_BYTES = 8 << 20


def mounted(folder: Path, *, inodes: int = 10_000) -> bool:
    """Mount a small file system of its own; only root may."""
    if os.geteuid() != 0:
        return False
    folder.mkdir(exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES},nr_inodes={inodes}", "tmpfs", str(folder)]
    return subprocess.run(["mount", *options], capture_output=True, check=False).returncode == 0


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of 8 MiB that holds the home."""
    folder = tmp_path / "disk"
    if not mounted(folder):
        pytest.skip("needs the right to mount a small file system")
    monkeypatch.setenv("LINEAL_HOME", str(folder / "home"))
    yield folder
    session.close()
    unmount(folder)


def free_bytes(disk: Path) -> int:
    status = os.statvfs(disk)
    return status.f_bavail * status.f_frsize


def fill(disk: Path, leave: int = 0) -> Path:
    ballast = disk / "ballast"
    with open(ballast, "wb") as file:
        while (left := free_bytes(disk) - leave) > 0:
            try:
                file.write(bytes(min(left, 1 << 16)))
                file.flush()
            except OSError:
                break
    return ballast


def assert_invariants() -> None:
    backend = session.open_backend(load())
    assert isinstance(backend, EmbeddedBackend)
    assert list(backend.verify()) == []


def large(tmp_path: Path, size: int) -> Path:
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(size))
    return path


def test_a_file_that_does_not_fit_is_refused_when_it_is_added(disk: Path, tmp_path: Path) -> None:
    path = large(tmp_path, DISK_BYTES)
    with workers.start():
        before = free_bytes(disk)
        with pytest.raises(NoSpace, match=r"No space left to write .*immutable.*add_reference"):
            lineal.Artifact("data", "dataset").add_file(path)
        assert free_bytes(disk) >= before - (1 << 18), "the part that was copied stays"
    assert_invariants()


def test_a_folder_that_does_not_fit_gives_back_what_was_copied(disk: Path, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(20):
        (folder / str(number)).write_bytes(os.urandom(DISK_BYTES // 10))
    artifact = lineal.Artifact("data", "dataset")
    with workers.start() as run:
        before = free_bytes(disk)
        with pytest.raises(NoSpace):
            artifact.add_dir(folder)
        assert len(artifact.manifest) == 0
        assert free_bytes(disk) >= before - (1 << 18), "copies of the refused folder stay"
        artifact.add_dir(folder, include="/1")
        run.log_artifact(artifact).wait()
    assert_invariants()


def test_an_immutable_file_that_must_be_copied_and_does_not_fit_fails_by_name(
    disk: Path, tmp_path: Path
) -> None:
    path = large(tmp_path, DISK_BYTES)
    artifact = lineal.Artifact("data", "dataset")
    artifact.add_file(path, policy="immutable")
    run = workers.start()
    run.log_artifact(artifact)
    with pytest.raises(NoSpace, match=r"No space left to write .*repeat the call"):
        artifact.wait()
    assert artifact.is_draft()
    with pytest.raises(ArtifactsFailed, match=r"data: No space left"):
        run.finish()
    assert not lineal.Api({"project": "vision"}).artifact_exists("data")
    assert_invariants()


def test_the_call_may_be_repeated_where_nobody_else_has_what_went_in_a_pack(
    disk: Path, tmp_path: Path
) -> None:
    artifact = lineal.Artifact("data", "dataset")
    for number in range(200):
        artifact.add_bytes(b"%d" % number, f"{number}")
    artifact.add_file(large(tmp_path, 4 << 20), policy="immutable")
    run = workers.start()
    ballast = fill(disk, leave=1 << 20)
    with pytest.raises(NoSpace, match="repeat the call"):
        run.log_artifact(artifact).wait()
    ballast.unlink()
    logged = run.log_artifact(artifact).wait()
    assert logged.file_count == 201
    run.finish()
    assert_invariants()


def test_the_call_may_be_repeated_after_some_of_the_files_went_in_a_pack(
    disk: Path, tmp_path: Path
) -> None:
    artifact = lineal.Artifact("data", "dataset")
    artifact.add_dir(workers.many_files(tmp_path / "small"))
    artifact.add_file(large(tmp_path, 4 << 20), policy="immutable")
    run = workers.start()
    ballast = fill(disk, leave=1 << 20)
    with pytest.raises(NoSpace, match="repeat the call"):
        run.log_artifact(artifact).wait()
    assert list((disk / "home" / "blobs").rglob("*.pack"))  # it came before the large file
    ballast.unlink()
    logged = run.log_artifact(artifact).wait()
    assert logged.version == "v0"
    logged.download(root=str(tmp_path / "out"))
    assert (tmp_path / "out" / "77").read_text() == "content 77"
    run.finish()
    assert_invariants()


def test_logging_to_a_full_disk_fails_and_succeeds_once_there_is_room(
    disk: Path, tmp_path: Path
) -> None:
    run = workers.start()
    run.log_artifact(workers.draft("before")).wait()
    ballast = fill(disk)
    try:
        with pytest.raises(Unavailable):
            run.log_artifact(workers.draft("x" * (1 << 20))).wait()
    finally:
        ballast.unlink()
    again = run.log_artifact(workers.draft("x" * (1 << 20))).wait()
    assert again.version == "v1"
    with suppress(ArtifactsFailed):  # where the first attempt came as far as being logged
        run.finish()
    assert_invariants()


@pytest.mark.parametrize("leave", [0, 8 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10])
def test_wherever_the_disk_becomes_full_nothing_is_half(
    disk: Path, tmp_path: Path, leave: int
) -> None:
    """Room for nothing, for some copies, for all copies but not for the rows …"""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(10):
        (source / str(number)).write_bytes(os.urandom(9 << 10))

    def log() -> lineal.Artifact:
        artifact = lineal.Artifact("data", "dataset")
        artifact.add_dir(source)
        return run.log_artifact(artifact).wait()

    run = workers.start()
    run.log_artifact(workers.draft("before")).wait()
    ballast = fill(disk, leave)
    api = lineal.Api({"project": "vision"})
    try:
        log()
    except Unavailable:
        assert [each.version for each in api.artifacts(name="data")] == ["v0"]
    finally:
        ballast.unlink()
    again = log()
    assert (again.version, again.file_count) == ("v1", 10)
    assert [each.version for each in api.artifacts(name="data")] == ["v1", "v0"]
    with suppress(ArtifactsFailed):  # where the first attempt came as far as being logged
        run.finish()
    assert_invariants()


def test_values_logged_to_a_full_disk_are_not_lost(disk: Path) -> None:
    run = workers.start()
    run.log({"loss": 1.0})
    ballast = fill(disk, 64 << 10)  # the lines themselves need a little room
    try:
        run.log({"loss": 0.5})
    finally:
        ballast.unlink()
    run.finish()
    rows = list(lineal.Api({"project": "vision"}).run(run.id).scan_history())
    assert [row["loss"] for row in rows] == [1.0, 0.5]


def test_a_finish_that_failed_names_the_artifacts_and_may_be_repeated(
    disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = lineal.init(config={"lr": 0.1}, settings=workers.QUIET | {"silent": False})
    artifact = workers.draft("x" * (1 << 20), name="weights")
    ballast = fill(disk)
    for step in range(300):
        run.log({"step": step})
    run.log_artifact(artifact)
    with pytest.raises(Unavailable):
        run.finish()
    assert "weights: " in capsys.readouterr().err
    assert lineal.run is None

    ballast.unlink()
    assert run.log_artifact(artifact).wait().version == "v0"
    run.finish()
    run.finish()  # does nothing
    found = lineal.Api().run(run.path)
    assert (found.state, found.config) == ("finished", {"lr": 0.1})
    assert [row["step"] for row in found.scan_history()] == list(range(300))
    assert_invariants()


def test_a_home_on_a_full_disk_says_so(disk: Path) -> None:
    ballast = fill(disk)
    try:
        with pytest.raises(Unavailable, match=r"full|No space|LINEAL_HOME"):
            workers.start()
    finally:
        ballast.unlink()
    workers.start().finish()
    assert_invariants()


@pytest.mark.parametrize("left", [0, 8 << 10, 40 << 10, 200 << 10])
def test_an_offline_run_that_finds_no_room_leaves_no_folder(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    monkeypatch.setenv("LINEAL_DIR", str(disk))
    lineal.init(mode="offline", project="p").finish()
    folders = sorted(disk.rglob("offline-run-*"))
    ballast = fill(disk, leave=left)
    with pytest.raises((NoSpace, Unavailable), match=r"full|space"):
        lineal.init(mode="offline", project="p")
    assert sorted(disk.rglob("offline-run-*")) == folders
    ballast.unlink()
    lineal.init(mode="offline", project="p").finish()


def test_an_offline_run_is_synced_from_a_disk_that_is_full(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINEAL_HOME", str(tmp_path / "home"))
    with lineal.init(mode="offline", project="p", id="a", dir=str(disk)) as run:
        run.log({"loss": 0.5})
        run.log_artifact(workers.draft("content")).wait()
    session.close()
    (folder,) = sync.find_folders(str(disk))
    fill(disk)
    settings = load()
    target = session.open_backend(settings)
    (result,) = sync.sync([folder], target, settings=settings, clean=True)
    assert result.failures == {}
    assert lineal.Api().run("p/a").history(pandas=False)[0]["loss"] == 0.5
    assert lineal.Api().artifact("p/data:v0").logged_by().id == "a"
    assert not os.path.exists(folder)


def test_a_download_to_a_full_disk_leaves_no_half_file(disk: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    if not mounted(other):
        pytest.skip("needs the right to mount a small file system")
    try:
        with workers.start() as run:
            artifact = run.log_artifact(workers.draft("y" * (1 << 20))).wait()
        ballast = fill(other, 1 << 19)
        with pytest.raises(NoSpace):
            artifact.download(other / "target")
        assert [path for path in (other / "target").rglob("*") if path.is_file()] == []
        ballast.unlink()
        artifact.download(other / "target")
        artifact.verify(str(other / "target"))
    finally:
        unmount(other)


def test_a_sweep_by_itself_that_cannot_be_noted_says_so(disk: Path) -> None:
    with workers.start() as run:
        backend = run.backend
    (disk / "home" / "gc.last").unlink()
    fill(disk)
    with pytest.raises(NoSpace, match="No space left to write"):
        backend.sweep_if_due()


@pytest.mark.parametrize("inodes", [2, 3, 7, 8, 12])
def test_a_bundle_on_a_disk_without_inodes_names_what_is_full(tmp_path: Path, inodes: int) -> None:
    other = tmp_path / "other"
    if not mounted(other, inodes=inodes):
        pytest.skip("needs the right to mount a small file system")
    try:
        with workers.start() as run:
            artifact = run.log_artifact(workers.draft("content")).wait()
        backend, settings = session.open_backend(load()), load()
        record = backend.version_by_id(artifact._record.id)
        with pytest.raises(NoSpace, match=rf"No inodes \(`df -i`\) left to write {other}/bundle/"):
            bundles.export(backend, [record], str(other / "bundle"), settings=settings)
        subprocess.run(["mount", "-o", "remount,nr_inodes=100", str(other)], check=True)
        bundles.export(backend, [record], str(other / "bundle"), settings=settings)
        assert bundles.import_(str(other / "bundle"), backend, settings=settings)
    finally:
        unmount(other)
