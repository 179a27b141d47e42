"""How grave an alert is."""

from lineal.client.run.run import AlertLevel as AlertLevel
