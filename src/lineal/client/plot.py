"""`lineal.plot`: charts to log, of tables or of what a classifier said (as `wandb.plot`).

`split_table` is taken everywhere for W&B's sake: a chart and its table are one value here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from lineal.client.media.arrays import numpy_for
from lineal.client.media.chart import CustomChart
from lineal.client.media.table import Table
from lineal.client.media.types import needs_package
from lineal.errors import Invalid

__all__ = [
    "CustomChart",
    "bar",
    "confusion_matrix",
    "histogram",
    "line",
    "line_series",
    "plot_table",
    "pr_curve",
    "roc_curve",
    "scatter",
]

CLASSES_SHOWN = 5
CURVE_POINTS_MOST = 1_000
"""Of one class; a curve of more looks the same."""


def plot_table(
    vega_spec_name: str,
    data_table: Table,
    fields: Mapping[str, str],
    string_fields: Mapping[str, str] | None = None,
    split_table: bool = False,
) -> CustomChart:
    """Return a chart of a table drawn as a specification of this name says."""
    return CustomChart(vega_spec_name, data_table, fields, string_fields)


def line(
    table: Table,
    x: str,
    y: str,
    stroke: str | None = None,
    title: str | None = "",
    split_table: bool = False,
) -> CustomChart:
    """Return lines through the points of two columns, one for each value of a third, `stroke`."""
    lines = {} if stroke is None else {"stroke": stroke}
    return CustomChart("wandb/line/v0", table, {"x": x, "y": y, **lines}, {"title": title})


def scatter(
    table: Table, x: str, y: str, title: str | None = "", split_table: bool = False
) -> CustomChart:
    """Return the points of two columns."""
    return CustomChart("wandb/scatter/v0", table, {"x": x, "y": y}, {"title": title})


def bar(
    table: Table, label: str, value: str, title: str | None = "", split_table: bool = False
) -> CustomChart:
    """Return one bar for each row."""
    fields = {"label": label, "value": value}
    return CustomChart("wandb/bar/v0", table, fields, {"title": title})


def histogram(
    table: Table, value: str, title: str | None = "", split_table: bool = False
) -> CustomChart:
    """Return how often the values of a column lie in which range."""
    return CustomChart("wandb/histogram/v0", table, {"value": value}, {"title": title})


def line_series(
    xs: Iterable[Any],
    ys: Iterable[Iterable[Any]],
    keys: Iterable[Any] | None = None,
    title: str | None = "",
    xname: str = "x",
    split_table: bool = False,
) -> CustomChart:
    """Return several lines.

    xs: the positions of all lines, or one list of positions for each. ys: values by line.
    keys: names of the lines, by default `line_0`, `line_1` …
    Raises Invalid where their numbers differ.
    """
    lines = [_listed(y) for y in ys]
    given = _listed(xs)
    each = [_listed(x) for x in given] if given and _is_list(given[0]) else [given] * len(lines)
    names = [f"line_{at}" for at in range(len(lines))] if keys is None else list(map(str, keys))
    if not len(each) == len(lines) == len(names):
        raise Invalid(
            f"{len(lines)} lines have as many lists of xs and keys, "
            f"not {len(each)} and {len(names)}"
        )
    rows = []
    for name, x, y in zip(names, each, lines, strict=True):
        if len(x) != len(y):
            raise Invalid(f"The line {name!r} has {len(x)} xs and {len(y)} ys")
        rows += [[at, name, value] for at, value in zip(x, y, strict=True)]
    table = Table(columns=["step", "lineKey", "lineVal"], data=rows, allow_mixed_types=True)
    fields = {"step": "step", "lineKey": "lineKey", "lineVal": "lineVal"}
    return CustomChart("wandb/lineseries/v0", table, fields, {"title": title, "xname": xname})


def confusion_matrix(
    probs: Any = None,
    y_true: Any = None,
    preds: Any = None,
    class_names: Sequence[str] | None = None,
    title: str | None = "Confusion Matrix Curve",
    split_table: bool = False,
) -> CustomChart:
    """Return how often which class was taken for which.

    y_true: the classes of N samples. preds: those that were predicted; or probs: N×classes, of
    which the greatest counts. class_names: of the classes 0, 1, …; without them those that there
    are are `Class_1`, `Class_2` …, and texts what they are. Raises Invalid for what does not go
    together, TypeError for what is no list.
    """
    if (probs is None) == (preds is None):
        raise Invalid("confusion_matrix takes either probs or preds")
    if y_true is None:
        raise Invalid("confusion_matrix needs y_true, the true classes")
    actual = _listed(y_true)
    predicted = _listed(preds) if probs is None else _greatest(probs)
    if len(actual) != len(predicted):
        raise Invalid(f"There are {len(actual)} true classes and {len(predicted)} predicted ones")
    classes, names = _classes([*actual, *predicted], class_names)
    counts = Counter(zip(actual, predicted, strict=True))
    rows = [
        [names[row], names[column], counts[row, column]] for row in classes for column in classes
    ]
    table = Table(columns=["Actual", "Predicted", "nPredictions"], data=rows)
    fields = {str(name): str(name) for name in table.columns}
    return CustomChart("wandb/confusion_matrix/v1", table, fields, {"title": title})


def pr_curve(
    y_true: Any = None,
    y_probas: Any = None,
    labels: Sequence[str] | None = None,
    classes_to_plot: Sequence[Any] | None = None,
    interp_size: int = 21,
    title: str | None = "Precision-Recall Curve",
    split_table: bool = False,
) -> CustomChart:
    """Return the precision that each class reaches at `interp_size` recalls from 0 to 1.

    y_true, y_probas, labels, classes_to_plot: see `roc_curve`. Needs scikit-learn.
    """
    numpy, metrics = numpy_for("pr_curve"), _sklearn_metrics("pr_curve")
    recalls = numpy.linspace(0, 1, interp_size)
    rows = []
    for name, is_class, chances in _one_against_rest(y_true, y_probas, labels, classes_to_plot):
        precision, recall, _ = metrics.precision_recall_curve(is_class, chances)
        best = numpy.maximum.accumulate(precision)  # at this recall or a greater one
        at = numpy.searchsorted(-recall, -recalls, side="right") - 1
        rows += [[name, float(best[i]), float(r)] for i, r in zip(at, recalls, strict=True)]
    table = Table(columns=["class", "precision", "recall"], data=rows)
    fields = {"x": "recall", "y": "precision", "class": "class"}
    return CustomChart(
        "wandb/area-under-curve/v0", table, fields, _axes(title, "Recall", "Precision")
    )


def roc_curve(
    y_true: Any = None,
    y_probas: Any = None,
    labels: Sequence[str] | None = None,
    classes_to_plot: Sequence[Any] | None = None,
    title: str | None = "ROC Curve",
    split_table: bool = False,
) -> CustomChart:
    """Return the true positive rate of each class against the false positive rate.

    y_true: the classes of N samples. y_probas: N×classes, how probable each class was, in the
    order of the classes sorted. labels: names of the classes in that order. classes_to_plot: some
    of the classes; all by default. Needs scikit-learn. Raises Invalid for what does not go
    together.
    """
    metrics = _sklearn_metrics("roc_curve")
    rows = []
    for name, is_class, chances in _one_against_rest(y_true, y_probas, labels, classes_to_plot):
        false, true, _ = metrics.roc_curve(is_class, chances)
        rows += [
            [name, float(x), float(y)] for x, y in _thinned(list(zip(false, true, strict=True)))
        ]
    table = Table(columns=["class", "fpr", "tpr"], data=rows)
    fields = {"x": "fpr", "y": "tpr", "class": "class"}
    axes = _axes(title, "False positive rate", "True positive rate")
    return CustomChart("wandb/area-under-curve/v0", table, fields, axes)


def _axes(title: str | None, x: str, y: str) -> dict[str, str | None]:
    return {"title": title, "x-axis-title": x, "y-axis-title": y}


def _one_against_rest(
    y_true: Any, y_probas: Any, labels: Sequence[str] | None, chosen: Sequence[Any] | None
) -> Iterable[tuple[str, Any, Any]]:
    """Yield for each class its name, which samples are of it, and how probable it was."""
    numpy = numpy_for("The curve of a classifier")
    if y_true is None or y_probas is None:
        raise Invalid("A curve needs y_true, the true classes, and y_probas, N×classes")
    actual, chances = numpy.asarray(_listed(y_true)), numpy.asarray(_listed(y_probas))
    classes = numpy.unique(actual)
    if chances.ndim == 1 and len(classes) <= 2:  # of the second of two classes
        chances = numpy.stack([1 - chances, chances], axis=1)
    if chances.ndim != 2 or len(chances) != len(actual):
        raise Invalid(
            f"y_probas has the shape (N, classes), with N = {len(actual)}, not {chances.shape}"
        )
    if len(classes) != chances.shape[1]:
        classes = numpy.arange(chances.shape[1])  # of some there is no sample
    if labels is not None and len(labels) < len(classes):
        raise Invalid(f"There are {len(classes)} classes and {len(labels)} labels")
    for position, one in enumerate(classes.tolist()):
        is_class = actual == one
        if (chosen is None or one in chosen) and is_class.any():
            yield str(one if labels is None else labels[position]), is_class, chances[:, position]


def _thinned(points: list[Any]) -> list[Any]:
    """Return some of the points, the first and the last among them, where there are many."""
    step = -(-len(points) // CURVE_POINTS_MOST)
    return points if step <= 1 else [*points[:-1:step], points[-1]]


def _sklearn_metrics(what: str) -> Any:
    try:
        from sklearn import metrics  # slow optional dependency
    except ImportError as error:
        needs_package(what, "scikit-learn", error)
    return metrics


def _classes(
    found: Sequence[Hashable], names: Sequence[str] | None
) -> tuple[Sequence[Any], Mapping[Any, str]]:
    """Return the classes in their order, and the name of each."""
    classes = sorted(set(found), key=lambda one: (isinstance(one, str), one))
    if names is None:
        return classes, {
            one: one if isinstance(one, str) else f"Class_{place}"
            for place, one in enumerate(classes, 1)
        }
    named = list(map(str, names))
    if all(one in range(len(named)) for one in classes):
        return range(len(named)), dict(enumerate(named))
    if set(classes) <= set(named):
        return named, {name: name for name in named}
    if len(classes) == len(named):
        return classes, dict(zip(classes, named, strict=True))
    raise Invalid(
        f"class_names has {len(named)} names, and the classes are neither these nor numbers below "
        f"{len(named)}, nor as many: {', '.join(map(repr, classes[:CLASSES_SHOWN]))}"
    )


def _greatest(probs: Any) -> list[int]:
    rows = _listed(probs)
    if not all(_is_list(row) and len(row) for row in rows):
        raise Invalid("probs has the shape (N, classes)")
    return [max(range(len(row)), key=_listed(row).__getitem__) for row in rows]


def _listed(values: Any) -> list[Any]:
    """Return a list of what is one, or an array or tensor."""
    found = values.tolist() if callable(getattr(values, "tolist", None)) else values
    if isinstance(found, str) or not isinstance(found, Iterable):
        raise TypeError(f"A list or an array is needed, not {values!r:.80}")
    return [one.tolist() if callable(getattr(one, "tolist", None)) else one for one in found]


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)
