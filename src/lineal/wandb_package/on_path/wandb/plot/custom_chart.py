"""What charts are made of."""

from lineal.client.media.chart import CustomChart as CustomChart
from lineal.client.plot import plot_table as plot_table
