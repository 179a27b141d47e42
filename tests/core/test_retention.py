"""Durations, and the selections that policies are made of."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineal.client.artifact.ttl import ArtifactTTL, shown, stored
from lineal.core.retention import (
    KeepBest,
    Selection,
    check,
    duration,
    selection_from_json,
    selection_to_json,
    ttl_seconds,
)
from lineal.errors import Invalid


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30d", timedelta(days=30)),
        (" 12 H ", timedelta(hours=12)),
        ("90m", timedelta(minutes=90)),
        ("5s", timedelta(seconds=5)),
        ("2w", timedelta(weeks=2)),
        ("P30D", timedelta(days=30)),
        ("p1w2dt3h4m5s", timedelta(weeks=1, days=2, hours=3, minutes=4, seconds=5)),
        (7, timedelta(days=7)),
        ("7", timedelta(days=7)),
        (0.5, timedelta(hours=12)),
        (timedelta(minutes=1), timedelta(minutes=1)),
    ],
)
def test_durations_are_read_as_people_write_them(text, expected):
    assert duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "P", "3x", "d", "P1M", "-3d", True, None, [], "1d 2h", float("nan")]
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(Invalid, match="no duration"):
        duration(text)


@pytest.mark.parametrize(
    "value",
    ["99999999999999d", "P99999999999W", "9" * 5000 + "d", 10**12, 10**5000, 1e300, float("inf")],
    ids=lambda value: type(value).__name__,
)
def test_what_is_too_long_for_a_duration_is_refused(value):
    with pytest.raises(Invalid, match="999,999,999 days; what never expires has the TTL None"):
        duration(value)


@given(st.integers(1, 10**15))
def test_a_ttl_is_rounded_up_to_whole_seconds(microseconds):
    ttl = timedelta(microseconds=microseconds)
    stored_ttl = timedelta(seconds=ttl_seconds(ttl))
    assert ttl <= stored_ttl < ttl + timedelta(seconds=1)
    assert stored_ttl >= timedelta(seconds=1)


@pytest.mark.parametrize("value", [timedelta.max, "365001d", 1e9 - 1])
def test_a_ttl_that_no_version_can_have_is_refused_at_once(value):
    assert ttl_seconds(365_000) == 365_000 * 86_400
    with pytest.raises(Invalid, match="at most 365,000 days"):
        ttl_seconds(value)


@pytest.mark.parametrize("value", [0, -1, timedelta(0), timedelta(days=-1), "0d", "-5d"])
def test_a_ttl_is_positive(value):
    with pytest.raises(ValueError, match="positive"):
        ttl_seconds(value)


def test_none_is_never_and_inherit_is_nothing_said():
    assert stored(None) == 0
    assert stored(ArtifactTTL.INHERIT) is None
    assert stored(2) == 172_800
    assert [shown(seconds) for seconds in (None, 0, 60)] == [
        ArtifactTTL.INHERIT,
        None,
        timedelta(minutes=1),
    ]

    class Other(Enum):
        INHERIT = "inherit"

    with pytest.raises(ValueError, match=r"ArtifactTTL\.INHERIT"):
        stored(Other.INHERIT)  # type: ignore[arg-type]  # that is the point


selections = st.builds(
    Selection,
    older_than_seconds=st.none() | st.integers(0, 10**9),
    untagged=st.booleans(),
    unaliased=st.booleans(),
    unused=st.booleans(),
    keep_last=st.none() | st.integers(0, 1000),
    type=st.none() | st.just("run_table"),
    keep_best=st.none()
    | st.builds(
        KeepBest,
        count=st.integers(0, 100),
        key=st.sampled_from(["metadata.acc", "summary.val.loss"]),
        goal=st.sampled_from(["maximize", "minimize"]),
    ),
)


@given(selections.filter(lambda selection: not selection.is_empty))
def test_a_selection_survives_json(selection):
    assert selection_from_json(selection_to_json(selection)) == selection


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({}, "everything"),
        ({"untagged": False}, "everything"),
        ({"keep_lst": 3}, "did you mean `keep_last`"),
        ({"keep_last": "3"}, "whole number"),
        ({"keep_last": -3}, "at least 0"),
        ({"older_than_seconds": 1.5}, "whole number"),
        ({"keep_best": {"count": 1, "key": "acc"}}, "must begin with"),
        ({"keep_best": {"count": 1, "key": "summary.a", "goal": "max"}}, "the goal"),
        ({"keep_best": {"cnt": 1, "key": "summary.a"}}, "no key `cnt`; did you mean `count`"),
        ({"keep_best": {"count": 1, "xyzzy": 2}}, "no key `xyzzy`; it has a `count`"),
        ({"keep_best": {"count": 1}}, "says no `key`; it has a `count`"),
        ({"keep_best": {"count": "1", "key": "summary.a"}}, "whole number"),
        ({"untagged": "yes"}, "true or false"),
        ({"keep_best": {"count": -1, "key": "summary.a"}}, "at least 0"),
        ({"type": "run_table"}, "everything"),
        ({"keep_last": 1, "type": ["run_table"]}, "`type` must be a text"),
        ({"keep_best": 3}, "`keep_best` is a dict, such as .* not 3"),
    ],
)
def test_a_wrong_policy_says_what_is_wrong(document, why):
    with pytest.raises(Invalid, match=why):
        selection_from_json(document)


def test_a_selection_that_says_nothing_is_refused():
    with pytest.raises(Invalid, match="everything"):
        check(Selection())
