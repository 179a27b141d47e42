"""Values as users' libraries make them, logged and put into tables: the real libraries."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import pandas as pd
import PIL.Image
import polars as pl
import pyarrow as pa
import pytest
from matplotlib import pyplot as plt

import lineal
from lineal.errors import Invalid

ROWS = [[1, "x"], [2, None]]
COLUMNS = {"a": [1, 2], "b": ["x", None]}


@pytest.fixture
def figure() -> Iterator[Any]:
    mpl.use("Agg")
    made, axes = plt.subplots()
    axes.plot([1, 3, 2])
    yield made
    plt.close(made)


def logged(value: object) -> Any:
    with lineal.init(project="lib") as run:
        run.log({"value": value})
    return lineal.Api().run(run.path).summary["value"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (jnp.float32(1.5), 1.5),
        (jnp.bfloat16(1.25), 1.25),
        (jnp.int32(3), 3),
        (jnp.array(True), True),
        (jnp.arange(3), [0, 1, 2]),
        (np.float16(0.5), 0.5),
        (pd.Series([1, 2]), [1, 2]),
    ],
)
def test_numbers_and_arrays_are_logged_as_plain_values(value: object, expected: object) -> None:
    assert logged(value) == expected


def test_what_is_not_a_number_is_data() -> None:
    assert math.isnan(logged(jnp.nan))


@pytest.mark.parametrize(
    "frame",
    [pd.DataFrame(COLUMNS), pl.DataFrame(COLUMNS), pa.table(COLUMNS)],
    ids=["pandas", "polars", "pyarrow"],
)
def test_a_frame_is_a_table(frame: object) -> None:
    expected = lineal.Table(columns=["a", "b"], data=ROWS)
    assert lineal.Table(dataframe=frame) == expected
    assert lineal.Table(data=frame) == expected
    assert logged(frame)["_type"] == "table-file"


def test_what_is_no_frame_is_refused_by_name() -> None:
    with pytest.raises(Invalid, match="dict is no table of pandas, polars or pyarrow"):
        lineal.Table(dataframe=COLUMNS)


def test_arrays_of_jax_are_cells() -> None:
    cells = [[jnp.float32(1.5)], [jnp.bfloat16(0.5)], [jnp.arange(2)]]
    table = lineal.Table(columns=["c"], data=cells, allow_mixed_types=True)
    assert table.data[:2] == [[1.5], [0.5]]
    assert table.data[2][0].tolist() == [0, 1]
    narrow = lineal.Table(columns=["c"], data=[[jnp.ones(2, dtype=jnp.bfloat16)]])
    assert narrow.data[0][0].dtype == np.float32


def test_a_figure_is_logged_as_the_image_it_draws(figure: Any) -> None:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    image = lineal.Image(figure)
    assert image == lineal.Image(PIL.Image.open(drawn))
    assert lineal.Image(plt) == image
    for value in (figure, plt, PIL.Image.open(drawn)):
        stub = logged(value)
        assert stub["_type"] == "image-file"
        assert (stub["width"], stub["height"]) == (image.width, image.height)


def test_arrays_of_jax_are_images() -> None:
    assert lineal.Image(jnp.zeros((4, 5, 3))) == lineal.Image(np.zeros((4, 5, 3)))
