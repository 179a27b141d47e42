"""What the words of expiry and retention mean; see docs/design/003-deletion.md."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from lineal.core import limits
from lineal.core.numbers import is_whole
from lineal.core.records import VersionRecord
from lineal.errors import Invalid
from lineal.nearest import did_you_mean

NEVER_SECONDS = 0
"""Stored TTL that means: never expires, whatever the levels above say."""
UNLINK_GRACE = timedelta(days=7)
"""Time a version has at least after its last link was removed (TTL-11)."""

_ISO = re.compile(
    r"P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?"
)
_SHORT = re.compile(r"(\d+)\s*(s|m|h|d|w)?")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Level(StrEnum):
    """Where an effective TTL comes from."""

    VERSION = "version"
    COLLECTION = "collection"
    PROJECT = "project"
    ENTITY = "entity"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class EffectiveTtl:
    """What applies to a version: the nearest level that says something (TTL-8)."""

    ttl: timedelta | None
    """None: it never expires."""
    level: Level
    expires_at: datetime | None
    """Also set while suspended: when it would expire."""
    suspended_by: str | None = None
    """`link …` or `alias …`, while it does not count (TTL-11, TTL-12)."""


@dataclass(frozen=True, slots=True)
class Expiring:
    """A version, and the moment it will expire."""

    version: VersionRecord
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class KeepBest:
    """Keep the best `count` versions of a collection by a number."""

    count: int
    key: str
    """`metadata.<key>` of the version, or `summary.<key>` of the run that logged it first."""
    goal: str = "maximize"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which versions may go: all conditions must hold. Protected and linked ones never do."""

    older_than_seconds: int | None = None
    untagged: bool = False
    unaliased: bool = False
    """No alias but `latest`."""
    unused: bool = False
    keep_last: int | None = None
    keep_best: KeepBest | None = None
    type: str | None = None
    """Of artifacts of this type only, such as the tables that runs log; says nothing alone."""

    @property
    def is_empty(self) -> bool:
        """True when nothing is said: that would select everything, and is refused."""
        return self == Selection(type=self.type)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a selection would delete now."""

    count: int
    versions: tuple[VersionRecord, ...]
    """The first of them; `count` says how many there are."""
    bytes_freed: int
    """Needed by nothing that stays; freed once the undo period is over."""
    bytes_shared: int
    """Needed by something that stays, too."""
    is_rated: bool = True
    """False if no version has the number that `keep_best` goes by: the newest count as the best."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The retention policy that applies to a collection or project, and where it is set."""

    selection: Selection | None
    level: Level


@dataclass(frozen=True, slots=True)
class Deletion:
    """What was deleted together, and how much of it is still hidden."""

    id: int
    what: str
    """A full name, or a selection."""
    reason: str
    """`user`, `expired`, `retention` or `purge`."""
    deleted_by: str
    deleted_at: datetime
    restored_at: datetime | None
    version_count: int
    run_count: int
    project_count: int
    released_count: int
    """Of them, what cannot come back: its content was released."""
    restorable_until: datetime | None = None
    """When the undo period ends; None if nothing can be restored any more."""
    versions: tuple[str, ...] = ()
    """Full names of the first versions that are still hidden; `version_count` says how many."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back."""

    versions: int = 0
    runs: int = 0
    projects: int = 0
    aliases: int = 0
    released: int = 0
    """What the same deletion had hidden, and whose content is gone for good."""
    exempted: int = 0
    """Versions whose time was over: they never expire now, or the next sweep would take them."""
    let_go: int = 0
    """Versions that a retention policy lets go: no policy takes them again."""
    collections: int = 0
    """Deleted ones that are listed again."""


class RestoredVersion(NamedTuple):
    """A version that is live, and what bringing it back took; nothing if it was live already."""

    version: VersionRecord
    restored: Restored


def duration(value: timedelta | int | float | str) -> timedelta:
    """Read a duration: a timedelta, a number of days, `30`, `30d`, `12h` or ISO `P30D` (TTL-5).

    Raises Invalid for what is none, as NaN, and for more than a timedelta holds, as infinity.
    """
    if isinstance(value, timedelta):
        return value
    try:
        found = _read_duration(value)
    except (OverflowError, ValueError) as error:  # of numbers beyond timedelta, or 4,300 digits
        what = "This number of days" if isinstance(value, int) else repr(value)[:40]
        raise Invalid(
            f"{what} is more than a duration can be, {timedelta.max.days:,} days; what never "
            "expires has the TTL None (`none` on the command line)"
        ) from error
    if found is None:
        raise Invalid(f"{value!r} is no duration; use a timedelta, days, `30d`, `12h` or `P30D`")
    return found


def _read_duration(value: object) -> timedelta | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return None if value != value else timedelta(days=value)  # NaN alone is not itself
    if isinstance(value, str):
        short = _SHORT.fullmatch(value.strip().lower())
        if short:
            return timedelta(**{_UNITS[short[2] or "d"]: int(short[1])})
        iso = _ISO.fullmatch(value.strip().upper())
        if iso and any(iso.groupdict().values()):
            return timedelta(**{unit: int(n) for unit, n in iso.groupdict().items() if n})
    return None


def ttl_seconds(value: timedelta | int | float | str | None) -> int:
    """Return what is stored for a TTL: whole seconds, rounded up; None is never.

    Raises Invalid unless positive (TTL-3) and at most `LONGEST_TTL`.
    """
    if value is None:
        return NEVER_SECONDS
    is_negative = isinstance(value, str) and value.strip().startswith("-")
    ttl = timedelta(0) if is_negative else duration(value)
    if ttl <= timedelta(0):
        raise Invalid(
            f"A TTL must be positive, not {value!r}; None, or `none` on the command line, means "
            "that it never expires"
        )
    seconds = -(ttl // -timedelta(seconds=1))  # `-ttl` may be too far for a timedelta
    limits.check_seconds(seconds)
    return seconds


def selection_to_json(selection: Selection) -> dict[str, Any]:
    """Write down what a selection says, as `selection_from_json` reads it."""
    said = asdict(selection).items()
    return {key: value for key, value in said if value is not None and value is not False}


def selection_from_json(document: Mapping[str, Any]) -> Selection:
    """Read a policy; raises Invalid naming what is wrong and where."""
    known = [field.name for field in fields(Selection)]
    if not isinstance(document, Mapping):
        raise Invalid(f"A retention policy is a dict of {', '.join(known)}, not {document!r}")
    for key in document:
        if key not in known:
            hint = did_you_mean(str(key), known, otherwise=f"; known are {', '.join(known)}")
            raise Invalid(f"A retention policy has no key `{key}`{hint}")
    values = dict(document)
    if isinstance(values.get("keep_best"), Mapping):
        values["keep_best"] = _keep_best(values["keep_best"])
    return check(Selection(**values))


def _keep_best(document: Mapping[str, Any]) -> KeepBest:
    known = [field.name for field in fields(KeepBest)]
    there = "it has a `count`, a `key` and perhaps a `goal`"
    for key in document:
        if key not in known:
            hint = did_you_mean(str(key), known, otherwise=f"; {there}")
            raise Invalid(f"`keep_best` has no key `{key}`{hint}")
    try:
        return KeepBest(**document)
    except TypeError as error:
        lacking = " and no ".join(f"`{key}`" for key in ("count", "key") if key not in document)
        raise Invalid(f"`keep_best` says no {lacking}; {there}") from error


def check(selection: Selection) -> Selection:
    """Return a selection that makes sense; raises Invalid otherwise."""
    if selection.is_empty:
        raise Invalid("A selection must say what may go; an empty one would select everything")
    for name in ("older_than_seconds", "keep_last"):
        number = getattr(selection, name)
        if number is not None and not is_whole(number, least=0):
            raise Invalid(f"`{name}` must be a whole number of at least 0, not {number!r}")
    if selection.type is not None and not isinstance(selection.type, str):
        raise Invalid(f"`type` must be a text, such as 'run_table', not {selection.type!r}")
    for name in ("untagged", "unaliased", "unused"):
        if not isinstance(getattr(selection, name), bool):
            raise Invalid(f"`{name}` must be true or false, not {getattr(selection, name)!r}")
    best = selection.keep_best
    if best is not None:
        if not isinstance(best, KeepBest):
            raise Invalid(
                "`keep_best` is a dict, such as {'count': 3, 'key': 'summary.accuracy'}, not "
                f"{best!r}"
            )
        if not is_whole(best.count, least=0) or not isinstance(best.key, str):
            raise Invalid("`keep_best` needs a whole number of at least 0 as count, and a key")
        if best.goal not in ("maximize", "minimize"):
            raise Invalid("`keep_best` has the goal `maximize` or `minimize`")
        if best.key.partition(".")[0] not in ("metadata", "summary"):
            raise Invalid(f"`keep_best` key {best.key!r} must begin with `metadata.` or `summary.`")
    return selection
