"""What W&B's own command `wandb` calls, where that one is found first."""

from functools import partial

from lineal.cli import main

cli = partial(main, name="wandb")
