"""Differences of tables: by key, and of whole rows."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineal.core.row_diff import ChangedRow, Rows, diff
from lineal.errors import Invalid

NAN = float("nan")


def test_rows_are_found_by_their_key_in_any_order():
    before = Rows(["id", "name", "score"], [[1, "a", 0.5], [2, "b", 0.1], [3, "c", None]])
    after = Rows(["score", "id", "name"], [[0.1, 2, "B"], [0.5, 1, "a"], [1.0, 4, "d"]])
    found = diff(before, after, ["id"])
    assert found.added == ({"score": 1.0, "id": 4, "name": "d"},)
    assert found.removed == ({"id": 3, "name": "c", "score": None},)
    assert found.changed == (ChangedRow({"id": 2}, {"name": ("b", "B")}),)
    assert (found.key, found.same_count) == (("id",), 1)


def test_a_key_may_have_several_columns():
    before = Rows(["year", "month", "sum"], [[2024, 1, 5], [2024, 2, 6], [2025, 1, 7]])
    after = Rows(["year", "month", "sum"], [[2024, 1, 5], [2025, 1, 8]])
    found = diff(before, after, ["year", "month"])
    assert found.changed == (ChangedRow({"year": 2025, "month": 1}, {"sum": (7, 8)}),)
    assert found.removed == ({"year": 2024, "month": 2, "sum": 6},)


def test_without_key_rows_count_as_often_as_they_are_there():
    before = Rows(["x"], [["a"], ["b"], ["a"], ["c"]])
    after = Rows(["x"], [["a"], ["d"], ["b"], ["b"]])
    found = diff(before, after)
    assert found.added == ({"x": "d"}, {"x": "b"})
    assert found.removed == ({"x": "a"}, {"x": "c"})
    assert (found.key, found.changed, found.same_count) == ((), (), 2)


@pytest.mark.parametrize("key", [[], ["id"]])
def test_columns_that_only_one_table_has_make_no_row_different(key):
    before = Rows(["id", "old"], [[1, "x"], [2, "y"]])
    after = Rows(["new", "id"], [[True, 1], [False, 2]])
    found = diff(before, after, key)
    assert (found.added_columns, found.removed_columns) == (("new",), ("old",))
    assert (found.added, found.removed, found.changed, found.same_count) == ((), (), (), 2)


def test_tables_without_a_common_column_have_no_row_in_common():
    found = diff(Rows(["a"], [[1], [1]]), Rows(["b"], [[1]]))
    assert (len(found.removed), len(found.added), found.same_count) == (2, 1, 0)


@pytest.mark.parametrize(
    ("old", "new", "is_same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (None, 0, False),
        (None, "", False),
        ("1", 1, False),
        (NAN, float("nan"), True),
        (NAN, None, False),
        ([1, [NAN]], [1.0, [NAN]], True),
        ([], {}, False),
        ({"a": 1, "b": [2]}, {"b": [2], "a": 1}, True),
        ({"a": 1}, {"a": None}, False),
        ("nan", NAN, False),
        (["bool", True], [True], False),
    ],
)
def test_what_counts_as_the_same_cell(old, new, is_same):
    before, after = Rows(["k", "v"], [[1, old]]), Rows(["k", "v"], [[1, new]])
    assert (diff(before, after).same_count == 1) is is_same
    assert (diff(before, after, ["k"]).changed == ()) is is_same


@pytest.mark.parametrize("is_before", [True, False])
def test_a_key_that_is_none_is_refused(is_before):
    fine, wrong = Rows(["id", "v"], [[1, 2]]), Rows(["id", "v"], [["a", 2], ["b", 2], ["a", 3]])
    pair = (wrong, fine) if is_before else (fine, wrong)
    with pytest.raises(Invalid, match="more than one row has id='a'"):
        diff(*pair, ["id"])
    with pytest.raises(Invalid, match="no column 'name' among 'id', 'v'"):
        diff(*pair, ["id", "name"])


CELLS = st.one_of(st.none(), st.booleans(), st.integers(0, 3), st.sampled_from(["", "a", "b"]))
TABLES = st.lists(st.tuples(CELLS, CELLS), max_size=12)


@given(TABLES, TABLES)
def test_what_was_removed_and_added_makes_one_table_of_the_other(before, after):
    found = diff(Rows("xy", before), Rows("xy", after))

    def counted(rows):
        return Counter((repr(x), repr(y)) for x, y in rows)

    removed, added = (
        [tuple(row.values()) for row in rows] for rows in (found.removed, found.added)
    )
    assert counted(before) - counted(removed) + counted(added) == counted(after)
    assert not counted(removed) & counted(added)
    assert found.same_count == len(before) - len(removed) == len(after) - len(added)


KEYED = st.dictionaries(st.sampled_from("abcdefgh"), CELLS)


@given(KEYED, KEYED)
def test_by_key_what_changed_makes_one_table_of_the_other(before, after):
    tables = [Rows(["k", "v"], list(each.items())) for each in (before, after)]
    found = diff(*tables, ["k"])
    made = dict(before)
    for row in found.removed:
        del made[row["k"]]
    for changed in found.changed:
        old, made[changed.key["k"]] = changed.cells["v"]
        assert old is before[changed.key["k"]]
    for row in found.added:
        assert row["k"] not in made
        made[row["k"]] = row["v"]
    assert repr(sorted(made.items())) == repr(sorted(after.items()))
    assert found.same_count + len(found.changed) + len(found.added) == len(after)
