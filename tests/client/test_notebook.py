"""Lineal in a notebook: real kernels, driven cell by cell."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_core.utils import run_sync
from nbclient import NotebookClient

import lineal
from lineal.core.records import Stream

QUICK = "disable_machine_info=True, disable_requirements=True, disable_git=True"

Cell = Callable[[str], list[Any]]
"""Runs a cell and returns its outputs."""


class Notebook:
    """A notebook whose kernel runs until the test ends."""

    def __init__(self) -> None:
        self.client = NotebookClient(
            nbformat.v4.new_notebook(), timeout=60, allow_errors=True, resources={}
        )

    def __call__(self, source: str) -> list[Any]:
        cell = nbformat.v4.new_code_cell(source)
        self.client.nb.cells.append(cell)
        self.client.execute_cell(cell, len(self.client.nb.cells) - 1, store_history=True)
        return list(cell.outputs)


@pytest.fixture
def cell() -> Iterator[Notebook]:
    notebook = Notebook()
    with notebook.client.setup_kernel():
        notebook(f"import lineal\nsettings = dict({QUICK})")
        yield notebook


def error_of(outputs: list[Any]) -> str | None:
    return next((each.ename for each in outputs if each.output_type == "error"), None)


def text_of(outputs: list[Any], kind: str = "text/plain") -> str:
    return str(next(each.data[kind] for each in outputs if "data" in each and kind in each.data))


def runs() -> list[Any]:
    return list(lineal.Api().runs("ana/nb", order="+created_at"))


def saved(name: str) -> str | None:
    """Return a file of the only run, None if it has none of that name."""
    (run,) = runs()
    found = run.files(names=[name])
    if not found:
        return None
    with found[0].download(root="saved") as file:
        return file.read()


def test_a_new_run_finishes_the_one_before_and_config_may_change(cell: Cell) -> None:
    cell("first = lineal.init(project='nb', config={'lr': 1}, settings=settings)")
    assert error_of(cell("first.config.lr = 2; first.log({'loss': 1})")) is None
    cell("second = lineal.init(project='nb', settings=settings)")
    first, second = runs()
    assert (first.state, second.state) == ("finished", "running")
    assert (first.config["lr"], first.summary["loss"]) == (2, 1)


def test_a_cell_of_a_notebook_for_wandb_is_carried_out_and_shows_its_run(cell: Cell) -> None:
    shown = cell(
        "%%wandb -h 300\n"
        "run = lineal.init(project='nb', id='a', settings=settings)\n"
        "run.log({'x': 5})"
    )
    assert "<td>5</td>" in text_of(shown, "text/html")
    assert "<td>5</td>" in text_of(cell("%wandb ana/nb/a"), "text/html")
    with lineal.init(project="nb", id="b") as run:
        run.log_artifact(lineal.Artifact("data", "dataset")).wait()
    assert "ana/nb/data:v0" in text_of(cell("%wandb nb/data:v0"))
    assert error_of(cell("run.finish()")) is None
    assert cell("%%wandb\nlineal.run") == []
    assert error_of(cell("%%wandb\n1 / 0")) == "ZeroDivisionError"


def test_the_magic_of_wandb_itself_stays(cell: Cell) -> None:
    cell("get_ipython().register_magic_function(lambda line: print('theirs'), 'line', 'wandb')")
    cell("import importlib; importlib.reload(lineal)")
    assert cell("%wandb")[0].text == "theirs\n"


def test_an_error_in_a_cell_leaves_the_run_running(cell: Cell) -> None:
    cell("run = lineal.init(project='nb', settings=settings)")
    assert error_of(cell("1 / 0")) == "ZeroDivisionError"
    assert error_of(cell("run.log({'a': 1}); run.finish()")) is None
    assert [run.state for run in runs()] == ["finished"]


def test_a_cell_that_is_interrupted_leaves_the_run_running(cell: Cell) -> None:
    cell("run = lineal.init(project='nb', settings=settings)")
    interrupted = cell(
        "import os, signal, threading, time\n"
        "threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "for step in range(600): run.log({'step': step}); time.sleep(0.1)"
    )
    assert error_of(interrupted) == "KeyboardInterrupt"
    assert error_of(cell("run.log({'after': 1}); run.finish()")) is None
    assert [(run.state, run.summary["after"]) for run in runs()] == [("finished", 1)]


def test_a_kernel_that_is_shut_down_finishes_its_run(cell: Notebook) -> None:
    cell("run = lineal.init(project='nb', settings=settings); run.log({'a': 1})")
    cell("artifact = lineal.Artifact('data', 'dataset')")
    cell("artifact.add_bytes(b'x', 'x'); run.log_artifact(artifact)")
    run_sync(cell.client.km.shutdown_kernel)()
    assert [run.state for run in runs()] == ["finished"]
    assert lineal.Api().artifact("ana/nb/data:latest").version == "v0"


def test_a_kernel_that_is_killed_loses_no_line(cell: Notebook) -> None:
    cell("run = lineal.init(project='nb', id='killed', settings=settings); run.log({'a': 1})")
    run_sync(cell.client.km.signal_kernel)(signal.SIGKILL)
    while run_sync(cell.client.km.is_alive)():
        time.sleep(0.05)
    with lineal.init(project="nb", id="killed", resume="must") as run:
        lines = run.backend.read_lines(run.record.key, Stream.HISTORY)
        assert [json.loads(line)["a"] for line in lines] == [1]


def test_what_cells_print_and_what_they_were_is_kept(cell: Cell) -> None:
    Path("work.ipynb").write_text("{}")
    cell("import os; os.environ['JPY_SESSION_NAME'] = os.path.abspath('work.ipynb')")
    cell("run = lineal.init(project='nb', save_code=True, settings=settings)")
    shown = cell("print('from a cell')")
    assert shown[0].text == "from a cell\n"
    Path("work.ipynb").write_text("{} ")
    cell("run.finish()")
    assert json.loads(saved("code/_session_history.ipynb"))["cells"][-2]["source"] == (
        "print('from a cell')"
    )
    assert saved("code/work.ipynb") == "{} "
    assert "from a cell" in saved("output.log")


@pytest.mark.parametrize("settings", ["", ", save_code=True, disable_code=True"])
def test_cells_are_kept_only_where_code_is_to_be(cell: Cell, settings: str) -> None:
    cell(f"lineal.init(project='nb', settings=dict({QUICK}{settings})).finish()")
    assert saved("code/_session_history.ipynb") is None


def test_cells_with_a_key_in_them_are_not_kept(cell: Cell) -> None:
    cell("run = lineal.init(project='nb', save_code=True, settings=settings)")
    cell("key = 'AKIA' + 'ABCDEFGHIJKLMNOP'; 'AKIAABCDEFGHIJKLMNOP'")
    said = cell("run.finish()")
    assert "looks as if it held a key" in said[0].text
    assert saved("code/_session_history.ipynb") is None


def test_tables_images_and_lineage_show_themselves(cell: Cell) -> None:
    cell("table = lineal.Table(columns=['<b>', 'n'], data=[['<i>', n] for n in range(30)])")
    shown = text_of(cell("table"), "text/html")
    assert "<th>&lt;b&gt;</th>" in shown
    assert "<td>&lt;i&gt;</td><td>19</td>" in shown
    assert "<td>20</td>" not in shown
    assert "10 more of 30 rows" in shown

    cell("import numpy\nimage = lineal.Image(numpy.zeros((4, 4)), caption='<dark>')")
    shown = text_of(cell("image"), "text/html")
    assert shown.startswith('<img src="data:image/png;base64,')
    assert shown.endswith("&lt;dark&gt;")
    assert "data:image/png" in text_of(cell("lineal.Table(['i'], [[image]])"), "text/html")

    assert "<svg" in text_of(cell("lineal.Histogram([1, 2, 2])"), "text/html")

    cell("run = lineal.init(project='nb', settings=settings)")
    cell("run.log({'loss': 0.5}); run.name = '<run>'")
    shown = text_of(cell("run.display(height=99)"), "text/html")
    assert shown.startswith("<details open><summary>Run ana/nb/")
    assert "(&lt;run&gt;)" in shown
    assert "<td>loss</td><td>0.5</td>" in shown
    assert "max-height:99px" in shown
    assert text_of(cell("run.to_html(hidden=True).startswith('<details>')")) == "True"

    cell("artifact = lineal.Artifact('data', 'dataset'); artifact.add_bytes(b'x', 'x')")
    graph = cell("run.log_artifact(artifact).wait().lineage()")
    assert text_of(graph, "image/svg+xml").startswith("<svg")
    assert "data:v0" in text_of(graph)
