"""What the object stores of the clouds share: URIs, credentials, libraries that are missing."""

from __future__ import annotations

import base64
import logging
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lineal
from lineal.client import references
from lineal.client.references import azure, gcs, s3
from lineal.client.references.objects import ObjectStore, Place
from lineal.errors import Denied, Invalid, Unavailable

ACCOUNT = "https://ana.blob.core.windows.net"
STORES: dict[str, tuple[ObjectStore, str]] = {
    "s3": (s3.S3Store(None), "bucket"),
    "gcs": (gcs.GoogleStore(None, 1), "bucket"),
    "azure": (azure.AzureStore(1), f"{ACCOUNT}/container"),
}
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(
    lambda text: text.lstrip("/") or "key"
)
TAILS = st.sampled_from(["", "#12", "?versionId=3", "?snapshot=x", "#0", "%20", "+"])


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONNECTION_STRING", "ACCOUNT", "KEY", "SAS_TOKEN"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)


@pytest.mark.parametrize("name", STORES)
@given(key=KEYS, tail=TAILS)
def test_every_key_is_found_again_by_its_uri(name: str, key: str, tail: str) -> None:
    store, bucket = STORES[name]
    place = Place(bucket, key + tail)
    assert store.parse(store.uri(place)) == place


@pytest.mark.parametrize(
    ("uri", "bucket", "key", "version"),
    [
        ("s3://b/k?versionId=v1", "b", "k", "v1"),
        ("s3://b", "b", "", None),
        ("gs://b/a/k#17", "b", "a/k", "17"),
        ("gcs://b/k", "b", "k", None),
        ("gs://b/k#part", "b", "k#part", None),
        (f"{ACCOUNT}/c/a%20b?versionId=2026-01-01T00:00:00Z", f"{ACCOUNT}/c", "a b",
         "2026-01-01T00:00:00Z"),
        (f"{ACCOUNT}/c/k?snapshot=2026", f"{ACCOUNT}/c", "k", "snapshot=2026"),
        (f"{ACCOUNT}/c", f"{ACCOUNT}/c", "", None),
    ],
)  # fmt: skip
def test_uris_are_read_as_their_stores_spell_them(
    uri: str, bucket: str, key: str, version: str | None
) -> None:
    name = {"s3": "s3", "gs": "gcs", "gcs": "gcs"}.get(uri.partition("://")[0], "azure")
    assert STORES[name][0].parse(uri) == Place(bucket, key, version)


@pytest.mark.parametrize("uri", ["s3://", "gs:///key", ACCOUNT, f"{ACCOUNT}/c/k?restype=container"])
def test_a_uri_that_names_no_object_is_refused(uri: str) -> None:
    with pytest.raises(Invalid, match="write "):
        references.References(timeout_seconds=1).of(uri).listing(
            uri, checksum=True, chosen=lambda _: True
        )


@pytest.mark.parametrize(
    ("uri", "is_azure"),
    [
        (f"{ACCOUNT}/c/k", True),
        ("https://ana.blob.core.usgovcloudapi.net/c/k", True),
        ("https://ana.blob.core.windows.net.evil.org/c/k", False),
        ("https://evil.org/ana.blob.core.windows.net/c/k", False),
        ("http://ana.blob.core.windows.net/c/k", False),
        ("http://127.0.0.1:1/ana/c/k", True),
        ("http://127.0.0.1:1/anais/c/k", False),
    ],
)
def test_azure_is_known_by_its_hosts(
    uri: str, is_azure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "BlobEndpoint=http://127.0.0.1:1/ana;")
    assert azure.reads(uri) is is_azure


def test_a_key_goes_to_its_own_account_only(monkeypatch: pytest.MonkeyPatch) -> None:
    key = base64.b64encode(b"key").decode()
    monkeypatch.setattr(azure, "_identity", lambda _: "identity")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"AccountName=ana;AccountKey={key};")
    assert azure._credential(ACCOUNT, 1) == {"account_name": "ana", "account_key": key}
    assert azure._credential("https://bob.blob.core.windows.net", 1) == "identity"
    own = f"AccountName=ana;AccountKey={key};BlobEndpoint=https://blobs.example.org"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", own)
    assert azure._account_url("https://blobs.example.org/c/k") == "https://blobs.example.org"
    credential = azure._credential("https://blobs.example.org", 1)
    assert credential == {"account_name": "ana", "account_key": key}
    signed = f"BlobEndpoint={ACCOUNT}/;SharedAccessSignature=sv=1&sig=3"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", signed)
    assert azure._credential(ACCOUNT, 1) == "sv=1&sig=3"
    assert azure._credential("https://bob.blob.core.windows.net", 1) == "identity"
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", "?sv=1&sig=2")
    assert azure._credential(ACCOUNT, 1) == "identity"  # nobody said whose it is
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "ana")
    assert azure._credential(ACCOUNT, 1) == "sv=1&sig=2"
    monkeypatch.setenv("AZURE_STORAGE_KEY", key)
    assert azure._credential(ACCOUNT, 1) == {"account_name": "ana", "account_key": key}
    assert azure._credential("https://bob.blob.core.windows.net", 1) == "identity"


@pytest.mark.parametrize(
    ("uri", "module", "extra"),
    [
        ("s3://b/k", "boto3", "s3"),
        ("gs://b/k", "google.cloud", "gcs"),
        (f"{ACCOUNT}/c/k", "azure.storage.blob", "azure"),
    ],
)
def test_a_library_that_is_missing_is_named(
    uri: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    references.opened.cache_clear()
    with pytest.raises(Unavailable, match=rf"pip install 'lineal\[{extra}\]'"):
        lineal.Artifact("refs", "dataset").add_reference(uri)


@pytest.mark.parametrize(
    ("uri", "variable", "value", "said"),
    [
        ("s3://b/k", "AWS_PROFILE", "nobodys", "nobodys"),
        ("s3://b/k", "AWS_S3_ENDPOINT_URL", "localhost:8333", "localhost:8333"),
        ("gs://b/k", "GOOGLE_APPLICATION_CREDENTIALS", "/nowhere", "CREDENTIALS names /nowhere"),
        ("https://host/f", "HTTPS_PROXY", "ftp://host", "HTTPS_PROXY"),
        ("https://host/f", "SSL_CERT_FILE", "/nowhere", "SSL_CERT_FILE"),
        (f"{ACCOUNT}/c/k", "AZURE_STORAGE_KEY", "a", "base64"),
    ],
)
def test_an_environment_that_is_wrong_is_told_of(
    uri: str, variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "ana")
    monkeypatch.setenv(variable, value)
    references.opened.cache_clear()
    with pytest.raises((Unavailable, Denied), match=said):
        lineal.Artifact("refs", "dataset").add_reference(uri)
    references.opened.cache_clear()


def test_the_region_of_the_environment_is_taken_before_that_of_a_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("[default]\nregion = eu-north-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.delenv("AWS_REGION", raising=False)
    assert s3.opened(1.0)._client.meta.region_name == "eu-north-1"
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    assert s3.opened(1.0)._client.meta.region_name == "eu-west-3"


@pytest.mark.parametrize("query", ["sv=2024&sig=abc", "versionId=1&SIG=abc"])
def test_a_shared_access_signature_is_not_recorded(query: str) -> None:
    with pytest.raises(Invalid, match="is signed") as refused:
        lineal.Artifact("refs", "dataset").add_reference(f"{ACCOUNT}/c/k?{query}")
    assert "abc" not in str(refused.value)


def test_no_credentials_are_anonymous_and_quiet(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity: Any = pytest.importorskip("azure.identity")
    error: Any = pytest.importorskip("azure.core.exceptions")

    def get_token(*_: Any, **__: Any) -> None:
        logging.getLogger("azure.identity").warning("nobody is signed in")
        raise error.ClientAuthenticationError("nobody is signed in")

    monkeypatch.setattr(identity.DefaultAzureCredential, "get_token", get_token)
    assert azure._credential(ACCOUNT, 1) is None
    assert caplog.records == []


@pytest.mark.parametrize("uri", ["s3://bucket/key", "gs://bucket/key", "{url}/ana/container/key"])
def test_a_store_that_stays_silent_is_given_up(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:  # it takes connections, and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("AWS_S3_ENDPOINT_URL", url)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"BlobEndpoint={url}/ana;")
        place = uri.format(url=url)
        scheme = references.References(timeout_seconds=0.3).of(place)
        with pytest.raises(Unavailable, match="key"):
            scheme.listing(place, checksum=True, chosen=lambda _: True)
