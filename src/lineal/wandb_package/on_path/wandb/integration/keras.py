"""The callbacks for Keras."""

from lineal.integration.keras import WandbMetricsLogger as WandbMetricsLogger
from lineal.integration.keras import WandbModelCheckpoint as WandbModelCheckpoint
