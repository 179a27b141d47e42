"""`s3://bucket/key` references, of Amazon's and every compatible store (REF-9, REF-16).

Credentials, region and endpoint come from boto3's own chain (environment, profile, instance role);
`AWS_S3_ENDPOINT_URL` is read too, as W&B does. Without credentials requests are anonymous.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from itertools import chain
from typing import Any, TypeVar

from lineal.client.references.arriving import ATTEMPTS
from lineal.client.references.objects import (
    CONNECTIONS,
    Body,
    Checksum,
    Head,
    Md5,
    ObjectStore,
    Place,
)
from lineal.client.references.scheme import is_unchecked, unquoted
from lineal.client.references.telling import reason, said
from lineal.core.manifest import Entry
from lineal.errors import Denied, Invalid, MissingFile, ReferenceChanged, Unavailable
from lineal.parallel import in_parallel

T = TypeVar("T")

HEAD_THREADS = 32
"""Objects asked for their versions at once."""

_PINNED = re.compile(r"\?versionId=([^&?]+)$")
_MD5 = re.compile("[0-9a-f]{32}")
_GONE = ("404", "NoSuchKey", "NoSuchVersion", "NotFound", "MethodNotAllowed", "405", "NoSuchBucket")
"""405 is what a delete marker answers."""
_DENIED = ("403", "401", "AccessDenied", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch")
_UNSUPPORTED = ("NotImplemented",)
_CHANGED = ("412", "PreconditionFailed")
_NO_VERSION = (None, "", "null")


def opened(timeout_seconds: float) -> S3Store:
    return S3Store(_client(timeout_seconds))


def name(uri: str) -> str:
    return S3Store.parse(uri).name


class S3Store(ObjectStore):
    """Objects of S3."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @staticmethod
    def parse(uri: str) -> Place:
        """Read a URI; keys are taken as they are, `%` and spaces included."""
        text = uri.removeprefix("s3://")
        pinned = _PINNED.search(text)
        if pinned:
            text = text[: pinned.start()]
        bucket, _, key = text.partition("/")
        if not bucket:
            raise Invalid(f"{uri} names no bucket; write s3://bucket/key")
        return Place(bucket, key, _version(pinned.group(1)) if pinned else None)

    def uri(self, place: Place) -> str:
        pinned = f"?versionId={place.version or 'null'}" if _PINNED.search(place.key) else ""
        return f"s3://{place.bucket}/{place.key}{pinned}"

    # --- listing ---

    def below(self, place: Place) -> Iterator[tuple[str, Head]]:
        """One listing, with versions where there are any.

        Who may not list versions, as in most public buckets, asks each object for its own; not
        every store can list them.
        """
        if not self._is_versioned(place.bucket):
            yield from self._current(place)
            return
        pages = self._pages("list_object_versions", place, "s3:ListBucketVersions")
        try:
            page = next(pages, None)
        except (Denied, _Unsupported):
            yield from self._with_own_versions(place)
            return
        while page is not None:
            latest = (item for item in page.get("Versions", ()) if item["IsLatest"])
            yield from _objects(latest)
            page = next(pages, None)

    def _current(self, place: Place) -> Iterator[tuple[str, Head]]:
        for page in self._pages("list_objects_v2", place, "s3:ListBucket"):
            yield from _objects(page.get("Contents", ()))

    def _with_own_versions(self, place: Place) -> Iterator[tuple[str, Head]]:
        found = self._current(place)
        first = next(found, None)
        if first is None:
            return
        found = chain([first], found)
        if not self._tells_version(place._replace(key=first[0])):
            yield from found
            return
        for (key, _), head in in_parallel(
            lambda item: self.head(place._replace(key=item[0])), found, threads=HEAD_THREADS
        ):
            if head is not None:  # else it was deleted meanwhile
                yield key, head

    def _tells_version(self, place: Place) -> bool:
        """Say whether an object's bucket has versions; false if it may not be read."""
        try:
            answer = self._answer(
                lambda: self._client.head_object(**_named(place)), self.uri(place), "s3:GetObject"
            )
        except (Denied, MissingFile):
            return False
        return "VersionId" in answer

    def _pages(self, operation: str, place: Place, right: str) -> Iterator[Mapping[str, Any]]:
        paginator = self._client.get_paginator(operation)
        pages = iter(paginator.paginate(Bucket=place.bucket, Prefix=place.key))
        while True:
            page = self._answer(lambda: next(pages, None), self.uri(place), right)
            if page is None:
                return
            yield page

    def _is_versioned(self, bucket: str) -> bool:
        """Say whether objects may have versions; true if that may not be asked."""
        try:
            answer = self._answer(
                lambda: self._client.get_bucket_versioning(Bucket=bucket), f"s3://{bucket}", ""
            )
        except (Denied, _Unsupported):
            return True
        return "Status" in answer

    def versions(self, place: Place) -> Iterator[Head]:
        pages = self._pages("list_object_versions", place, "s3:ListBucketVersions")
        with suppress(_Unsupported):
            for page in pages:
                for item in page.get("Versions", ()):
                    if item["Key"] == place.key:
                        yield _listed(item)._replace(version=item.get("VersionId") or "null")
                if not _may_go_on(page, place.key):
                    return

    # --- one object ---

    def head(self, place: Place) -> Head | None:
        try:
            answer: Mapping[str, Any] = self._answer(
                lambda: self._client.head_object(**_named(place)), self.uri(place), "s3:GetObject"
            )
        except MissingFile:
            return None
        if answer.get("DeleteMarker"):
            return None
        return Head(
            unquoted(answer["ETag"]),
            answer["ContentLength"],
            _version(answer.get("VersionId")),
            answer.get("LastModified"),
        )

    def body(self, entry: Entry, place: Place) -> Body:
        answer = self._get(entry, place)
        return Body(answer["Body"], answer["ContentLength"], _checksum(answer))

    def part(self, entry: Entry, place: Place, start: int, stop: int) -> bytes:
        answer = self._get(entry, place, Range=f"bytes={start}-{stop - 1}")
        try:
            data: bytes = answer["Body"].read()
        except Exception as error:
            raise Unavailable(f"{self.uri(place)} stopped arriving: {error}") from error
        return data

    def _get(self, entry: Entry, place: Place, **more: Any) -> Mapping[str, Any]:
        if place.version is None and not is_unchecked(entry):
            more["IfMatch"] = f'"{entry.digest}"'
        answer: Mapping[str, Any] = self._answer(
            lambda: self._client.get_object(**_named(place), **more),
            self.uri(place),
            "s3:GetObject",
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
                raise self._denied(where, code, right) from error
            if code in _UNSUPPORTED or status == 501:
                raise _Unsupported(f"The store of {where} cannot do that ({code})") from error
            raise Unavailable(f"{where} cannot be read at present: {said(error)}") from error
        except exceptions.NoCredentialsError as error:
            raise Denied(
                f"No credentials to read {where}: set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            ) from error
        except exceptions.ParamValidationError as error:
            told = str(error.kwargs.get("report", error)).partition(": ")[0]
            raise Invalid(f"{where} is no object's address: {told}") from error
        except (exceptions.BotoCoreError, exceptions.HTTPClientError) as error:
            raise Unavailable(f"{where} cannot be reached: {reason(error)}") from error

    def _denied(self, where: str, code: str, right: str) -> Denied:
        from botocore import UNSIGNED

        if self._client.meta.config.signature_version is UNSIGNED:
            return Denied(
                f"{where} may not be read without credentials ({code}), and none were found: set "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            )
        need = f"; it needs the right {right}" if right else ""
        return Denied(f"{where} may not be read with these credentials ({code}){need}")


class _Unsupported(Unavailable):
    """The store does not know a request, as some do not know those about versions."""


def _checksum(answer: Mapping[str, Any]) -> Checksum | None:
    """Return the checksum that an ETag is, of objects not encrypted and not made of parts."""
    is_encrypted = (
        "kms" in str(answer.get("ServerSideEncryption", "")) or "SSECustomerAlgorithm" in answer
    )
    etag = unquoted(answer["ETag"])
    return Md5(bytes.fromhex(etag)) if _MD5.fullmatch(etag) and not is_encrypted else None


def _client(timeout_seconds: float) -> Any:
    try:
        import boto3  # 0.2 s, and only references to S3 need it
        import botocore.session
        from botocore import exceptions
    except ImportError as error:
        raise Unavailable("References to s3:// need boto3: pip install 'lineal[s3]'") from error
    core = botocore.session.get_session()
    parsers = core.get_component("response_parser_factory")
    parsers.set_parser_defaults(timestamp_parser=_moment)
    try:
        return _connected(boto3.session.Session(botocore_session=core), timeout_seconds)
    except (exceptions.BotoCoreError, ValueError) as error:  # a profile or address that is wrong
        raise Unavailable(f"References to s3:// cannot be read here: {error}") from error


def _connected(session: Any, timeout_seconds: float) -> Any:
    from botocore import UNSIGNED
    from botocore.config import Config

    endpoint = os.environ.get("AWS_S3_ENDPOINT_URL") or None
    config = Config(
        connect_timeout=timeout_seconds / ATTEMPTS,
        read_timeout=timeout_seconds / ATTEMPTS,
        max_pool_connections=CONNECTIONS,
        retries={"mode": "standard", "max_attempts": ATTEMPTS},
        signature_version=None if session.get_credentials() else UNSIGNED,
        s3={"addressing_style": "path"} if endpoint or _other_endpoint() else None,
    )
    region = os.environ.get("AWS_REGION") or session.region_name or "us-east-1"
    return session.client("s3", endpoint_url=endpoint, region_name=region, config=config)


def _other_endpoint() -> bool:
    return bool(os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"))


def _named(place: Place) -> dict[str, str]:
    named = {"Bucket": place.bucket, "Key": place.key}
    return named if place.version is None else named | {"VersionId": place.version}


def _version(version: str | None) -> str | None:
    return None if version in _NO_VERSION else version


def _objects(items: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Head]]:
    for item in items:
        if not (item["Key"].endswith("/") and not item["Size"]):
            yield item["Key"], _listed(item)


def _listed(item: Mapping[str, Any]) -> Head:
    version = _version(item.get("VersionId"))
    return Head(unquoted(item["ETag"]), item["Size"], version, item.get("LastModified"))


def _moment(value: Any) -> Any:
    """Read a time as boto3 does, but those of listings in a hundredth of the time.

    They cost boto3 more than all the rest of a listing.
    """
    from botocore.utils import parse_timestamp

    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return parse_timestamp(value)
    return parse_timestamp(value) if moment.tzinfo is None else moment


def _may_go_on(page: Mapping[str, Any], key: str) -> bool:
    """Say whether a later page can hold versions of a key: keys come in order."""
    versions = page.get("Versions") or [{"Key": key}]
    return bool(page.get("IsTruncated")) and versions[-1]["Key"] <= key
