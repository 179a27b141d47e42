"""The callback for CatBoost."""

from lineal.integration.catboost import WandbCallback as WandbCallback
from lineal.integration.catboost import log_summary as log_summary
