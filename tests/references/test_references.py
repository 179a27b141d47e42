"""References: recorded, downloaded and checked, whatever became of the object (REF-1…REF-21)."""

from __future__ import annotations

import gzip
import io
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import lineal
from lineal.cli.app import execute
from lineal.client import references
from lineal.client.references import checking
from lineal.client.references.scheme import State
from lineal.errors import Denied, Invalid, LinealError, MissingFile, ReferenceChanged, Unavailable
from tests.references.conftest import CLOUDS, PLACES
from tests.references.places import (
    ArtifactPlace,
    AzurePlace,
    Bucket,
    FilePlace,
    GcsPlace,
    Place,
    S3Place,
    WebPlace,
)
from tests.references.servers import Azurite, Proxy, Web

VERSIONED = ("s3, versioned", "gcs, versioned", "azure, snapshots")
BEFORE, AFTER = b"before" * 100, b"after, and longer" * 100


def logged(*uris: str, **how: Any) -> Any:
    artifact = lineal.Artifact("refs", "dataset")
    for uri in uris:
        artifact.add_reference(uri, **how)
    with lineal.init(project="p") as run:
        run.log_artifact(artifact).wait()
    return lineal.Api().artifact("p/refs:latest")


def state(artifact: Any) -> State:
    found = list(checking.check(references.opened(60.0), iter(artifact._contents)))
    return found[0][1].state if found else State.FRESH  # bytes that are stored here


def content(artifact: Any, tmp_path: Path) -> bytes:
    folder = artifact.download(root=str(tmp_path / f"out{os.urandom(4).hex()}"))
    (path,) = (each for each in Path(folder).rglob("*") if each.is_file())
    return path.read_bytes()


def is_unchecked(place: Place) -> bool:
    return isinstance(place, WebPlace) and not place.has_etags


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
    if not isinstance(place, FilePlace):
        assert capsys.readouterr().err.count("without a checksum") == 1


def test_the_same_object_makes_the_same_version(place: Place) -> None:
    uri = place.put("data.bin", BEFORE)
    assert logged(uri).version == logged(uri).version == "v0"
    place.put("data.bin", AFTER)
    assert logged(uri).version == "v1"


def test_what_is_not_there_is_no_reference(place: Place) -> None:
    uri = place.put("data.bin", BEFORE)
    with pytest.raises((MissingFile, Invalid)):
        lineal.Artifact("refs", "dataset").add_reference(uri + "-nowhere")


def test_parts_are_read_of_the_recorded_version(place: Place) -> None:
    artifact = logged(place.put("data.bin", BEFORE))
    (entry,) = artifact._contents
    ranges = references.opened(60.0).of(entry.ref).ranges(entry)
    assert (ranges.size, ranges.read(3, 9)) == (len(BEFORE), BEFORE[3:9])
    assert ranges.read(len(BEFORE) - 2, len(BEFORE) + 5) == BEFORE[-2:]
    ranges.close()


# --- folders and prefixes ------------------------------------------------------------------------


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


@pytest.mark.parametrize(("gone", "other"), [("a%20b", "a b"), ("x#y", "x"), ("w?z", "w")])
@pytest.mark.parametrize("checksum", [True, False])
def test_a_file_that_is_gone_is_not_taken_for_another(
    gone: str, other: str, checksum: bool, tmp_path: Path
) -> None:
    for name in (gone, other):
        (tmp_path / name).write_bytes(name.encode())
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


# --- versions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["s3, versioned"], indirect=True)
def test_seed_7_prints_the_true_ids_of_a_versioned_bucket(place: S3Place) -> None:
    place.put("table", BEFORE)
    place.put("table", AFTER)
    artifact = lineal.Artifact("my_table", "dataset")
    artifact.add_reference(f"s3://{place.bucket}/table")
    with lineal.init(project="p") as run:
        run.log_artifact(artifact).wait()

    with lineal.init(project="p") as run:
        artifact = run.use_artifact("my_table:latest")
        for entry in artifact.manifest.entries.values():
            versionID = entry.extra.get("versionID")
            etag = entry.extra.get("etag")

    head = place.client.head_object(Bucket=place.bucket, Key="table")
    assert (versionID, etag) == (head["VersionId"], head["ETag"].strip('"'))
    assert (entry.version_id, entry.etag) == (versionID, etag)


@pytest.mark.parametrize("place", VERSIONED, indirect=True)
def test_a_pinned_version_is_the_one_that_is_recorded(place: Bucket, tmp_path: Path) -> None:
    place.put("data", BEFORE)
    pinned, version = place.pinned("data")
    uri = place.put("data", AFTER)
    artifact = logged(pinned)
    (entry,) = artifact.manifest.entries.values()
    assert (entry.ref, entry.version_id) == (uri, version)
    assert state(artifact) is State.RECOVERABLE
    assert content(artifact, tmp_path) == BEFORE
    with artifact.open(entry.path) as file:
        assert file.read() == BEFORE


@pytest.mark.parametrize("place", ["s3, versioned"], indirect=True)
def test_a_pinned_version_that_was_deleted_is_lost(place: S3Place, tmp_path: Path) -> None:
    place.put("data", BEFORE)
    pinned, version = place.pinned("data")
    place.put("data", AFTER)
    artifact = logged(pinned)
    place.client.delete_object(Bucket=place.bucket, Key="data", VersionId=version)
    assert state(artifact) is State.LOST
    with pytest.raises(ReferenceChanged):
        content(artifact, tmp_path)
    with pytest.raises(MissingFile):
        logged(pinned)


@pytest.mark.parametrize("place", ["s3, versioned"], indirect=True)
def test_the_same_content_under_another_version_is_what_was_recorded(
    place: S3Place, tmp_path: Path
) -> None:
    uri = place.put("data", BEFORE)
    _, version = place.pinned("data")
    artifact = logged(uri)
    place.put("data", BEFORE)
    place.client.delete_object(Bucket=place.bucket, Key="data", VersionId=version)
    assert state(artifact) is State.FRESH
    assert content(artifact, tmp_path) == artifact.open("data").read() == BEFORE


@pytest.mark.parametrize("place", ["s3, versioned"], indirect=True)
def test_a_pinned_version_recorded_without_checksum_is_lost_with_it(place: S3Place) -> None:
    place.put("data", BEFORE)
    pinned, version = place.pinned("data")
    place.put("data", AFTER)
    artifact = logged(pinned, checksum=False)
    assert state(artifact) is State.UNCHECKED
    place.client.delete_object(Bucket=place.bucket, Key="data", VersionId=version)
    assert state(artifact) is State.LOST


@pytest.mark.parametrize("place", VERSIONED, indirect=True)
def test_a_folder_has_no_version(place: Bucket) -> None:
    place.put("folder/data", BEFORE)
    pinned, _ = place.pinned("folder/data")
    with pytest.raises(Invalid, match="pins a version of a folder"):
        logged(pinned.replace("folder/data", "folder/"))


@pytest.mark.parametrize("place", ["gcs"], indirect=True)
def test_new_metadata_make_no_other_object_of_it(place: GcsPlace, tmp_path: Path) -> None:
    """Google's ETags change with them, generations do not."""
    artifact = logged(place.put("data", BEFORE))
    blob = place.client.bucket(place.bucket).blob("data")
    blob.metadata = {"owner": "ana"}
    blob.patch()
    assert state(artifact) is State.FRESH
    assert content(artifact, tmp_path) == BEFORE


@pytest.mark.parametrize("place", ["gcs"], indirect=True)
def test_what_was_stored_compressed_comes_as_it_is_stored(place: GcsPlace, tmp_path: Path) -> None:
    packed = gzip.compress(BEFORE)
    uri = place.put("data.gz", b"")
    blob = place.client.bucket(place.bucket).blob("data.gz")
    blob.content_encoding = "gzip"
    blob.upload_from_string(packed, content_type="text/plain")
    assert content(logged(uri), tmp_path) == packed


def test_an_unversioned_bucket_has_keys_without_values(s3_url: str, monkeypatch: Any) -> None:
    place = S3Place(s3_url, monkeypatch, keeps_versions=False)
    (entry,) = logged(place.put("data", BEFORE)).manifest.entries.values()
    assert entry.extra["versionID"] is None
    assert entry.extra["etag"] == entry.etag == entry.digest


# --- a network that fails half-way ---------------------------------------------------------------


@pytest.fixture(params=["s3", "gcs", "azure"])
def behind_proxy(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Bucket, Proxy]]:
    """A bucket whose requests all go through a proxy."""
    place: Bucket
    if request.param == "s3":
        proxy = Proxy(request.getfixturevalue("s3_url"))
        place = S3Place(proxy.url, monkeypatch, keeps_versions=False)
    elif request.param == "gcs":
        proxy = Proxy(request.getfixturevalue("gcs_url"))
        web: Web = request.getfixturevalue("web")
        place = GcsPlace(proxy.url, web, monkeypatch, keeps_versions=False)
    else:
        azurite: Azurite = request.getfixturevalue("azurite")
        proxy = Proxy(azurite.account)
        behind = azurite._replace(account=f"{proxy.url}/ana")
        place = AzurePlace(behind, monkeypatch, keeps_versions=False)
    yield place, proxy
    proxy.close()


@pytest.mark.parametrize("failure", ["cuts", "damages"])
def test_what_arrives_short_or_damaged_is_asked_for_again(
    behind_proxy: tuple[Bucket, Proxy], failure: str, tmp_path: Path
) -> None:
    place, proxy = behind_proxy
    data = os.urandom(2_000_000)
    artifact = logged(place.put("large", data))
    setattr(proxy, failure, 1)
    assert content(artifact, tmp_path) == data
    assert getattr(proxy, failure) == 0


def test_what_arrives_damaged_every_time_is_refused(
    behind_proxy: tuple[Bucket, Proxy], tmp_path: Path
) -> None:
    place, proxy = behind_proxy
    artifact = logged(place.put("large", os.urandom(2_000_000)))
    proxy.damages = 1_000
    with pytest.raises(Unavailable, match=r"large .*checksum"):
        content(artifact, tmp_path)
    assert not any(path.is_file() for path in tmp_path.glob("out*/**/*"))


# --- the web, misbehaving ------------------------------------------------------------------------


def test_redirects_are_followed_and_circles_end(web: Web, tmp_path: Path) -> None:
    web.contents["/real"] = BEFORE
    web.etags["/real"] = 'W/"abc"'
    web.redirects = {"/short": "/real", "/round": "/round"}
    artifact = logged(f"{web.url}/short")
    (entry,) = artifact.manifest.entries.values()
    assert (entry.ref, entry.etag) == (f"{web.url}/short", "abc")
    assert content(artifact, tmp_path) == BEFORE
    with pytest.raises(Unavailable, match="circles"):
        logged(f"{web.url}/round")


def test_an_answer_that_ends_early_is_asked_for_again(web: Web, tmp_path: Path) -> None:
    web.contents["/data"], web.etags["/data"] = BEFORE, '"1"'
    artifact = logged(f"{web.url}/data")
    web.cuts["/data"] = 2
    assert content(artifact, tmp_path) == BEFORE
    web.cuts["/data"] = 99
    with pytest.raises(Unavailable):
        artifact.download(root=str(tmp_path / "cut"))
    assert not any(path.is_file() for path in (tmp_path / "cut").rglob("*"))


def test_a_busy_server_is_asked_again(web: Web, tmp_path: Path) -> None:
    web.contents["/data"], web.etags["/data"], web.busy["/data"] = BEFORE, '"1"', 2
    artifact = logged(f"{web.url}/data")
    web.busy["/data"] = 2
    assert state(artifact) is State.FRESH
    web.busy["/data"] = 2
    assert content(artifact, tmp_path) == artifact.open("data").read() == BEFORE
    web.busy["/data"] = 99
    with pytest.raises(Unavailable, match="429"):
        state(artifact)
    assert web.busy["/data"] == 96


def test_a_server_that_stalls_is_given_up(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEAL_REFERENCE_TIMEOUT", "0.3")
    web.contents["/slow"] = BEFORE
    web.stalls.add("/slow")
    with pytest.raises(Unavailable, match="in time"):
        lineal.Artifact("refs", "dataset").add_reference(f"{web.url}/slow")


def test_without_ranges_parts_are_read_all_the_same(web: Web) -> None:
    web.contents["/data"], web.etags["/data"], web.has_ranges = BEFORE, '"1"', False
    (entry,) = logged(f"{web.url}/data")._contents
    ranges = references.opened(60.0).of(entry.ref).ranges(entry)
    assert (ranges.size, ranges.read(1, 4)) == (len(BEFORE), BEFORE[1:4])
    ranges.close()


def test_parts_are_read_of_what_has_a_weak_etag(web: Web) -> None:
    web.contents["/part"] = BEFORE
    web.etags["/part"] = 'W/"1"'
    artifact = logged(f"{web.url}/part")
    with artifact.open("part") as file:
        assert file.read() == BEFORE
    with artifact.open("part") as file:
        web.etags["/part"] = 'W/"2"'
        with pytest.raises(ReferenceChanged):
            file.read()


@pytest.mark.parametrize("has_ranges", [True, False])
def test_an_empty_page_is_an_empty_file(web: Web, has_ranges: bool, tmp_path: Path) -> None:
    web.contents["/empty"], web.has_ranges = b"", has_ranges
    artifact = logged(f"{web.url}/empty")
    assert artifact.open("empty").read() == content(artifact, tmp_path) == b""


def test_an_empty_etag_is_none(web: Web) -> None:
    web.contents["/data"], web.etags["/data"] = BEFORE, '""'
    (entry,) = logged(f"{web.url}/data").manifest.entries.values()
    assert (entry.etag, entry.digest) == (None, f"{web.url}/data")


def test_an_empty_etag_that_was_recorded_says_nothing(web: Web, tmp_path: Path) -> None:
    web.contents["/data"], web.etags["/data"] = BEFORE, '"1"'
    (logged_now,) = logged(f"{web.url}/data")._contents
    entry = logged_now._replace(digest="")
    schemes = references.opened(60.0)
    ((_, found),) = checking.check(schemes, iter([entry]))
    assert found.state is State.UNCHECKED
    schemes.of(entry.ref).fetch(entry, str(tmp_path / "data"))
    assert (tmp_path / "data").read_bytes() == BEFORE


def test_a_server_that_lost_its_etags_is_not_believed(web: Web, tmp_path: Path) -> None:
    web.contents["/data"], web.etags["/data"] = BEFORE, '"1"'
    artifact = logged(f"{web.url}/data")
    del web.etags["/data"]
    with pytest.raises(LinealError, match="tells none now"):
        content(artifact, tmp_path)


@pytest.mark.parametrize("has_ranges", [True, False])
def test_what_a_server_packs_unasked_is_unpacked(
    web: Web, has_ranges: bool, tmp_path: Path
) -> None:
    web.contents["/page"] = gzip.compress(BEFORE) + gzip.compress(AFTER)
    web.codings["/page"], web.etags["/page"], web.has_ranges = "gzip", '"1"', has_ranges
    artifact = logged(f"{web.url}/page")
    assert content(artifact, tmp_path) == artifact.open("page").read() == BEFORE + AFTER
    assert state(artifact) is State.FRESH
    web.contents["/page"] = web.contents["/page"][:-9]
    with pytest.raises(Unavailable, match="before its end"):
        artifact.download(root=str(tmp_path / "cut"))


def test_what_is_packed_itself_stays_so(web: Web, tmp_path: Path) -> None:
    web.contents["/a.csv.gz"] = gzip.compress(BEFORE)
    web.codings["/a.csv.gz"], web.etags["/a.csv.gz"] = "x-gzip", '"1"'
    artifact = logged(f"{web.url}/a.csv.gz")
    assert gzip.decompress(content(artifact, tmp_path)) == BEFORE
    assert artifact.manifest.entries["a.csv.gz"].size == len(web.contents["/a.csv.gz"])


def test_a_coding_that_nobody_undoes_is_refused_when_it_is_added(web: Web) -> None:
    web.contents["/page"], web.codings["/page"] = BEFORE, "br"
    with pytest.raises(Unavailable, match="coded as br"):
        logged(f"{web.url}/page")


# --- what is refused, and what is shared ---------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("bucket/key", "has no scheme"),
        ("s3://", "no bucket"),
        ("file://", "no path"),
        ("https://[::1/x", "no URI"),
        ("https://user:word@[::1/x", "no URI"),
        ("https://host/new\nline", "no address"),
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


def test_verify_holds_references_against_their_objects(web: Web, tmp_path: Path) -> None:
    web.contents["/data"], web.etags["/data"] = BEFORE, '"1"'
    artifact = logged(f"{web.url}/data")
    out = artifact.download(root=str(tmp_path / "out"))
    artifact.verify(out, references=True)
    web.etags["/data"] = '"2"'
    with pytest.raises(ValueError, match="Reference data is lost"):
        artifact.verify(out, references=True)


def test_a_folder_of_a_bucket_is_put_from_the_command_line(
    bucket: S3Place, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket.put("d/one", b"1")
    bucket.put("d/two", b"2")
    assert execute(["artifact", "put", f"s3://{bucket.bucket}/d", "-n", "p/bucket"]) == 0
    assert sorted(lineal.Api().artifact("p/bucket:latest").manifest.entries) == ["one", "two"]
