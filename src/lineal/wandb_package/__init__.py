"""Lineal under the name `wandb`, for libraries that import it themselves: only where asked for."""
