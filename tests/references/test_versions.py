"""References to versions of objects: recorded, pinned, lost."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

import lineal
from lineal.client import references
from lineal.client.references.scheme import State
from lineal.errors import Invalid, MissingFile, ReferenceChanged
from tests.references.looking import AFTER, BEFORE, VERSIONED, content, logged, state
from tests.references.places import Bucket, GcsPlace, S3Place


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


@pytest.mark.parametrize("code", ["AccessDenied", "NotImplemented"])
@pytest.mark.parametrize("keeps_versions", [True, False])
def test_a_folder_is_recorded_where_versions_may_not_be_listed(
    code: str, keeps_versions: bool, s3_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = S3Place(s3_url, monkeypatch, keeps_versions=keeps_versions)
    for key in ("top/a", "top/b"):
        uri = place.put(key, BEFORE)
    refuse_versions(code)
    entries = logged(uri.removesuffix("/b")).manifest.entries
    expected = place.pinned("top/b")[1] if keeps_versions else None
    assert sorted(entries) == ["a", "b"]
    assert entries["b"].version_id == expected
    place.put("top/b", AFTER)
    artifact = lineal.Api().artifact("p/refs:latest")
    if keeps_versions:
        assert Path(artifact.download(str(tmp_path / "out")), "b").read_bytes() == BEFORE
    else:
        with pytest.raises(ReferenceChanged, match="top/b, which was overwritten"):
            artifact.download(str(tmp_path / "out"))


def refuse_versions(code: str) -> None:
    """Let the store answer so to all that asks for versions."""
    import botocore.exceptions

    client: Any = references.opened(60.0).of("s3://any")._client  # type: ignore[attr-defined]  # of this scheme alone

    def refuse(**_: Any) -> None:
        answer = {"Error": {"Code": code, "Message": "refused"}}
        raise botocore.exceptions.ClientError(answer, "ListObjectVersions")

    for operation in ("GetBucketVersioning", "ListObjectVersions"):
        client.meta.events.register(f"before-call.s3.{operation}", refuse)


def test_an_unversioned_bucket_has_keys_without_values(s3_url: str, monkeypatch: Any) -> None:
    place = S3Place(s3_url, monkeypatch, keeps_versions=False)
    (entry,) = logged(place.put("data", BEFORE)).manifest.entries.values()
    assert entry.extra["versionID"] is None
    assert entry.extra["etag"] == entry.etag == entry.digest
