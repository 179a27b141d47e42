"""Videos of agents."""

from lineal.integration.gym import monitor as monitor
