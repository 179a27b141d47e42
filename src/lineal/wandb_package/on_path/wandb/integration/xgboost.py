"""The callbacks for XGBoost."""

from lineal.integration.xgboost import WandbCallback as WandbCallback
