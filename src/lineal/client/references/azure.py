"""References to Azure Blob Storage by the URLs of its accounts (REF-11).

`https://ACCOUNT.blob.core.windows.net/container/path`, a version of it with `?versionId=` or
`?snapshot=` behind; also what lies below the `BlobEndpoint` of `AZURE_STORAGE_CONNECTION_STRING`.
Credentials are those of the Azure tools: that connection string, `AZURE_STORAGE_KEY` or
`AZURE_STORAGE_SAS_TOKEN` of the account `AZURE_STORAGE_ACCOUNT`, else azure-identity's chain;
without any, requests are anonymous.

A snapshot is recorded as version `snapshot=MOMENT`: versions are named by moments, too.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from lineal.client.references.arriving import ATTEMPTS
from lineal.client.references.objects import CONNECTIONS, Body, Head, Md5, ObjectStore, Place
from lineal.client.references.scheme import ETAG, unquoted
from lineal.client.references.telling import reason
from lineal.core.manifest import Entry
from lineal.errors import Denied, Invalid, MissingFile, ReferenceChanged, Unavailable

T = TypeVar("T")

_ACCOUNT = re.compile(
    r"https://(?P<name>[a-z0-9-]+)\.blob\.core\."
    r"(?:windows\.net|chinacloudapi\.cn|usgovcloudapi\.net)(?=/|$)"
)
_PINNED = re.compile(r"\?(versionId|snapshot)=([^&?]+)$", re.IGNORECASE)
_SNAPSHOT = "snapshot="
_UNQUOTED = "/~!$&'()*,;=:@"
"""What need not be quoted in a blob's URL."""
_RIGHT = "Storage Blob Data Reader"
_NO_VERSIONS = ("FeatureNotSupported", "InvalidQueryParameterValue", "UnsupportedQueryParameter")
"""What accounts with a hierarchical namespace answer who asks for versions."""
_SCOPE = "https://storage.azure.com/.default"


def reads(uri: str) -> bool:
    """Tell whether a URL leads to a blob."""
    return _account_url(uri) is not None


def opened(timeout_seconds: float) -> AzureStore:
    return AzureStore(timeout_seconds)


def name(uri: str) -> str:
    return AzureStore.parse(uri).name


class AzureStore(ObjectStore):
    """Blobs; their bucket is the URL of a container."""

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    @staticmethod
    def parse(uri: str) -> Place:
        account_url = _account_url(uri)
        if account_url is None:
            raise Invalid(f"{uri} leads to no account of Azure Blob Storage")
        text = uri.removeprefix(account_url).lstrip("/")
        pinned = _PINNED.search(text)
        version = None
        if pinned:
            text = text[: pinned.start()]
            is_version = pinned[1].lower() == "versionid"
            version = unquote(pinned[2]) if is_version else _SNAPSHOT + unquote(pinned[2])
        container, _, path = text.partition("/")
        if not container or "?" in text:
            raise Invalid(f"{uri} names no blob; write {account_url}/container/path")
        return Place(f"{account_url}/{container}", unquote(path), version)

    def uri(self, place: Place) -> str:
        return f"{place.bucket}/{quote(place.key, safe=_UNQUOTED)}"

    # --- listing ---

    def below(self, place: Place) -> Iterator[tuple[str, Head]]:
        for blob in self._listed(place, ["metadata", "versions"]):
            is_old = blob.version_id is not None and not blob.is_current_version
            if not is_old and not _is_placeholder(blob):
                yield blob.name, _head(blob)

    def versions(self, place: Place) -> Iterator[Head]:
        for blob in self._listed(place, ["versions", "snapshots"]):
            if blob.name == place.key:
                yield _head(blob)
            elif blob.name > place.key:
                return

    def _listed(self, place: Place, include: list[str]) -> Iterator[Any]:
        container = self._container(place)
        where = self.uri(place)
        blobs = iter(container.list_blobs(name_starts_with=place.key or None, include=include))
        try:
            blob = self.answer(lambda: next(blobs, None), where)
        except _Unsupported:
            less = [what for what in include if what != "versions"]
            blobs = iter(container.list_blobs(name_starts_with=place.key or None, include=less))
            blob = self.answer(lambda: next(blobs, None), where)
        while blob is not None:
            yield blob
            blob = self.answer(lambda: next(blobs, None), where)

    # --- one blob ---

    def head(self, place: Place) -> Head | None:
        client, pinned = self._blob(place)
        try:
            answer = self.answer(lambda: client.get_blob_properties(**pinned), self.uri(place))
        except MissingFile:
            return None
        return None if _is_placeholder(answer) else _head(answer)

    def body(self, entry: Entry, place: Place) -> Body:
        answer = self._download(entry, place)
        md5 = answer.properties.content_settings.content_md5
        stream = _Stream(self, answer, self.uri(place))
        return Body(stream, answer.size, Md5(bytes(md5)) if md5 else None)

    def part(self, entry: Entry, place: Place, start: int, stop: int) -> bytes:
        answer = self._download(entry, place, offset=start, length=stop - start)
        data: bytes = self.answer(answer.readall, self.uri(place))
        return data

    def _download(self, entry: Entry, place: Place, **how: Any) -> Any:
        client, pinned = self._blob(place)
        recorded = entry.extra.get(ETAG) or entry.digest
        if recorded != entry.ref:
            from azure.core import MatchConditions

            how |= {"etag": f'"{recorded}"', "match_condition": MatchConditions.IfNotModified}
        return self.answer(lambda: client.download_blob(**pinned, **how), self.uri(place))

    def _blob(self, place: Place) -> tuple[Any, dict[str, str]]:
        """Return a client of the blob or its snapshot, and what says which version is meant."""
        version = place.version or ""
        snapshot = version.removeprefix(_SNAPSHOT) if version.startswith(_SNAPSHOT) else None
        client = self._container(place).get_blob_client(place.key, snapshot=snapshot)
        return client, {"version_id": version} if version and snapshot is None else {}

    def _container(self, place: Place) -> Any:
        account_url, _, name = place.bucket.rpartition("/")
        with self._lock:
            if account_url not in self._clients:
                self._clients[account_url] = _client(account_url, self._timeout_seconds)
        return self._clients[account_url].get_container_client(name)

    def answer(self, ask: Callable[[], T], where: str) -> T:
        """Ask, and say what an error means to the user."""
        from azure.core import exceptions

        try:
            return ask()
        except exceptions.ResourceNotFoundError as error:
            raise MissingFile(f"{where} does not exist") from error
        except exceptions.ResourceModifiedError as error:
            raise ReferenceChanged(f"{where} was overwritten while it was being read") from error
        except exceptions.HttpResponseError as error:
            code = _code(error)
            if code in _NO_VERSIONS:
                raise _Unsupported(f"{where} cannot be listed with versions ({code})") from error
            is_refused = isinstance(error, exceptions.ClientAuthenticationError)  # also by itself
            if is_refused or error.status_code in (401, 403) or code == "PublicAccessNotPermitted":
                raise Denied(
                    f"{where} may not be read with these credentials ({code}); "
                    f"it needs the role {_RIGHT}"
                ) from error
            if error.status_code == 400:
                raise Invalid(f"{where} is no blob's address ({code})") from error
            raise Unavailable(f"{where} cannot be read at present ({code})") from error
        except exceptions.AzureError as error:
            raise Unavailable(f"{where} cannot be reached: {reason(error)}") from error
        except ValueError as error:
            raise Invalid(f"{where} is no blob's address: {error}") from error


class _Unsupported(Invalid):
    """The account has no versions to list."""


class _Stream:
    """The bytes of a download, which the library asks for in parts."""

    def __init__(self, store: AzureStore, answer: Any, where: str) -> None:
        self._store, self._body, self._where = store, answer, where

    def read(self, count: int) -> bytes:
        data: bytes = self._store.answer(lambda: self._body.read(count), self._where)
        return data

    def close(self) -> None:
        return


# --- accounts and credentials --------------------------------------------------------------------


def _account_url(uri: str) -> str | None:
    """Return the part of a URL that is the account's, None if it is no account of Azure's."""
    endpoint = _endpoint(_connection())
    if endpoint and uri.startswith(f"{endpoint}/"):
        return endpoint
    found = _ACCOUNT.match(uri)
    return found.group() if found else None


def _connection() -> Mapping[str, str]:
    """Return the parts of the connection string in the environment."""
    parts = os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "").split(";")
    return dict(part.split("=", 1) for part in parts if "=" in part)


def _endpoint(connection: Mapping[str, str]) -> str:
    return connection.get("BlobEndpoint", "").rstrip("/")


def _client(account_url: str, timeout_seconds: float) -> Any:
    try:
        from azure.core.pipeline.transport import RequestsTransport
        from azure.storage.blob import BlobServiceClient, LinearRetry
        from requests import Session
        from requests.adapters import HTTPAdapter
    except ImportError as error:
        raise Unavailable(
            f"References to {account_url} need azure-storage-blob: pip install 'lineal[azure]'"
        ) from error
    session = Session()
    session.mount("https://", HTTPAdapter(CONNECTIONS, CONNECTIONS))
    session.mount("http://", HTTPAdapter(CONNECTIONS, CONNECTIONS))
    transport = RequestsTransport(
        session=session,
        session_owner=False,
        connection_timeout=timeout_seconds / ATTEMPTS,
        read_timeout=timeout_seconds / ATTEMPTS,
    )
    return BlobServiceClient(
        account_url,
        credential=_credential(account_url, timeout_seconds),
        transport=transport,
        retry_policy=LinearRetry(backoff=1, retry_total=ATTEMPTS - 1, random_jitter_range=0),
    )


def _credential(account_url: str, timeout_seconds: float) -> Any:
    """Return the first credential there is for an account, None for anonymous requests."""
    connection = _connection()
    found = _ACCOUNT.match(account_url)
    account = found["name"] if found else connection.get("AccountName", "")
    # An endpoint need not tell its account: it may be a domain of one's own.
    is_own = account_url == _endpoint(connection) or account == connection.get("AccountName")
    if is_own and "AccountKey" in connection:
        return {"account_name": account, "account_key": connection["AccountKey"]}
    if is_own and "SharedAccessSignature" in connection:
        return connection["SharedAccessSignature"]
    if account and account == os.environ.get("AZURE_STORAGE_ACCOUNT"):
        key = os.environ.get("AZURE_STORAGE_KEY")
        if key:
            return {"account_name": account, "account_key": key}
        if os.environ.get("AZURE_STORAGE_SAS_TOKEN"):
            return os.environ["AZURE_STORAGE_SAS_TOKEN"].removeprefix("?")
    return _identity(timeout_seconds) if found else None


def _identity(timeout_seconds: float) -> Any:
    """Return azure-identity's credential if one of its chain works here."""
    try:
        from azure.core.exceptions import ClientAuthenticationError
        from azure.identity import DefaultAzureCredential
    except ImportError:
        return None
    credential = DefaultAzureCredential(process_timeout=max(1, int(timeout_seconds)))
    logger = logging.getLogger("azure.identity")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # it warns of every link of the chain; none is needed
    try:
        credential.get_token(_SCOPE)
    except ClientAuthenticationError:
        return None
    finally:
        logger.setLevel(level)
    return credential


# --- answers -------------------------------------------------------------------------------------


def _code(error: Any) -> str:
    """Return what Azure calls an error, such as `AuthorizationFailure`."""
    code = getattr(error, "error_code", None) or error.reason or error.status_code or error.message
    return str(getattr(code, "value", code))


def _head(blob: Any) -> Head:
    version = f"{_SNAPSHOT}{blob.snapshot}" if blob.snapshot else blob.version_id
    return Head(unquoted(blob.etag), blob.size, version, blob.last_modified)


def _is_placeholder(blob: Any) -> bool:
    """Tell whether a blob only shows an empty folder."""
    marks = {name.lower(): value for name, value in (blob.metadata or {}).items()}
    return marks.get("hdi_isfolder") == "true" or (blob.name.endswith("/") and not blob.size)
