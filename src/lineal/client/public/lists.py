"""Lists that page: they behave exactly like a Python list and load only what is looked at."""

from __future__ import annotations

import math
import operator
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import suppress
from itertools import count, islice
from typing import Any, Generic, SupportsIndex, TypeVar, overload

from lineal.client.pages import GROWTH
from lineal.core.records import Page, PageRequest
from lineal.errors import Invalid

T = TypeVar("T")
R = TypeVar("R")

REPR_ITEMS = 3
PAGE_SIZE = 50
"""W&B's default `per_page`."""
PAGE_SIZE_MOST = 50_000
FAR = 1_000
"""So many items before what is looked at are not loaded for it."""


class LazyList(Sequence[T]):
    """A list whose items arrive in pages, in the order and number that the backend has them.

    Indices, negative ones too, slices, `in`, comparisons with lists, `reversed` and `len` mean what
    they mean for a list (API-14); slices, sums, products, copies and what another process gets are
    plain lists. Nothing can be put into one or taken out of it. `len` loads one page and asks for
    the number of the rest; what is counted from the end is loaded from there, and what is far from
    the beginning by itself. What was loaded stays where it is, and what is added meanwhile between
    the loaded beginning and end is seen once. Threads may share a list.
    """

    __hash__ = None  # type: ignore[assignment]  # equal to lists, which have none either

    def __init__(
        self,
        fetch: Callable[[PageRequest], Page[R]],
        make: Callable[[R], T],
        *,
        per_page: int = PAGE_SIZE,
        start: str | None = None,
        empty: str = "the list is empty",
    ) -> None:
        """fetch: returns one page. make: turns a record into an item, once per record.

        per_page: items of the first pages; those of a long list become larger.
        start: a `cursor` of an earlier list; this one holds what comes after it (API-4).
        empty: why there is nothing, for the IndexError that says so (SEED-2).
        """
        if not isinstance(per_page, SupportsIndex):
            raise TypeError(f"per_page must be a whole number, not {per_page!r}")
        if per_page < 1:
            raise Invalid(f"per_page must be at least 1, not {per_page}")
        if start is not None and not isinstance(start, str):
            raise Invalid(f"start={start!r}: a list goes on at the `cursor` of an earlier one")
        self._pages = _PageReader(fetch, make, per_page, start)
        self._empty = empty
        self._returned = 0
        """How many items `next` has returned."""

    # --- where the list stands ---

    @property
    def cursor(self) -> str | None:
        """Where the next page begins: give it as `start=` to go on later; None at the end."""
        return self._pages.cursor

    @property
    def more(self) -> bool:
        """Whether pages are left to load, as far as is known."""
        return self._pages.more

    @property
    def total(self) -> int | None:
        """The length, if it is known without loading everything."""
        return self._pages.total

    # --- a list ---

    def __len__(self) -> int:
        total = self._pages.total
        return total if total is not None else len(self._pages.load(None))

    def __bool__(self) -> bool:
        return bool(self._pages.load(1))

    @overload
    def __getitem__(self, index: SupportsIndex) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: SupportsIndex | slice) -> T | list[T]:
        if isinstance(index, slice):
            needed, is_from_end = _needed(index)
            if needed is not None and is_from_end:
                places = range(-min(needed, sys.maxsize), 0)[index]
                if places and self._pages.is_far(max(places[0], places[-1]), len(places)):
                    return self._pages.items(range(len(self))[index])
                return self._pages.tail(needed)[index]
            places = range(min(needed or 0, sys.maxsize))[index]
            if places and self._pages.is_far(min(places[0], places[-1]), len(places)):
                return self._pages.items(range(len(self))[index])
            return self._pages.load(needed)[index]
        if not isinstance(index, SupportsIndex):
            raise TypeError(f"list indices must be integers or slices, not {type(index).__name__}")
        wanted = index.__index__()
        try:
            return self._pages.item(wanted)
        except IndexError:
            raise IndexError(self._why(wanted, len(self))) from None

    def __iter__(self) -> Iterator[T]:
        position = 0
        while position < len(items := self._pages.load(position + 1)):
            yield items[position]
            position += 1

    def __next__(self) -> T:
        """Return the next of the items that `next` has not returned; loops change nothing in it."""
        items = self._pages.load(self._returned + 1)
        if self._returned >= len(items):
            raise StopIteration
        self._returned += 1
        return items[self._returned - 1]

    def __reversed__(self) -> Iterator[T]:
        for position in count(1):
            try:
                item = self._pages.item(-position)
            except IndexError:
                return
            yield item

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (list, LazyList)):
            return self._pages.load(None) == list(other)
        return NotImplemented

    def __lt__(self, other: Sequence[T]) -> bool:
        return self._compared(operator.lt, other)

    def __le__(self, other: Sequence[T]) -> bool:
        return self._compared(operator.le, other)

    def __gt__(self, other: Sequence[T]) -> bool:
        return self._compared(operator.gt, other)

    def __ge__(self, other: Sequence[T]) -> bool:
        return self._compared(operator.ge, other)

    def _compared(self, comparison: Callable[[Any, Any], bool], other: object) -> bool:
        if isinstance(other, (list, LazyList)):
            return comparison(self.copy(), list(other))
        return NotImplemented  # type: ignore[no-any-return]  # mypy knows it in operators only

    def __reduce__(self) -> tuple[type[list[T]], tuple[list[T]]]:
        return list, (self.copy(),)  # another process gets the items, all of them

    def copy(self) -> list[T]:
        """Return all items as a plain list."""
        return list(self)

    def index(self, value: Any, start: int = 0, stop: int | None = None) -> int:
        """Return where the first equal item is; raises ValueError if there is none."""
        return self.copy().index(value, start, sys.maxsize if stop is None else stop)

    def __mul__(self, times: SupportsIndex) -> list[T]:
        return self.copy() * times

    __rmul__ = __mul__

    def __add__(self, other: Iterable[T]) -> list[T]:
        if isinstance(other, (list, LazyList)):
            return [*self, *other]
        return NotImplemented

    def __radd__(self, other: Iterable[T]) -> list[T]:
        return [*other, *self] if isinstance(other, list) else NotImplemented

    def __repr__(self) -> str:
        shown = [repr(item) for item in islice(self, REPR_ITEMS)]
        left = len(self) - len(shown)
        if left > 0:
            shown.append(f"… {left} more")
        return f"[{', '.join(shown)}]"

    def _why(self, wanted: int, length: int) -> str:
        if length == 0:
            return self._empty
        return f"list index {wanted} is out of range: there are {length} items"


class _PageReader(Generic[R, T]):
    """Loads pages one after the other, from the beginning and from the end, and keeps their items.

    Each side reads up to where the other stands, so that between them nothing is missed or comes
    twice, whatever is added meanwhile. Where they meet, all is loaded.
    """

    def __init__(
        self,
        fetch: Callable[[PageRequest], Page[R]],
        make: Callable[[R], T],
        per_page: int,
        start: str | None,
    ) -> None:
        self._fetch = fetch
        self._make = make
        self._per_page = per_page
        self._total: int | None = None
        self._items: list[T] = []
        """From the beginning on; all of them once there are no more."""
        self._last: list[T] = []
        """From the end on, the last item first."""
        self._last_cursor: str | None = None
        self._far: dict[int, tuple[R, T]] = {}
        """By position, what was looked at far beyond the beginning; those that this has reached
        are the same objects."""
        self._lock = threading.Lock()
        self.cursor = start
        self.more = True

    @property
    def total(self) -> int | None:
        """Ask for the number of what is not loaded yet, if need be; None where nobody says it."""
        self.load(1)
        with self._lock:
            if self.more and self._total is None:
                request = PageRequest(cursor=self.cursor, until=self._last_cursor, only_total=True)
                left = self._fetch(request).total
                if left is not None:
                    self._total = len(self._items) + left + len(self._last)
            return self._total if self.more else len(self._items)

    def item(self, index: int) -> T:
        """Return one item, loading what is needed; raises IndexError."""
        if index < 0 and self.is_far(index):
            total = self.total
            if total is None:
                return self._item_from_end(index)
            index += total
            if index < 0:
                raise IndexError
        if self.is_far(index):
            return self._far_item(index)
        return self.load(index + 1)[index] if index >= 0 else self._item_from_end(index)

    def _item_from_end(self, index: int) -> T:
        self._load_last(-index)
        return self._last[~index] if -index <= len(self._last) else self._items[index]

    def items(self, positions: range) -> list[T]:
        """Return the items there; fewer where some went meanwhile."""
        found = []
        for position in positions:
            with suppress(IndexError):
                found.append(self.item(position))
        return found

    def is_far(self, position: int, count: int = 1) -> bool:
        """Tell whether so many items there are not worth loading all up to the nearest end.

        position: from the end if it is negative.
        """
        between = position - len(self._items) if position >= 0 else ~position - len(self._last)
        return self.more and between >= max(FAR, count)

    def _far_item(self, index: int) -> T:
        length = self.total
        if length is None or not self.is_far(index):
            return self.load(index + 1)[index]
        if index >= length:
            raise IndexError
        with self._lock:
            if index not in self._far and self.is_far(index):
                self._load_far(index)
            if index in self._far:
                return self._far[index][1]
        # it is loaded from the end by now, or something went meanwhile
        return self._item_from_end(index - length)

    def load(self, count: int | None) -> list[T]:
        """Return at least `count` items (None: all), or as many as there are."""
        while self._lacks(self._items, count):
            with self._lock:
                if self._lacks(self._items, count):  # another thread may have loaded it meanwhile
                    self._load_page(count)
        return self._items

    def tail(self, count: int) -> list[T]:
        """Return the last `count` items, or more, in their order."""
        self._load_last(count)
        return self._last[:count][::-1] if count <= len(self._last) else self._items

    def _load_last(self, count: int) -> None:
        while self._lacks(self._last, count):
            with self._lock:
                if self._lacks(self._last, count):
                    self._load_last_page(count)

    def _lacks(self, items: list[T], count: int | None) -> bool:
        return self.more and (count is None or len(items) < count)

    def _load_page(self, count: int | None) -> None:
        size, start = self._size(self._items, count), len(self._items)
        page = self._fetch(PageRequest(size, self.cursor, False, until=self._last_cursor))
        self._items += [self._reached(at, record) for at, record in enumerate(page.items, start)]
        self.cursor = page.cursor
        if page.cursor is None:
            self._complete()

    def _reached(self, position: int, record: R) -> T:
        known, item = self._far.pop(position, (None, None))
        return self._make(record) if item is None or known != record else item

    def _load_far(self, position: int) -> None:
        size, skip = self._size(self._far, 0), position - len(self._items)
        request = PageRequest(size, self.cursor, False, until=self._last_cursor, skip=skip)
        for at, record in enumerate(self._fetch(request).items, position):
            if at not in self._far:
                self._far[at] = record, self._make(record)

    def _load_last_page(self, count: int) -> None:
        size = self._size(self._last, count)
        request = PageRequest(size, self._last_cursor, False, backwards=True, until=self.cursor)
        page = self._fetch(request)
        self._last += [self._make(record) for record in page.items]
        if self._last_cursor is None:
            self._total = None  # more may have come to the end since it was counted
        self._last_cursor = page.cursor
        if page.cursor is None:
            self.cursor = None
            self._complete()

    def _size(self, loaded: Sized, count: int | None) -> int:
        """Return the size of the next page: where each costs a sort, few large ones are better.

        count: how many items are wanted in all; None: all there are. So many pages come as one.
        """
        per_page = min(self._per_page, sys.maxsize - 1)
        missing = PAGE_SIZE_MOST if count is None else count - len(loaded)
        wanted = min(max(missing, len(loaded) * GROWTH), PAGE_SIZE_MOST)
        return max(1, math.ceil(wanted / per_page)) * per_page

    def _complete(self) -> None:
        self._items += reversed(self._last)
        self.more = False


def _needed(index: slice) -> tuple[int | None, bool]:
    """Return how many items a slice looks at (None: all), and whether from the end."""
    start, stop, step = (
        None if end is None else int(end.__index__())
        for end in (index.start, index.stop, index.step)
    )
    is_forward = step is None or step > 0
    first, last = (start, stop) if is_forward else (stop, start)
    if last is not None and last >= 0 and (first is None or first >= 0):
        return (last if is_forward else last + 1), False
    if first is not None and first < 0 and (last is None or last < 0):
        return -first, True
    return None, False


class NamedList(list[T]):
    """A plain list that says why an index finds nothing (SEED-2)."""

    def __init__(self, items: Iterable[T], empty: str) -> None:
        super().__init__(items)
        self._empty = empty

    @overload
    def __getitem__(self, index: SupportsIndex) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: Any) -> Any:
        try:
            return super().__getitem__(index)
        except IndexError as error:
            raise IndexError(str(error) if self else self._empty) from None
