"""One place per kind of reference: where a test puts, overwrites, deletes and forbids objects."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.references.servers import OWNER, STRANGER, Web

BUCKETS = iter(range(10_000))


class Place(Protocol):
    name: str
    keeps_versions: bool

    def put(self, key: str, data: bytes) -> str:
        """Write an object, over an old one if there is one; returns its URI."""
        ...

    def delete(self, key: str) -> None: ...

    def forbid(self, key: str) -> None:
        """Let nobody who asks from now on read it."""
        ...


class FilePlace:
    name = "file"
    keeps_versions = False

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
        self.keeps_versions = keeps_versions
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

    def forbid(self, key: str) -> None:
        self._become(STRANGER)

    def _become(self, who: tuple[str, str]) -> None:
        self._monkeypatch.setenv("AWS_ACCESS_KEY_ID", who[0])
        self._monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", who[1])
        from lineal.client import references

        references.opened.cache_clear()


class WebPlace:
    keeps_versions = False

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
    keeps_versions = False

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
