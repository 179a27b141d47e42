"""What stands in the way of a download, and stored bytes that are damaged: a clear error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import lineal
from lineal.errors import (
    IntegrityError,
    InTheWay,
    LinealError,
    Unavailable,
)
from tests.robust import workers

# --- targets ------------------------------------------------------------------------------------


@pytest.fixture
def logged(run: lineal.Run) -> lineal.Artifact:
    artifact = lineal.Artifact("logged", "dataset")
    artifact.add_bytes(b"one", "one.txt")
    artifact.add_bytes(b"two", "sub/two.txt")
    return run.log_artifact(artifact).wait()


def test_a_folder_in_the_way_of_a_file_is_named(logged: lineal.Artifact, tmp_path: Path) -> None:
    (tmp_path / "target" / "one.txt" / "x").mkdir(parents=True)
    with pytest.raises(InTheWay, match=r"one\.txt is a folder, and a file of the artifact belongs"):
        logged.download(tmp_path / "target")
    assert [path.name for path in (tmp_path / "target").rglob("*.part")] == []


def test_a_file_in_the_way_of_a_folder_is_named(logged: lineal.Artifact, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "sub").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="target/sub is a file, and a folder belongs there"):
        logged.download(tmp_path / "target")
    assert (tmp_path / "target" / "sub").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("leads_to", "message"),
    [
        ("nowhere", r"target/sub is a link that leads nowhere, and a folder belongs there"),
        ("sub", r"Cannot write .*target/sub/two\.txt: Too many levels of symbolic links"),
    ],
)
def test_a_link_in_the_way_of_a_folder_is_named(
    logged: lineal.Artifact, tmp_path: Path, leads_to: str, message: str
) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "sub").symlink_to(leads_to)
    with pytest.raises(LinealError, match=message):
        logged.download(tmp_path / "target")
    assert not (tmp_path / "target" / "nowhere").exists()


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder that may not be looked into."""
    if os.geteuid() == 0:
        pytest.skip("root may look into any folder")
    folder = tmp_path / "target" / "closed"
    folder.mkdir(parents=True)
    folder.chmod(0)
    yield folder
    folder.chmod(0o755)


def test_a_target_that_may_not_be_looked_into_is_named(
    logged: lineal.Artifact, closed: Path
) -> None:
    for link in (None, "hard"):
        with pytest.raises(Unavailable, match=r"Cannot write .*closed/.*: Permission denied"):
            logged.download(closed, link=link)


def test_a_folder_that_may_not_be_looked_into_is_not_taken_for_empty(
    logged: lineal.Artifact, closed: Path
) -> None:
    logged.download(closed.parent)
    for hold in (logged.verify, logged.checkout):
        with pytest.raises(Unavailable, match=r"Cannot read .*target/closed: Permission denied"):
            hold(str(closed.parent))
    (closed.parent / "sub").chmod(0)
    try:
        with pytest.raises(Unavailable, match=r"Cannot read .*sub/two\.txt: Permission denied"):
            logged.verify(str(closed.parent))
    finally:
        (closed.parent / "sub").chmod(0o755)


@pytest.mark.parametrize("root", ["f.txt", "f.txt/below"])
@pytest.mark.parametrize("fetch", ["download", "checkout", "file"])
def test_a_file_in_the_way_of_the_target_itself_is_named(
    run: lineal.Run, root: str, fetch: str
) -> None:
    artifact = lineal.Artifact("one", "dataset")
    artifact.add_bytes(b"one", "one.txt")
    run.log_artifact(artifact).wait()
    Path("f.txt").write_bytes(b"mine")
    with pytest.raises(InTheWay, match=r"Cannot download into .*f\.txt.* is not a folder; move"):
        getattr(artifact, fetch)(root)
    assert Path("f.txt").read_bytes() == b"mine"


def test_where_downloads_cannot_go_the_variable_is_named(
    logged: lineal.Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not os.path.isdir("/proc/self"):
        pytest.skip("needs /proc")
    lineal.finish()
    monkeypatch.setenv("LINEAL_ARTIFACT_DIR", "/proc/nope")
    with pytest.raises(Unavailable, match=r"/proc/nope/logged:v0.*set LINEAL_ARTIFACT_DIR"):
        logged.download()


def test_a_link_in_the_target_is_replaced_not_written_through(
    logged: lineal.Artifact, tmp_path: Path
) -> None:
    (tmp_path / "outside").write_bytes(b"mine")
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "one.txt").symlink_to(tmp_path / "outside")
    logged.download(tmp_path / "target")
    assert (tmp_path / "outside").read_bytes() == b"mine"
    assert (tmp_path / "target" / "one.txt").read_bytes() == b"one"


def test_a_link_loop_in_the_target_is_replaced(logged: lineal.Artifact, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "one.txt").symlink_to("one.txt")
    logged.download(tmp_path / "target")
    assert (tmp_path / "target" / "one.txt").read_bytes() == b"one"


def blob_of(text: bytes) -> Path:
    from lineal.core.digest import of_bytes

    hex_digits = of_bytes(text).partition(":")[2]
    (found,) = Path(os.environ["LINEAL_HOME"], "blobs").rglob(f"{hex_digits}-*")
    return found


def test_a_damaged_blob_is_refused_and_no_file_appears(tmp_path: Path) -> None:
    with workers.start() as run:
        artifact = run.log_artifact(workers.draft("whole")).wait()
    blob = blob_of(b"whole")
    blob.chmod(0o600)
    blob.write_bytes(b"wrong")
    with pytest.raises(IntegrityError, match="do not have the digest"):
        artifact.download(tmp_path / "target")
    assert list((tmp_path / "target").iterdir()) == []


def test_a_lost_blob_is_named(tmp_path: Path) -> None:
    with workers.start() as run:
        artifact = run.log_artifact(workers.draft("whole")).wait()
    blob_of(b"whole").unlink()
    with pytest.raises(
        IntegrityError, match=r"has lost sha256/.*, the bytes of data.txt in ana/vision/data:v0; "
    ):
        artifact.download(tmp_path / "target")
