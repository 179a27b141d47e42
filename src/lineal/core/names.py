"""What may be called what: entities, projects, runs, collections, types, aliases, tags, paths.

One rule per kind of name, used by the SDK before anything is sent and by `service` again.
All functions return the (normalised) name or raise Invalid. Sources: NAM-1…NAM-6, ALI-3, TAG-1,
RUN-3, ART-25.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import NamedTuple
from unicodedata import category, normalize

from lineal.errors import HostilePath, Invalid

NAME_MAX = 128
"""Characters in the name of an artifact, type, project, alias or tag (NAM-1, NAM-3, NAM-4)."""
RUN_ID_MAX = 64
VERSION_MAX = 2**31 - 1
"""What the database's column for numbers of versions holds."""
PATH_MAX_BYTES = 4096
"""Bytes in a path inside an artifact: what Linux accepts in one call."""
PATH_PART_MAX_BYTES = 255

DEFAULT_PROJECT = "uncategorized"
LATEST = "latest"
OWN_KEY = "_lineal"
"""Where in a config Lineal notes what is its own, such as metric definitions; hidden from users."""
HISTORY_TYPE = "wandb-history"
ARTIFACT_SCHEMES = ("lineal-artifact://", "wandb-artifact://")
"""Before names of artifacts in configs and paths."""

_WORDS = re.compile(r"[\w.\- ]+")
_ARTIFACT_NAME = re.compile(r"[A-Za-z0-9_.\-]+")
_PROJECT_FORBIDDEN = re.compile(r"[/\\#?%:\r\n\0]")
_NOT_IN_PROJECT = re.compile(r"(?:(?![A-Za-z0-9_.\-])[\0-\x7f]|[\s\x80-\x9f\ud800-\udfff])+")
"""What Lineal keeps out of names that it invents, beside what no project's name may hold."""
_TAG = re.compile(r"[-\w]+( +[-\w]+)*")
_VERSION = re.compile(r"v(0|[1-9][0-9]*)")
_UNSHOWN = frozenset({"Cc", "Zl", "Zp"})
"""Categories of Unicode: control characters, line and paragraph separators."""
_DRIVE = re.compile(r".:", re.DOTALL)
"""Windows knows drives of letters only, but `ntpath.join` takes any character for one."""
_UPWARDS = re.compile(r"\.\.[. ]*")
"""Windows drops dots and spaces at the end of a part, so that `.. ` may mean `..`."""


def artifact_name(name: str) -> str:
    """Check the name of a collection: ASCII letters, digits, `_ - .`, at most 128 (NAM-1)."""
    if not isinstance(name, str) or not _ARTIFACT_NAME.fullmatch(name) or name in (".", ".."):
        is_words = isinstance(name, str) and _is_words(name)
        raise Invalid(
            f"Artifact name {name!r} may hold only ASCII letters, digits, dashes, underscores and "
            "dots" + ("; such text can be the `display_name` of its collection" if is_words else "")
        )
    return _short(name, "Artifact name")


def display_name(text: str | None) -> str | None:
    """Check what people see beside the name of a collection; None for empty text (NAM-1).

    Any text of at most 128 characters without control characters and line breaks; spaces around
    it are left out.
    """
    if text is None:
        return None
    if not isinstance(text, str) or any(category(each) in _UNSHOWN for each in text):
        raise Invalid(
            f"Display name {text!r} must be text without control characters and line breaks"
        )
    return _short(text.strip(), "Display name") or None


def type_name(name: str) -> str:
    """Check an artifact type: at most 128 characters, no `/` or `:` (NAM-3)."""
    if not isinstance(name, str) or not name.strip():
        raise Invalid("Artifact type must be a non-empty string, such as `dataset` or `model`")
    if re.search(r"[/:\0\r\n]", name):
        raise Invalid(f"Artifact type {name!r} may not contain `/`, `:` or line breaks")
    return _short(name, "Artifact type")


def require_type(what: str, found: str, wanted: str | None, instead: str = "") -> None:
    """Raise Invalid for an artifact of another type than is wanted (NAM-2); None: any will do.

    what: its name, as the message begins. instead: what to do, as it ends.
    """
    if wanted is not None and found != wanted:
        raise Invalid(f"{what} has type `{found}`, not `{wanted}`{instead}")


def user_artifact(name: str | None, type: str) -> None:
    """Refuse the types and names that Lineal makes itself (NAM-3)."""
    reserved = (
        type == "job"
        or type.startswith("wandb-")
        or (type == "code" and name is not None and name.startswith("source-"))
        or (type == "run_table" and name is not None and name.startswith("run-"))
    )
    if reserved:
        raise Invalid(f"Artifact {name!r} of type {type!r} is reserved for internal use")


def project_name(name: str) -> str:
    """Check the name of a project: 1 to 128 characters, none of `/ \\ # ? % :` (NAM-4)."""
    if not _is_plain(name) or _PROJECT_FORBIDDEN.search(name):
        raise Invalid(
            f"Project name {name!r} must not be empty, `.` or `..`, "
            "or contain any of / \\ # ? % : or line breaks"
        )
    return _short(name, "Project name")


def entity_name(name: str) -> str:
    """Check the name of a user or team: ASCII letters, digits, `_ - .`, at most 128."""
    if not _is_plain(name) or not _ARTIFACT_NAME.fullmatch(name):
        raise Invalid(f"Entity {name!r} may hold only ASCII letters, digits, `_`, `-` and `.`")
    return _short(name, "Entity")


def run_id(name: str) -> str:
    """Check a run id: 1 to 64 characters, none of `/ \\ # ? % :` (RUN-3)."""
    if not _is_plain(name) or _PROJECT_FORBIDDEN.search(name):
        raise Invalid(
            f"Run id {name!r} must not be empty, `.` or `..`, "
            "or contain any of / \\ # ? % : or line breaks"
        )
    return _short(name, "Run id", RUN_ID_MAX)


def alias(name: str) -> str:
    """Check an alias that a user assigns; `v3` looks like a version and is refused (ALI-3)."""
    if not isinstance(name, str) or not name.strip():
        raise Invalid("An alias must be a non-empty string")
    if name != name.strip():
        raise Invalid(f"Alias {name!r} may not begin or end with a space: it looks like another")
    if re.search(r"[/:\0\r\n]", name):
        raise Invalid(f"Alias {name!r} may not contain `/`, `:` or line breaks")
    if _VERSION.fullmatch(name):
        raise Invalid(f"Alias {name!r} is reserved: `v` and a number always mean a version")
    return _short(name, "Alias")


def aliases(names: str | Iterable[str] | None) -> list[str]:
    """Check several; a single string counts as a list of one (SEED-10). Order kept, no doubles."""
    return list(dict.fromkeys(alias(name) for name in strings(names, "Aliases")))


def tag(name: str) -> str:
    """Check a tag: words of letters, digits, `_`, `-` joined by spaces (TAG-1)."""
    if not isinstance(name, str) or not _TAG.fullmatch(name):
        raise Invalid(f"Tag {name!r} must be words of letters, digits, `_` or `-` joined by spaces")
    return _short(name, "Tag")


def tags(names: str | Iterable[str] | None) -> list[str]:
    return list(dict.fromkeys(tag(name) for name in strings(names, "Tags")))


def strings(value: str | Iterable[str] | None, what: str = "Names") -> list[str]:
    """Return a list wherever a list of strings is expected, also for one string or None."""
    if value is None:
        return []
    given: object = value
    if not isinstance(value, Iterable) or isinstance(given, bytes):
        raise TypeError(f"{what} must be a text or a list of texts, not {value!r}")
    return [value] if isinstance(value, str) else list(value)


def path_text(path: str | os.PathLike[str], what: str = "A path") -> str:
    """Return a path as text; raises TypeError for what is none."""
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a text or a path, not {path!r}")
    return text


def local_path(path: str | os.PathLike[str]) -> str:
    """Return a path of this machine as text.

    Raises TypeError for what is no path, and Invalid for what no file can be called: nothing, a
    text with a NUL or with what no encoding knows, or one of more than 4096 bytes.
    """
    text = path_text(path)
    if not text or "\0" in text:
        raise Invalid(f"Path {text!r} is empty or contains a NUL")
    try:
        size = len(text) if text.isascii() else len(os.fsencode(text))
    except UnicodeEncodeError as error:
        raise Invalid(f"Path {text!r} is not valid Unicode") from error
    if size > PATH_MAX_BYTES:
        raise Invalid(f"Path {text[:40]!r}… is too long for a file system: {size} bytes")
    return text


def version_number(ref: str) -> int | None:
    """Return 3 for `v3`, None for anything else; at most VERSION_MAX, which no version has."""
    if not _VERSION.fullmatch(ref):
        return None
    return min(int(ref[1 : len(str(VERSION_MAX)) + 2]), VERSION_MAX)


def entry_path(path: str | os.PathLike[str]) -> str:
    """Normalise a path inside an artifact: POSIX, relative, no way out of the folder (ART-25).

    Raises HostilePath for absolute paths, drive letters, `..` in POSIX or Windows spelling, NUL
    and line breaks, parts over 255 bytes, and text that is not valid Unicode.
    """
    if type(path) is not str:  # as seldom; to ask for a PathLike first takes a third of it all
        path = _entry_text(path)
    if _PLAIN_PATH.fullmatch(path):
        return path if len(path) <= PATH_PART_MAX_BYTES else _checked_length(path)
    if not path:
        raise HostilePath("A path in an artifact must not be empty")
    if any(character in path for character in "\0\n\r"):
        raise HostilePath(f"Path {path!r} in an artifact contains a NUL or a line break")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not any(part not in ("", ".") for part in path.replace("\\", "/").split("/")):
        raise HostilePath(f"Path {path!r} names no file")
    # The first part that remains counts: `./C:/x` would be absolute without its `./`.
    if path.startswith("/") or parts[0].startswith("\\"):
        raise HostilePath(f"Path {path!r} in an artifact must be relative")
    if _DRIVE.match(parts[0]):
        raise HostilePath(
            f"Path {path!r} in an artifact must not begin like a drive of Windows, with one "
            "character and a colon; add it under another name"
        )
    if any(_UPWARDS.fullmatch(part) for part in path.replace("\\", "/").split("/")):
        raise HostilePath(f"Path {path!r} leaves the artifact's folder through `..`")
    return _checked_length("/".join(parts))


def _entry_text(path: object) -> str:
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        raise HostilePath(
            f"Path {text!r} in an artifact must be a text or a path, not a {type(text).__name__}"
        )
    return str.__str__(text)


def folder_path(path: str | os.PathLike[str] | None) -> str:
    """Normalise the path of a folder inside an artifact; `""` for all of it, as `.` and None mean.

    Raises HostilePath as `entry_path` does.
    """
    text = "" if path is None else os.fspath(path) if isinstance(path, os.PathLike) else path
    is_top = isinstance(text, str) and all(part in ("", ".") for part in text.split("/"))
    return "" if is_top and not text.startswith("/") else entry_path(text)


_PLAIN_PATH = re.compile(r"[A-Za-z0-9_\-][A-Za-z0-9_.\-]*(/[A-Za-z0-9_\-][A-Za-z0-9_.\-]*)*")
"""Paths, as most are, in which nothing has to be looked for: no part begins with a dot."""


def _checked_length(path: str) -> str:
    try:
        encoded = path.encode()
    except UnicodeEncodeError as error:
        raise HostilePath(
            f"Path {path!r} is not valid Unicode; rename the file before logging it"
        ) from error
    if len(encoded) > PATH_MAX_BYTES or any(
        len(part) > PATH_PART_MAX_BYTES for part in encoded.split(b"/")
    ):
        raise HostilePath(f"Path {path!r} is too long for a file system")
    return path


def _is_plain(name: object) -> bool:
    """Names of projects, entities and runs become folders: `.` and `..` would be others'."""
    return isinstance(name, str) and name.strip() not in ("", ".", "..")


def _short(name: str, what: str, most: int = NAME_MAX) -> str:
    if len(name) > most:
        raise Invalid(f"{what} {name[:40]!r}… is longer than {most} characters")
    try:
        name.encode()
    except UnicodeEncodeError as error:  # a lone surrogate, which no database takes
        raise Invalid(f"{what} {name!r} is not valid Unicode") from error
    return str.__str__(name)  # not a member of an enum, whose text is another


class ArtifactPath(NamedTuple):
    """`entity/project/name:ref`, complete. `ref` is `vN`, an alias or a digest."""

    entity: str
    project: str
    name: str
    ref: str = LATEST
    display_name: str | None = None
    """What was given as the name if no collection can be called so; `name` was made of it."""

    def __str__(self) -> str:
        return f"{self.without_ref}:{self.ref}"

    @property
    def without_ref(self) -> str:
        """`entity/project/name`: the collection."""
        return f"{self.entity}/{self.project}/{self.name}"


def artifact_path(text: str, entity: str, project: str | None) -> ArtifactPath:
    """Parse `[[entity/]project/]name[:ref]`; what is missing comes from the arguments.

    No ref means `latest` (NAM-6). The ref may contain slashes when read (X-7). A scheme prefix
    (`lineal-artifact://`, `wandb-artifact://`) is accepted. Raises Invalid for more than three
    parts. Words such as `My Model` name the collection that a link to them makes, `My_Model`.
    Source: NAM-1, NAM-5.
    """
    if not isinstance(text, str) or not text:
        raise Invalid("An artifact is named as `name:alias`, `project/name:alias` or with entity")
    text = without_scheme(text)
    path, colon, ref = text.partition(":")
    parts = path.split("/")
    if len(parts) > 3 or not all(parts) or (colon and not ref):
        raise Invalid(f"Cannot read {text!r} as [[entity/]project/]name[:alias]")
    if len(parts) == 3:
        entity = parts[0]
    if len(parts) >= 2:
        project = parts[-2]
    given = parts[-1]
    words = given if _is_words(given) and not _ARTIFACT_NAME.fullmatch(given) else None
    name = given if words is None else generated(given)
    return ArtifactPath(entity, project or DEFAULT_PROJECT, name, ref or LATEST, words)


def _is_words(text: str) -> bool:
    """Tell whether a text may be the display name of a collection that is named after it."""
    return bool(_WORDS.fullmatch(text)) and any(map(str.isalnum, text))


def without_scheme(text: str) -> str:
    """Return the name of an artifact without what may stand before it (`ARTIFACT_SCHEMES`)."""
    for scheme in ARTIFACT_SCHEMES:
        text = text.removeprefix(scheme)
    return text


def is_with_scheme(text: str) -> bool:
    """Say whether a name can only be that of an artifact, for what stands before it."""
    return text.startswith(ARTIFACT_SCHEMES)


def artifact_id(text: str) -> str | None:
    """Return the number in `wandb-artifact://_id/12`, which names a version by its id (RUN-23)."""
    for scheme in ARTIFACT_SCHEMES:
        number = text.removeprefix(f"{scheme}_id/")
        if number != text and number.isascii() and number.isdecimal():
            return number
    return None


def collection_path(text: str, entity: str, project: str | None, *, instead: str) -> ArtifactPath:
    """Parse `[[entity/]project/]name`, where a version would make no sense.

    instead: what to use for a version or alias. Raises Invalid for `name:ref`, saying that.
    """
    path = artifact_path(text, entity, project)
    if names_version(text):
        raise Invalid(f"{text} names a version, and only a name belongs here; {instead}")
    return path


def names_version(text: str) -> bool:
    """Say whether the name of an artifact has a ref, as `name:v3`; the `:` of a scheme is none."""
    return ":" in without_scheme(text)


def project_path(text: str | None, entity: str, project: str | None) -> tuple[str, str]:
    """Parse `[entity/]project`; returns (entity, project)."""
    if not text:
        return entity, project or DEFAULT_PROJECT
    if not isinstance(text, str):
        raise Invalid(f"A project is named as `project` or `entity/project`, not {text!r}")
    parts = text.strip("/").split("/")
    if len(parts) > 2 or not all(parts):
        raise Invalid(f"Cannot read {text!r} as [entity/]project")
    return (parts[0], parts[1]) if len(parts) == 2 else (entity, parts[0])


def named_project(text: str, entity: str) -> tuple[str, str]:
    """Parse `[entity/]project` where a default would be wrong: what is changed must be named."""
    if not isinstance(text, str) or not text.strip("/"):
        raise Invalid(f"A project is named as `project` or `entity/project`, not {text!r}")
    return project_path(text, entity, None)


def run_path(text: str, entity: str, project: str | None) -> tuple[str, str, str]:
    """Parse `[[entity/]project/]run_id`; `…/runs/id` and a leading slash are accepted (API-7)."""
    if not isinstance(text, str) or not text:
        raise Invalid("A run is named as `run_id`, `project/run_id` or `entity/project/run_id`")
    return _path_of("runs", text, entity, project)


def sweep_path(text: str, entity: str, project: str | None) -> tuple[str, str, str]:
    """Parse `[[entity/]project/]sweep_id`; `…/sweeps/id` and a leading slash are accepted."""
    if not isinstance(text, str) or not text:
        raise Invalid(
            "A sweep is named as `sweep_id`, `project/sweep_id` or `entity/project/sweep_id`"
        )
    return _path_of("sweeps", text, entity, project)


def _path_of(folder: str, text: str, entity: str, project: str | None) -> tuple[str, str, str]:
    parts = [part for part in text.strip("/").split("/") if part]
    if len(parts) >= 2 and parts[-2] == folder:
        del parts[-2]
    if not 1 <= len(parts) <= 3:
        raise Invalid(f"Cannot read {text!r} as [[entity/]project/]{folder[:-1]}_id")
    if len(parts) == 3:
        entity = parts[0]
    if len(parts) >= 2:
        project = parts[-2]
    return entity, project or DEFAULT_PROJECT, parts[-1]


def generated(text: str) -> str:
    """Make any text into a valid artifact name.

    One too long is cut. That, and one with letters that no artifact name has, is made unique by a
    hash: `данные` and `数据` would both be `_`, and what they name versions of one artifact.
    """
    text = normalize("NFC", text)  # file systems differ in how they spell `ü`
    safe = _in_artifact_letters(text)
    if len(safe) <= NAME_MAX and text.isascii():
        return safe
    return _with_hash(safe, text)


def generated_apart(text: str) -> str:
    """Make any text into a valid artifact name, by a hash if it is none: no two share one."""
    text = normalize("NFC", text)
    safe = _in_artifact_letters(text)
    return safe if safe == text and len(safe) <= NAME_MAX else _with_hash(safe, text)


def _in_artifact_letters(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.\-]+", "_", text).strip(".") or "_"


def generated_project(text: str) -> str:
    """Make any text into a valid name of a project, in its own letters."""
    text = normalize("NFC", text)
    safe = _NOT_IN_PROJECT.sub("_", text).strip(".") or "_"
    return safe if len(safe) <= NAME_MAX else _with_hash(safe, text)


def _with_hash(safe: str, text: str) -> str:
    import hashlib  # cheap, and only names that Lineal invents come here

    hashed = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    return f"{safe[: NAME_MAX - 9]}-{hashed[:8]}"
