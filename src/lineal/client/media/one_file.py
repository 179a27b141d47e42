"""What the data types have in common that are one file, into which Lineal does not look."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from lineal.client.media.files import HASH_DIGITS, MediaFile, is_address, stored
from lineal.client.media.logged import RunFiles, safe_key
from lineal.client.media.types import DataObject, MediaSource, MediaTarget
from lineal.errors import IntegrityError, Invalid, MissingFile

if TYPE_CHECKING:
    from typing import Self


class OneFile(DataObject):
    """A file with a caption. One that is given by path is read when it is logged; one that is given
    by its URL is only for artifacts, which refer to it.
    """

    folder: ClassVar[str]
    """Where in an artifact or a run such files are."""
    list_type: ClassVar[str]
    """The `_type` of a logged list of them."""
    has_lists: ClassVar[bool] = True

    _file: MediaFile
    caption: str | None

    def __init__(self, file: MediaFile, caption: object = None) -> None:
        self._file = file
        self.caption = None if caption is None else str(caption)

    @property
    def format(self) -> str:
        """The ending of the file's name, without its dot."""
        return self._file.suffix[1:]

    @property
    def content(self) -> bytes:
        """The bytes of the file; fetched first if it is in an artifact."""
        return self._file.read()

    def __repr__(self) -> str:
        caption = f" {self.caption!r}" if self.caption else ""
        return f"<{type(self).__name__} {self.format}{caption}>"

    def __eq__(self, other: object) -> bool:
        """Compare the bytes and the caption; of files that are elsewhere the URLs."""
        if type(other) is not type(self):
            return NotImplemented
        return self.caption == other.caption and self._file.same_as(other._file)

    __hash__ = None  # type: ignore[assignment]  # a file on the disk may change

    def write(self, target: MediaTarget) -> dict[str, Any]:
        """Store the file, or a reference to the one that another artifact holds."""
        return self._stub(self._file.write(target, self.folder))

    def _stub(self, file: dict[str, Any]) -> dict[str, Any]:
        stub = {"_type": self.type_name, **file}
        return stub if self.caption is None else {**stub, "caption": self.caption}

    @classmethod
    def read(cls, json_obj: dict[str, Any], source: MediaSource) -> Self:
        """Rebuild it without fetching the file; raises IntegrityError for foreign JSON."""
        found = cls.__new__(cls)
        try:
            OneFile.__init__(found, stored(json_obj, source), json_obj.get("caption"))
        except (KeyError, TypeError, AttributeError) as error:
            raise IntegrityError(
                f"This is not {cls.__name__} that Lineal can read: {error!r}"
            ) from error
        return found

    def _log(self, run: Any, key: str, step: int) -> dict[str, Any]:
        """Save the file as `<folder>/<key>_<step>_<hash>` of the run."""
        stem = f"{safe_key(key)}_{step}_{self._file.sha256[:HASH_DIGITS]}"
        name = f"{self.folder}/{stem}{self._file.suffix}"
        return self._stub(RunFiles(run).add(self._file, name))

    @classmethod
    def _log_list(cls, items: Sequence[Self], run: Any, key: str, step: int) -> dict[str, Any]:
        stubs = [item._log(run, f"{key}_{at}", step) for at, item in enumerate(items)]
        return {
            "_type": cls.list_type,
            "count": len(stubs),
            "filenames": [stub["path"] for stub in stubs],
            "captions": [stub.get("caption", "") for stub in stubs],
            "items": stubs,
        }


def file_at(path: str | os.PathLike[str], what: str, endings: Sequence[str] = ()) -> MediaFile:
    """Return a file of the user's, or one at a URL; raises MissingFile, Invalid for another ending.

    endings: those that are taken, without their first dot; none: every one. The longest wins.
    """
    text = os.fspath(path)
    name = urlsplit(text).path if is_address(text) else text
    fitting = _fitting(name, endings) if endings else os.path.splitext(name)[1].lower()
    if fitting is None:
        raise Invalid(f"{text} is no file for {what}: its name ends in none of {_list(endings)}")
    if is_address(text):
        return MediaFile(fitting, uri=text)
    if not os.path.isfile(text):
        raise MissingFile(f"No file at {text} to make {what} of")
    return MediaFile(fitting, local_path=os.path.abspath(text))


def file_from(
    source: IO[str] | IO[bytes], what: str, ending: str | None, endings: Sequence[str]
) -> MediaFile:
    """Read an open file from where it is. ending: by default that of its name; one of `endings`."""
    given = getattr(source, "name", "") if ending is None else f".{str(ending).removeprefix('.')}"
    fitting = _fitting(given, endings) if isinstance(given, str) else None
    if fitting is None:
        raise Invalid(
            f"{what} from an open file needs to know its kind, one of {_list(endings)}, "
            f"not {given or None!r}"
        )
    return MediaFile(fitting, data=as_bytes(source.read()))


def _fitting(name: str, endings: Sequence[str]) -> str | None:
    """Return the longest of the endings that a name has, with its dot."""
    found = [f".{each}" for each in endings if name.lower().endswith(f".{each}")]
    return max(found, key=len, default=None)


def as_bytes(content: str | bytes) -> bytes:
    return content.encode(errors="surrogatepass") if isinstance(content, str) else bytes(content)


def _list(endings: Sequence[str]) -> str:
    return ", ".join(f".{each}" for each in endings)
