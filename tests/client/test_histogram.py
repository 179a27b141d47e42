"""Histograms: counts between edges, in the row of the history."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_folder import round_trip

import lineal
from lineal.client.media.histogram import Histogram
from lineal.client.media.table import Table
from lineal.errors import IntegrityError, Invalid


class Tensor:
    """What a torch tensor on a GPU looks like from outside; torch is too heavy for a test."""

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def numpy(self) -> Any:
        return np.arange(4.0)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


def test_values_are_counted_as_numpy_does():
    values = np.random.default_rng(0).normal(size=1000)
    counts, edges = np.histogram(values, bins=64)
    made = Histogram(values)
    assert (made.histogram, made.bins) == (counts.tolist(), edges.tolist())
    assert made == Histogram(np_histogram=(counts, edges))
    assert len(Histogram(values, num_bins=np.int64(512)).histogram) == 512


@pytest.mark.parametrize(
    "values",
    [
        [0, 1, 2, 3],
        (0.0, 1, Decimal(2), 3),
        [[0, 1], [2, 3]],
        np.arange(4, dtype="float16"),
        np.ma.array([0, 1, 2, 99, 3], mask=[0, 0, 0, 1, 0]),
        Tensor(),
    ],
    ids=lambda values: type(values).__name__,
)
def test_numbers_of_any_kind_are_counted(values):
    assert Histogram(values, num_bins=3).histogram == [1, 1, 2]


@pytest.mark.parametrize(
    "nothing", [[], np.zeros((0, 3)), np.ma.array([1.0], mask=[1])], ids=["list", "array", "masked"]
)
def test_no_values_leave_the_bins_empty(nothing):
    made = Histogram(nothing, num_bins=2)
    assert (made.histogram, made.bins) == ([0, 0], [0.0, 0.5, 1.0])
    assert "0 values in 2 bins from 0 to 1" in repr(made)


def test_truth_values_are_counted():
    assert Histogram(np.array([True, False, True]), num_bins=2).histogram == [1, 2]


def test_what_is_not_finite_is_left_out_and_that_is_said_once(capsys):
    for _ in range(2):
        made = Histogram([0, np.nan, 1, np.inf, None], num_bins=2)
    assert made.histogram == [1, 1]
    assert capsys.readouterr().err.count("leaves out 3 of 5 values") == 1


def test_bins_may_be_a_rule_of_numpy_or_edges():
    values = np.random.default_rng(1).normal(size=100)
    for bins in ("auto", [-1, 0, 2], np.array([0.0, 1.0])):
        counts, edges = np.histogram(values, bins=bins)
        assert Histogram(values, num_bins=bins).histogram == counts.tolist()
        assert Histogram(values, num_bins=bins).bins == edges.tolist()
    assert Histogram(values, num_bins=None) == Histogram(values)


@pytest.mark.parametrize("values", [[1e20, 1e20 + 2e4], [-1e308, 1e308], [1e20, 1e20]])
def test_values_with_no_room_for_bins_are_in_one(values):
    assert Histogram(values).histogram == [2]
    assert Histogram(values).bins == values


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "needs values"),
        ({"sequence": [np.nan, np.inf]}, "None of the 2 values"),
        ({"sequence": ["1", "2"]}, "counts numbers"),
        ({"sequence": [1, "2"]}, "counts numbers"),
        ({"sequence": [Decimal(1), "2"]}, "counts numbers"),
        ({"sequence": [[1], [2, 3]]}, "counts numbers"),
        ({"sequence": [1j]}, "counts numbers"),
        ({"sequence": np.array(["2020"], dtype="datetime64[D]")}, "counts numbers"),
        ({"sequence": {1: 2}}, "counts numbers"),
        ({"sequence": [10**400]}, "counts numbers"),
        ({"sequence": [1], "num_bins": 513}, "1 to 512 bins, not 513"),
        ({"sequence": [1], "num_bins": 0}, "1 to 512 bins, not 0"),
        ({"sequence": [1], "num_bins": range(514)}, "1 to 512 bins, not 513"),
        ({"sequence": [1], "num_bins": "often"}, "in bins 'often': "),
        ({"sequence": [1], "num_bins": ["a", "b"]}, r"in bins \['a', 'b'\]: "),
        ({"sequence": [1], "num_bins": [0, np.inf]}, "edges must be finite"),
        ({"np_histogram": ([1] * 513, [*range(514)])}, "1 to 512 bins, not 513"),
        ({"np_histogram": ([], [1])}, "1 to 512 bins, not 0"),
        ({"np_histogram": ([1, 2], [1, 2])}, "2 counts has 3 edges, not 2"),
        ({"np_histogram": ([1, 2],)}, "a pair"),
        ({"np_histogram": 5}, "a pair"),
        ({"np_histogram": ([1], [np.nan, 1])}, "one is NaN"),
        ({"np_histogram": (["a"], [1, 2])}, "counts of a Histogram must be numbers"),
        ({"np_histogram": (1, [1, 2])}, "counts of a Histogram must be numbers"),
        ({"np_histogram": ([1], [0, 10**400])}, "edges of a Histogram must be numbers"),
        ({"np_histogram": ([1], [[1], [2]])}, "edges of a Histogram must be numbers"),
    ],
)
def test_what_is_no_histogram_is_refused(given, message):
    with pytest.raises(Invalid, match=message):
        Histogram(**given)


def test_what_numpy_counted_may_be_given_in_the_place_of_the_values():
    """W&B's guide to logging media does so."""
    counted = np.histogram([1, 2, 2], bins=2)
    assert lineal.Histogram(counted) == lineal.Histogram(np_histogram=counted)


def test_edges_that_descend_are_turned_round_with_their_counts():
    made = Histogram(np_histogram=(np.array([1, 2]), [3.0, 1.0, 1.0]))
    assert (made.histogram, made.bins) == ([2, 1], [1, 1, 3])


def test_edges_in_no_order_are_kept_and_that_is_said_once(capsys, tmp_path):
    made = Histogram(np_histogram=([1, 2, 4], [3, 10, 20, 0]))
    assert (made.histogram, made.bins) == ([1, 2, 4], [3, 10, 20, 0])
    assert round_trip(made, tmp_path) == made
    assert capsys.readouterr().err.count("neither ascend nor descend") == 1


def test_a_histogram_comes_back_from_an_artifact_and_from_a_table(tmp_path):
    made = Histogram(np_histogram=([1, 2.5], [0, 1, 3]))
    assert round_trip(made, tmp_path / "alone") == made
    table = Table(columns=["name", "weights"], data=[["a", made], ["b", None]])
    read = round_trip(table, tmp_path / "table")
    assert read == table
    assert read.data[0][1].bins == [0, 1, 3]
    with pytest.raises(IntegrityError, match="edges"):
        Histogram.read({"values": [1], "bins": [1]}, None)  # type: ignore[arg-type]  # never asked


def test_a_notebook_shows_bars():
    shown = Histogram(np_histogram=([0, 4, np.inf], [0, 1, 2, 3]))._repr_html_()
    assert shown.count("<rect") == 3
    assert "0 … 3" in shown
    assert "<svg" in Table(columns=["h"], data=[[Histogram([1, 2])]])._repr_html_()


def test_the_history_and_the_summary_hold_histograms():
    made = Histogram([1, 2, 4], num_bins=2)
    as_json = {"_type": "histogram", "values": [2, 1], "bins": [1.0, 2.5, 4.0]}
    with lineal.init() as run:
        run.log({"h": made, "layer": {"0": made}, "all": [made, made]})
        run.summary["best"] = {"h": made}
        made.bins[0] = -9
    read = lineal.Api().run(run.path)
    (row,) = read.scan_history()
    assert (row["h"], row["layer.0"], row["all"]) == (as_json, as_json, [as_json] * 2)
    assert (read.summary["h"], read.summary["best"]["h"]) == (as_json, as_json)
    assert read.history_keys["keys"]["h"]["typeCounts"] == [{"type": "histogram", "count": 1}]


def test_a_list_of_histograms_and_something_else_is_refused():
    with lineal.init() as run, pytest.raises(Invalid, match="list with `Histogram` at 0"):
        run.log({"h": [Histogram([1]), 2]})


def test_counts_need_no_numpy():
    program = (
        "import sys, lineal\n"
        "lineal.Histogram(np_histogram=([1, 2], [0, 1, 2])).write()\n"
        "assert 'numpy' not in sys.modules\n"
    )
    source = str(Path(lineal.__file__).parents[1])
    subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": source}, check=True
    )
