"""Filling a draft: files, objects (ART-16…ART-25); folders are in test_adding_folders."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.client.artifact.conftest import content, draft, paths
from tests.client.counting import counted_steps
from tests.test_files import file_size_limit

import lineal
from lineal.client.artifact import adding
from lineal.client.artifact.artifact import Artifact
from lineal.client.artifact.manifest import ManifestEntry
from lineal.config import load
from lineal.core.digest import of_bytes
from lineal.errors import ArtifactFinalizedError, HostilePath, Invalid, NoSpace
from lineal.files.stamps import Stamp

# --- adding files (ART-16…ART-19) ---------------------------------------------------------------


def test_a_file_is_named_by_its_basename(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "f.bin").write_bytes(b"data")
    artifact = Artifact("data", "dataset")
    entry = artifact.add_file(tmp_path / "deep" / "f.bin")
    assert isinstance(entry, ManifestEntry)
    assert (entry.path, entry.size, entry.digest) == ("f.bin", 4, of_bytes(b"data"))


def test_so_is_one_that_is_added_under_no_name(tmp_path: Path) -> None:
    artifact = Artifact("data", "dataset")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.txt").write_text("a")
    assert artifact.add_file(str(tmp_path / "deep" / "a.txt"), name="").path == "a.txt"


def test_one_file_of_many_is_added_without_a_look_at_the_others(tmp_path: Path) -> None:
    (tmp_path / "f.bin").write_bytes(b"data")
    artifact = Artifact("data", "dataset")
    artifact.add_file(tmp_path / "f.bin")
    cache, stamp = adding.adder(load()).cache, Stamp.at(str(tmp_path / "f.bin"))
    known = [(f"{tmp_path}/{number}", stamp, of_bytes(b"")) for number in range(1_000)]
    cache.remember(known, read_at_ns=None)
    cache.close()
    with counted_steps() as steps:
        for _ in range(10):  # as in a loop over the files of a folder
            artifact.add_file(tmp_path / "f.bin")
        added = len(steps)
        cache.of_folder(str(tmp_path))
        assert added < len(steps) - added


def test_data_of_lineals_own_is_left_out_of_a_folder(
    run: lineal.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    (work / "data" / "blobs").mkdir(parents=True)
    (work / "data" / "blobs" / "a").write_text("a")
    with lineal.init(mode="offline", dir=str(work), reinit="create_new") as offline:
        offline.log({"loss": 1})
        artifact = Artifact("data", "dataset")
        artifact.add_dir(str(work))
    assert list(artifact.manifest.entries) == ["data/blobs/a"]
    assert "holds data of Lineal's own and is left out" in capsys.readouterr().err
    run.log_artifact(artifact).wait()


@pytest.mark.parametrize("method", ["add_file", "add_dir", "get_added_local_path_name"])
def test_what_no_file_can_be_called_is_a_value_error(method: str) -> None:
    with pytest.raises(Invalid, match="contains a NUL"):
        getattr(Artifact("data", "dataset"), method)("a\0b")
    with pytest.raises(TypeError, match="must be a text or a path, not None"):
        getattr(Artifact("data", "dataset"), method)(None)


def test_text_is_not_added_as_bytes() -> None:
    with pytest.raises(TypeError, match=r"not text; give `text.encode\(\)`"):
        Artifact("data", "dataset").add_bytes("text", "a.txt")  # type: ignore[arg-type]  # as users may


def test_a_file_may_be_given_a_name(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    artifact = Artifact("data", "dataset")
    artifact.add_file(str(tmp_path / "f"), name="sub/./g")
    assert paths(artifact) == ["sub/g"]


@pytest.mark.parametrize("what", [".", "missing"])
def test_what_is_no_file_is_a_value_error(what: str) -> None:
    with pytest.raises(ValueError, match=r"is a folder|does not exist"):
        Artifact("data", "dataset").add_file(what)


def test_an_unknown_policy_is_a_value_error(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    with pytest.raises(ValueError, match="use `mutable` or `immutable`"):
        Artifact("data", "dataset").add_file(tmp_path / "f", policy="fast")
    with pytest.raises(ValueError, match="use `mutable` or `immutable`"):
        Artifact("data", "dataset").add_dir(tmp_path, policy="fast")


@pytest.mark.parametrize("policy", ["mutable", "immutable", None])
def test_all_policies_store_the_same_version(
    run: lineal.Run, tmp_path: Path, policy: str | None
) -> None:
    (tmp_path / "f").write_bytes(b"same")
    for each in ("mutable", policy):
        artifact = Artifact("data", "dataset")
        artifact.add_file(tmp_path / "f", policy=each)
        assert run.log_artifact(artifact).wait().version == "v0"


def test_adding_the_same_content_again_changes_nothing() -> None:
    artifact = draft({"f": b"x"})
    before = artifact.digest
    artifact.add_bytes(b"x", "f")
    assert (artifact.digest, len(artifact.manifest)) == (before, 1)


def test_adding_other_content_under_the_same_path_needs_overwrite(tmp_path: Path) -> None:
    artifact = draft({"f": b"x"})
    (tmp_path / "f").write_bytes(b"y")
    with pytest.raises(ValueError, match="Cannot add 'f' twice with different content"):
        artifact.add_file(tmp_path / "f")
    artifact.add_file(tmp_path / "f", overwrite=True)
    assert artifact.manifest.entries["f"].digest == of_bytes(b"y")


@pytest.mark.usefixtures("on_disk")
def test_also_a_file_whose_digest_is_known_needs_overwrite(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"known")
    os.utime(tmp_path / "f", (0, 0))  # old enough for the digest cache
    draft().add_file(tmp_path / "f")
    artifact = draft({"f": b"x"})
    with pytest.raises(ValueError, match="overwrite"):
        artifact.add_file(tmp_path / "f")
    artifact.add_file(tmp_path / "f", overwrite=True)
    assert artifact.manifest.entries["f"].digest == of_bytes(b"known")


def test_overwritten_content_is_what_is_stored(run: lineal.Run) -> None:
    artifact = draft({"f": b"before"})
    artifact.add_bytes(b"after", "f", overwrite=True)
    run.log_artifact(artifact).wait()
    assert content(artifact.download()) == {"f": b"after"}


@pytest.mark.parametrize("endings", ["", ".png", ".tar.gz"])
def test_a_temporary_file_is_named_by_its_digest(tmp_path: Path, endings: str) -> None:
    (tmp_path / "f").write_bytes(b"x")
    name = f"v1.0/f{endings}"
    entry = Artifact("data", "dataset").add_file(tmp_path / "f", name, is_tmp=True)
    assert entry.path == f"v1.0/{of_bytes(b'x').partition(':')[2][:20]}{endings}"


def test_empty_files_are_kept(run: lineal.Run) -> None:
    artifact = run.log_artifact(draft({"empty": b""})).wait()
    assert content(artifact.download()) == {"empty": b""}


def test_an_added_file_knows_its_name_inside(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    artifact = Artifact("data", "dataset")
    artifact.add_file(tmp_path / "f", "inside")
    assert artifact.get_added_local_path_name(str(tmp_path / "f")) == "inside"
    assert artifact.get_added_local_path_name("elsewhere") is None


def test_an_entry_of_a_draft_knows_where_it_came_from(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    artifact = Artifact("data", "dataset")
    assert artifact.add_file(tmp_path / "f").local_path == str(tmp_path / "f")


# --- new_file, objects, remove (ART-21, ART-23…ART-25) ------------------------------------------


def test_a_new_file_is_added_when_its_block_ends(run: lineal.Run) -> None:
    artifact = Artifact("data", "dataset")
    with artifact.new_file("sub/notes.txt", encoding="utf-8") as file:
        file.write("héllo")
        assert paths(artifact) == []
    with artifact.new_file("raw", mode="xb") as file:
        file.write(b"\0")
    run.log_artifact(artifact).wait()
    assert content(artifact.download()) == {"sub/notes.txt": "héllo".encode(), "raw": b"\0"}


@pytest.mark.parametrize("letter", ["a", "é", "漢", "\N{PILE OF POO}"])
def test_a_new_file_may_have_a_name_as_long_as_there_are(letter: str) -> None:
    name = letter * (255 // len(letter.encode()))
    artifact = Artifact("data", "dataset")
    with artifact.new_file(name) as file:
        file.write("x")
    assert paths(artifact) == [name]


def test_a_new_file_refuses_a_taken_name_unless_it_overwrites() -> None:
    artifact = draft({"f": b"x"})
    with pytest.raises(ValueError, match="added already"), artifact.new_file("f"):
        pass
    with artifact.new_file("f", mode="w") as file:
        file.write("y")
    assert artifact.manifest.entries["f"].digest == of_bytes(b"y")


def test_a_new_file_whose_block_fails_is_not_added() -> None:
    artifact = Artifact("data", "dataset")
    with pytest.raises(ZeroDivisionError), artifact.new_file("f") as file:
        file.write(str(1 / 0))
    assert paths(artifact) == []


def test_a_new_file_that_does_not_fit_says_so_and_other_errors_stay_as_they_are() -> None:
    artifact = Artifact("data", "dataset")
    with file_size_limit(100), pytest.raises(NoSpace), artifact.new_file("f") as file:
        file.write("x" * 101)
    with pytest.raises(ConnectionError, match="gone"), artifact.new_file("f"):
        raise ConnectionError("gone")
    assert paths(artifact) == []


def test_text_that_cannot_be_encoded_is_raised_and_not_added() -> None:
    artifact = Artifact("data", "dataset")
    with pytest.raises(UnicodeEncodeError), artifact.new_file("f", encoding="ascii") as file:
        file.write("é")
    assert paths(artifact) == []


@pytest.mark.parametrize("mode", ["w+", "x+", "wt"])
def test_a_new_file_may_be_read_while_it_is_written(mode: str) -> None:
    artifact = draft()
    with artifact.new_file("f", mode=mode) as file:
        file.write("text")
        file.seek(0)
        assert not file.readable() or file.read() == "text"
    assert artifact.manifest.entries["f"].size == 4


def test_what_a_block_cannot_read_is_not_said_of_the_new_file(tmp_path: Path) -> None:
    artifact = lineal.Artifact("data", "dataset")
    other = str(tmp_path / ("g" * 300))
    with pytest.raises(OSError, match=r"File name too long: .*ggg"), artifact.new_file("f") as file:
        file.write(Path(other).read_text())


@pytest.mark.parametrize("mode", ["r", 5, b"w", None])
def test_a_new_file_cannot_be_opened_for_reading(mode: Any) -> None:
    with pytest.raises(ValueError, match="does not write"), draft().new_file("f", mode=mode):
        pass


@pytest.mark.parametrize("end", [lineal.Artifact.finalize, lineal.log_artifact])
def test_a_new_file_that_comes_after_the_end_of_its_draft_is_refused(
    run: lineal.Run, end: Callable[[Artifact], object]
) -> None:
    artifact = draft({"f": b"x"})
    with pytest.raises(ArtifactFinalizedError), artifact.new_file("late"):
        end(artifact)
    assert paths(artifact) == ["f"]


def test_a_new_file_takes_no_policy_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="Policy 'copy' is not known"):
        draft().new_file("f", policy="copy").__enter__()


def test_an_object_is_added_as_it_is_each_time(run: lineal.Run) -> None:
    artifact, table = Artifact("data", "dataset"), lineal.Table(columns=["n"], data=[[1]])
    assert artifact.add(table, "t") == artifact.add(table, "t")
    artifact.remove("t.table.json")
    artifact.add(table, "t")
    table.add_data(2)
    with pytest.raises(Invalid, match="twice with different content"):
        artifact.add(table, "t")
    artifact.add(table, "t", overwrite=True)
    run.log_artifact(artifact).wait()
    assert artifact.get("t") == table


def test_a_table_is_stored_under_its_name_and_type(run: lineal.Run) -> None:
    artifact = Artifact("data", "dataset")
    table = lineal.Table(columns=["n"], data=[[1], [2]])
    entry = artifact.add(table, "results")
    assert entry.path == "results.table.json"
    assert artifact.add(table, "results") == entry
    artifact["again"] = table
    run.log_artifact(artifact).wait()
    assert artifact.get("results") == table
    assert artifact["again"] == table
    assert artifact.get_entry("results").path == "results.table.json"


def test_what_is_no_data_type_cannot_be_added() -> None:
    with pytest.raises(TypeError, match="Cannot add a dict"):
        draft().add({"a": 1}, "x")


@pytest.mark.parametrize(
    ("item", "left"),
    [
        ("a.txt", ["a/x.txt", "ab.txt"]),
        ("a", ["a.txt", "ab.txt"]),
        ("a/", ["a.txt", "ab.txt"]),
        (Path("a/x.txt"), ["a.txt", "ab.txt"]),
    ],
)
def test_a_file_or_a_folder_is_removed(item: Any, left: list[str]) -> None:
    artifact = draft({"a.txt": b"1", "ab.txt": b"2", "a/x.txt": b"3"})
    artifact.remove(item)
    assert paths(artifact) == left


def test_an_entry_is_removed() -> None:
    artifact = draft({"a": b"1", "b": b"2"})
    artifact.remove(artifact.manifest.entries["a"])
    assert paths(artifact) == ["b"]


@pytest.mark.parametrize("path", ["gone", "/a.txt", "../a.txt", ".", ""])
def test_removing_what_is_not_there_is_an_error(path: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"No such .* in artifact data: {path!r}"):
        draft().remove(path)


def test_names_inside_may_be_paths(run: lineal.Run, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f.txt").write_bytes(b"f")
    artifact = Artifact("data", "dataset")
    artifact.add_file(tmp_path / "d" / "f.txt", name=Path("q/f.txt"))
    artifact.add_dir(tmp_path / "d", name=Path("all"))
    artifact.add_bytes(b"x", Path("b"))
    with artifact.new_file(Path("n/new")) as file:
        file.write("x")
    artifact[Path("t")] = lineal.Table(columns=["a"])
    assert paths(artifact) == ["all/f.txt", "b", "n/new", "q/f.txt", "t.table.json"]
    artifact.remove(Path("b"))
    run.log_artifact(artifact).wait()
    assert isinstance(artifact[Path("t")], lineal.Table)
    assert [file.name for file in artifact.files(names=[Path("q/f.txt")])] == ["q/f.txt"]
    inside = artifact.manifest.get_entries_in_directory(Path("q"))
    assert [entry.path for entry in inside] == ["q/f.txt"]


@pytest.mark.parametrize("name", [5, b"f"])
def test_a_name_inside_that_is_no_text_is_refused_as_that(name: Any) -> None:
    with pytest.raises(HostilePath, match=r"must be a text or a path, not a (int|bytes)"):
        draft().add_bytes(b"x", name)


@pytest.mark.parametrize("path", ["/abs", "../up", "a/../../b", "C:\\x", "C:/x", "..\\up", "a\0"])
def test_paths_that_leave_the_artifact_are_refused(path: str) -> None:
    with pytest.raises(HostilePath):
        draft().add_bytes(b"x", path)
