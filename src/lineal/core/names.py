"""What may be called what: entities, projects, runs, collections, types, aliases, tags.

One rule per kind of name, used by the SDK before anything is sent and by `service` again.
All functions return the (normalised) name or raise Invalid. Sources: NAM-1…NAM-4, ALI-3, TAG-1,
RUN-3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any
from unicodedata import category, normalize

from lineal.errors import Invalid

NAME_MAX = 128
"""Characters in the name of an artifact, type, project, alias or tag (NAM-1, NAM-3, NAM-4)."""
RUN_ID_MAX = 64
VERSION_MAX = 2**31 - 1
"""What the database's column for numbers of versions holds."""

DEFAULT_PROJECT = "uncategorized"
LATEST = "latest"
OWN_KEY = "_lineal"
"""Where in a config Lineal notes what is its own, such as metric definitions; hidden from users."""
HISTORY_TYPE = "wandb-history"

_WORDS = re.compile(r"[\w.\- ]+")
_ARTIFACT_NAME = re.compile(r"[A-Za-z0-9_.\-]+")
_NOT_IN_URLS = re.compile(r"[/\\#?%:\r\n\0]")
_NOT_IN_PROJECT = re.compile(r"(?:(?![A-Za-z0-9_.\-])[\0-\x7f]|[\s\x80-\x9f\ud800-\udfff])+")
"""What Lineal keeps out of names that it invents, beside what no project's name may hold."""
_TAG = re.compile(r"[-\w]+( +[-\w]+)*")
_VERSION = re.compile(r"v(0|[1-9][0-9]*)")
_UNSHOWN = frozenset({"Cc", "Zl", "Zp"})
"""Categories of Unicode: control characters, line and paragraph separators."""


def artifact_name(name: str) -> str:
    """Check the name of a collection: ASCII letters, digits, `_ - .`, at most 128 (NAM-1)."""
    if not isinstance(name, str) or not _ARTIFACT_NAME.fullmatch(name) or name in (".", ".."):
        may_be_shown = isinstance(name, str) and is_words(name)
        hint = "; such text can be the `display_name` of its collection" if may_be_shown else ""
        raise Invalid(
            f"Artifact name {name!r} may hold only ASCII letters, digits, dashes, underscores and "
            f"dots{hint}"
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
    if type == "job" or type.startswith("wandb-") or is_generated(name, type):
        raise Invalid(f"Artifact {name!r} of type {type!r} is reserved for internal use")


def is_generated(name: str | None, type: str) -> bool:
    """Tell whether this is what Lineal calls a table or the code that a run logs."""
    begins = {"code": "source-", "run_table": "run-"}.get(type)
    return begins is not None and name is not None and name.startswith(begins)


def project_name(name: str) -> str:
    """Check the name of a project: 1 to 128 characters, none of `/ \\ # ? % :` (NAM-4)."""
    return _url_part(name, "Project name", NAME_MAX)


def entity_name(name: str) -> str:
    """Check the name of a user or team: ASCII letters, digits, `_ - .`, at most 128."""
    if not _is_plain(name) or not _ARTIFACT_NAME.fullmatch(name):
        raise Invalid(f"Entity {name!r} may hold only ASCII letters, digits, `_`, `-` and `.`")
    return _short(name, "Entity")


def run_id(name: str) -> str:
    """Check a run id: 1 to 64 characters, none of `/ \\ # ? % :` (RUN-3)."""
    return _url_part(name, "Run id", RUN_ID_MAX)


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


def aliases_to_log(names: str | Iterable[str] | None) -> list[str]:
    """Check those of what is logged: an empty one beside others is one that was not wanted.

    As in `["latest", "best" if is_best else ""]`, of YOLOv5 and many others.
    """
    given = strings(names, "Aliases")
    return aliases([name for name in given if name != ""] or given)


def tag(name: str) -> str:
    """Check a tag of a version or a collection: words of letters, digits, `_`, `-` (TAG-1)."""
    if not isinstance(name, str) or not _TAG.fullmatch(name):
        raise Invalid(f"Tag {name!r} must be words of letters, digits, `_` or `-` joined by spaces")
    return _short(name, "Tag")


def tags(names: str | Iterable[str] | None) -> list[str]:
    return list(dict.fromkeys(tag(name) for name in strings(names, "Tags")))


def run_tags(names: str | Iterable[str] | None) -> list[str]:
    """Check tags of a run, any text without line breaks: `lr=0.1`, `policy:act` (RUN-10)."""
    return list(dict.fromkeys(_run_tag(name) for name in strings(names, "Tags")))


def _run_tag(name: str) -> str:
    if not isinstance(name, str) or not name.strip() or re.search(r"[\0\r\n]", name):
        raise Invalid(f"Tag {name!r} of a run must be a text, without NUL and line breaks")
    return _short(name, "Tag")


def tags_after(
    current: Sequence[str], before: Sequence[str] | None, now: Sequence[str]
) -> list[str]:
    """Return what tags become where somebody who saw those of `before` wants those of `now`.

    What others added or took away since stays so. before: None replaces all.
    """
    if before is None or list(before) == list(current):
        return list(now)
    kept = [tag for tag in current if tag in now or tag not in before]
    return kept + [tag for tag in now if tag not in before and tag not in current]


def strings(value: str | Iterable[str] | None, what: str = "Names") -> list[str]:
    """Return a list wherever a list of strings is expected, also for one string or None."""
    if value is None:
        return []
    given: object = value
    if not isinstance(value, Iterable) or isinstance(given, bytes):
        raise TypeError(f"{what} must be a text or a list of texts, not {value!r}")
    return [value] if isinstance(value, str) else list(value)


def texts(value: str | Iterable[str] | None, what: str) -> list[str]:
    """Return the same where nothing but texts will do."""
    found: list[Any] = strings(value, what)
    for each in found:
        if not isinstance(each, str):
            raise TypeError(f"{what} must be a text or a list of texts, without {each!r}")
    return found


def version_number(ref: str) -> int | None:
    """Return 3 for `v3`, None for anything else; at most VERSION_MAX, which no version has."""
    if not _VERSION.fullmatch(ref):
        return None
    return min(int(ref[1 : len(str(VERSION_MAX)) + 2]), VERSION_MAX)


def _url_part(name: str, what: str, most: int) -> str:
    if not _is_plain(name) or _NOT_IN_URLS.search(name):
        raise Invalid(
            f"{what} {name!r} must not be empty, `.` or `..`, "
            "or contain any of / \\ # ? % : or line breaks"
        )
    return _short(name, what, most)


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


def is_words(text: str) -> bool:
    """Tell whether a text is no artifact's name, but may be the display name of one made of it."""
    is_name = _ARTIFACT_NAME.fullmatch(text)
    return not is_name and bool(_WORDS.fullmatch(text)) and any(map(str.isalnum, text))


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
