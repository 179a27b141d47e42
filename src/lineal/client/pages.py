"""Lists of a backend read to their end, or as far as is wanted, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TypeVar

from lineal.core.records import Page, PageRequest

T = TypeVar("T")

BULK_PAGE_SIZE = 1_000
"""Where all pages are wanted anyway, or each of them sorts the whole list."""


def all_of(
    fetch: Callable[[PageRequest], Page[T]], *, limit: int | None = None, size: int = 100
) -> Iterator[T]:
    """Yield a list page by page, to the end or to `limit` items; no page is larger than that."""
    if limit is not None:
        size = max(1, min(limit, size))
    return islice(_pages(fetch, PageRequest(size, with_total=False)), limit)


def _pages(fetch: Callable[[PageRequest], Page[T]], request: PageRequest) -> Iterator[T]:
    page = fetch(request)
    yield from page.items
    while page.cursor is not None:
        page = fetch(request._replace(cursor=page.cursor))
        yield from page.items
