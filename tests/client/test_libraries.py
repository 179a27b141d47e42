"""Values as users' libraries make them, in metrics, tables and config: the real libraries."""

from __future__ import annotations

import argparse
import functools
import io
import math
import os
import subprocess
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import attrs
import matplotlib as mpl
import ml_collections
import numpy as np
import pandas as pd
import PIL.Image
import polars as pl
import pyarrow as pa
import pydantic
import pytest
from absl import flags
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


def test_numbers_and_arrays_are_logged_as_plain_values() -> None:
    assert logged(np.float16(0.5)) == 0.5
    assert logged(pd.Series([1, 2])) == [1, 2]


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


def test_a_figure_is_logged_as_the_image_it_draws(figure: Any) -> None:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    image = lineal.Image(figure)
    assert image == lineal.Image(PIL.Image.open(drawn))
    assert lineal.Image(plt) == image
    axes = figure.axes[0]  # as seaborn returns them
    assert lineal.Image(axes) == lineal.Image(axes.lines[0]) == image
    for value in (figure, axes, plt, PIL.Image.open(drawn)):
        stub = logged(value)
        assert stub["_type"] == "image-file"
        assert (stub["width"], stub["height"]) == (image.width, image.height)


def test_arrays_of_jax_are_values_cells_and_images() -> None:
    # in a process of its own: once loaded, jax warns at every fork
    script = """
import jax.numpy as jnp, lineal, math, numpy
values = {
    "number": jnp.float32(1.5), "narrow": jnp.bfloat16(1.25), "whole": jnp.int32(3),
    "yes": jnp.array(True), "array": jnp.arange(3), "none": jnp.nan,
}
with lineal.init(project="lib", config={"activation": jnp.tanh, "size": jnp.int32(2)}) as run:
    run.log(values, step=jnp.int32(7))
stored = lineal.Api().run(run.path)
summary = dict(stored.summary)
assert math.isnan(summary.pop("none"))
assert {key: value for key, value in summary.items() if key in values} == {
    "number": 1.5, "narrow": 1.25, "whole": 3, "yes": True, "array": [0, 1, 2],
}, summary
assert summary["_step"] == 7
assert stored.config["size"] == 2

cells = [[jnp.float32(1.5)], [jnp.bfloat16(0.5)], [jnp.arange(2)]]
table = lineal.Table(columns=["c"], data=cells, allow_mixed_types=True)
assert table.data[:2] == [[1.5], [0.5]]
assert table.data[2][0].tolist() == [0, 1]
narrow = lineal.Table(columns=["c"], data=[[jnp.ones(2, dtype=jnp.bfloat16)]])
assert narrow.data[0][0].dtype == numpy.float32

assert lineal.Image(jnp.zeros((4, 5, 3))) == lineal.Image(numpy.zeros((4, 5, 3)))
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr


# --- config ---


@dataclass
class Optimizer:
    rate: float = 0.1
    betas: tuple[float, ...] = (0.9, 0.99)


@attrs.define
class Model:
    depth: int = 2
    optimizer: Optimizer = attrs.field(factory=Optimizer)


class Data(pydantic.BaseModel):
    name: str = "digits"
    sizes: list[int] = [1, 2]


OPTIMIZER = {"rate": 0.1, "betas": [0.9, 0.99]}


class Defaults:
    """A class that nobody makes objects of."""

    lr = 0.1
    layers = (1, 2)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (Optimizer(), OPTIMIZER),
        (Model(), {"depth": 2, "optimizer": OPTIMIZER}),
        (Data(), {"name": "digits", "sizes": [1, 2]}),
        (ml_collections.ConfigDict({"a": {"b": 1}}), {"a": {"b": 1}}),
        (Defaults, {"lr": 0.1, "layers": [1, 2]}),
        (argparse.Namespace(a=1, deep=argparse.Namespace(b=2)), {"a": 1, "deep": {"b": 2}}),
        (
            {"a": types.SimpleNamespace(b=Model())},
            {"a": {"b": {"depth": 2, "optimizer": OPTIMIZER}}},
        ),
        ({"loss": math.sqrt, "model": Model, "part": math.sqrt}, None),
    ],
)
def test_config_takes_what_is_made_of_named_values(config: object, expected: object) -> None:
    with lineal.init(project="lib", config=config) as run:
        stored = lineal.Api().run(run.path).config
    if expected is None:
        expected = {
            "loss": "math.sqrt",
            "model": f"{__name__}.Model",
            "part": "math.sqrt",
        }
    assert stored == expected


def test_config_takes_flags() -> None:
    values = flags.FlagValues()
    flags.DEFINE_float("rate", 0.1, "", flag_values=values)
    values(["program", "--rate=0.5"])
    with lineal.init(project="lib", config=values) as run:
        assert run.config.rate == 0.5


def test_a_file_name_that_is_no_text_is_kept_escaped() -> None:
    name = os.fsdecode(b"caf\xe9")
    artifact = lineal.Artifact("data", "dataset", metadata={name: [name]}, description=name)
    with lineal.init(config={"file": name, name: Path(name)}) as run:
        run.log({"file": name, name: 1})
        version = run.log_artifact(artifact).wait()
    found = lineal.Api().run(run.path)
    assert found.config == {"file": r"caf\udce9", r"caf\udce9": r"caf\udce9"}
    assert found.summary[r"caf\udce9"] == 1
    assert version.metadata == {r"caf\udce9": [r"caf\udce9"]}
    assert version.description == r"caf\udce9"


def test_texts_and_whole_numbers_in_an_array_are_those_outside_of_it() -> None:
    name = os.fsdecode(b"caf\xe9")
    with lineal.init() as run:
        for names in (np.array([name]), np.array([name, "x"]), np.array([name], dtype=object)):
            run.log({"names": names})
            assert name not in run.summary["names"]
            assert r"caf\udce9" in run.summary["names"]
        with pytest.raises(Invalid, match="`n` is a whole number of more than 1023 bits"):
            run.log({"n": np.array([2**5000, 1], dtype=object)})


def test_config_keeps_anything_else_as_text_and_says_so(capsys: Any) -> None:
    part = functools.partial(max, 1)
    with lineal.init(project="lib", config={"a": {"dtype": np.dtype("f4"), "part": part}}) as run:
        assert run.config.a == {"dtype": "float32", "part": str(part)}
    said = capsys.readouterr().err
    assert "config `a.part` is a functools.partial; it is kept as the text" in said


def test_a_config_keeps_an_array_that_is_too_long_as_text(capsys: Any) -> None:
    with lineal.init(config={"weights": np.zeros(20_000), "part": {"x": np.ones(9)}}) as run:
        pass
    assert run.config["weights"] == "[0. 0. 0. ... 0. 0. 0.]"
    assert run.config["part"]["x"] == [1.0] * 9
    assert "config `weights` is a numpy.ndarray; it is kept as the text" in capsys.readouterr().err


def test_metrics_refuse_what_the_config_would_keep_as_text() -> None:
    with lineal.init(project="lib") as run, pytest.raises(TypeError, match="`f` is a"):
        run.log({"f": math.sqrt})
