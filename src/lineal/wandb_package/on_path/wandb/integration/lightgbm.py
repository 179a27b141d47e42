"""The callbacks for LightGBM."""

from lineal.integration.lightgbm import log_summary as log_summary
from lineal.integration.lightgbm import wandb_callback as wandb_callback
