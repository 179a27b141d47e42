"""One place per kind of reference: where a test puts, overwrites, deletes and forbids objects."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any, Protocol

import pytest

import lineal
from lineal.client import references
from tests.references.servers import OWNER, STRANGER, Azurite, Web

BUCKETS = iter(range(10_000))


class Place(Protocol):
    name: str
    keeps_versions: bool
    keeps_deleted: bool

    def put(self, key: str, data: bytes) -> str:
        """Write an object, over an old one if there is one; returns its URI."""
        ...

    def delete(self, key: str) -> None: ...

    def forbid(self, key: str) -> None:
        """Let nobody who asks from now on read it."""
        ...


class Bucket(Place, Protocol):
    """A place in an object store."""

    bucket: str

    def put_placeholder(self, key: str) -> str:
        """Make what consoles make to show an empty folder."""
        ...

    def pinned(self, key: str) -> tuple[str, str]:
        """Return the URI that means the current version whatever comes, and that version."""
        ...


class FilePlace:
    name = "file"
    keeps_versions = keeps_deleted = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, key: str, data: bytes) -> str:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return f"file://{path}"

    def delete(self, key: str) -> None:
        (self.folder / key).unlink()

    def forbid(self, key: str) -> None:
        if os.getuid() == 0:
            pytest.skip("root may read everything")
        (self.folder / key).chmod(0)


class S3Place:
    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch, *, keeps_versions: bool) -> None:
        self.keeps_versions = self.keeps_deleted = keeps_versions
        self.name = "s3, versioned" if keeps_versions else "s3"
        self._monkeypatch = monkeypatch
        monkeypatch.setenv("AWS_S3_ENDPOINT_URL", url)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        self._become(OWNER)
        import boto3

        self.client: Any = boto3.client("s3", endpoint_url=url, region_name="us-east-1")
        self.bucket = f"bucket{next(BUCKETS)}-{os.getpid()}"
        self.client.create_bucket(Bucket=self.bucket)
        if keeps_versions:
            self.client.put_bucket_versioning(
                Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"}
            )

    def put(self, key: str, data: bytes) -> str:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=data)
        return f"s3://{self.bucket}/{key}"

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=key)

    def put_placeholder(self, key: str) -> str:
        return self.put(key, b"")

    def pinned(self, key: str) -> tuple[str, str]:
        version: str = self.client.head_object(Bucket=self.bucket, Key=key)["VersionId"]
        return f"s3://{self.bucket}/{key}?versionId={version}", version

    def forbid(self, key: str) -> None:
        self._become(STRANGER)

    def _become(self, who: tuple[str, str]) -> None:
        self._monkeypatch.setenv("AWS_ACCESS_KEY_ID", who[0])
        self._monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", who[1])
        references.opened.cache_clear()


class GcsPlace:
    def __init__(
        self, url: str, web: Web, monkeypatch: pytest.MonkeyPatch, *, keeps_versions: bool
    ) -> None:
        self.keeps_versions = self.keeps_deleted = keeps_versions
        self.name = "gcs, versioned" if keeps_versions else "gcs"
        self._web = web
        self._monkeypatch = monkeypatch
        self._ask(url)
        from google.cloud import storage

        self.client: Any = storage.Client(project=None)
        self.bucket = f"bucket{next(BUCKETS)}-{os.getpid()}"
        made = self.client.bucket(self.bucket)
        made.versioning_enabled = keeps_versions
        self.client.create_bucket(made)

    def put(self, key: str, data: bytes) -> str:
        self.client.bucket(self.bucket).blob(key).upload_from_string(data)
        return f"gs://{self.bucket}/{key}"

    def delete(self, key: str) -> None:
        self.client.bucket(self.bucket).blob(key).delete()

    def put_placeholder(self, key: str) -> str:
        return self.put(key, b"")

    def pinned(self, key: str) -> tuple[str, str]:
        generation = str(self.client.bucket(self.bucket).get_blob(key).generation)
        return f"gs://{self.bucket}/{key}#{generation}", generation

    def forbid(self, key: str) -> None:
        """The emulator lets everybody read: another server stands in, which lets nobody."""
        self._web.status[f"/storage/v1/b/{self.bucket}/o/{key}"] = 403
        self._ask(self._web.url)

    def _ask(self, url: str) -> None:
        self._monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        references.opened.cache_clear()


class AzurePlace:
    """Blobs; azurite knows no versions, so that snapshots stand for what is kept."""

    def __init__(
        self, azurite: Azurite, monkeypatch: pytest.MonkeyPatch, *, keeps_versions: bool
    ) -> None:
        self.keeps_versions = keeps_versions
        self.keeps_deleted = False
        self.name = "azure, snapshots" if keeps_versions else "azure"
        self._azurite = azurite
        self._monkeypatch = monkeypatch
        self._become(azurite.key)
        from azure.storage.blob import BlobServiceClient

        service = BlobServiceClient.from_connection_string(azurite.connection())
        self.bucket = f"container{next(BUCKETS)}-{os.getpid()}"
        self.client: Any = service.create_container(self.bucket)

    def put(self, key: str, data: bytes) -> str:
        blob = self.client.get_blob_client(key)
        if self.keeps_versions and blob.exists():
            blob.create_snapshot()
        blob.upload_blob(data, overwrite=True)
        return str(blob.url)

    def delete(self, key: str) -> None:
        self.client.delete_blob(key, delete_snapshots="include")

    def put_placeholder(self, key: str) -> str:
        name = key.rstrip("/")
        self.client.upload_blob(name, b"", metadata={"hdi_isfolder": "true"})
        return f"{self.client.url}/{name}"

    def pinned(self, key: str) -> tuple[str, str]:
        blob = self.client.get_blob_client(key)
        snapshot = blob.create_snapshot()["snapshot"]
        return f"{blob.url}?snapshot={snapshot}", f"snapshot={snapshot}"

    def forbid(self, key: str) -> None:
        self._become(base64.b64encode(b"not the key").decode())

    def _become(self, key: str) -> None:
        connection = self._azurite.connection(key)
        self._monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection)
        references.opened.cache_clear()


class WebPlace:
    keeps_versions = keeps_deleted = False

    def __init__(self, web: Web, *, has_etags: bool) -> None:
        self.web = web
        self.has_etags = has_etags
        self.name = "http, ETags" if has_etags else "http"

    def put(self, key: str, data: bytes) -> str:
        self.web.contents[f"/{key}"] = data
        if self.has_etags:
            self.web.etags[f"/{key}"] = f'"{hash(data) & 0xFFFFFFFF:x}"'
        return f"{self.web.url}/{key}"

    def delete(self, key: str) -> None:
        del self.web.contents[f"/{key}"]

    def forbid(self, key: str) -> None:
        self.web.status[f"/{key}"] = 403


class MemoryPlace:
    name = "memory"
    keeps_versions = keeps_deleted = False

    def __init__(self) -> None:
        import fsspec

        self.fs = fsspec.filesystem("memory")
        self.fs.store.clear()
        self.fs.pseudo_dirs[:] = [""]

    def put(self, key: str, data: bytes) -> str:
        self.fs.pipe_file(f"/{key}", data)
        return f"memory://{key}"

    def delete(self, key: str) -> None:
        self.fs.rm_file(f"/{key}")

    def forbid(self, key: str) -> None:
        pytest.skip("nothing in memory is forbidden")


class ArtifactPlace:
    """Another artifact: what was taken over from it stays, whatever becomes of it (REF-14)."""

    name = "artifact"
    keeps_versions = keeps_deleted = True

    def put(self, key: str, data: bytes) -> str:
        artifact = lineal.Artifact("source", "dataset")
        artifact.add_bytes(data, key)
        with lineal.init(project="p") as run:
            run.log_artifact(artifact).wait()
        return f"lineal://p/source:latest/{key}"

    def delete(self, key: str) -> None:
        lineal.Api().artifact("p/source:latest").delete(delete_aliases=True)

    def forbid(self, key: str) -> None:
        pytest.skip("there is one user")
