"""`lineal.data_types` where W&B has it."""

from lineal.client.media.types import DataObject as WBValue
from lineal.data_types import *  # noqa: F403 - all of it

Media = WBValue
