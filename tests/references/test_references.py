"""References: recorded, downloaded and checked, whatever became of the object (REF-1…REF-21)."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import lineal
from lineal.cli.app import execute
from lineal.client import references
from lineal.client.references import local
from lineal.client.references.scheme import State
from lineal.errors import Denied, Exists, Invalid, MissingFile, ReferenceChanged
from tests.conftest import open_below
from tests.references.conftest import PLACES
from tests.references.looking import AFTER, BEFORE, content, is_unchecked, logged, state
from tests.references.places import ArtifactPlace, Place, S3Place
from tests.references.servers import Web

# --- the table: every place, and what may have become of the object ------------------------------


@pytest.mark.parametrize("fate", ["fresh", "changed", "deleted", "forbidden"])
@pytest.mark.parametrize("place", [*PLACES, "artifact"], indirect=True)
def test_a_reference_brings_what_was_recorded_or_an_error(
    place: Place, fate: str, tmp_path: Path
) -> None:
    artifact = logged(place.put("folder/data.bin", BEFORE))
    (entry,) = artifact.manifest.entries.values()
    assert (entry.path, entry.size) == ("data.bin", len(BEFORE))
    if fate == "changed":
        place.put("folder/data.bin", AFTER)
    elif fate == "deleted":
        place.delete("folder/data.bin")
    elif fate == "forbidden":
        place.forbid("folder/data.bin")
    expected = becomes(place, fate)
    assert state(artifact) is expected
    if expected in (State.LOST, State.FORBIDDEN):
        for error in ERRORS[fate]:
            with pytest.raises(error, match=r"data\.bin"):
                content(artifact, tmp_path)
            with pytest.raises(error, match=r"data\.bin"):
                artifact.open("data.bin").read()
        assert not any(path.is_file() for path in tmp_path.glob("out*/**/*"))
    else:
        assert content(artifact, tmp_path) == artifact.open("data.bin").read() == BEFORE


ERRORS: dict[str, tuple[type[Exception], ...]] = {
    "changed": (ReferenceChanged, ValueError, FileNotFoundError),  # W&B raises the one or the other
    "deleted": (FileNotFoundError,),
    "forbidden": (Denied,),
}


def becomes(place: Place, fate: str) -> State:
    if isinstance(place, ArtifactPlace):
        return State.FRESH
    keeps = {"changed": place.keeps_versions, "deleted": place.keeps_deleted}
    if fate in keeps:
        return State.RECOVERABLE if keeps[fate] else State.LOST
    if fate == "forbidden":
        return State.FORBIDDEN
    return State.UNCHECKED if is_unchecked(place) else State.FRESH


def test_what_is_lost_may_be_left_out(place: Place, tmp_path: Path) -> None:
    artifact = logged(place.put("data.bin", BEFORE))
    place.delete("data.bin")
    artifact.download(root=str(tmp_path / "without"), allow_missing_references=True)
    files = [path for path in (tmp_path / "without").rglob("*") if path.is_file()]
    assert len(files) == int(place.keeps_deleted)


def test_what_was_fetched_before_is_fetched_again_only_if_it_changed(
    place: Place, tmp_path: Path
) -> None:
    if is_unchecked(place):
        pytest.skip("nothing says what is meant, so it is always fetched")
    artifact = logged(place.put("data.bin", BEFORE))
    root = str(tmp_path / "out")
    (out,) = Path(artifact.download(root=root)).iterdir()
    fetched = out.stat()
    place.delete("data.bin")
    artifact.download(root=root)
    assert (out.stat().st_ino, out.stat().st_ctime_ns) == (fetched.st_ino, fetched.st_ctime_ns)
    out.write_bytes(BEFORE[::-1])
    if place.keeps_deleted:
        artifact.download(root=root)
        assert out.read_bytes() == BEFORE
    else:
        with pytest.raises(MissingFile, match=r"data\.bin"):
            artifact.download(root=root)


def test_what_was_fetched_before_a_failure_is_not_fetched_again(
    place: Place, tmp_path: Path
) -> None:
    if is_unchecked(place) or place.keeps_deleted:
        pytest.skip("always fetched, or never lost")
    artifact = logged(place.put("a.bin", BEFORE), place.put("b.bin", BEFORE))
    place.delete("b.bin")
    stamps = []
    for _ in range(2):
        with pytest.raises(MissingFile, match=r"b\.bin"):
            artifact.download(root=str(tmp_path / "out"))
        found = (tmp_path / "out" / "a.bin").stat()
        stamps.append((found.st_ino, found.st_ctime_ns))
    assert stamps[0] == stamps[1]


def test_what_was_fetched_is_stored_when_it_is_added(place: Place, tmp_path: Path) -> None:
    """Its bytes are not in the store, whatever is remembered of it."""
    out = logged(place.put("data.bin", BEFORE)).download(root=str(tmp_path / "out"))
    with lineal.init(project="p") as run:
        own = lineal.Artifact("own", "dataset")
        own.add_dir(out)
        os.unlink(os.path.join(out, "data.bin"))
        run.log_artifact(own).wait()
    assert lineal.Api().artifact("p/own:latest").open("data.bin").read() == BEFORE


def test_without_checksum_what_is_there_comes_with_one_warning(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = logged(place.put("data.bin", BEFORE), checksum=False)
    place.put("data.bin", AFTER)
    assert state(artifact) is State.UNCHECKED
    capsys.readouterr()
    assert content(artifact, tmp_path) == AFTER
    assert capsys.readouterr().err.count("without a checksum") == 1
    assert logged(place.put("data.bin", BEFORE), checksum=False).version == artifact.version


def test_the_same_object_makes_the_same_version(place: Place) -> None:
    uri = place.put("data.bin", BEFORE)
    assert logged(uri).version == logged(uri).version == "v0"
    place.put("data.bin", AFTER)
    assert logged(uri).version == "v1"


def test_what_is_not_there_is_no_reference(place: Place) -> None:
    uri = place.put("data.bin", BEFORE)
    with pytest.raises((MissingFile, Invalid)):
        lineal.Artifact("refs", "dataset").add_reference(uri + "-nowhere")


def test_a_file_of_the_list_is_fetched_from_where_it_is(place: Place, tmp_path: Path) -> None:
    (file,) = logged(place.put("folder/data.bin", BEFORE), name="in/data.bin").files()
    with file.download(root=tmp_path) as opened:
        assert opened.name == str(tmp_path / "in" / "data.bin")
        assert opened.read() == BEFORE.decode()
    with pytest.raises(Exists, match="use replace=True"):
        file.download(root=str(tmp_path))
    place.delete("folder/data.bin")
    (tmp_path / "in" / "data.bin").write_bytes(AFTER)
    if not place.keeps_deleted:
        with pytest.raises(FileNotFoundError):
            file.download(root=str(tmp_path), replace=True)
    else:
        with file.download(root=str(tmp_path), replace=True) as opened:
            assert opened.read() == BEFORE.decode()


@pytest.mark.parametrize("place", PLACES, indirect=True)
def test_parts_are_read_of_the_recorded_version(place: Place) -> None:
    artifact = logged(place.put("data.bin", BEFORE))
    (entry,) = artifact._contents
    ranges = references.opened(60.0).of(entry.ref).ranges(entry)
    assert (ranges.size, ranges.read(3, 9)) == (len(BEFORE), BEFORE[3:9])
    assert ranges.read(len(BEFORE) - 2, len(BEFORE) + 5) == BEFORE[-2:]
    ranges.close()


@pytest.mark.parametrize("place", PLACES, indirect=True)
def test_parts_are_not_read_of_what_was_written_over_it(place: Place) -> None:
    artifact = logged(place.put("data.bin", BEFORE))
    (entry,) = artifact._contents
    ranges = references.opened(60.0).of(entry.ref).ranges(entry)
    place.put("data.bin", AFTER)
    is_checked = entry.digest != entry.ref
    with suppress(MissingFile, ReferenceChanged):
        assert ranges.read(3, 9) == (BEFORE if is_checked else AFTER)[3:9]
    ranges.close()


# --- what is refused, and what is shared ---------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("bucket/key", "has no scheme"),
        ("C:\\data.csv", "has no scheme"),
        ("doi:", "has no scheme"),
        ("s3:bucket/key", "write s3://bucket/key"),
        ("doi:10.5281/zenodo.1", "needs a name"),
        ("s3://", "no bucket"),
        ("file://", "no path"),
        ("https://[::1/x", "no URI"),
        ("https://user:word@[::1/x", "no URI"),
        ("https://host/new\nline", "no address"),
        ("https:///path", "https:///path names no host"),
        ("https://user:word@host/x", "carries a login"),
        ("https://host/x?X-Amz-Signature=abc", "is signed"),
        ("https://host/x?sig=abc", "is signed"),
        ("https://host/x?private_token=abc", "is signed"),
        ("https://host/x?Client_Secret=abc", "is signed"),
        ("zip://x::https://user:word@host/a.zip", "carries a login"),
        ("simplecache::https://user:word@host/x", "carries a login"),
        ("https://user:word::word@host/x", "carries a login"),
        ("zip://x::https://host/a.zip?sig=abc::zip://y", "is signed"),
    ],
)
def test_a_uri_that_cannot_be_recorded_is_refused(uri: str, said: str) -> None:
    with pytest.raises(Invalid, match=said) as error:
        lineal.Artifact("refs", "dataset").add_reference(uri)
    assert "word" not in error.value.message
    assert "abc" not in error.value.message


def test_a_name_in_a_scheme_without_slashes_is_recorded_as_it_is(tmp_path: Path) -> None:
    artifact = lineal.Artifact("refs", "dataset")
    (entry,) = artifact.add_reference("doi:10.5281/zenodo.1", name="paper")
    assert (entry.ref, entry.digest) == ("doi:10.5281/zenodo.1", "doi:10.5281/zenodo.1")
    with lineal.init(project="p") as run:
        run.log_artifact(artifact).wait()
    with pytest.raises(Invalid, match=r"nothing installed here knows doi:; pip install"):
        artifact.download(tmp_path / "out")


def test_a_file_whose_name_has_a_colon_is_no_uri(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net:v3").write_text("1")
    with pytest.raises(Invalid, match="write file://"):
        lineal.Artifact("refs", "dataset").add_reference("net:v3", name="x")


@pytest.mark.parametrize("spelling", ["lineal://p/base:v0", "wandb-artifact://p/base:v0"])
def test_another_artifacts_files_are_shared(spelling: str, tmp_path: Path) -> None:
    base = lineal.Artifact("base", "dataset")
    for name in ("a/1", "a/2", "b/3"):
        base.add_bytes(name.encode(), name)
    with lineal.init(project="p") as run:
        run.log_artifact(base).wait()
        made = lineal.Artifact("made", "dataset")
        made.add_reference(f"{spelling}/a", name="taken")
        made.add_reference(f"{spelling}/b/3")
        whole = lineal.Artifact("whole", "dataset")
        whole.add_reference(spelling)
        run.log_artifact(made).wait()
        run.log_artifact(whole).wait()
    assert sorted(made.manifest.entries) == ["3", "taken/1", "taken/2"]
    assert sorted(whole.manifest.entries) == ["a/1", "a/2", "b/3"]
    base.delete(delete_aliases=True)
    out = Path(made.download(root=str(tmp_path / "out")))
    assert (out / "taken" / "2").read_bytes() == b"a/2"
    with pytest.raises(MissingFile, match="no file or folder"):
        lineal.Artifact("x", "dataset").add_reference("lineal://p/whole:v0/nowhere")


# --- the command line ----------------------------------------------------------------------------


def test_who_has_no_credentials_is_told_so(
    bucket: S3Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = bucket.put("data", BEFORE)
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable)
    for variable in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(variable, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    references.opened.cache_clear()
    with pytest.raises(Denied, match=r"without credentials \(403\), and none were found"):
        logged(uri)
    references.opened.cache_clear()


def test_ref_check_says_what_became_of_each(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("same", "other", "gone"):
        web.contents[f"/{name}"], web.etags[f"/{name}"] = name.encode(), f'"{name}"'
    logged(*(f"{web.url}/{name}" for name in ("same", "other", "gone")))
    assert execute(["ref", "check", "p/refs"]) == 0
    web.etags["/other"] = '"changed"'
    del web.contents["/gone"]
    capsys.readouterr()
    assert execute(["ref", "check", "p/refs"]) == 7
    answer = capsys.readouterr()
    assert "1 fresh, 2 lost" in answer.err
    assert len(answer.out.splitlines()) == 2
    assert execute(["ref", "check", "p/refs", "--json"]) == 7
    assert '"state": "fresh"' in capsys.readouterr().out


def test_ref_check_says_what_happened_to_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(BEFORE)
    logged(path.as_uri())
    path.write_bytes(AFTER)
    capsys.readouterr()
    assert execute(["ref", "check", "p/refs"]) == 7
    said = f"lost         data.csv  {path}, whose content changed since it was logged (written on "
    assert capsys.readouterr().out.startswith(said)


@pytest.mark.parametrize("size", [600, 3_000_000])
def test_a_file_whose_content_changed_and_whose_size_did_not_is_lost(
    tmp_path: Path, size: int
) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(bytes(size))
    artifact = logged(path.as_uri())
    assert state(artifact) is State.FRESH
    fetched = Path(artifact.download(root=str(tmp_path / "out")), "data.csv")
    assert fetched.stat().st_mode & 0o200
    path.write_bytes(bytes(size - 1) + b"x")
    assert state(artifact) is State.LOST
    with pytest.raises(ReferenceChanged, match="content changed since it was logged"):
        artifact.download(root=str(tmp_path / "again"))
    (entry,) = artifact.manifest.entries.values()
    scheme = references.opened(60.0).of(entry.ref)
    with pytest.raises(ReferenceChanged):
        scheme.ranges(entry)
    path.write_bytes(bytes(size - 1))
    with pytest.raises(ReferenceChanged):
        scheme.ranges(entry)
    path.write_bytes(bytes(size))
    ranges = scheme.ranges(entry)
    assert ranges.read(size - 2, size + 5) == bytes(2)
    for _ in range(2):  # the second one must not close what has its number by now
        ranges.close()
        assert open_below(path) == []


def test_a_file_that_is_replaced_once_it_was_checked_is_not_read_as_the_checked_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = tmp_path / "data.csv", tmp_path / "other.csv"
    path.write_bytes(BEFORE)
    other.write_bytes(AFTER[: len(BEFORE)])
    (entry,) = logged(path.as_uri()).manifest.entries.values()
    scheme = references.opened(60.0).of(entry.ref)
    hash_file = local.hash_file

    def hashed_and_replaced(*arguments: Any) -> Any:
        found = hash_file(*arguments)
        os.replace(other, path)
        return found

    monkeypatch.setattr(local, "hash_file", hashed_and_replaced)
    ranges = scheme.ranges(entry)
    assert ranges.read(0, len(BEFORE)) == BEFORE
    ranges.close()
    monkeypatch.undo()
    with pytest.raises(ReferenceChanged, match="whose content changed"):
        scheme.ranges(entry)


def test_ref_check_fails_at_what_it_may_not_look_at(
    web: Web, capsys: pytest.CaptureFixture[str]
) -> None:
    web.contents["/mine"] = web.contents["/theirs"] = BEFORE
    logged(f"{web.url}/mine", f"{web.url}/theirs")
    web.status["/theirs"] = 403
    assert execute(["ref", "check", "p/refs"]) == 6
    answer = capsys.readouterr()
    assert "forbidden    theirs" in answer.out
    assert "1 forbidden, 1 unchecked" in answer.err


def test_ref_check_goes_on_after_what_no_store_can_have(
    web: Web, capsys: pytest.CaptureFixture[str]
) -> None:
    web.contents["/a"] = BEFORE
    artifact = lineal.Artifact("refs", "dataset")
    artifact.add_reference(f"{web.url}/a")
    artifact.add_reference("http://host:port/x", name="port", checksum=False)
    artifact.add_reference("s3://No such bucket/x", name="bucket", checksum=False)
    with lineal.init(project="p") as run:
        run.log_artifact(artifact).wait()
    assert execute(["ref", "check", "p/refs"]) == 7
    answer = capsys.readouterr()
    assert "lost         port  http://host:port/x is no address: " in answer.out
    told = 's3://No such bucket/x is no object\'s address: Invalid bucket name "No such bucket"'
    assert f"lost         bucket  {told}\n" in answer.out
    assert "2 lost, 1 unchecked" in answer.err


def test_ref_check_tells_what_it_found_before_a_store_failed(
    web: Web, capsys: pytest.CaptureFixture[str]
) -> None:
    web.contents["/a"] = web.contents["/b"] = BEFORE
    logged(f"{web.url}/a", f"{web.url}/b")
    web.status["/a"], web.status["/b"] = 404, 500
    assert execute(["ref", "check", "p/refs"]) == 8
    answer = capsys.readouterr()
    assert "lost         a" in answer.out
    assert "/b answers 500" in answer.err
    assert execute(["ref", "check", "p/refs", "--json"]) == 8  # as they come, however many
    assert '"path": "a"' in capsys.readouterr().out


def test_verify_holds_references_against_their_objects(web: Web, tmp_path: Path) -> None:
    web.contents["/data"], web.etags["/data"] = BEFORE, '"1"'
    artifact = logged(f"{web.url}/data")
    out = artifact.download(root=str(tmp_path / "out"))
    artifact.verify(out, references=True)
    assert artifact.verify(references=True) == 0  # no folder need be there
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        artifact.verify(str(tmp_path / "nowhere"), references=True)
    web.etags["/data"] = '"2"'
    for root in (out, None):
        with pytest.raises(ValueError, match="Reference data is lost"):
            artifact.verify(root, references=True)


def test_a_folder_of_a_bucket_is_put_from_the_command_line(
    bucket: S3Place, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket.put("d/one", b"1")
    bucket.put("d/two", b"2")
    assert execute(["artifact", "put", f"s3://{bucket.bucket}/d", "-n", "p/bucket"]) == 0
    assert sorted(lineal.Api().artifact("p/bucket:latest").manifest.entries) == ["one", "two"]
