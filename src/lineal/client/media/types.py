"""What a data type is to an artifact, and what an artifact is to a data type.

A data object is stored as `<name>.<type_name>.json` plus side files (DAT-1). It writes them
through a MediaTarget, a draft, and reads them through a MediaSource, a logged artifact. No
imports beyond the standard library, and few of them: every process that logs a file loads this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, NoReturn, Protocol

from lineal.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self


class StoredEntry(Protocol):
    """What is needed of the entry that an added file became."""

    @property
    def path(self) -> str: ...

    @property
    def digest(self) -> str: ...


class MediaTarget(Protocol):
    """An artifact being written. Adding the same content under the same name twice is no error."""

    def add_file(self, local_path: str, name: str, /) -> StoredEntry:
        """Take a file as it is now; later changes to it do not matter."""

    def add_bytes(self, data: bytes, name: str, /) -> StoredEntry: ...

    def add_reference(self, uri: str, name: str, /) -> object:
        """Add an entry whose bytes are those of an entry of another artifact."""

    def reference_to(self, obj: object, /) -> str | None:
        """Return the URI of the entry in another logged artifact that `obj` was read from.

        `obj` is a data object or one of its side files; both say so in `_origin`. None for what
        was made here, or cannot be referred to: then its bytes are added.
        """


class MediaSource(Protocol):
    """A logged artifact being read."""

    def expect(self, name: str, /) -> None:
        """Hear that a file may be asked for; those of a folder in the order of their names here.

        What is expected may be fetched along with what is asked for.
        """

    def path(self, name: str, /) -> str:
        """Fetch one file of the artifact, if not done yet, and return where it is now."""

    def under(self, folder: str, /) -> list[str]:
        """Return the names of all files below a folder; `""` is the artifact."""


class Origin(NamedTuple):
    """The entry of a logged artifact that something was read from."""

    source: MediaSource
    path: str


class DataObject:
    """Base of the data types: what `artifact.add` takes and `run.log` shows."""

    type_name: ClassVar[str]
    """Stands in file names (`t.table.json`) and as `_type` in the JSON object."""

    has_lists: ClassVar[bool] = False
    """Whether several that are logged at once are one value; a list of others is just a list."""

    _origin: Origin | None = None
    """Set by `media.read` for an object that is a whole file, not for one inside a table."""

    def write(self, target: MediaTarget) -> dict[str, Any]:
        """Store the side files and return the JSON object of this one; may be called again."""
        raise NotImplementedError

    @classmethod
    def read(cls, json_obj: dict[str, Any], source: MediaSource) -> Self:
        """Rebuild the object; side files are fetched when they are first looked at."""
        raise NotImplementedError

    def _log(self, run: Any, key: str, step: int) -> dict[str, Any]:
        """Store the object with the run and return what stands for it in the history row."""
        raise NotImplementedError

    @classmethod
    def _log_list(cls, items: Sequence[Any], run: Any, key: str, step: int) -> dict[str, Any]:
        """Store objects of this class, at least one, as one value; only if it `has_lists`."""
        raise NotImplementedError


def needs_media_extra(what: str, package: str, error: ImportError) -> NoReturn:
    """Say which extra brings an optional package; raises Invalid."""
    needs_package(what, package, error, install="'lineal[media]'")


def needs_package(
    what: str, package: str, error: ImportError, *, install: str | None = None
) -> NoReturn:
    """Say what to install, the package itself by default; raises Invalid."""
    raise Invalid(
        f"{what} needs {package}, which is not installed; run `pip install {install or package}`"
    ) from error
