"""Lists that page: they behave exactly like a Python list and load only what is looked at."""

from __future__ import annotations

import operator
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Generic, SupportsIndex, TypeVar, overload

from lineal.core.records import Page, PageRequest
from lineal.errors import Invalid

T = TypeVar("T")
R = TypeVar("R")

REPR_ITEMS = 3
PAGE_SIZE = 50
"""W&B's default `per_page`."""
BULK_PAGE_SIZE = 1_000
"""Where all pages are wanted anyway."""


class LazyList(Sequence[T]):
    """A list whose items arrive in pages, in the order and number that the backend has them.

    Indices, negative ones too, slices, `in`, comparisons with lists, `reversed` and `len` mean what
    they mean for a list (API-14); slices, sums, products and copies are plain lists. Nothing can be
    put into one or taken out of it. `len` asks the first page for the
    total and loads no more. Threads may share a list.
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

        start: a `cursor` of an earlier list; this one holds what comes after it (API-4).
        empty: why there is nothing, for the IndexError that says so (SEED-2).
        """
        if not isinstance(per_page, SupportsIndex):
            raise TypeError(f"per_page must be a whole number, not {per_page!r}")
        if per_page < 1:
            raise Invalid(f"per_page must be at least 1, not {per_page}")
        self._pages = _PageReader(fetch, make, per_page, start)
        self._empty = empty

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
            return self._pages.load(_needed(index))[index]
        if not isinstance(index, SupportsIndex):
            raise TypeError(f"list indices must be integers or slices, not {type(index).__name__}")
        wanted = index.__index__()
        items = self._pages.load(wanted + 1 if wanted >= 0 else None)
        try:
            return items[wanted]
        except IndexError:
            raise IndexError(self._why(wanted, len(items))) from None

    def __iter__(self) -> Iterator[T]:
        position = 0
        while position < len(items := self._pages.load(position + 1)):
            yield items[position]
            position += 1

    def __reversed__(self) -> Iterator[T]:
        return reversed(self._pages.load(None))

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
    """Loads pages one after the other and keeps their items."""

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
        self._start = start
        self._total: int | None = None
        self._items: list[T] = []
        self._lock = threading.Lock()
        self.cursor = start
        self.more = True

    @property
    def total(self) -> int | None:
        """Ask the first page if need be; a list resumed half-way cannot know until its end."""
        if self.more and self._start is None and not self._items:
            self.load(1)
        return self._total if self.more else len(self._items)

    def load(self, count: int | None) -> list[T]:
        """Return at least `count` items (None: all), or as many as there are."""
        while self._lacks(count):
            with self._lock:
                if self._lacks(count):  # another thread may have loaded it meanwhile
                    self._load_page()
        return self._items

    def _lacks(self, count: int | None) -> bool:
        return self.more and (count is None or len(self._items) < count)

    def _load_page(self) -> None:
        page = self._fetch(PageRequest(size=self._per_page, cursor=self.cursor))
        self._items += [self._make(record) for record in page.items]
        if self.cursor is None:
            self._total = page.total
        self.cursor = page.cursor
        self.more = page.cursor is not None


def _needed(index: slice) -> int | None:
    """Return how many items a slice looks at; None for all, as from the end or with a gap."""
    start, stop, step = (
        None if end is None else int(end.__index__())
        for end in (index.start, index.stop, index.step)
    )
    is_forward = step is None or step > 0
    if not is_forward or stop is None or stop < 0 or (start is not None and start < 0):
        return None
    return stop


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


def every_item(fetch: Callable[[PageRequest], Page[R]]) -> Iterator[R]:
    """Yield the records of all pages."""
    cursor: str | None = None
    while True:
        page = fetch(PageRequest(BULK_PAGE_SIZE, cursor, with_total=False))
        yield from page.items
        cursor = page.cursor
        if cursor is None:
            return
