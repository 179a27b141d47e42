"""Files that change, vanish, or were never ordinary: a clear error, and nothing lost."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import lineal
from lineal.client import session
from lineal.client.embedded import EmbeddedBackend
from lineal.config import load
from lineal.errors import (
    ArtifactsFailed,
    HostilePath,
    IntegrityError,
    InTheWay,
    Invalid,
    LinealError,
    MissingFile,
    SourceChanged,
    Unavailable,
)
from tests.robust import workers


@pytest.fixture
def run() -> Iterator[lineal.Run]:
    """An active run; afterwards everything that is stored is held against the invariants."""
    started = workers.start()
    yield started
    if not started._is_finished:
        started.finish()
    backend = session.open_backend(load())
    assert isinstance(backend, EmbeddedBackend)
    assert list(backend.verify()) == []


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def artifact() -> lineal.Artifact:
    return lineal.Artifact("data", "dataset")


def paths(artifact: lineal.Artifact) -> list[str]:
    return list(artifact.manifest.entries)


def staged_bytes() -> int:
    staging = Path(os.environ["LINEAL_HOME"], "staging")
    return sum(path.stat().st_size for path in staging.rglob("*") if path.is_file())


# --- sources that change ------------------------------------------------------------------------


def test_a_mutable_file_may_change_as_soon_as_it_is_added(
    run: lineal.Run, artifact: lineal.Artifact, source: Path
) -> None:
    (source / "model.pt").write_bytes(b"epoch 1")
    artifact.add_file(source / "model.pt")
    (source / "model.pt").write_bytes(b"epoch 2")
    run.log_artifact(artifact).wait()
    assert Path(artifact.file()).read_bytes() == b"epoch 1"


def test_a_mutable_file_may_vanish_as_soon_as_it_is_added(
    run: lineal.Run, artifact: lineal.Artifact, source: Path
) -> None:
    (source / "model.pt").write_bytes(b"weights")
    artifact.add_dir(source)
    (source / "model.pt").unlink()
    run.log_artifact(artifact).wait()
    assert Path(artifact.file()).read_bytes() == b"weights"


def settled(path: Path, data: bytes) -> None:
    """Write a file and let it look as old as most are, so that its digest is remembered."""
    path.write_bytes(data)
    os.utime(path, ns=(1_600_000_000_123_456_789, 1_600_000_000_123_456_789))


def test_an_immutable_file_that_changes_after_all_is_refused(
    run: lineal.Run, artifact: lineal.Artifact, source: Path
) -> None:
    settled(source / "data.bin", b"promised")
    artifact.add_file(source / "data.bin", policy="immutable")
    (source / "data.bin").write_bytes(b"something else")
    with pytest.raises(SourceChanged, match=r"data\.bin changed after it was added"):
        run.log_artifact(artifact).wait()
    with pytest.raises(ArtifactsFailed, match=r"data\.bin changed"):
        run.finish()


def test_an_immutable_file_replaced_by_one_of_the_same_size_is_refused(
    run: lineal.Run, artifact: lineal.Artifact, source: Path
) -> None:
    settled(source / "data.bin", b"one")
    artifact.add_file(source / "data.bin", policy="immutable")
    settled(source / "other", b"two")
    os.replace(source / "other", source / "data.bin")
    with pytest.raises(SourceChanged, match=r"data\.bin changed after it was added"):
        run.log_artifact(artifact).wait()
    with pytest.raises(ArtifactsFailed):
        run.finish()


def test_an_immutable_file_that_vanished_is_named(
    run: lineal.Run, artifact: lineal.Artifact, source: Path
) -> None:
    settled(source / "data.bin", b"promised")
    artifact.add_file(source / "data.bin", policy="immutable")
    (source / "data.bin").unlink()
    with pytest.raises(MissingFile, match=r"data\.bin does not exist"):
        run.log_artifact(artifact).wait()
    with pytest.raises(ArtifactsFailed):
        run.finish()


def test_a_file_that_grows_while_it_is_added_is_refused_and_nothing_stays(
    artifact: lineal.Artifact, source: Path
) -> None:
    (source / "log.txt").write_bytes(bytes(40 << 20))
    stop, begun = threading.Event(), threading.Event()

    def write() -> None:
        with open(source / "log.txt", "ab", buffering=0) as file:
            while not stop.is_set():
                file.write(b"more")
                begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    begun.wait()
    try:
        with pytest.raises(SourceChanged, match=r"log\.txt changed while it was being read"):
            artifact.add_file(source / "log.txt")
    finally:
        stop.set()
        writer.join()
    assert paths(artifact) == []
    assert staged_bytes() == 0


def test_a_refused_folder_leaves_neither_entries_nor_copies(
    artifact: lineal.Artifact, source: Path
) -> None:
    (source / "a").write_bytes(b"fine")
    (source / "b").symlink_to("nowhere")
    with pytest.raises(Invalid):
        artifact.add_dir(source)
    os.unlink(source / "b")
    (source / "x\ny").write_bytes(b"late")
    with pytest.raises(HostilePath):
        artifact.add_dir(source)
    assert paths(artifact) == []
    assert staged_bytes() == 0


# --- what is left to finish() -------------------------------------------------------------------


def test_finish_names_every_artifact_that_failed_and_stores_the_others(
    run: lineal.Run, source: Path
) -> None:
    for name in ("one", "two", "three"):
        settled(source / name, name.encode())
        artifact = lineal.Artifact(name, "dataset")
        artifact.add_file(source / name, policy="immutable")
        if name != "two":
            (source / name).write_bytes(b"changed meanwhile")
        run.log_artifact(artifact)
    with pytest.raises(ArtifactsFailed) as failed:
        run.finish()
    assert sorted(failed.value.failures) == ["one", "three"]
    assert all(isinstance(cause, SourceChanged) for cause in failed.value.failures.values())
    assert "2 artifacts were not stored" in str(failed.value)
    api = lineal.Api({"project": "vision"})
    assert api.artifact("two:latest").version == "v0"
    assert not api.artifact_exists("one:latest")
    assert api.run(run.id).state == "failed"


def test_a_failure_may_be_a_warning_instead(
    monkeypatch: pytest.MonkeyPatch, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LINEAL_RAISE_ON_FAILED_ARTIFACTS", "false")
    run = lineal.init()
    settled(source / "f", b"x")
    artifact = lineal.Artifact("data", "dataset")
    artifact.add_file(source / "f", policy="immutable")
    (source / "f").unlink()
    run.log_artifact(artifact)
    run.finish()
    assert "data" in capsys.readouterr().err


def test_the_same_files_can_be_logged_after_a_failure(
    run: lineal.Run, artifact: lineal.Artifact, source: Path
) -> None:
    settled(source / "f", b"x")
    artifact.add_file(source / "f", policy="immutable")
    (source / "f").write_bytes(b"y")
    with pytest.raises(SourceChanged):
        run.log_artifact(artifact).wait()
    again = lineal.Artifact("data", "dataset")
    again.add_file(source / "f", policy="immutable")
    assert run.log_artifact(again).wait().version == "v0"
    with pytest.raises(ArtifactsFailed):
        run.finish()


# --- paths that leave the folder, or that no disk can hold --------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../up",
        "a/../../up",
        "/etc/passwd",
        "a\\..\\..\\up",
        "C:/windows",
        "nul\0byte",
        "new\nline",
        "carriage\rreturn",
        os.fsdecode(b"not-utf8-\xff"),
        "x" * 300,
        "",
        ".",
        "..",
    ],
)
def test_a_hostile_name_is_refused_by_every_way_to_add(
    artifact: lineal.Artifact, source: Path, name: str
) -> None:
    (source / "f").write_bytes(b"x")
    ways = [
        lambda: artifact.add_bytes(b"x", name),
        lambda: artifact.add_file(source / "f", name),
        lambda: artifact.add_reference(f"file://{source}/f", name or "./"),
        lambda: artifact.new_file(name).__enter__(),
    ]
    if name not in ("", "."):  # these mean no folder
        ways.append(lambda: artifact.add_dir(source, name))
    for way in ways:
        with pytest.raises(HostilePath):
            way()
    assert paths(artifact) == []
    assert staged_bytes() == 0


@pytest.mark.parametrize("name", [b"new\nline", b"not-utf8-\xff", b"carriage\rreturn"])
def test_a_hostile_file_name_in_a_folder_is_named(
    artifact: lineal.Artifact, source: Path, name: bytes
) -> None:
    Path(os.fsdecode(bytes(source) + b"/" + name)).write_bytes(b"x")
    with pytest.raises(HostilePath, match="Path"):
        artifact.add_dir(source)
    with pytest.raises(HostilePath):
        artifact.add_reference(f"file://{source}")
    assert paths(artifact) == []


def test_a_file_below_a_folder_that_is_not_unicode_is_logged(
    run: lineal.Run, artifact: lineal.Artifact, tmp_path: Path
) -> None:
    folder = os.fsdecode(bytes(tmp_path) + b"/caf\xe9")
    os.mkdir(folder)
    Path(folder, "a").write_bytes(b"a")
    Path(folder, "b").write_bytes(b"b")
    artifact.add_dir(folder)
    artifact.add_file(f"{folder}/a", "again", policy="immutable")
    assert artifact.get_added_local_path_name(f"{folder}/b") == "b"
    run.log_artifact(artifact).wait()
    assert paths(artifact) == ["a", "again", "b"]


@pytest.mark.parametrize("name", ["naïve/日本.txt", "a b/c d", "quote'\"", "-rf", "~", "%2e%2e"])
def test_odd_but_harmless_names_survive(
    run: lineal.Run, artifact: lineal.Artifact, source: Path, name: str
) -> None:
    path = source / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(name.encode())
    artifact.add_dir(source)
    run.log_artifact(artifact).wait()
    assert (Path(artifact.download()) / name).read_bytes() == name.encode()
    artifact.verify()


def test_names_that_differ_only_in_case_both_survive(
    run: lineal.Run, artifact: lineal.Artifact, source: Path
) -> None:
    (source / "Readme").write_bytes(b"upper")
    (source / "README").write_bytes(b"all upper")
    if len(os.listdir(source)) < 2:
        pytest.skip("this file system does not tell them apart")
    artifact.add_dir(source)
    run.log_artifact(artifact).wait()
    folder = Path(artifact.download())
    assert (folder / "Readme").read_bytes() == b"upper"
    assert (folder / "README").read_bytes() == b"all upper"


def test_names_in_different_unicode_forms_both_survive(
    run: lineal.Run, artifact: lineal.Artifact
) -> None:
    artifact.add_bytes(b"composed", "caf\u00e9")
    artifact.add_bytes(b"decomposed", "cafe\u0301")
    run.log_artifact(artifact).wait()
    folder = Path(artifact.download())
    assert (folder / "caf\u00e9").read_bytes() == b"composed"
    assert (folder / "cafe\u0301").read_bytes() == b"decomposed"


def test_a_path_that_is_file_and_folder_is_refused(
    run: lineal.Run, artifact: lineal.Artifact
) -> None:
    artifact.add_bytes(b"file", "a")
    artifact.add_bytes(b"inside", "a/b")
    with pytest.raises(Invalid, match="'a' would be a file and a folder"):
        run.log_artifact(artifact).wait()
    with pytest.raises(ArtifactsFailed):
        run.finish()


# --- what is no ordinary file -------------------------------------------------------------------


def test_a_link_to_a_folder_that_holds_it_is_refused_by_name(
    artifact: lineal.Artifact, source: Path
) -> None:
    (source / "sub").mkdir()
    (source / "sub" / "loop").symlink_to(source)
    (source / "a").write_bytes(b"a")
    with pytest.raises(Invalid, match=r"sub/loop is a symbolic link to a folder that holds it"):
        artifact.add_dir(source)
    with pytest.raises(Invalid, match="loop"):
        artifact.add_reference(f"file://{source}")
    artifact.add_dir(source, exclude="loop")
    assert paths(artifact) == ["a"]


def test_a_link_to_itself_is_refused_by_name(artifact: lineal.Artifact, source: Path) -> None:
    (source / "loop").symlink_to("loop")
    with pytest.raises((Invalid, MissingFile), match="loop"):
        artifact.add_dir(source)
    with pytest.raises((Invalid, MissingFile), match="loop"):
        artifact.add_file(source / "loop")


def test_a_link_that_leads_nowhere_is_refused_by_name(
    artifact: lineal.Artifact, source: Path
) -> None:
    (source / "dangling").symlink_to("gone")
    with pytest.raises(Invalid, match="dangling is a symbolic link that leads nowhere"):
        artifact.add_dir(source)
    with pytest.raises(Invalid, match="dangling is a symbolic link that leads nowhere"):
        artifact.add_file(source / "dangling")


@pytest.mark.parametrize("policy", ["mutable", "immutable"])
def test_a_link_to_a_file_is_stored_as_the_file(
    run: lineal.Run, artifact: lineal.Artifact, source: Path, policy: str
) -> None:
    (source / "real").write_bytes(b"real")
    (source / "link").symlink_to("real")
    artifact.add_file(source / "link", policy=policy)
    run.log_artifact(artifact).wait()
    fetched = Path(artifact.download(), "link")
    assert not fetched.is_symlink()
    assert fetched.read_bytes() == b"real"


def test_a_fifo_is_refused_without_being_opened(artifact: lineal.Artifact, source: Path) -> None:
    os.mkfifo(source / "pipe")
    with pytest.raises(Invalid, match="pipe is neither a file nor a folder"):
        artifact.add_dir(source)
    with pytest.raises(Invalid, match="pipe is neither a file nor a folder"):
        artifact.add_file(source / "pipe")
    with pytest.raises(LinealError, match="pipe"):
        artifact.add_reference(f"file://{source}/pipe")


def test_a_file_that_may_not_be_read_is_named(artifact: lineal.Artifact, source: Path) -> None:
    (source / "secret").write_bytes(b"x")
    (source / "secret").chmod(0)
    if os.access(source / "secret", os.R_OK):
        pytest.skip("root may read everything")
    with pytest.raises(Unavailable, match=r"Cannot read .*secret"):
        artifact.add_dir(source)


def test_a_file_whose_size_is_made_up_is_refused(artifact: lineal.Artifact) -> None:
    if not os.path.exists("/proc/version"):
        pytest.skip("needs /proc")
    for policy in ("mutable", "immutable"):
        with pytest.raises(SourceChanged, match="/proc/version"):
            artifact.add_file("/proc/version", policy=policy)


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
