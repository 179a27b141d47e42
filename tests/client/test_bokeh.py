"""Charts of Bokeh, where that is installed; their JSON needs nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import lineal
from lineal.errors import Invalid, MissingFile


def made() -> Any:
    plotting = pytest.importorskip("bokeh.plotting")
    figure = plotting.figure(title="growth")
    figure.line([1, 2], [3.0, 4.0])
    return figure


def drawn(chart: lineal.Bokeh) -> tuple[str, list[list[float]]]:
    """Return the title, and what the line goes through."""
    [figure] = chart.document.roots
    data = figure.renderers[0].data_source.data
    return figure.title.text, [list(data["x"]), list(data["y"])]


def test_a_figure_comes_back_from_an_artifact() -> None:
    artifact = lineal.Artifact("charts", "dataset")
    artifact.add(lineal.Bokeh(made()), "growth")
    with lineal.init(project="p") as run:
        run.log_artifact(artifact)
    found = lineal.Api().artifact("p/charts:latest").get("growth")
    assert drawn(found) == ("growth", [[1, 2], [3.0, 4.0]])


def test_a_figure_is_left_as_it_was() -> None:
    figure = made()
    lineal.Bokeh(figure)
    assert figure.document is None


def test_a_document_is_kept_whole() -> None:
    document = pytest.importorskip("bokeh.document").Document()
    for figure in (made(), made()):
        document.add_root(figure)
    for given in (document, document.roots[0]):
        assert len(lineal.Bokeh(given).document.roots) == 2
    assert lineal.Bokeh(document) == lineal.Bokeh(document)


def test_what_is_no_chart_is_refused() -> None:
    pytest.importorskip("bokeh")
    with pytest.raises(Invalid, match="not dict"):
        lineal.Bokeh({})


def test_a_file_is_logged_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "chart.json"
    path.write_text('{"roots": []}')
    with lineal.init(project="p") as run:
        run.log({"chart": lineal.Bokeh(path)})
    stub = lineal.Api().run(run.path).summary["chart"]
    assert stub["_type"] == "bokeh-file"
    file = lineal.Api().run(run.path).file(stub["path"])
    with file.download(tmp_path / "fetched") as fetched:
        assert fetched.read() == '{"roots": []}'
    with pytest.raises(MissingFile):
        lineal.Bokeh("none.json")
    with pytest.raises(Invalid, match=r"none of \.bokeh\.json, \.json"):
        lineal.Bokeh("chart.html")


def test_without_bokeh_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bokeh", None)
    with pytest.raises(Invalid, match="needs bokeh, which is not installed; run `pip install bok"):
        lineal.Bokeh(object())
