"""Files that change, vanish, or were never ordinary: a clear error, and nothing lost."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

import lineal
from lineal.errors import (
    ArtifactsFailed,
    HostilePath,
    Invalid,
    LinealError,
    MissingFile,
    SourceChanged,
    Unavailable,
)


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


@pytest.mark.parametrize("policy", ["mutable", "immutable"])
@pytest.mark.parametrize("year", [1902, 2400])
def test_a_file_of_any_time_can_be_logged(
    run: lineal.Run, artifact: lineal.Artifact, source: Path, year: int, policy: str
) -> None:
    (source / "data.bin").write_bytes(b"data")
    seconds = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
    os.utime(source / "data.bin", (seconds, seconds))
    artifact.add_dir(source, policy=policy)
    run.log_artifact(artifact).wait()
    assert Path(artifact.file()).read_bytes() == b"data"


@pytest.mark.parametrize("data", [b"something else", b"changed!"])
def test_an_immutable_file_that_changes_after_all_is_refused(
    run: lineal.Run, artifact: lineal.Artifact, source: Path, data: bytes
) -> None:
    settled(source / "data.bin", b"promised")
    artifact.add_file(source / "data.bin", policy="immutable")
    (source / "data.bin").write_bytes(data)
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
        lambda: artifact.add_reference(f"file://{source}/f", name or "./"),
        lambda: artifact.new_file(name).__enter__(),
    ]
    if name:  # an empty one means its own
        ways.append(lambda: artifact.add_file(source / "f", name))
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


def test_a_folder_whose_file_is_a_folder_of_the_version_it_adds_to_is_refused(
    run: lineal.Run, artifact: lineal.Artifact, tmp_path: Path
) -> None:
    artifact.add_bytes(b"file", "a")
    run.log_artifact(artifact).wait()
    (tmp_path / "more" / "a").mkdir(parents=True)
    (tmp_path / "more" / "a" / "b").write_bytes(b"inside")
    more = lineal.Artifact(artifact.name.partition(":")[0], artifact.type, incremental=True)
    more.add_dir(tmp_path / "more")
    with pytest.raises(Invalid, match="would be a file and a folder"):
        run.log_artifact(more).wait()
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
