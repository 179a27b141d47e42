"""What is wrong in a sweep's document: all of it at once, each with its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lineal.errors import Invalid
from lineal.nearest import did_you_mean

MISTAKES_MOST = 20
"""Mistakes named in one message."""


class Mistakes:
    """What is wrong, and where."""

    def __init__(self) -> None:
        self._found: list[str] = []

    def add(self, place: str, what: str) -> None:
        self._found.append(f"`{place}` {what}")

    def unknown(self, place: str, given: Mapping[Any, Any], known: Sequence[str]) -> None:
        for key in given:
            if key not in known:
                self.add(_below(place, key), f"is not known{near(key, known)}")

    def raise_any(self) -> None:
        if not self._found:
            return
        shown = self._found[:MISTAKES_MOST]
        left = len(self._found) - len(shown)
        more = [f"and {left} more"] if left else []
        count = len(self._found)
        what = "This is" if count == 1 else f"These {count} things are"
        raise Invalid(f"{what} wrong in the sweep: " + "; ".join([*shown, *more]))


def _below(place: str, key: object) -> str:
    return f"{place}.{key}" if place else str(key)


def near(given: object, known: Sequence[str]) -> str:
    """Say which known word may have been meant, or which there are."""
    there = f"; known are {', '.join(known)}"
    return did_you_mean(str(given), known, otherwise=there, cutoff=0.5)
