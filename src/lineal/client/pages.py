"""Lists of a backend read to their end, or as far as is wanted, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TypeVar

from lineal.core.records import Page, PageRequest

T = TypeVar("T")

BULK_PAGE_SIZE = 1_000
"""Where all pages are wanted anyway."""
SORTED_PAGE_SIZE = 25_000
"""Where each page sorts the whole list, and items are small: few large ones are better."""
GROWTH = 2
"""Who has looked at many items probably wants more: the next page has so many times as many."""


def all_of(
    fetch: Callable[[PageRequest], Page[T]],
    *,
    limit: int | None = None,
    size: int = 100,
    size_most: int = 0,
) -> Iterator[T]:
    """Yield a list page by page, to the end or to `limit` items; no page is larger than that.

    size: of the first pages. size_most: to which they grow.
    """
    if limit is not None:
        size, size_most = max(1, min(limit, size)), min(limit, size_most)
    return islice(_pages(fetch, PageRequest(size, with_total=False), size_most), limit)


def _pages(
    fetch: Callable[[PageRequest], Page[T]], request: PageRequest, size_most: int
) -> Iterator[T]:
    page = fetch(request)
    count = len(page.items)
    yield from page.items
    while page.cursor is not None:
        size = max(request.size, min(count * GROWTH, size_most))
        page = fetch(request._replace(size=size, cursor=page.cursor))
        count += len(page.items)
        yield from page.items
