"""XGBoost: `xgboost.train(…, callbacks=[WandbCallback()])`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from xgboost import Booster
from xgboost.callback import TrainingCallback

from lineal.integration.boosters import log_importance, log_model
from lineal.integration.running import active_run

MINIMIZED = {"rmse", "rmsle", "mae", "mape", "mphe", "logloss", "error", "merror"}
MAXIMIZED = {"auc", "aucpr", "ndcg", "map", "pre"}


class WandbCallback(TrainingCallback):
    """Log metrics as XGBoost trains, then what it made; works in `train`, `fit` and `cv`.

    Each round is a row: `epoch` and `DATA-METRIC`, of `cv` with `-mean` and `-std` behind it. The
    parameters are in the config, `best_score` and `best_iteration` in the last row.
    """

    def __init__(
        self,
        log_model: bool = False,
        log_feature_importance: bool = True,
        importance_type: str = "gain",
        define_metric: bool = True,
    ) -> None:
        """Raise UsageError if there is no run.

        log_model: log the booster as artifact `RUN_model.json`, of type `model`.
        log_feature_importance, importance_type: log the chart `Feature Importance` by `weight`,
        `gain`, `cover`, `total_gain` or `total_cover`.
        define_metric: the summary of a metric is its best value, as `summary[KEY]["min"]`.
        """
        super().__init__()
        self._run = active_run(type(self).__name__)
        self._log_model = log_model
        self._importance_type = importance_type if log_feature_importance else None
        self._define_metric = define_metric

    def before_training(self, model: Any) -> Any:
        if isinstance(model, Booster):  # not the boosters of `cv`
            self._run.config.update(json.loads(model.save_config()), allow_val_change=True)
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: Mapping[str, Any]) -> bool:
        row: dict[str, float] = {"epoch": epoch}
        for data, metrics in evals_log.items():
            for metric, values in metrics.items():
                key, value = f"{data}-{metric}", values[-1]
                if isinstance(value, tuple):
                    row |= {f"{key}-mean": value[0], f"{key}-std": value[1]}
                else:
                    row[key] = value
                best = _best(metric)
                if self._define_metric and best is not None:
                    self._run.define_metric(key if key in row else f"{key}-mean", summary=best)
        self._define_metric = False
        self._run.log(row)
        return False

    def after_training(self, model: Any) -> Any:
        if isinstance(model, Booster):
            if self._log_model:
                name = f"{self._run.id}_model.json"
                log_model(self._run, name, file_name=name, save=model.save_model)
            if self._importance_type is not None:
                log_importance(self._run, _importances(model, self._importance_type))
            if model.attr("best_score") is not None:
                self._run.log(
                    {
                        "best_score": float(str(model.attr("best_score"))),
                        "best_iteration": int(str(model.attr("best_iteration"))),
                    }
                )
        return model


def _importances(model: Booster, importance_type: str) -> Iterator[tuple[str, float]]:
    """Yield what is asked for of each feature; a linear model has weights, one for each class."""
    config = json.loads(model.save_config())
    if config["learner"]["gradient_booster"]["name"] == "gblinear":
        importance_type = "weight"
    for feature, score in model.get_score(importance_type=importance_type).items():
        if isinstance(score, list):
            yield from ((f"{feature} of class {number}", of) for number, of in enumerate(score))
        else:
            yield feature, score


def _best(metric: str) -> Literal["min", "max"] | None:
    """Say which value of a metric is the best; `ndcg@5` is an `ndcg`."""
    name = metric.lower().partition("@")[0]
    if name in MINIMIZED or "loss" in name:
        return "min"
    return "max" if name in MAXIMIZED else None
