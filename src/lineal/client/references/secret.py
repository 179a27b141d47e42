"""What may not be recorded: a URI that carries a password or a signature (REF-7).

It is refused, not shortened: without its signature a URL may lead nowhere, and whoever logs it
should learn that now, not the colleague who downloads it next year.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, urlsplit

from lineal.errors import Invalid

SIGNED = frozenset(
    {
        "x-amz-signature",
        "x-amz-security-token",
        "x-amz-credential",
        "x-goog-signature",
        "x-goog-credential",
        "signature",
        "awsaccesskeyid",
        "googleaccessid",
        "sig",
        "key-pair-id",
        "access_token",
        "auth_token",
        "private_token",
        "job_token",
        "hf_token",
        "token",
        "jwt",
        "api_key",
        "api-key",
        "apikey",
        "access_key",
        "subscription-key",
        "auth",
        "authorization",
        "client_secret",
        "secret",
        "password",
        "passwd",
        "pwd",
    }
)
"""Query parameters, in lower case, that let whoever holds the URL read what it leads to."""
_OPEN = ("http", "https", "ftp", "ftps")
"""Schemes whose user part is a login; in `abfss://container@account` it is a place."""
_CHAIN = re.compile(r"::(?=[\w+.-]+(?:://|::))")
"""Stands between the links of fsspec's `zip://file::https://host/archive.zip`."""


def refuse(uri: str) -> None:
    """Raise Invalid for a URI with a password or a signed query; the message holds neither."""
    for link in _links(uri):
        _refuse_link(link, uri)


def _refuse_link(link: str, uri: str) -> None:
    parts = split(link)
    login, at, _ = parts.netloc.rpartition("@")
    if at and (":" in login or parts.scheme in _OPEN):
        raise Invalid(
            f"{shown(uri)} carries a login, which would be stored for all who can read the "
            "artifact; leave it out and keep it where the provider's own tools look for it, such "
            "as environment variables or ~/.netrc"
        )
    signed = sorted({key for key, _ in parse_qsl(parts.query) if key.lower() in SIGNED})
    if signed:
        raise Invalid(
            f"{shown(uri)} is signed ({', '.join(signed)}): the signature would be stored for all "
            "who can read the artifact, and stops working when it expires; refer to the object by "
            "its plain URL, s3://, gs:// or az:// and let credentials come from the environment"
        )


def split(uri: str) -> SplitResult:
    """Return the parts of a URI; raises Invalid for what is none, with nothing of it but why."""
    try:
        return urlsplit(uri)
    except ValueError as error:
        raise Invalid(
            f"{uri.partition('://')[0]}://… cannot be referred to, it is no URI: {error}"
        ) from error


def shown(uri: str) -> str:
    """Return a URI as a message may show it: without login and without query."""
    return "::".join(map(_shown_link, _links(uri)))


def _links(uri: str) -> list[str]:
    return _CHAIN.split(uri)


def _shown_link(link: str) -> str:
    if "://" not in link:  # such as the first of `simplecache::https://host/file`
        return link.partition("?")[0]
    parts = split(link)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
