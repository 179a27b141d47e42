"""The callbacks for Stable-Baselines3."""

from lineal.integration.sb3 import WandbCallback as WandbCallback
