"""`python -m wandb`, and the command `wandb`."""

from .cli.cli import cli

if __name__ == "__main__":
    cli()
