"""CatBoost: `model.fit(…, callbacks=[WandbCallback()])`, and `log_summary` behind it."""

from __future__ import annotations

from typing import Any

from catboost import CatBoost

from lineal.errors import Invalid
from lineal.integration.boosters import log_importance, log_model
from lineal.integration.running import active_run


class WandbCallback:
    """Log metrics as CatBoost trains: a row, with `DATA-METRIC`, whenever it has new ones.

    metric_period: that of the model; part of the key of the iteration. Raises UsageError if there
    is no run.
    """

    def __init__(self, metric_period: int = 1) -> None:
        self._run = active_run(type(self).__name__)
        self._step = f"iteration@metric-period-{metric_period}"
        self._value_count = 0

    def after_iteration(self, info: Any) -> bool:
        """info: CatBoost's record of the iteration."""
        values = {
            f"{data}-{metric}": found
            for data, metrics in (info.metrics or {}).items()
            for metric, found in metrics.items()
        }
        count = sum(map(len, values.values()))
        if count > self._value_count:
            self._value_count = count
            latest = {key: found[-1] for key, found in values.items()}
            self._run.log({**latest, self._step: info.iteration})
        return True


def log_summary(
    model: CatBoost,
    log_all_params: bool = True,
    save_model_checkpoint: bool = False,
    log_feature_importance: bool = True,
) -> None:
    """Put `best_iteration` and `best_score` into the summary, and log what was made.

    log_all_params: the parameters are in the config.
    save_model_checkpoint: log the model as artifact `model_RUN`, with the alias `best`, or `last`
    where all its trees are kept. log_feature_importance: log the chart `Feature Importance`.
    Raises UsageError if there is no run, Invalid for what is no model of CatBoost.
    """
    run = active_run("log_summary")
    if not isinstance(model, CatBoost):
        raise Invalid(f"log_summary takes a model of CatBoost, not {type(model).__name__}")
    parameters = model.get_all_params()
    if log_all_params:
        run.config.update(parameters, allow_val_change=True)
    run.summary["best_iteration"] = model.get_best_iteration()
    run.summary["best_score"] = model.get_best_score()
    if save_model_checkpoint:
        alias = "best" if parameters.get("use_best_model") else "last"
        log_model(run, f"model_{run.id}", file_name="model", save=model.save_model, aliases=[alias])
    if log_feature_importance:
        log_importance(run, model.get_feature_importance(prettified=True).itertuples(index=False))
