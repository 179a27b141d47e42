from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineal.client.public import lists
from lineal.client.public.lists import LazyList, NamedList
from lineal.core.records import Page, PageRequest
from lineal.errors import Invalid


class Source:
    """Serves a list in pages, as a backend does, and counts them."""

    def __init__(self, items: list[int], *, says_total: bool = True) -> None:
        self.items = items
        self.pages_served = 0
        self.says_total = says_total

    def fetch(self, page: PageRequest) -> Page[int]:
        self.pages_served += 1
        ends = (page.until, page.cursor) if page.backwards else (page.cursor, page.until)
        start, end = int(ends[0] or 0), len(self.items) if ends[1] is None else int(ends[1])
        is_counted = page.only_total or (page.with_total and page.cursor is None)
        total = end - start if is_counted and self.says_total else None
        if page.only_total:
            return Page((), None, total)
        start, cursor = min(start + page.skip, end), None
        if end - start > page.size:
            stop = end - page.size if page.backwards else start + page.size
            cursor = str(stop)
            start, end = (stop, end) if page.backwards else (start, stop)
        items = self.items[start:end]
        return Page(tuple(items[::-1] if page.backwards else items), cursor, total)


class GrowingSource:
    """Serves distinct numbers in order, as a database does: cursors are places among them."""

    def __init__(self, items: list[int]) -> None:
        self.items = items

    def fetch(self, page: PageRequest) -> Page[int]:
        ends = (page.until, page.cursor) if page.backwards else (page.cursor, page.until)
        low, high = (math.inf if end is None else int(end) for end in ends)
        low = -math.inf if ends[0] is None else low
        found = sorted(item for item in self.items if low < item < high)
        if page.backwards:
            found.reverse()
        if page.only_total:
            return Page((), None, len(found))
        total = len(found) if page.with_total and page.cursor is None else None
        cursor = str(found[page.size - 1]) if len(found) > page.size else None
        return Page(tuple(found[: page.size]), cursor, total)


def lazy(items: list[int], per_page: int = 3, start: str | None = None) -> LazyList[int]:
    return LazyList(Source(items).fetch, int, per_page=per_page, start=start)


ITEMS = st.lists(st.integers(), max_size=30)
PAGE_SIZES = st.integers(1, 10)
ENDS = st.none() | st.integers(-40, 40)
SLICES = st.builds(slice, ENDS, ENDS, st.none() | st.integers(-5, 5).filter(bool))


@given(items=ITEMS, per_page=PAGE_SIZES)
def test_iterating_ends_with_every_item_seen_once(items: list[int], per_page: int) -> None:
    found = lazy(items, per_page)
    assert list(found) == items
    assert [*found] == items  # and once more, from memory


@given(items=ITEMS, per_page=PAGE_SIZES, index=st.integers(-40, 40))
def test_an_index_means_what_it_means_for_a_list(
    items: list[int], per_page: int, index: int
) -> None:
    found = lazy(items, per_page)
    if -len(items) <= index < len(items):
        assert found[index] == items[index]
    else:
        with pytest.raises(IndexError):
            found[index]


@given(items=ITEMS, per_page=PAGE_SIZES, part=SLICES)
def test_a_slice_means_what_it_means_for_a_list(
    items: list[int], per_page: int, part: slice
) -> None:
    assert lazy(items, per_page)[part] == items[part]


@given(items=ITEMS, per_page=PAGE_SIZES, other=ITEMS, value=st.integers(-3, 3))
def test_everything_else_means_what_it_means_for_a_list(
    items: list[int], per_page: int, other: list[int], value: int
) -> None:
    def fresh() -> LazyList[int]:
        return lazy(items, per_page)

    assert len(fresh()) == len(items)
    assert bool(fresh()) == bool(items)
    assert (value in fresh()) == (value in items)
    assert fresh().count(value) == items.count(value)
    assert list(reversed(fresh())) == list(reversed(items))
    assert (fresh() == items, items == fresh()) == (True, True)
    assert (fresh() == other) == (items == other)
    assert fresh() == lazy(items, 7)
    assert (fresh() + other, other + fresh()) == (items + other, other + items)
    assert sorted(fresh()) == sorted(items)


@given(items=ITEMS, per_page=PAGE_SIZES, seen=st.integers(0, 30))
def test_a_list_resumed_at_a_cursor_holds_the_rest(
    items: list[int], per_page: int, seen: int
) -> None:
    first = lazy(items, per_page)
    loaded = [item for item, _ in zip(first, range(seen), strict=False)]
    if first.more and first.cursor is not None:
        rest = lazy(items, per_page, start=first.cursor)
        begun = int(first.cursor)
        assert begun >= len(loaded)
        assert list(rest) == items[begun:]
        assert len(lazy(items, per_page, start=first.cursor)) == len(items) - begun


LOOKS = st.tuples(st.sampled_from(["index", "part", "len", "reversed"]), st.integers(-12, 12))


@given(
    before=st.sets(st.integers(0, 40)),
    per_page=PAGE_SIZES,
    steps=st.lists(st.integers(0, 40) | LOOKS, max_size=20),
)
def test_what_was_seen_stays_in_its_place_while_items_are_added(
    before: set[int], per_page: int, steps: list[int | tuple[str, int]]
) -> None:
    source = GrowingSource(sorted(before))
    found = LazyList(source.fetch, int, per_page=per_page)
    seen: list[tuple[int, int]] = []
    for step in steps:
        if isinstance(step, int):
            source.items = sorted({*source.items, step})
            continue
        what, number = step
        if what == "index":
            try:
                seen.append((number, found[number]))
            except IndexError:
                assert list(found) == found[:]  # all was loaded
        elif what == "part":
            part = found[number:] if number < 0 else found[:number]
            seen += enumerate(part, -len(part) if number < 0 else 0)
        elif what == "len":
            assert len(before) <= len(found) <= len(source.items)
        else:
            seen += [(-1, item) for item in [next(reversed(found), None)] if item is not None]
    whole = list(found)
    assert whole == sorted(set(whole))
    assert before <= set(whole) <= set(source.items)
    assert len(found) == len(whole)
    assert [(index, whole[index]) for index, _ in seen] == seen


def test_the_length_counts_what_is_at_the_end() -> None:
    source = GrowingSource(list(range(10)))
    found = LazyList(source.fetch, int, per_page=2)
    assert len(found) == 10
    source.items += [10, 11]
    assert (found[-1], len(found), found[len(found) - 1]) == (11, 12, 11)
    source.items += [12]
    assert (len(found), found[-1], list(found)) == (12, 11, list(range(12)))


def test_what_is_counted_from_the_end_is_loaded_from_there() -> None:
    source = Source(list(range(1000)))
    found = LazyList(source.fetch, int, per_page=10)
    assert (found[-1], found[-3:], found[-9:-7]) == (999, [997, 998, 999], [991, 992])
    assert (found[:-4:-1], next(reversed(found))) == ([999, 998, 997], 999)
    assert source.pages_served == 1
    assert (len(found), found[0], found[-12]) == (1000, 0, 988)
    assert source.pages_served == 4
    assert list(found) == list(range(1000))


@given(items=ITEMS, per_page=PAGE_SIZES, looks=st.lists(st.integers(-40, 40) | SLICES))
def test_what_is_far_means_what_it_means_for_a_list(
    items: list[int], per_page: int, looks: list[int | slice]
) -> None:
    found = lazy(items, per_page)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lists, "FAR", 1)
        for look in looks:
            if isinstance(look, slice) or -len(items) <= look < len(items):
                assert found[look] == items[look]
            else:
                with pytest.raises(IndexError):
                    found[look]
        assert list(found) == items


def test_what_is_far_is_loaded_by_itself() -> None:
    source = Source(list(range(100_000)))
    found = LazyList(source.fetch, lambda number: [number], per_page=10)
    assert found[50_000:50_010] == [[number] for number in range(50_000, 50_010)]
    with pytest.raises(IndexError, match="there are 100000 items"):
        found[10**30]
    assert (found[50_009:50_005:-2], found[50_000:10]) == ([[50_009], [50_007]], [])
    assert lazy([1, 2, 3])[1 : 10**30] == [2, 3]
    assert source.pages_served == 3  # the first, the number of the rest, those
    assert (found[-1], found[99_999]) == ([99_999], [99_999])
    item = found[70_000]
    assert item is found[70_000]
    assert list(found)[70_000] is item  # and so its changes that were not sent are not lost


def test_what_is_far_from_the_end_is_loaded_by_itself() -> None:
    source = Source(list(range(100_000)))
    found = LazyList(source.fetch, lambda number: [number], per_page=10)
    item = found[-50_000]
    assert (item, found[50_000] is item) == ([50_000], True)
    assert found[-50_000:-49_996] == [[number] for number in range(50_000, 50_004)]
    assert found[-49_997:-50_001:-2] == [[50_003], [50_001]]
    assert source.pages_served == 3  # the first, the number of the rest, those
    with pytest.raises(IndexError, match="there are 100000 items"):
        found[-100_001]
    assert found[-(10**30) : -99_999] == [[0]]


def test_a_resumed_list_has_its_own_end() -> None:
    found = lazy(list(range(10)), start="6")
    assert (found[-1], found[-4], found.cursor) == (9, 6, None)
    with pytest.raises(IndexError, match="-5 is out of range: there are 4 items"):
        found[-5]


def test_length_asks_for_one_page_and_the_number_of_the_rest() -> None:
    source = Source(list(range(1000)))
    found = LazyList(source.fetch, int, per_page=10)
    assert len(found) == 1000
    assert found.total == 1000
    assert source.pages_served == 2
    resumed = LazyList(source.fetch, int, per_page=10, start=found.cursor)
    assert (len(resumed), resumed[0], resumed.total) == (990, 10, 990)
    assert source.pages_served == 4


def test_pages_grow_with_what_was_loaded() -> None:
    sizes: list[int] = []
    source = Source(list(range(20_000)))

    def fetch(page: PageRequest) -> Page[int]:
        sizes.append(page.size)
        return source.fetch(page)

    found = LazyList(fetch, int, per_page=10)
    assert [found[index] for index in (0, 10, 20)] == [0, 10, 20]
    assert sizes == [10, 20]
    assert sum(item for item in found) == sum(range(20_000))
    assert len(sizes) == 8


@pytest.mark.parametrize(
    "look",
    [
        lambda found: found[39],
        lambda found: found[30:35],
        lambda found: found[-39],
        lambda found: found[-35:-30],
    ],
)
def test_what_is_asked_for_comes_as_one_page(look: Callable[[LazyList[int]], object]) -> None:
    source = Source(list(range(1000)))
    found = LazyList(source.fetch, int, per_page=10)
    look(found)
    assert source.pages_served == 1
    assert look(found) == look(list(range(1000)))


def test_nothing_is_counted_that_nobody_asks_for() -> None:
    asked: list[PageRequest] = []
    source = Source(list(range(30)))
    found = LazyList(lambda page: asked.append(page) or source.fetch(page), int, per_page=10)
    assert (found[0], found[-1], sum(item for item in found)) == (0, 29, sum(range(30)))
    assert len(found) == 30
    assert not [page for page in asked if page.with_total or page.only_total]


def test_length_is_right_where_the_backend_does_not_say_it() -> None:
    found = LazyList(Source(list(range(25)), says_total=False).fetch, int, per_page=10)
    assert len(found) == 25


def test_only_the_pages_looked_at_are_loaded() -> None:
    source = Source(list(range(1000)))
    found = LazyList(source.fetch, int, per_page=10)
    assert source.pages_served == 0
    assert (found[15], found[3:18][0], bool(found)) == (15, 3, True)
    assert source.pages_served == 1
    assert (found.cursor, found.more) == ("20", True)


def test_items_are_made_once() -> None:
    found = LazyList(Source([1, 2]).fetch, lambda number: [number])
    assert found[0] is found[0]


def test_an_empty_list_says_why() -> None:
    found = LazyList(Source([]).fetch, int, empty="no run has used ana/vision/data:v0")
    with pytest.raises(IndexError, match="no run has used ana/vision/data:v0"):
        found[0]
    assert not found
    assert list(NamedList([1], "why")) == [1]
    with pytest.raises(IndexError, match="no run has used it"):
        NamedList([], "no run has used it")[0]


def test_an_index_too_far_says_how_many_there_are() -> None:
    with pytest.raises(IndexError, match="5 is out of range: there are 2 items"):
        lazy([1, 2])[5]


def test_repr_is_short() -> None:
    assert repr(lazy([1, 2])) == "[1, 2]"
    assert repr(lazy(list(range(50)))) == "[0, 1, 2, … 47 more]"


@given(items=ITEMS, other=ITEMS, times=st.integers(-1, 3))
def test_copies_products_and_order_are_those_of_a_list(
    items: list[int], other: list[int], times: int
) -> None:
    found = lazy(items)
    assert type(found.copy()) is list
    assert (found.copy(), found * times, times * found) == (items, items * times, times * items)
    for right in (other, lazy(other)):
        assert (found < right, found <= right) == (items < other, items <= other)
        assert (found > right, found >= right) == (items > other, items >= other)
        assert (other < found) == (other < items)


def test_mistakes_are_said_as_a_list_says_them() -> None:
    found = lazy([1, 2, 1])
    with pytest.raises(TypeError, match="list indices must be integers or slices, not str"):
        found["a"]  # type: ignore[call-overload]  # the test
    with pytest.raises(ValueError, match=r"^.* not in list$") as said:
        [1, 2, 1].index("x")  # type: ignore[arg-type]  # the test
    with pytest.raises(ValueError, match=re.escape(str(said.value))):
        found.index("x")
    assert (found.index(1), found.index(1, 1)) == (0, 2)
    with pytest.raises(TypeError, match="not supported between"):
        assert found < 3  # type: ignore[operator]
    with pytest.raises(TypeError, match="per_page must be a whole number, not '3'"):
        lazy([], "3")  # type: ignore[arg-type]


def test_lists_have_no_hash_like_lists() -> None:
    with pytest.raises(TypeError):
        hash(lazy([1]))


@pytest.mark.parametrize("per_page", [0, -1])
def test_a_page_holds_at_least_one_item(per_page: int) -> None:
    with pytest.raises(Invalid):
        LazyList(Source([]).fetch, int, per_page=per_page)
