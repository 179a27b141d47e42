"""`s3://bucket/key` references, of Amazon's and every compatible store (REF-9, REF-16).

Credentials, region and endpoint come from boto3's own chain (environment, profile, instance role);
`AWS_S3_ENDPOINT_URL` is read too, as W&B does. Without credentials requests are anonymous.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from lineal import files
from lineal.client.references.scheme import (
    ETAG,
    VERSION_ID,
    Found,
    Freshness,
    Listing,
    Ranges,
    State,
    extra,
    is_unchecked,
    unquoted,
)
from lineal.core.digest import Digest
from lineal.core.manifest import Entry
from lineal.errors import (
    Denied,
    IntegrityError,
    Invalid,
    MissingFile,
    ReferenceChanged,
    Unavailable,
)

T = TypeVar("T")

_PINNED = re.compile(r"\?versionId=([^&?]+)$")
_MD5 = re.compile("[0-9a-f]{32}")
_GONE = ("404", "NoSuchKey", "NoSuchVersion", "NotFound", "MethodNotAllowed", "405", "NoSuchBucket")
"""405 is what a delete marker answers."""
_DENIED = ("403", "401", "AccessDenied", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch")
_CHANGED = ("412", "PreconditionFailed")
_NO_VERSION = (None, "", "null")
CONNECTIONS = 64
ATTEMPTS = 3
"""Of reading an object's bytes; boto3 repeats only the request that begins it."""


class Location(NamedTuple):
    """Where an object is; `version` as the URI pins it, or as it was recorded."""

    bucket: str
    key: str
    version: str | None = None

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def opened(timeout_seconds: float) -> S3Scheme:
    return S3Scheme(_client(timeout_seconds))


def parse(uri: str) -> Location:
    """Read a URI; keys are taken as they are, `%` and spaces included."""
    text = uri.removeprefix("s3://")
    pinned = _PINNED.search(text)
    if pinned:
        text = text[: pinned.start()]
    bucket, _, key = text.partition("/")
    if not bucket:
        raise Invalid(f"{uri} names no bucket; write s3://bucket/key")
    return Location(bucket, key, pinned.group(1) if pinned else None)


class S3Scheme:
    """Objects of S3; `scheme.Scheme` says what each method promises."""

    def __init__(self, client: Any) -> None:
        self._client = client

    # --- recording ---

    def listing(self, uri: str, *, checksum: bool) -> Listing:
        """One object, or all below a prefix: in one listing, with versions where there are any."""
        place = parse(uri)
        if place.key and not place.key.endswith("/"):
            head = self._head(place)
            if head is not None:
                return Listing(False, iter([_found(place, head)]))
            if place.version:
                raise MissingFile(f"{uri} does not exist, or not in that version")
        if place.version:
            raise Invalid(f"{uri} pins a version of a folder; only objects have versions")
        folder = place.key if not place.key or place.key.endswith("/") else place.key + "/"
        below = _first_and_rest(self._below(place.bucket, folder, folder))
        if below is None and folder != place.key:  # a prefix that is not a whole name
            start = place.key.rpartition("/")[0]
            head_of_names = f"{start}/" if start else ""
            below = _first_and_rest(self._below(place.bucket, place.key, head_of_names))
        if below is None:
            raise MissingFile(f"{uri} leads to no object, and no object's key begins like that")
        return Listing(True, below)

    def _below(self, bucket: str, prefix: str, folder: str) -> Iterator[Found]:
        for page in self._pages(bucket, prefix):
            for item in page:
                key = item["Key"]
                if key.endswith("/") and not item["Size"]:
                    continue  # what consoles make to show an empty folder (REF-6)
                yield Found(
                    key[len(folder) :],
                    f"s3://{bucket}/{key}",
                    Digest(unquoted(item["ETag"])),
                    item["Size"],
                    extra(item["ETag"], _version(item.get("VersionId"))),
                )

    def _pages(self, bucket: str, prefix: str) -> Iterator[list[Mapping[str, Any]]]:
        where = f"s3://{bucket}/{prefix}"
        is_versioned = self._is_versioned(bucket)
        operation = "list_object_versions" if is_versioned else "list_objects_v2"
        right = "s3:ListBucketVersions" if is_versioned else "s3:ListBucket"
        paginator = self._client.get_paginator(operation)
        pages = iter(paginator.paginate(Bucket=bucket, Prefix=prefix))
        while True:
            page = self._answer(lambda: next(pages, None), where, right)
            if page is None:
                return
            if is_versioned:
                yield [item for item in page.get("Versions", ()) if item["IsLatest"]]
            else:
                yield page.get("Contents", [])

    def _is_versioned(self, bucket: str) -> bool:
        """Say whether objects may have versions; true if that may not be asked."""
        try:
            answer = self._answer(
                lambda: self._client.get_bucket_versioning(Bucket=bucket), f"s3://{bucket}", ""
            )
        except Denied:
            return True
        return "Status" in answer

    # --- reading ---

    def fetch(self, entry: Entry, target: str) -> str:
        place = self._recorded(entry)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._written(entry, place, target)
            except Unavailable:
                if attempt == ATTEMPTS:
                    raise
                if os.path.exists(target):
                    os.unlink(target)
                time.sleep(0.2 * attempt)
        raise AssertionError

    def _written(self, entry: Entry, place: Location, target: str) -> str:
        answer = self._get(entry, place)
        body, md5 = answer["Body"], hashlib.md5(usedforsecurity=False)
        size = 0

        class Counted:
            def read(self, count: int) -> bytes:
                nonlocal size
                data: bytes = body.read(count)
                size += len(data)
                md5.update(data)
                return data

        try:
            hex_digest = files.write_stream(Counted(), target, files.CHUNK_BYTES)  # type: ignore[arg-type]
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's, not the network's
            raise Unavailable(
                f"{place.uri} stopped arriving after {size} bytes: {error}"
            ) from error
        finally:
            body.close()
        if size != answer["ContentLength"] or (
            not is_unchecked(entry) and entry.size and size != entry.size
        ):
            raise IntegrityError(
                f"{place.uri} has {size} bytes instead of the {entry.size} that were recorded"
            )
        etag = unquoted(answer["ETag"])
        if (
            _MD5.fullmatch(etag)
            and "kms" not in str(answer.get("ServerSideEncryption", ""))
            and "SSECustomerAlgorithm" not in answer
            and md5.hexdigest() != etag
        ):
            raise Unavailable(f"{place.uri} arrived damaged: its MD5 is not its ETag")
        return hex_digest

    def check(self, entry: Entry) -> Freshness:
        place = _place(entry)
        try:
            current = self._head(place._replace(version=None))
            if current is not None and _is_recorded(entry, current):
                return Freshness(State.FRESH)
            if is_unchecked(entry):
                if current is None:
                    return Freshness(State.LOST, f"{place.uri} does not exist any more")
                return Freshness(State.UNCHECKED, "recorded without checksum")
            changed = _what_happened(place, current)
            if self._kept(entry, place) is not None:
                return Freshness(State.RECOVERABLE, f"{changed}; the recorded version is kept")
            return Freshness(State.LOST, f"{changed}; the recorded version is not kept")
        except Denied as error:
            return Freshness(State.FORBIDDEN, error.message)

    def ranges(self, entry: Entry) -> Ranges:
        place = self._recorded(entry)
        head = self._head(place)
        if head is None:
            raise MissingFile(f"{place.uri} does not exist any more")
        return S3Ranges(self, entry, place, head["ContentLength"])

    # --- finding the recorded version ---

    def _recorded(self, entry: Entry) -> Location:
        """Return where the recorded version is now; raises MissingFile, ReferenceChanged."""
        place = _place(entry)
        if is_unchecked(entry):
            return place
        found = self._head(place)
        if found is not None and _is_recorded(entry, found):
            return place
        kept = self._kept(entry, place)
        if kept is not None:
            return kept
        current = found if place.version is None else self._head(place._replace(version=None))
        text = (
            f"Reference {entry.path} leads to {_what_happened(place, current)}, and the version "
            f"that was recorded (ETag {entry.digest}) is not kept. Put it back, or log what is "
            "there now as a new version"
        )
        raise (MissingFile if current is None else ReferenceChanged)(text)

    def _kept(self, entry: Entry, place: Location) -> Location | None:
        """Search the versions that the store kept for the recorded one."""
        version = _version(entry.extra.get(VERSION_ID))
        if version is not None:
            pinned = place._replace(version=version)
            found = self._head(pinned)
            return pinned if found is not None and _is_recorded(entry, found) else None
        paginator = self._client.get_paginator("list_object_versions")
        pages = iter(paginator.paginate(Bucket=place.bucket, Prefix=place.key))
        while True:
            try:
                page = self._answer(lambda: next(pages, None), place.uri, "s3:ListBucketVersions")
            except (Denied, MissingFile):
                return None
            for item in (page or {}).get("Versions", ()):
                if item["Key"] == place.key and unquoted(item["ETag"]) == entry.digest:
                    return place._replace(version=_version(item.get("VersionId")) or "null")
            if page is None or not _may_go_on(page, place.key):
                return None

    # --- requests ---

    def _head(self, place: Location) -> Mapping[str, Any] | None:
        """Return what HEAD says of an object; None if there is none."""
        try:
            found: Mapping[str, Any] = self._answer(
                lambda: self._client.head_object(**_named(place)), place.uri, "s3:GetObject"
            )
        except MissingFile:
            return None
        return None if found.get("DeleteMarker") else found

    def _get(self, entry: Entry, place: Location, **more: Any) -> Mapping[str, Any]:
        """Begin to read the recorded version, and nothing else that takes its place meanwhile."""
        if place.version is None and not is_unchecked(entry):
            more["IfMatch"] = f'"{entry.digest}"'
        answer: Mapping[str, Any] = self._answer(
            lambda: self._client.get_object(**_named(place), **more), place.uri, "s3:GetObject"
        )
        return answer

    def _answer(self, ask: Callable[[], T], where: str, right: str) -> T:
        """Ask, and say what an error means to the user."""
        from botocore import exceptions

        try:
            return ask()
        except exceptions.ClientError as error:
            code = str(error.response.get("Error", {}).get("Code"))
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if code in _GONE or status == 404:
                raise MissingFile(f"{where} does not exist") from error
            if code in _CHANGED or status == 412:
                raise ReferenceChanged(
                    f"{where} was overwritten while it was being read"
                ) from error
            if code in _DENIED or status in (401, 403):
                need = f"; it needs the right {right}" if right else ""
                raise Denied(
                    f"{where} may not be read with these credentials ({code}){need}"
                ) from error
            raise Unavailable(f"{where} cannot be read at present: {error}") from error
        except exceptions.NoCredentialsError as error:
            raise Denied(
                f"No credentials to read {where}: set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            ) from error
        except exceptions.ParamValidationError as error:
            raise Invalid(f"{where} is no object's address: {error}") from error
        except (exceptions.BotoCoreError, exceptions.HTTPClientError) as error:
            raise Unavailable(f"{where} cannot be reached: {error}") from error


class S3Ranges:
    """Parts of one version of an object."""

    def __init__(self, scheme: S3Scheme, entry: Entry, place: Location, size: int) -> None:
        self._scheme, self._entry, self._place, self._size = scheme, entry, place, size

    @property
    def size(self) -> int:
        return self._size

    def read(self, start: int, stop: int) -> bytes:
        stop = min(stop, self._size)
        if start >= stop:
            return b""
        answer = self._scheme._get(self._entry, self._place, Range=f"bytes={start}-{stop - 1}")
        try:
            data: bytes = answer["Body"].read()
        except Exception as error:
            raise Unavailable(f"{self._place.uri} stopped arriving: {error}") from error
        if len(data) != stop - start:
            raise Unavailable(f"{self._place.uri} gave {len(data)} bytes of {stop - start}")
        return data

    def close(self) -> None:
        return


def _client(timeout_seconds: float) -> Any:
    try:
        import boto3  # 0.2 s, and only references to S3 need it
        from botocore import UNSIGNED
        from botocore.config import Config
    except ImportError as error:
        raise Unavailable("References to s3:// need boto3: pip install 'lineal[s3]'") from error
    session = boto3.session.Session()
    endpoint = os.environ.get("AWS_S3_ENDPOINT_URL") or None
    config = Config(
        connect_timeout=timeout_seconds,
        read_timeout=timeout_seconds,
        max_pool_connections=CONNECTIONS,
        retries={"mode": "standard", "max_attempts": 4},
        signature_version=None if session.get_credentials() else UNSIGNED,
        s3={"addressing_style": "path"} if endpoint or _other_endpoint() else None,
    )
    region = session.region_name or os.environ.get("AWS_REGION") or "us-east-1"
    return session.client("s3", endpoint_url=endpoint, region_name=region, config=config)


def _other_endpoint() -> bool:
    return bool(os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"))


def _place(entry: Entry) -> Location:
    assert entry.ref is not None
    place = parse(entry.ref)
    return place._replace(version=_version(entry.extra.get(VERSION_ID)) or place.version)


def _named(place: Location) -> dict[str, str]:
    named = {"Bucket": place.bucket, "Key": place.key}
    return named if place.version is None else named | {"VersionId": place.version}


def _version(version: str | None) -> str | None:
    return None if version in _NO_VERSION else version


def _found(place: Location, head: Mapping[str, Any]) -> Found:
    return Found(
        place.key.rpartition("/")[2],
        place.uri,
        Digest(unquoted(head["ETag"])),
        head["ContentLength"],
        extra(head["ETag"], _version(head.get("VersionId")) or place.version),
    )


def _is_recorded(entry: Entry, head: Mapping[str, Any]) -> bool:
    recorded = entry.extra.get(ETAG) or entry.digest
    return unquoted(head["ETag"]) == unquoted(recorded) and (
        entry.digest == entry.ref or head["ContentLength"] == entry.size
    )


def _what_happened(place: Location, current: Mapping[str, Any] | None) -> str:
    if current is None:
        return f"{place.uri}, which was deleted"
    moment: datetime = current["LastModified"]
    return (
        f"{place.uri}, which was overwritten on {moment:%Y-%m-%d %H:%M:%S} UTC "
        f"(ETag {unquoted(current['ETag'])}, {current['ContentLength']} bytes)"
    )


def _may_go_on(page: Mapping[str, Any], key: str) -> bool:
    """Say whether a later page can hold versions of a key: keys come in order."""
    versions = page.get("Versions") or [{"Key": key}]
    return bool(page.get("IsTruncated")) and versions[-1]["Key"] <= key


def _first_and_rest(found: Iterator[Found]) -> Iterator[Found] | None:
    """Return the same items if there are any."""
    first = next(found, None)
    if first is None:
        return None

    def items() -> Iterator[Found]:
        yield first
        yield from found

    return items()
