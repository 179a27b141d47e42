"""Reading a config by hand."""

from lineal.client.run.config import parse_config as parse_config
