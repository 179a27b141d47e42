"""References of every other scheme that the user's fsspec knows (`memory`, `ftp`, `gcs`, `abfs` …).

What says that an object is still the same differs from store to store: an ETag or checksum where
there is one, else size and time of the last change, which is said in the digest.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from lineal.client.artifact.patterns import Chosen
from lineal.client.references import secret
from lineal.client.references.scheme import (
    Found,
    Freshness,
    Listing,
    Ranges,
    State,
    extra,
    is_unchecked,
    no_object,
    unquoted,
)
from lineal.client.references.telling import reason, said
from lineal.client.references.telling import status as status_of
from lineal.core.digest import Digest
from lineal.core.manifest import Entry
from lineal.errors import Denied, Invalid, LinealError, MissingFile, ReferenceChanged, Unavailable
from lineal.files.reading import CHUNK_BYTES, Advance
from lineal.files.writing import write_stream

_CHECKSUMS = ("etag", "ETag", "e_tag", "md5Hash", "md5", "checksum", "sha256", "blob_id", "CRC")
_VERSIONS = ("generation", "VersionId", "version_id", "versionId")
_REFUSED = (401, 403, 530)
"""Answers to who may not read; the last is FTP's."""
_OURS = {"s3a": "s3"}
"""Schemes that lead to what is read without fsspec under another."""
_MOMENTS = ("mtime", "updated", "last_modified", "LastModified", "modify", "created")


def knows(scheme: str) -> bool:
    """Tell whether fsspec is there and knows a scheme; loads nothing of the store's own."""
    if not scheme or importlib.util.find_spec("fsspec") is None:
        return False
    import fsspec  # 0.1 s, and only schemes that are not ours come here

    # the registry has what this process registered itself
    return scheme in fsspec.available_protocols() or scheme in fsspec.registry


def opened(_timeout_seconds: float) -> AnyScheme:
    return AnyScheme()


def name(uri: str) -> str:
    return _links(uri)[1].partition("://")[2].rstrip("/").rpartition("/")[2]


class AnyScheme:
    """Files of any fsspec filesystem; `scheme.Scheme` says what each method promises."""

    def listing(self, uri: str, *, checksum: bool, chosen: Chosen) -> Listing:
        fs, path = _filesystem(uri)
        info = _info(fs, path, uri)
        if info.get("type") != "directory":
            name = path.rstrip("/").rpartition("/")[2]
            return Listing(False, iter([_found(fs, info, name, uri)]))
        return Listing(True, _below(fs, path, uri))

    def fetch(self, entry: Entry, target: str, *, advance: Advance | None = None) -> str:
        fs, path = _filesystem(_uri(entry))
        _require_same(entry, _info(fs, path, _uri(entry)))
        with _Told(_uri(entry), target), fs.open(path, "rb") as source:
            hex_digest = write_stream(source, target, CHUNK_BYTES, advance=advance)
        _require_same(entry, _info(fs, path, _uri(entry)))  # it was not replaced meanwhile
        return hex_digest

    def check(self, entry: Entry) -> Freshness:
        try:
            fs, path = _filesystem(_uri(entry))
            info = _info(fs, path, _uri(entry))
            if not is_unchecked(entry):
                _require_same(entry, info)
        except (MissingFile, ReferenceChanged) as error:
            return Freshness(State.LOST, error.message)
        except Denied as error:
            return Freshness(State.FORBIDDEN, error.message)
        if is_unchecked(entry):
            return Freshness(State.UNCHECKED, "recorded without checksum")
        return Freshness(State.FRESH)

    def ranges(self, entry: Entry) -> Ranges:
        fs, path = _filesystem(_uri(entry))
        info = _info(fs, path, _uri(entry))
        _require_same(entry, info)
        return AnyRanges(fs, path, entry, int(info.get("size") or 0))


class AnyRanges:
    def __init__(self, fs: Any, path: str, entry: Entry, size: int) -> None:
        self._fs, self._path, self._entry, self._size = fs, path, entry, size

    @property
    def size(self) -> int:
        return self._size

    def read(self, start: int, stop: int) -> bytes:
        stop = min(stop, self._size)
        if start >= stop:
            return b""
        uri = _uri(self._entry)
        with _Told(uri):
            data: bytes = self._fs.cat_file(self._path, start=start, end=stop)
        _require_same(self._entry, _info(self._fs, self._path, uri))
        if len(data) != stop - start:
            raise Unavailable(f"{secret.shown(uri)} gave {len(data)} bytes of {stop - start}")
        return data

    def close(self) -> None:
        return


class _Told:
    """Says what an error of a filesystem means to the user; one about `target` is the caller's."""

    def __init__(self, uri: str, target: str | None = None, *, is_opened: bool = False) -> None:
        """is_opened: only the URI is taken apart, so that a wrong value is one in it."""
        self._shown = secret.shown(uri)
        self._target = target
        self._is_opened = is_opened

    def __enter__(self) -> None:
        return

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object
    ) -> None:
        if isinstance(error, LinealError) or not isinstance(error, Exception):
            return
        if isinstance(error, OSError) and self._target and error.filename == self._target:
            return
        if isinstance(error, FileNotFoundError):
            raise MissingFile(f"{self._shown} does not exist (any more)") from error
        if isinstance(error, ImportError):
            raise Unavailable(
                f"{self._shown} is read by fsspec, which lacks a package for it: {said(error)}"
                f"{self._or_ours()}"
            ) from error
        if isinstance(error, PermissionError) or status_of(error) in _REFUSED:
            raise Denied(
                f"{self._shown} may not be read ({said(error)}); fsspec takes logins from where "
                "the store's own tools do, and from its settings in ~/.config/fsspec"
            ) from error
        if isinstance(error, IsADirectoryError):
            raise no_object(self._shown) from error
        if isinstance(error, TypeError | ValueError) and self._is_opened:
            raise Invalid(
                f"{self._shown} is no address that fsspec can read: {said(error)}"
            ) from error
        raise Unavailable(f"{self._shown} cannot be read: {reason(error)}") from error

    def _or_ours(self) -> str:
        scheme, _, rest = self._shown.partition("://")
        own = _OURS.get(scheme)
        return "" if own is None else f". Or write {own}://{rest}, which needs none"


def _filesystem(uri: str) -> tuple[Any, str]:
    import fsspec  # see `knows`

    with _Told(uri, is_opened=True):
        fs, path = fsspec.core.url_to_fs(uri)
        return fs, path
    raise AssertionError


def _info(fs: Any, path: str, uri: str) -> Mapping[str, Any]:
    with _Told(uri):
        fs.invalidate_cache()
        info: Mapping[str, Any] = fs.info(path)
        return info
    raise AssertionError


def _below(fs: Any, folder: str, uri: str) -> Iterator[Found]:
    """Yield the files of a folder; fsspec's own walk leaves out what cannot be listed, unsaid."""
    top, waiting = folder.strip("/"), [folder]
    while waiting:
        here = waiting.pop()
        for info in _listed(fs, here, uri):
            name = str(info["name"]).rstrip("/")
            if info["type"] != "directory":
                yield _found(fs, info, name.strip("/")[len(top) :].lstrip("/"), uri)
            elif name != here.rstrip("/"):
                waiting.append(name)


def _listed(fs: Any, folder: str, uri: str) -> list[Mapping[str, Any]]:
    """Return what is in a folder; nothing if it is gone by now, or empty: some stores find none."""
    with _Told(uri):
        try:
            found: list[Mapping[str, Any]] = fs.ls(folder, detail=True)
        except FileNotFoundError:
            return []
        return found
    raise AssertionError


def _found(fs: Any, info: Mapping[str, Any], name: str, uri: str) -> Found:
    etag = _first(info, _CHECKSUMS)
    version = _first(info, _VERSIONS)
    return Found(
        name,
        _in_place(fs.unstrip_protocol(info["name"]), uri),
        _identity(info),
        int(info.get("size") or 0),
        extra(etag, version),
    )


def _in_place(link: str, uri: str) -> str:
    """Return the URI of one object; what fsspec reads it through (`::`) is as it was given."""
    before, _, after = _links(uri)
    return "::".join([*before, link, *after])


def _links(uri: str) -> tuple[list[str], str, list[str]]:
    """Return the link that says which object, what stands before it (`simplecache`) and after."""
    chain = uri.split("::")
    own = next(place for place, each in enumerate(chain) if "://" in each)
    return chain[:own], chain[own], chain[own + 1 :]


def _identity(info: Mapping[str, Any]) -> Digest:
    """Return what changes when the object does."""
    checksum = _first(info, _CHECKSUMS)
    if checksum is not None:
        return Digest(unquoted(checksum))
    moment = next((info[key] for key in _MOMENTS if info.get(key) is not None), "unknown")
    # One store may tell both: a datetime in listings, seconds about one object.
    text = str(moment.timestamp() if isinstance(moment, datetime) else moment)
    return Digest(f"modified:{text}:{info.get('size')}")


def _first(info: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    return next((str(info[key]) for key in keys if info.get(key)), None)


def _uri(entry: Entry) -> str:
    if entry.ref is None:
        raise Invalid(f"{entry.path} is a stored file, not a reference")
    return entry.ref


def _require_same(entry: Entry, info: Mapping[str, Any]) -> None:
    if is_unchecked(entry) and info.get("type") == "directory":
        raise no_object(secret.shown(_uri(entry)))
    if is_unchecked(entry) or _identity(info) == entry.digest:
        return
    raise ReferenceChanged(
        f"Reference {entry.path} leads to {secret.shown(_uri(entry))}, which changed since it was "
        f"recorded ({_identity(info)}, not {entry.digest}); log it as a new version"
    )
