"""LightGBM: `lightgbm.train(…, callbacks=[wandb_callback()])`, and `log_summary` behind it."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from lightgbm import Booster

import lineal
from lineal.errors import Invalid
from lineal.integration.running import active_run


class _Callback:
    """What LightGBM calls after each round."""

    order = 20
    before_iteration = False

    def __init__(self, *, log_params: bool, define_metric: bool) -> None:
        self._run = active_run("wandb_callback")
        self._log_params = log_params
        self._define_metric = define_metric

    def __call__(self, env: Any) -> None:
        """env: LightGBM's `CallbackEnv`."""
        if self._log_params:
            self._run.config.update(env.params, allow_val_change=True)
        row: dict[str, float] = {"iteration": env.iteration}
        for data, metric, value, is_maximized, *deviation in env.evaluation_result_list or ():
            if data == "cv_agg":  # of `cv` before LightGBM 4.7
                data, metric = metric.split(" ", 1)
            key = f"{data}_{metric}"
            if deviation:
                row[f"{key}-stdv"] = deviation[0]
                key = f"{key}-mean"
            row[key] = value
            if self._define_metric:
                self._run.define_metric(key, summary="max" if is_maximized else "min")
        self._log_params = self._define_metric = False
        self._run.log(row)


def wandb_callback(log_params: bool = True, define_metric: bool = True) -> _Callback:
    """Return a callback that logs metrics as LightGBM trains, for `train`, `fit` and `cv`.

    Each round is a row: `iteration` and `DATA_METRIC`, of `cv` with `-mean` and `-stdv` behind it.

    log_params: the parameters are in the config.
    define_metric: the summary of a metric is its best value, as `summary[KEY]["min"]`.
    Raises UsageError if there is no run.
    """
    return _Callback(log_params=log_params, define_metric=define_metric)


def log_summary(
    model: Booster, feature_importance: bool = True, save_model_checkpoint: bool = False
) -> None:
    """Put `best_iteration` and `best_score` into the summary, and log what was made.

    feature_importance: log the chart `Feature Importance`.
    save_model_checkpoint: log the best booster as artifact `model_RUN` with the alias `best`.
    Raises UsageError if there is no run, Invalid for what is no Booster.
    """
    run = active_run("log_summary")
    if not isinstance(model, Booster):
        raise Invalid(f"log_summary takes a lightgbm.Booster, not {type(model).__name__}")
    run.summary["best_iteration"] = model.best_iteration
    run.summary["best_score"] = model.best_score
    if feature_importance:
        pairs = zip(model.feature_name(), model.feature_importance().tolist(), strict=True)
        table = lineal.Table(["Feature", "Importance"], list(map(list, pairs)))
        title = "Feature Importance"
        run.log({title: lineal.plot.bar(table, "Feature", "Importance", title=title)})
    if save_model_checkpoint:
        artifact = lineal.Artifact(f"model_{run.id}", type="model")
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, f"model_ckpt_{model.best_iteration}.txt")
            model.save_model(path, num_iteration=model.best_iteration)
            artifact.add_file(path)
        run.log_artifact(artifact, aliases=["best"])
