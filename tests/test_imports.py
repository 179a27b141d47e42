"""Importing stays light: what is heavy is loaded by what needs it."""

from __future__ import annotations

import ast
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lineal
from lineal import data_types, wandb_names
from lineal.client import media

SOURCES = Path(__file__).parent.parent / "src"
SOURCE = SOURCES / "lineal" / "__init__.py"
HEAVY = ["sqlalchemy", "numpy", "pandas", "PIL", "rich", "yaml", "typer", "alembic", "asyncio"]


def printed_by(program: str) -> str:
    """Return what a fresh Python prints that runs this program."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_by(statement: str) -> set[str]:
    """Return the top-level packages that a fresh Python has after the statement."""
    program = f"{statement}\nimport sys\nprint(*sorted(sys.modules))"
    return {name.split(".")[0] for name in printed_by(program).split()}


@pytest.mark.parametrize(
    "statement",
    [
        "import lineal",
        "import lineal as wandb",
        "import lineal.config, lineal.errors",
        "import lineal.core.manifest, lineal.core.names, lineal.core.records",
        "import lineal.client.media",
    ],
)
def test_importing_loads_nothing_heavy(statement: str) -> None:
    assert loaded_by(statement) & set(HEAVY) == set()


def test_no_module_takes_the_place_of_a_public_name() -> None:
    """Once it is imported, Python gives the package a module of its name."""
    modules = {module.name for module in pkgutil.iter_modules(lineal.__path__)}
    known = {"config", "data_types", "errors", "integration", "util"}
    assert modules & set(lineal.__all__) == known


def test_type_checkers_see_each_public_name_where_it_is_loaded_from() -> None:
    guarded = next(node for node in ast.parse(SOURCE.read_text()).body if isinstance(node, ast.If))
    imports = [node for node in guarded.body if isinstance(node, ast.ImportFrom)]
    seen = {alias.asname: node.module for node in imports for alias in node.names if alias.asname}
    loaded = lineal._MODULE_OF | {
        name: path.rpartition(".")[0] for name, path in lineal._MODULES.items()
    }
    assert seen == loaded


def test_tables_and_images_load_no_array_library_until_they_have_to() -> None:
    statement = (
        "from lineal.client.media.table import Table\n"
        "from lineal.client.media.image import Image\n"
        "t = Table(columns=['a', 'b'], data=[[1, 'x'], [None, 'y']])\n"
        "assert t == t and len(t) == 2"
    )
    assert loaded_by(statement) & {"numpy", "pandas", "PIL"} == set()


def test_missing_array_library_names_the_extra() -> None:
    program = (
        "import sys; sys.modules['PIL'] = sys.modules['numpy'] = None\n"
        "from lineal.client.media.image import Image\n"
        "from lineal.errors import Invalid\n"
        "try: Image([[0]])\n"
        "except Invalid as error: print(error)\n"
    )
    assert "pip install 'lineal[media]'" in printed_by(program)


def test_names_that_only_wandb_has_are_told_with_what_to_do_instead() -> None:
    for name, instead in wandb_names.INSTEAD.items():
        with pytest.raises(AttributeError, match=re.escape(instead)):
            getattr(lineal, name)


def test_classes_are_where_annotations_of_scripts_for_wandb_name_them() -> None:
    program = (
        "import lineal as wandb\n"
        "def train(run: wandb.sdk.wandb_run.Run, old: wandb.wandb_sdk.wandb_run.Run) -> None: ...\n"
        "def read(run: wandb.apis.public.Run, api: wandb.apis.public.Api) -> None: ...\n"
        "assert wandb.sdk.wandb_run.Run is wandb.wandb_run.Run is wandb.Run\n"
        "assert wandb.sdk.artifacts.artifact.Artifact is wandb.Artifact\n"
        "assert wandb.apis.public.Api is wandb.Api\n"
        "assert wandb.wandb_lib.config_util.ConfigError is wandb.errors.Invalid\n"
        "assert wandb.env.get_project('mine', env={}) == 'mine'\n"
        "wandb.env.set_project('p'); assert wandb.init(mode='disabled') and wandb.api.api_key\n"
        "assert wandb.env.get_project() == 'p' and wandb.env.get_entity() is None\n"
        "assert wandb.ensure_configured() is None\n"
        "print('wandb' in __import__('sys').modules)"
    )
    assert printed_by(program) == "False\n"


def test_callbacks_are_no_attribute_where_their_library_is_not_installed() -> None:
    program = (
        "import sys; sys.modules['xgboost'] = None\n"
        "import lineal\n"
        "assert not hasattr(lineal, 'xgboost')\n"
        "try: lineal.xgboost\n"
        "except AttributeError as error: print(error)\n"
    )
    assert printed_by(program) == "lineal.xgboost needs xgboost, which is not installed\n"


def test_the_data_types_have_the_path_that_older_scripts_know() -> None:
    names = {name for name, value in vars(data_types).items() if isinstance(value, type)}
    bases, parts = {"Media", "WBValue"}, {"BoundingBoxes2D", "ImageMask", "Edge", "Node"}
    assert names == {found[1] for found in media._WHERE.values()} | bases | parts
    assert issubclass(lineal.Table, data_types.Media)
    assert data_types.Media is data_types.WBValue
    for name in names - bases - parts:
        assert getattr(lineal.data_types, name) is getattr(lineal, name)


def test_an_id_to_resume_by_is_made_as_scripts_for_wandb_do() -> None:
    program = "import lineal as wandb\nprint(wandb.util.generate_id(), wandb.util.generate_id(4))"
    assert re.fullmatch(r"[a-z0-9]{8} [a-z0-9]{4}\n", printed_by(program))


def test_a_run_loads_nothing_that_only_errors_need(tmp_path: Path) -> None:
    run = f"import lineal; lineal.init(settings=dict(home={str(tmp_path)!r}, silent=True)).finish()"
    printed_by(run)  # makes the home, by Alembic, which loads more
    assert "difflib" not in loaded_by(run)


def test_a_run_loads_no_asyncio_and_leaves_it_whole(tmp_path: Path) -> None:
    run = f"import lineal; lineal.init(settings=dict(home={str(tmp_path)!r}, silent=True)).finish()"
    printed_by(run)  # makes the home, by Alembic, which loads more
    program = (
        f"import sys\n{run}\n"
        "print('asyncio' in sys.modules, 'importlib.metadata' in sys.modules)\n"
        "from sqlalchemy.util import concurrency\n"
        "import asyncio, importlib.metadata\n"
        "async def work(): return importlib.metadata.version('sqlalchemy')\n"
        "coroutine = work()\n"
        "print(concurrency.iscoroutine(coroutine), concurrency.iscoroutine(work))\n"
        "import sqlalchemy\n"
        "print(asyncio.run(coroutine) == sqlalchemy.__version__)\n"
        "print(concurrency.asyncio.Lock is asyncio.Lock)\n"
    )
    assert printed_by(program).split() == ["False", "False", "True", "False", "True", "True"]


def test_a_service_that_is_not_there_is_no_attribute() -> None:
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        from lineal.service import nothing  # noqa: F401 - it is not there
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lineal.service.nothing


def test_where_other_threads_run_asyncio_is_loaded_as_ever(tmp_path: Path) -> None:
    """One that imports a part of it in between would load that part twice."""
    run = f"import lineal; lineal.init(settings=dict(home={str(tmp_path)!r}, silent=True)).finish()"
    printed_by(run)
    program = (
        "import sys, threading\n"
        "end = threading.Event()\n"
        "threading.Thread(target=end.wait).start()\n"
        f"{run}\n"
        "end.set()\n"
        "import sqlalchemy.util.concurrency as taken\n"
        "print(taken.asyncio is sys.modules['asyncio'])\n"
    )
    assert printed_by(program) == "True\n"
