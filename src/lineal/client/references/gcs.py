"""`gs://bucket/key` and `gs://bucket/key#generation` references of Google Cloud Storage (REF-10).

Credentials come from Google's own chain (`GOOGLE_APPLICATION_CREDENTIALS`, gcloud, the machine);
without any, requests are anonymous. `STORAGE_EMULATOR_HOST` names another server.

A generation is one content of an object, for ever; the ETag also changes with its metadata. So a
recorded generation that is still current is fresh, whatever its ETag says by now.
"""

from __future__ import annotations

import base64
import io
import os
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from lineal.client.references.objects import CONNECTIONS, Body, Head, ObjectStore, Place
from lineal.client.references.scheme import VERSION_ID, unquoted
from lineal.client.references.telling import reason
from lineal.core.manifest import Entry
from lineal.errors import Denied, Invalid, MissingFile, ReferenceChanged, Unavailable

T = TypeVar("T")

_SCHEME = re.compile("gc?s://")
_PINNED = re.compile(r"#(\d+)$")
_NO_GENERATION = "0"
_LISTED = "nextPageToken,items(name,size,etag,generation,updated)"
_READ_BYTES = 16 << 20
"""Asked for at once while an object is read, and then held in memory."""
_READ, _LIST = "storage.objects.get", "storage.objects.list"


def opened(timeout_seconds: float) -> GoogleStore:
    return GoogleStore(_client(), timeout_seconds)


def name(uri: str) -> str:
    return GoogleStore.parse(uri).name


class GoogleStore(ObjectStore):
    """Objects of Google Cloud Storage; their version is called generation there."""

    def __init__(self, client: Any, timeout_seconds: float) -> None:
        from google.cloud.storage.retry import DEFAULT_RETRY

        self._client = client
        self._how = {
            "timeout": timeout_seconds,
            "retry": DEFAULT_RETRY.with_timeout(timeout_seconds),
        }

    @staticmethod
    def parse(uri: str) -> Place:
        """Read a URI; keys are taken as they are, but for a generation: digits after a last `#`."""
        text = _SCHEME.sub("", uri, count=1)
        pinned = _PINNED.search(text)
        if pinned:
            text = text[: pinned.start()]
        bucket, _, key = text.partition("/")
        if not bucket:
            raise Invalid(f"{uri} names no bucket; write gs://bucket/key")
        generation = pinned.group(1) if pinned else _NO_GENERATION
        return Place(bucket, key, None if generation == _NO_GENERATION else generation)

    def uri(self, place: Place) -> str:
        pinned = f"#{place.version or _NO_GENERATION}" if _PINNED.search(place.key) else ""
        return f"gs://{place.bucket}/{place.key}{pinned}"

    def is_recorded(self, entry: Entry, head: Head) -> bool:
        generation = entry.extra.get(VERSION_ID)
        return head.version == generation if generation else super().is_recorded(entry, head)

    # --- listing ---

    def below(self, place: Place) -> Iterator[tuple[str, Head]]:
        for blob in self._listed(place):
            if not (blob.name.endswith("/") and not blob.size):
                yield blob.name, _head(blob)

    def versions(self, place: Place) -> Iterator[Head]:
        for blob in self._listed(place, versions=True):
            if blob.name == place.key:
                yield _head(blob)

    def _listed(self, place: Place, **how: Any) -> Iterator[Any]:
        blobs = iter(
            self._client.list_blobs(
                place.bucket, prefix=place.key or None, fields=_LISTED, **how, **self._how
            )
        )
        while True:
            blob = self._answer(lambda: next(blobs, None), self.uri(place), _LIST)
            if blob is None:
                return
            yield blob

    # --- one object ---

    def head(self, place: Place) -> Head | None:
        try:
            return _head(self._asked(place))
        except MissingFile:
            return None

    def body(self, entry: Entry, place: Place) -> Body:
        blob = self._asked(place)
        pinned = place._replace(version=str(blob.generation))
        checksum = _Crc32c(blob.crc32c) if blob.crc32c else None
        return Body(_Stream(self, pinned, blob.size), blob.size, checksum)

    def part(self, entry: Entry, place: Place, start: int, stop: int) -> bytes:
        return self.read(place, start, stop)

    def read(self, place: Place, start: int, stop: int) -> bytes:
        """Read part of one generation as it is stored: compressed if it was uploaded so."""
        blob = self._blob(place)

        def ask() -> bytes:
            data: bytes = blob.download_as_bytes(
                start=start, end=stop - 1, raw_download=True, checksum=None, **self._how
            )
            return data

        data = self._answer(ask, self.uri(place), _READ)
        if len(data) != stop - start:
            raise Unavailable(f"{self.uri(place)} gave {len(data)} bytes of {stop - start}")
        return data

    def _blob(self, place: Place) -> Any:
        generation = None if place.version is None else int(place.version)
        return self._client.bucket(place.bucket).blob(place.key, generation=generation)

    def _asked(self, place: Place) -> Any:
        blob = self._blob(place)
        self._answer(lambda: blob.reload(**self._how), self.uri(place), _READ)
        return blob

    def _answer(self, ask: Callable[[], T], where: str, right: str) -> T:
        """Ask, and say what an error means to the user."""
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError, RefreshError

        try:
            return ask()
        except exceptions.NotFound as error:
            raise MissingFile(f"{where} does not exist") from error
        except exceptions.PreconditionFailed as error:
            raise ReferenceChanged(f"{where} was overwritten while it was being read") from error
        except (exceptions.Forbidden, exceptions.Unauthorized, RefreshError) as error:
            raise self._denied(where, type(error).__name__, right) from error
        except (GoogleAuthError, OSError) as error:  # requests' errors are OSErrors
            raise Unavailable(f"{where} cannot be reached: {reason(error)}") from error
        except (exceptions.BadRequest, ValueError) as error:
            raise Invalid(f"{where} is no object's address: {error}") from error
        except exceptions.GoogleAPIError as error:
            raise Unavailable(f"{where} cannot be read at present: {reason(error)}") from error

    def _denied(self, where: str, code: str, right: str) -> Denied:
        from google.auth.credentials import AnonymousCredentials

        if isinstance(self._client._credentials, AnonymousCredentials):
            return Denied(
                f"{where} may not be read without credentials ({code}), and none were found: "
                "`gcloud auth application-default login` makes some"
            )
        return Denied(
            f"{where} may not be read with these credentials ({code}); it needs the right {right}"
        )


class _Stream:
    """One generation, a part at a time, so that a broken connection costs one part."""

    def __init__(self, store: GoogleStore, place: Place, size: int) -> None:
        self._store, self._place, self._size = store, place, size
        self._at = 0
        self._part = io.BytesIO()

    def read(self, count: int) -> bytes:
        data = self._part.read(count)
        if data or self._at >= self._size:
            return data
        stop = min(self._at + _READ_BYTES, self._size)
        self._part = io.BytesIO(self._store.read(self._place, self._at, stop))
        self._at = stop
        return self._part.read(count)

    def close(self) -> None:
        self._part.close()


class _Crc32c:
    def __init__(self, expected: str) -> None:
        import google_crc32c

        self._expected = expected
        self._running = google_crc32c.Checksum()

    def update(self, data: bytes) -> None:
        self._running.update(data)

    def is_right(self) -> bool:
        return base64.b64encode(self._running.digest()).decode() == self._expected


def _client() -> Any:
    try:
        from google.auth.exceptions import DefaultCredentialsError
        from google.cloud import storage  # 0.5 s, and only references to it need it
        from requests.adapters import HTTPAdapter
    except ImportError as error:
        raise Unavailable(
            "References to gs:// need google-cloud-storage: pip install 'lineal[gcs]'"
        ) from error
    try:
        client = storage.Client(project=None)
    except DefaultCredentialsError as error:
        named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
        if named:
            raise Unavailable(
                f"References to gs:// cannot be read here: GOOGLE_APPLICATION_CREDENTIALS names "
                f"{named}, and that holds no credentials: {error}"
            ) from error
        client = storage.Client.create_anonymous_client()
    except Exception as error:
        raise Unavailable(f"References to gs:// cannot be read here: {error}") from error
    # as Google's documentation does it: the pool of `requests` has ten connections by itself
    adapter = HTTPAdapter(pool_connections=CONNECTIONS, pool_maxsize=CONNECTIONS)
    client._http.mount("https://", adapter)
    client._http.mount("http://", adapter)
    return client


def _head(blob: Any) -> Head:
    generation = None if blob.generation is None else str(blob.generation)
    return Head(unquoted(blob.etag or ""), blob.size or 0, generation, blob.updated)
