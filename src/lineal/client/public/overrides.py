"""What `Api(overrides)` may say of where its paths begin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lineal.config import Settings, load
from lineal.errors import Invalid
from lineal.nearest import did_you_mean

OVERRIDES = ("base_url", "entity", "project", "run", "organization")
FILE_SCHEME = "file://"


def settings(overrides: Mapping[str, Any], timeout: float | None) -> Settings:
    """Return the settings with them. Raises TypeError, Invalid for unknown ones."""
    overrides = _checked(overrides)
    address = overrides.get("base_url")
    if address is not None and not str(address).startswith(FILE_SCHEME):
        raise Invalid(
            f"Cannot reach {address}: this version of Lineal keeps its data in a folder; leave "
            "`base_url` out, or give the `file://` address of a home"
        )
    return load(
        {
            "entity": overrides.get("entity"),
            "project": overrides.get("project"),
            "run_id": overrides.get("run"),
            "init_timeout": timeout,
            "busy_timeout": timeout,
            "home": str(address).removeprefix(FILE_SCHEME) if address else None,
        }
    )


def _checked(overrides: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(overrides, Mapping):
        raise TypeError(f"overrides must be a dict of {', '.join(OVERRIDES)}, not {overrides!r}")
    for name in overrides:
        if name not in OVERRIDES:
            there = f"; there are {', '.join(OVERRIDES)}"
            hint = did_you_mean(name, OVERRIDES, otherwise=there)
            raise Invalid(f"Api has no override `{name}`{hint}")
    return {name: value for name, value in overrides.items() if value}
