"""The package `wandb`: each name is Lineal's, under the paths that libraries know."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import lineal
from lineal.wandb_package import path
from tests.wandb_package.conftest import Start

PACKAGE = Path(path.FOLDER) / "wandb"
LIBRARIES = {
    "catboost": "catboost",
    "keras": "keras",
    "lightgbm": "lightgbm",
    "sb3": "stable_baselines3",
    "sklearn": "sklearn",
    "xgboost": "xgboost",
}
"""What the modules of callbacks import."""
SHORT = sorted({*LIBRARIES, "gym", "tensorboard"} - {"sb3"})
"""Modules of callbacks that are found without `integration`, too."""
CALLBACKS = [
    *(f"wandb.integration.{name}" for name in LIBRARIES),
    *(f"wandb.{name}" for name in SHORT),
]


def modules() -> list[str]:
    names = [".".join(file.relative_to(path.FOLDER).with_suffix("").parts) for file in files()]
    names.remove("wandb.__main__")  # which is run, not imported
    return [name.removesuffix(".__init__") for name in names if name not in CALLBACKS]


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def test_each_name_is_lineals(as_wandb: Start) -> None:
    program = (
        "import lineal, wandb\n"
        "for name in set(lineal.__all__) - {'__version__', 'data_types', 'errors', 'integration',\n"
        "                                   'plot', 'util', 'config', 'summary'}:\n"
        "    assert getattr(wandb, name) is getattr(lineal, name), name\n"
        "assert set(lineal.__all__) <= set(dir(wandb))\n"
        "from wandb import *\n"
        "assert Artifact is lineal.Artifact\n"
    )
    as_wandb(program)


def test_the_active_run_is_looked_up_each_time(as_wandb: Start) -> None:
    program = (
        "import wandb\n"
        "assert wandb.run is None\n"
        "run = wandb.init(project='p', config={'lr': 0.1})\n"
        "assert wandb.run is run and wandb.config.lr == 0.1\n"
        "wandb.config = {'lr': 0.2}\n"
        "wandb.log({'loss': 1.0})\n"
        "assert wandb.summary['loss'] == 1.0 and run.config['lr'] == 0.2\n"
        "wandb.finish()\n"
        "assert wandb.run is None\n"
    )
    as_wandb(program)


def test_a_library_may_put_something_in_the_place_of_a_name(as_wandb: Start) -> None:
    program = (
        "import lineal, wandb\n"
        "log = wandb.log\n"
        "wandb.log = wandb.patched = print\n"
        "assert wandb.log is print and lineal.log is log\n"
        "del wandb.log\n"
        "assert wandb.log is log\n"
    )
    as_wandb(program)


def test_a_library_may_put_a_function_of_its_own_in_the_place_of_a_method(as_wandb: Start) -> None:
    """As swanlab does, to have a copy of what is logged."""
    program = (
        "import wandb\n"
        "from wandb.sdk.wandb_run import Run\n"
        "log, seen = Run.log, []\n"
        "def copying(run, data): seen.append(data); return log(run, data)\n"
        "Run.log = copying\n"
        "with wandb.init(project='p') as run:\n"
        "    wandb.log({'loss': 1.0})\n"
        "    run.log({'loss': 2.0})\n"
        "assert seen == [{'loss': 1.0}, {'loss': 2.0}], seen\n"
        "assert wandb.Api().run(run.path).summary['loss'] == 2.0\n"
    )
    as_wandb(program)


def test_it_may_be_sent_to_another_process(as_wandb: Start) -> None:
    """cloudpickle, of joblib and Ray, sends the globals that a function uses along."""
    as_wandb("import pickle, wandb; assert pickle.loads(pickle.dumps(wandb)) is wandb")


def test_each_module_can_be_imported_and_is_an_attribute(as_wandb: Start) -> None:
    program = (
        "import importlib, operator, wandb\n"
        f"for name in {modules()}:\n"
        "    _, _, inside = name.partition('.')\n"
        "    found = operator.attrgetter(inside)(wandb) if inside else wandb\n"
        "    assert found is importlib.import_module(name), name\n"
        "    assert any(not each.startswith('_') for each in vars(found)), name\n"
    )
    as_wandb(program)


def test_what_libraries_compare_with_is_what_lineal_returns(as_wandb: Start) -> None:
    program = (
        "import wandb\n"
        "from wandb.sdk.lib import RunDisabled\n"
        "from wandb.sdk.lib.config_util import ConfigError\n"
        "from wandb.sdk.wandb_run import Run\n"
        "import wandb.wandb_run\n"
        "with wandb.init(project='p', config={'a': 1}) as run:\n"
        "    assert isinstance(run, Run) and not isinstance(run, RunDisabled)\n"
        "    assert isinstance(run.config, wandb.Config)\n"
        "    assert wandb.Config is wandb.sdk.wandb_config.Config\n"
        "    assert isinstance(run.summary, wandb.sdk.wandb_summary.Summary)\n"
        "    try: run.config['a'] = 2\n"
        "    except ConfigError: pass\n"
        "    artifact = run.log_artifact(wandb.Artifact('a', 'b')).wait()\n"
        "    assert isinstance(artifact, wandb.sdk.artifacts.artifact.Artifact)\n"
        "from wandb.apis.public.api import Api\n"
        "from wandb.apis.public.artifacts import ArtifactCollection, ArtifactType\n"
        "from wandb.apis.public.projects import Project\n"
        "from wandb.apis.public.runs import Run as PublicRun, Runs\n"
        "from wandb.plot.custom_chart import CustomChart\n"
        "from wandb.sdk import Artifact, Config, Settings, finish, init, sweep\n"
        "public = wandb.apis.public\n"
        "assert (Api, PublicRun, Runs) == (public.Api, public.Run, public.Runs)\n"
        "assert wandb.apis.PublicApi is wandb.Api is Api\n"
        "[kind] = Api().artifact_types('p')\n"
        "assert isinstance(kind, ArtifactType)\n"
        "assert isinstance(kind.collections()[0], ArtifactCollection)\n"
        "assert isinstance(Api().project('p'), Project)\n"
        "assert isinstance(wandb.plot_table('v', wandb.Table(['a']), {}), CustomChart)\n"
        "assert (Artifact, Config, Settings) == (wandb.Artifact, wandb.Config, wandb.Settings)\n"
        "assert (finish, init, sweep) == (wandb.finish, wandb.init, wandb.sweep)\n"
        "from wandb.sdk.wandb_init import init as inside\n"
        "assert inside is init\n"
        "from wandb.errors.errors import CommError\n"
        "assert CommError is wandb.CommError\n"
        "api = public.Api()\n"
        "assert isinstance(api.runs('p'), public.Runs)\n"
        "assert isinstance(api.runs('p')[0], public.Run)\n"
        "assert isinstance(api.run(run.path).files(), public.Files)\n"
        "assert wandb.Run is Run is wandb.wandb_run.Run\n"
        "with wandb.init(mode='disabled') as run:\n"
        "    assert isinstance(run, RunDisabled) and isinstance(run, Run)\n"
        "try: raise wandb.CommError('x')\n"
        "except wandb.errors.Error: pass\n"
    )
    as_wandb(program)


def test_callbacks_may_tell_a_run_who_they_are(as_wandb: Start) -> None:
    """As the `Trainer` of transformers does."""
    program = (
        "import wandb\n"
        "for mode in ('online', 'offline', 'disabled'):\n"
        "    with wandb.init(mode=mode) as run: run._label(code='transformers_trainer')\n"
    )
    as_wandb(program)


def test_libraries_find_somebody_logged_in(as_wandb: Start) -> None:
    """As Ray and OpenRLHF do; they would ask for a key."""
    as_wandb("import wandb; wandb.ensure_configured(); assert wandb.api.api_key and wandb.login()")


def test_a_search_of_transformers_takes_the_trial_from_the_config(as_wandb: Start) -> None:
    program = (
        "import wandb\n"
        "with wandb.init(project='p', config={'lr': 0.1}):\n"
        "    assert vars(wandb.config)['_items'] == {'lr': 0.1}\n"
    )
    as_wandb(program)


def test_ray_asks_what_can_be_logged(as_wandb: Start) -> None:
    program = (
        "import wandb.util, numpy\n"
        "assert wandb.util.json_dumps_safer({'a': numpy.float32(1)}) == '{\"a\": 1.0}'\n"
        "try: wandb.util.json_dumps_safer(print)\n"
        "except TypeError: pass\n"
        "else: raise AssertionError\n"
        "from wandb.sdk.data_types.base_types.wb_value import WBValue\n"
        "assert issubclass(wandb.Image, WBValue) and issubclass(wandb.Table, WBValue)\n"
        "assert wandb.data_types.WBValue is wandb.data_types.Media is WBValue\n"
    )
    as_wandb(program)


def test_a_function_sets_the_project_of_the_runs_to_come(as_wandb: Start) -> None:
    program = (
        "import wandb.env\n"
        "wandb.env.set_project('theirs')\n"
        "wandb.env.set_entity('team')\n"
        "with wandb.init() as run:\n"
        "    assert (run.entity, run.project) == ('team', 'theirs')\n"
    )
    as_wandb(program)


def test_lm_eval_says_things_with_a_printer(as_wandb: Start) -> None:
    program = (
        "import logging\n"
        "from wandb.sdk.lib.printer import new_printer\n"
        "new_printer().display('one')\n"
        "new_printer().display(['two', 'three'], level=logging.WARNING)\n"
        "new_printer().display('four', level=logging.ERROR)\n"
    )
    assert as_wandb(program).stderr.splitlines() == [
        "lineal: one",
        "lineal: warning: two",
        "lineal: warning: three",
        "lineal: error: four",
    ]


@pytest.mark.parametrize(("name", "library"), LIBRARIES.items())
def test_callbacks_import_the_library_that_they_are_for(
    name: str, library: str, as_wandb: Start
) -> None:
    program = f"import sys; sys.modules['{library}'] = None\nimport wandb.integration.{name}"
    [*_, error] = as_wandb(program, code=1).stderr.splitlines()
    assert error.startswith("ModuleNotFoundError")
    assert library in error


@pytest.mark.parametrize("name", SHORT)
def test_callbacks_have_a_short_path(
    name: str, as_wandb: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    if name in LIBRARIES:
        pytest.importorskip(LIBRARIES[name])
    program = (
        f"import wandb, wandb.{name} as short\n"
        f"from wandb.integration import {name} as long\n"
        "names = [each for each in vars(long) if not each.startswith('_')]\n"
        "assert names and all(getattr(short, each) is getattr(long, each) for each in names)\n"
        f"assert wandb.{name} is short\n"
    )
    as_wandb(program)


def test_callbacks_that_are_not_there_are_named(as_wandb: Start) -> None:
    program = "import wandb\nwandb.integration.fastai"
    assert "no attribute 'fastai'" in as_wandb(program, code=1).stderr


def test_importing_it_loads_as_little_as_lineal_does(as_wandb: Start) -> None:
    program = "import wandb, sys\nassert not {'sqlalchemy', 'numpy', 'yaml'} & set(sys.modules)"
    as_wandb(program)


def test_callbacks_tell_of_themselves_and_nobody_hears_it(as_wandb: Start) -> None:
    program = (
        "import wandb\n"
        "from wandb.sdk.lib import telemetry\n"
        "with wandb.init(project='p') as run, telemetry.context(run=run) as told:\n"
        "    told.feature.keras = True\n"
    )
    as_wandb(program)


def test_a_config_is_read_by_hand(as_wandb: Start) -> None:
    program = (
        "import argparse, wandb\n"
        "config = argparse.Namespace(lr=0.1, logger=print)\n"
        "assert wandb.helper.parse_config(config, exclude=('logger',)) == {'lr': 0.1}\n"
        "from wandb.sdk.wandb_helper import parse_config\n"
        "assert parse_config({'lr': 0.1, 'name': 'a'}, include=['name']) == {'name': 'a'}\n"
    )
    as_wandb(program)


def test_the_version_is_said_the_same_everywhere(as_wandb: Start) -> None:
    program = (
        "import importlib.metadata as metadata, importlib.util as util\n"
        "assert util.find_spec('wandb') is not None\n"
        "version = metadata.version('wandb')\n"
        "assert metadata.packages_distributions()['wandb'] == ['wandb']\n"
        "import wandb\n"
        "assert wandb.__version__ == version\n"
        "print(version)\n"
    )
    [folder] = Path(path.FOLDER).glob("*.dist-info")
    assert folder.name == f"wandb-{as_wandb(program).stdout.strip()}.dist-info"


def test_all_of_it_is_beside_the_room_and_only_forwards() -> None:
    """The layers of the house do not see it, so nothing in it may be more than names."""
    assert not (Path(path.FOLDER) / "__init__.py").exists()
    defined = {
        node.name
        for file in files()
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    assert defined == {
        *("__getattr__", "__dir__", "_attach", "json_dumps_safer"),
        *("get_entity", "get_project", "set_entity", "set_project", "_in"),
        *("Printer", "display", "new_printer", "context"),
    }
    assert lineal.as_wandb is path.as_wandb
