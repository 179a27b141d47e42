"""Charts drawn by matplotlib, a slow optional dependency: what a notebook shows of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lineal.client.media.types import needs_package
from lineal.core.drawn_text import cut, letters_of
from lineal.core.lineage_text import printable
from lineal.errors import Invalid

if TYPE_CHECKING:
    from lineal.client.media.chart import CustomChart

SIZE_INCHES = (6.0, 4.0)
TITLE_MOST, NAME_MOST = 70, 30
"""Ordinary letters that have room above a chart, and beside or below it."""
CROWDED_FROM = 40
"""Ordinary letters of all names below a matrix from which on they stand upright."""


def figure(chart: CustomChart) -> Any:
    """Return a figure of matplotlib. Raises Invalid for a chart of a kind of the user's own."""
    draw = _DRAWN.get(chart.id)
    if draw is None:
        raise Invalid(f"Only {', '.join(_DRAWN)} are drawn here, not {chart.id}")
    try:
        from matplotlib.figure import Figure  # not pyplot: it would choose a window to draw in
    except ImportError as error:
        needs_package("To draw a chart", "matplotlib", error)
    drawn = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = drawn.add_subplot(title=_text(chart.title, TITLE_MOST))
    columns = {part: chart.table.get_column(name) for part, name in chart.fields.items()}
    draw(axes, columns, chart)
    return drawn


Columns = Mapping[str, list[Any]]
"""The values of each part of a chart, by row."""


def _lines(axes: Any, columns: Columns, chart: CustomChart) -> None:
    _label(axes, chart, chart.fields["x"], chart.fields["y"])
    name = "stroke" if "stroke" in columns else "class"
    _draw_lines(axes, columns["x"], columns["y"], columns.get(name))


def _line_series(axes: Any, columns: Columns, chart: CustomChart) -> None:
    _label(axes, chart, chart.string_fields.get("xname", ""), "")
    _draw_lines(axes, columns["step"], columns["lineVal"], columns["lineKey"])


def _draw_lines(axes: Any, xs: list[Any], ys: list[Any], names: list[Any] | None) -> None:
    """Draw one line for each name, from left to right; what has no place on it is left out."""
    lines: dict[str | None, list[tuple[Any, Any]]] = {}
    for row, point in enumerate(zip(xs, ys, strict=True)):
        if None not in point:
            lines.setdefault(None if names is None else str(names[row]), []).append(point)
    for name, points in lines.items():
        points.sort()
        marker = "." if len(points) == 1 else None  # a line of one point is not seen
        axes.plot(
            [x for x, _ in points], [y for _, y in points], marker=marker, label=_in_legend(name)
        )
    if names is not None and lines:
        axes.legend()


def _scatter(axes: Any, columns: Columns, chart: CustomChart) -> None:
    _label(axes, chart, chart.fields["x"], chart.fields["y"])
    axes.scatter(columns["x"], columns["y"], s=12)


def _bar(axes: Any, columns: Columns, chart: CustomChart) -> None:
    _label(axes, chart, chart.fields["value"], "")
    places = range(len(columns["label"]))
    axes.barh(places, [math.nan if value is None else value for value in columns["value"]])
    axes.set_yticks(places, [_text(str(label)) for label in columns["label"]])
    axes.invert_yaxis()  # the first row on top


def _histogram(axes: Any, columns: Columns, chart: CustomChart) -> None:
    _label(axes, chart, chart.fields["value"], "rows")
    axes.hist([value for value in columns["value"] if value is not None], bins="auto")


def _confusion_matrix(axes: Any, columns: Columns, chart: CustomChart) -> None:
    names = list(dict.fromkeys(columns["Actual"]))
    counts = dict(
        zip(
            zip(columns["Actual"], columns["Predicted"], strict=True),
            columns["nPredictions"],
            strict=True,
        )
    )
    axes.imshow([[counts[row, column] for column in names] for row in names], cmap="Blues")
    shown = [_text(str(name)) for name in names]
    is_crowded = sum(map(letters_of, shown)) > CROWDED_FROM
    axes.set_xticks(range(len(names)), shown, rotation=90 if is_crowded else 0)
    axes.set_yticks(range(len(names)), shown)
    _label(axes, chart, "Predicted", "Actual")
    half = max(counts.values(), default=0) / 2
    for y, row in enumerate(names):
        for x, column in enumerate(names):
            count = counts[row, column]
            color = "white" if count > half else "black"
            axes.text(x, y, str(count), ha="center", va="center", color=color)


def _label(axes: Any, chart: CustomChart, x: str, y: str) -> None:
    axes.set_xlabel(_text(chart.string_fields.get("x-axis-title", x), TITLE_MOST))
    axes.set_ylabel(_text(chart.string_fields.get("y-axis-title", y), TITLE_MOST))


def _in_legend(name: str | None) -> str | None:
    if name is None:
        return None
    shown = _text(name)
    return f" {shown}" if shown.startswith("_") else shown  # else matplotlib leaves it out


def _text(text: str, most: int = NAME_MOST) -> str:
    """Return a text as matplotlib draws it as it is: what stands between two `$` is a formula."""
    return cut(printable(text), most).replace("$", r"\$")


_DRAWN: Mapping[str, Callable[[Any, Columns, CustomChart], None]] = {
    "wandb/line/v0": _lines,
    "wandb/area-under-curve/v0": _lines,
    "wandb/lineseries/v0": _line_series,
    "wandb/scatter/v0": _scatter,
    "wandb/bar/v0": _bar,
    "wandb/histogram/v0": _histogram,
    "wandb/confusion_matrix/v1": _confusion_matrix,
}
