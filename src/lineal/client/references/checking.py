"""Holding references against what they lead to now (REF-17)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lineal.client.references import References
from lineal.client.references.scheme import Freshness, State
from lineal.core.manifest import Entry
from lineal.errors import Invalid
from lineal.parallel import in_parallel

THREADS = 32
"""Requests under way at once: a store answers each in some milliseconds."""


def check(references: References, entries: Iterable[Entry]) -> Iterator[tuple[Entry, Freshness]]:
    """Yield how each reference among entries fares, in their order.

    Raises Unavailable where a store does not answer: that says nothing about the reference.
    """
    return in_parallel(
        lambda entry: _checked(references, entry),
        (entry for entry in entries if entry.ref is not None),
        threads=THREADS,
    )


def _checked(references: References, entry: Entry) -> Freshness:
    assert entry.ref is not None
    try:
        scheme = references.of(entry.ref)
    except Invalid as error:
        return Freshness(State.UNCHECKED, error.message)
    try:
        return scheme.check(entry)
    except Invalid as error:  # recorded without asking anybody: nothing can be there
        return Freshness(State.LOST, error.message)
