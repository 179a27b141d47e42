"""LightGBM: `lightgbm.train(…, callbacks=[wandb_callback()])`, and `log_summary` behind it."""

from __future__ import annotations

from typing import Any

from lightgbm import Booster

from lineal.errors import Invalid
from lineal.integration.boosters import log_importance, log_model
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
        names = model.feature_name()
        log_importance(run, zip(names, model.feature_importance().tolist(), strict=True))
    if save_model_checkpoint:
        best = model.best_iteration
        log_model(
            run,
            f"model_{run.id}",
            file_name=f"model_ckpt_{best}.txt",
            save=lambda path: model.save_model(path, num_iteration=best),
            aliases=["best"],
        )
