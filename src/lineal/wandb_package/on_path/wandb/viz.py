"""Where charts of one's own were, before they were in `plot`."""

from lineal.client.media.chart import CustomChart as CustomChart
from lineal.client.plot import plot_table as custom_chart

__all__ = ["CustomChart", "custom_chart"]
