"""`http://` and `https://` references: what a server's ETag, if it has one, says (REF-12).

Proxies, certificates and ~/.netrc are those of the environment.
"""

from __future__ import annotations

import base64
import netrc
import os
import tempfile
import time
import weakref
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any
from urllib.parse import unquote

from lineal.client import term
from lineal.client.artifact.patterns import Chosen
from lineal.client.references import secret
from lineal.client.references.arriving import ATTEMPTS, REPEATED_AFTER_SECONDS, repeated
from lineal.client.references.scheme import (
    Found,
    Freshness,
    Listing,
    Ranges,
    State,
    extra,
    is_unchecked,
    unquoted,
)
from lineal.client.references.telling import reason
from lineal.core.digest import Digest
from lineal.core.manifest import Entry
from lineal.errors import (
    Denied,
    Invalid,
    MissingFile,
    ReferenceChanged,
    Unavailable,
)
from lineal.files.reading import CHUNK_BYTES, Advance
from lineal.files.writing import write_stream

REDIRECTS_MOST = 10
_GZIP = ("gzip", "x-gzip")
_GZIP_FILES = (".gz", ".tgz")
_GZIP_WINDOW = zlib.MAX_WBITS | 16
"""Tells zlib that gzip's header is expected."""


def opened(timeout_seconds: float) -> WebScheme:
    try:
        import httpx2  # 0.1 s, and only references to the web need it
    except ImportError as error:
        raise Unavailable(
            "References to http:// and https:// need httpx2: pip install 'lineal[http]'"
        ) from error
    try:
        client = httpx2.Client(
            timeout=timeout_seconds,
            follow_redirects=True,
            max_redirects=REDIRECTS_MOST,
            headers={"Accept-Encoding": "identity"},  # sizes and ranges mean the bytes themselves
            event_hooks={"request": [_Logins()]},
        )
    except (ImportError, ValueError, OSError) as error:  # of proxies and certificates
        raise Unavailable(
            "References to http:// and https:// cannot be read here, see HTTP_PROXY, HTTPS_PROXY, "
            f"ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR: {error}"
        ) from error
    return WebScheme(client, timeout_seconds)


def name(uri: str) -> str:
    parts = secret.split(uri)
    return unquote(parts.path.rstrip("/").rpartition("/")[2]) or parts.netloc


class WebScheme:
    """Files of the web; `scheme.Scheme` says what each method promises."""

    def __init__(self, client: Any, timeout_seconds: float) -> None:
        self._client = client
        self._timeout_seconds = timeout_seconds
        weakref.finalize(self, client.close)

    def listing(self, uri: str, *, checksum: bool, chosen: Chosen) -> Listing:
        if not secret.split(uri).hostname:
            raise Invalid(f"{secret.shown(uri)} names no host; write https://host/path")
        with self._response(uri) as response:
            etag = _etag(response.headers)
            size = 0 if _is_packed(uri, response.headers) else _length(response.headers) or 0
        digest = Digest(uri if etag is None else etag)
        return Listing(False, iter([Found(name(uri), uri, digest, size, extra(etag, None))]))

    def fetch(self, entry: Entry, target: str, *, advance: Advance | None = None) -> str:
        return repeated(lambda: self._written(entry, target, advance), target)

    def _written(self, entry: Entry, target: str, advance: Advance | None) -> str:
        uri = _uri(entry)
        with self._response(uri) as response:
            _require_same(entry, response.headers)
            arriving = _Arriving(response.iter_raw(CHUNK_BYTES))
            if _is_packed(uri, response.headers):
                contents = _Arriving(_unpacked(arriving.chunks, secret.shown(uri)))
            else:
                contents = arriving
            hex_digest = write_stream(contents, target, CHUNK_BYTES, advance=advance)
            expected = _length(response.headers)
        if expected is not None and arriving.size != expected:
            raise Unavailable(
                f"{secret.shown(uri)} ended after {arriving.size} of {expected} bytes"
            )
        _require_size(entry, contents.size)
        return hex_digest

    def check(self, entry: Entry) -> Freshness:
        try:
            with self._response(_uri(entry)) as response:
                if is_unchecked(entry):
                    is_packed = _is_packed(_uri(entry), response.headers)
                    size = None if is_packed else _length(response.headers)
                    if entry.size and size is not None and size != entry.size:
                        return Freshness(State.LOST, f"it has {size} bytes now, not {entry.size}")
                    return Freshness(State.UNCHECKED, "its server tells no ETag")
                _require_same(entry, response.headers)
        except ReferenceChanged as error:
            return Freshness(State.LOST, error.message)
        except MissingFile as error:
            return Freshness(State.LOST, error.message)
        except Denied as error:
            return Freshness(State.FORBIDDEN, error.message)
        return Freshness(State.FRESH)

    def ranges(self, entry: Entry) -> Ranges:
        return WebRanges(self, entry)

    # --- requests ---

    @contextmanager
    def _response(self, uri: str, headers: Mapping[str, str] | None = None) -> Iterator[Any]:
        """Begin to read; says what an error means to the user."""
        import httpx2

        shown = secret.shown(uri)
        try:
            with self._begun(uri, headers or {}) as response:
                if not (headers and response.status_code == EMPTY):
                    _require_good(response.status_code, shown, is_part=bool(headers))
                yield response
        except httpx2.InvalidURL as error:
            raise Invalid(f"{shown} is no address: {error}") from error
        except httpx2.TimeoutException as error:
            raise Unavailable(f"{shown} does not answer in time; try again later") from error
        except httpx2.TooManyRedirects as error:
            raise Unavailable(f"{shown} leads in circles") from error
        except httpx2.HTTPError as error:
            raise Unavailable(f"{shown} cannot be read: {reason(error)}") from error

    @contextmanager
    def _begun(self, uri: str, headers: Mapping[str, str]) -> Iterator[Any]:
        """Begin to read; ask a busy server again, when it wants to be and within the timeout."""
        ends_at = time.monotonic() + self._timeout_seconds
        for attempt in range(1, ATTEMPTS + 1):
            with self._client.stream("GET", uri, headers=headers) as response:
                wait = _wait_seconds(response.headers, attempt)
                is_last = attempt == ATTEMPTS or time.monotonic() + wait > ends_at
                if response.status_code not in BUSY or is_last:
                    yield response
                    return
            time.sleep(wait)


class _Logins:
    """Adds the login that `~/.netrc` has for a host, also for one that a redirect leads to."""

    def __init__(self) -> None:
        path = os.environ.get("NETRC") or os.path.expanduser("~/.netrc")
        self._found: netrc.netrc | None = None
        try:
            self._found = netrc.netrc(path)
        except FileNotFoundError:
            return
        except (netrc.NetrcParseError, OSError, UnicodeDecodeError) as error:
            term.warn_once(f"No login is taken from {path}, it cannot be read: {error}")

    def __call__(self, request: Any) -> None:
        found = self._found and self._found.authenticators(request.url.host)
        if found and found[2] and "authorization" not in request.headers:
            login = base64.b64encode(f"{found[0]}:{found[2]}".encode()).decode()
            request.headers["Authorization"] = f"Basic {login}"


BUSY = (429, 502, 503, 504)
"""Answers that another attempt may do without."""
EMPTY = 416
"""The answer to who asks for the first byte of nothing."""


class WebRanges:
    """Parts of a file; where the server knows no ranges, it is fetched once and kept aside."""

    def __init__(self, scheme: WebScheme, entry: Entry) -> None:
        self._scheme, self._entry = scheme, entry
        self._shown = secret.shown(_uri(entry))
        self._whole: IO[bytes] | None = None
        with scheme._response(_uri(entry), {"Range": "bytes=0-0"}) as response:
            _require_same(entry, response.headers)
            total = response.headers.get("content-range", "").rpartition("/")[2]
            is_part = response.status_code == 206 and total.isdecimal()
            self._has_ranges = is_part and not _is_packed(_uri(entry), response.headers)
            self._size = int(total) if self._has_ranges else 0
        if self._has_ranges:
            _require_size(entry, self._size)
        else:
            self._keep_whole()

    @property
    def size(self) -> int:
        return self._size

    def read(self, start: int, stop: int) -> bytes:
        stop = min(stop, self._size)
        if start >= stop:
            return b""
        if self._whole is not None:
            return os.pread(self._whole.fileno(), stop - start, start)
        # No If-Range: weak ETags never match it, and that of the answer is compared anyway.
        asked = {"Range": f"bytes={start}-{stop - 1}"}
        with self._scheme._response(_uri(self._entry), asked) as response:
            if response.status_code != 206:
                raise ReferenceChanged(f"{self._shown} changed while it was being read")
            _require_same(self._entry, response.headers)
            data: bytes = response.read()
        if len(data) != stop - start:
            raise Unavailable(f"{self._shown} gave {len(data)} bytes of {stop - start}")
        return data

    def close(self) -> None:
        if self._whole is not None:
            self._whole.close()

    def _keep_whole(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            part = os.path.join(folder, "part")
            self._scheme.fetch(self._entry, part)
            self._whole = open(part, "rb")  # noqa: SIM115 - closed with this
        self._size = os.fstat(self._whole.fileno()).st_size


class _Arriving:
    """Bytes on their way, counted as they are read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = self._counted(chunks)
        self.size = 0

    def read(self, _count: int) -> bytes:
        return next(self.chunks, b"")

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.size += len(chunk)
            if chunk:
                yield chunk


def _is_packed(uri: str, headers: Mapping[str, str]) -> bool:
    """Tell whether a server sends gzip although the bytes themselves were asked for.

    Not where that is the file's own format, as in `a.tar.gz`. Raises Unavailable for other codings.
    """
    coding = headers.get("content-encoding", "").strip().lower()
    if coding in ("", "identity"):
        return False
    if coding not in _GZIP:
        raise Unavailable(
            f"{secret.shown(uri)} comes coded as {coding}, which is not read; fetch it by hand"
        )
    return not secret.split(uri).path.lower().endswith(_GZIP_FILES)


def _unpacked(chunks: Iterator[bytes], shown: str) -> Iterator[bytes]:
    """Undo gzip, which may be several streams one after the other."""
    running = None
    try:
        for chunk in chunks:
            left = chunk
            while left:
                if running is None or running.eof:
                    running = zlib.decompressobj(_GZIP_WINDOW)
                yield running.decompress(left, CHUNK_BYTES)
                left = running.unconsumed_tail or running.unused_data
        if running is not None:
            yield running.flush()
    except zlib.error as error:
        raise Unavailable(f"{shown} arrived damaged: {error}") from error
    if running is not None and not running.eof:
        raise Unavailable(f"{shown} ended before its end")


def _uri(entry: Entry) -> str:
    assert entry.ref is not None
    return entry.ref


def _length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("content-length", "")
    return int(text) if text.isdecimal() else None


def _wait_seconds(headers: Mapping[str, str], attempt: int) -> float:
    """Return how long a busy server asks to be left alone."""
    text = headers.get("retry-after", "")
    return float(text) if text.isdecimal() else REPEATED_AFTER_SECONDS * attempt


def _require_good(status: int, shown: str, *, is_part: bool) -> None:
    """Raise what an answer means that is not the file, or the part of it that was asked for."""
    if status == 200 or (status == 206 and is_part):
        return
    if status in (404, 410):
        raise MissingFile(f"{shown} does not exist (any more)")
    if status in (401, 403, 407):
        raise Denied(f"{shown} may not be read ({status}); a login may belong into ~/.netrc")
    raise Unavailable(f"{shown} answers {status}")


def _require_size(entry: Entry, size: int) -> None:
    if entry.size and size != entry.size:
        raise ReferenceChanged(
            f"Reference {entry.path} leads to {secret.shown(_uri(entry))}, which has {size} bytes "
            f"now, not the {entry.size} that were recorded; log it as a new version"
        )


def _etag(headers: Mapping[str, str]) -> str | None:
    """Return the ETag unquoted; None without one, and for an empty one, which says nothing."""
    return unquoted(headers.get("etag", "")) or None


def _require_same(entry: Entry, headers: Mapping[str, str]) -> None:
    """Raise ReferenceChanged unless the ETag is the recorded one."""
    if is_unchecked(entry):
        return
    etag = _etag(headers)
    if etag == entry.digest:
        return
    if etag is None:
        raise ReferenceChanged(
            f"Reference {entry.path} leads to {secret.shown(_uri(entry))}, whose server told an "
            "ETag when it was recorded and tells none now, so that nothing says that it is the "
            "same; log it as a new version"
        )
    raise ReferenceChanged(
        f"Reference {entry.path} leads to {secret.shown(_uri(entry))}, which changed since it was "
        f"recorded (ETag {etag}, not {entry.digest}); log it as a new version"
    )
