"""References to folders, prefixes and archives: everything below them, whatever it is called."""

from __future__ import annotations

import io
import os
import re
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest

import lineal
from lineal.client.references.scheme import State
from lineal.errors import HostilePath, Invalid, MissingFile, ReferenceChanged
from tests.references.conftest import CLOUDS
from tests.references.looking import BEFORE, content, logged, state
from tests.references.places import Bucket, GcsPlace, Place, S3Place, WebPlace


@pytest.mark.parametrize("place", ["file", *CLOUDS, "memory"], indirect=True)
def test_a_folder_is_everything_below_it(place: Place, tmp_path: Path) -> None:
    for key in ("d/a.txt", "d/sub/b.txt", "d/sub/c.bin", "dd/other"):
        uri = place.put(key, key.encode())
    folder = uri.removesuffix("dd/other") + "d"
    assert sorted(logged(folder).manifest.entries) == ["a.txt", "sub/b.txt", "sub/c.bin"]
    named = logged(folder, name="inside", include=["*.txt"], exclude=["sub/"])
    assert list(named.manifest.entries) == ["inside/a.txt"]
    out = Path(logged(folder).download(root=str(tmp_path / "out")))
    assert (out / "sub" / "b.txt").read_bytes() == b"d/sub/b.txt"
    with pytest.raises(Invalid, match="max_objects=2"):
        logged(folder, max_objects=2)


@pytest.mark.parametrize("chain", ["zip://{}::file://{}", "zip://{}::{}"])
def test_files_within_an_archive_are_found_again(chain: str, tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as writing:
        writing.writestr("d/x", BEFORE)
        writing.writestr("d/sub/y", b"y")
    artifact = logged(chain.format("d", archive))
    assert sorted(artifact.manifest.entries) == ["sub/y", "x"]
    assert artifact.get_entry("x").ref_target() == chain.format("d/x", archive)
    out = Path(artifact.download(root=str(tmp_path / "out")))
    assert ((out / "x").read_bytes(), (out / "sub/y").read_bytes()) == (BEFORE, b"y")
    with zipfile.ZipFile(archive, "w") as writing:
        writing.writestr("d/x", BEFORE[::-1])
    with pytest.raises(ReferenceChanged):
        artifact.open("x")


def test_local_is_another_word_for_file(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x").write_bytes(BEFORE)
    artifact = logged(f"local://{tmp_path}/d")
    assert artifact.manifest.entries["x"].ref == f"file://{tmp_path}/d/x"
    assert content(artifact, tmp_path) == BEFORE
    assert state(artifact) is State.FRESH


@pytest.mark.parametrize("checksum", [True, False])
def test_a_file_whose_name_is_no_unicode_is_referred_to_under_another(
    checksum: bool, tmp_path: Path
) -> None:
    path = Path(os.fsdecode(bytes(tmp_path) + b"/d\xe9/caf\xe9.txt"))
    path.parent.mkdir()
    path.write_bytes(BEFORE)
    with pytest.raises(HostilePath, match="add it alone under a name="):
        logged(path.parent.as_uri())
    artifact = logged(path.as_uri(), name="cafe.txt", checksum=checksum)
    assert content(artifact, tmp_path) == artifact.open("cafe.txt").read() == BEFORE
    ref = artifact.get_entry("cafe.txt").ref
    assert logged(ref, name="cafe.txt", checksum=checksum).digest == artifact.digest
    path.with_name("caf%E9.txt").write_bytes(BEFORE)
    path.unlink()
    assert state(artifact) is State.LOST


@pytest.mark.parametrize(
    ("gone", "other"), [("a%20b", "a b"), ("caf%E9", "caf\udce9"), ("x#y", "x"), ("w?z", "w")]
)
@pytest.mark.parametrize("checksum", [True, False])
def test_a_file_that_is_gone_is_not_taken_for_another(
    gone: str, other: str, checksum: bool, tmp_path: Path
) -> None:
    for name in (gone, other):
        (tmp_path / name).write_bytes(os.fsencode(name))
    artifact = logged(f"file://{tmp_path / gone}", checksum=checksum)
    assert content(artifact, tmp_path) == gone.encode()
    (tmp_path / gone).unlink()
    assert state(artifact) is State.LOST
    with pytest.raises(MissingFile, match=re.escape(gone)):
        content(artifact, tmp_path)


@pytest.mark.parametrize("place", CLOUDS, indirect=True)
def test_odd_keys_are_kept_as_they_are(place: Bucket, tmp_path: Path) -> None:
    keys = ["a b", "a+b", "a%20b", "ü/é", "100%", "x?y", "x#y", "x#12", "v?versionId=3", "empty"]
    for key in keys:
        uri = place.put(f"odd/{key}", b"" if key == "empty" else key.encode())
    place.put_placeholder("odd/placeholder/")
    artifact = logged(uri.removesuffix("empty"))
    assert sorted(artifact.manifest.entries) == sorted(keys)
    out = Path(artifact.download(root=str(tmp_path / "out")))
    assert all((out / key).read_bytes() == key.encode() for key in keys if key != "empty")
    assert (out / "empty").read_bytes() == b""
    single = logged(place.put("odd/a%20b", b"another"))
    assert list(single.manifest.entries) == ["a%20b"]
    assert content(single, tmp_path) == b"another"


@pytest.mark.parametrize("place", CLOUDS, indirect=True)
def test_a_bucket_that_does_not_exist_is_named_and_not_a_folder_in_it(place: Bucket) -> None:
    head, bucket, _ = place.put("a/b", BEFORE).partition(place.bucket)
    with pytest.raises(MissingFile, match=f"^{re.escape(head)}no{bucket} does not exist$"):
        logged(f"{head}no{bucket}/a/b")


@pytest.mark.parametrize("place", CLOUDS, indirect=True)
def test_an_object_beside_a_folder_of_its_name_can_be_left_out(place: Bucket) -> None:
    place.put("both/data/x", BEFORE)
    uri = place.put("both/data", BEFORE).removesuffix("data")
    with pytest.raises(Invalid, match=r"'data' would be a file and a folder.*exclude="):
        logged(uri)
    assert list(logged(uri, exclude=["/data", "!/data/"]).manifest.entries) == ["data/x"]
    assert list(logged(uri, exclude="data/").manifest.entries) == ["data"]


@pytest.mark.parametrize("place", [*CLOUDS, "http", "memory"], indirect=True)
def test_an_object_has_the_same_name_without_checksum(place: Place) -> None:
    for key in ("a#b", "a?b", "a%20b", "100%"):
        uri = place.put(f"odd/{key}", BEFORE)
        if isinstance(place, WebPlace):
            uri = f"{place.web.url}/odd/{quote(key)}"
        for checksum in (True, False):
            made = lineal.Artifact("refs", "dataset").add_reference(uri, checksum=checksum)
            assert [entry.path for entry in made] == [key]


@pytest.mark.parametrize("place", CLOUDS, indirect=True)
def test_a_folder_with_nothing_but_its_placeholder_is_an_error(place: Bucket) -> None:
    uri = place.put_placeholder("made/")
    with pytest.raises((Invalid, MissingFile)):
        logged(uri)


@pytest.mark.parametrize("place", CLOUDS, indirect=True)
def test_an_empty_object_with_the_name_of_a_folder_is_its_placeholder(
    place: Bucket, tmp_path: Path
) -> None:
    uri = place.put("top/sub/a", b"a")
    place.put("top/sub/empty", b"")
    place.put("top/sub-b", b"")
    place.put("top/sub", b"")
    folder = uri.removesuffix("/sub/a")
    assert sorted(logged(folder).manifest.entries) == ["sub-b", "sub/a", "sub/empty"]
    artifact = logged(f"{folder}/sub")
    assert sorted(artifact.manifest.entries) == ["a", "empty"]
    assert Path(artifact.download(root=str(tmp_path / "out")), "a").read_bytes() == b"a"
    assert sorted(logged(f"{folder}/sub-b").manifest.entries) == ["sub-b"]


@pytest.mark.parametrize("place", CLOUDS, indirect=True)
def test_a_prefix_need_not_end_at_a_name(place: Bucket) -> None:
    for key in ("logs/part-1", "logs/part-2", "logs/other"):
        uri = place.put(key, b"x")
    found = logged(uri.removesuffix("other") + "part-").manifest.entries
    assert sorted(found) == ["part-1", "part-2"]
    whole = logged(uri.removesuffix("logs/other"))
    assert sorted(whole.manifest.entries) == ["logs/other", "logs/part-1", "logs/part-2"]


@pytest.mark.parametrize("place", CLOUDS, indirect=True)
def test_a_bucket_that_is_not_there_is_said_to_be_missing(place: Bucket) -> None:
    with pytest.raises(MissingFile, match="nowhere"):
        logged(place.put("data", b"x").replace(place.bucket, f"{place.bucket}-nowhere"))


def test_a_multipart_object_is_checked_by_its_etag(bucket: S3Place, tmp_path: Path) -> None:
    data = os.urandom(11 << 20)
    from boto3.s3.transfer import TransferConfig

    bucket.client.upload_fileobj(
        io.BytesIO(data),
        bucket.bucket,
        "large",
        Config=TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20),
    )
    artifact = logged(f"s3://{bucket.bucket}/large")
    (entry,) = artifact.manifest.entries.values()
    assert "-" in entry.etag
    assert content(artifact, tmp_path) == data


@pytest.mark.parametrize("place", [*CLOUDS, "memory"], indirect=True)
@pytest.mark.parametrize("end", ["/", ""])
def test_a_folder_recorded_without_checksum_is_not_fetched_as_one_file(
    place: Place, end: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = place.put("folder/data.bin", BEFORE).removesuffix("/data.bin")
    if isinstance(place, S3Place | GcsPlace):
        place.put_placeholder("folder" + end)
    artifact = logged(uri + end, checksum=False)
    warned = "can be neither listed nor downloaded" in capsys.readouterr().err
    assert warned == bool(end)
    assert state(artifact) is State.UNCHECKED
    with pytest.raises(MissingFile, match=r"Reference folder .* is a folder, and was recorded"):
        artifact.download(root=str(tmp_path / "out"))
    with pytest.raises(MissingFile, match="is a folder, and was recorded"):
        artifact.open("folder").read()
    artifact.download(root=str(tmp_path / "out"), allow_missing_references=True)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("place", CLOUDS, indirect=True)
def test_an_empty_object_is_fetched_without_checksum(place: Bucket, tmp_path: Path) -> None:
    artifact = logged(place.put("folder/empty", b""), checksum=False)
    artifact.download(root=str(tmp_path / "out"))
    assert (tmp_path / "out" / "empty").read_bytes() == b""
