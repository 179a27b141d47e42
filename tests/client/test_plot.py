"""`lineal.plot`: charts to log."""

from __future__ import annotations

import io
import random
from typing import Any

import numpy as np
import plotly.graph_objects
import pytest

import lineal
from lineal.cli import output
from lineal.client.plot import CURVE_POINTS_MOST
from lineal.errors import Invalid

TABLE = lineal.Table(columns=["a", "b", "c"], data=[[1, 2.0, "x"], [3, 4.0, "y"]])


@pytest.mark.parametrize(
    ("chart", "fields"),
    [
        (lineal.plot.line(TABLE, "a", "b", title="t"), {"x": "a", "y": "b"}),
        (
            lineal.plot.line(TABLE, "a", "b", stroke="c", title="t"),
            {"x": "a", "y": "b", "stroke": "c"},
        ),
        (lineal.plot.scatter(TABLE, "a", "b", title="t"), {"x": "a", "y": "b"}),
        (lineal.plot.bar(TABLE, "c", "b", "t"), {"label": "c", "value": "b"}),
        (lineal.plot.histogram(TABLE, "b", title="t"), {"value": "b"}),
        (lineal.plot_table("me/mine/v1", TABLE, {"q": "a"}, {"title": "t"}), {"q": "a"}),
    ],
)
def test_charts_say_which_columns_are_drawn(chart: Any, fields: dict[str, str]) -> None:
    assert (chart.fields, chart.title, chart.table) == (fields, "t", TABLE)


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(Invalid, match=r"no column 'z' for the y of the chart.*'a', 'b', 'c'"):
        lineal.plot.line(TABLE, "a", "z")
    with pytest.raises(Invalid, match="not of dict"):
        lineal.plot.bar({"a": 1}, "a", "b")  # type: ignore[arg-type]  # what users pass


def test_a_title_among_the_columns_is_the_title() -> None:
    """W&B's own example of `plot_table` has one there, and another where it belongs."""
    fields = {"x": "a", "title": "T"}
    assert lineal.plot_table("wandb/line/v0", TABLE, fields).title == "T"
    assert lineal.plot_table("wandb/line/v0", TABLE, fields, {"title": "t"}).title == "t"


def test_a_logged_chart_is_its_table_and_how_it_is_drawn() -> None:
    chart = lineal.plot.scatter(TABLE, "a", "b", title="t")
    with lineal.init() as run:
        run.log({"val/chart": chart, "x": 1})
    value = lineal.Api().run(run.path).summary["val/chart"]
    assert (value["_type"], value["id"]) == ("custom-chart", "wandb/scatter/v0")
    assert (value["fields"], value["string_fields"]) == ({"x": "a", "y": "b"}, {"title": "t"})
    assert output.cell(value) == "chart of 2 rows"
    (artifact,) = lineal.Api().run(run.path).logged_artifacts()
    assert artifact.type == "run_table"
    assert artifact.get("val/chart") == TABLE


def test_a_chart_is_no_cell_and_no_entry() -> None:
    chart = lineal.plot.bar(TABLE, "c", "b")
    with pytest.raises(Invalid, match="add its `table`"):
        lineal.Artifact("a", "dataset").add(chart, "chart")


CHARTS = [
    lineal.plot.line(TABLE, "a", "b"),
    lineal.plot.line(TABLE, "a", "b", stroke="c"),
    lineal.plot.scatter(TABLE, "a", "b"),
    lineal.plot.bar(TABLE, "c", "b"),
    lineal.plot.histogram(TABLE, "b"),
    lineal.plot.line_series([1, 2], [[3, 4], [5, 6]], title="t", xname="steps"),
    lineal.plot.confusion_matrix(y_true=[0, 1], preds=[1, 1]),
    lineal.plot.roc_curve([0, 1, 1], [0.1, 0.7, 0.6]),
    lineal.plot.pr_curve([0, 1, 1], [0.1, 0.7, 0.6]),
]


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.id)
def test_a_notebook_shows_a_chart(chart: Any) -> None:
    assert chart._repr_html_().startswith('<img src="data:image/png;base64,')


def test_lines_are_drawn_by_their_names_from_left_to_right() -> None:
    table = lineal.Table(columns=["a", "b", "c"], data=[[3, 1, "x"], [1, 2, "x"], [2, 5, "y"]])
    (axes,) = lineal.plot.line(table, "a", "b", stroke="c", title="t").figure().axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert drawn == {"x": [[1, 2], [3, 1]], "y": [[2, 5]]}
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == ("t", "a", "b")
    (axes,) = lineal.plot.line(table, "a", "b").figure().axes
    assert axes.lines[0].get_xdata().tolist() == [1, 2, 3]


def test_what_has_no_value_is_left_out_of_a_chart() -> None:
    gaps = lineal.Table(columns=["a", "b"], data=[[1, None], [1, 2], [None, 3], [0, 4]])
    (axes,) = lineal.plot.line(gaps, "a", "b").figure().axes
    assert axes.lines[0].get_xydata().tolist() == [[0, 4], [1, 2]]
    (axes,) = lineal.plot.bar(gaps, "a", "b").figure().axes
    assert [bar.get_width() for bar in axes.patches][1:] == [2, 3, 4]


def test_a_chart_that_cannot_be_drawn_is_shown_as_its_table() -> None:
    own = lineal.plot_table("me/mine/v1", TABLE, {"q": "a"})
    with pytest.raises(Invalid, match="not me/mine/v1"):
        own.figure()
    mixed = lineal.Table(columns=["a"], data=[["x"], [1]], allow_mixed_types=True)
    for chart in (own, lineal.plot.scatter(mixed, "a", "a"), lineal.plot.line(mixed, "a", "a")):
        if "<img" not in chart._repr_html_():
            assert chart._repr_html_() == chart.table._repr_html_()
    assert own._repr_html_() == TABLE._repr_html_()


def test_an_empty_chart_is_drawn() -> None:
    empty = lineal.Table(columns=["a", "b"])
    for chart in (lineal.plot.line(empty, "a", "b"), lineal.plot.histogram(empty, "a")):
        assert chart._repr_html_()


def test_lines_have_common_positions_or_their_own() -> None:
    common = lineal.plot.line_series([0, 1], np.array([[5, 6], [7, 8]]), keys=["u", "v"])
    own = lineal.plot.line_series([[0, 1], [3]], [[5, 6], [7]])
    assert common.table.data == [[0, "u", 5], [1, "u", 6], [0, "v", 7], [1, "v", 8]]
    assert own.table.data == [[0, "line_0", 5], [1, "line_0", 6], [3, "line_1", 7]]


@pytest.mark.parametrize(
    ("xs", "ys", "keys", "why"),
    [
        ([0, 1], [[1]], None, "2 xs and 1 ys"),
        ([[0], [1], [2]], [[1], [2]], None, "as many lists"),
        ([0], [[1]], ["a", "b"], "as many lists"),
    ],
)
def test_lines_that_do_not_go_together_are_refused(xs: Any, ys: Any, keys: Any, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        lineal.plot.line_series(xs, ys, keys)


@pytest.mark.parametrize(("xs", "ys"), [(3, [[1]]), ([1], [3]), ("ab", [[1]])])
def test_what_is_no_list_of_values_is_a_type_error(xs: Any, ys: Any) -> None:
    with pytest.raises(TypeError, match="A list or an array is needed"):
        lineal.plot.line_series(xs, ys)


def test_confusion_counts_every_pair_of_classes() -> None:
    chart = lineal.plot.confusion_matrix(
        y_true=[0, 0, 1], preds=np.array([0, 1, 1]), class_names=["cat", "dog", "fox"]
    )
    counts = {(row[0], row[1]): row[2] for row in chart.table.data}
    assert len(counts) == 9
    assert {pair: count for pair, count in counts.items() if count} == {
        ("cat", "cat"): 1,
        ("cat", "dog"): 1,
        ("dog", "dog"): 1,
    }


@pytest.mark.parametrize(
    ("y_true", "preds"), [([1, 2, 2], [1, 2, 1]), (["cat", "dog", "dog"], ["cat", "dog", "cat"])]
)
def test_names_of_classes_are_taken_in_order_or_are_the_classes(y_true: Any, preds: Any) -> None:
    chart = lineal.plot.confusion_matrix(y_true=y_true, preds=preds, class_names=["cat", "dog"])
    assert [row[2] for row in chart.table.data] == [1, 0, 1, 1]
    assert chart.table.data[2][:2] == ["dog", "cat"]


def test_a_chart_without_title_has_none() -> None:
    chart = lineal.plot.confusion_matrix(y_true=[0], preds=[0], title=None)
    assert (chart.title, "title" in chart.string_fields) == ("", False)
    assert chart._repr_html_().startswith("<img")


def test_confusion_takes_probabilities_and_classes_by_their_own_names() -> None:
    probs = np.array([[0.9, 0.1], [0.2, 0.8]])
    by_chance = lineal.plot.confusion_matrix(probs=probs, y_true=[1, 1])
    first, second = "Class_1", "Class_2"
    assert by_chance.table.data == [
        [first, first, 0],
        [first, second, 0],
        [second, first, 1],
        [second, second, 1],
    ]
    by_name = lineal.plot.confusion_matrix(y_true=["a", "b"], preds=["b", "b"])
    assert by_name.table.data == [["a", "a", 0], ["a", "b", 1], ["b", "a", 0], ["b", "b", 1]]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"y_true": [1]}, "either probs or preds"),
        ({"y_true": [1], "preds": [1], "probs": [[1]]}, "either probs or preds"),
        ({"preds": [1]}, "y_true"),
        ({"y_true": [1, 0], "preds": [1]}, "2 true classes and 1"),
        ({"y_true": [3], "preds": [0], "class_names": ["a"]}, "numbers below 1.*: 0, 3"),
        ({"y_true": [0], "probs": [0.5]}, "shape"),
    ],
)
def test_confusion_of_what_does_not_go_together_is_refused(given: Any, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        lineal.plot.confusion_matrix(**given)


def test_the_curves_of_a_perfect_classifier() -> None:
    y_true, probas = [0, 0, 1, 1], [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]]
    precision = lineal.plot.pr_curve(y_true, probas, labels=["no", "yes"], interp_size=5)
    assert len(precision.table) == 10
    assert {row[1] for row in precision.table.data} == {1.0}
    assert [row[2] for row in precision.table.data[:5]] == [0.0, 0.25, 0.5, 0.75, 1.0]
    roc = lineal.plot.roc_curve(y_true, probas, labels=["no", "yes"], classes_to_plot=[1])
    assert {row[0] for row in roc.table.data} == {"yes"}
    assert [0.0, 1.0] in [row[1:] for row in roc.table.data]


def test_precision_is_the_best_at_a_recall_or_a_greater_one() -> None:
    # by the chances: yes, no, yes, so the precisions are 1/1, 1/2, 2/3 at recalls 1/2, 1/2, 1
    chart = lineal.plot.pr_curve([1, 0, 1], [0.9, 0.8, 0.7], classes_to_plot=[1], interp_size=5)
    assert [row[1] for row in chart.table.data] == [1, 1, 1, 2 / 3, 2 / 3]


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    dice = random.Random(3)
    y_true = [dice.randrange(2) for _ in range(20_000)]
    chart = lineal.plot.roc_curve(y_true, [dice.random() for _ in y_true], classes_to_plot=[1])
    points = [row[1:] for row in chart.table.data]
    assert len(points) <= CURVE_POINTS_MOST + 1
    assert (points[0], points[-1]) == ([0.0, 0.0], [1.0, 1.0])


@pytest.mark.parametrize(
    ("y_true", "probas", "labels", "why"),
    [
        (None, [[1]], None, "y_true"),
        ([0, 1], [[0.1, 0.9]], None, "N = 2"),
        ([0, 1, 2], [0.1, 0.2, 0.3], None, "shape"),
        ([0, 1], [[0.1, 0.9], [0.2, 0.8]], ["a"], "1 labels"),
    ],
)
def test_curves_of_what_does_not_go_together_are_refused(
    y_true: Any, probas: Any, labels: Any, why: str
) -> None:
    for curve in (lineal.plot.pr_curve, lineal.plot.roc_curve):
        with pytest.raises(Invalid, match=why):
            curve(y_true, probas, labels)


def test_a_figure_of_plotly_is_kept_as_one() -> None:
    figure = plotly.graph_objects.Figure(plotly.graph_objects.Scatter(x=[1, 2], y=[3, 4]))
    with lineal.init() as run:
        run.log({"as it is": figure, "said": lineal.Plotly(figure)})
    summary = lineal.Api().run(run.path).summary
    assert summary["as it is"]["_type"] == "plotly-file"
    assert summary["as it is"]["sha256"] == summary["said"]["sha256"]
    artifact = lineal.Artifact("figures", "dataset")
    artifact.add(lineal.Plotly(figure), "one")
    with lineal.init() as run:
        run.log_artifact(artifact)
    assert lineal.Api().artifact("figures:latest").get("one").figure == figure
    with pytest.raises(Invalid, match="not dict"):
        lineal.Plotly({})


def test_names_that_mean_something_to_matplotlib_are_drawn_as_they_are() -> None:
    formula, long = "cost $x_{ per $y", "n" * 300
    names = [formula, "_hidden", long, "\x1b[31m"]
    rows = [[name, number] for number, name in enumerate(names)]
    table = lineal.Table(columns=[formula, "value"], data=rows)
    charts = [
        lineal.plot.line(table, "value", "value", stroke=formula, title=formula),
        lineal.plot.bar(table, formula, "value", title=long),
        lineal.plot.histogram(table, "value", title="$$"),
        lineal.plot.confusion_matrix(y_true=[0, 1, 2, 3], preds=[0, 1, 2, 3], class_names=names),
    ]
    figures = [chart.figure() for chart in charts]
    for figure in figures:
        figure.savefig(io.BytesIO())  # a warning, such as of no room left, is an error here
    ((lines,), (bars,), _, (matrix,)) = (figure.axes for figure in figures)
    assert lines.get_title() == formula.replace("$", r"\$")
    assert len(lines.get_legend().get_texts()) == len(names)
    assert [tick.get_text() for tick in bars.get_yticklabels()][1] == "_hidden"
    assert len(bars.get_title()) < 100
    assert matrix.get_xticklabels()[0].get_rotation() == 90


def test_bars_of_one_name_stand_one_below_the_other() -> None:
    table = lineal.Table(columns=["name", "value"], data=[["a", 1], ["a", 2]])
    (axes,) = lineal.plot.bar(table, "name", "value").figure().axes
    assert [bar.get_width() for bar in axes.patches] == [1, 2]
    assert len({bar.get_y() for bar in axes.patches}) == 2
