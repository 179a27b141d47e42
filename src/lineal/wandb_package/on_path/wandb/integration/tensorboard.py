"""What is written for TensorBoard."""

from lineal.integration.tensorboard import patch as patch
from lineal.integration.tensorboard import unpatch as unpatch
