"""Lineal: versioned artifacts with lineage. `import lineal as wandb` works.

Public names are loaded when first used, so that the import itself costs next to nothing.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from lineal.startup import exits as _exits  # noqa: F401 - hears with what the program is left
from lineal.startup.on_demand import load_module

__version__ = "0.1.0"

_SOURCES = {
    "lineal.client.init": ("init",),
    "lineal.client.attach": ("attach",),
    "lineal.client.active": (
        "finish",
        "join",
        "log",
        "log_artifact",
        "use_artifact",
        "upsert_artifact",
        "finish_artifact",
        "log_model",
        "use_model",
        "link_artifact",
        "link_model",
        "save",
        "restore",
        "define_metric",
        "alert",
        "log_code",
        "mark_preempting",
        "watch",
        "unwatch",
        "ensure_configured",
        "login",
        "setup",
        "require",
        "teardown",
    ),
    "lineal.client.sweep.sweep": ("sweep", "controller"),
    "lineal.client.sweep.agent": ("agent",),
    "lineal.client.run.config": ("Config",),
    "lineal.client.run.run": ("AlertLevel", "Run"),
    "lineal.client.artifact.artifact": ("Artifact",),
    "lineal.client.artifact.ttl": ("ArtifactTTL",),
    "lineal.client.plot": ("plot_table",),
    "lineal.client.public.api": ("Api",),
    "lineal.client.media.audio": ("Audio",),
    "lineal.client.media.classes": ("Classes",),
    "lineal.client.media.histogram": ("Histogram",),
    "lineal.client.media.html": ("Html",),
    "lineal.client.media.image": ("Image",),
    "lineal.client.media.model_graph": ("Graph",),
    "lineal.client.media.molecule": ("Molecule",),
    "lineal.client.media.object3d": ("Object3D", "box3d"),
    "lineal.client.media.bokeh": ("Bokeh",),
    "lineal.client.media.plotly": ("Plotly",),
    "lineal.client.media.eval_table": ("EvalTable",),
    "lineal.client.media.table": ("Table",),
    "lineal.client.media.table_sets": ("JoinedTable", "PartitionedTable"),
    "lineal.client.media.video": ("Video",),
    "lineal.client.term": ("termerror", "termlog", "termwarn"),
    "lineal.config": ("Settings",),
    "lineal.wandb_package.path": ("as_wandb",),
    "lineal.errors": (
        "Error",
        "LinealError",
        "CommError",
        "UsageError",
        "ArtifactStatusError",
        "ArtifactNotLoggedError",
        "ArtifactFinalizedError",
        "ArtifactsFailed",
        "TrialStopped",
        "TrialsFailed",
        "WaitTimeoutError",
    ),
}
_MODULE_OF = {name: module for module, names in _SOURCES.items() for name in names}
_MODULES = {
    "data_types": "lineal.data_types",
    "errors": "lineal.errors",
    "integration": "lineal.integration",
    "plot": "lineal.client.plot",
    "util": "lineal.util",
}
_INTEGRATIONS = ("catboost", "gym", "keras", "lightgbm", "sklearn", "tensorboard", "xgboost")
"""Short names of modules of `integration`; `from lineal import *` leaves them, as they import."""
_INSIDE = {
    "api": "api",
    "apis": "apis",
    "env": "env",
    "helper": "helper",
    "sdk": "sdk",
    "wandb_lib": "sdk.lib",
    "wandb_run": "wandb_run",
    "wandb_sdk": "sdk",
}
"""Modules inside W&B's package, of which scripts name classes: `wandb.sdk.wandb_run.Run`."""
_ACTIVE = ("run", "config", "summary")
"""What belongs to the active run, and so must be looked up each time."""

__all__ = [*_MODULE_OF, *_ACTIVE, *_MODULES, "__version__"]

if TYPE_CHECKING:
    from lineal import data_types as data_types
    from lineal import errors as errors
    from lineal import integration as integration
    from lineal import util as util
    from lineal.client import plot as plot
    from lineal.client.active import alert as alert
    from lineal.client.active import define_metric as define_metric
    from lineal.client.active import ensure_configured as ensure_configured
    from lineal.client.active import finish as finish
    from lineal.client.active import finish_artifact as finish_artifact
    from lineal.client.active import join as join
    from lineal.client.active import link_artifact as link_artifact
    from lineal.client.active import link_model as link_model
    from lineal.client.active import log as log
    from lineal.client.active import log_artifact as log_artifact
    from lineal.client.active import log_code as log_code
    from lineal.client.active import log_model as log_model
    from lineal.client.active import login as login
    from lineal.client.active import mark_preempting as mark_preempting
    from lineal.client.active import require as require
    from lineal.client.active import restore as restore
    from lineal.client.active import save as save
    from lineal.client.active import setup as setup
    from lineal.client.active import teardown as teardown
    from lineal.client.active import unwatch as unwatch
    from lineal.client.active import upsert_artifact as upsert_artifact
    from lineal.client.active import use_artifact as use_artifact
    from lineal.client.active import use_model as use_model
    from lineal.client.active import watch as watch
    from lineal.client.artifact.artifact import Artifact as Artifact
    from lineal.client.artifact.ttl import ArtifactTTL as ArtifactTTL
    from lineal.client.attach import attach as attach
    from lineal.client.init import init as init
    from lineal.client.media.audio import Audio as Audio
    from lineal.client.media.bokeh import Bokeh as Bokeh
    from lineal.client.media.classes import Classes as Classes
    from lineal.client.media.eval_table import EvalTable as EvalTable
    from lineal.client.media.histogram import Histogram as Histogram
    from lineal.client.media.html import Html as Html
    from lineal.client.media.image import Image as Image
    from lineal.client.media.model_graph import Graph as Graph
    from lineal.client.media.molecule import Molecule as Molecule
    from lineal.client.media.object3d import Object3D as Object3D
    from lineal.client.media.object3d import box3d as box3d
    from lineal.client.media.plotly import Plotly as Plotly
    from lineal.client.media.table import Table as Table
    from lineal.client.media.table_sets import JoinedTable as JoinedTable
    from lineal.client.media.table_sets import PartitionedTable as PartitionedTable
    from lineal.client.media.video import Video as Video
    from lineal.client.plot import plot_table as plot_table
    from lineal.client.public.api import Api as Api
    from lineal.client.run.config import Config as Config
    from lineal.client.run.run import AlertLevel as AlertLevel
    from lineal.client.run.run import Run as Run
    from lineal.client.run.summary import Summary
    from lineal.client.sweep.agent import agent as agent
    from lineal.client.sweep.sweep import controller as controller
    from lineal.client.sweep.sweep import sweep as sweep
    from lineal.client.term import termerror as termerror
    from lineal.client.term import termlog as termlog
    from lineal.client.term import termwarn as termwarn
    from lineal.config import Settings as Settings
    from lineal.errors import ArtifactFinalizedError as ArtifactFinalizedError
    from lineal.errors import ArtifactNotLoggedError as ArtifactNotLoggedError
    from lineal.errors import ArtifactsFailed as ArtifactsFailed
    from lineal.errors import ArtifactStatusError as ArtifactStatusError
    from lineal.errors import CommError as CommError
    from lineal.errors import Error as Error
    from lineal.errors import LinealError as LinealError
    from lineal.errors import TrialsFailed as TrialsFailed
    from lineal.errors import TrialStopped as TrialStopped
    from lineal.errors import UsageError as UsageError
    from lineal.errors import WaitTimeoutError as WaitTimeoutError
    from lineal.wandb_package.path import as_wandb as as_wandb

    run: Run | None
    summary: Summary


def __getattr__(name: str) -> Any:
    if name in _ACTIVE:
        return load_module("lineal.client.active").active(name)
    if name in _MODULES:
        return load_module(_MODULES[name])
    if name in _INTEGRATIONS:
        return _integration(name)
    if name in _INSIDE:
        return load_module(f"lineal.wandb_package.on_path.wandb.{_INSIDE[name]}")
    if name not in _MODULE_OF:
        raise _NoAttribute(name=name)
    value = getattr(load_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def _integration(name: str) -> ModuleType:
    try:
        return load_module(f"lineal.integration.{name}")
    except ModuleNotFoundError as error:
        raise AttributeError(f"lineal.{name} needs {error.name}, which is not installed") from error


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _NoAttribute(AttributeError):
    """Looks for what was meant when it is shown: our own imports of modules ask in vain, too."""

    def __str__(self) -> str:
        return f"module 'lineal' has no attribute {self.name!r}{_hint(str(self.name))}"


def _hint(name: str) -> str:
    from lineal.nearest import did_you_mean
    from lineal.wandb_names import INSTEAD

    if name in INSTEAD:
        return f" yet: {INSTEAD[name]}; docs/compatibility.md lists what is missing"
    return did_you_mean(name, __all__)


class _Package(ModuleType):
    """Keeps `lineal.run`, `lineal.config` and `lineal.summary` those of the process (RUN-7)."""

    @property
    def run(self) -> Any:
        return vars(self).get("_stand_in") or __getattr__("run")

    @run.setter
    def run(self, value: Any) -> None:
        """Let tests put something in the place of the active run; None takes it away again."""
        self._stand_in = value

    @property
    def config(self) -> Any:
        return __getattr__("config")

    @config.setter
    def config(self, values: Any) -> None:
        """Give values to the active run, or to the next one: `wandb.config = {"lr": 0.1}`.

        The import system sets the submodule of this name; that stays in `sys.modules` only.
        """
        if isinstance(values, ModuleType):
            return
        load_module("lineal.client.active").set_config(values)

    @property
    def summary(self) -> Any:
        return __getattr__("summary")

    @summary.setter
    def summary(self, values: Any) -> None:
        """Give values to the active run: `wandb.summary = {"best": 1}`."""
        load_module("lineal.client.active").set_summary(values)

    def __reduce__(self) -> tuple[Any, ...]:
        """Be imported where it is sent: cloudpickle, of joblib and Ray, knows plain modules only.

        It sends the globals that a script's function uses along, and `lineal` is one of them.
        """
        return __import__, (self.__name__,)


sys.modules[__name__].__class__ = _Package

if "IPython" in sys.modules:
    load_module("lineal.client.cell_magic").register()
